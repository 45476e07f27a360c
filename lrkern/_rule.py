"""Rules as Python knows them: which options they have, and how the inputs that C expects follow from those."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lrkern import _checks, _core
from lrkern.backends import StepList

Options = Mapping[str, Any]
Check = Callable[[str, str, object], float]

# Scalars are rounded to the type that a tensor is computed in: this is what float32 holds.
MAX = float(np.finfo(np.float32).max)


def nonnegative(where: str, name: str, value: object) -> float:
    """A hyper-parameter that may be any number >= 0."""
    return _checks.real(where, name, value, low=0.0, high=MAX)


def fraction(where: str, name: str, value: object) -> float:
    """A hyper-parameter that is a weight of the past."""
    return _checks.real(where, name, value, low=0.0, below=1.0)


def weight(where: str, name: str, value: object) -> float:
    """The same, where nothing is divided by what it lacks of 1."""
    return _checks.real(where, name, value, low=0.0, high=1.0)


BASICS = {"lr": nonnegative, "weight_decay": nonnegative}
"""Hyper-parameters that every rule has."""


def is_on(value: Any) -> bool:
    """Whether a term is there: a schedule keeps it, even while its value is 0."""
    return callable(value) or value != 0


@dataclass(frozen=True)
class Rule:
    """One rule of src_c/rules.def, or several that are variants of each other."""

    states: tuple[str, ...]
    """In the order of rules.def."""
    hypers: Mapping[str, Check]
    """Options that are numbers or schedules, and what checks a number."""
    flags: tuple[str, ...] = ()
    conventions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Inputs that the option `convention` stands for."""
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Inputs that no option changes."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Inputs that go by another name here."""
    variant: Callable[[Options], str] = lambda options: ""
    """The name in rules.def."""
    kept: Callable[[Options], tuple[str, ...] | None] = lambda options: None
    """The states that options ask for; None for all."""
    check: Callable[[str, Options], None] = lambda where, options: None
    """Raises where options do not go together."""
    derived: Callable[[Options], Mapping[str, float]] = lambda options: {}
    """Inputs that follow from several options."""
    takes_rows: bool = True
    """Whether gradients may be sparse."""
    row_lrs: bool = False
    """Whether lr may be an array."""

    def read(self, where: str, options: Options) -> dict[str, Any]:
        """The options, checked."""
        result: dict[str, Any] = {}
        for name, value in options.items():
            if name in self.hypers:
                result[name] = value if callable(value) else self.number(where, name, value)
            elif name in self.flags:
                result[name] = _checks.flag(where, name, value)
            elif name == "convention" and self.conventions:
                result[name] = _checks.choice(where, name, value, list(self.conventions))
            else:
                known = ", ".join([*self.hypers, *self.flags, *(["convention"] if self.conventions else [])])
                raise TypeError(f"{where}: {name} is no option of a group; its options are {known}")
        self.check(where, result)
        return result

    def number(self, where: str, name: str, value: object) -> Any:
        """A hyper-parameter that is no schedule."""
        if name == "lr" and self.row_lrs and isinstance(value, np.ndarray) and value.ndim == 1 and value.size != 1:
            return np.array([nonnegative(where, f"lr[{i}]", one) for i, one in enumerate(value)])
        return self.hypers[name](where, name, value)

    def states_of(self, options: Options) -> tuple[str, ...]:
        """The states that these options ask for."""
        kept = self.kept(options)
        return self.states if kept is None else kept

    def inputs(self, options: Options) -> dict[str, Any]:
        """All inputs of the rule, in the order of C: numbers, schedules, an array of learning rates."""
        values: dict[str, Any] = {"weight_decay": 0.0, "decoupled": 0.0, "maximize": 0.0}
        values |= {self.renamed.get(name, name): value for name, value in options.items()}
        values |= self.conventions.get(options.get("convention", ""), {})
        values |= {**self.derived(options), **self.fixed}
        return {name: float(values[name]) if values[name] is True or values[name] is False else values[name]
                for name in _core.RULES[self.variant(options)]}  # fmt: skip


class Group:
    """The options of a group of parameters, and what they are at each step."""

    def __init__(self, where: str, rule: Rule, options: Options, ema: Any) -> None:
        self.where, self.rule = where, rule
        self.ema = ema if ema is None or callable(ema) else weight(where, "ema", ema)
        self.options = rule.read(where, options)

    def changed(self, where: str, name: str, value: Any) -> dict[str, Any]:
        """The options with another value of one of them."""
        if name not in self.rule.hypers:
            raise TypeError(f"{where}: name must be one of {', '.join(self.rule.hypers)}; got {_checks.describe(name)}")
        options = self.rule.read(self.where, {**self.options, name: value})
        if self._kind_of(options) != self._kind_of(self.options):
            change = f"from {self.options[name]} to {value}"
            raise ValueError(f"{where}: {name} cannot change {change}: other states would be needed")
        return options

    def _kind_of(self, options: Options) -> object:
        return self.rule.variant(options), self.rule.states_of(options), getattr(options["lr"], "shape", None)

    def apply(self, tensors: StepList, index: int) -> None:
        """Give C the numbers of this group, and note what schedules have to give at each step."""
        inputs = self.rule.inputs(self.options)
        back = {new: old for old, new in self.rule.renamed.items()}
        self.live = [(k, back.get(key, key), value) for k, (key, value) in enumerate(inputs.items()) if callable(value)]
        self.shrinks = bool(inputs["decoupled"])
        self.numbers = [0.0 if callable(value) else value for value in inputs.values()]
        self._check_shrinkage()
        for place, value in enumerate(self.numbers):
            tensors.set_input(index, place, 0.0 if isinstance(value, np.ndarray) else value)
        if self.ema is not None and not callable(self.ema):
            tensors.set_ema(index, self.ema)

    def hand_over(self, tensors: Any, index: int) -> None:
        """Give the schedules themselves to a list that evaluates them."""
        for place, name, schedule in self.live:
            tensors.set_schedule(index, place, name, schedule)
        if callable(self.ema):
            tensors.set_schedule(index, None, "ema", self.ema)

    @property
    def is_live(self) -> bool:
        """Whether something is a schedule."""
        return bool(self.live) or callable(self.ema)

    def refresh(self, tensors: StepList, index: int, count: int) -> None:
        """Give C the values that the schedules have at a step."""
        for place, name, schedule in self.live:
            self.numbers[place] = value = self._checked(name, schedule(count), count)
            tensors.set_input(index, place, value)
        if self.shrinks:
            self._check_shrinkage()
        if callable(self.ema):
            tensors.set_ema(index, weight(f"{self.where}, step {count}", "ema", self.ema(count)))

    def _checked(self, name: str, value: Any, count: int) -> float:
        try:
            return self.rule.hypers[name]("", name, value)
        except (TypeError, ValueError):  # say at which step; to write that out each time would be slow
            return self.rule.hypers[name](f"{self.where}, step {count}", name, value)

    def _check_shrinkage(self) -> None:
        lr, decay = self.numbers[:2]
        if self.shrinks and np.max(lr, initial=0.0) * decay > MAX:
            raise ValueError(f"{self.where}: lr * weight_decay must be at most {MAX:g}; got lr={lr}, weight_decay={decay}")

    def at(self, name: str, count: int) -> Any:
        """An option at a step."""
        value = self.options[name]
        return self._checked(name, value(count), count) if callable(value) else value
