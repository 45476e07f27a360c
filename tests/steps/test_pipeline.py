"""What a step does around its rule: scaling, clipping, skipping, averages, copies, zeroing, groups, rows, layouts."""

from __future__ import annotations

import math
import pickle
from typing import Any

import cases
import ml_dtypes
import numpy as np
import pytest

import lrkern as lk

BF16 = np.dtype(ml_dtypes.bfloat16)
CASES = [(name, options) for name, tries in cases.OPTIMIZERS.items() for options in tries]


def normal(n: Any, seed: int, dtype: Any = "f4") -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n).astype(dtype)


class TestSkipping:
    @pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
    @pytest.mark.parametrize(("name", "options"), CASES, ids=str)
    def test_no_byte_changes(self, name: str, options: dict[str, Any], bad: float) -> None:
        """Also at the first step, and whatever is on."""
        params = [normal(70, 1), normal((5, 6), 2, "f8"), np.zeros(0, "f4"), normal(9, 3, BF16)]
        copies = [np.full_like(one, 7, dtype="f2") for one in params]
        opt = getattr(lk, name)(
            params, **options, skip_nonfinite=True, clip_norm=1.0, ema=0.5, copy_to=copies, rounding="stochastic"
        )
        good = [normal(one.shape, 10 + i, one.dtype) for i, one in enumerate(params)]
        wrong = [one.copy() for one in good]
        wrong[1][2, 3] = bad
        for t in range(3):
            before = pickle.dumps((params, copies, opt.state_dict() | {"skipped": 0}))
            opt.step(wrong)
            assert pickle.dumps((params, copies, opt.state_dict() | {"skipped": 0})) == before
            assert (opt.count, opt.skipped) == (t, t + 1)
            assert not math.isfinite(opt.grad_norm)
            old = [one.copy() for one in params]
            opt.step(good)
            assert all((one != start).any() for one, start in zip(params[:2], old[:2], strict=True))
        assert (opt.count, opt.skipped) == (3, 3)

    def test_a_finite_sum_that_overflows_is_no_reason(self) -> None:
        p = np.zeros(4)
        opt = lk.SGD([p], 1.0, skip_nonfinite=True, clip_norm=2.0)
        opt.step([np.full(4, 1e300)])
        assert opt.skipped == 0
        assert opt.grad_norm == 2e300
        assert p.tolist() == [-1.0] * 4
        opt.step([np.full(4, 3e-320)])
        assert opt.grad_norm == 6e-320

    def test_gradients_are_zeroed_all_the_same(self) -> None:
        p, g = np.ones(3), np.array([1.0, math.inf, 2.0])
        opt = lk.SGD([p], 1.0, skip_nonfinite=True, zero_grad=True)
        opt.step([g])
        assert (p == 1).all()
        assert not g.any()
        assert opt.skipped == 1


class TestScalingAndClipping:
    def test_unscale(self) -> None:
        for scale in (2.0, 65536.0, 0.125):
            p, q, g = normal(100, 1), normal(100, 1), normal(100, 2)
            lk.AdamW([p], 0.1).step([g * np.float32(scale)], grad_scale=scale)
            lk.AdamW([q], 0.1).step([g])
            assert p.tobytes() == q.tobytes()

    def test_norm(self) -> None:
        p, q = np.zeros(2, "f4"), np.zeros(1)
        opt = lk.SGD([p, q], 1.0, clip_norm=6.5)
        opt.step([np.array([6, 8], "f4"), np.array([24.0])], grad_scale=2.0)
        assert opt.grad_norm == 13.0
        assert p.tolist() == [-1.5, -2.0]
        assert q.tolist() == [-6.0]
        opt.step([np.array([3, 0], "f4"), np.array([4.0])])  # less than the limit: as it is
        assert p.tolist() == [-4.5, -2.0]

    def test_norm_is_the_exact_one(self) -> None:
        for n in (1, 1000, 1024, 1025, 50_000):
            g = normal(n, n, "f4")
            opt = lk.SGD([np.zeros(n, "f4")], 1.0, clip_norm=1.0)
            opt.step([g])
            exact = math.sqrt(math.fsum(float(x) ** 2 for x in g))
            assert abs(opt.grad_norm - exact) <= 64 * math.ulp(exact)  # sums of 64 terms in each accumulator of a block

    def test_value(self) -> None:
        p = np.zeros(5)
        lk.SGD([p], 1.0, clip_value=1.0).step([np.array([-3.0, -0.5, 0.5, 3.0, math.nan])])
        assert p[:4].tolist() == [1.0, 0.5, -0.5, -1.0]
        assert math.isnan(p[4])

    def test_no_decay_does_not_read_the_parameter(self) -> None:
        for name in ("SGD", "Adam", "AdamW", "Lion", "RMSprop", "Adagrad"):
            p = np.array([math.inf, -math.inf])
            getattr(lk, name)([p], lr=0.1, weight_decay=0.0).step([np.ones(2)])
            assert p.tolist() == [math.inf, -math.inf], name

    @pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan, 1e-39])
    def test_bad_scale(self, bad: float) -> None:
        p = np.zeros(2)
        with pytest.raises(ValueError, match=r"SGD\.step: grad_scale must be a finite number >= 1.17549e-38"):
            lk.SGD([p], 0.1).step([np.ones(2)], grad_scale=bad)
        assert not p.any()


class TestAverageCopyZero:
    def test_average(self) -> None:
        p, g = np.ones(3), np.ones(3)
        opt = lk.SGD([p], 0.5, ema=lk.piecewise([0.5, 0.75], [1]))
        opt.step([g])
        assert opt.ema_params[0].tolist() == [0.75] * 3  # 1 + 0.5 (0.5 - 1)
        opt.step([g])
        assert opt.ema_params[0].tolist() == [0.5625] * 3  # 0.75 + 0.25 (0 - 0.75)
        assert lk.SGD([p], 0.5).ema_params is None

    def test_copies_and_zeros(self) -> None:
        p, g, copy = normal((40, 50), 1), normal((40, 50), 2), np.zeros((40, 50), BF16)
        opt = lk.AdamW({"w": p, "b": np.zeros(3)}, 0.1, copy_to={"w": copy, "b": None}, zero_grad=True)
        opt.step({"w": g, "b": None})
        assert copy.tobytes() == p.astype(BF16).tobytes()
        assert np.any(copy != 0)
        assert not g.any()

    def test_gradients_that_are_zeroed_must_not_share(self) -> None:
        g, p = np.ones(10), [np.zeros(10), np.zeros(9)]
        with pytest.raises(ValueError, match=r"grads\[0\] and grads\[1\] must not share memory"):
            lk.SGD(p, 1.0, zero_grad=True).step([g, g[1:]])
        g.flags.writeable = False
        with pytest.raises(ValueError, match=r"grads\[0\] must be writable"):
            lk.SGD(p, 1.0, zero_grad=True).step([g, np.ones(9)])


class TestGroups:
    def test_own_options(self) -> None:
        params = [{"params": [np.zeros(2)], "lr": 1.0}, {"params": {"b": np.zeros(1)}, "momentum": 0.5, "ema": 0.5}]
        opt = lk.SGD(params, 0.25)
        for _ in range(2):
            opt.step([[np.ones(2)], {"b": np.ones(1)}])
        assert params[0]["params"][0].tolist() == [-2.0] * 2
        assert params[1]["params"]["b"].tolist() == [-0.25 - 0.375]
        assert opt.lr == [1.0, 0.25]
        assert opt.momentum_buffers[0] == [None]
        assert opt.ema_params[1]["b"].tolist() == [-0.375]  # -0.125, then half way to -0.625
        opt.set("lr", lk.constant(2.0), group=1)
        assert opt.lr == [1.0, 2.0]

    def test_errors(self) -> None:
        with pytest.raises(ValueError, match=r"SGD: params\[0\] must have the key 'params'; got 'lr'"):
            lk.SGD([{"lr": 1.0}], 0.1)
        with pytest.raises(TypeError, match="SGD: beta1 is no option of a group"):
            lk.SGD([{"params": [np.zeros(1)], "beta1": 1.0}], 0.1)
        opt = lk.SGD([{"params": [np.zeros(1)]}, {"params": [np.zeros(1)]}], 0.1)
        with pytest.raises(ValueError, match=r"SGD\.step: grads must be a list of 2, one entry for each group; got 1"):
            opt.step([[np.zeros(1)]])
        with pytest.raises(ValueError, match=r"SGD: grads\[1\]\[0\] must be .* like params\[1\]\[0\]"):
            opt.step([[np.zeros(1)], [np.zeros(2)]])
        with pytest.raises(ValueError, match=r"momentum cannot change from 0\.0 to 0\.9"):
            opt.set("momentum", 0.9)
        with pytest.raises(TypeError, match=r"SGD\.set: name must be one of lr, .*; got \['lr'\]"):
            opt.set(["lr"], 0.5)

    def test_a_change_that_is_refused_changes_nothing(self) -> None:
        """Not even the groups in which it would be right."""
        params = [{"params": [np.ones((2, 1))], "weight_decay": 0.5}, {"params": [np.ones((2, 1))], "weight_decay": 10.0}]
        for lr, wrong in [(1.0, 3e38), (np.array([1.0, 0.5]), np.array([0.0, 3e38]))]:
            opt = lk.SGD(params, lr, decoupled=True)
            with pytest.raises(ValueError, match=r"lr \* weight_decay must be at most"):
                opt.lr = wrong
            assert [np.array(one).tolist() for one in opt.lr] == [np.array(lr).tolist()] * 2
            opt.step([[np.zeros((2, 1))], [np.zeros((2, 1))]])
        assert params[0]["params"][0].tolist() == [[0.25], [0.375]]


class TestRows:
    def test_one_rate_for_each_row(self) -> None:
        lrs = np.array([0.1, 0.0, 0.7])
        p = normal((3, 2000), 1)
        rows = [one.copy() for one in p]
        opt = lk.SGD([p], lrs, momentum=0.9, weight_decay=0.1, decoupled=True)
        singles = [lk.SGD([row], lr, momentum=0.9, weight_decay=0.1, decoupled=True) for row, lr in zip(rows, lrs, strict=True)]
        for t in range(3):
            g = normal((3, 2000), 2 + t)
            opt.step([g])
            for single, row in zip(singles, g, strict=True):
                single.step([row])
        assert p.tobytes() == np.array(rows).tobytes()
        with pytest.raises(ValueError, match=r"lr must be one number, or 2 numbers, one for each row of params\[0\]; got 3"):
            lk.SGD([np.zeros((2, 3))], lrs)

    def test_one_row(self) -> None:
        p = np.zeros((1, 3))
        opt = lk.SGD([p], np.array([0.5]))
        opt.step([np.ones((1, 3))])
        opt.lr = np.array([0.25])
        opt.step([np.ones((1, 3))])
        assert p.tolist() == [[-0.75] * 3]

    def test_bound(self) -> None:
        """Values are read at each step, indices when they are bound."""
        p, indices, values = np.zeros(3), np.array([0, 2, 0]), np.ones(3)
        opt = lk.SGD([p], 1.0)
        opt.bind([(indices, values)])
        indices[:] = 1
        values[0] = 4.0
        opt.step()
        assert p.tolist() == [-5.0, 0.0, -1.0]

    def test_a_dense_gradient_where_rows_were(self) -> None:
        """It is longer, and reaches into the parameter."""
        memory = np.zeros(6)
        p = memory[2:]
        opt = lk.SGD([p], 1.0)
        opt.step([(np.array([3]), memory[:1])])
        with pytest.raises(ValueError, match=r"params\[0\] and grads\[0\] must not share memory"):
            opt.step([memory[:4]])

    @pytest.mark.parametrize("width", [(), (1,), (7,), (40, 30)])
    @pytest.mark.parametrize("name", ["SGD", "AdamW", "Lion", "RMSprop", "Adagrad"])
    def test_sparse(self, name: str, width: tuple[int, ...]) -> None:
        """Rows that are named are stepped like dense ones, the sums of their gradients taken in order; others are not."""
        options: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.1, "clip_value": 0.5, "ema": 0.5}
        p = normal((10, *width), 1)
        q, before = p[[2, 5, 9]].copy(), p.copy()
        indices, values = np.array([5, 2, 5, 9, 5]), normal((5, *width), 2)
        opt, other = getattr(lk, name)([p], **options), getattr(lk, name)([q], **options)
        summed = np.array([values[1], (values[0] + values[2]) + values[4], values[3]])
        for _ in range(2):
            opt.step([(indices, values)])
            other.step([summed])
        assert p[[2, 5, 9]].tobytes() == q.tobytes()
        assert (p[[2, 5, 9]] != before[[2, 5, 9]]).any()
        rest = [0, 1, 3, 4, 6, 7, 8]
        assert p[rest].tobytes() == before[rest].tobytes()
        assert opt.ema_params[0][[2, 5, 9]].tobytes() == other.ema_params[0].tobytes()

    def test_sparse_errors(self) -> None:
        opt = lk.SGD([np.zeros((4, 2))], 0.1)
        for grad, error, message in [
            ((np.array([4]), np.ones((1, 2))), ValueError, r"grads\[0\]\[0\] must be a 1-D array of rows in 0..3"),
            ((np.array([-1]), np.ones((1, 2))), ValueError, "rows in 0..3"),
            ((np.array([1.0]), np.ones((1, 2))), TypeError, "array of integers"),
            ((np.array([1]), np.ones((2, 2))), ValueError, r"of shape \(1, 2\)"),
            ((np.array([1]), np.ones((1, 2), int)), TypeError, "must be float64"),
            ((np.array([1]),), ValueError, "a pair"),
        ]:
            with pytest.raises(error, match=message):
                opt.step([grad])
        with pytest.raises(TypeError, match=r"LARS: grads\[0\] must be an array: LARS takes no gradients of rows"):
            lk.LARS([np.zeros((4, 2))], 0.1).step([(np.array([1]), np.ones((1, 2)))])
        opt.step([(np.array([], int), np.ones((0, 2)))])
        assert opt.count == 1
        values = np.ones((1, 2))
        values.flags.writeable = False
        with pytest.raises(ValueError, match=r"grads\[0\]\[1\] must be writable; got a read-only array, float64 \(1, 2\)"):
            lk.SGD([np.zeros((4, 2))], 0.1, zero_grad=True).step([(np.array([1]), values)])


class TestArrays:
    def test_any_order_of_axes(self) -> None:
        p, g = normal((3, 4, 5), 1), normal((3, 4, 5), 2)
        expected = p.copy()
        lk.AdamW([expected], 0.1).step([g])
        for axes in [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)]:
            q, h = (one.transpose(axes).copy().transpose(np.argsort(axes)) for one in (p, g))
            assert q.shape == p.shape
            lk.AdamW([q], 0.1).step([h])
            assert q.tobytes() == expected.tobytes()
        with pytest.raises(ValueError, match="must have the memory order of params"):
            lk.AdamW([q], 0.1).step([g])

    @pytest.mark.parametrize("count", [1, 100_000])
    def test_lists(self, count: int) -> None:
        params = list(np.ones((count, 3)))
        opt = lk.AdamW(params, 0.5, clip_norm=1e9)
        opt.step(list(np.ones((count, 3))))
        assert all((one != 1).all() for one in params)
        assert opt.grad_norm == math.sqrt(3 * count)

    def test_uint16_as_bfloat16(self) -> None:
        p = normal(100, 1, BF16)
        q = p.copy().view(np.uint16)
        g = normal(100, 2, BF16)
        for array, options in [(p, {}), (q, {"uint16_as_bfloat16": True})]:
            opt = lk.Adagrad([array], 0.1, initial_accumulator=0.3, state_dtype="bfloat16", ema=0.5, **options)
            opt.step([g.view(array.dtype)])
        assert p.tobytes() == q.tobytes()
        assert opt.state_dict()["sums"][0].dtype == np.uint16

    def test_split_loses_nothing(self) -> None:
        """bfloat16 parameters with their remainders are the float32 parameters, to the last bit."""
        p = normal(3000, 1, BF16)
        master = p.astype("f4")
        opt, other = lk.AdamW([p], 1e-5, rounding="split"), lk.AdamW([master], 1e-5)
        plain = p.copy()
        lost = lk.AdamW([plain], 1e-5)
        start = p.copy()
        for t in range(20):
            g = normal(3000, 2 + t)
            for one in (opt, other, lost):
                one.step([g])
        remainder = opt.state_dict()["remainders"][0].astype(np.int32)
        joined = ((p.view(np.uint16).astype(np.uint32) << 16) + remainder.astype(np.uint32)).view(np.float32)
        assert joined.tobytes() == master.tobytes()
        assert np.mean(master != start.astype("f4")) > 0.99
        assert np.mean(plain == start) > 0.5, "these steps are too large to be lost"

    def test_stochastic_rounding_is_right_on_average(self) -> None:
        n = 100_000
        for dtype, ulp in [(BF16, 2.0**-7), ("f2", 2.0**-10)]:
            p = np.ones(n, dtype)
            lk.SGD([p], 1.0, rounding="stochastic", seed=5).step([np.full(n, -0.3 * ulp, "f4")])
            up = np.mean(p.astype("f8") == 1 + ulp)
            assert set(np.unique(p.astype("f8"))) == {1.0, 1 + ulp}
            assert abs(up - 0.3) < 5 * math.sqrt(0.21 / n)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"clip_norm": 0.0}, ValueError, "clip_norm must be a finite number > 0"),
        ({"clip_value": "1"}, TypeError, "clip_value must be a finite number > 0"),
        ({"skip_nonfinite": 1}, TypeError, "skip_nonfinite must be True or False"),
        ({"zero_grad": None}, TypeError, "zero_grad must be True or False"),
        ({"ema": 1.5}, ValueError, "ema must be a finite number >= 0 and <= 1"),
        ({"rounding": "up"}, ValueError, "rounding must be 'nearest', 'stochastic' or 'split'"),
        ({"seed": -1}, ValueError, "seed must be an integer from 0 to"),
        ({"state_dtype": "int8"}, ValueError, "state_dtype must be 'float64', 'float32', 'bfloat16' or 'float16'"),
        ({"state_dtype": 3.5}, TypeError, r"state_dtype must be 'float64', .* or 'float16'; got 3.5 \(float\)"),
        ({"copy_to": [np.zeros(2, "i4")]}, TypeError, r"copy_to\[0\] must be float64"),
        ({"copy_to": [np.zeros(3)]}, ValueError, r"copy_to\[0\] must be .* of shape \(2,\)"),
        ({"copy_to": []}, ValueError, "copy_to must have 1 entries"),
        ({"nonsense": 1}, TypeError, "nonsense is no option of"),
    ],
)
@pytest.mark.parametrize("name", list(cases.OPTIMIZERS))
def test_bad_options(name: str, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{name}: {message}"):
        getattr(lk, name)([np.zeros(2)], lr=0.1, **options)
