"""Import one module of a large package in isolation: its schedulers need few of the package's dependencies."""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import EllipsisType, ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import pytest


class _Anything(ModuleType):
    """A module with every attribute, submodules included."""

    @staticmethod
    def find_spec(name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """Called by the import of a submodule."""
        parent = sys.modules.get(name.rpartition(".")[0])
        if not isinstance(parent, _Anything) or parent.__path__:
            return None
        return importlib.machinery.ModuleSpec(name, _Anything, is_package=True)

    @staticmethod
    def create_module(spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Anything(spec.name)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Does nothing."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=f"{self.__name__}.{name}")


def load(name: str, **stand_ins: dict[str, object] | EllipsisType) -> ModuleType:
    """Import the module of this dotted name, with empty parent packages, and with `stand_ins` as modules with these members.

    A stand-in given as `...` has every attribute. Skips the calling test file if the package is not installed. Restores
    `sys.modules` afterwards, also packages that stand-ins replaced.
    """
    top = name.partition(".")[0]
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"could not import {top!r}", allow_module_level=True)
    root = Path(next(iter(spec.submodule_search_locations)))
    with _without({top, *(full.partition(".")[0] for full in stand_ins)}):
        parents = name.split(".")[:-1]
        for depth in range(1, len(parents) + 1):
            package = ModuleType(".".join(parents[:depth]))
            package.__path__ = [str(root.joinpath(*parents[1:depth]))]
            sys.modules[package.__name__] = package
        for full, members in stand_ins.items():
            if members is ...:
                standing = _Anything(full)
                standing.__path__ = getattr(sys.modules.get(full), "__path__", [])
                sys.modules[full] = standing
            else:
                vars(sys.modules.setdefault(full, ModuleType(full))).update(members)
        return importlib.import_module(name)


def mmengine_schedulers() -> ModuleType:
    """mmengine's lr_scheduler; the rest of mmengine needs packages unrelated to schedules."""
    return load(
        "mmengine.optim.scheduler.lr_scheduler",
        **{
            "mmengine.logging": {"print_log": print},
            "mmengine.optim": {"BaseOptimWrapper": type("BaseOptimWrapper", (), {})},
            "mmengine.registry": {"PARAM_SCHEDULERS": SimpleNamespace(register_module=lambda: lambda cls: cls)},
        },
    )


@contextlib.contextmanager
def _without(tops: set[str]):
    def all_of_them():
        return {n: m for n, m in sys.modules.items() if n.partition(".")[0] in tops}

    before = all_of_them()
    for n in before:
        del sys.modules[n]
    sys.meta_path.insert(0, _Anything)
    try:
        yield
    finally:
        sys.meta_path.remove(_Anything)
        for n in all_of_them():
            del sys.modules[n]
        sys.modules.update(before)
