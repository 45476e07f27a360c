"""`from_torch` for the momentum that schedulers of torch cycle, and for what a `Scheduler` sets."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:Detected call of")]

L = torch.optim.lr_scheduler

CASES = [
    ("OneCycleLR", {"max_lr": 0.4, "total_steps": 40}),
    ("OneCycleLR", {"max_lr": 0.4, "total_steps": 40, "three_phase": True, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": [0.4, 0.2], "total_steps": 40, "base_momentum": [0.8, 0.7], "max_momentum": [0.9, 0.99]}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3, "step_size_down": 5, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3, "mode": "exp_range", "gamma": 0.95}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": [0.2, 0.3], "step_size_up": 3, "base_momentum": [0.5, 0.6], "max_momentum": 0.95}),
]


def optimizer(kind):
    groups = [{"params": [torch.zeros(1, requires_grad=True)]} for _ in range(2)]
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9) if kind == "SGD" else torch.optim.Adam(groups, lr=0.1)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_momentum_of_cycles(name, options, kind):
    opt = optimizer(kind)
    scheduler = getattr(L, name)(opt, **options)
    found = [lt.from_torch(scheduler, "momentum", group=g) for g in range(2)]
    assert lt.from_torch(scheduler, "beta1") == found[0]
    seen = []
    for step in range(40):
        for group, schedule in zip(opt.param_groups, found, strict=True):
            value = group["momentum"] if kind == "SGD" else group["betas"][0]
            assert schedule(step) == pytest.approx(value, rel=1e-13), step
            seen.append(value)
        if step < 39:
            scheduler.step()
    assert len(set(seen)) > 3


def test_what_a_scheduler_of_lrkern_sets():
    opt = optimizer("SGD")
    momentum = lk.linear(0.5, 0.9, 10)
    scheduler = lt.Scheduler(opt, lr=lk.linear(1.0, 0.0, 4), momentum=[momentum, None], weight_decay=0.25)
    assert lt.from_torch(scheduler, "momentum") == momentum
    assert lt.from_torch(scheduler, "momentum", group=1) == lk.constant(0.9)
    assert lt.from_torch(scheduler, "weight_decay") == lk.constant(0.25)
    with pytest.raises(
        ValueError, match="from_torch: name must be one that the Scheduler sets, lr, momentum, weight_decay; got"
    ):
        lt.from_torch(scheduler, "epsilon")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda opt: L.StepLR(opt, 3), "momentum"),
        (lambda opt: L.OneCycleLR(opt, 0.4, 10, cycle_momentum=False), "momentum"),
        (lambda opt: L.OneCycleLR(opt, 0.4, 10), "weight_decay"),
        (lambda opt: L.SequentialLR(opt, [L.OneCycleLR(opt, 0.4, 10), L.StepLR(opt, 3)], [10]), "momentum"),
    ],
)
def test_what_has_no_momentum_is_refused(make, name):
    with pytest.raises(ValueError, match="from_torch: name must be 'lr', or 'momentum' for OneCycleLR and CyclicLR"):
        lt.from_torch(make(optimizer("SGD")), name)
