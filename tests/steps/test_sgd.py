"""SGD: every size, alignment, ISA and thread count to the last bit; optimizers, their lists and states."""

from __future__ import annotations

import itertools
import math
import os
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import reference_steps
from isas import running
from step_arrays import assert_same_bits, values

import lrkern as lk

DTYPES = ("f4", "f8")

# Around every vector width (4 to 16 lanes) and around eight vectors; then more than a few cache lines.
SIZES = sorted({0, 1, 2, *(k * w + d for w in (4, 8, 16) for k in (1, 8) for d in (-1, 0, 1)), 1000})

# Options that differ in kind, for the tests that multiply them with other things.
FEW_OPTIONS = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.01, "maximize": True},
    {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True},
    {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "decoupled": True, "dampening": 0.3},
]


def name(options: dict[str, Any]) -> str:
    return ",".join(f"{key}={value:g}" for key, value in options.items() if value) or "zero"


def unaligned(array: np.ndarray, offset: int) -> np.ndarray:
    """A copy whose first element lies `offset` bytes past a multiple of 64."""
    memory = np.empty(array.nbytes + 128 + offset, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    view = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert view.size == 0 or view.ctypes.data % 64 == offset % 64
    return view


def special_triples(dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All combinations of values at the edges of the format, for p, g and the buffer."""
    limits = np.finfo(dtype)
    least, normal, most = float(limits.smallest_subnormal), float(limits.smallest_normal), float(limits.max)
    specials = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, least, -3 * least, normal, -normal, most, -most]
    p, g, b = (np.array(column, dtype) for column in zip(*itertools.product(specials, repeat=3), strict=True))
    return p, g, b


def expected_step(
    p: np.ndarray,
    g: np.ndarray,
    b: np.ndarray,
    *,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
    first: bool = False,
    lr: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(p, b) after one step of arrays, which stay as they are."""
    opt = reference_steps.Optimizer(
        "SGD",
        [p],
        momentum=momentum,
        dampening=dampening,
        nesterov=nesterov,
        weight_decay=weight_decay,
        decoupled=decoupled,
        maximize=maximize,
        convention="torch",
        lr=lr,
    )
    tensor = opt.tensors[0]
    tensor.updates = 0 if first else 1
    for state in tensor.states:
        tensor.states[state] = b.copy()
    opt.step([g])
    return tensor.param, tensor.states.get("momentum_buffer", b)


def step(p: np.ndarray, g: np.ndarray, b: np.ndarray, **options: Any) -> None:
    lk.sgd_step(p, g, b, **options)


class TestFormula:
    """What tests/steps/test_exact.py, which has every option of every rule, leaves out."""

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_the_first_step_does_not_read_the_buffer(self, dtype: str) -> None:
        p, g, b = values(dtype, 200, 3), values(dtype, 200, 4), np.full(200, np.nan, dtype)
        for options in FEW_OPTIONS:
            found_p, found_g, found_b = p.copy(), g.copy(), b.copy()
            expected_p, expected_b = expected_step(p, g, b, **options, first=True)
            step(found_p, found_g, found_b, **options, first=True)
            assert_same_bits(found_p, expected_p, name(options))
            assert_same_bits(found_b, expected_b, name(options))
            assert np.isfinite(found_b).all() == ("momentum" in options)
            assert np.mean(found_p != p) > 0.95
            assert found_g.tobytes() == g.tobytes()

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_denormals_are_kept(self, dtype: str) -> None:
        least = np.finfo(dtype).smallest_subnormal
        p, g = np.full(100, 5 * least), np.full(100, 2 * least)
        step(p, g, np.zeros(100, dtype), lr=1.0, momentum=0.5, first=True)
        assert np.all(p == 3 * least)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_random_sizes_of_numbers(self, dtype: str) -> None:
        rng = np.random.default_rng(8)
        limits = np.finfo(dtype)
        p, g, b = (
            np.ldexp(rng.standard_normal(3000), rng.integers(limits.minexp - 20, limits.maxexp, 3000)).astype(dtype)
            for _ in range(3)
        )
        options = {"lr": 1.7, "momentum": 0.93, "weight_decay": 0.37, "nesterov": True}
        expected_p, expected_b = expected_step(p, g, b, **options)
        step(p, g, b, **options)
        assert_same_bits(p, expected_p)
        assert_same_bits(b, expected_b)

    @pytest.mark.parametrize("isa", lk.isas())
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_not_rounded_twice(self, dtype: str, isa: str) -> None:
        """Sums a hair below half way: a product that is rounded first goes up, and so does a sum in a wider format."""
        kind = np.dtype(dtype).type
        eps = float(np.finfo(dtype).eps)
        odd, scalar, small = 1 + eps, 1 + eps, (1 - eps) * eps / 2  # odd + scalar * small = odd + (1 - eps^2) eps/2
        for p, g, b, options in [
            (odd, -small, 0.0, {"lr": scalar}),
            (small, odd, 0.0, {"lr": 1.0, "weight_decay": scalar}),
            (0.0, odd, small, {"lr": 1.0, "momentum": scalar}),
            (0.0, small, odd / scalar, {"lr": 1.0, "momentum": scalar}),
        ]:
            arrays = [np.full(67, kind(one)) for one in (p, g, b)]
            expected_p, expected_b = expected_step(*arrays, **options)
            with lk.use_isa(isa):
                step(*arrays, **options)
            assert_same_bits(arrays[0], expected_p, name(options))
            assert_same_bits(arrays[2], expected_b, name(options))
        assert reference_steps.fma(kind(scalar), kind(small), kind(odd)) == odd
        assert kind(scalar) * kind(small) + kind(odd) != odd

    def test_scalars_are_computed_in_float64(self) -> None:
        lr, decay = 0.3, 0.7
        in_float32 = np.float32(1) - np.float32(lr) * np.float32(decay)
        assert np.float32(1 - lr * decay) != in_float32, "these numbers show no difference"
        p = values("f4", 100, 1)
        expected, _ = expected_step(p, np.zeros_like(p), p, lr=lr, weight_decay=decay, decoupled=True)
        lk.sgd_step(p, np.zeros_like(p), lr=lr, weight_decay=decay, decoupled=True)
        assert_same_bits(p, expected)


@pytest.fixture(scope="module")
def master() -> dict[Any, Any]:
    """Inputs, and what a step makes of them: what happens to an element does not depend on the others."""
    found = {}
    for dtype, (k, options) in itertools.product(DTYPES, enumerate(FEW_OPTIONS)):
        arrays = [values(dtype, 1000, seed) for seed in (11, 12, 13)]
        for array, other in zip(arrays, special_triples(dtype), strict=True):
            array[100:1000:7] = other[5 : 5 + len(array[100:1000:7])]
        found[dtype, k] = (*arrays, *expected_step(*arrays, **options))
    return found


class TestSameBits:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("isa", lk.isas())
    def test_every_size_and_alignment(self, isa: str, dtype: str, master: dict[Any, Any]) -> None:
        item = np.dtype(dtype).itemsize
        for (k, options), n, offset in itertools.product(enumerate(FEW_OPTIONS), SIZES, (0, item, 1, 64 - item)):
            p, g, b, expected_p, expected_b = (one[1000 - n :] for one in master[dtype, k])
            p, g, b = unaligned(p, offset), unaligned(g, (3 * offset) % 64), unaligned(b, (5 * offset) % 64)
            with running(isa):
                opt = lk.SGD([p], **options)
                opt.step([np.zeros_like(p)])  # the first step is another formula
                p[...] = master[dtype, k][0][1000 - n :]
                if "momentum" in options:
                    opt.momentum_buffers[0][...] = b
                    b = opt.momentum_buffers[0]
                else:
                    expected_b = b
                opt.step([g])
                assert opt._tensors.isa == isa
            assert_same_bits(p, expected_p, f"p, {name(options)}, {n} elements, offset {offset}")
            assert_same_bits(b, expected_b, f"buffer, {name(options)}, {n} elements, offset {offset}")

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("isa", lk.isas())
    @pytest.mark.parametrize("threads", [1, 2, 5])
    def test_large_arrays_on_threads(self, threads: int, isa: str, dtype: str, master: dict[Any, Any]) -> None:
        repeats = 300
        for k, options in enumerate(FEW_OPTIONS):
            p, g, b, expected_p, expected_b = (np.tile(one, repeats) for one in master[dtype, k])
            if "momentum" not in options:
                expected_b = b.copy()
            for cut in (0, 7):
                found_p, found_b = p[cut:].copy(), b[cut:].copy()
                with running(isa, threads):
                    step(found_p, g[cut:], found_b, **options)
                assert_same_bits(found_p, expected_p[cut:], f"p, {name(options)}")
                assert_same_bits(found_b, expected_b[cut:], f"buffer, {name(options)}")

    @pytest.mark.parametrize("threads", [1, 2, 3])
    def test_lists_of_all_sizes(self, threads: int, master: dict[Any, Any]) -> None:
        rng = np.random.default_rng(20)
        sizes = [0, *rng.choice([0, 1, 3, 64, 1000, 30_000, 200_000], 120), 0]
        k, options = 3, FEW_OPTIONS[3]
        parts: list[list[np.ndarray]] = []
        for i, size in enumerate(sizes):
            columns = master[DTYPES[i % 2], k]
            parts.append([np.resize(one, size) for one in columns])
        params, grads = [one[0] for one in parts], [one[1] for one in parts]
        before = lk.get_threads()
        lk.set_threads(threads)
        try:
            opt = lk.SGD(params, **options)
            for buffer, one in zip(opt.momentum_buffers, parts, strict=True):
                buffer[...] = one[2]
            opt.load_state_dict(opt.state_dict() | {"updates": [1] * len(params)})
            opt.step(grads)
        finally:
            lk.set_threads(before)
        for buffer, one in zip(opt.momentum_buffers, parts, strict=True):
            assert_same_bits(one[0], one[3], f"p of {one[0].size}")
            assert_same_bits(buffer, one[4], f"buffer of {one[0].size}")

    def test_other_rounding_modes_of_the_process_do_not_matter(self) -> None:
        code = """
import ctypes, numpy as np, lrkern as lk
p, g = np.full(300_000, 1e-45, "f4"), np.zeros(300_000, "f4")
libm = ctypes.CDLL("libm.so.6")
assert libm.fesetround(0x400) == 0
one = np.ones(300_000, "f4"); lk.sgd_step(one, np.full(300_000, 1e-9, "f4"), lr=1.0)
lk.sgd_step(p, g, lr=1.0)
assert libm.fegetround() == 0x400
assert libm.fesetround(0) == 0
assert (one == 1).all(), one
assert (p != 0).all()
"""
        if sys.platform != "linux" or os.uname().machine != "x86_64":
            pytest.skip("the numbers of rounding modes are those of x86 Linux")
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class TestOptimizer:
    def pairs(self, n: int = 5) -> tuple[list[np.ndarray], list[np.ndarray]]:
        params = [values(DTYPES[i % 2], 3 * i + 1, i) for i in range(n)]
        return params, [values(DTYPES[i % 2], 3 * i + 1, 50 + i) for i in range(n)]

    def expected(self, params: Any, steps: list[Any], **options: Any) -> list[np.ndarray]:
        result = []
        for i, p in enumerate(params):
            p, b = p.copy(), np.full_like(p, np.nan)
            first = True
            for grads, lr in steps:
                if grads[i] is not None:
                    p, b = expected_step(p, grads[i], b, **options, lr=lr, first=first)
                    first = False
            result.append(p)
        return result

    def test_thousand_small_tensors(self) -> None:
        params = [values("f4", 64, i) for i in range(1000)]
        grads = [values("f4", 64, 2000 + i) for i in range(1000)]
        together = np.concatenate(params)
        options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
        step(together, np.concatenate(grads), np.zeros_like(together), **options, first=True)
        before = [one.copy() for one in params]
        lk.SGD(params, **options).step(grads)
        assert_same_bits(np.concatenate(params), together)
        assert all(np.any(one != old) for one, old in zip(params, before, strict=True))

    def test_dict_in_any_order(self) -> None:
        params, grads = self.pairs(3)
        expected = self.expected(params, [(grads, 0.1)], momentum=0.9)
        keys = ["w", ("b", 1), 2]
        opt = lk.SGD(dict(zip(keys, params, strict=True)), 0.1, momentum=0.9)
        opt.step(dict(reversed(list(zip(keys, grads, strict=True)))))
        for p, one in zip(params, expected, strict=True):
            assert_same_bits(p, one)
        assert list(opt.momentum_buffers) == keys

    def test_none_leaves_a_parameter_alone(self) -> None:
        params, grads = self.pairs(4)
        rounds = [[*grads[:1], None, *grads[2:]], grads, [None] * 4, [None, *grads[1:]]]
        expected = self.expected(params, [(one, 0.1) for one in rounds], momentum=0.9, dampening=0.5)
        opt = lk.SGD(params, 0.1, momentum=0.9, dampening=0.5)
        for one in rounds:
            opt.step(one)
        for p, wanted in zip(params, expected, strict=True):
            assert_same_bits(p, wanted)
        assert opt.count == 4

    def test_bound_gradients_are_read_at_each_step(self) -> None:
        params, grads = self.pairs()
        rounds = [[one * k for one in grads] for k in (1, 2, 3)]
        expected = self.expected(params, [(one, 0.1) for one in rounds], momentum=0.9)
        opt = lk.SGD(params, 0.1, momentum=0.9)
        fixed = [np.empty_like(one) for one in grads]
        opt.bind(fixed)
        for one in rounds:
            for target, source in zip(fixed, one, strict=True):
                target[...] = source
            opt.step()
        for p, wanted in zip(params, expected, strict=True):
            assert_same_bits(p, wanted)

    def test_bound_gradients_stay_alive(self) -> None:
        p = np.zeros(100_000)
        opt = lk.SGD([p], 1.0)
        opt.bind([np.ones(100_000)])
        junk = [np.full(100_000, np.nan) for _ in range(5)]
        opt.step()
        assert np.all(p == -1)
        del junk

    def test_step_without_gradients(self) -> None:
        p = np.zeros(3)
        opt = lk.SGD([p], 1.0)
        with pytest.raises(ValueError, match=r"SGD: grads are needed: pass them to step\(\), or bind\(\) them before"):
            opt.step()
        opt.bind([np.ones(3)])
        opt.step([np.ones(3)])
        with pytest.raises(ValueError, match="grads are needed"):
            opt.step()
        assert opt.count == 1
        assert p.tolist() == [-1.0] * 3

    def test_failed_step_keeps_the_binding(self) -> None:
        p = np.zeros(3)
        opt = lk.SGD([p], 1.0)
        opt.bind([np.ones(3)])
        with pytest.raises(TypeError):
            opt.step([np.ones(3, "i4")])
        opt.step()
        assert p.tolist() == [-1.0] * 3

    @pytest.mark.parametrize("hyper", ["lr", "momentum", "dampening", "weight_decay"])
    def test_schedules(self, hyper: str) -> None:
        params, grads = self.pairs(3)
        constants = {"lr": 0.1, "momentum": 0.5, "dampening": 0.25, "weight_decay": 0.125}
        schedule = lk.linear(0.75, 0.25, 4)
        p, g, b = params[2].copy(), grads[2], np.zeros_like(params[2])
        opt = lk.SGD(params, **{**constants, hyper: schedule})
        for i in range(6):
            now = {**constants, hyper: schedule(i)}
            if hyper == "lr":
                assert opt.lr == schedule(i)
            opt.step(grads)
            p, b = expected_step(p, g, b, **now, first=i == 0)
        assert opt.count == 6
        assert_same_bits(params[2], p)
        assert_same_bits(opt.momentum_buffers[2], b)

    def test_lr_can_be_assigned(self) -> None:
        p = np.zeros(2)
        opt = lk.SGD([p], 1.0)
        opt.lr = 0.5
        opt.step([np.ones(2)])
        assert opt.lr == 0.5
        opt.lr = lk.piecewise([1.0, 0.25], [1])
        opt.step([np.ones(2)])
        assert p.tolist() == [-0.75] * 2
        with pytest.raises(ValueError, match=r"SGD\.set: lr must be a finite number >= 0"):
            opt.lr = -1.0
        assert opt.lr == 0.25

    def test_lr_out_of_range_during_the_run(self) -> None:
        p = np.zeros(2)
        opt = lk.SGD([p], lk.linear(1.0, -1.0, 2))
        opt.step([np.ones(2)])
        opt.step([np.ones(2)])
        with pytest.raises(ValueError, match=r"SGD, step 2: lr must be a finite number >= 0.*; got -1.0"):
            opt.step([np.ones(2)])
        assert opt.count == 2
        assert p.tolist() == [-1.0] * 2

    def test_fortran_order_and_many_dimensions(self) -> None:
        rng = np.random.default_rng(5)
        shape = (3, 4, 5)
        p, g = rng.standard_normal(shape), rng.standard_normal(shape)
        expected, _ = expected_step(p.ravel(), g.ravel(), p.ravel(), lr=0.1, momentum=0.9, first=True)
        f = np.asfortranarray(p)
        lk.SGD([f], 0.1, momentum=0.9).step([np.asfortranarray(g)])
        assert_same_bits(f.ravel(), expected)
        lk.SGD([p], 0.1, momentum=0.9).step([g])
        assert_same_bits(p.ravel(), expected)

    def test_zero_dimensions_and_nothing(self) -> None:
        p = np.array(3.0)
        lk.SGD([p, np.zeros(0)], 0.5).step([np.array(2.0), np.zeros(0)])
        assert p == 2.0
        lk.SGD([np.zeros(0)], 0.5, momentum=0.5).step([np.zeros(0)])
        lk.sgd_step(np.zeros((0, 7)), np.zeros((0, 7)), lr=0.1)

    def test_state_goes_on_elsewhere(self) -> None:
        params, grads = self.pairs()
        opt = lk.SGD(params, lk.cosine(0.5, 0.1, 6), momentum=0.9, dampening=0.25)
        rounds = [[None, *grads[1:]]] + [grads] * 4
        for one in rounds[:2]:
            opt.step(one)
        state = pickle.loads(pickle.dumps(opt.state_dict()))
        copies = [one.copy() for one in params]
        other = lk.SGD(copies, lk.cosine(0.5, 0.1, 6), momentum=0.9, dampening=0.25)
        other.load_state_dict(state)
        assert (other.count, other.lr) == (opt.count, opt.lr)
        for one in rounds[2:]:
            opt.step(one)
            other.step(one)
        for a, b in zip(params, copies, strict=True):
            assert_same_bits(a, b)
        assert state["count"] == 2, "the state must be a copy"

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"count": -1}, ValueError, "count must be an integer >= 0; got -1"),
            ({"count": 1.0}, TypeError, "count must be an integer >= 0; got 1.0"),
            ({"momentum_buffers": None}, ValueError, r"the state has no momentum_buffers\[0\], momentum_buffers\[1\] \("),
            ({"momentum_buffers": [np.zeros(2)]}, ValueError, r"the state has no momentum_buffers\[1\] \("),
            ({"momentum_buffers": np.zeros(2)}, TypeError, "momentum_buffers must be a list or dict like params; got float64"),
            ({"momentum_buffers": [[[0.0]]]}, TypeError, r"momentum_buffers\[0\]\[0\] must be an array; got \[0.0\]"),
            (
                {"momentum_buffers": [np.zeros(2), np.zeros(3, "f4")]},
                TypeError,
                r"momentum_buffers\[1\] must be float64",
            ),
            ({"momentum_buffers": [np.zeros(2), np.zeros(4)]}, ValueError, r"of shape \(3,\) like params\[1\]"),
            (
                {"updates": [1]},
                ValueError,
                r"the state has no params\[1\]; it has momentum_buffers\[1\], which is not kept here",
            ),
            ({"updates": [1, True]}, TypeError, r"updates\[1\] must be an integer >= 0; got True"),
            ({"optimizer": "Adam"}, ValueError, "the state must be of SGD; got one of Adam"),
            ({"skipped": -1}, ValueError, "skipped must be an integer >= 0; got -1"),
            ({"more": 1}, ValueError, "state must be what state_dict gave"),
        ],
    )
    def test_wrong_states(self, change: dict[str, Any], error: type[Exception], message: str) -> None:
        opt = lk.SGD([np.zeros(2), np.zeros(3)], 0.1, momentum=0.9)
        opt.step([np.ones(2), np.ones(3)])
        before = pickle.dumps(opt.state_dict())
        with pytest.raises(error, match=message) as raised:
            opt.load_state_dict(opt.state_dict() | change)
        assert str(raised.value).startswith("SGD.load_state_dict: ")
        assert pickle.dumps(opt.state_dict()) == before
