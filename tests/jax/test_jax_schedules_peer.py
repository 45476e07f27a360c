"""`lrkern.jax.schedule` and `table`: values against the schedules themselves, under every transformation of JAX."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

import lrkern as lk

jax = pytest.importorskip("jax")
jnp = jax.numpy
lj = pytest.importorskip("lrkern.jax")

pytestmark = pytest.mark.peers

SCHEDULES = [
    lk.constant(0.1),
    lk.cosine(0.1, 0.0, 1000),
    lk.cosine(3e-4, 3e-5, 100_000).warmup(2_000),
    lk.linear(1.0, 0.0, 2**31 + 5),
    lk.linear(1.0, 0.0, 2**40),
    lk.cosine(0.1, 0.0, 10**12),
    lk.wsd(0.1, 100, 1000, 1000),
    lk.warm_restarts(0.1, 0.0, 100),
    lk.warm_restarts(0.1, 0.0, 100, growth=1.5),
    lk.cyclic(0.1, 0.2, 100),
    lk.inverse_sqrt(0.1, 100),
    lk.noam(512, 4000),
    lk.exponential(0.1, 0.96, 100),
    lk.piecewise([0.1, 0.02], [100.5]),
    lk.one_cycle(0.1, 1000),
    lk.from_table([0.5, 0.25, 1.0]).repeat(3),
]
MAX_ULP = 1.5


def steps_of(s, last, rng):
    end = last if s.steps is not None or s.plan(10).period else 2**31 - 1
    powers = 2 ** np.arange(1, 53)
    some = np.concatenate([np.arange(3000), powers, powers + 1, powers - 1, rng.integers(0, end, 3000), [end]])
    return np.unique(some[some <= end])


def distance(found, s, steps):
    """In ULP of the values' type; values that are not normal numbers must be as small."""
    exact, info = s(steps), np.finfo(found.dtype)
    normal = np.abs(exact) > info.tiny
    assert np.all(np.abs(found[~normal]) <= 2 * info.tiny)
    unit = np.spacing(np.abs(exact[normal]).astype(found.dtype)).astype(np.float64)
    return np.max(np.abs(found[normal].astype(np.float64) - exact[normal]) / unit, initial=0.0)


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("s", SCHEDULES, ids=lambda s: repr(s)[:40])
def test_values(s, x64):
    rng = np.random.default_rng(3)
    steps = steps_of(s, 2**53 - 1 if x64 else 2**31 - 1, rng)
    with jax.enable_x64(True) if x64 else nullcontext():
        evaluate = jax.jit(lj.schedule(s))
        found = evaluate(jnp.asarray(steps))
        assert found.dtype == (np.float64 if x64 else np.float32)
        assert distance(np.asarray(found), s, steps) <= MAX_ULP
        few = steps[steps < 2**31].astype(np.int32)
        short = evaluate(jnp.asarray(few))  # int32 counts also where int64 exists
        assert np.array_equal(short, found[: len(few)])
        assert distance(np.asarray(lj.schedule(s, dtype="float32")(jnp.asarray(few))), s, few) <= MAX_ULP


def test_steps_beyond_the_integers_of_float32():
    s = lk.linear(1.0, 0.0, 2**25)
    lr = jax.jit(lj.schedule(s))
    t = jnp.asarray([2**25 - 1, 2**25 - 2, 2**25], jnp.int32)
    assert np.asarray(lr(t)).tolist() == [2.0**-25, 2.0**-24, 0.0]


def test_scalars_arrays_and_counts_of_every_type():
    s = lk.cosine(0.1, 0.0, 1000)
    lr = lj.schedule(s)
    one = lr(jnp.asarray(500))
    assert (one.shape, one.dtype, float(one)) == ((), np.float32, np.float32(s(500)))
    for dtype in ("int8", "uint8", "int16", "uint32", "float32"):
        assert float(lr(jnp.asarray(100, dtype))) == float(lr(jnp.asarray(100)))
    assert lr(jnp.ones((2, 3), int)).shape == (2, 3)
    assert float(lr(500)) == float(lr(np.int64(500))) == np.float32(s(500))
    assert abs(float(lr(jnp.asarray(500.5))) - s(500.5)) <= 1e-8
    assert np.isnan(lr(jnp.asarray(-1)))


def test_known_counts_are_those_of_the_schedule():
    """With x64 off; a schedule that repeats shows counts that wrap around."""
    s = lk.cosine(0.1, 0.0, 1000).repeat(1000)
    lr, far = lj.schedule(s), 2**32 + 5
    several = np.array([far, 7]), [far, 7], [[far], [7]], []
    for count in (far, np.int64(far), np.array(far), 2.0**40 + 0.5, np.float16(3), *several):
        found = lr(count)
        assert isinstance(found, jax.Array)
        assert np.array_equal(found, np.asarray(s(count), "f4"))
    assert np.array_equal(lr([jnp.asarray(5), 7]), lr(jnp.asarray([5, 7])))
    with pytest.raises(TypeError, match=r"^schedule: step must be a number or an array of numbers; got True"):
        lr(True)


def test_counts_that_cannot_be_give_nan():
    lr = lj.schedule(lk.cosine(0.1, 0.0, 1000).repeat(1000))
    for count in (-1, -0.5, np.int8(-1), 2**53 + 1, 2**80, np.nan, np.array(-1), np.array([-1, -2.0])):
        assert np.isnan(lr(count)).all()
    mixed = lr(np.array([-1, 5, 2**60]))
    assert np.isnan(mixed).tolist() == [True, False, True]
    assert mixed[1] == lr(5)
    floats = jnp.asarray([3e9, 2.0**31, 1e12, np.inf, np.nan, -0.5, -1e12, -np.inf])
    for evaluate in (lr, jax.jit(lr)):
        assert np.isnan(evaluate(floats)).all()
        assert np.isnan(evaluate(jnp.uint32(3_000_000_000)))
        assert evaluate(jnp.float32(2**31 - 128)) == evaluate(jnp.int32(2**31 - 128))
    with jax.enable_x64(True):
        wide = lj.schedule(lk.cosine(0.1, 0.0, 1000).repeat(1000))
        assert abs(wide(jnp.asarray(3e9 + 5)) - wide(3_000_000_005)) <= 1e-16
        assert np.isnan(wide(jnp.asarray([1e19, 2.0**63]))).all()


def test_counts_that_are_no_numbers_are_refused():
    lr = lj.schedule(lk.constant(0.1))
    for wrong in (jnp.complex64(1), jnp.asarray(True)):
        for evaluate in (lr, jax.jit(lr)):
            with pytest.raises(TypeError, match=rf"^schedule: count must be integers or floats; got {wrong.dtype} \(\)"):
                evaluate(wrong)


def test_counts_between_integers():
    s = lk.cosine(0.125, 0.0, 90).warmup(10)
    lr = lj.schedule(s)
    for evaluate in (lr, jax.jit(lr)):
        assert evaluate(jnp.asarray(5.5)) == s(5)  # a piece one step wide
        assert evaluate(jnp.asarray([5.5])).tolist() == [s(5)]
    assert jax.grad(lr)(5.5) == 0.0
    assert lr(5.5) == lr(np.array(5.5)) == np.float32(s(5.5)) == np.float32(0.06875)
    assert abs(lr(jnp.asarray(50.5)) - s(50.5)) <= 1e-8
    assert jax.grad(lr)(50.5) == pytest.approx(s(51) - s(50), rel=1e-4)


def test_strict_promotion():
    with jax.numpy_dtype_promotion("strict"):
        lr = lj.schedule(lk.cosine(0.1, 0.0, 100).repeat(100))
        for dtype in ("int8", "uint32", "float16", "bfloat16", "float32"):
            assert lr(jnp.asarray(5, dtype)) == lr(jnp.asarray(5))


def test_valid_counts_make_no_nan():
    s = lk.cosine(0.1, 0.0, 100)
    with jax.debug_nans(True):
        for one in (s, s.repeat(50)):
            for count in (jnp.asarray(5), jnp.asarray(5.0), jnp.arange(5)):
                assert np.isfinite(lj.schedule(one)(count)).all()
        with pytest.raises(FloatingPointError):
            lj.schedule(s)(jnp.asarray(-1))


def test_transformations():
    s = lk.cosine(0.1, 0.01, 900).warmup(100)
    lr = lj.schedule(s)
    t = jnp.arange(1200)
    direct = np.asarray(lr(t))
    assert np.array_equal(jax.vmap(lr)(t), direct)
    assert np.array_equal(jax.jit(jax.vmap(lr))(t), np.asarray(jax.jit(lr)(t)))
    _, scanned = jax.lax.scan(lambda count, _: (count + 1, lr(count)), jnp.asarray(0), length=1200)
    assert np.max(np.abs(scanned - direct)) <= 2 * np.spacing(np.float32(0.1))
    assert float(jax.lax.fori_loop(0, 3, lambda i, total: total + lr(i), 0.0)) == pytest.approx(s(1) + s(2))
    assert float(jax.grad(lambda x: lr(x) * 2.0)(50.0)) == pytest.approx(0.002)
    static = jax.jit(lambda f, count: f(count), static_argnums=0)
    assert float(static(lr, 10)) == float(static(lj.schedule(lk.cosine(0.1, 0.01, 900).warmup(100)), 10))
    assert static._cache_size() == 1


def test_in_optax():
    optax = pytest.importorskip("optax")
    s = lk.linear(0.5, 0.0, 4)
    p = jnp.ones(2)
    for tx in (
        optax.sgd(lj.schedule(s)),
        optax.inject_hyperparams(optax.sgd)(learning_rate=lj.schedule(s)),
        optax.chain(optax.scale_by_schedule(lj.schedule(s)), optax.scale(-1.0)),
        optax.sgd(optax.join_schedules([lj.schedule(s), lj.schedule(s)], [2])),
    ):
        state, params = tx.init(p), p
        step = jax.jit(tx.update)
        for _ in range(2):
            updates, state = step(jnp.ones(2), state, params)
            params = optax.apply_updates(params, updates)
        assert params.tolist() == [1 - 0.5 - 0.375] * 2


def test_joined_by_optax():
    """All members are evaluated, at counts from their own beginning."""
    optax = pytest.importorskip("optax")
    joined = optax.join_schedules([optax.constant_schedule(0.25), lj.schedule(lk.linear(0.5, 0.0, 4))], [10])
    arrays = (lambda count: joined(jnp.asarray(count))), (lambda count: joined(np.asarray(count)))
    for evaluate in (joined, jax.jit(joined), *arrays):
        assert [float(evaluate(count)) for count in (5, 9, 10, 11)] == [0.25, 0.25, 0.5, 0.375]


def test_eager_updates_make_no_nan():
    optax = pytest.importorskip("optax")
    s, p = lk.cosine(0.1, 0.0, 100), jnp.ones(2)
    for tx in (optax.adamw(lj.schedule(s)), lj.transform(lk.AdamW, lr=s), optax.inject_hyperparams(optax.sgd)(lj.schedule(s))):
        with jax.debug_nans(True):
            updates, _ = tx.update(p, tx.init(p), p)
        assert np.all(updates < -0.05)


def test_schedules_without_an_end():
    lr = lj.schedule(lk.inverse_sqrt(0.1, 100), horizon=1000)
    assert np.isfinite(lr(jnp.asarray(999)))
    assert np.isnan(lr(jnp.asarray(100_000)))
    stairs, t = lk.step_decay(0.1, 0.5, 30), np.arange(1000)
    found = lj.schedule(stairs, horizon=1000)
    assert np.array_equal(found(jnp.asarray(t)), stairs(t).astype("f4"))
    assert len(found._made[next(iter(found._made))].anchor) == 34  # one piece per stair


def test_horizons_that_are_chosen():
    """A plan is joined from several where one would have too many pieces."""
    stairs = lk.step_decay(0.1, 0.99, 300)
    message = r"^schedule: values from step 19,660,800 on are NaN, as step_decay\(.*; horizon= chooses the number of steps"
    with pytest.warns(UserWarning, match=message) as told:
        found = lj.schedule(stairs)
    assert [one.filename for one in told] == [__file__]
    t = np.r_[0, np.arange(65_530, 65_600), np.arange(131_070, 131_075), np.arange(2**20 - 300, 2**20)]
    assert np.array_equal(found(jnp.asarray(t)), stairs(t).astype("f4"))
    assert len(set(np.asarray(found(jnp.asarray(t))).tolist())) > 3
    end = int(found._plan.breaks[-1])
    assert 2**20 <= end < 2**25
    assert np.isnan(found(jnp.asarray(end)))
    longer = lj.schedule(stairs, horizon=end + 1)
    assert longer(jnp.asarray(end)) == np.float32(stairs(end))
    cycles = lk.cyclic(0.0, 1.0, 10, mode="exp_range", gamma=0.9999)
    message = r"^schedule: horizon must be at most 196608, the steps that a plan of 131072 pieces covers; got None for cyclic"
    with pytest.raises(ValueError, match=message):
        lj.schedule(cycles)
    t = np.arange(100_000, 150_000, 7)
    expected, values = cycles(t), np.asarray(lj.schedule(cycles, horizon=150_000)(jnp.asarray(t)))
    ulps = np.abs(values.astype("f8") - expected) / np.spacing(expected.astype("f4"))
    assert ulps.max() < 1.5


def test_table():
    s = lk.cosine(0.1, 0.0, 1000)
    found = lj.table(s, 100, start=50)
    assert isinstance(found, jax.Array)
    assert np.array_equal(found, s.table(100, 50, np.float32))
    with jax.enable_x64(True):
        assert np.array_equal(lj.table(s, 100), s.table(100))
        assert lj.table(s, 3, dtype="float32").dtype == np.float32
    with pytest.raises(ValueError, match=r"^table: n must be"):
        lj.table(s, -1)


def test_bad_arguments():
    with pytest.raises(TypeError, match=r"^schedule: s must be a Schedule; got 0.1"):
        lj.schedule(0.1)
    with pytest.raises(TypeError, match=r"^table: s must be a Schedule; got 0.1"):
        lj.table(0.1, 3)
    with pytest.raises(TypeError, match=r"^schedule: dtype must be float32, because jax_enable_x64 is off; got float64$"):
        lj.schedule(lk.constant(0.1), dtype="float64")
    with pytest.raises(TypeError, match=r"^schedule: dtype must be float32 or float64; got 'float16'"):
        lj.schedule(lk.constant(0.1), dtype="float16")


def test_repr_and_equality():
    lr = lj.schedule(lk.constant(0.1))
    assert repr(lr) == "lrkern.jax.schedule(constant(0.1))"
    assert lr == lj.schedule(lk.constant(0.1)) != lj.schedule(lk.constant(0.2))
    assert lr != "lr"
