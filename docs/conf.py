"""Sphinx configuration; `make docs` builds."""

from typing import Any

import lrkern

project = "lrkern"
author = "The lrkern authors"
copyright = "2026, The lrkern authors"
release = version = lrkern.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
add_module_names = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"ArrayLike": "ArrayLike", "NDArray": "NDArray"}
napoleon_numpy_docstring = False

html_title = f"lrkern {release}"
html_theme = "furo"


def _adapt(app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Pages introduce modules in their own words; |x| is an absolute value, no substitution."""
    lines[:] = [] if what == "module" else [line.replace("|", r"\|") for line in lines]


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _adapt)
