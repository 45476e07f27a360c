"""Rules as gradient transformations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lrkern import _checks
from lrkern.jax._schedules import TraceableSchedule
from lrkern.optimizers.base import DEFAULTS, Optimizer
from lrkern.rules.array_update import ArrayUpdate, array_update
from lrkern.rules.rule import Rule, rule_of
from lrkern.schedules.expression import Schedule


class RuleState(NamedTuple):
    """The state of a transformation made from a rule."""

    count: jax.Array
    """The number of updates so far, int32."""
    states: dict[str, Any]
    """The states of the rule by name: trees like the parameters, float64 for float64 parameters, else float32. Scalar states
    are trees of arrays of no dimension."""


class _Transformation(NamedTuple):
    """What `optax.GradientTransformation` is, for programs without optax."""

    init: Callable[[Any], RuleState]
    update: Callable[..., tuple[Any, RuleState]]


def _is_traced(value: Any) -> bool:
    return isinstance(value, jax.Array)


def _of_class(cls: type[Optimizer], hypers: Mapping[str, Any]) -> tuple[ArrayUpdate, dict[str, Any], Mapping[str, float]]:
    """The update that the options of a class select, its hyper-parameters, and the initial values of states.

    An optimizer of one number reads the options, so that its defaults, checks and conventions apply.
    """
    for name in hypers:
        if name in DEFAULTS or name == "params":
            wanted = "options of the rule; clipping, averages and the like are transformations of optax"
            raise TypeError(f"transform: arguments must be {wanted}; got {name}")
    # A number that is not known yet may be any: its term is present, as with a schedule.
    options: dict[str, Any] = {name: (lambda count: 0.0) if _is_traced(one) else one for name, one in hypers.items()}
    make: Any = cls
    made = make([np.zeros(1)], **options)
    group = made._arranged.groups[0]
    rule, form = rule_of(group.form.variant), group.form
    known = group.options | {name: one for name, one in hypers.items() if _is_traced(one)}
    values = {name: known[hyper] if hyper else constant for name, hyper, constant in form.inputs}
    flags = {one.name: bool(values[one.name]) for one in rule.hypers if one.is_flag and one.name in values}
    update = array_update(rule, "jax", {**rule.variants[form.variant], **flags}, differs=True)
    return update, {name: values[name] for name in update.hypers}, made._initial


def _of_rule(rule: Rule, hypers: Mapping[str, Any]) -> tuple[ArrayUpdate, dict[str, Any], Mapping[str, float]]:
    known = {one.name: one for one in rule.hypers}
    for name in hypers:
        if name not in known:
            raise TypeError(f"transform: arguments must be those of {rule.name}, {', '.join(known)}; got {name}")
    for name, one in known.items():
        if name not in hypers and one.default is inspect.Parameter.empty:
            raise TypeError(f"transform: {rule.name} needs {name}")
    flags = {name: _checks.flag("transform", name, one) for name, one in hypers.items() if known[name].is_flag}
    update = array_update(rule, "jax", flags, differs=True)
    return update, {name: hypers.get(name, known[name].default) for name in update.hypers}, {}


def _reader(name: str, value: Any) -> Callable[[Any], Any]:
    """A hyper-parameter as a function of the count."""
    if isinstance(value, Schedule):
        return TraceableSchedule(value, None, None)
    if callable(value):
        return value  # type: ignore[no-any-return]
    if not _is_traced(value):
        value = _checks.real("transform", name, _checks.single(value))
    elif value.size != 1:
        raise TypeError(f"transform: {name} must be one number; got an array of shape {value.shape}")
    else:
        value = value.reshape(())  # else parameters of no dimension would get one
    return lambda count: value


def _place(path: Any) -> str:
    return jax.tree_util.keystr(path) or "the top"


def _check_leaf(what: str, path: Any, leaf: Any) -> None:
    dtype = jnp.result_type(leaf)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"transform: {what} must be arrays of floating-point numbers; got {dtype} at {_place(path)}")


def _check_gradient(path: Any, grad: Any, param: Any) -> None:
    """Others would be broadcast, or lose their imaginary parts; updates of integers would be 0."""
    _check_leaf("gradients", path, grad)
    shape, got = jnp.shape(param), jnp.shape(grad)
    if got != shape:
        raise ValueError(f"transform: gradients must have the shapes of the parameters, {shape}; got {got} at {_place(path)}")


def _computed_in(leaf: Any) -> Any:
    return np.float64 if jnp.result_type(leaf) == np.float64 else np.float32


def transform(rule: type[Optimizer] | Rule, **hyper: Any) -> Any:
    """An `optax.GradientTransformation` from the formula of a rule.

    Args:
        rule: a class of lrkern's optimizers, such as `lrkern.AdamW`, with its defaults and conventions; or a rule.
        hyper: options of the class without those that all classes have in common (`clip_norm`, `ema`, ...: for these chain it
            with optax' transformations); for a rule, its hyper-parameters and flags. A hyper-parameter is a number, a
            Schedule, a function of the count (optax' schedules, `lrkern.jax.schedule`), or, within
            `optax.inject_hyperparams`, a traced number.

    Returns:
        A named tuple (init, update): optax' own where optax is installed. `update(grads, state, params)` needs the parameters.
        It returns the differences of the new parameters and the old ones, in the types of the gradients, for
        `optax.apply_updates`, and the new state, whose `count` schedules are evaluated at, from 0.

    Raises:
        TypeError, ValueError: as the class raises for the option; an argument is unknown; parameters or gradients are not
            floating-point; gradients have not the shapes of the parameters.

    Accuracy:
        The formula of the rule ("Steps" in the documentation) without its guarantees of bits: XLA fuses and reorders. It is
        computed in float64 for float64 parameters, else in float32; so are the states. Hyper-parameters that are numbers are
        used in float64 before they are rounded.

    Example:
        >>> import jax.numpy as jnp, optax, lrkern as lk, lrkern.jax
        >>> tx = lrkern.jax.transform(lk.SGD, lr=lk.linear(0.5, 0.0, 4), momentum=0.5)
        >>> params = {"w": jnp.array([1.0, 2.0])}
        >>> state = tx.init(params)
        >>> updates, state = tx.update({"w": jnp.array([0.5, -1.0])}, state, params)
        >>> optax.apply_updates(params, updates)
        {'w': Array([0.75, 2.5 ], dtype=float32)}
    """
    if isinstance(hyper.get("hyper"), dict):  # so `optax.inject_hyperparams` reads the signature
        raise TypeError("transform: options must be given by their names; got hyper: inject_hyperparams takes factory(rule)")
    if isinstance(rule, type) and issubclass(rule, Optimizer) and rule is not Optimizer:
        step, values, initial = _of_class(rule, hyper)
    elif isinstance(rule, Rule):
        step, values, initial = _of_rule(rule, hyper)
    else:
        wanted = "an optimizer class of lrkern, such as lrkern.AdamW, or a rule"
        raise TypeError(f"transform: rule must be {wanted}; got {_checks.describe(rule)}")
    readers = {name: _reader(name, value) for name, value in values.items()}
    names = (*step.states, *step.scalar_states)

    def init(params: Any) -> RuleState:
        for path, leaf in jax.tree_util.tree_leaves_with_path(params):
            _check_leaf("params", path, leaf)

        def fresh(state: str) -> Any:
            value = initial.get(state, 0.0)
            return jax.tree.map(lambda leaf: jnp.full_like(leaf, value, dtype=_computed_in(leaf)), params)

        def scalar() -> Any:
            return jax.tree.map(lambda leaf: jnp.zeros((), _computed_in(leaf)), params)

        states = {state: fresh(state) for state in step.states} | {state: scalar() for state in step.scalar_states}
        return RuleState(jnp.zeros((), jnp.int32), states)

    def update(grads: Any, state: RuleState, params: Any = None) -> tuple[Any, RuleState]:
        if params is None:
            raise ValueError("transform: update needs the parameters: update(grads, state, params)")
        hypers = {name: read(state.count) for name, read in readers.items()}
        # The count stays at its largest value.
        later = jnp.where(state.count < jnp.iinfo(jnp.int32).max, state.count + 1, state.count)

        def one(grad: Any, param: Any, *states: Any) -> tuple[Any, ...]:
            p, g = (jnp.asarray(x, _computed_in(param)) for x in (param, grad))
            change, *kept = step(later, hypers, p, g, *states)
            return (change.astype(jnp.result_type(grad)), *kept)

        leaves, tree = jax.tree_util.tree_flatten_with_path(grads)
        # By name: JAX sorts the keys of dicts.
        others = [tree.flatten_up_to(x) for x in (params, *(state.states[name] for name in names))]
        for (path, grad), param in zip(leaves, others[0], strict=True):
            _check_gradient(path, grad, param)
        results = [one(grad, *each) for (_, grad), *each in zip(leaves, *others, strict=True)]
        updates, *kept = (tree.unflatten(column) for column in zip(*results, strict=True)) if results else (grads,)
        states = dict(zip(names, kept, strict=True)) if results else state.states
        return updates, RuleState(later, states)

    try:
        from optax import GradientTransformation
    except ModuleNotFoundError:
        return _Transformation(init, update)
    return GradientTransformation(init, update)
