"""Buffers in `averaged`: averaged with the parameters, or put back after they were computed again."""

from __future__ import annotations

import copy
import io
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
import training  # noqa: E402
from training import same_bits  # noqa: E402

pytestmark = pytest.mark.peers


def made(**options):
    torch.manual_seed(0)
    model, data = training.convolutional(), training.images()
    return model, data, lt.AdamW(model.parameters(), lr=0.01, **options)


def bits_of(model):
    return [one.detach().clone() for one in model.state_dict().values()]


def assert_same(found, expected):
    assert all(same_bits(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(("ema", "every"), [(0.75, 1), ((0.5, lk.linear(0.5, 0.9, 6)), 2)])
def test_buffers_are_averaged_as_parameters_are(ema, every):
    model, data, opt = made(ema=ema, ema_every=every)
    opt.average_buffers(model)
    decays = ema if isinstance(ema, tuple) else (ema,)
    buffer = model[1].running_mean
    expected = [buffer.clone() for _ in decays]
    for step in range(5):
        training.train(model, opt, data, 1, begin=step)
        if (step + 1) % every == 0:
            for average, decay in zip(expected, decays, strict=True):
                average.lerp_(buffer, 1.0 - (decay(step) if callable(decay) else decay))
    before = bits_of(model)
    for which, average in enumerate(expected):
        with opt.averaged(which):
            assert same_bits(buffer, average)
            assert not same_bits(buffer, before[-3])
            assert int(model[1].num_batches_tracked) == 5
            name = ("ema", "second_ema")[which]
            assert_same(model.parameters(), [opt.state[one][name] for one in model.parameters()])
        assert_same(bits_of(model), before)
    with pytest.raises(ValueError, match=r"AdamW.averaged: which must be"), opt.averaged(len(expected)):
        pass


def test_a_skipped_step_does_not_count():
    model, data, opt = made(ema=0.5, skip_nonfinite=True)
    opt.average_buffers(model)
    training.train(model, opt, data, 2)
    kept = opt._buffers.state()
    next(model.parameters()).grad[0] = float("nan")
    opt.step()
    assert opt.skipped == 1
    for name, averages in opt._buffers.state().items():
        assert_same(averages, kept[name])


def test_buffers_computed_again_are_put_back():
    model, data, opt = made(ema=0.75)
    training.train(model, opt, data, 5)
    before = bits_of(model)
    with opt.averaged(model=model):
        torch.optim.swa_utils.update_bn([data[0]], model)
        assert not same_bits(model[1].running_mean, before[4])
        assert int(model[1].num_batches_tracked) == 1
    assert_same(bits_of(model), before)


def test_averages_of_buffers_travel_in_the_state():
    model, data, opt = made(ema=0.75)
    opt.average_buffers(model)
    training.train(model, opt, data, 4)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": opt.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    copied, twin = copy.deepcopy((model, opt))
    for order in ("load first", "load last"):
        other, _, again = made(ema=0.75)
        if order == "load last":
            again.average_buffers(other)
        other.load_state_dict(saved["model"])
        again.load_state_dict(copy.deepcopy(saved["optimizer"]))
        assert "buffers" not in again.param_groups[0]
        if order == "load first":
            assert_same(
                again.state_dict()["param_groups"][0]["buffers"]["1.running_mean"], opt._buffers.averages["1.running_mean"]
            )
            again.average_buffers(other)
        training.train(other, again, data, 3, begin=4)
        results = bits_of(other), again._buffers.averages
    training.train(model, opt, data, 3, begin=4)
    training.train(copied, twin, data, 3, begin=4)
    for bits, averages in (results, (bits_of(copied), twin._buffers.averages)):
        assert_same(bits, bits_of(model))
        assert_same(
            [one for some in averages.values() for one in some],
            [one for some in opt._buffers.averages.values() for one in some],
        )
    assert twin._buffers.model is copied


def test_what_does_not_fit_is_refused():
    model, data, opt = made()
    with pytest.raises(ValueError, match=r"AdamW.average_buffers: the optimizer must be made with ema"):
        opt.average_buffers(model)
    model, data, opt = made(ema=0.75)
    opt.average_buffers(model)
    training.train(model, opt, data, 1)
    again = lt.AdamW(model.parameters(), ema=0.75)
    again.load_state_dict(opt.state_dict())
    with pytest.raises(ValueError, match=r"averages of buffers must be those of running_mean, running_var, in shape too; got"):
        again.average_buffers(torch.nn.BatchNorm1d(3))
    again = lt.AdamW(model.parameters(), ema=0.75, lr=0.5)
    again.average_buffers(torch.nn.BatchNorm1d(3))
    with pytest.raises(ValueError, match=r"AdamW.load_state_dict: averages of buffers must be those of running_mean"):
        again.load_state_dict(opt.state_dict())
    assert again.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("attached", [False, True])
def test_buffers_may_come_and_go(attached):
    model, data, opt = made(ema=0.5)
    opt.average_buffers(model)
    if attached:
        opt.attach(model)
    training.train(model, opt, data, 2)
    early = copy.deepcopy(opt.state_dict())
    model[1].register_buffer("late", torch.ones(2))
    assert_same(opt.state_dict()["param_groups"][0]["buffers"]["1.late"], [torch.ones(2)])
    training.train(model, opt, data, 1)
    model[1].late.zero_()
    training.train(model, opt, data, 1)
    assert opt.count == 4
    with opt.averaged():
        assert model[1].late.tolist() == [0.5, 0.5]
    saved = copy.deepcopy(opt.state_dict())
    model[1].late.fill_(3.0)
    opt.load_state_dict(saved)
    with opt.averaged():
        assert model[1].late.tolist() == [0.5, 0.5]
    del model[1].late
    with opt.averaged():
        pass
    opt.load_state_dict(early)
    training.train(model, opt, data, 1)
    assert "1.late" not in opt._buffers.averages
    assert "1.late" not in opt.state_dict()["param_groups"][0]["buffers"]


@pytest.mark.parametrize("attached", [False, True])
def test_a_buffer_of_another_shape_is_refused_before_the_step(attached):
    model, data, opt = made(ema=0.5)
    model[1].register_buffer("late", torch.ones(2))
    opt.average_buffers(model)
    if attached:
        opt.attach(model)
    training.train(model, opt, data, 2)
    model[1].late = torch.ones(3)
    before = bits_of(model)[:2]
    message = r"buffer '1.late' must stay \(2,\) on cpu, as its average is; got \(3,\) on cpu: call average_buffers again"
    with pytest.raises(ValueError, match=f"AdamW.step: {message}"):
        training.train(model, opt, data, 1)
    with pytest.raises(ValueError, match=f"AdamW.averaged: {message}"), opt.averaged():
        pass
    assert_same(bits_of(model)[:2], before)
    opt.average_buffers(model)
    training.train(model, opt, data, 1)
    assert opt.count == 3
