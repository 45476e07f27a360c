"""What lies in storage between steps: remainders of parameters that were written from outside, states in 16 bits, copies."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import reference_steps as reference
from representative import compiled
from step_arrays import assert_same_bits

import lrkern as lk

BF16 = np.dtype(ml_dtypes.bfloat16)
BACKENDS = ["c", "numba"]


def split_with(params: np.ndarray, remainders: np.ndarray, backend: str, **options: Any) -> Any:
    """SGD over one bfloat16 array whose remainders are these."""
    opt = lk.SGD([params], 1.0, rounding="split", backend=backend, **options)
    state = opt.state_dict()
    state["remainders"] = [remainders]
    opt.load_state_dict(state)
    return opt


@pytest.mark.parametrize("backend", BACKENDS)
class TestRemainders:
    def test_any_parameter_with_any_remainder(self, backend: str) -> None:
        """All bfloat16 numbers with extreme remainders: only NaN gives NaN, and joining and splitting keeps the bits."""
        edges = np.array([-0x8000, -0x7FFF, -1, 0, 1, 0x7FFF], np.int16)
        params = np.repeat(np.arange(1 << 16, dtype=np.uint16), edges.size).view(BF16)
        remainders = np.tile(edges, 1 << 16)
        p = params.copy()
        opt = split_with(p, remainders, backend, ema=0.5)
        opt.step([np.zeros(p.size, np.float32)])
        expected, rest = reference.split(reference.joined(params, remainders))
        assert_same_bits(p, expected, "parameters")
        numbers = ~np.isnan(p)
        assert np.array_equal(opt.state_dict()["remainders"][0][numbers], rest[numbers])
        with np.errstate(invalid="ignore"):  # signalling NaNs
            assert np.array_equal(np.isnan(p), np.isnan(params))
            finite = np.isfinite(params) & np.isfinite(p)
        assert np.isfinite(opt.ema_params[0][finite]).all()

    def test_zeros_from_outside_stay_numbers(self, backend: str) -> None:
        rng = np.random.default_rng(0)
        p = rng.standard_normal(1000).astype(BF16)
        opt = lk.AdamW([p], 1e-3, rounding="split", ema=0.9, backend=backend)
        for step in range(20):
            p[rng.random(1000) < 0.5] = 0.0 if step % 2 else -0.0
            opt.step([rng.standard_normal(1000).astype(np.float32)])
        assert np.isfinite(p).all()
        assert np.isfinite(opt.ema_params[0]).all()

    def test_forgotten(self, backend: str) -> None:
        """Then a written parameter is exactly what was written."""
        p = np.ones(64, BF16)
        opt = lk.SGD([p, np.ones(3, np.float32)], 2.0**-12, rounding="split", backend=backend)
        for _ in range(3):
            opt.step([np.ones(64, np.float32), None])
        p[:] = 0.5
        opt.forget_remainders()
        assert not opt.state_dict()["remainders"][0].any()
        assert opt.state_dict()["remainders"][1] is None
        opt.step([np.zeros(64, np.float32), None])
        assert (p == 0.5).all()
        assert not opt.state_dict()["remainders"][0].any()

    def test_there_are_none_to_forget(self, backend: str) -> None:
        lk.SGD([np.ones(3)], 0.1, backend=backend).forget_remainders()

    def test_not_while_another_thread_steps(self, backend: str) -> None:
        opt = lk.SGD([np.ones(3, BF16)], 0.1, rounding="split", backend=backend)
        errors = []

        def forget() -> None:
            try:
                opt.forget_remainders()
            except RuntimeError as error:
                errors.append(error)

        def run() -> None:
            other = threading.Thread(target=forget)
            other.start()
            other.join()

        opt._tensors.alone(run)
        assert len(errors) == 1


class TestStates:
    def test_averages_of_squares_fall(self) -> None:
        """By 0.1 % a step, which is less than half a unit in the last place of bfloat16."""
        found = {}
        for rounding in ("stochastic", "nearest"):
            opt = lk.Adam([np.zeros(4096, np.float32)], state_dtype="bfloat16", state_rounding=rounding)
            opt.step([np.ones(4096, np.float32)])
            for _ in range(5000):
                opt.step([np.zeros(4096, np.float32)])
            found[rounding] = float(np.mean(opt.state_dict()["exp_avg_sqs"][0].astype(np.float64)))
        exact = 1e-3 * 0.999**5000
        assert abs(found["stochastic"] / exact - 1) < 0.05
        assert found["nearest"] > 100 * exact

    def test_streams_differ(self) -> None:
        """A parameter and its state use different random words, also at the same step and element."""
        n = 4096
        p, g = np.zeros(n, BF16), np.full(n, 1 + 2.0**-8, np.float32)  # in the middle between two neighbours
        opt = lk.SGD([p], 1.0, momentum=0.5, state_dtype="bfloat16", rounding="stochastic", seed=1)
        opt.step([g])
        up, buffer_up = p.astype(np.float64) < -1, opt.state_dict()["momentum_buffers"][0].astype(np.float64) > 1
        for mean in (np.mean(up), np.mean(buffer_up), np.mean(up != buffer_up)):
            assert 0.45 < mean < 0.55

    def test_seeds_and_steps_differ(self) -> None:
        def states(seed: int, steps: int) -> list[bytes]:
            opt = lk.SGD([np.zeros(512, np.float32)], 0.1, momentum=0.5, state_dtype="bfloat16", seed=seed)
            found = []
            for _ in range(steps):
                opt.step([np.full(512, 0.7012345, np.float32)])
                found.append(opt.state_dict()["momentum_buffers"][0].tobytes())
            return found

        assert states(1, 3) == states(1, 3)
        assert states(1, 1) != states(2, 1)

    @pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "Adagrad", "LAMB"])
    def test_float16_holds_no_squares(self, name: str) -> None:
        with pytest.raises(ValueError, match=rf"^{name}: state_dtype must not be 'float16', in which squares .* bfloat16"):
            getattr(lk, name)([np.ones(3)], state_dtype="float16")
        states = {"Adam": 2, "AdamW": 2, "LAMB": 2}.get(name, 1)
        arrays = [np.ones(3, np.float32), np.ones(3, np.float32), *(np.zeros(3, np.float16) for _ in range(states))]
        count = {} if name == "RMSprop" else {"count": 0}
        with pytest.raises(TypeError, match=rf"^{name.lower()}_step: \w+ must not be float16, in which squares"):
            getattr(lk, f"{name.lower()}_step")(*arrays, **count)
        assert (arrays[0] == 1).all()

    @pytest.mark.parametrize("name", ["SGD", "Lion", "LARS"])
    def test_float16_holds_gradients(self, name: str) -> None:
        options = {"momentum": 0.9} if name != "Lion" else {}
        opt = getattr(lk, name)([np.ones(3, np.float32)], 0.1, state_dtype="float16", **options)
        opt.step([np.ones(3, np.float32)])
        assert next(iter(opt._kept.values()))[0].dtype == np.float16

    def test_centered_needs_more_than_16_bits(self) -> None:
        message = "^RMSprop: state_dtype must not be 'bfloat16', in which the difference of averages"
        with pytest.raises(ValueError, match=message):
            lk.RMSprop([np.ones(3)], centered=True, state_dtype="bfloat16")
        with pytest.raises(ValueError, match=message):
            lk.RMSprop([{"params": [np.ones(3)]}, {"params": [np.ones(3)], "centered": True}], state_dtype="bfloat16")

    def test_words_for_rounding(self) -> None:
        with pytest.raises(ValueError, match="SGD: state_rounding must be 'stochastic' or 'nearest'; got 'split'"):
            lk.SGD([np.ones(3)], 0.1, state_rounding="split")


class TestCopies:
    @compiled("dtype", ["f2", "f4", "f8", BF16], ["f2"])
    def test_made_with_the_optimizer(self, dtype: Any, backend: str) -> None:
        """Also of parameters that never get a gradient, and rounded once."""
        params = [np.random.default_rng(k).standard_normal(1300).astype(one) for k, one in enumerate(("f4", "f8", BF16, "f2"))]
        copies = [np.full(1300, 7.0).astype(dtype) for _ in params]
        opt = lk.SGD(params, 0.1, copy_to=[*copies[:3], None], backend=backend)
        for param, copy in zip(params[:3], copies[:3], strict=True):
            assert_same_bits(copy, reference.to_nearest(reference.load(param, reference.computed_in(param.dtype)), copy.dtype))
        assert (copies[3] == 7).all()
        opt.step([None, np.ones(1300), None, None])
        assert_same_bits(copies[1], reference.to_nearest(params[1], copies[1].dtype))

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_made_with_a_loaded_state(self, backend: str, tmp_path: Path) -> None:
        """Of the whole of a split parameter."""
        p = np.ones(40, BF16)
        copy = np.zeros(40, np.float32)
        opt = lk.SGD([p], 2.0**-12, rounding="split", copy_to=[copy], backend=backend)
        opt.step([np.ones(40, np.float32)])
        assert (copy == 1 - 2.0**-12).all()
        opt.save(tmp_path / "state.safetensors")
        state, saved = opt.state_dict(), p.copy()
        for way in ("dict", "file"):
            q, other_copy = np.zeros(40, BF16), np.zeros(40, np.float32)
            other = lk.SGD([q], 2.0**-12, rounding="split", copy_to=[other_copy], backend=backend)
            q[:] = saved
            assert not other_copy.any()
            other.load_state_dict(state) if way == "dict" else other.load(tmp_path / "state.safetensors")
            assert (other_copy == 1 - 2.0**-12).all()
