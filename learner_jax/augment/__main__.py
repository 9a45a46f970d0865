"""See what augmentation does to a scan before training on it.

    python -m learner_jax.augment --data_dir data/lus --out augmented.png --config.augment.speckle=0.3

The first row of the picture is the scan as the backbone sees it without augmentation. Below it are a row for each
operation alone and a row for all together, each with several random copies at the strengths of the config. A clip is
shown by its middle frame (for dropped frames, by its middle column over time, left to right), a volume by its middle
axial slice above its middle coronal slice.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageDraw

from learner_jax import command
from learner_jax.augment.api import for_cohort
from learner_jax.config import AugmentConfig, Config, DataConfig, check
from learner_jax.data.source import Records, Unreadable
from learner_jax.data.transforms import for_backbone
from learner_jax.fields import override
from tfds_builders.cohort import read_table
from tfds_builders.errors import InputError
from tfds_builders.record import DatasetMeta, check_complete

_GEOMETRY = ("shift", "zoom", "rotate")
_OPERATIONS = {
    "ultrasound": (*_GEOMETRY, "flip_views", "gain", "contrast", "tgc", "speckle", "drop_frames"),
    "mri": (*_GEOMETRY, "flip", "tilt", "bias", "gamma", "noise", "ghost"),
    "photograph": (*_GEOMETRY, "flip", "gain", "contrast"),
}
_MARGIN = 96  # pixels left of each row, for its name


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m learner_jax.augment", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data_dir", type=Path, required=True, help="folder of a built dataset")
    parser.add_argument("--out", type=Path, required=True, help="the picture to write")
    parser.add_argument("--row", type=int, default=0, help="which scan: its row in the cohort table")
    parser.add_argument("--copies", type=int, default=6, help="columns of the picture")

    def do(args: argparse.Namespace, fields: list[str]) -> None:
        picture(args.data_dir, args.out, args.row, args.copies, fields)

    return command.run(parser, arguments, do, stopped="nothing was written")


def picture(data_dir: Path, out: Path, row: int, copies: int, overrides: Sequence[str] = ()) -> None:
    """Write the picture.

    Raises:
      InputError: there is no such dataset or row, ``copies`` is below 1, ``out`` is no kind of picture, or an override
        is invalid.
    """
    if copies < 1:
        raise InputError(f"--copies is {copies}; it takes 1 or more")
    if out.suffix.lower() not in Image.registered_extensions():
        raise InputError(f"--out is {out}, whose ending names no kind of picture; end it in .png or .jpg")
    check_complete(data_dir)
    meta = DatasetMeta.read(data_dir)
    config = Config()
    config.data.dir, config.data.score, config.eval.change_threshold = str(data_dir), meta.scores[0], 0.0
    config.data.frames, config.data.size = meta.scan_shape[0], max(meta.scan_shape[1:3])
    for argument in overrides:
        override(config, argument)
    check(config)
    if not 0 <= row < meta.n_scans:
        raise InputError(f"--row is {row}; {data_dir} has rows 0 to {meta.n_scans - 1}")
    frame = read_table(data_dir)
    names = frame["view"].to_list()
    views = tuple(sorted(set(names)))
    whole = for_cohort(config, meta, views)
    scan = _read(row, config.data, meta, frame["scan_id"].to_list())

    # Not jitted: compiling one program for all rows takes 20 s, eager operations take 2 s.
    same = jnp.broadcast_to(scan, (copies, *scan.shape))
    rows, view = jnp.arange(copies), jnp.full(copies, views.index(names[row]))
    sheet = [("stored", [_tile(scan, meta)])]
    for name, strength, arm in _arms(config.augment, meta.modality):
        flipped = whole.flipped if arm.flip or arm.flip_views else ()
        augmentation = dataclasses.replace(whole, config=arm, flipped=flipped)
        seen = np.asarray(augmentation(same, rows, view, jax.random.key(config.seed)))
        tiles = [_over_time(copy) if name == "drop_frames" else _tile(copy, meta) for copy in seen]
        sheet.append((f"{name}\n{strength}", tiles))
    out.parent.mkdir(parents=True, exist_ok=True)
    _sheet(sheet).save(out)


def _arms(config: AugmentConfig, modality: str) -> list[tuple[str, str, AugmentConfig]]:
    """Name, strength and config of each operation that is switched on, alone; then of all together."""
    off = AugmentConfig(**{field.name: type(field.default)() for field in dataclasses.fields(AugmentConfig)})
    strengths = [(name, getattr(config, name)) for name in _OPERATIONS[modality]]
    arms = [(name, f"{value}", dataclasses.replace(off, **{name: value})) for name, value in strengths if value]
    return [*arms, ("all", "", config)]


def _read(row: int, config: DataConfig, meta: DatasetMeta, scan_ids: Sequence[str]) -> np.ndarray:
    (record,) = Records(config.dir, scan_ids).read(np.array([row]))
    if isinstance(record, Unreadable):
        raise InputError(
            f"row {row} cannot be read ({record.reason}); choose another --row, or build the dataset again"
        )
    scan = record["scan"]
    for transform in for_backbone(config, meta):
        scan = transform(scan, None)
    return scan.astype(np.float32) * record["scale"] + record["offset"]


def _tile(scan: np.ndarray, meta: DatasetMeta) -> Image.Image:
    grey = np.rint(scan[..., 0] * 255).astype(np.uint8)
    middle = grey[len(grey) // 2]
    coronal = grey[::-1, grey.shape[1] // 2]  # stored from inferior to superior
    return Image.fromarray(np.concatenate([middle, coronal]) if meta.axis0 == "depth" else middle)


def _over_time(scan: np.ndarray) -> Image.Image:
    _, h, w, _ = scan.shape
    column = np.rint(scan[:, :, w // 2, 0].T * 255).astype(np.uint8)
    return Image.fromarray(column).resize((w, h), Image.Resampling.NEAREST)


def _sheet(rows: list[tuple[str, list[Image.Image]]]) -> Image.Image:
    width, height = rows[0][1][0].width + 2, rows[0][1][0].height + 2
    sheet = Image.new("L", (_MARGIN + max(len(tiles) for _, tiles in rows) * width, len(rows) * height), 64)
    for i, (name, tiles) in enumerate(rows):
        ImageDraw.Draw(sheet).text((4, i * height + 4), name, fill=255)
        for j, tile in enumerate(tiles):
            sheet.paste(tile, (_MARGIN + j * width + 1, i * height + 1))
    return sheet


if __name__ == "__main__":
    sys.exit(main())
