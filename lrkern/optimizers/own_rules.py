"""Rules of the user's own: `lrkern.rule` makes optimizers of them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from math import isinf
from typing import Any

import numpy as np

from lrkern import _checks, _core
from lrkern.optimizers.base import DEFAULTS, Optimizer
from lrkern.optimizers.once import step_once
from lrkern.optimizers.options import BASICS, MAX, RuleOptions
from lrkern.rules.errors import RuleError
from lrkern.rules.reader import MAX_HYPERS, MAX_SCALARS
from lrkern.rules.rule import USERS, Rule
from lrkern.rules.type_names import digest_of

__all__ = ["rule"]

_any_number = _core.Range(-MAX, MAX)


_ARGUMENTS = ("self", "params", "shared", "param", "grad", "count", "backend")
"""Arguments of optimizers and of `OwnRule.step` that hyper-parameters stand beside."""


class OwnRule(Rule):
    """A rule of the user's own, made by `lrkern.rule`.

    Attributes:
        Optimizer: a class of optimizers, an `lrkern.Optimizer` with all its options.
        name, states, scalar_states: the name of the function, and those of the states.
    """

    def __init__(
        self,
        function: Callable[..., Any] | str,
        states: tuple[str, ...],
        scalars: tuple[str, ...],
        initial: Mapping[str, float],
    ) -> None:
        super().__init__(function, states, scalars=scalars)
        self.initial = dict(initial)
        for state, value in self.initial.items():
            if state not in states:
                known = f"one of {', '.join(states)}" if states else "empty, because the rule has no states"
                raise RuleError(f"rule {self.name}: initial must be {known}; got {state}")
            if not (isinstance(value, float) and isinf(value)):  # where a state is a minimum
                self.initial[state] = _checks.real(f"rule {self.name}", f"initial[{state!r}]", value, low=-MAX, high=MAX)
        self.__module__, self.__qualname__ = self.function.__module__, self.function.__qualname__
        parts = self.parts(self.name)  # raises at the definition, not at the first step
        self.key = f"{self.name}-{digest_of(f'{states} {scalars} {self.hypers} {self.formula()}')}"
        """The name under which engines know the rule: another one after a change of its text."""
        self.variants = {self.key: {}}
        for what, count, most in (
            ("keyword-only arguments", len(self.hypers), MAX_HYPERS),
            ("scalars that elements use", len(parts.coefs), MAX_SCALARS),
        ):
            if count > most:
                raise RuleError(f"rule {self.name}: at most {most} {what}; got {count}")
        for one in self.hypers:
            if one.name in DEFAULTS or one.name in (*_ARGUMENTS, *states, *scalars):
                raise RuleError(f"rule {self.name}: {one.name} must have another name, which optimizers use for something else")
        USERS[self.key] = self

    def __reduce_ex__(self, protocol: Any) -> Any:
        """By its name in pickles, like a function: it stands in the function's place."""
        found: Any = sys.modules.get(self.__module__)
        for part in self.__qualname__.split("."):
            found = getattr(found, part, None)
        return self.__qualname__ if found is self else super().__reduce_ex__(protocol)

    @cached_property
    def counts(self) -> bool:
        """Whether it depends on n, the number of an update."""
        from lrkern.rules.lowering import uses

        return uses(self.program(), "n")

    @cached_property
    def options(self) -> RuleOptions:
        """Its options."""
        numbers = {one.name: BASICS.get(one.name, _any_number) for one in self.hypers if not one.is_flag}
        parts = self.parts(self.key)
        return RuleOptions(
            states=self.states,
            hypers=numbers,
            flags=tuple(one.name for one in self.hypers if one.is_flag),
            scalars=self.scalar_states,
            variant=lambda options: self.key,
            inputs=tuple(one.name for one in parts.hypers),
            prepare_c=self.prepare_c,
            takes_rows=not parts.needs_norms,
        )

    def prepare_c(self, where: str) -> None:
        """Compile it for the C library, at its first use. `where`: the function named in errors."""
        from lrkern.rules.machine_code import known_to_c

        known_to_c(where, self.key, self.parts(self.key))

    @cached_property
    def Optimizer(self) -> type[Optimizer]:
        """The class of optimizers with this rule: `rule.Optimizer(params, lr, ...)`."""
        return _optimizer_class(self)

    def step(
        self, param: Any, grad: Any, *states: Any, count: int | None = None, backend: str | None = None, **hypers: Any
    ) -> None:
        """One step of one array, in place; also within functions that Numba compiles, without `backend`.

        Args:
            param, grad, states: arrays as for `lrkern.adam_step`, the states in the order of the rule; all but `grad` are
                written. For each scalar state, after the others, a float64 array of one element in CPU memory.
            count: the number of steps before this one, 0 at the first; needed if the rule uses n.
            backend: "c", "numba" or "cuda", all bit-identical; None means "cuda" for arrays on a device, else "c".
            hypers: the keyword-only arguments of the rule.

        Raises:
            TypeError, ValueError: an argument is missing, unknown or invalid; nothing has been written.
            ImportError, RuntimeError: the backend cannot be used here; the message says why.
        """
        where = f"{self.name}.step"
        names = (*self.states, *self.scalar_states)
        if len(states) != len(names):
            raise TypeError(f"{where}: needs {len(names)} states ({', '.join(names) or 'none'}); got {len(states)}")
        scalars = states[len(self.states) :]
        for name, one in zip(self.scalar_states, scalars, strict=True):
            if not _checks.is_array(one) or one.dtype != np.float64 or one.size != 1 or not one.flags.writeable:
                wanted = "must be a writable float64 array of one element"
                raise TypeError(f"{where}: {name} {wanted}; got {_checks.describe(one)}")
        options = {one.name: one.default for one in self.hypers}
        for name, value in hypers.items():
            if name not in options:
                from lrkern.optimizers.option_names import unknown_option

                raise unknown_option(where, name, where, [*options, "count", "backend"])
            options[name] = value
        for name, value in options.items():
            if value is inspect.Parameter.empty:
                raise TypeError(f"{where}: {name} must be given")
        if count is None and self.counts:
            raise TypeError(f"{where}: count must be given, because the rule uses n: the number of steps before this one")
        own = dict(zip(self.states, states, strict=False))
        before = _checks.count(where, "count", count or 0)
        step_once(where, self.options, param, grad, own, before, options, backend, scalars=scalars)

    @property
    def _numba_type_(self) -> Any:
        """The type of this object in functions that Numba compiles, which call `step`."""
        return import_module("lrkern.numba.rule_steps").type_of(self)  # by name: it lies above


def rule(
    *states: str, scalars: str | tuple[str, ...] = (), initial: Mapping[str, float] | None = None
) -> Callable[[Callable[..., Any] | str], OwnRule]:
    """Decorates the formula of an optimizer: a function over one element of a parameter.

    The function is read, never executed. Its arguments before the `*` are elements: the parameter, its gradient and the states,
    in the order given here, then the scalar states. Those after it are numbers or flags, which become options of the
    optimizer; numbers may be schedules. It returns the new parameter and the new states. It may contain assignments,
    `+ - * / **`, comparisons, `x if c else y`, the words of `lrkern.rules` (`fma sqrt abs sign minimum maximum isfinite`, and
    of a whole tensor `norm mean count`), and `n`, the number of this update, from 1. What depends on scalars alone is computed
    in float64, once per step and tensor; all else in the type of the array, each operation rounded once. The documentation
    ("Rules") has the details.

    Args:
        states: the names of up to five states, arrays like the parameter.
        scalars: the names of up to two scalar states: numbers that each tensor keeps from one update to the next, in float64.
            They are 0 before the first update, which a rule knows by `n == 1`.
        initial: initial values of states that do not begin at 0: numbers that float32 can hold, or infinities.

    Returns:
        A decorator, which also takes the text of a function. It returns an `OwnRule`, with `Optimizer`, a class of optimizers
        that has all options of `lrkern.Optimizer`; `step`, for one array, also within functions that Numba compiles;
        `formula()`; and `c_source()`. On the CPU, LLVM compiles the rule at its first use; it comes with
        `pip install 'lrkern[numba]'`.

    Raises:
        RuleError: the formula contains something else; the error names the line.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> from lrkern.rules import fma, sign
        >>> signum = lk.rule("momentum_buffer")('''
        ... def signum(p, g, b, *, lr, beta=0.9, weight_decay=0.0):
        ...     m = fma(beta, b, (1 - beta) * g)
        ...     return p - lr * (sign(m) + weight_decay * p), m
        ... ''')
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = signum.Optimizer(params, lr=0.25)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.75, 2.25])
        >>> print(signum.formula())
        m = beta momentum_buffer + (1 - beta) g
        momentum_buffer = m
        p = p - lr (sign(m) + weight_decay p)
    """
    scalars = (scalars,) if isinstance(scalars, str) else tuple(scalars)
    for one in (*states, *scalars):
        if not (isinstance(one, str) and one.isidentifier()):
            hint = ": write @lk.rule() above the function" if callable(one) else ""
            raise TypeError(f"rule: states must be names; got {_checks.describe(one)}{hint}")

    def decorate(function: Callable[..., Any] | str) -> OwnRule:
        return OwnRule(function, states, scalars, initial or {})

    return decorate


_PARAMS = "a list, tuple or dict of arrays, or a list of groups; see `Optimizer`."


def _optimizer_class(own: OwnRule) -> type[Optimizer]:
    """An optimizer with a rule."""
    signature = _signature(own)
    names = {one.name for one in own.hypers}

    def __init__(self: Optimizer, *given: Any, **named: Any) -> None:
        try:
            bound = signature.bind(self, *given, **named)
        except TypeError as error:  # of Python, which names the argument but not the class
            raise TypeError(f"{own.name}: {error}") from None
        bound.apply_defaults()
        options = {name: value for name, value in bound.arguments.items() if name in names}
        Optimizer.__init__(self, bound.arguments["params"], options, bound.arguments["shared"])

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    numbers = ", ".join(one.name for one in own.hypers if not one.is_flag)
    flags = ", ".join(one.name for one in own.hypers if one.is_flag)
    lines = [
        *([f"        {numbers}: numbers, or schedules."] if numbers else []),
        *([f"        {flags}: True or False."] if flags else []),
    ]
    formula = "".join(f"        {line}\n" for line in own.formula().splitlines())
    text = inspect.cleandoc(own.__doc__ or f"Optimizer with the rule {own.name}.")
    doc = f"{text}\n\n    For each element:\n\n{formula}\n    Args:\n        params: {_PARAMS}\n"
    body = {
        "__init__": __init__,
        "__doc__": doc + "".join(f"{line}\n" for line in lines) + "        shared: see `Optimizer`.\n    ",
        "__module__": own.__module__,
        "__qualname__": f"{own.__qualname__}.Optimizer",
        "_rule": own.options,
        "_initial": own.initial,
    }
    return type(own.name, (Optimizer,), body)


def _signature(own: OwnRule) -> inspect.Signature:
    """(self, params, lr, *, the other numbers and flags, **shared)"""
    kinds = inspect.Parameter
    made = [kinds(name, kinds.POSITIONAL_OR_KEYWORD) for name in ("self", "params")]
    for one in own.hypers:
        if one.name == "lr":
            made.append(kinds(one.name, kinds.POSITIONAL_OR_KEYWORD, default=one.default))
    made += [kinds(one.name, kinds.KEYWORD_ONLY, default=one.default) for one in own.hypers if one.name != "lr"]
    return inspect.Signature([*made, kinds("shared", kinds.VAR_KEYWORD)])
