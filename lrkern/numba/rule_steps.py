"""`rule.step` within functions that Numba compiles, for rules of the user's own."""

from __future__ import annotations

import inspect
import linecache
import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.core.imputils import lower_constant, lower_getattr
from numba.core.registry import cpu_target
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import models, overload, register_model

from lrkern.numba import available as _available  # noqa: F401  # isort: skip  # first: it reports what is missing
from lrkern.numba import update
from lrkern.numba.arrays import MAX
from lrkern.numba.checks import flag, is_count, is_hyper, only_numbers, same_layout
from lrkern.pointwise.primitives import FLAGS, word
from lrkern.rules.compiled import SCALAR_STATES, Tensor


class RuleType(types.Type):  # type: ignore[misc]
    """The type of one rule."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule
        super().__init__(name=f"rule {rule.key}")


register_model(RuleType)(models.OpaqueModel)


@lower_constant(RuleType)
def _constant(context, builder, kind, value):
    return context.get_dummy_value()


@infer_getattr
class _Attributes(AttributeTemplate):  # type: ignore[misc]
    key = RuleType

    def resolve_step(self, kind: RuleType) -> Any:
        return types.Dispatcher(_step_of(kind.rule))


@lower_getattr(RuleType, "step")
def _step(context, builder, kind, value):
    return context.get_dummy_value()


# This module may be loaded while Numba compiles a function that contains a rule.
cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()


def type_of(rule: Any) -> RuleType:
    """The type of a rule."""
    return RuleType(rule)


is_number = word("is_number")  # is_number(x): whether |x| is at most the largest float32


@overload(is_number, jit_options=FLAGS)
def _is_number(x):
    only_numbers(x)
    return lambda x: x >= -MAX and x <= MAX


is_scalar = word("is_scalar")  # is_scalar(x): whether it is a float64 array of one element


@overload(is_scalar, jit_options=FLAGS)
def _is_scalar(x):
    if not isinstance(x, types.Array) or x.dtype != types.float64:
        return lambda x: False
    return lambda x: x.size == 1


_STEPS: dict[str, Any] = {}


def _step_of(rule: Any) -> Any:
    """step(param, grad, *states, *scalar states, *hypers, count), compiled where it is called."""
    if rule.key not in _STEPS:
        text, file = _text_of(rule), f"<rule {rule.name}, step>"
        scope: dict[str, Any] = {
            "__name__": __name__,
            "np": np, "Inputs": rule.compiled(rule.key).inputs, "flag": flag, "is_count": is_count, "is_hyper": is_hyper,
            "is_number": is_number, "same_layout": same_layout, "nan": math.nan, "Tensor": Tensor, "is_scalar": is_scalar,
            "update": update.step_measured if rule.parts(rule.key).needs_norms else update.step,
        }  # fmt: skip
        linecache.cache[file] = len(text), None, text.splitlines(True), file
        exec(compile(text, file, "exec"), scope)
        _STEPS[rule.key] = njit(nogil=True, **FLAGS)(scope["step"])
    return _STEPS[rule.key]


def _text_of(rule: Any) -> str:
    """The source of a step: checks, then the update."""
    where, states = f"{rule.name}.step", [f"state{k}" for k in range(len(rule.states))]
    scalars = [f"scalar{k}" for k in range(len(rule.scalar_states))]
    arguments, checks, inputs = ["param", "grad", *states, *scalars], [], []
    for one in rule.hypers:
        required = one.default is inspect.Parameter.empty
        default = "nan" if required else repr(one.default if one.is_flag else float(one.default))
        arguments.append(f"{one.name}={default}")
        if one.is_flag:
            inputs.append(f"flag({one.name})")
            continue
        inputs.append(f"np.float64({one.name})")
        low = one.name in ("lr", "weight_decay")
        wanted = f"must be a finite float32 number{' >= 0' if low else ''}"
        if required:
            checks.append((f"{one.name} != {one.name}", f"{one.name} must be given"))
        checks.append((f"not {'is_hyper' if low else 'is_number'}({one.name})", f"{one.name} {wanted}"))
    arguments.append("count=-1")
    if rule.counts:
        wanted = "count must be given, the number of steps before this one: an integer from 0 to 2**53"
        checks.append(("not is_count(count)", wanted))
    for name, given in zip(("grad", *rule.states), ("grad", *states), strict=True):
        checks.append((f"not same_layout(param, {given})", f"{name} must have the shape and memory order of param"))
    for name, given in zip(rule.scalar_states, scalars, strict=True):
        checks.append((f"not is_scalar({given})", f"{name} must be a float64 array of one element"))
    lines = [f"def step({', '.join(arguments)}):"]
    for test, message in checks:
        lines += [f"    if {test}:", f"        raise ValueError({f'{where}: {message}'!r})"]
    number = "count + 1" if rule.counts else "1"
    arrays = ", ".join(["param", "grad", *states, *(["None"] if not states else [])])
    kept = [*(f"{one}.flat[0]" for one in scalars), *["0.0"] * (SCALAR_STATES - len(scalars))]
    parts = rule.parts(rule.key)
    sums_up = f"{parts.measures_sum}, " if parts.needs_norms else ""
    lines.append(f"    t = Tensor({number}, 1.0, 1.0, np.float64(param.size), {', '.join(kept)})")
    lines.append(f"    kept = update(Inputs({', '.join(inputs)}), t, {sums_up}{arrays})")
    lines += [f"    {one}.flat[0] = kept[{k}]" for k, one in enumerate(scalars)]
    return "\n".join([*lines, ""])
