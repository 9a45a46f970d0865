"""One picture of many scans, so that a wrong crop, window or orientation is noticed before anything is trained."""

from pathlib import Path

import numpy as np
import polars as pl
import tensorflow_datasets as tfds
from PIL import Image, ImageDraw

from tfds_builders import record
from tfds_builders.cohort import first_score
from tfds_builders.readers.api import evenly
from tfds_builders.record import DatasetMeta

FILE = "contact_sheet.png"
_MOST = 40  # scans
_COLUMNS = 8
_CAPTION = 14  # pixels of height
_LEAST_WIDTH = 96  # of a tile, so that its caption can be read


def write(folder: Path, meta: DatasetMeta, table: pl.DataFrame) -> None:
    """Draw up to 40 scans, evenly spread over the cohort, as ``contact_sheet.png``, captioned with row and score.

    A clip is shown by its middle frame, a volume by its middle axial slice (the person's left on the left, front at the
    top) above its middle coronal slice (top of the head at the top).
    """
    scans = tfds.builder_from_directory(str(folder)).as_data_source(record.SPLIT)
    rows = np.unique(evenly(len(scans), min(_MOST, len(scans))))
    score = first_score(table)
    tiles = []
    for row in rows.tolist():
        text = f"{row}" if score is None else f"{row}: {table[score][row]:.4g}"
        tiles.append(_tile(_picture(scans[row], meta), text))
    _sheet(tiles).save(folder / FILE)


def _picture(example: dict, meta: DatasetMeta) -> Image.Image:
    scan = example["scan"].astype(np.float32) * example["scale"] + example["offset"]
    grey = np.clip(scan[..., 0] * 255, 0, 255).astype(np.uint8)
    middle = grey[len(grey) // 2]
    if meta.axis0 == "depth":
        coronal = grey[::-1, grey.shape[1] // 2]  # stored from inferior to superior
        middle = np.concatenate([middle, coronal])
    picture = Image.fromarray(middle)
    larger = max(1, -(-_LEAST_WIDTH // picture.width))
    return picture.resize((picture.width * larger, picture.height * larger), Image.Resampling.NEAREST)


def _tile(picture: Image.Image, text: str) -> Image.Image:
    tile = Image.new("L", (picture.width, picture.height + _CAPTION))
    tile.paste(picture, (0, _CAPTION))
    ImageDraw.Draw(tile).text((2, 1), text, fill=255)
    return tile


def _sheet(tiles: list[Image.Image]) -> Image.Image:
    columns = min(_COLUMNS, len(tiles))
    width, height = tiles[0].width + 2, tiles[0].height + 2
    sheet = Image.new("L", (columns * width, -(-len(tiles) // columns) * height), 64)
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * width + 1, i // columns * height + 1))
    return sheet
