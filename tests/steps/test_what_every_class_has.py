"""Options that all optimizers have unless their formula has no room for them: rates of rows, caution, relations, schedules."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import ulp

import lrkern as lk

CLASSES = [
    one
    for name in lk.__all__
    if isinstance(one := getattr(lk, name), type) and issubclass(one, lk.Optimizer) and one is not lk.Optimizer
]

OF_TENSORS = {"LARS", "LAMB", "StableAdamW", "MARS", "NovoGrad"}
"""They look at whole tensors, not at rows, and in a pass of their own, of which there is one."""

OF_RATES = {"ASGD", "ScheduleFreeSGD", "ScheduleFreeAdamW", "ScheduleFreeRAdam"}
"""They keep numbers of each tensor that depend on lr."""

COUPLED = {"Adam", "Rprop", "LARS", "LAMB"}
"""Their weight decay is a part of the gradient, or of the direction whose norm is taken."""

ALONG = {"Adagrad", "Adadelta", "Rprop"} | OF_RATES
"""Each of their steps is along the gradient."""


def options_of(cls: type[lk.Optimizer], **more: Any) -> dict[str, Any]:
    """With decoupled weight decay where the class has it."""
    names = inspect.signature(cls).parameters
    options: dict[str, Any] = {"lr": 0.01, "weight_decay": 0.1}
    return {**options, **({"decoupled": True} if "decoupled" in names else {}), **more}


def steps(cls: type[lk.Optimizer], start: Any, grads: list[Any], **options: Any) -> Any:
    params = [start.copy()]
    opt = cls(params, **options)
    for g in grads:
        opt.step([g])
    return params[0]


def data(shape: tuple[int, ...], seed: int = 0) -> tuple[Any, list[Any]]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape), [rng.standard_normal(shape) for _ in range(5)]


@pytest.mark.parametrize("backend", ["c", pytest.param("numba", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("cls", CLASSES)
def test_rates_of_rows(cls: type[lk.Optimizer], backend: str) -> None:
    """Each row has the bits that it would have alone."""
    start, grads = data((3, 33))
    lrs = np.array([0.1, 0.01, 0.0])
    if cls.__name__ in OF_TENSORS | OF_RATES:
        with pytest.raises((TypeError, ValueError), match=f"^{cls.__name__}: lr must be one number, not one per row, because"):
            cls([start], **options_of(cls, lr=lrs))
        return
    got = steps(cls, start, grads, **options_of(cls, lr=lrs, backend=backend))
    for r, lr in enumerate(lrs):
        alone = steps(cls, start[r], [g[r] for g in grads], **options_of(cls, lr=lr))
        ulp.assert_same_bits(got[r], alone, f"{cls.__name__}, row {r}")


@pytest.mark.parametrize("backend", ["c", pytest.param("numba", marks=pytest.mark.exhaustive)])
def test_rates_of_rows_and_scalar_states(backend: str) -> None:
    """NAdam's product of momenta is the same for all rows, and counts once for each step."""
    start, grads = data((4, 5))
    params = [start.copy()]
    opt = lk.NAdam(params, np.array([0.1, 0.2, 0.0, 0.4]), momentum_decay=0.1, backend=backend)
    other = lk.NAdam([start[0].copy()], 0.1, momentum_decay=0.1)
    for g in grads:
        opt.step([g])
        other.step([g[0]])
    assert opt.state_dict()["scalars"] == other.state_dict()["scalars"]
    with pytest.raises(ValueError, match=r"^NAdam: lr must be a finite number|must be one number"):
        lk.NAdam([np.ones(())], np.array([0.1]))


COUNTED = """
def counted(p, g, z, *, lr):
    total = z + 1
    return p - lr * g / total, total
"""
SUMMED = COUNTED.replace("z + 1", "z + lr").replace("counted", "summed")


@pytest.mark.parametrize("backend", ["c", "numba"])
def test_rates_of_rows_and_scalar_states_of_own_rules(backend: str) -> None:
    """Where these do not depend on lr."""
    start, grads = data((3, 5))
    lrs, params = np.array([0.1, 0.2, 0.0]), [start.copy()]
    rule = lk.rule(scalars="z")(COUNTED)
    opt = rule.Optimizer(params, lr=lrs, backend=backend)
    rows = [[one.copy()] for one in start]
    alone = [rule.Optimizer(row, lr=lr, backend=backend) for row, lr in zip(rows, lrs.tolist(), strict=True)]
    for g in grads:
        opt.step([g])
        for one, row in zip(alone, g, strict=True):
            one.step([row])
    ulp.assert_same_bits(params[0], np.array([row for (row,) in rows]), backend)
    assert not np.array_equal(params[0][0], start[0])
    with pytest.raises((TypeError, ValueError), match=r"^summed: lr must be one number, not one per row, because it decides"):
        lk.rule(scalars="z")(SUMMED).Optimizer(params, lr=lrs)


@pytest.mark.parametrize("cls", CLASSES)
def test_cautious_decay(cls: type[lk.Optimizer]) -> None:
    """It has no effect where every element moves in the direction in which it decays, and is without decay where none does."""
    has = "decay" in cls._rule.cautious
    assert has == (cls.__name__ not in COUPLED - {"Adam"})
    if cls.__name__ in COUPLED:
        return
    start, _ = data((50,))
    grads = [np.abs(g) * np.sign(start) for g in data((50,), 1)[1]]
    more = {"maximize": True}
    options = options_of(cls, lr=1e-4)
    plain, careful = (steps(cls, start, grads, **options, cautious=one) for one in (False, "decay"))
    ulp.assert_same_bits(careful, plain, "the same direction")
    without, careful = (
        steps(cls, start, grads, **{**options, **more, "weight_decay": decay}, cautious="decay") for decay in (0.0, 0.1)
    )
    ulp.assert_same_bits(careful, without, "opposite directions")
    assert not np.array_equal(without, steps(cls, start, grads, **{**options, **more}))


@pytest.mark.parametrize("cls", CLASSES)
def test_cautious_updates(cls: type[lk.Optimizer]) -> None:
    """After one gradient and its negative, the momentum of the first one moves nothing."""
    name = cls.__name__
    assert ("update" in cls._rule.cautious) == (name not in OF_TENSORS | ALONG)
    if name in OF_TENSORS | ALONG or name == "ADOPT":
        return
    start, _ = data((50,))
    momentum = {"momentum": 0.9} if "momentum" in inspect.signature(cls).parameters else {}
    options = options_of(cls, weight_decay=0.0, **momentum)
    first = np.full(50, 4.0)
    plain, careful = (steps(cls, start, [first, -0.01 * first], **options, cautious=one) for one in (False, "update"))
    before = steps(cls, start, [first], **options, cautious="update")
    assert not np.array_equal(plain, before)
    ulp.assert_same_bits(careful, before, name)


@pytest.mark.parametrize("relation", ["independent", "corrected"])
@pytest.mark.parametrize("cls", CLASSES)
def test_relations_of_decay(cls: type[lk.Optimizer], relation: str) -> None:
    start, grads = data((50,))
    lr = lk.linear(0.1, 0.02, 5)
    if cls.__name__ in COUPLED:
        with pytest.raises(
            ValueError, match=f"^{cls.__name__}: decay must be 'coupled', because weight decay is not decoupled"
        ):
            cls([start], **options_of(cls, lr=lr, decay=relation))
        if cls is not lk.LAMB:
            return
    more = {"convention": "keras"} if cls is lk.LAMB else {}
    weights = {"independent": lambda t: 0.1 / lr(t), "corrected": 0.1 * (lr * (1 / 0.1))}
    got = steps(cls, start, grads, **options_of(cls, lr=lr, decay=relation, **more))
    expected = steps(cls, start, grads, **options_of(cls, lr=lr, **{**more, "weight_decay": weights[relation]}))
    ulp.assert_same_bits(got, expected, cls.__name__)
    assert not np.array_equal(got, steps(cls, start, grads, **options_of(cls, lr=lr, **more)))


@pytest.mark.parametrize("cls", CLASSES)
def test_every_number_may_be_a_schedule(cls: type[lk.Optimizer]) -> None:
    """Betas included: constant schedules give the bits of numbers."""
    start, grads = data((50,))
    defaults = {name: one.default for name, one in inspect.signature(cls).parameters.items()}
    numbers = {name: defaults[name] or 0.01 for name in cls._rule.hypers if isinstance(defaults.get(name), float)}
    numbers |= {"lr": 0.01, "dampening": 0.0} if "dampening" in numbers else {"lr": 0.01}
    schedules = {name: lk.constant(value) for name, value in numbers.items()}
    ulp.assert_same_bits(steps(cls, start, grads, **schedules), steps(cls, start, grads, **numbers), cls.__name__)
