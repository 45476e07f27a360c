"""`lrkern.keras.Schedule` on the backend of this process: `test_every_backend_peer` runs these tests on the others."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pytest

import lrkern as lk

os.environ.setdefault("KERAS_BACKEND", "torch" if importlib.util.find_spec("torch") else "jax")
keras = pytest.importorskip("keras")
lkk = pytest.importorskip("lrkern.keras")

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

SCHEDULES = [
    lk.constant(0.1),
    lk.cosine(0.1, 0.0, 1000).warmup(10),
    lk.linear(1.0, 0.0, 2**40),
    lk.warm_restarts(0.1, 0.0, 100),
    lk.inverse_sqrt(0.1, 100),
    lk.piecewise([0.1, 0.02], [100.5]),
    lk.from_table([0.5, 0.25, 1.0]),
]
IDS = [repr(s)[:40] for s in SCHEDULES]
MAX_ULP = 1.5


def numbers(x):
    return keras.ops.convert_to_numpy(x)


def tensor(x, dtype=None):
    return keras.ops.convert_to_tensor(np.asarray(x), dtype)


def small_model(optimizer):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def data(rng, n=64):
    x = rng.standard_normal((n, 4)).astype("f4")
    return x, x.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("s", SCHEDULES, ids=IDS)
def test_values(s):
    rng = np.random.default_rng(4)
    steps = np.unique(
        np.concatenate([np.arange(1200), 2 ** np.arange(31), 2 ** np.arange(30) + 1, rng.integers(0, 2**31, 500)])
    )
    found, exact = numbers(lkk.Schedule(s)(tensor(steps, "int32"))), s(steps)
    assert found.dtype == np.float32
    distance = np.abs(found.astype(np.float64) - exact) / np.spacing(exact.astype(np.float32)).astype(np.float64)
    assert np.max(distance[exact > 1e-37]) <= MAX_ULP
    one = lkk.Schedule(s)(tensor(500, "int32"))
    assert (tuple(one.shape), float(numbers(one))) == ((), found[list(steps).index(500)])


def test_float64():
    keras.config.set_floatx("float64")
    try:
        s = lk.cosine(0.1, 0.0, 1000)
        found = numbers(lkk.Schedule(s)(tensor(np.arange(1001), "int32")))
    finally:
        keras.config.set_floatx("float32")
    if found.dtype == np.float32:
        assert keras.backend.backend() == "jax"  # which has float64 only on request
    else:
        assert np.max(np.abs(found[:-1] - s.table(1000)) / np.spacing(s.table(1000))) <= MAX_ULP
        assert found[-1] == 0.0


def test_steps_beyond_the_integers_of_float32():
    lr = lkk.Schedule(lk.linear(1.0, 0.0, 2**25))
    assert numbers(lr(tensor([2**25 - 1, 2**25 - 2, 2**25], "int32"))).tolist() == [2.0**-25, 2.0**-24, 0.0]
    if keras.backend.backend() != "jax":
        lr = lkk.Schedule(lk.linear(1.0, 0.0, 2**40))
        assert numbers(lr(tensor([2**40 - 1, 2**40 - 3], "int64"))).tolist() == [2.0**-40, 3 * 2.0**-40]


def test_numbers_and_steps_between_integers():
    lr = lkk.Schedule(lk.linear(1.0, 0.0, 1024))
    assert float(numbers(lr(256))) == 0.75
    assert float(numbers(lr(tensor(384.5, "float32")))) == 1 - 384.5 / 1024
    assert np.isnan(numbers(lr(tensor(-1, "int32"))))


def test_known_steps_are_those_of_the_schedule():
    """A schedule that repeats shows steps that wrap around."""
    s = lk.cosine(0.1, 0.0, 1000).repeat(1000)
    lr, far = lkk.Schedule(s), 2**32 + 5
    for step in (far, np.int64(far), np.array(far), np.array([far, 7]), [far, 7], 2.0**40 + 0.5, np.float16(3)):
        found = numbers(lr(step))
        assert (found.dtype, found.tolist()) == (np.float32, np.asarray(s(step), "f4").tolist())
    for wrong in (tensor([True]), tensor([1j], "complex64")):
        with pytest.raises(TypeError, match=r"^Schedule: step must be integers or floats; got (bool|complex64) \(1,\)$"):
            lr(wrong)


def test_steps_that_cannot_be_give_nan():
    lr = lkk.Schedule(lk.cosine(0.1, 0.0, 1000).repeat(1000))
    for step in (-1, -0.5, 2**53 + 1, 2**80, np.nan, np.array([-1, -2.0])):
        assert np.isnan(numbers(lr(step))).all()
    floats = [1e20, np.inf, np.nan, -0.5, -1e12, -np.inf]
    if keras.backend.backend() == "jax":  # whose integers end at 2^31 - 1
        floats += [3e9, 2.0**31]
    for step in (floats, *floats):
        assert np.isnan(numbers(lr(tensor(step, "float32")))).all()


def test_steps_between_integers_are_the_same_on_all_paths():
    s = lk.cosine(0.125, 0.0, 90).warmup(10)
    lr = lkk.Schedule(s)
    for dtype in ("float16", "float32"):
        one, several = (numbers(lr(tensor(step, dtype))) for step in (5.5, [5.5, 5.0, 50.5]))
        assert (one.dtype, float(one)) == (np.float32, s(5))  # a piece one step wide
        assert several[:2].tolist() == [s(5), s(5)]
        assert abs(several[2] - s(50.5)) <= 1e-8
        assert abs(numbers(lr(tensor(50.5, dtype))) - several[2]) <= 1e-8
    assert float(numbers(lr(5.5))) == float(numbers(lr(np.array(5.5)))) == np.float32(s(5.5))


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="has no check for NaN")
def test_valid_steps_make_no_nan():
    import jax

    with jax.debug_nans(True):
        for step in (tensor(5), tensor([5.0, 7.0])):
            assert np.isfinite(numbers(lkk.Schedule(lk.cosine(0.1, 0.0, 100))(step))).all()


def test_a_model_follows_it_and_is_saved_with_it(tmp_path):
    s = lk.linear(0.125, 0.0, 100).warmup(4)
    rng = np.random.default_rng(5)
    x, y = data(rng)
    model = small_model(keras.optimizers.SGD(lkk.Schedule(s), momentum=0.5))
    begin = [np.array(one) for one in model.get_weights()]
    model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0)
    assert float(numbers(model.optimizer.learning_rate)) == pytest.approx(s(16), rel=1e-6)

    # The same by hand, with lrkern's SGD in Keras' convention.
    params = [one.copy() for one in begin]
    opt = lk.SGD(params, lr=s, momentum=0.5, convention="keras")
    for _ in range(2):
        for i in range(0, 64, 8):
            error = x[i : i + 8] @ params[0] + params[1] - y[i : i + 8]
            opt.step([x[i : i + 8].T @ error / 4, error.sum(axis=0) / 4])
    for own, other in zip(params, model.get_weights(), strict=True):
        assert np.max(np.abs(own - other)) < 1e-5

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer._learning_rate.schedule == s
    for one in (model, loaded):
        one.fit(x, y, epochs=1, batch_size=8, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_the_end_of_the_horizon_is_the_same_on_all_paths():
    s = lk.step_decay(0.1, 0.99, 300)
    with pytest.warns(UserWarning, match=r"^Schedule: values from step 19,660,800 on are NaN, as step_decay\(.*; horizon= "):
        lr = lkk.Schedule(s)
    last = 19_660_799
    one, several = (numbers(lr(tensor(steps, "int32"))) for steps in (last + 1, [last, last + 1]))
    assert np.isnan(one)
    assert (float(several[0]), np.isnan(several[1])) == (np.float32(s(last)), True)
    assert numbers(lr(tensor(last, "int32"))) == several[0]
    assert numbers(lr(last + 1)) == np.float32(s(last + 1))  # a number is no tensor


def test_equality():
    s = lk.constant(0.1)
    assert lkk.Schedule(s) == lkk.Schedule("constant(0.1)") != lkk.Schedule(lk.constant(0.2))
    assert hash(lkk.Schedule(s)) == hash(lkk.Schedule(s))
    assert lkk.Schedule(s) != lkk.Schedule(s, horizon=10)
    assert lkk.Schedule(s) != s


@pytest.mark.parametrize(("kind", "is_scaled"), [("h5", False), ("keras", True)])
def test_the_old_file_format_and_a_scaled_loss(tmp_path, kind, is_scaled):
    """With a LossScaleOptimizer the schedule is that of the inner one, whose count Keras does not store in the old format."""
    s = lk.linear(0.125, 0.0, 100).warmup(4)
    x, y = data(np.random.default_rng(5))
    optimizer = keras.optimizers.SGD(lkk.Schedule(s))
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.LossScaleOptimizer(optimizer) if is_scaled else optimizer, keras.losses.MeanSquaredError())
    model.fit(x, y, epochs=1, batch_size=8, verbose=0)
    assert float(numbers(model.optimizer.learning_rate)) == pytest.approx(s(8), rel=1e-6)
    model.save(tmp_path / f"model.{kind}")
    loaded = keras.models.load_model(tmp_path / f"model.{kind}").optimizer
    assert (loaded.inner_optimizer if is_scaled else loaded)._learning_rate == lkk.Schedule(s)
    assert float(numbers(loaded.learning_rate)) == pytest.approx(s(8), rel=1e-6)


@pytest.mark.parametrize("s", SCHEDULES, ids=IDS)
def test_configuration(s):
    lr = lkk.Schedule(s, horizon=10_000)
    config = lr.get_config()
    again = lkk.Schedule.from_config(config)
    assert (again.schedule, again.horizon) == (s, 10_000)
    record = keras.saving.serialize_keras_object(lr)
    assert (record["registered_name"], record["config"]) == ("lrkern>Schedule", config)
    assert keras.saving.deserialize_keras_object(record).schedule == s
    assert repr(lr) == f"lrkern.keras.Schedule({s!r})"


def test_bad_arguments():
    with pytest.raises(TypeError, match=r"^Schedule: schedule must be a Schedule; got 0.1"):
        lkk.Schedule(0.1)
    with pytest.raises(ValueError, match=r"^parse: "):
        lkk.Schedule("cosine(0.1, 0.0")
    with pytest.raises(ValueError, match=r"^Schedule: horizon must be at most 196608, the steps that a plan of "):
        lkk.Schedule(lk.cyclic(0.0, 1.0, 10, mode="exp_range", gamma=0.9999))
