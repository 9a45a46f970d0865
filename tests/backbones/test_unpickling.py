"""Nothing of the package unpickles, and nobody but the converter reads what others have pickled."""

import ast
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import learner_jax
import tfds_builders
from learner_jax.backbones import convert, state_dict, weight_file
from tests.backbones import saved

UNPICKLE = {
    "pickle",
    "_pickle",
    "cPickle",
    "pickletools",
    "shelve",
    "joblib",
    "dill",
    "cloudpickle",
    "torch",
    "marshal",
}
CONVERTER = ("backbones.convert", "backbones.state_dict", "backbones.weight_file")
SOURCES = [p for package in (learner_jax, tfds_builders) for p in sorted(Path(package.__path__[0]).rglob("*.py"))]


def unpickling(source: str) -> list[str]:
    """Whatever in a source could unpickle, and imports of the converter and its reader."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=module, names=names):
                modules = [module or "", *(f"{module}.{alias.name}" for alias in names)]
            case ast.keyword(arg="allow_pickle", value=value) if getattr(value, "value", True) is not False:
                modules = ["pickle"]
            case ast.Call(func=ast.Attribute(attr="read_pickle" | "to_pickle")):
                modules = ["pickle"]
            case ast.Call(func=ast.Name(id="__import__") | ast.Attribute(attr="import_module"), args=[name, *_]):
                modules = [str(getattr(name, "value", ""))]
            case _:
                continue
        found += [name for name in modules if name.split(".")[0] in UNPICKLE or name.endswith(CONVERTER)]
    return found


def test_nothing_unpickles_and_nothing_imports_the_converter():
    found = {str(path): modules for path in SOURCES if (modules := unpickling(path.read_text()))}
    assert found == {
        state_dict.__file__: ["pickletools", "pickletools.genops"],
        convert.__file__: ["learner_jax.backbones.weight_file"],
        weight_file.__file__: ["learner_jax.backbones.state_dict"],
    }
    assert len(SOURCES) > 100


ROOT = Path(__file__).parents[2]
UNDER_WATCH = """
import sys
events = []
sys.addaudithook(lambda event, _: events.append(event) if event.startswith("pickle.") else None)
from learner_jax.backbones import convert
for path in sys.argv[2:]:
    convert.main([path])
import pickle
if sys.argv[1] != "none":
    pickle.loads(open(sys.argv[1], "rb").read())
print(len(events))
"""


def test_python_itself_sees_no_unpickling_while_files_are_read(tmp_path):
    """The interpreter tells of every name that an unpickler looks up: none for tensors, none for a refused canary."""
    ones = np.ones(3, np.float32)
    for form, write in saved.WRITERS.items():
        write(tmp_path / f"{form}.pth", {"a": saved.of("0", ones)}, {"0": ones})
    program = pickle.dumps(saved.Canary(tmp_path / "canary"), protocol=2)
    (tmp_path / "canary.pth").write_bytes(program)
    (tmp_path / "unpickle").write_bytes(program)

    def lookups(last: str) -> int:
        files = [str(tmp_path / f"{name}.pth") for name in (*saved.WRITERS, "canary")]
        command = [sys.executable, "-c", UNDER_WATCH, last, *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert all((tmp_path / f"{form}.safetensors").is_file() for form in saved.WRITERS)
        assert "is no part of a state dict" in done.stderr
        return int(done.stdout.splitlines()[-1])

    assert lookups("none") == 0
    assert not (tmp_path / "canary").exists()
    assert lookups(str(tmp_path / "unpickle")) == 1  # the watch was awake


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.externals",
        "def f():\n    import torch",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "pd.read_pickle(path)",
        "importlib.import_module('dill')",
        "from learner_jax.backbones import convert",
        "import learner_jax.backbones.convert",
    ],
)
def test_the_search_for_what_unpickles_finds_it(source):
    assert unpickling(source)
    assert not unpickling("np.load(path, allow_pickle=False)\nimport numpy")
