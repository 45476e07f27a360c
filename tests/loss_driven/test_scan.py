"""Loss-driven schedules against plain loops: every dialect, bit for bit, on every ISA and number of threads."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import reference_scan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from isas import running
from ulp import assert_same_bits

import lrkern as lk
from lrkern import _core

DIALECTS = tuple(reference_scan.DEFAULTS)
LANES = 32  # runs that a kernel does side by side; blocks are of 64 steps


def losses(runs: int, steps: int, seed: int) -> np.ndarray:
    """Falling, then flat, with ties, noise, NaNs and infinities."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.random((runs, steps)) * 0.3 + 3 * np.exp(-8 * np.arange(steps) / max(steps, 1)), rng.integers(1, 4))
    x[rng.random(x.shape) < 0.02] = np.nan
    x[rng.random(x.shape) < 0.01] = np.inf
    x[rng.random(x.shape) < 0.003] = -np.inf
    return x


CASES: list[tuple[str, dict[str, Any]]] = [
    *[(dialect, {}) for dialect in DIALECTS],
    *[
        (dialect, {"patience": p, "cooldown": c, "factor": 0.5})
        for dialect in DIALECTS
        if "speechbrain" not in dialect
        for p in (0, 1, 3)
        for c in (0, 1, 2, 5)
    ],
    *[
        (dialect, {"mode": mode, "threshold_mode": kind, "threshold": t, "patience": 2, "factor": 0.7})
        for dialect in ("torch", "mmengine", "timm", "transformers", "paddle")
        for mode in ("min", "max")
        for kind in ("rel", "abs")
        for t in (0.0, 0.01, 1.0)
    ],
    *[("keras", {"mode": mode, "threshold": t, "patience": 2}) for mode in ("min", "max") for t in (0.0, 0.05)],
    *[
        (dialect, {"min_lr": 0.03, "patience": 1, "factor": 0.6})
        for dialect in DIALECTS
        if dialect not in ("optax", "speechbrain")
    ],
    *[("speechbrain", {"patience": p, "threshold": t, "factor": 0.8}) for p in (0, 1, 2, 3) for t in (0.0, 0.0025, 0.3)],
    *[
        ("speechbrain_plateau", {"patience": p, "warmup": w, "factor": 0.8, "min_lr": least})
        for p in (0, 1, 2, 3)
        for w in (0, 1, 7)
        for least in (0.0, 0.03, 0.2)
    ],
    *[("torch", {"eps": 0.02, "patience": 1, "factor": 0.6}), ("torch", {"factor": 0.0, "patience": 1})],
    *[
        (dialect, {"precision": p, "patience": 2, "factor": 0.7})
        for dialect in ("keras", "optax")
        for p in ("float32", "float64")
    ],
    ("keras", {"min_lr": 0.1, "patience": 2}),
    ("optax", {"accumulate": 3, "patience": 1, "factor": 0.7, "precision": "float64"}),
    ("optax", {"accumulate": 4, "patience": 2, "cooldown": 2, "factor": 0.7}),
    ("optax", {"atol": 0.01, "threshold": 0.0, "patience": 2}),
    ("optax", {"atol": 0.01, "threshold": 0.02, "patience": 2, "min_scale": 0.3}),
    ("optax", {"min_scale": 2.0, "patience": 2}),
    ("timm", {"warmup": 7, "warmup_lr": 0.001, "mode": "min", "patience": 2}),
    ("timm", {"warmup": 1000, "warmup_lr": 0.001}),
    ("mmengine", {"begin": 5, "end": 40, "patience": 2}),
    ("mmengine", {"begin": 1, "end": 2}),
    ("mmengine", {"begin": 90, "patience": 1}),
    ("transformers", {"patience": 1, "warmup": 3, "cooldown": 2, "min_lr": 0.09, "reset_start": 2}),
    ("transformers", {"patience": 0, "reset_start": 0, "min_lr": 0.05, "factor": 0.5}),
    ("transformers", {"patience": 1, "window": 1, "min_lr": 0.09, "reset_start": 3}),
    ("transformers", {"patience": 2, "window": 5, "warmup": 1, "min_lr": 0.095, "reset_start": 2, "factor": 0.97}),
    ("transformers", {"patience": 2, "window": 50, "mode": "max", "max_lr": 0.13}),
]
IDS = [f"{dialect}-{','.join(f'{k}={v}' for k, v in options.items())}" for dialect, options in CASES]


def expected(metrics: np.ndarray, start: Any, dialect: str, **options: Any) -> np.ndarray:
    starts = np.broadcast_to(start, len(metrics)).tolist()
    rows = [reference_scan.plateau(row, one, dialect, **options) for row, one in zip(metrics, starts, strict=True)]
    return np.array(rows, float).reshape(metrics.shape)


@pytest.mark.parametrize(("dialect", "options"), CASES, ids=IDS)
def test_every_dialect(dialect: str, options: dict[str, Any]) -> None:
    metrics = losses(2 * LANES + 3, 100, len(str(options)))
    if options.get("window"):
        metrics[::2] = np.nan_to_num(metrics[::2], nan=0.5, posinf=2.0, neginf=0.1)  # a NaN never leaves a running sum
    wanted = expected(metrics, 0.1, dialect, **options)
    kept = metrics.copy()
    found = lk.plateau(metrics, 0.1, dialect=dialect, **options)
    assert_same_bits(found, wanted, f"{dialect} {options}")
    assert_same_bits(metrics, kept, "the metrics")


def test_the_cases_move_learning_rates() -> None:
    """No dialect passes by changing nothing; GreedyLR also rises and starts over."""
    moved = dict.fromkeys(DIALECTS, 0)
    rose = restarted = 0
    for dialect, options in CASES:
        rates = expected(losses(8, 100, 5), 0.1, dialect, **options)
        moved[dialect] += int((np.diff(rates) < 0).sum())
        if dialect == "transformers":
            rose += int((np.diff(rates) > 0).sum())
            restarted += int((np.diff(rates) > 0.04).sum())
    assert min(moved.values()) > 20, moved
    assert rose > 10
    assert restarted > 0


def own_options(dialect: str) -> dict[str, Any]:
    """Arguments with which a dialect acts within a few metrics."""
    return {"speechbrain": {}, "speechbrain_plateau": {"warmup": 3}}.get(dialect, {"cooldown": 1})


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("isa", lk.isas())
def test_same_bits_for_every_isa_thread_count_and_size(isa: str, dialect: str) -> None:
    """Fewer runs than lanes, one more than a multiple, partial blocks, views; each on the requested ISA."""
    options: dict[str, Any] = {"patience": 2, "factor": 0.8} | own_options(dialect)
    if dialect == "transformers":
        options |= {"window": 7, "min_lr": 0.06, "reset_start": 3}
    everything = losses(3 * LANES + 1, 5 * LANES + 3, 3)
    wanted = expected(everything, 0.1, dialect, **options)
    for runs, steps, threads in itertools.product(
        (1, 2, LANES - 1, LANES, LANES + 1, len(everything)), (0, 1, 31, 33, 163), (1, 3)
    ):
        with running(isa, threads):
            found = lk.plateau(everything[:runs, :steps], 0.1, dialect=dialect, **options)
            assert_same_bits(found, wanted[:runs, :steps], f"{runs} runs, {steps} steps, {threads} threads")
    with running(isa, 2):
        online = lk.Plateau(np.full(3, 0.1), dialect=dialect, **options)
        online.update(np.zeros(3))
        assert online._scan.isa == isa


def test_many_short_runs_and_a_long_one() -> None:
    """Enough runs for several threads."""
    metrics = np.tile(losses(100, 12, 4), (100, 1))
    wanted = np.tile(expected(metrics[:100], 0.1, "torch", patience=1), (100, 1))
    long = losses(1, 5000, 9)
    for threads in (1, 2, 5):
        with running(lk.isas()[-1], threads):
            assert_same_bits(lk.plateau(metrics, 0.1, patience=1), wanted)
            assert_same_bits(lk.plateau(long[0], 0.1, patience=1), expected(long, 0.1, "torch", patience=1)[0])


finite = st.floats(-10, 10, allow_nan=False).map(lambda x: round(x, 2))
metric = st.one_of(finite, finite, finite, st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300, 5e-324]))
small = st.integers(0, 4)
ratio = st.floats(0.05, 0.95)
rate = st.floats(0, 1)
ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "factor": ratio,
    "patience": small,
    "threshold": st.floats(0, 1),
    "threshold_mode": st.sampled_from(["rel", "abs"]),
    "mode": st.sampled_from(["min", "max"]),
    "cooldown": small,
    "min_lr": rate,
    "max_lr": rate,
    "eps": st.floats(0, 0.01),
    "atol": st.floats(0.001, 1),
    "accumulate": st.integers(1, 4),
    "min_scale": rate,
    "precision": st.sampled_from(["float32", "float64"]),
    "warmup": small,
    "warmup_lr": rate,
    "window": st.one_of(st.none(), st.integers(1, 6)),
    "reset_start": small,
    "begin": st.integers(0, 5),
    "end": st.one_of(st.none(), st.integers(6, 30)),
}


@st.composite
def calls(draw: st.DrawFn) -> tuple[list[float], float, str, dict[str, Any]]:
    dialect = draw(st.sampled_from(DIALECTS))
    names = draw(st.sets(st.sampled_from(sorted(reference_scan.DEFAULTS[dialect]))))
    if dialect == "optax":
        names = names - {"mode"} | {"atol"}
    options = {name: draw(ARGUMENTS[name]) for name in sorted(names)}
    return draw(st.lists(metric, max_size=60)), draw(rate), dialect, options


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(calls())
def test_random_calls(call: tuple[list[float], float, str, dict[str, Any]]) -> None:
    metrics, start, dialect, options = call
    wanted = reference_scan.plateau(metrics, start, dialect, **options)
    found = lk.plateau(np.array(metrics, float), start, dialect=dialect, **options)
    assert_same_bits(found, wanted)
    online = lk.Plateau(start, dialect=dialect, **options)
    for i, (one, lr) in enumerate(zip(metrics, wanted, strict=True)):
        assert online.count == i
        assert online.update(one) == lr
        assert online.lr == lr
        assert type(online.lr) is float


@pytest.mark.parametrize("dialect", DIALECTS)
def test_numbers_per_run(dialect: str) -> None:
    """Every number may differ from run to run, in any shape that broadcasts."""
    shape = (4, 5)
    metrics = losses(20, 60, 8).reshape(*shape, 60)
    rng = np.random.default_rng(2)
    options: dict[str, Any] = {
        "factor": rng.uniform(0.3, 0.9, shape),
        "patience": rng.integers(0, 4, (5,)),
        "cooldown": rng.integers(0, 3, (4, 1)),
        "threshold": rng.uniform(0.001, 0.1, (1, 5)),
    }
    if dialect == "speechbrain":
        del options["cooldown"]
    elif dialect == "speechbrain_plateau":
        del options["cooldown"], options["threshold"]
        options |= {"min_lr": rng.uniform(0, 0.05, shape), "warmup": rng.integers(0, 9, (4, 1))}
    elif dialect == "optax":
        options |= {"atol": rng.uniform(0, 0.1, shape), "accumulate": rng.integers(1, 3, shape), "min_scale": rng.random(5) / 9}
    else:
        options |= {"min_lr": rng.uniform(0, 0.05, shape)}
    if dialect == "transformers":
        options |= {
            "max_lr": rng.uniform(0.1, 0.4, (4, 1)),
            "warmup": rng.integers(0, 3, 5),
            "reset_start": rng.integers(1, 4, shape),
        }
    if dialect == "timm":
        options |= {"warmup": 5, "warmup_lr": rng.uniform(0, 0.1, (4, 1))}
    start = rng.uniform(0.1, 0.3, (4, 1))
    found = lk.plateau(metrics, start, dialect=dialect, **options)
    online = lk.Plateau(start + np.zeros(shape), dialect=dialect, **options)
    for t in range(60):
        assert_same_bits(online.update(metrics[..., t]), found[..., t])
    for index in np.ndindex(shape):
        own = {name: np.broadcast_to(value, shape)[index].item() for name, value in options.items()}
        lr = np.broadcast_to(start, shape)[index].item()
        assert_same_bits(found[index], reference_scan.plateau(metrics[index], lr, dialect, **own), f"{index} {own}")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_state_goes_on_where_it_was_taken(dialect: str) -> None:
    options: dict[str, Any] = {"patience": 1, "factor": 0.8} | own_options(dialect)
    if dialect == "transformers":
        options["window"] = 4
    if dialect == "timm":
        options["warmup"] = 3
    metrics = np.nan_to_num(losses(3, 50, 6).T, nan=1.0, posinf=2.0, neginf=0.0)
    wanted = lk.plateau(metrics.T, 0.1, dialect=dialect, **options)
    for cut in (0, 2, 9, 30):
        first = lk.Plateau([0.1] * 3, dialect=dialect, **options)
        for row in metrics[:cut]:
            first.update(row)
        state = json.loads(json.dumps(first.state_dict(), allow_nan=False))
        for row in metrics[cut:]:
            first.update(row)  # does not reach into the state
        second = lk.Plateau([0.1] * 3, dialect=dialect, **options)
        second.update(metrics[7])
        second.load_state_dict(state)
        assert second.count == cut
        found = [second.lr, *(second.update(row) for row in metrics[cut:])]
        assert_same_bits(np.array(found[1:]).reshape(-1, 3).T, np.ascontiguousarray(wanted[:, cut:]))
        assert_same_bits(found[0], wanted[:, cut - 1] if cut else lk.Plateau([0.1] * 3, dialect=dialect, **options).lr)


def test_state_matters() -> None:
    """The cases use each number of the state."""
    used = set()
    for dialect, options in CASES:
        one = lk.Plateau(0.1, dialect=dialect, **options)
        fresh = one.state_dict()["state"]
        for x in losses(1, 40, 3)[0]:
            one.update(x)
            used |= {name for name, value in one.state_dict()["state"].items() if value != fresh[name]}
    assert used == {*_core.SCAN_STATE, "history"}


def test_float32_float16_and_integer_metrics_are_widened() -> None:
    metrics = losses(5, 40, 2)
    for dtype in (np.float32, np.float16):
        narrow = metrics.astype(dtype)
        assert_same_bits(lk.plateau(narrow, 0.1, patience=1), lk.plateau(narrow.astype(float), 0.1, patience=1))
    counts = np.random.default_rng(1).integers(0, 9, (5, 40))
    for integers in (counts, counts.astype(np.uint8), counts.tolist()):
        assert_same_bits(lk.plateau(integers, 0.1, patience=1), lk.plateau(counts.astype(float), 0.1, patience=1))


def test_layouts_and_out() -> None:
    metrics = losses(40, 70, 2)
    wanted = lk.plateau(metrics, 0.1, patience=1)
    assert len(np.unique(wanted)) > 3
    wide = np.zeros((40, 100))
    wide[:, 7:77] = metrics
    backwards = np.ascontiguousarray(metrics[:, ::-1])[:, ::-1]
    swapped = metrics.astype(metrics.dtype.newbyteorder())
    for other in (np.asfortranarray(metrics), wide[:, 7:77], backwards, swapped, metrics.reshape(4, 10, 70), metrics[None]):
        assert_same_bits(lk.plateau(other, 0.1, patience=1).reshape(40, 70), wanted)
    out = np.full((40, 70), np.nan)
    assert lk.plateau(metrics, 0.1, patience=1, out=out) is out
    assert_same_bits(out, wanted)
    assert_same_bits(lk.plateau(metrics[0], 0.1, patience=1), wanted[0])
    for shape in ((0,), (3, 0), (0, 3), (2, 0, 5)):
        assert lk.plateau(np.zeros(shape), 0.1).shape == shape


def test_a_relative_threshold_of_negative_metrics_turns_round() -> None:
    """As in torch: 1 - threshold of a negative best is a worse value."""
    for metrics, rates in (([-1.0, -0.95, -0.85], [1.0, 1.0, 0.5]), ([1.0, 0.95, 0.85], [1.0, 0.5, 0.5])):
        options = {"threshold": 0.1, "patience": 0, "factor": 0.5}
        assert reference_scan.plateau(metrics, 1.0, "torch", **options).tolist() == rates
        assert lk.plateau(metrics, 1.0, **options).tolist() == rates


def test_what_stands_for_infinity_in_mmengine() -> None:
    """Its best metric begins at 10^9: beyond that all are bad."""
    metrics = np.array([2e9, 1.9e9, 1.8e9, 1.7e9])
    assert lk.plateau(metrics, 1.0, patience=1, dialect="mmengine").tolist() == [1.0, 0.1, 0.1, 0.1 * 0.1]
    assert lk.plateau(-metrics, 1.0, patience=1, mode="max", dialect="mmengine").tolist() == [1.0, 0.1, 0.1, 0.1 * 0.1]
    assert lk.plateau(metrics, 1.0, patience=1).tolist() == [1.0] * 4


# ---------------------------------------------------------------------------------------------------------- kl_adaptive


def divergences(runs: int, steps: int, seed: int) -> np.ndarray:
    """float32 numbers around the targets, some on a bound, with zeros, NaNs and infinities."""
    rng = np.random.default_rng(seed)
    x = rng.lognormal(np.log(0.009), 1.0, (runs, steps)).astype(np.float32).astype(float)
    on = [f(v) for v in (0.004, 0.016, 0.005, 0.02) for f in (float, lambda v: float(np.float32(v)))]
    for value, share in [*[(v, 0.01) for v in on], (0.0, 0.03), (math.nan, 0.02), (math.inf, 0.01), (-0.001, 0.01)]:
        x[rng.random(x.shape) < share] = value
    return x


KL_CASES: list[tuple[str, dict[str, Any]]] = [
    (dialect, options)
    for dialect in reference_scan.KL
    for options in (
        {},
        {"precision": "float64"},
        {"threshold": 0.02, "kl_factor": 1.0, "lr_factor": 1.1},
        {"min_lr": 0.002, "max_lr": 0.004, "lr_factor": 3.0},
        {"min_lr": 0.05, "max_lr": 0.04},
    )
]


@pytest.mark.parametrize("isa", lk.isas())
@pytest.mark.parametrize(("dialect", "options"), KL_CASES, ids=str)
def test_kl_adaptive(dialect: str, options: dict[str, Any], isa: str) -> None:
    rows = divergences(2 * LANES + 3, 100, 5)
    wanted = np.array([reference_scan.kl_adaptive(row, 0.003, dialect, **options) for row in rows.tolist()])
    assert len(np.unique(wanted)) > 2
    for threads in (1, 3):
        with running(isa, threads):
            assert_same_bits(lk.kl_adaptive(rows, 0.003, dialect=dialect, **options), wanted)
    online = lk.KLAdaptive(np.full(5, 0.003), dialect=dialect, **options)
    for t in range(100):
        assert_same_bits(online.update(rows[:5, t]), np.ascontiguousarray(wanted[:5, t]))
    single = lk.KLAdaptive(0.003, dialect=dialect, **options)
    assert [single.update(x) for x in rows[0]] == wanted[0].tolist()
    assert (single.count, single.lr) == (100, wanted[0, -1])


def test_kl_adaptive_numbers_per_run_and_state() -> None:
    rows = divergences(12, 60, 7).reshape(3, 4, 60)
    rng = np.random.default_rng(1)
    options = {"threshold": rng.uniform(0.005, 0.02, (3, 1)), "lr_factor": rng.uniform(1.1, 2.0, 4), "min_lr": 1e-3}
    found = lk.kl_adaptive(rows, np.array([[0.003], [0.002], [0.001]]), **options)
    for i, j in np.ndindex(3, 4):
        own = {"threshold": options["threshold"][i, 0], "lr_factor": options["lr_factor"][j], "min_lr": 1e-3}
        assert_same_bits(found[i, j], reference_scan.kl_adaptive(rows[i, j].tolist(), [0.003, 0.002, 0.001][i], "skrl", **own))
    first, second = lk.KLAdaptive(0.003), lk.KLAdaptive(0.003)
    for x in rows[0, 0, :30]:
        first.update(x)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert [first.update(x) for x in rows[0, 0, 30:]] == [second.update(x) for x in rows[0, 0, 30:]]
    state = first.state_dict()
    with pytest.raises(
        ValueError, match=r"^KLAdaptive.load_state_dict: threshold must be 0.01, as in this KLAdaptive; the state"
    ):
        lk.KLAdaptive(0.003, 0.01).load_state_dict(state)
    with pytest.raises(
        ValueError, match=r"^KLAdaptive.load_state_dict: dialect must be 'rsl_rl', as in this KLAdaptive; the state"
    ):
        lk.KLAdaptive(0.003, dialect="rsl_rl").load_state_dict(state)


KL_BAD = [
    (
        lambda: lk.kl_adaptive([0.1], 0.1, threshold=0.0),
        ValueError,
        "kl_adaptive: threshold must be a finite number > 0; got 0.0",
    ),
    (
        lambda: lk.kl_adaptive([0.1], 0.1, kl_factor=0.5),
        ValueError,
        "kl_adaptive: kl_factor must be a finite number >= 1; got 0.5",
    ),
    (
        lambda: lk.kl_adaptive([0.1], 0.1, lr_factor=1.0),
        ValueError,
        "kl_adaptive: lr_factor must be a finite number > 1; got 1.0",
    ),
    (
        lambda: lk.kl_adaptive([0.1], 0.1, dialect="torch"),
        ValueError,
        "kl_adaptive: dialect must be 'skrl' or 'rsl_rl'; got 'torch'",
    ),
    (lambda: lk.kl_adaptive(["a"], 0.1), TypeError, "kl_adaptive: kl must be an array of float64, float32 or integers; got"),
    (lambda: lk.KLAdaptive(-0.1), ValueError, "KLAdaptive: start must be a finite number >= 0; got -0.1"),
    (lambda: lk.KLAdaptive(0.1).update([0.1, 0.2]), ValueError, "KLAdaptive.update: metric must be a single number; got"),
    (
        lambda: lk.KLAdaptive(0.1).load_state_dict({}),
        ValueError,
        "KLAdaptive.load_state_dict: state must be what state_dict returned",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), KL_BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_kl_adaptive_refuses(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


# ---------------------------------------------------------------------------------------------------------- loss_driven


def exact_loss_driven(row: np.ndarray, start: float, decay: float) -> list[float]:
    curve = lk.exponential(start, decay)  # whose values have tests of their own
    return [curve(t if t and row[t] < row[t - 1] else max(t - 1, 0)) for t in range(len(row))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("isa", lk.isas())
def test_loss_driven(isa: str, dtype: type) -> None:
    rows = losses(5, 1000, 3).astype(dtype)
    for threads, steps in itertools.product((1, 3), (0, 1, 2, 7, 8, 9, 33, 1000)):
        with running(isa, threads):
            found = lk.loss_driven(rows[:, :steps], 0.3, 0.99)
        wanted = np.array([exact_loss_driven(row[:steps], 0.3, 0.99) for row in rows]).reshape(5, steps)
        assert_same_bits(found, wanted, f"{steps} steps")
    assert 100 < np.count_nonzero(found[0] == lk.exponential(0.3, 0.99).table(1000)) < 900


def test_loss_driven_exactly() -> None:
    for t, lr in enumerate(lk.loss_driven([3.0, 2.0, 2.5, 1.0, math.nan, 0.5, 0.5, 0.1], 0.75, 0.5)):
        assert Fraction(lr) == Fraction(3, 4) / 2 ** (0, 1, 1, 3, 3, 4, 5, 7)[t]


def test_loss_driven_numbers_per_run() -> None:
    rows = losses(60, 50, 3).reshape(3, 20, 50)
    starts, decays = np.array([[0.1], [0.2], [0.1]]), np.linspace(0.5, 0.6, 20).round(1)
    out = np.empty((3, 20, 50))
    assert lk.loss_driven(rows, starts, decays, out=out) is out
    for i, j in np.ndindex(3, 20):
        assert_same_bits(out[i, j], np.array(exact_loss_driven(rows[i, j], starts[i, 0], decays[j])))
    assert lk.loss_driven(np.zeros((3, 0)), 0.1, 0.5).shape == (3, 0)
    assert lk.loss_driven(np.zeros((0, 3)), 0.1, 0.5).shape == (0, 3)


def test_loss_driven_from_loss_to_loss() -> None:
    row = losses(1, 200, 5)[0]
    wanted = lk.loss_driven(row, 0.3, 0.9)
    online = lk.LossDriven(0.3, 0.9)
    assert online.lr == 0.3
    for t, x in enumerate(row):
        assert online.count == t
        assert online.update(x) == wanted[t] == online.lr
        if t == 77:
            state = json.loads(json.dumps(online.state_dict(), allow_nan=False))
    online = lk.LossDriven(0.3, 0.9)
    online.load_state_dict(state)
    assert (online.count, online.lr) == (78, wanted[77])
    assert [online.update(x) for x in row[78:]] == wanted[78:].tolist()


# -------------------------------------------------------------------------------------------------------------- refine


@pytest.mark.parametrize("norm", ["l2", "l1"])
@pytest.mark.parametrize(
    ("n", "smoothing"), [(2, 0.0), (2, 1.0), (3, 1.0), (50, 0.0), (50, 0.1), (51, 0.5), (51, 1.0), (200, 0.03)]
)
def test_refine(n: int, smoothing: float, norm: str) -> None:
    rng = np.random.default_rng(n)
    norms = rng.lognormal(0, 1, n).round(2) + 0.01  # with ties
    exact = reference_scan.refined(norms.tolist(), 2 if norm == "l2" else 1, int(smoothing * n / 2))
    schedule = lk.refine(norms, norm, smoothing=smoothing)
    assert isinstance(schedule, lk.Schedule)
    found = schedule.table(n)
    for lr, value in zip(found.tolist(), exact, strict=True):
        assert abs(Fraction(lr) - value) <= Fraction(1, 2**53) * 6 * value
    assert found.max() == 1.0
    assert found[-1] == 0.0
    assert lk.refine(norms, norm, peak=0.25, smoothing=smoothing).table(n).tolist() == (found / 4).tolist()


def test_refine_of_constant_norms_is_linear_decay() -> None:
    n = 1025
    for norm in ("l1", "l2"):
        assert_same_bits(lk.refine([7.0] * n, norm).table(n), np.arange(1024, -1, -1) / 1024)


def test_refine_ignores_outliers_and_scale() -> None:
    norms = np.linspace(3.0, 1.0, 101)
    spiked = norms.copy()
    spiked[40] = 0.0
    spiked[60] = 1e300
    a, b = lk.refine(norms).table(101), lk.refine(spiked).table(101)
    assert np.abs(a / np.where(b, b, 1) - (b != 0)).max() < 0.05
    assert lk.refine(norms * 2.0**-600).table(101).tolist() == a.tolist()
    assert a.argmax() > 5, "falling norms warm up"


def test_running_median_is_numpys() -> None:
    rng = np.random.default_rng(4)
    for n, reach in [(1, 0), (2, 1), (7, 3), (64, 5), (64, 31), (65, 32), (1000, 100)]:
        x = rng.integers(0, 30, n).astype(float)
        padded = np.concatenate([np.full(reach, x[0]), x, x[::-1][1 : reach + 1]])
        wanted = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)
        assert_same_bits(_core.running_median(x, reach), wanted, f"{n}, {reach}")


def test_later_sums_are_compensated() -> None:
    assert _core.times_later_sum(np.array([3.0, 2.0**-53, 2.0**-53, 1.0]))[0] == 3 + 3 * 2.0**-52
    x = np.random.default_rng(1).random(3000) * 2.0 ** np.random.default_rng(2).integers(-40, 0, 3000)
    for i in (0, 1000, 2998, 2999):
        assert _core.times_later_sum(x)[i] == x[i] * math.fsum(x[i + 1 :])
