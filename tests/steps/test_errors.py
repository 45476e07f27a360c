"""Steps that are refused: arrays, numbers, structures, memory that is shared. Nothing is written then."""

from __future__ import annotations

import inspect
import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from step_arrays import assert_same_bits, values

import lrkern as lk


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


BASE = np.zeros(20)
BAD_ARRAYS = [
    ("param", [1.0] * 10, TypeError, r"param must be a NumPy array of float64, .* or float16; got \[1.0, .* \(list\)"),
    ("param", None, TypeError, "param must be a NumPy array of float64, float32, bfloat16 or float16; got None"),
    ("param", np.float64(1), TypeError, r"param must be a NumPy array .*; got 1.0 \(float64\)"),
    ("param", np.zeros(10, "u2"), TypeError, r"got uint16 \(10,\); bits of bfloat16 .* \.view\(ml_dtypes"),
    ("param", np.zeros(10, "f2,f2"), TypeError, "param must be float64, float32, bfloat16 or float16; got "),
    ("param", np.zeros(10, int), TypeError, r"param must be float64, float32, bfloat16 or float16; got int64 \(10,\)"),
    ("param", np.zeros(10, complex), TypeError, "param must be float64, float32, bfloat16 or float16; got complex128"),
    ("param", np.zeros(10, object), TypeError, "param must be float64, float32, bfloat16 or float16; got object"),
    ("param", np.zeros(10, ">f8"), TypeError, r"param must be float64, .* or float16 in native byte order; got >f8 "),
    ("param", read_only(np.zeros(10)), ValueError, "param must be writable; got a read-only array"),
    ("param", np.zeros(20)[::2], ValueError, r"param must be contiguous; got float64 \(10,\) with strides \(16,\)"),
    ("param", np.zeros(10)[::-1], ValueError, "param must be contiguous"),
    ("param", np.broadcast_to(np.zeros(1), 10), ValueError, "param must be"),
    ("param", np.ma.masked_array(np.zeros(10), mask=True), TypeError, "param must be a NumPy array of .*; got a masked array"),
    ("grad", None, TypeError, "grad must be an array like param; got None"),
    ("grad", np.ma.masked_array(np.zeros(10)), TypeError, "grad must be a NumPy array of .*; got a masked array"),
    ("grad", np.zeros(10, "i4"), TypeError, r"grad must be .* of shape \(10,\) like param; got int32 \(10,\)"),
    ("grad", np.zeros(10, ">f8"), TypeError, "grad must be .* in native byte order"),
    ("grad", np.zeros(11), ValueError, r"grad must be .* of shape \(10,\) like param; got float64 \(11,\)"),
    ("grad", np.zeros((10, 1)), ValueError, r"grad must be .* got float64 \(10, 1\)"),
    ("grad", np.zeros((2, 5)), ValueError, r"grad must be .* got float64 \(2, 5\)"),
    ("grad", np.zeros(20)[::2], ValueError, r"grad must be contiguous; got float64 \(10,\) with strides \(16,\)"),
    ("grad", [0.0] * 10, TypeError, "grad must be a NumPy array of .* like param; got .* \\(list\\)"),
    ("momentum_buffer", None, ValueError, "momentum_buffer is needed where momentum > 0; got None"),
    ("momentum_buffer", np.zeros(10, "i8"), TypeError, "momentum_buffer must be .* of shape"),
    ("momentum_buffer", np.zeros(9), ValueError, r"momentum_buffer must be .* got float64 \(9,\)"),
    ("momentum_buffer", read_only(np.zeros(10)), ValueError, "momentum_buffer must be writable"),
    ("momentum_buffer", np.zeros(20)[::2], ValueError, "momentum_buffer must be contiguous"),
]

BAD_HYPERS = [
    (key, value, ValueError)
    for key in ("lr", "momentum", "dampening", "weight_decay")
    for value in (math.nan, math.inf, -math.inf, -0.1, 1e39, 10**400)
] + [
    (key, value, TypeError)
    for key in ("lr", "momentum", "dampening", "weight_decay")
    for value in ("0.1", None, 1j, True, np.array(True), np.array([[0.1, 0.2]]), [0.1])
]
BAD_FLAGS = [(key, value) for key in ("nesterov", "decoupled", "maximize") for value in (1, 0.0, None, "yes")]


class TestBadInput:
    def arrays(self) -> dict[str, np.ndarray]:
        return {"param": values("f8", 10, 1), "grad": values("f8", 10, 2), "momentum_buffer": values("f8", 10, 3)}

    def check_untouched(self, given: dict[str, Any], error: type[Exception], message: str, **options: Any) -> None:
        before = {key: one.tobytes() for key, one in given.items() if isinstance(one, np.ndarray)}
        with pytest.raises(error, match=message) as raised:
            lk.sgd_step(given["param"], given["grad"], given["momentum_buffer"], **{"lr": 0.1, "momentum": 0.9} | options)
        assert str(raised.value).startswith("sgd_step: ")
        assert {key: given[key].tobytes() for key in before} == before

    @pytest.mark.parametrize(("which", "bad", "error", "message"), BAD_ARRAYS)
    def test_arrays(self, which: str, bad: Any, error: type[Exception], message: str) -> None:
        given = self.arrays()
        if which == "param" and isinstance(bad, np.ndarray):  # all alike, so that nothing but this is wrong
            given = {key: bad.copy() for key in given}
        given[which] = bad
        self.check_untouched(given, error, message)

    def test_memory_order(self) -> None:
        given = {key: one.reshape(2, 5) for key, one in self.arrays().items()}
        given["grad"] = np.asfortranarray(given["grad"])
        self.check_untouched(
            given, ValueError, r"grad must have the memory order of param; got strides \(8, 16\), not \(40, 8\)"
        )

    @pytest.mark.parametrize(("key", "value", "error"), BAD_HYPERS)
    def test_hyper_parameters(self, key: str, value: Any, error: type[Exception]) -> None:
        self.check_untouched(self.arrays(), error, f"{key} must be a finite number >= 0.*; got ", **{key: value})
        with pytest.raises(error, match=f"SGD: {key} must be a finite number >= 0.*; got "):
            lk.SGD([np.zeros(3)], **{"lr": 0.1, key: value})

    def test_bits_of_bfloat16(self) -> None:
        bits = np.zeros(10, "u2")
        with pytest.raises(TypeError, match=r"^SGD: params\[0\] .*; uint16 holds bfloat16 where uint16_as_bfloat16 is True$"):
            lk.SGD([bits], lr=0.1)
        lk.SGD([bits], lr=0.1, uint16_as_bfloat16=True)

    @pytest.mark.parametrize("key", ["beta1", "beta2"])
    def test_the_tighter_of_two_bounds_is_named(self, key: str) -> None:
        one = np.zeros(3)
        with pytest.raises(ValueError, match=rf"^AdamW: {key} must be a finite number >= 0 and < 1; got 1\.5 \(float\)$"):
            lk.AdamW([one], lr=0.1, **{key: 1.5})

    @pytest.mark.parametrize(("key", "value"), BAD_FLAGS)
    def test_flags(self, key: str, value: Any) -> None:
        self.check_untouched(self.arrays(), TypeError, f"{key} must be True or False; got ", **{key: value})
        with pytest.raises(TypeError, match=f"SGD: {key} must be True or False; got "):
            lk.SGD([np.zeros(3)], 0.1, **{key: value})

    @pytest.mark.parametrize("name", [one for one in lk.__all__ if one.endswith("_step")])
    def test_functions_take_no_schedules(self, name: str) -> None:
        """Nor one rate for each row: a function does not know at which step, or of which rows."""
        function = getattr(lk, name)
        has = inspect.signature(function).parameters
        arrays = [np.ones(3) for _ in range(4 if "exp_avg_sq" in has else 3)]
        count = {"count": 0} if "count" in has else {}
        for lr in (lk.constant(0.1), lambda step: 0.1, np.full(3, 0.1)):
            with pytest.raises(TypeError, match=f"^{name}: lr must be a finite number >= 0.*; got "):
                function(*arrays, **count, lr=lr)
        assert all((one == 1).all() for one in arrays)

    def test_first_must_be_a_flag(self) -> None:
        self.check_untouched(self.arrays(), TypeError, "first must be True or False; got 1", first=1)

    @pytest.mark.parametrize("options", [{"momentum": 0.0}, {"momentum": 0.9, "dampening": 0.1}])
    def test_nesterov_needs_momentum(self, options: dict[str, float]) -> None:
        message = "nesterov needs momentum > 0 and dampening = 0; got momentum="
        self.check_untouched(self.arrays(), ValueError, message, nesterov=True, **options)
        with pytest.raises(ValueError, match=f"SGD: {message}"):
            lk.SGD([np.zeros(3)], 0.1, nesterov=True, **options)

    def test_shrinkage_beyond_float32(self) -> None:
        message = "lr \\* weight_decay must be at most 3.4"
        self.check_untouched(self.arrays(), ValueError, message, lr=1e30, weight_decay=1e30, decoupled=True)
        with pytest.raises(ValueError, match=message):
            lk.SGD([np.zeros(3)], 1e30, weight_decay=1e30, decoupled=True).step([np.zeros(3)])

    def test_good_numbers_of_other_kinds(self) -> None:
        for one in (1, np.float32(1), np.int8(1), Fraction(1), np.float16(1)):
            p = np.zeros(3)
            lk.sgd_step(p, np.ones(3), lr=one)
            assert p.tolist() == [-1.0] * 3

    @pytest.mark.parametrize(
        ("params", "error", "message"),
        [
            (
                np.zeros(3),
                TypeError,
                r"SGD: params must be a dict or list of arrays; got .*; for one array pass \[array\]",
            ),
            (None, TypeError, "SGD: params must be a dict or list of arrays; got None"),
            ("ab", TypeError, "SGD: params must be a dict or list"),
            ({1.0, 2.0}, TypeError, "SGD: params must be a dict or list"),
            (
                [np.zeros(3), [1.0]],
                TypeError,
                r"SGD: params\[1\] must be a NumPy array of float64, float32, bfloat16 or float16; got \[1.0\]",
            ),
            ({"w": np.zeros(3, "i4")}, TypeError, r"SGD: params\['w'\] must be float64, .* or float16; got int32 \(3,\)"),
            ([np.zeros(3), read_only(np.zeros(3))], ValueError, r"SGD: params\[1\] must be writable"),
            ([BASE, BASE], ValueError, r"SGD: params\[0\] and params\[1\] must not share memory"),
        ],
    )
    @pytest.mark.parametrize("momentum", [0.0, 0.9])
    def test_params(self, params: Any, error: type[Exception], message: str, momentum: float) -> None:
        with pytest.raises(error, match=message):
            lk.SGD(params, 0.1, momentum=momentum)

    @pytest.mark.parametrize(
        ("grads", "error", "message"),
        [
            ([np.ones(2)], ValueError, "SGD.step: grads must have 2 entries like params; got 1"),
            ([np.ones(2)] * 3, ValueError, "SGD.step: grads must have 2 entries like params; got 3"),
            (np.ones((2, 2)), TypeError, "SGD.step: grads must be a list of 2 like params"),
            ({0: np.ones(2), 1: np.ones(3)}, TypeError, "SGD.step: grads must be a list of 2"),
            ([np.ones(2), np.ones(2)], ValueError, r"SGD: grads\[1\] must be .* of shape \(3,\) like params\[1\]"),
            ([np.ones(2), np.ones(3, "i4")], TypeError, r"SGD: grads\[1\] must be .* of shape \(3,\)"),
            ([np.ones(2), 1.0], TypeError, r"SGD: grads\[1\] must be a NumPy array"),
        ],
    )
    @pytest.mark.parametrize("way", ["step", "bind"])
    def test_grads(self, grads: Any, error: type[Exception], message: str, way: str) -> None:
        params = [np.zeros(2), np.zeros(3)]
        opt = lk.SGD(params, 0.1, momentum=0.9)
        with pytest.raises(error, match=message.replace("SGD.step", f"SGD.{way}")):
            getattr(opt, way)(grads)
        assert opt.count == 0
        assert not any(one.any() for one in [*params, *opt.momentum_buffers])

    def test_keys(self) -> None:
        opt = lk.SGD({"w": np.zeros(2), "b": np.zeros(2)}, 0.1)
        with pytest.raises(ValueError, match=r"SGD.step: grads must have the keys of params; got no 'b' and also 'c'"):
            opt.step({"w": np.ones(2), "c": np.ones(2)})
        with pytest.raises(ValueError, match="got no 'b'"):
            opt.step({"w": np.ones(2)})
        with pytest.raises(ValueError, match="got also 'c', 'd'"):
            opt.step({"w": np.ones(2), "b": np.ones(2), "c": np.ones(2), "d": 1})
        with pytest.raises(TypeError, match=r"SGD.step: grads must be a dict with the keys of params; got"):
            opt.step([np.ones(2), np.ones(2)])


class TestOverlaps:
    """Whatever a step writes shares memory with nothing else."""

    def memory(self) -> np.ndarray:
        return values("f8", 30, 1)

    @pytest.mark.parametrize("shift", [-9, -1, 0, 1, 9])
    @pytest.mark.parametrize("pair", [("param", "grad"), ("param", "momentum_buffer"), ("grad", "momentum_buffer")])
    def test_within_one_tensor(self, pair: tuple[str, str], shift: int) -> None:
        memory = self.memory()
        given = {key: values("f8", 10, 7) for key in ("param", "grad", "momentum_buffer")}
        given[pair[0]], given[pair[1]] = memory[10:20], memory[10 + shift : 20 + shift]
        before = {key: one.tobytes() for key, one in given.items()}
        with pytest.raises(ValueError, match=r"sgd_step: .* must not share memory: the step writes") as raised:
            lk.sgd_step(**given, lr=0.1, momentum=0.9)
        assert all(key in str(raised.value) for key in pair)
        assert {key: one.tobytes() for key, one in given.items()} == before

    @pytest.mark.parametrize("shift", [-10, 10])
    def test_neighbours_are_fine(self, shift: int) -> None:
        memory = self.memory()
        p, g = memory[10:20], memory[10 + shift : 20 + shift]
        expected = p.copy()
        lk.sgd_step(expected, g.copy(), lr=0.1)
        lk.sgd_step(p, g, lr=0.1)
        assert_same_bits(p, expected)

    def test_among_tensors(self) -> None:
        memory = values("f8", 100, 1)
        with pytest.raises(ValueError, match=r"SGD: params\[0\] and params\[2\] must not share memory"):
            lk.SGD([memory[:10], memory[50:60], memory[9:20]], 0.1)
        opt = lk.SGD({"a": memory[:10], "b": memory[10:20], "c": memory[20:30]}, 0.1, momentum=0.9)
        before = memory.tobytes()
        good = values("f8", 10, 3)
        for a, b, c, message in [
            (good, good, memory[19:29], r"params\['b'\] and grads\['c'\]|params\['c'\] and grads\['c'\]"),
            (memory[20:30], good, good, r"params\['c'\] and grads\['a'\]"),
            (good, memory[25:35], good, r"params\['c'\] and grads\['b'\]"),
            (good, opt.momentum_buffers["a"], good, r"momentum_buffers\['a'\] and grads\['b'\]"),
        ]:
            with pytest.raises(ValueError, match=message):
                opt.step({"a": a, "b": b, "c": c})
        assert memory.tobytes() == before
        assert opt.count == 0

    def test_gradients_may_share(self) -> None:
        g, p, q = np.ones(10), np.zeros(10), np.zeros(9)
        lk.SGD([p, q], 1.0).step([g, g[1:]])
        assert p.sum() + q.sum() == -19

    def test_every_pair_of_random_places(self) -> None:
        rng = np.random.default_rng(9)
        memory = np.zeros(60)
        outcomes = set()
        for _ in range(400):
            spans = [(start := int(rng.integers(0, 50)), start + int(rng.integers(0, 8))) for _ in range(3)]
            grad = (start := int(rng.integers(0, 50)), start + spans[0][1] - spans[0][0])
            taken = [set(range(*one)) for one in spans]
            clash = any(a & b for a, b in itertools.combinations(taken, 2)) or any(set(range(*grad)) & one for one in taken)
            outcomes.add(clash)
            views = [memory[a:b] for a, b in spans]
            grads = [memory[grad[0] : grad[1]], None, None]
            if clash:
                with pytest.raises(ValueError, match="must not share memory"):
                    lk.SGD(views, 0.1).step(grads)
            else:
                lk.SGD(views, 0.1).step(grads)
        assert outcomes == {True, False}
