"""Imports go one way: a file of lrkern imports only lower layers, also inside functions, and there are no cycles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

grimp = pytest.importorskip("grimp")

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "src_c").is_dir(), reason="needs the source checkout")

# From the top down. Modules in the same line do not import each other. A name includes its submodules, except for those with an
# own entry. `backends.c`, `numba` and `cuda` are loaded by name when a backend is requested, and so are dialects.
LAYERS = """
    __main__
    cli
    bench
    (the package itself: what `import lrkern` makes public)
    torch
    dialects  recipes
    pictures  numba  cuda  backends.c  jax  keras
    optimizers  _loss_driven
    schedules
    runtime
    backends
    rules
    pointwise
    _checks  _optional
    _core
"""


def layers() -> dict[str, int]:
    """Module of lrkern -> its layer."""
    lines = [re.sub(r"\(.*\)", "", line).split() for line in LAYERS.strip().splitlines()]
    return {name: height for height, names in enumerate(reversed(lines)) for name in names}


LEVEL = layers()
TOP = len(LAYERS.strip().splitlines()) - 4  # of the package itself


def graph() -> dict[str, set[str]]:
    """Module -> the modules that it imports anywhere, except under TYPE_CHECKING. `_core` is compiled."""
    found = grimp.build_graph("lrkern", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: set(found.find_modules_directly_imported_by(module)) for module in found.modules}
    for module, imported in imports.items():
        if module != "lrkern" and "lrkern" in imported:
            lines = [one["line_contents"] for one in found.get_import_details(importer=module, imported="lrkern")]
            if any(re.search(r"\b_core\b", line) for line in lines):
                imported.add("lrkern._core")
            if all(re.search(r"\b_core\b", line) for line in lines):
                imported.discard("lrkern")
    sources = [ROOT / "lrkern" / "_core.pyx", *(ROOT / "lrkern" / "binding").glob("*.pxi")]
    lines = [line for file in sources for line in re.findall(r"^ *from (lrkern\S*) import (.*)$", file.read_text(), re.M)]
    imports["lrkern._core"] = {f"{package}.{name.split()[0]}" for package, names in lines for name in names.split(",")}
    return imports


def level(module: str) -> int:
    """The layer of a module."""
    if module == "lrkern":
        return TOP
    name = module.removeprefix("lrkern.")
    return LEVEL[name] if name in LEVEL else LEVEL[name.partition(".")[0]]


def group(module: str) -> str:
    """The name in `LAYERS` that a module belongs to."""
    name = module.removeprefix("lrkern.")
    return name if name in LEVEL else name.partition(".")[0]


GRAPH = graph()


def test_the_graph_sees_imports_inside_functions_and_of_compiled_code():
    assert "lrkern.pictures.plotting" in GRAPH["lrkern.pictures"]
    assert "lrkern._core" in GRAPH["lrkern._checks"]
    assert len(GRAPH) > 100


def test_nothing_imports_what_lies_above_it():
    wrong = [
        f"{module} imports {other}"
        for module, imported in GRAPH.items()
        for other in imported
        if group(module) != group(other) and level(other) >= level(module)
    ]
    assert sorted(wrong) == []


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """The modules that import each other, directly or indirectly (Tarjan's strongly connected components)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = low[module] = len(number)
        open_.append(module)
        for other in imports.get(module, ()):
            if other not in number:
                visit(other)
            if other in open_:
                low[module] = min(low[module], low[other])
        if low[module] == number[module]:
            circle = open_[open_.index(module) :]
            del open_[open_.index(module) :]
            if len(circle) > 1 or module in imports.get(module, ()):
                found.append(sorted(circle))

    for module in imports:
        if module not in number:
            visit(module)
    return found


def test_there_are_no_circles():
    assert circles(GRAPH) == []


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c"]]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
