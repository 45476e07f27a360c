"""Wrappers that take the class of an optimizer as their base, as those of Lightning and Fabric: they do what it does."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402
from lrkern.torch.adapter import Adapter  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from training import give_gradients, little, same_bits  # noqa: E402


class Forwards:
    """Reads what it has not itself from the optimizer, as Lightning 2 does."""

    def __init__(self, opt):
        self._optimizer = opt
        self.__class__ = type("Wrapped" + type(opt).__name__, (type(self), type(opt)), {})

    def __getattr__(self, name):
        return getattr(self._optimizer, name)


class Copies:
    """Copies what the optimizer has when it is made, as Lightning 1 does."""

    def __init__(self, opt):
        self.__dict__ = {**opt.__dict__}
        self.__class__ = type("Wrapped" + type(opt).__name__, (type(self), type(opt)), {})


@pytest.fixture(params=[Forwards, Copies])
def wrap(request):
    return request.param


def made(wrap, **options):
    model = little()
    opt = lt.AdamW(model.parameters(), **{"lr": 0.1, **options})
    return model, opt, wrap(opt)


def step(model, opt, seed=0):
    give_gradients(model, seed)
    opt.step()


def values(model):
    return [one.detach().clone() for one in model.parameters()]


def same(some, others):
    return all(same_bits(a, b) for a, b in zip(some, others, strict=True))


def test_all_public_methods_reach_the_optimizer():
    kept = {"core_class", "core_options", "core_params", "names", "begin_one", "bind_again", "refuse_averaged", "is_aligned"}
    public = {name: getattr(Adapter, name) for name in dir(Adapter) if not name.startswith("_")}
    own = {name: one for name, one in public.items() if one is not getattr(torch.optim.Optimizer, name, None)}
    functions = {name: one.fget if isinstance(one, property) else one for name, one in own.items() if name not in kept}
    assert {"step", "set", "averaged", "count", "attach", "state_dict"} <= functions.keys()
    assert not [name for name, one in functions.items() if not hasattr(one, "__wrapped__") and name != "key_of"]


def test_a_hyper_parameter_set_by_a_wrapper(wrap):
    model, opt, wrapper = made(wrap, weight_decay=0.0)
    step(model, opt)
    wrapper.set("lr", 0.0)
    before = values(model)
    step(model, opt)
    assert same(values(model), before)
    assert opt.param_groups[0]["lr"] == 0.0
    wrapper.set("lr", lk.linear(1.0, 0.0, 4))
    step(model, opt)
    assert wrapper.param_groups[0]["lr"] == opt.param_groups[0]["lr"] == 0.25


def test_numbers(wrap):
    model, opt, wrapper = made(wrap, skip_nonfinite=True, clip_norm=1.0)
    assert wrapper.count == 0  # must not be kept
    for seed in range(3):
        step(model, opt, seed)
    give_gradients(model, 0)
    next(model.parameters()).grad[0] = torch.inf
    opt.step()
    assert (wrapper.count, wrapper.skipped) == (3, 1)
    assert wrapper.grad_norm == opt.grad_norm
    assert wrapper.backend == "c"
    assert repr(wrapper) == repr(opt)


def test_averages(wrap):
    model, opt, wrapper = made(wrap, ema=0.5)
    for seed in range(3):
        step(model, opt, seed)
        with opt.averaged():
            expected = values(model)
        before = values(model)
        with wrapper.averaged():
            assert same(values(model), expected)
            with pytest.raises(RuntimeError, match="within averaged"):
                opt.step()
        assert same(values(model), before)


def test_averages_after_a_state_was_loaded(wrap):
    model, opt, _ = made(wrap, ema=0.5)
    step(model, opt)
    state = copy.deepcopy(opt.state_dict())
    model, opt, wrapper = made(wrap, ema=0.5)
    wrapper.load_state_dict(state)
    assert opt.count == wrapper.count == 1
    with wrapper.averaged():  # makes what steps
        pass
    for seed in range(2):
        step(model, opt, seed)
        with opt.averaged():
            expected = values(model)
        with wrapper.averaged():
            assert same(values(model), expected)


def test_averages_of_buffers(wrap):
    model, opt, wrapper = made(wrap, ema=0.5)
    norm = torch.nn.BatchNorm1d(2)
    wrapper.average_buffers(norm)
    norm.running_mean.fill_(1.0)
    step(model, opt)
    with opt.averaged():
        assert norm.running_mean.tolist() == [0.5, 0.5]
    assert [*wrapper.state_dict()["param_groups"][0]["buffers"]] == ["running_mean", "running_var"]


def test_gradient_release(wrap):
    model, opt, wrapper = made(wrap)
    handle = wrapper.attach()
    with pytest.raises(RuntimeError, match="call remove"):
        opt.attach()
    for _ in range(2):
        model(torch.ones(3, 4)).sum().backward()
        assert all(one.grad is None for one in model.parameters())
        opt.step()
    assert opt.count == 2
    handle.remove()
    opt.attach().remove()


def test_groups_and_states(wrap):
    model, opt, wrapper = made(wrap)
    extra = torch.nn.Parameter(torch.ones(3))
    wrapper.add_param_group({"params": [extra], "lr": 0.5})
    extra.grad = torch.ones(3)
    step(model, opt)
    assert extra[0] < 0.6
    assert wrapper.state_dict()["state"].keys() == opt.state_dict()["state"].keys()
    wrapper.set("lr", lk.linear(1.0, 0.0, 4), group=1)
    with pytest.raises(ValueError, match="must be a number"):
        lt.Scheduler(wrapper, lr=[None, 0.1])


def test_a_wrapper_that_does_not_step_itself(wrap):
    model, opt, wrapper = made(wrap)
    step(model, wrapper)
    step(model, opt)
    assert opt.count == 2


def test_a_gradient_scaler_divides_for_a_wrapper(wrap):
    """What it hands over would stay with the wrapper."""
    [model, opt, wrapper], [other, alone, _] = made(wrap), made(wrap)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for net, one in ((model, wrapper), (other, alone)):
        scaler.scale(net(torch.ones(3, 4)).sum()).backward()
        scaler.step(one)
        scaler.update()
    assert opt.count == alone.count == 1
    assert same(values(model), values(other))


def test_copies_of_optimizers_stand_for_themselves():
    model, opt, _ = made(Forwards)
    step(model, opt)
    twin, groups = copy.deepcopy([opt, opt.param_groups])
    for group in groups:
        for param in group["params"]:
            param.grad = torch.ones_like(param)
    twin.step()
    assert (opt.count, twin.count) == (1, 2)


def test_a_wrapper_of_an_optimizer_that_is_gone():
    model, opt, wrapper = made(Copies)
    del opt
    step(model, wrapper)
    assert wrapper.count == 1
