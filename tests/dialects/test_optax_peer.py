"""dialects.optax against optax itself in float64 over random arguments."""

from __future__ import annotations

import inspect

import dialect_checks as checks
import numpy as np
import pytest

from lrkern.dialects import optax as O

jax = pytest.importorskip("jax")
peer = pytest.importorskip("optax")

pytestmark = pytest.mark.peers
STEPS = 130


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def compare(name, *args, terms=0.0, **kwargs):
    what = f"{name}{args}{kwargs}"
    times = checks.times(what, STEPS)
    ours = checks.at(getattr(O, name)(*args, **kwargs), times)
    # vmap: some of optax' schedules take one step at a time
    theirs = np.concatenate(
        [
            jax.vmap(lambda t: getattr(peer, name)(*args, **kwargs)(t) * jax.numpy.float64(1))(jax.numpy.array(some))
            for some in (times[:STEPS], times[STEPS:])  # integers, and fractions
        ]
    )
    assert theirs.dtype == np.float64
    checks.assert_agree(ours, theirs, terms=terms, what=what)


def test_every_schedule_is_there():
    theirs = {n for n, f in vars(peer.schedules).items() if inspect.isfunction(f) and not n.startswith("inject")}
    assert theirs == set(O.__all__)


@pytest.mark.parametrize("seed", range(25))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    a, b, c = (float(10 ** rng.uniform(-4, 0)) for _ in range(3))
    steps, begin = int(rng.integers(1, 120)), int(rng.integers(-3, 20))
    rate = float(rng.uniform(0.1, 1.3))
    top = a + b + c
    compare("constant_schedule", a)
    compare("polynomial_schedule", a, b, float(rng.uniform(0.3, 3)), steps, begin, terms=top)
    compare("linear_schedule", a, b, steps, begin, terms=top)
    for stairs in (False, True):
        end = None if rng.integers(2) else a * rate ** float(rng.uniform(0.5, 3))
        compare("exponential_decay", a, int(rng.integers(1, 40)), rate, begin, stairs, end)
        compare(
            "warmup_exponential_decay_schedule",
            a,
            b,
            int(rng.integers(1, 40)),
            int(rng.integers(1, 40)),
            rate,
            begin,
            stairs,
            terms=top,
        )
    exponent = float(rng.choice([1.0, 2.0, 0.5, 1.5, rng.uniform(0.2, 3)]))
    lost = 40 * float(max(exponent, 1 / exponent))  # 1 + cos loses digits, and the power multiplies what is lost
    compare("cosine_decay_schedule", a, steps, float(rng.uniform(0, 0.5)), 1.0, terms=top)
    alpha = float(rng.uniform(0.1, 0.5))
    compare("cosine_decay_schedule", a, min(steps, 50), alpha, exponent, terms=top * (lost if exponent >= 1 else 1e4))
    warmup = int(rng.integers(0, steps))
    if warmup == 0:  # optax' warm-up of no steps has the constant init_value, which is never in force
        warmup = 0
    compare("warmup_cosine_decay_schedule", a, b, warmup, steps + 1, c, terms=top)
    compare("warmup_constant_schedule", a, b, warmup, terms=top)
    table = {int(k): float(rng.uniform(0, 2)) for k in rng.integers(1, 120, 4)}
    compare("piecewise_constant_schedule", a, table)
    compare("piecewise_interpolate_schedule", "linear", a, table, terms=top * 16)
    compare("piecewise_interpolate_schedule", "cosine", a, table, terms=top * 16)
    long = int(rng.integers(20, 128))
    pct = float(rng.uniform(0.1, 0.6))
    compare("linear_onecycle_schedule", long, a, pct, float(rng.uniform(pct + 0.1, 0.9)), 7.0, 30.0, terms=a)
    compare("cosine_onecycle_schedule", long, a, pct, float(rng.uniform(2, 50)), 30.0, terms=a)
    cycle = [
        {"init_value": a * k, "peak_value": b, "warmup_steps": 3 * k, "decay_steps": 10 + 13 * k, "end_value": 0.01}
        for k in range(3)
    ]
    compare("sgdr_schedule", cycle, terms=top)


def test_join_schedules():
    parts = [("linear_schedule", (0.1, 0.3, 10)), ("cosine_decay_schedule", (0.3, 40)), ("constant_schedule", (0.01,))]
    times = checks.times("join_schedules", STEPS)
    ours = checks.at(O.join_schedules([getattr(O, n)(*a) for n, a in parts], [15, 60]), times)
    theirs = peer.join_schedules([getattr(peer, n)(*a) for n, a in parts], [15, 60])
    checks.assert_agree(ours, [float(theirs(t)) for t in times], terms=0.3)


def test_float32():
    """As people run it, in float32: within a few roundings of that."""
    with jax.enable_x64(False):
        theirs = np.asarray(peer.warmup_cosine_decay_schedule(0.0, 3e-4, 20, 120, 3e-5)(jax.numpy.arange(STEPS)))
    assert theirs.dtype == np.float32
    ours = O.warmup_cosine_decay_schedule(0.0, 3e-4, 20, 120, 3e-5).table(STEPS)
    checks.assert_agree(ours, theirs, relative=0.0, terms=3e-4, eps=2.0**-24, roundings=8)


def test_duplicate_boundaries():
    """The difference listed in the documentation: a one-cycle of two steps has its peak at step 0, and optax loses it."""
    theirs = peer.linear_onecycle_schedule(2, 1.0, 0.3, 0.4)
    assert float(theirs(0)) < 0.1
    assert O.linear_onecycle_schedule(2, 1.0, 0.3, 0.4)(1) == pytest.approx(0.5 * (1 / 25 + 1 / 250_000))
