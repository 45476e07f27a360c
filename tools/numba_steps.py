"""The steps of `lrkern.numba` as Python: for each step function of lrkern, the same within functions that Numba compiles.

Names, order and defaults of the arguments are those of lrkern's functions, ranges and inputs those of `RuleOptions`. What its
functions derive from options is read off their results: they look at a number only to see whether it is 0.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterable
from typing import Any

from python_defaults import default_options

import lrkern
from lrkern.optimizers.base import Optimizer
from lrkern.optimizers.options import DIFFERENCES, SQUARES, Form, RuleOptions, fraction, nonnegative
from lrkern.rules.one_array import functions
from lrkern.rules.rule import REGISTRY

HEAD = '''\
"""Optimizer steps within functions that Numba compiles: those of `lrkern`, with their formulas and arguments.

{written}
"""

import math

import numpy as np

from lrkern.numba import combinations, update
from lrkern.numba.arrays import cached
from lrkern.numba.checks import (
{checks})

__all__ = [
{names}]
'''

ARRAYS = """
    Args:
        param, grad, momentum_buffer: arrays of one shape, all C-contiguous or all Fortran-contiguous; float64, float32, or
            16-bit floats as their bits: bfloat16 as uint16, float16 as int16 (`array.view(np.int16)`). States of rules that
            divide by the root of squares (Adam, AdamW, RMSprop, Adagrad, LAMB) must not be float16, in which small squares
            are 0, nor, in centered RMSprop, bfloat16. Arrays that are written must not share memory with others; this is not
            checked. For subclasses of arrays only the memory counts: compiled code ignores masks and methods.
        lr, ...: as in `lrkern.sgd_step`; `lr` is required. All can be passed by position or by name, because Numba has no
            keyword-only arguments.

    Raises:
        ValueError: a number is out of range; a shape or memory order differs; no gradient, or no buffer with momentum > 0.
            Nothing has been written.
        TypingError: at compile time: arrays of other types, or states in a 16-bit type that the rule refuses.
"""
DETAILED = "sgd_step"
"""The function whose documentation says what holds for all."""

COMBINATIONS = {"sgd_step": "check_sgd(nesterov, momentum, dampening, convention)"}
"""Functions for which `RuleOptions` checks a combination of options -> the same check, in `lrkern.numba.combinations`."""


class Step:
    """One function."""

    def __init__(self, name: str) -> None:
        self.name, self.function = name, getattr(lrkern, name)
        self.optimizer = _optimizer(name.removesuffix("_step"))
        self.rule: RuleOptions = self.optimizer._rule
        self.base = default_options(self.optimizer)
        """Options of an optimizer without arguments: what the function cannot change stays as it is."""
        every = inspect.signature(self.function).parameters
        self.arguments = {key: one for key, one in every.items() if key != "backend"}
        self.states = [one for one in self.rule.states if one in self.arguments]
        self.hypers = [one for one in self.arguments if one in self.rule.hypers]
        form = self._form({})
        (self.one,) = [one for one in functions(REGISTRY[form.variant]) if form.variant in one.variants]
        # Options that are set by whether a state is given.
        self.by_state = {
            switch.flag: state
            for state, switch in self.one.switches.items()
            if switch.flag in self.rule.flags and switch.flag not in self.arguments and switch.given
        }

    def _form(self, changes: dict[str, Any]) -> Form:
        return self.rule.form(self.name, {**self.base, **changes})

    @property
    def branches(self) -> dict[str, tuple[str, Any, Any]]:
        """Options that decide which kernel runs -> a condition in Python, their value where it holds, and where it does not."""
        found: dict[str, tuple[str, Any, Any]] = {}
        for flag, state in self.by_state.items():
            if self._form({flag: False}).variant != self._form({flag: True}).variant:
                found[flag] = f"{state} is not None", True, False
        for hyper in self.hypers:
            off, on = self._form({hyper: 0.0}), self._form({hyper: 0.5})
            if (off.variant, off.states) != (on.variant, on.states):
                found[hyper] = f"{hyper} != 0", 0.5, 0.0
        return found

    def defaults(self) -> list[str]:
        """The arguments with their defaults."""
        lines = []
        for key, one in self.arguments.items():
            required = one.default is one.empty
            if not required:
                lines.append(f"{key}={_quoted(one.default) if isinstance(one.default, str) else repr(one.default)}")
            elif key in ("param", "grad") or key in self.states:
                lines.append(key)
            else:
                lines.append(f"{key}={'-1' if key == 'count' else 'math.nan'}")
        return lines

    # ------------------------------------------------------------------------------------------------------------- checks

    def checks(self) -> Iterable[tuple[str, str]]:
        """Conditions under which it raises, and what it then says."""
        for hyper in self.hypers:
            if self.arguments[hyper].default is inspect.Parameter.empty:
                yield f"{hyper} != {hyper}", f"{hyper} must be given, a finite float32 number >= 0"
            match self.rule.hypers[hyper]:
                case one if one is nonnegative:
                    yield f"not is_hyper({hyper})", f"{hyper} must be a finite float32 number >= 0"
                case one if one is fraction:
                    yield f"not is_fraction({hyper})", f"{hyper} must be a number >= 0 and < 1"
                case one:
                    raise ValueError(f"{self.name}: {hyper} must have a range that Numba's checks know; got {one}")
        if "convention" in self.arguments:
            words = [repr(one) for one in self.rule.conventions]
            tests = " or ".join(f"convention == {_quoted(one)}" for one in self.rule.conventions)
            yield f"not ({tests})", f"convention must be {', '.join(words[:-1])} or {words[-1]}"
        if "count" in self.arguments:
            yield "not is_count(count)", "count must be an integer from 0 to 2**53, the number of steps before this one"
        for hyper, (test, on, _) in self.branches.items():
            if hyper in self.hypers:
                for state in self._form({hyper: on}).states:
                    if state not in self._form({hyper: 0.0}).states:
                        yield f"{state} is None and {test}", f"{state} is needed if {hyper} > 0"

    def _refuses_combinations(self) -> bool:
        """Whether there are options of the function, each in its range, that exclude each other."""
        if self.rule.check is RuleOptions.check:
            return False
        choices: dict[str, Iterable[Any]] = dict.fromkeys(self.hypers, (0.0, 0.5))
        choices |= {one: (False, True) for one in self.rule.flags if one in self.arguments or one in self.by_state}
        if "convention" in self.arguments:
            choices["convention"] = self.rule.conventions
        for values in itertools.product(*choices.values()):
            try:
                self.rule.check(self.name, {**self.base, **dict(zip(choices, values, strict=True))})
            except ValueError:
                return True
        return False

    def layouts(self) -> Iterable[tuple[str, str]]:
        """The same for arrays, after the types of states have been checked."""
        for array in ("grad", *self.states):
            optional = array != "grad" and self.arguments[array].default is None
            check = "same_layout_or_none" if optional else "same_layout"
            yield f"not {check}(param, {array})", f"{array} must have the shape and memory order of param"

    @property
    def squares(self) -> str:
        """The check of the types of states, if there is one."""
        unfit = self.rule.unfit(self.base)
        if not unfit:
            return ""
        with_flags = {state: self.rule.unfit({**self.base, flag: True}) for flag, state in self.by_state.items()}
        more = [f"centered_by={self.states.index(state)}" for state, found in with_flags.items() if found != unfit]
        if unfit != SQUARES or any(found not in (SQUARES, SQUARES | DIFFERENCES) for found in with_flags.values()):
            raise ValueError(f"{self.name}: states must be unfit for the types that Numba's checks know; got {unfit}")
        return f"squares_of({', '.join([*(_quoted(one) for one in (self.name, *self.states)), *more])})"

    # ------------------------------------------------------------------------------------------------------------- inputs

    def inputs(self, changes: dict[str, Any]) -> list[str]:
        """The inputs of the rule as expressions, in its order, for options such as these."""
        return [self._input(name, hyper, constant) for name, hyper, constant in self._form(changes).inputs]

    def _input(self, name: str, hyper: str, constant: float) -> str:
        if hyper:
            return f"np.float64({hyper})" if hyper in self.arguments else repr(float(self.base[hyper]))
        if name in self.arguments and name in self.rule.flags:
            return f"flag({name})"
        if name in self.by_state:
            return f"np.float64({self.by_state[name]} is not None)"
        if name in next(iter(self.rule.conventions.values()), {}):
            ways = [f"convention == {_quoted(one)}" for one, inputs in self.rule.conventions.items() if inputs[name]]
            return f"np.float64({' or '.join(ways)})" if ways else "0.0"
        return self._derived(name, constant)

    def _derived(self, name: str, constant: float) -> str:
        """An input that follows from other options: from at most one flag or number of the arguments."""

        def value(changes: dict[str, Any]) -> float:
            return {one: number for one, _, number in self._form(changes).inputs}[name]

        ways: list[str] = []
        for option in self.arguments:
            values = (False, True) if option in self.rule.flags else (0.0, 0.5) if option in self.hypers else None
            if values is not None and (found := (value({option: values[0]}), value({option: values[1]})))[0] != found[1]:
                on = f"flag({option})" if option in self.rule.flags else f"np.float64({option} != 0)"
                ways.append(on if found == (0.0, 1.0) else f"1.0 - {on}")
        if len(ways) > 1:
            raise ValueError(f"{self.name}: {name} must follow from one option; got {ways}")
        return ways[0] if ways else repr(constant)

    # --------------------------------------------------------------------------------------------------------------- text

    def _inputs_name(self, changes: dict[str, Any]) -> str:
        """The variable that holds the inputs: of one type."""
        return "h" if self._has_same_inputs else f"h_{self._form(changes).variant}"

    def _call(self, changes: dict[str, Any]) -> str:
        """The update for options such as these."""
        form, h = self._form(changes), self._inputs_name(changes)
        parts = REGISTRY[form.variant].parts(form.variant)
        given = {*form.states, *self.by_state.values()}
        arrays = [state if state in given else "None" for state in parts.states or ("None",)]
        if parts.needs_norms:
            return f"update.step_measured(_{form.variant}({h}), t, {parts.measures_sum}, param, grad, {', '.join(arrays)})"
        return f"update.step(_{form.variant}({h}), t, param, grad, {', '.join(arrays)})"

    def variants(self) -> list[str]:
        """The kernels that it may run."""
        return list(dict.fromkeys(self._form(one).variant for one in self.sides))

    @property
    def _has_same_inputs(self) -> bool:
        return all(self.inputs(one) == self.inputs({}) for one in self.sides)

    @property
    def sides(self) -> list[dict[str, Any]]:
        """Options for each way through the branches."""
        both = [[(option, on), (option, off)] for option, (_, on, off) in self.branches.items()]
        return [dict(one) for one in itertools.product(*both)]

    def _inputs(self, changes: dict[str, Any], indent: str) -> list[str]:
        first, given = f"{indent}{self._inputs_name(changes)} = (", self.inputs(changes)
        return [first, *(f"{indent}    {one}," for one in given), f"{indent})"]

    def _update(self, branches: list[tuple[str, tuple[str, Any, Any]]], changes: dict[str, Any], indent: str) -> list[str]:
        if not branches:
            own = [] if self._has_same_inputs else self._inputs(changes, indent)
            return [*own, f"{indent}{self._call(changes)}"]
        (option, (test, on, off)), *rest = branches
        return [
            f"{indent}if {test}:",
            *self._update(rest, {**changes, option: on}, indent + "    "),
            f"{indent}else:",
            *self._update(rest, {**changes, option: off}, indent + "    "),
        ]

    def _documentation(self) -> str:
        told = [f"`lrkern.{self.name}`, with the same formula and arguments"]
        told[0] += "." if self.name == DETAILED else f"; arrays as in `{DETAILED}`."
        if "count" in self.arguments:
            told.append("`count`, the number of steps before this one, is required: 0 at the first step.")
        elif self.name != DETAILED and any(self.arguments[one].default is inspect.Parameter.empty for one in self.hypers):
            told.append("`lr` is required.")
        text = "\n\n".join(f"    {one}" for one in told)[4:] + "\n"
        if self.name == DETAILED:
            text += ARRAYS
        (example,) = re.findall(r"Example:\n(.*?)\n\n", inspect.getdoc(self.function) or "", re.S)
        example = example.replace("lrkern as lk", "lrkern.numba as ln").replace("lk.", "ln.")
        return f'    """{text}\n{example}\n    """'

    def text(self) -> str:
        """Its source."""
        lines = ["@cached", f"def {self.name}(", *(f"    {one}," for one in self.defaults()), "):", self._documentation()]

        def raising(checks: Iterable[tuple[str, str]]) -> None:
            for test, message in checks:
                text = f"{self.name}: {message}"
                lines.extend([f"    if {test}:", f'        raise ValueError("{text}")'])

        raising(self.checks())
        if self.name in COMBINATIONS:
            lines.append(f"    combinations.{COMBINATIONS[self.name]}")
        elif self._refuses_combinations():
            raise ValueError(f"{self.name}: the check of its options must have a twin in COMBINATIONS; got none")
        if self.squares:
            lines.append(f"    _states_of_{self.name}({', '.join(self.states)})")
        raising(self.layouts())
        if self._has_same_inputs:
            lines += self._inputs({}, "    ")
        n = "count + 1" if "count" in self.arguments else "1 if flag(first) else 2" if "first" in self.arguments else "1"
        lines += [f"    t = update.tensor({n}, param)", *self._update(list(self.branches.items()), {}, "    ")]
        return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A string as it is written in lrkern."""
    return f'"{text}"'


def _optimizer(word: str) -> type[Optimizer]:
    every = {name.lower(): one for name, one in vars(lrkern.optimizers).items() if isinstance(one, type)}
    return every[word]


def text(written: str) -> str:
    """The module."""

    def place(name: str) -> tuple[str, int]:
        function: Callable[..., Any] = getattr(lrkern, name)
        return function.__module__, function.__code__.co_firstlineno

    names = sorted((one for one in lrkern.__all__ if one.endswith("_step")), key=place)
    steps = [Step(name) for name in names]
    bodies = "".join(f"\n\n{one.text()}" for one in steps)
    variants = dict.fromkeys(variant for one in steps for variant in one.variants())
    globals_ = "".join(f"_{one} = inputs_of({_quoted(one)})\n" for one in variants)
    globals_ += "".join(f"_states_of_{one.name} = {one.squares}\n" for one in steps if one.squares)
    checks = sorted(set(re.findall(r"\b(flag|inputs_of|is_\w+|same_\w+|squares_of)\(", globals_ + bodies)))
    imported = "".join(f"    {one},\n" for one in checks)
    head = HEAD.format(written=written, checks=imported, names="".join(f'    "{one}",\n' for one in sorted(names)))
    return f"{head}\n{globals_}{bodies}"
