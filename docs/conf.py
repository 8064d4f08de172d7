"""How Sphinx makes the guide of the documents in this folder: `make docs`."""

import re

from sphinx.application import Sphinx

import ziggurat

project = "Ziggurat"
author = "The developers of Ziggurat"
copyright = author
release = ziggurat.__version__
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["requirements.txt", "_build"]
# Headings are targets of links, as they are where the documents are read in the repository.
myst_heading_anchors = 3
# Links to files of the repository, as ../examples, lead there.
suppress_warnings = ["myst.xref_missing", "misc.highlighting_failure"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"Ziggurat {release}"
html_copy_source = False


def _backticks(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings put code between single backticks, as editors show it."""
    text = re.sub(r"(?<![`:])`([^`]+)`(?!`)", r"``\1``\\ ", "\n".join(lines))
    lines[:] = text.split("\n")


def setup(app: Sphinx) -> None:
    """What Sphinx calls."""
    app.connect("autodoc-process-docstring", _backticks)
