"""The notebook of the docs, run cell by cell in a kernel of its own."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
ABSOLUTE = re.compile(r"file://|(?<![\w+/.<])/\w[\w.-]*/\w")  # a path from the root; not a/b, a URL, base64 or a tag
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of asyncio, from jupyter_client
def test_a_notebook_runs_and_ends_with_what_it_shows(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))  # nobody's own settings
    notebook = nbformat.read(path, as_version=4)
    stored = [bool(cell.get("outputs")) for cell in notebook.cells]
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert [bool(cell.get("outputs")) for cell in notebook.cells] == stored  # what a reader sees without running it
    pictures = [output for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    assert sum("image/png" in output["data"] for output in pictures) == 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_is_small_and_names_no_machine(path):
    text = path.read_text()
    assert len(text) < 300_000
    assert ABSOLUTE.search(f'"{ROOT}"')
    assert not ABSOLUTE.findall(text)
