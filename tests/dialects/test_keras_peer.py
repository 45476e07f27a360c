"""dialects.keras against keras itself over random arguments: in float64, and in its own float32."""

from __future__ import annotations

import os

import dialect_checks as checks
import numpy as np
import pytest

from lrkern.dialects import keras as K

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch")
keras = pytest.importorskip("keras")

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]
STEPS = 130


@pytest.fixture(autouse=True)
def _float64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


def run(schedule, steps=range(STEPS)):
    return np.array([float(keras.ops.convert_to_numpy(schedule(t))) for t in steps])


def compare(name, *args, terms=0.0, **kwargs):
    what = f"{name}{args}{kwargs}"
    # keras' PolynomialDecay takes the smaller of two numbers in float32: times that it can hold
    times = [t if isinstance(t, int) else float(np.float32(t)) for t in checks.times(what, STEPS)]
    ours = checks.at(getattr(K, name)(*args, **kwargs), times)
    theirs = run(getattr(keras.optimizers.schedules, name)(*args, **kwargs), times)
    checks.assert_agree(ours, theirs, terms=terms, what=what)


def test_every_schedule_is_there():
    theirs = {n for n, c in vars(keras.optimizers.schedules).items() if isinstance(c, type)}
    assert theirs - {"LearningRateSchedule"} == set(K.__all__)


@pytest.mark.parametrize("seed", range(25))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    a, b = (float(10 ** rng.uniform(-4, 0)) for _ in range(2))
    steps, rate = int(rng.integers(1, 120)), float(rng.uniform(0.1, 1.3))
    for stairs in (False, True):
        compare("ExponentialDecay", a, steps, rate, stairs)
        compare("InverseTimeDecay", a, steps, rate, stairs)
    at = sorted(int(x) for x in rng.choice(120, 4, replace=False))
    compare("PiecewiseConstantDecay", at, [float(x) for x in rng.uniform(0, 1, 5)])
    power = float(rng.uniform(0.5, 3))
    compare("PolynomialDecay", a, steps, b, power, terms=a + b)
    # with cycle 1 - p is left over from 1: a power below 1 makes much of what was rounded there
    compare("PolynomialDecay", a, steps, b, max(power, 1.0), cycle=True, terms=a + b)
    compare("PolynomialDecay", a, steps + 0.375, b, max(power, 1.0), cycle=True, terms=a + b)
    alpha = float(rng.uniform(0, 0.5))
    compare("CosineDecay", a, steps, alpha, terms=a)
    compare("CosineDecay", b, steps, alpha, warmup_target=a, warmup_steps=int(rng.integers(1, 40)), terms=a + b)
    compare("CosineDecayRestarts", a, steps, 1.0, float(rng.uniform(0.5, 1.2)), alpha, terms=a)
    # where the cycles grow keras takes logarithms; a factor that is no nice number has no restart on a step
    compare(
        "CosineDecayRestarts", a, max(steps, 3), float(rng.uniform(1.1, 2.5)), float(rng.uniform(0.5, 1.2)), alpha, terms=20 * a
    )


def test_float32():
    keras.config.set_floatx("float32")
    theirs = run(keras.optimizers.schedules.CosineDecay(1e-5, 100, 0.1, warmup_target=3e-4, warmup_steps=20))
    assert np.array_equal(theirs, theirs.astype(np.float32))
    ours = K.CosineDecay(1e-5, 100, 0.1, warmup_target=3e-4, warmup_steps=20).table(STEPS)
    checks.assert_agree(ours, theirs, relative=0.0, terms=3e-4, eps=2.0**-24, roundings=8)


def test_steps_beyond_float32():
    """The difference listed in the documentation: keras casts the step to the dtype of the rate."""
    keras.config.set_floatx("float32")
    theirs = run(keras.optimizers.schedules.PolynomialDecay(1.0, 2**24 + 2, 0.0), [2**24, 2**24 + 1])
    assert theirs[0] == theirs[1]
    ours = K.PolynomialDecay(1.0, 2**24 + 2, 0.0)
    assert ours(2**24) == 2 * ours(2**24 + 1) > 0.0
