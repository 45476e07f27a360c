"""Sphinx configuration; `make docs` builds."""

from typing import Any

import lrkern
from lrkern import dialects

project = "lrkern"
author = "The lrkern authors"
copyright = "2026, The lrkern authors"
release = version = lrkern.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
add_module_names = False

# Frameworks, whose installation the pages do not need.
autodoc_mock_imports = ["jax", "keras"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"ArrayLike": "ArrayLike", "NDArray": "NDArray"}
napoleon_numpy_docstring = False

html_title = f"lrkern {release}"
html_theme = "furo"


def _adapt(app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Pages introduce modules in their own words, dialects in theirs; |x| is an absolute value, no substitution."""
    on_page = what == "module" and not name.startswith("lrkern.dialects.")
    lines[:] = [] if on_page else [line.replace("|", r"\|") for line in lines]


def _list_dialects(app: Any, page: str, source: list[str]) -> None:
    """A section for every dialect."""
    sections = [
        f"## {name}\n\n```{{eval-rst}}\n.. automodule:: lrkern.dialects.{name}\n   :members:\n```\n"
        for name in dialects.__all__
    ]
    source[0] = source[0].replace("<!-- dialects -->", "\n".join(sections))


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _adapt)
    app.connect("source-read", _list_dialects)
