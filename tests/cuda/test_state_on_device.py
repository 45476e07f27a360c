"""The state of optimizers on a device: to the host and back, in files, groups that come later. See `test_device`."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from device_steps import (
    BF16,
    CHUNK,
    MARKS,
    bits,
    in_either_order,  # noqa: F401
    on_device,
    pickled,
)

import lrkern as lk
import lrkern.cuda

pytestmark = MARKS


def test_state_goes_to_the_host_and_back(tmp_path):
    rng = np.random.default_rng(11)
    params = [rng.standard_normal((2, 3, 4)).astype(BF16).transpose(0, 2, 1), rng.standard_normal(5).astype(np.float32)]

    def made():
        arrays = [on_device(p) for p in params]
        return arrays, lk.AdamW(arrays, lr=0.1, ema=0.9, rounding="split")

    grads = [[on_device(rng.standard_normal(p.shape).astype(p.dtype)) for p in params] for _ in range(2)]
    for each in grads:
        each[0] = on_device(each[0].array.transpose(0, 2, 1).copy().transpose(0, 2, 1))
    arrays, opt = made()
    opt.step(grads[0])
    state, file = pickle.loads(pickle.dumps(opt.state_dict())), tmp_path / "state.safetensors"
    opt.save(file)
    kept = [bits(one.array) for one in arrays]
    opt.step(grads[1])
    for way in ("load_state_dict", "load"):
        again, other = made()
        for one, saved in zip(again, kept, strict=True):
            one.array[...] = np.frombuffer(saved, one.array.dtype).reshape(one.array.shape)
        getattr(other, way)(state if way == "load_state_dict" else file)
        assert other.count == 1
        other.step(grads[1])
        assert [bits(one.array) for one in again] == [bits(one.array) for one in arrays]
        assert pickled(other) == pickled(opt)


def test_checkpoints_and_averages_that_begin(tmp_path):
    rng = np.random.default_rng(12)
    first, second = rng.standard_normal((2, 3, 4)).astype(np.float32)
    arrays, schedule = [on_device(first), on_device(second)], lk.cosine(0.1, 0.0, 9)
    opt = lk.AdamW({"a": arrays[0], "b": arrays[1]}, lr=schedule, decay_mask={"a": True, "b": False})
    opt.step({"a": on_device(second), "b": on_device(first)})
    opt.save(tmp_path / "file", parameters=True)
    again = [on_device(np.zeros((3, 4), np.float32)) for _ in range(2)]
    other = lk.AdamW({"b": again[1], "a": again[0]}, lr=0.5, ema=0.5, decay_mask={"b": False, "a": True})
    assert other.load(tmp_path / "file", parameters=True) == ([], [], [], [])
    assert [bits(one.array) for one in again] == [bits(one.array) for one in arrays]
    assert other.lr == opt.lr
    assert other.state_dict()["ema_params"]["a"].tobytes() == bits(again[0].array)
    late = lk.AdamW({"a": arrays[0], "b": arrays[1]}, lr=0.5, ema=0.5, decay_mask={"a": True, "b": False})
    arrays[0].array[...] = 2.0
    late.load_state_dict(opt.state_dict())
    assert (late.state_dict()["ema_params"]["a"] == 2).all()
    host = lk.AdamW({"a": np.zeros((3, 4), np.float32), "b": np.zeros((3, 4), np.float32)}, lr=0.5)
    host.load(tmp_path / "file", parameters=True)  # files do not depend on the backend
    assert host.state_dict()["exp_avgs"]["b"].tobytes() == opt.state_dict()["exp_avgs"]["b"].tobytes()


def test_a_group_that_comes_later_and_one_that_is_frozen():
    rng = np.random.default_rng(13)
    values = [rng.standard_normal(n).astype(np.float32) for n in (5, CHUNK + 3)]
    grads = [[[on_device(rng.standard_normal(one.size).astype(np.float32))] for one in values] for _ in range(3)]
    options = {"lr": lk.cosine(0.1, 0.0, 9), "clip_norm": 0.5, "ema": 0.5, "weight_decay": 0.1}
    (a, b), (c, d) = ([on_device(one) for one in values] for _ in range(2))
    opt, both = lk.AdamW([a], **options), lk.AdamW([{"params": [c]}, {"params": [d], "lr": 0.25}], **options)
    opt.step(grads[0][0])
    both.step([grads[0][0], [None]])
    with pytest.raises(TypeError, match="lr must be a number or a Schedule on a CUDA"):
        opt.add_group([b], lr=lambda step: 0.25)
    opt.add_group([b], lr=0.25)
    opt.bind(grads[1])
    for frozen in (False, True, False):
        (opt.freeze if frozen else opt.unfreeze)(1)
        opt.step()
        both.step([grads[1][0], [None] if frozen else grads[1][1]])
    opt.step(grads[2])
    both.step(grads[2])
    assert [bits(one.array) for one in (a, b)] == [bits(one.array) for one in (c, d)]
    assert pickled(opt) == pickled(both)
    assert (opt.count, opt.grad_norm) == (both.count, both.grad_norm)
    assert repr(opt).startswith("<AdamW: 2 arrays of ")  # without the count, which would have to be read from the device
