"""What `make test` runs of many cases or combinations; the others are `exhaustive`, for `make test-exhaustive`."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Collection
from typing import Any

import cases
import pytest


def diagonals(n: int, *axes: tuple[str, Collection[Any], Callable[[Any], str] | Collection[str]]) -> pytest.MarkDecorator:
    """`parametrize` by all combinations of (names, values, ids), of which only every n-th diagonal is not exhaustive.

    A combination lies on diagonal i + j + ..., where i, j, ... are the places of its values in their lists. If two lists have n
    values or more, each value of each list is on a diagonal that counts.
    """
    sizes = sorted(len(values) for _, values, _ in axes)
    assert sizes[-2] >= n, f"at most {sizes[-2]}, so that each value occurs; got {n}"
    labelled = []
    for names, values, ids in axes:
        rows = [value if "," in names else (value,) for value in values]
        labels = [ids(value) for value in values] if callable(ids) else ids
        labelled.append([(k, *both) for k, both in enumerate(zip(rows, labels, strict=True))])
    params = []
    for combination in itertools.product(*labelled):
        places, rows, labels = zip(*combination, strict=True)
        marks = [pytest.mark.exhaustive] if sum(places) % n else []
        params.append(pytest.param(*itertools.chain(*rows), id="-".join(labels), marks=marks))
    return pytest.mark.parametrize(",".join(names for names, *_ in axes), params)


def compiled(
    names: str, values: Collection[Any], first: Collection[Any], ids: Callable[[Any], str] = str
) -> pytest.MarkDecorator:
    """`parametrize` by these names and "backend": all values on "c", and on "numba", where each takes seconds to compile.

    There, only the `first` ones are not exhaustive.
    """
    params = []
    for backend in ("c", "numba"):
        for value in values:
            row = value if "," in names else (value,)
            marks = [pytest.mark.exhaustive] if backend == "numba" and value not in first else []
            params.append(pytest.param(*row, backend, id=f"{backend}-{ids(value)}", marks=marks))
    return pytest.mark.parametrize(f"{names},backend", params)


def rule_label(case: tuple[str, dict[str, Any]]) -> str:
    """The name of a rule with its options."""
    return f"{case[0]}-{case[1]}"


def values_in(text: str) -> set[tuple[str, ...]]:
    """What an expression consists of: the value of every argument of every function and method, and the operators."""
    found: set[tuple[str, ...]] = set()
    for node in ast.walk(ast.parse(text, mode="eval")):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func) if isinstance(node.func, ast.Name) else f".{node.func.attr}"
            given = [*enumerate(node.args), *((one.arg, one.value) for one in node.keywords)]
            if isinstance(node.func, ast.Attribute):
                given.append(("self", node.func.value))
            found |= {(name, str(place), ast.unparse(value)) for place, value in given}
            found.add((name, *(str(place) for place, _ in given)))
        elif isinstance(node, ast.BinOp):
            found |= {(type(node.op).__name__, side, ast.unparse(getattr(node, side))) for side in ("left", "right")}
    return found


def each_case() -> list[Any]:
    """All cases as parameters. One is exhaustive if earlier ones have each of its values, in other combinations."""
    seen: set[tuple[str, ...]] = set()
    params = []
    for case in cases.CASES:
        values = values_in(case.text)
        marks = [pytest.mark.exhaustive] if values <= seen else []
        params.append(pytest.param(case, id=case.text, marks=marks))
        seen |= values
    return params
