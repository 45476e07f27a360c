"""lrkern.numba inside compiled functions, and the backend "numba": the bits of the C kernels."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import cases
import golden
import numpy as np
import pytest
from concurrency import run_concurrently, ticks_during
from numba import njit, prange
from reference_steps import BF16, F16, F32, F64
from step_arrays import fitting

import lrkern as lk
import lrkern.numba as ln
from lrkern import _core
from lrkern.rules.compiled import FAMILIES

ROOT = Path(__file__).parents[2]
PLAN_TEXTS = [
    "cosine(0.1, 0.0, 1000).warmup(10)",
    "cyclic(0.0, 1.0, 10)",
    "cosine(1e-310, 0.0, 1000)",
    "linear(0.0, 1.0, 10**12)",
]
STEPS = np.array([0, 1, 9, 10, 11, 500, 999, 1009, 1010, 10**6, 2**31, 10**12, 2**53], np.int64)


def unsigned(array):
    """Bits, with one pattern for all NaNs."""
    flat = np.ravel(array, order="K")
    if flat.dtype.kind in "iu":
        return flat
    return np.where(np.isnan(flat), flat.view(f"u{flat.itemsize}").dtype.type(0x7FC0), flat.view(f"u{flat.itemsize}"))


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and unsigned(a).tobytes() == unsigned(b).tobytes()


# ------------------------------------------------------------------------------------------------------------- schedules


@njit(fastmath=True)
def look_up(plan, steps, out):
    for i in range(steps.size):
        out[i] = ln.at(plan, steps[i])


@pytest.mark.parametrize("text", PLAN_TEXTS)
def test_at_gives_the_bits_of_a_call(text):
    schedule = lk.parse(text)
    plan, out = schedule.plan(), np.empty(STEPS.size)
    for steps in (STEPS, STEPS.astype(np.float64), STEPS[:9].astype(np.int32)):
        look_up(plan, steps, out)
        assert same(out[: steps.size], schedule(steps.astype(np.int64)))
    assert len(np.unique(out)) > 1


def test_at_is_nan_where_the_plan_ends():
    plan = lk.exponential(0.1, 0.99).plan(100)
    last = int(plan.breaks[-1])
    assert not np.isnan(ln.at(plan, last - 1))
    for step in (-1, last, 2**53, -0.5, float("nan"), float("inf")):
        assert np.isnan(ln.at(plan, step))
    assert np.isnan(ln.at(lk.constant(0.1).plan(), 2**53 + 1))


def test_at_between_integers():
    """Close to the curve where it is smooth; where every step is a piece, the value before."""
    schedule = lk.cosine(0.1, 0.01, 100_000)
    t = np.random.default_rng(0).uniform(0, 100_000, 1000)
    out = np.empty(t.size)
    look_up(schedule.plan(), t, out)
    assert np.abs(out.view(np.int64) - schedule(t).view(np.int64)).max() <= 2
    assert ln.at(lk.from_table([1.0, 2.0, 3.0]).plan(), 1.75) == 2.0


def table_or_error(schedule, n, start, dtype, backend):
    try:
        return schedule.table(n, start, dtype, backend=backend).tobytes()
    except OverflowError as error:
        return str(error)


@pytest.mark.parametrize("part", range(4))
def test_tables_have_the_bits_of_c(part):
    """Of every case, at its windows."""
    for case in cases.CASES[part::4]:
        schedule = case.build(lk)
        for k, (start, n) in enumerate(golden.windows(schedule)):
            dtype = (np.float64, np.float32)[(k + part) % 2]
            mine, theirs = (table_or_error(schedule, n, start, dtype, backend) for backend in ("numba", "c"))
            assert mine == theirs, (case.text, start, n, dtype)


@pytest.mark.parametrize("text", [text for text in golden.LARGE_TEXTS if "staircase" not in text])
def test_large_tables_by_threads(text):
    schedule = lk.parse(text)
    for start in (0, 777):
        assert same(schedule.table(300_001, start, backend="numba"), schedule.table(300_001, start))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("offset", [0, 1, 5])
def test_tables_beyond_the_caches(dtype, offset):
    n = 2_200_003  # 8 MB and more are streamed; the array does not begin at a cache line
    for schedule in (lk.cosine(0.1, 1e-3, n), lk.step_decay(0.1, 0.5, 1000), lk.cyclic(0.001, 0.1, 37), lk.constant(0.3)):
        mine, theirs = (np.full(n + 16, 7, dtype) for _ in range(2))
        schedule.table(n, out=mine[offset : n + offset], backend="numba")
        schedule.table(n, out=theirs[offset : n + offset])
        assert mine.tobytes() == theirs.tobytes()


def test_a_large_table_into_memory_that_is_not_aligned():
    n = 2_200_003
    out = np.frombuffer(bytearray(4 * n + 64), np.float32, n, 3)
    schedule = lk.cosine(0.1, 1e-3, n)
    assert same(schedule.table(out=out, n=n, backend="numba"), schedule.table(n, dtype=np.float32))


def test_tables_of_many_schedules():
    schedules = [lk.cosine(0.1, 0.0, 100 * k + 1).warmup(k) for k in range(5)]
    assert same(lk.tables(schedules, 333, 5, np.float32, backend="numba"), lk.tables(schedules, 333, 5, np.float32))
    with pytest.raises(OverflowError, match=r"tables: the value of schedules\[1\] at step 1024"):
        lk.tables([schedules[0], lk.exponential(1.0, 2.0)], 2000, backend="numba")


def test_fill_takes_any_shape_and_start():
    schedule = lk.exponential(0.1, 0.999)
    plan, out = schedule.plan(1000), np.full((3, 5, 7), 9.0, np.float32)
    ln.fill(plan, out, 17)
    assert same(out.ravel(), schedule.table(105, 17, np.float32))
    before = np.full(10, 9.0)
    ln.fill(plan, before, -4)
    assert np.isnan(before[:4]).all()
    assert same(before[4:], schedule.table(6))
    beyond = np.full(10, 9.0)
    last = int(plan.breaks[-1])
    ln.fill(plan, beyond, last - 3)
    assert np.isnan(beyond[3:]).all()
    assert same(beyond[:3], schedule.table(3, last - 3))
    ln.fill(plan, np.empty((0, 3)))


def test_fill_from_a_float_is_at():
    plan, out = lk.cosine(0.1, 0.0, 1000).plan(), np.full(5, 9.0)
    for start in (2.0, 2.5, -2.5, -2.0, float("nan"), float("inf"), 2.0**53 - 5, 1e300):
        ln.fill(plan, out, start)
        assert same(out, np.array([ln.at(plan, start + i) for i in range(5)])), start
    with pytest.raises(Exception, match="start must be an integer or a float; got"):
        ln.fill(plan, out, True)
    with pytest.raises(Exception, match="out must be float64 or float32; got"):
        ln.fill(plan, np.zeros(5, np.int64), 2)


@njit(parallel=True)
def fill_by_threads(plan, out, parts):
    for k in prange(parts):
        begin, end = k * out.size // parts, (k + 1) * out.size // parts
        ln.fill(plan, out[begin:end], begin)


def test_fill_in_a_parallel_loop():
    schedule, out = lk.cosine(0.1, 0.0, 100_000), np.empty(100_000)
    fill_by_threads(schedule.plan(), out, 7)
    assert same(out, schedule.table(100_000))


# ----------------------------------------------------------------------------------------------------------------- steps

# name -> number of states, options, whether it takes a count
FUNCTIONS = {
    "sgd_step": (1, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}, False),
    "adam_step": (2, {"lr": 0.01, "eps": 1e-3, "convention": "keras"}, True),
    "adamw_step": (3, {"lr": 0.01, "weight_decay": 0.1, "convention": "optax"}, True),
    "lion_step": (1, {"lr": 0.01, "weight_decay": 0.1}, False),
    "rmsprop_step": (3, {"lr": 0.01, "momentum": 0.9}, False),
    "adagrad_step": (1, {"lr": 0.1, "lr_decay": 0.1}, True),
    "lars_step": (1, {"lr": 0.5, "weight_decay": 0.1, "nesterov": True}, False),
    "lamb_step": (2, {"lr": 0.01, "weight_decay": 0.1, "convention": "keras"}, True),
}


def numbers(dtype, shape, seed):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * 2.0 ** rng.integers(-8, 4, shape)).astype(dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_step_functions_have_the_bits_of_c(name):
    states, options, counts = FUNCTIONS[name]
    arrays = [numbers(np.float32, (7, 11, 3), k) for k in range(2)] + [np.zeros((7, 11, 3), np.float32) for _ in range(states)]
    twins = [array.copy() for array in arrays]
    for n in range(3):
        more = {"count": n} if counts else {}
        getattr(ln, name)(*arrays, **options, **more)
        getattr(lk, name)(*twins, **options, **more)
    assert all(same(*pair) for pair in zip(arrays, twins, strict=True))
    assert not np.array_equal(arrays[0], numbers(np.float32, (7, 11, 3), 0))


@njit(fastmath=True)
def one_step(param, grad, buffer, lr, first):
    ln.sgd_step(param, grad, buffer, lr=lr, momentum=0.9, first=first)


BITS = {F64: np.float64, F32: np.float32, BF16: np.uint16, F16: np.int16}


VECTORS = [((0,), "C"), ((97,), "C")]  # compiled once; other numbers of axes and memory orders are compiled again


@pytest.mark.parametrize(
    ("param", "grad", "state", "shapes"),
    [
        (F64, F32, F64, [((40, 5), "F")]),
        (BF16, BF16, BF16, VECTORS),
        pytest.param(F16, F16, F32, [((), "C")], marks=pytest.mark.exhaustive),
        pytest.param(F64, F32, F64, [((), "C"), *VECTORS], marks=pytest.mark.exhaustive),
        pytest.param(F16, F16, F32, VECTORS, marks=pytest.mark.exhaustive),
    ],
)
def test_storage_inside_compiled_code(param, grad, state, shapes):
    for shape, order in shapes:
        p, g = (np.asarray(numbers(one, shape, k), order=order) for k, one in enumerate((param, grad)))
        b = np.zeros_like(p, dtype=state)
        twins = [one.copy("K") for one in (p, g, b)]
        for first in (True, False):
            one_step(*(one.view(BITS[one.dtype]) for one in (p, g, b)), 0.1, first)
            lk.sgd_step(*twins, lr=0.1, momentum=0.9, first=first)
        assert all(same(*pair) for pair in zip((p, g, b), twins, strict=True))


def test_errors_of_step_functions():
    p, g, b = np.ones(3), np.ones(3), np.zeros(3)
    with pytest.raises(ValueError, match="sgd_step: lr"):
        ln.sgd_step(p, g)
    with pytest.raises(ValueError, match="momentum_buffer is needed"):
        ln.sgd_step(p, g, lr=0.1, momentum=0.9)
    with pytest.raises(ValueError, match="must have the shape and memory order of param"):
        ln.sgd_step(p, np.ones(4), lr=0.1, momentum=0.0)  # compiled for the call above, too
    with pytest.raises(ValueError, match="sgd_step: grad must have the shape"):
        ln.sgd_step(p, None, lr=0.1)
    wide = np.ones((2, 3))
    with pytest.raises(ValueError, match="must have the shape and memory order of param"):
        ln.sgd_step(wide, np.asfortranarray(wide), lr=0.1)
    assert (wide == 1).all()
    with pytest.raises(Exception, match="must be contiguous"):
        ln.sgd_step(np.ones((4, 4))[:, ::2], np.ones((4, 2)), lr=0.1)
    with pytest.raises(Exception, match="count must be an integer; got"):
        ln.adagrad_step(p, g, b, count=0.5)
    assert (p == 1).all()


# --------------------------------------------------------------------------------------------------------------- backend

# Compilation takes seconds for each of these, where it is not on disk yet. All rules are in FUNCTIONS, and as optimizers in
# tests/steps/test_rules_exactly.py; LAMB on threads is in test_clipping.py there, split parameters in test_resume.py.
PIPELINE = {"clip_norm": 1.0, "clip_value": 0.5, "skip_nonfinite": True, "zero_grad": True, "ema": 0.9}
BACKEND = [
    pytest.param("LARS", cases.OPTIMIZERS["LARS"][1], (F32, F32, None, "nearest"), {}, marks=pytest.mark.exhaustive),
    ("SGD", {"lr": 0.1, "momentum": 0.9}, (F64, F64, None, "nearest"), PIPELINE),
    ("AdamW", {"lr": 0.1, "amsgrad": True}, (BF16, F32, F16, "stochastic"), {"seed": 2**63 + 5}),
    pytest.param("AdamW", {"lr": 0.1}, (BF16, BF16, BF16, "split"), {"copy_to": F16, **PIPELINE}, marks=pytest.mark.exhaustive),
    pytest.param("Lion", {"lr": 0.1}, (F64, BF16, F16, "stochastic"), {"skip_nonfinite": True}, marks=pytest.mark.exhaustive),
]


def run_backend(backend, name, options, storage, more):
    """Some steps of a list; everything that they wrote."""
    param, grad, state, rounding = storage
    params = [numbers(param, shape, k) for k, shape in enumerate([(300,), (70_000, 3), (0,), (1025,), (5, 7)])]
    params[4] = np.asfortranarray(params[4])
    copies = [np.zeros_like(p, dtype=more["copy_to"]) for p in params] if "copy_to" in more else None
    made = {**options, **more, "copy_to": copies, "state_dtype": fitting(name, options, state), "rounding": rounding}
    optimizer = getattr(lk, name)(params, **made, backend=backend)
    told, grads = [], []
    for n in range(4):
        grads = [np.asarray(numbers(grad, p.shape, 10 * n + k), order="K").astype(grad) for k, p in enumerate(params)]
        grads = [np.asfortranarray(g) if p.flags.f_contiguous else g for g, p in zip(grads, params, strict=True)]
        if n == 1:
            grads[0] = None
        if n == 2:
            grads[3][7] = np.inf
        optimizer.step(grads, 2.0)
        told.append((optimizer.count, optimizer.skipped, str(optimizer.grad_norm)))
    kept = [one for value in optimizer.state_dict().values() if isinstance(value, list) for one in value]
    return told, [one for one in [*params, *grads, *(copies or []), *kept] if isinstance(one, np.ndarray)]


@pytest.mark.parametrize(("name", "options", "storage", "more"), BACKEND)
def test_optimizers_have_the_bits_of_c(name, options, storage, more):
    told, arrays = run_backend("numba", name, options, storage, more)
    expected, twins = run_backend("c", name, options, storage, more)
    assert told == expected
    assert len(arrays) == len(twins)
    assert [same(*pair) for pair in zip(arrays, twins, strict=True)] == [True] * len(twins)
    assert not np.array_equal(unsigned(arrays[0]), unsigned(numbers(storage[0], (300,), 0)))


def rows_of(backend):
    p, q = np.ones((50, 33), np.float32), np.ones((7, 5))
    optimizer = lk.SGD([p, q], 0.1, momentum=0.9, clip_norm=1.0, zero_grad=True, backend=backend)
    for k in range(3):
        rng = np.random.default_rng(k)
        values = rng.standard_normal((6, 33)).astype(np.float32)
        optimizer.step([(np.array([3, 1, 3, 40, 3, 1]), values), rng.standard_normal((7, 5))])
        assert not values.any()
    rates = np.ones((50, 33), np.float32)
    by_row = lk.SGD([rates], np.linspace(0.1, 1, 50), momentum=0.9, weight_decay=0.1, decoupled=True, backend=backend)
    by_row.step([numbers(np.float32, (50, 33), 1)])
    return [p, q, *optimizer.momentum_buffers, rates, np.array(optimizer.grad_norm)]


def test_rows_have_the_bits_of_c():
    assert all(same(*pair) for pair in zip(rows_of("numba"), rows_of("c"), strict=True))


def many_of(backend):
    """So many small tensors that threads share them; some have no gradient, and others at other steps."""
    params = [numbers(np.float32, k % 40, k) for k in range(1500)]
    optimizer = lk.AdamW(params, 0.1, backend=backend, clip_norm=1.0, skip_nonfinite=True)
    for step in range(3):
        grads = [numbers(np.float32, k % 40, k + step) if (k + step // 2) % 7 else None for k in range(1500)]
        optimizer.step(grads)
    return [*params, np.array(optimizer.grad_norm), np.array(optimizer.state_dict()["updates"])]


def test_many_small_tensors_have_the_bits_of_c():
    assert all(same(*pair) for pair in zip(many_of("numba"), many_of("c"), strict=True))


def test_bound_gradients_and_errors():
    p, g = np.ones(3), np.ones(3)
    optimizer = lk.SGD([p], 0.5, momentum=0.5, backend="numba")  # a kind that another test compiles, too
    with pytest.raises(ValueError, match="grads are needed"):
        optimizer.step()
    optimizer.bind([g])
    optimizer.step()
    optimizer.step()
    assert (p == -0.25).all()
    optimizer.step([g])
    with pytest.raises(ValueError, match="grads are needed"):
        optimizer.step()
    with pytest.raises(ValueError, match="must not share memory"):
        lk.SGD([p], 0.5, momentum=0.5, zero_grad=True, backend="numba").step([p])
    assert optimizer.count == 3


def work_of(backend, k):
    """Tables and steps that threads share, a step on the calling thread, and a plateau; `k` makes it different."""
    table = lk.cosine(0.1, 0.0, 200_000).warmup(k + 1).table(200_000, backend=backend)
    rates = lk.plateau(np.random.default_rng(k).standard_normal((100, 400)), 0.1, patience=k, backend=backend)
    p, g, b = numbers(np.float32, (7, 11, 3), k), numbers(np.float32, (7, 11, 3), k + 1), np.zeros((7, 11, 3), np.float32)
    for _ in range(20):
        (ln if backend == "numba" else lk).sgd_step(p, g, b, **FUNCTIONS["sgd_step"][1])
    params = [numbers(np.float32, 40 + k % 3, i + k) for i in range(1500)]
    optimizer = lk.AdamW(params, 0.1, backend=backend, clip_norm=1.0)
    optimizer.step([numbers(np.float32, 40 + k % 3, i) for i in range(1500)])
    return [table, rates, p, b, *params]


def test_several_threads_at_once():
    found = run_concurrently(4, lambda k: work_of("numba", k))
    for k, arrays in enumerate(found):
        assert all(same(*pair) for pair in zip(arrays, work_of("c", k), strict=True)), k
    assert not same(found[0][0], found[1][0])


def test_steps_run_without_the_gil():
    """While one thread is in a compiled function, others run."""
    plan, out = lk.cosine(0.1, 0.0, 10**6).plan(), np.empty(3 * 10**7)
    ln.fill(plan, out[:5], 0)
    assert ticks_during(ln.fill, plan, out, 0) > 5


def test_inputs_are_those_of_c():
    for name, family in FAMILIES.items():
        assert family.inputs._fields[: len(_core.RULES[name])] == _core.RULES[name]
    assert set(FAMILIES) == set(_core.RULES)


# ---------------------------------------------------------------------------------------------------- caches, C, example


@njit
def c_step(param, grad, buffer, options, updates):
    return ln.c.lrk_step_sgd_f32(param.size, param.ctypes, grad.ctypes, buffer.ctypes, updates, options.ctypes)


def test_c_kernels_in_compiled_code():
    arrays = [numbers(np.float32, 100, k) for k in range(2)] + [np.zeros(100, np.float32)]
    twins = [array.copy() for array in arrays]
    options = ln.c.options("sgd", lr=0.1, momentum=0.9)
    for updates in range(2):
        assert c_step(*arrays, options, updates) == 0
        lk.sgd_step(*twins, lr=0.1, momentum=0.9, first=updates == 0)
    assert all(same(*pair) for pair in zip(arrays, twins, strict=True))


@njit
def c_step_with_numbers(param, grad, base, average, numbers, options, updates):
    return ln.c.lrk_step_schedule_free_sgd_f64(
        param.size, param.ctypes, grad.ctypes, base.ctypes, average.ctypes, numbers[:1].ctypes, numbers[1:].ctypes, updates,
        options.ctypes,
    )  # fmt: skip


def test_a_c_kernel_with_numbers_of_the_tensor():
    param, base, average, numbers = np.ones(3), np.empty(3), np.empty(3), np.zeros(2)
    twin = param.copy()
    optimizer = lk.ScheduleFreeSGD([twin], 0.5, weight_decay=0.1, decoupled=True)
    options = ln.c.options("schedule_free_sgd", lr=0.5, weight_decay=0.1, decoupled=True, beta=0.9, lr_power=2)
    for updates in range(3):
        assert c_step_with_numbers(param, param * 0.5, base, average, numbers, options, updates) == 0
        optimizer.step([twin * 0.5])
    assert same(param, twin)
    assert same(average, optimizer.averaged_params[0])
    assert c_step_with_numbers(param, param[:], base, average, numbers, options, 3) == -3


def test_options_of_c_kernels():
    for name in {name.removeprefix("lrk_step_")[:-4] for name in ln.c.KERNELS}:
        assert ln.c.options(name, lr=0.5).tolist() == [0.5] + [0.0] * (len(ln.c.members(name)) - 1)
    assert ln.c.options("adagrad", eps_inside=True, lr=1).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    with pytest.raises(TypeError, match=r"^options: options of lion must be among lr, .*; got 'beta'$"):
        ln.c.options("lion", beta=0.9)
    with pytest.raises(ValueError, match=r"^members: rule must be 'adadelta', .*; got 'lioness' \(str\)$"):
        ln.c.options("lioness")
    with pytest.raises(ValueError, match=r"^options: lr must be a finite number; got nan"):
        ln.c.options("lion", lr=float("nan"))


# Prints how often its function was loaded from the cache, and compiled; then its result.
PROGRAM = """
import numpy as np
from numba import njit, prange

import lrkern as lk
import lrkern.numba as ln


@njit(parallel=True, cache=True)
def train(param, average, plan, options):
    for k in prange(2):
        for t in range(10):
            ln.lion_step(param[k], param[k] * 0.5, average[k], lr=ln.at(plan, t))
    ln.c.lrk_step_sgd_f64(param.size, param.ctypes, (param * 0.5).ctypes, param[:0].ctypes, 1, options.ctypes)


param = np.ones((2, 5))
train(param, np.zeros((2, 5)), lk.cosine(0.1, 0.0, 10).plan(), np.zeros(9))
stats = train.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), param.tobytes().hex())
"""


def test_a_second_process_loads_from_the_cache(tmp_path):
    """Even a function with a parallel loop."""
    program = tmp_path / "program.py"  # whose cache is beside it
    program.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    first, second = (
        subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    )
    assert first[:2] == ["0", "1"]  # hits, misses
    assert second[:2] == ["1", "0"]
    assert first[2:] == second[2:]


def test_the_example_runs(capsys):
    spec = importlib.util.spec_from_file_location("example", ROOT / "examples" / "numba_training_loop.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main(epochs=5) > 0.9
    assert "times as long" in capsys.readouterr().out
