"""Online loss-driven schedules: states as plain data, and a plateau times a schedule, update by update."""

from __future__ import annotations

import json
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ulp import assert_same_bits

import lrkern as lk
from lrkern._loss_driven import dialects

DIALECTS = tuple(dialects.DIALECTS)
METRICS = [3.0, 2.0, math.nan, 2.5, math.inf, 2.0, 2.0, 1.0, -math.inf, 5.0, 5.0, 5.0]
WARMED = lk.cosine(0.1, 0.0, 40).warmup(5)


def makers() -> list[tuple[str, Callable[[], Any]]]:
    """Every kind of online object, of one run and of many, with and without a window and a schedule."""
    found: list[tuple[str, Callable[[], Any]]] = [("LossDriven", lambda: lk.LossDriven(0.3, 0.9))]
    for dialect in DIALECTS:
        options: dict[str, Any] = {"dialect": dialect, "patience": 1}
        if dialect == "transformers":
            options["window"] = 3
        if dialect == "timm":
            options |= {"warmup": 3, "warmup_lr": 0.001}
        for shape in ((), (3,), (2, 3), (1,)):
            start = np.full(shape, 0.1)
            found.append((f"{dialect}{shape}", lambda start=start, options=options: lk.Plateau(start, **options)))
    per_run = {"factor": [0.5, 0.25], "schedule": WARMED, "cooldown": np.array([0, 2])}
    return [*found, ("schedule", lambda: lk.Plateau(schedule=WARMED, patience=0)), ("runs", lambda: lk.Plateau(**per_run))]


MAKERS = makers()
every_kind = pytest.mark.parametrize("make", [make for _, make in MAKERS], ids=[name for name, _ in MAKERS])


def moved(one: Any, metrics: list[float]) -> list[Any]:
    """The rates after each of n metrics, with two steps before each if it has steps."""
    rates = []
    for metric in metrics:
        if isinstance(one, lk.Plateau):
            rates += [one.step(), one.step()]
        rates.append(one.update(np.full(np.shape(one.lr), metric) if np.shape(one.lr) else metric))
    return rates


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in leaves(one)]
    return [leaf for one in value for leaf in leaves(one)] if isinstance(value, list) else [value]


def changed(value: Any, change: Callable[[Any], Any], but: tuple[str, ...] = ()) -> Any:
    """A state with its lists and numbers converted; strings unchanged."""
    if isinstance(value, dict):
        return {name: one if name in but else changed(one, change, but) for name, one in value.items()}
    return value if value is None or isinstance(value, str) else change(value)


def as_arrays(value: Any) -> Any:
    def number(leaf: Any) -> Any:
        return [number(one) for one in leaf] if isinstance(leaf, list) else float(leaf) if isinstance(leaf, str) else leaf

    return np.array(number(value))


class Tensor:
    """Like torch's tensors: not convertible to an array until detached and on the CPU."""

    def __init__(self, array: Any, where: str = "cuda") -> None:
        self.array, self.where = array, where

    def detach(self) -> Tensor:
        return Tensor(self.array, "detached")

    def cpu(self) -> Tensor:
        assert self.where == "detached"
        return Tensor(self.array, "cpu")

    def item(self) -> Any:
        return self.array.item()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.where != "cpu":
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return np.array(self.array, dtype)


@every_kind
@pytest.mark.parametrize("cut", [0, 1, 3, 7])
def test_a_state_is_plain_data_and_goes_on_to_the_bit(make: Callable[[], Any], cut: int) -> None:
    first = make()
    moved(first, METRICS[:cut])
    state = first.state_dict()
    assert {type(leaf) for leaf in leaves(state)} <= {float, int, str, type(None)}
    assert all(math.isfinite(leaf) for leaf in leaves(state) if isinstance(leaf, float | int))
    kept, rate = json.dumps(state, allow_nan=False), first.lr
    wanted = moved(first, METRICS[cut:])
    assert json.dumps(state, allow_nan=False) == kept, "a state changes no more"
    for back in (
        json.loads(kept),
        pickle.loads(pickle.dumps(state)),
        changed(state, as_arrays),
        changed(state, lambda leaf: Tensor(as_arrays(leaf))),
        changed(state, lambda leaf: as_arrays(leaf).reshape(1) if not isinstance(leaf, list) else leaf, but=("schedule",)),
    ):
        second = make()
        moved(second, METRICS[3:5])
        second.load_state_dict(back)
        assert json.dumps(second.state_dict()) == kept
        assert_same_bits(np.asarray(second.lr), np.asarray(rate))
        found = moved(second, METRICS[cut:])
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            assert_same_bits(np.asarray(a), np.asarray(b))


def test_metrics_may_be_tensors_on_a_device() -> None:
    rate, curve = lk.Plateau(0.1, factor=0.5, patience=0), lk.LossDriven(0.8, 0.5)
    for one in (rate, curve):
        assert one.update(Tensor(np.array(2.0))) == one.lr
    assert rate.update(Tensor(np.array(3.0))) == 0.05
    assert lk.plateau(Tensor(np.array([2.0, 3.0])), 0.1, factor=0.5, patience=0).tolist() == [0.1, 0.05]


def test_a_state_in_float32_is_taken() -> None:
    one = lk.Plateau([0.1, 0.2], factor=0.3, patience=0)
    moved(one, METRICS)
    state = changed(one.state_dict(), lambda leaf: as_arrays(leaf).astype("f4") if as_arrays(leaf).dtype.kind == "f" else leaf)
    other = lk.Plateau([0.1, 0.2], factor=0.3, patience=0)
    other.load_state_dict(state)
    assert_same_bits(other.lr, one.lr.astype("f4").astype("f8"))


OTHERS: list[tuple[str, Any, Any]] = [
    ("dialect", lk.Plateau(0.1), lk.Plateau(0.1, dialect="mmengine")),
    ("start", lk.Plateau(0.1), lk.Plateau(0.2)),
    ("factor", lk.Plateau(0.1), lk.Plateau(0.1, factor=0.5)),
    ("patience", lk.Plateau(0.1), lk.Plateau(0.1, patience=11)),
    ("threshold", lk.Plateau(0.1), lk.Plateau(0.1, threshold=1e-5)),
    ("threshold_mode", lk.Plateau(0.1), lk.Plateau(0.1, threshold_mode="abs")),
    ("mode", lk.Plateau(0.1), lk.Plateau(0.1, mode="max")),
    ("cooldown", lk.Plateau(0.1), lk.Plateau(0.1, cooldown=1)),
    ("min_lr", lk.Plateau(0.1), lk.Plateau(0.1, min_lr=1e-3)),
    ("eps", lk.Plateau(0.1), lk.Plateau(0.1, eps=0.0)),
    ("window", lk.Plateau(0.1, dialect="transformers"), lk.Plateau(0.1, dialect="transformers", window=3)),
    ("precision", lk.Plateau(0.1, dialect="keras"), lk.Plateau(0.1, dialect="keras", precision="float64")),
    ("end", lk.Plateau(0.1, dialect="mmengine"), lk.Plateau(0.1, dialect="mmengine", end=9)),
    ("warmup", lk.Plateau(0.1, dialect="timm"), lk.Plateau(0.1, dialect="timm", warmup=9)),
    ("start", lk.Plateau([0.1, 0.1]), lk.Plateau([0.1, 0.2])),
    ("factor", lk.Plateau([0.1, 0.1]), lk.Plateau([0.1, 0.1], factor=[0.1, 0.2])),
    ("schedule", lk.Plateau(1.0), lk.Plateau(schedule=WARMED)),
    ("schedule", lk.Plateau(schedule=WARMED), lk.Plateau(1.0)),
    ("schedule", lk.Plateau(schedule=WARMED), lk.Plateau(schedule=lk.constant(0.1))),
    ("start", lk.LossDriven(0.1, 0.5), lk.LossDriven(0.2, 0.5)),
    ("decay", lk.LossDriven(0.1, 0.5), lk.LossDriven(0.1, 0.6)),
]


@pytest.mark.parametrize(("name", "a", "b"), OTHERS, ids=[name for name, _, _ in OTHERS])
def test_a_state_of_other_arguments_is_refused_by_name(name: str, a: Any, b: Any) -> None:
    noun = type(a).__name__
    for one, other in ((a, b), (b, a)):
        kept = one.state_dict()
        with pytest.raises(ValueError, match=rf"^{noun}.load_state_dict: {name} must be .*, as in this {noun}; the state has "):
            one.load_state_dict(other.state_dict())
        assert one.state_dict() == kept


def test_every_argument_is_compared() -> None:
    """For every argument of every dialect: a state with another value is rejected, and the error names it."""
    for dialect, table in dialects.DIALECTS.items():
        one = lk.Plateau(0.1, dialect=dialect)
        state = one.state_dict()
        assert list(state["arguments"]) == ["dialect", "start", *table.arguments, "schedule"]
        for name in state["arguments"]:
            with pytest.raises(ValueError, match=rf"^Plateau.load_state_dict: {name} must be "):
                one.load_state_dict({**state, "arguments": state["arguments"] | {name: "other"}})


def test_the_same_arguments_in_other_words() -> None:
    """A number for all runs equals one per run; arguments missing from an older state have their defaults."""
    one, other = lk.Plateau([0.1, 0.1], factor=0.5, patience=3), lk.Plateau(0.1, [0.5, 0.5], patience=np.int8(3))
    one.load_state_dict(other.state_dict())
    state = one.state_dict()
    del state["arguments"]["cooldown"], state["arguments"]["schedule"]
    one.load_state_dict(state)
    del state["arguments"]["patience"]
    with pytest.raises(
        ValueError, match=r"^Plateau.load_state_dict: patience must be 3, as in this Plateau; the state has 10$"
    ):
        one.load_state_dict(state)


def without(state: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key != name}


def test_bad_states() -> None:
    plateau = lk.Plateau([0.1, 0.1], dialect="transformers", window=3)
    plateau.update([0.5, 0.25])
    good = plateau.state_dict()
    numbers, arguments = good["state"], good["arguments"]
    bad: list[Any] = [
        *[None, {}, [], 5, {**good, "more": 1}, *(without(good, name) for name in good)],
        *[good | {"arguments": value} for value in (None, [], {**arguments, "more": 1}, arguments | {"factor": [0.95, 0.9]})],
        *[good | {"count": value} for value in (-1, 1.5, None, True, "1", [1], np.array([1, 2]), 2**60)],
        *[good | {"steps": value} for value in (-1, 1.5)],
        *[good | {"state": value} for value in (None, {}, {**numbers, "more": 1}, *(without(numbers, one) for one in numbers))],
        *[
            good | {"state": numbers | {"lr": value}}
            for value in (0.1, [0.1], [0.1] * 3, [[0.1, 0.1]], ["0.1", 0.1], None, "inf", [None, 1.0], [[0.1], [0.1, 0.2]], 1j)
        ],
        *[good | {"state": numbers | {"history": value}} for value in ([[1.0] * 3], [[1.0] * 4] * 2, None)],
    ]
    kept = json.dumps(good)
    for state in bad:
        with pytest.raises(
            (TypeError, ValueError), match=r"^Plateau.load_state_dict: (state|arguments|factor|count|steps|lr|history) "
        ):
            plateau.load_state_dict(state)
        assert json.dumps(plateau.state_dict()) == kept
    simple = lk.LossDriven(0.1, 0.5)
    state = simple.state_dict()
    for other in (
        *[None, {}, state | {"x": 1}, state | {"count": -1}],
        *[state | {"state": state["state"] | change} for change in ({"loss": "a"}, {"lr": -1.0}, {"lr": [0.1, 0.1]}, {"x": 1})],
    ):
        with pytest.raises((TypeError, ValueError), match=r"^LossDriven.load_state_dict: "):
            simple.load_state_dict(other)
        assert simple.state_dict() == state
    for one, other in ((plateau, simple), (simple, plateau)):
        with pytest.raises(ValueError, match="load_state_dict: "):
            one.load_state_dict(other.state_dict())


# ------------------------------------------------------------------------------------------------------ with a schedule


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("runs", [(), (3,)])
def test_a_plateau_times_a_schedule(dialect: str, runs: tuple[int, ...]) -> None:
    """Rates are the products, rounded once, of the table and of the plateau's own rates for the same metrics."""
    options: dict[str, Any] = {"dialect": dialect, "patience": 1, "factor": 0.7, "start": np.full(runs, 0.75)}
    rng = np.random.default_rng(7)
    metrics = rng.random((30, *runs))
    together, alone = lk.Plateau(schedule=WARMED, **options), lk.Plateau(**options)
    table = WARMED.table(200)
    assert_same_bits(np.asarray(together.lr), table[0] * np.asarray(alone.lr))
    t = 0
    for metric in metrics:
        for _ in range(rng.integers(0, 4)):
            rate = together.step()
            assert_same_bits(np.asarray(rate), table[t] * np.asarray(alone.lr))
            t += 1
        rate = together.update(metric if runs else float(metric))
        alone.update(metric if runs else float(metric))
        assert_same_bits(np.asarray(rate), table[max(t - 1, 0)] * np.asarray(alone.lr))
        assert_same_bits(np.asarray(rate), np.asarray(together.lr))
        assert_same_bits(np.asarray(together.scale), np.asarray(alone.scale))
        assert_same_bits(np.asarray(alone.lr), np.asarray(alone.scale))
    assert (together.steps, together.count) == (t, 30)
    assert type(rate) is (np.ndarray if runs else float)


def test_recorded_metrics_replay_it() -> None:
    losses, per_epoch = [3.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0], 5
    rate = lk.Plateau(factor=0.5, patience=0, schedule=WARMED)
    live = []
    for loss in losses:
        live += [rate.step() for _ in range(per_epoch)]
        rate.update(loss)
    scale = lk.plateau(losses, 1.0, factor=0.5, patience=0)
    before = np.repeat([1.0, *scale[:-1]], per_epoch)
    assert_same_bits(np.array(live), WARMED.table(len(live)) * before)
    assert len(set(scale.tolist())) > 2


def test_steps_without_a_schedule_count() -> None:
    rate = lk.Plateau(0.1, factor=0.5, patience=0)
    assert [rate.step(), rate.step(), rate.update(1.0), rate.update(2.0), rate.step()] == [0.1, 0.1, 0.1, 0.05, 0.05]
    assert (rate.steps, rate.count) == (3, 2)


@pytest.mark.parametrize("schedule", [0.1, "constant(0.1)", lambda t: 0.1, [lk.constant(0.1)], np.ones(3)])
def test_what_is_no_schedule(schedule: Any) -> None:
    with pytest.raises(TypeError, match=r"^Plateau: schedule must be a Schedule; got "):
        lk.Plateau(0.1, schedule=schedule)


def test_a_plateau_alone_needs_a_start() -> None:
    with pytest.raises(TypeError, match=r"^Plateau: start must be a finite number >= 0; got None$"):
        lk.Plateau(schedule=None)


def test_values_beyond_float64_change_nothing() -> None:
    steep = lk.Plateau(schedule=lk.exponential(1.0, 1e200))
    assert [steep.step(), steep.step()] == [1.0, 1e200]
    for one, told in (
        (steep, None),
        (lk.Plateau(1e200, schedule=lk.exponential(1.0, 1e60)), "Plateau: the schedule's value 1e+120 times "),
    ):
        while one.steps < 2:
            one.step()
        kept = one.state_dict()
        with pytest.raises(OverflowError, match=None if told is None else f"^{re.escape(told)}"):
            one.step()
        assert one.state_dict() == kept
        assert math.isfinite(one.lr)
