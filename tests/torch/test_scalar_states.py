"""Optimizers that keep numbers of each tensor, in torch."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

import lrkern.torch as lt  # noqa: E402

pytestmark = pytest.mark.peers

NAMES = ["NAdam", "ASGD", "NovoGrad", "ScheduleFreeSGD", "ScheduleFreeAdamW", "ScheduleFreeRAdam", "StableAdamW", "MARS"]


@pytest.fixture(autouse=True)
def _in_double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def parameters(seed=0):
    torch.manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(5, 3)), torch.nn.Parameter(torch.randn(7))]


def give(params, step):
    torch.manual_seed(100 + step)
    for one in params:
        one.grad = torch.randn_like(one)


def train(opt, params, first, last):
    for step in range(first, last):
        give(params, step)
        opt.step()


def near(a, b, bound):
    return all(bool(((x - y).abs() <= bound * y.abs().max()).all()) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(("name", "options"), [("NAdam", {"momentum_decay": 0.01}), ("ASGD", {"t0": 3.0, "lambd": 0.01})])
def test_like_torch_and_from_its_state(name, options):
    ours, theirs = parameters(), parameters()
    opt, other = getattr(lt, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    train(opt, ours, 0, 10)
    train(other, theirs, 0, 10)
    assert near(ours, theirs, 1e-12)
    third = [torch.nn.Parameter(one.detach().clone()) for one in theirs]
    resumed = getattr(lt, name)(third, **options)
    resumed.load_state_dict(copy.deepcopy(other.state_dict()))
    train(other, theirs, 10, 20)
    train(resumed, third, 10, 20)
    assert near(third, theirs, 1e-12)


@pytest.mark.parametrize(
    ("name", "options", "numbers"),
    [("NAdam", {"momentum_decay": 0.01}, {"step", "mu_product"}), ("ASGD", {"t0": 3.0, "lambd": 0.01}, {"step", "eta", "mu"})],
)
def test_torch_goes_on_from_our_state(name, options, numbers):
    ours = parameters()
    opt = getattr(lt, name)(ours, **options)
    train(opt, ours, 0, 10)
    theirs = [torch.nn.Parameter(one.detach().clone()) for one in ours]
    other = getattr(torch.optim, name)(theirs)
    state = copy.deepcopy(opt.state_dict())
    assert numbers <= set(state["state"][0])
    other.load_state_dict(state)
    train(opt, ours, 10, 20)
    train(other, theirs, 10, 20)
    assert near(ours, theirs, 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_resuming_continues_to_the_bit(name):
    ours = parameters()
    opt = getattr(lt, name)(ours)
    train(opt, ours, 0, 5)
    others = [torch.nn.Parameter(one.detach().clone()) for one in ours]
    other = getattr(lt, name)(others)
    other.load_state_dict(copy.deepcopy(opt.state_dict()))
    train(opt, ours, 5, 10)
    train(other, others, 5, 10)
    assert all(torch.equal(a, b) for a, b in zip(ours, others, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_plain_operations_have_the_same_formula(name):
    ours, others = parameters(), parameters()
    opt, other = getattr(lt, name)(ours), getattr(lt, name)(others, backend="torch")
    train(opt, ours, 0, 20)
    train(other, others, 0, 20)
    assert near(others, ours, 1e-12)


def test_averages_of_the_rule():
    ours = parameters()
    opt = lt.ScheduleFreeSGD(ours, lr=0.1)
    train(opt, ours, 0, 5)
    before = [one.detach().clone() for one in ours]
    averages = [opt.state[one]["average"].clone() for one in ours]
    with opt.averaged():
        assert all(torch.equal(a, b) for a, b in zip(ours, averages, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(ours, before, strict=True))
