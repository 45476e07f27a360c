"""One step of one array without an optimizer: what functions such as `sgd_step` call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from lrkern import _checks, _core, backends
from lrkern.backends.engine import StepTensors
from lrkern.optimizers.options import Form, Options, RuleOptions

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def _refuse_unfit(where: str, form: Form, states: dict[str, Any]) -> None:
    """Raise if a state has a dtype that its rule cannot use."""
    for name in form.states:
        state = states[name]
        dtype = _checks.plain(state).dtype if _checks.is_array(state) else getattr(state, "dtype", None)
        if dtype is not _FLOAT32 and dtype is not _FLOAT64:  # nearly always one of them
            word = str(dtype).rpartition(".")[2]  # torch's dtypes print as "torch.float16"
            if word in form.unfit:
                raise TypeError(f"{where}: {name} must not be {word}, {form.unfit[word]}")


def step_once(
    where: str,
    rule: RuleOptions,
    param: Any,
    grad: Any,
    states: dict[str, Any],
    update: int,
    options: Options,
    backend: str | None,
    needed: str = "",
    scalars: Sequence[Any] = (),
) -> None:
    """One step of one tensor without an optimizer. `update`: the number of updates before it.

    `needed`: for the error about a missing state, when it is needed. `scalars`: checked arrays of one element for the scalar
    states, which are updated.
    """
    if grad is None:  # only in lists of gradients does None mean no update
        raise TypeError(f"{where}: grad must be an array like param; got None")
    if backend is None and not scalars and rule.quick.step(param, grad, states, update, options):
        return
    form, options = rule.settle(where, options)
    if form.shrinks:
        form.check_shrinkage(where, options["lr"], options["weight_decay"])
    if form.unfit:
        _refuse_unfit(where, form, states)
    chosen = backends.choose(where, backend, param)
    in_c = chosen.StepList is _core.StepList
    if in_c and rule.prepare_c is not None:
        rule.prepare_c(where)
    once = _core.step_once if in_c and not scalars else partial(_step_once_in, chosen, scalars)
    for name in form.states:
        if states[name] is None:
            raise ValueError(f"{where}: {name} is needed{needed}; got None")
    once(where, form, options, param, grad, states, update, chosen.arrays)
    if in_c:
        rule.quick.learn(options, form)


def _step_once_in(
    backend: backends.Backend,
    scalars: Sequence[Any],
    where: str,
    form: Form,
    options: Options,
    param: Any,
    grad: Any,
    states: dict[str, Any],
    update: int,
    arrays: Any,
) -> None:
    """`_core.step_once` for another backend."""
    kept = {
        name: [arrays.as_array(where, name, state, written=True) if name in form.states else None]
        for name, state in states.items()
    }
    params = [arrays.as_array(where, "param", param, written=True)]
    as_gradient = arrays.as_dense_gradient
    made_of = StepTensors(where, lambda kind, _: kind, params, [form.variant], [0], kept, as_gradient=as_gradient)
    tensors = backend.StepList(made_of)
    for place, (_, hyper, constant) in enumerate(form.inputs):
        tensors.set_input(0, place, options[hyper] if hyper else constant)
    tensors.restore([update], 0, 0, [], (), [[float(one.flat[0]) for one in scalars]])
    tensors.run([grad], 1.0)
    if scalars:
        for one, value in zip(scalars, tensors.get_scalar_states()[0], strict=False):
            one.flat[0] = value
