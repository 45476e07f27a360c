"""Hooks and the profiler around a step: as around the steps of torch's optimizers, and nothing where there are none."""

import pytest

torch = pytest.importorskip("torch")
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook  # noqa: E402

import lrkern.torch as lt  # noqa: E402

pytestmark = pytest.mark.peers


def made(module, cls=None):
    param = torch.nn.Parameter(torch.ones(3))
    param.grad = torch.ones(3)
    return (cls or module.SGD)([param], lr=0.5)


@pytest.mark.parametrize("call", [lambda opt: opt.step(), lambda opt: opt.step(None), lambda opt: opt.step(closure=None)])
def test_hooks_get_what_those_of_torch_get(call):
    seen = {}
    for module in (torch.optim, lt):
        opt, calls = made(module), []

        def note(name, calls=calls, opt=opt):
            return lambda caller, args, kwargs: calls.append((name, caller is opt, args[0] is opt, args[1:], kwargs))

        handles = [
            opt.register_step_pre_hook(note("pre")),
            register_optimizer_step_pre_hook(note("pre of all")),
            opt.register_step_post_hook(note("post")),
            register_optimizer_step_post_hook(note("post of all")),
        ]
        call(opt)
        for one in handles:
            one.remove()
        call(opt)
        seen[module] = calls
    assert len(seen[lt]) == 4
    assert seen[lt] == seen[torch.optim]


@pytest.mark.parametrize("register", ["pre", "post", "pre of all", "post of all"])
def test_one_hook_alone_is_called(register):
    opt, calls = made(lt), []
    hooks = {
        "pre": opt.register_step_pre_hook,
        "post": opt.register_step_post_hook,
        "pre of all": register_optimizer_step_pre_hook,
        "post of all": register_optimizer_step_post_hook,
    }
    handle = hooks[register](lambda *_: calls.append(register))
    opt.step()
    handle.remove()
    opt.step()
    assert calls == [register]


def test_a_hook_may_give_other_arguments():
    opt, calls = made(lt), []
    opt.register_step_pre_hook(lambda one, args, kwargs: ((one, lambda: calls.append("closure")), {}))
    opt.step()
    assert calls == ["closure"]


@pytest.mark.parametrize("parent_was_made", [False, True])
def test_hooks_are_called_once_around_the_step_of_a_subclass(parent_was_made):
    class Parent(lt.SGD):
        pass

    class Child(Parent):
        def step(self, closure=None):
            return super().step(closure)

    if parent_was_made:
        made(lt, Parent)
    opt, calls = made(lt, Child), []
    opt.register_step_pre_hook(lambda *_: calls.append("pre"))
    opt.step()
    assert calls == ["pre"]


def test_a_profiler_sees_the_step():
    opt = made(lt)
    opt.step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        opt.step()
    assert [one.count for one in found.key_averages() if one.key == "Optimizer.step#SGD.step"] == [1]


def test_without_hooks_no_range_is_opened(monkeypatch):
    """It would take longer than a step of many small tensors."""

    def opened(*_):
        raise AssertionError("a range was opened")

    opt, other = made(lt), made(torch.optim)
    opt.step()
    monkeypatch.setattr(torch.autograd.profiler, "record_function", opened)
    opt.step()
    with pytest.raises(AssertionError, match="a range was opened"):
        other.step()
