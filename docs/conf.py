"""How Sphinx makes the site: ``make docs``. Its sources are pages that read as well where they lie."""

import re
import sys
from pathlib import Path

from pygments.lexers.special import TextLexer

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the API pages are made from docstrings of this tree

project = author = "learner_jax"
root_doc = "docs/index"
# The repository is the source folder, so that a link to ../SECURITY.md is one on the site too.
include_patterns = ["docs/**", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LOG.md", "SECURITY.md"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme, html_title = "furo", "learner_jax"
html_copy_source = False

myst_heading_anchors = 3  # links to sections as GitHub has them
highlight_language = "none"  # a block without a language holds commands
autodoc_typehints = "none"  # jaxtyping's are read in the signature as they were written
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_custom_sections = [("Formula", "notes"), ("Source", "notes")]


def contents(app, name: str, text: list[str]) -> None:
    """Give the first page a hidden table of contents: the links that it shows, section by section."""
    page = Path(app.env.doc2path(name))
    if page.suffix == ".md" and not text[0].startswith("# "):  # the board of a sweep is a table alone
        text[0] = f"# {name.rsplit('/', 1)[-1].capitalize()}\n\n{text[0]}"
    if name != root_doc:
        return
    for title, section in re.findall(r"(?ms)^## (.+?)$(.*?)(?=^## |\Z)", text[0]):
        pages = [f"{label} <{page}>" for label, page in re.findall(r"\[([^]]+)\]\(([\w./]+?)\.(?:md|rst)\)", section)]
        text[0] += "\n".join(["\n```{toctree}", ":hidden:", f":caption: {title}", *pages, "```\n"])


def setup(app) -> None:
    """Called by Sphinx."""
    app.add_lexer("csv", TextLexer)
    app.connect("source-read", contents)
