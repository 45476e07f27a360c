"""The public names of lrkern and their arguments, as lines of text: golden/public_api.txt. test_public_api.py compares them.

python tests/support/public_api.py --write    # after a wanted change
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import lrkern as lk

GOLDEN = Path(__file__).parents[1] / "golden" / "public_api.txt"
MODULES = ("lrkern", "lrkern.numba", *(f"lrkern.dialects.{name}" for name in lk.dialects.__all__))


def lines() -> list[str]:
    """One for each name; methods and properties of classes, too."""
    return [line for name in MODULES for line in of_module(importlib.import_module(name))]


def of_module(module: ModuleType) -> Iterator[str]:
    for name in sorted(module.__all__):
        value = getattr(module, name)
        yield f"{module.__name__}.{name}{called(value)}"
        if inspect.isclass(value):
            for member in sorted(dir(value)):
                found = inspect.getattr_static(value, member)
                if member[0] != "_" and defined_here(value, member):
                    shown = ": property" if isinstance(found, property) else called(getattr(value, member))
                    yield f"{module.__name__}.{name}.{member}{shown}"


def defined_here(cls: type, member: str) -> bool:
    return any(member in vars(base) for base in cls.__mro__ if base.__module__.partition(".")[0] == "lrkern")


def called(value: Any) -> str:
    """Its arguments with their defaults; nothing for what is not called. Annotations may change."""
    try:
        signature = inspect.signature(getattr(value, "py_func", value))
    except (TypeError, ValueError):
        return ""
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    GOLDEN.write_text("".join(f"{line}\n" for line in lines()))
