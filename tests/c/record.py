"""Expressions as programs for driver.c: what a schedule asks of `lrkern._core` while it is built, written down."""

from __future__ import annotations

import inspect
from contextlib import contextmanager

import numpy as np

import lrkern.schedules.curves
import lrkern.schedules.expression
import lrkern.schedules.recipes
import lrkern.schedules.shapes
from lrkern import _core

BUILDERS = [lrkern.schedules.expression, lrkern.schedules.shapes, lrkern.schedules.recipes, lrkern.schedules.curves]


class Recorder:
    """Stands in for `_core`: every function that gives a Node notes its name and arguments."""

    def __init__(self):
        self.words: list[str] = []
        self.numbers: dict[int, int] = {}
        self.nodes: list[object] = []  # keeps them alive, so that no id is used twice

    def __getattr__(self, name):
        function = getattr(_core, name)
        if not inspect.isroutine(function):
            return function

        def call(*args):
            node = function(*args)
            if isinstance(node, _core.Node):
                bound = inspect.signature(function).bind(*args)
                bound.apply_defaults()
                self.words += [name, *self.written(name, list(bound.arguments.values()))]
                self.numbers[id(node)] = len(self.nodes)
                self.nodes.append(node)
            return node

        return call

    def written(self, name, args):
        """The arguments as words; lists with their length before them."""
        if name == "join":
            parts, boundaries, after = args
            n = len(parts) - 1
            args = [n + 1, *parts, *map(float, boundaries[:n]), *map(int, (after or [0] * n)[:n])]
        elif name == "table":
            values = np.ascontiguousarray(args[0], np.float64)
            args = [len(values), *values.tolist()]
        return [self.word(arg) for arg in args]

    def word(self, arg):
        if isinstance(arg, _core.Node):
            return str(self.numbers[id(arg)])
        if isinstance(arg, float):
            return arg.hex()
        if isinstance(arg, bool):
            return str(int(arg))
        if arg is None:  # no node
            return "-1"
        return str(arg)


@contextmanager
def recording():
    """A Recorder of every schedule built within the block."""
    recorder = Recorder()
    for module in BUILDERS:
        module._core = recorder
    try:
        yield recorder
    finally:
        for module in BUILDERS:
            module._core = _core


def program(build):
    """(words that build it, number of its node, the schedule) for a function that builds a schedule."""
    with recording() as recorder:
        schedule = build()
    return ["forget", *recorder.words], recorder.numbers[id(schedule.node)], schedule
