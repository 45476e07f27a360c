"""Parameters that a model has replaced by others are noticed; those without new gradients for other reasons are not."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from training import little  # noqa: E402

pytestmark = pytest.mark.peers


def steps(model, opt, n, *, zero=None, dtype=torch.float32, loss=lambda out: (out**2).mean()):
    for _ in range(n):
        (zero or opt).zero_grad()
        loss(model(torch.ones(2, 4, dtype=dtype))).backward()
        opt.step()


def assign(module):
    module.load_state_dict({key: one.clone() for key, one in module.state_dict().items()}, assign=True)


def optimizer(model, **options):
    return lt.SGD(model.named_parameters(), lr=0.1, momentum=0.9, **options)


@pytest.mark.parametrize("release", [False, True])
@pytest.mark.parametrize("before", [0, 3])
def test_of_one_module(before, release):
    model = little()
    opt = optimizer(model)
    if release:
        opt.attach(model)
    steps(model, opt, before)
    assign(model[2])
    with pytest.warns(UserWarning, match=r"SGD.step: params\[2\] \(2.weight\) gets no new gradients") as caught:
        steps(model, opt, 12)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize("part", ["all", "one module"])
def test_gradients_that_stay_from_the_last_backward_pass(part):
    model = little()
    opt = optimizer(model)
    steps(model, opt, 3, zero=model)
    assign(model if part == "all" else model[2])
    with pytest.warns(UserWarning, match=r"SGD.step: params\[\d\] \(\d.\w+\) gets no new gradients") as caught:
        steps(model, opt, 24, zero=model)
    assert len(caught) == 1


def test_by_conversions():
    model = little()
    opt = optimizer(model)
    steps(model, opt, 1)
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        model.double()
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
    with pytest.warns(UserWarning, match=r"SGD.step: params\[\d\] \(\d.\w+\) gets no new gradients"):
        steps(model, opt, 12, zero=model, dtype=torch.float64)


class Experts(torch.nn.Module):
    """Two layers that take turns, and one that is never used."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList([torch.nn.Linear(4, 4) for _ in range(3)])
        self.head = torch.nn.Linear(4, 4)
        self.calls, self.often = 0, 1

    def forward(self, x):
        self.calls += 1
        return self.head(self.layers[self.calls // self.often % 2](x))


@pytest.fixture
def silent():
    # A module with parameters of the same shapes, as a teacher or the other half of a pair of networks.
    others = little(), Experts()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield others


@pytest.mark.parametrize("often", [1, 7])
@pytest.mark.parametrize("set_to_none", [True, False])
def test_no_false_alarm_for_experts(often, set_to_none, silent):
    model = Experts()
    model.often = often
    opt = optimizer(model)
    for _ in range(40):
        opt.zero_grad(set_to_none=set_to_none)
        model(torch.ones(2, 4)).sum().backward()
        opt.step()


def test_no_false_alarm_for_frozen_layers(silent):
    model = little()
    opt = optimizer(model)
    steps(model, opt, 5)
    model[0].requires_grad_(False)
    steps(model, opt, 30)
    model[0].requires_grad_(True)
    steps(model, opt, 5)


def test_no_false_alarm_for_accumulation_and_closures(silent):
    model = little()
    opt = optimizer(model)
    for step in range(40):
        if step % 4 == 0:
            opt.zero_grad()
        model(torch.ones(2, 4)).sum().backward()
        opt.step()

    def closure():
        opt.zero_grad()
        loss = model(torch.ones(2, 4)).sum()
        loss.backward()
        return loss

    for _ in range(20):
        opt.step(closure)


def test_no_false_alarm_for_the_same_gradients_again(silent):
    model = little()
    free = torch.nn.Parameter(torch.zeros(5))
    opt = lt.SGD([*model.parameters(), free], lr=0.1)
    for param in [*model.parameters(), free]:
        param.grad = torch.ones_like(param)
    for _ in range(40):
        opt.step()


def test_no_false_alarm_with_gradient_release(silent):
    model = Experts()
    opt = optimizer(model)
    opt.attach(model.layers)
    steps(model, opt, 40)


def test_looks_become_rare(monkeypatch):
    looks = []
    monkeypatch.setattr("lrkern.torch.replaced.alive", lambda kind: looks.append(kind) or [])
    model = little()
    opt = optimizer(model)
    for param in model.parameters():
        param.grad = torch.ones_like(param)
    for _ in range(1000):
        opt.step()
    assert 1 <= len(looks) < 10
