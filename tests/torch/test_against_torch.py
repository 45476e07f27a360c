"""Every optimizer that torch has as well: random configurations over 50 steps, in float64, against torch's own."""

from __future__ import annotations

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import lrkern.torch as lt  # noqa: E402

pytestmark = pytest.mark.peers

SHARED = [name for name in lt.__all__ if name in dir(torch.optim) and name != "Optimizer"]
SHAPES = [(), (1,), (3,), (17,), (64,), (5, 7), (2, 3, 4), (0,), (33, 3)]
CONFIGURATIONS, STEPS = 300, 50


def test_all_of_these_are_compared():
    assert {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "RAdam", "Rprop"} <= set(SHARED)


def number(rng: random.Random, name: str):
    """A value of an option, by its name in torch."""
    between = {
        "lr": (1e-3, 0.1),
        "weight_decay": (1e-3, 0.3),
        "momentum": (0.3, 0.95),
        "dampening": (0.0, 0.5),
        "eps": (1e-9, 1e-3),
        "lr_decay": (0.0, 0.1),
        "alpha": (0.5, 0.99),
        "rho": (0.5, 0.95),
        "initial_accumulator_value": (0.0, 0.5),
        "momentum_decay": (1e-3, 1e-2),
        "lambd": (1e-5, 1e-3),
    }
    if name == "betas":
        return (rng.uniform(0.5, 0.95), rng.uniform(0.8, 0.9999))
    if name == "etas":
        return (rng.uniform(0.3, 0.8), rng.uniform(1.1, 1.4))
    if name == "step_sizes":
        return (1e-5, rng.uniform(0.1, 2.0))
    if name == "t0":
        return float(rng.randrange(1, 40))
    return rng.uniform(*between[name])


SWITCHES = ("nesterov", "amsgrad", "maximize", "centered", "decoupled_weight_decay")


def configuration(rng: random.Random, name: str) -> dict:
    """Random options of a torch optimizer, some of them left out."""
    import inspect

    _, _, *known = inspect.signature(getattr(torch.optim, name).__init__).parameters
    found = {}
    for option in known:
        if option in ("foreach", "fused", "capturable", "differentiable") or rng.random() < 0.4:
            continue
        if option == "decoupled_weight_decay" and name == "Adam":
            continue  # lrkern's is AdamW: False is accepted
        found[option] = rng.random() < 0.5 if option in SWITCHES else number(rng, option)
    if found.get("nesterov"):
        found |= {"momentum": number(rng, "momentum"), "dampening": 0.0}
    return found


def fields(rng: random.Random, name: str, count: int) -> list[dict]:
    """Which parameters are in which group, and the groups' own options."""
    if rng.random() < 0.5:
        return [{"params": list(range(count))}]
    cut = rng.randrange(1, count)
    known = ["lr"] if name == "Rprop" else ["lr", "weight_decay"]
    own = {key: number(rng, key) for key in known if rng.random() < 0.7}
    return [{"params": list(range(cut))}, {"params": list(range(cut, count)), **own}]


def at_most(rtol: float, ours, theirs, what: str) -> None:
    """Elements agree relatively to themselves, or to the size of the tensor where terms cancel."""
    a, b = ours.detach().numpy(), theirs.detach().numpy()
    assert a.shape == b.shape
    scale = max(float(np.max(np.abs(b), initial=0.0)), 1e-300)
    error = float(np.max(np.abs(a - b) / np.maximum(np.abs(b), scale), initial=0.0))
    assert error <= rtol, f"{what}: {error}"


@pytest.fixture(autouse=True)
def _in_double():
    """torch keeps numbers of tensors (NAdam's product of momenta, ASGD's rate) in the default type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("seed", range(CONFIGURATIONS))
def test_random_configurations(seed):
    rng = random.Random(seed)
    name = SHARED[seed % len(SHARED)]
    generator = torch.Generator().manual_seed(seed)
    options = configuration(rng, name)
    shapes = [rng.choice(SHAPES) for _ in range(rng.randrange(2, 6))]
    start = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    ours, theirs = ([torch.nn.Parameter(one.clone()) for one in start] for _ in range(2))
    groups = fields(rng, name, len(shapes))
    made = []
    for module, params in ((lt, ours), (torch.optim, theirs)):
        parts = [{**group, "params": [params[i] for i in group["params"]]} for group in groups]
        made.append(getattr(module, name)(parts, **options))
    schedulers = []
    if rng.random() < 0.3:
        schedulers = [torch.optim.lr_scheduler.StepLR(opt, 7, gamma=0.7) for opt in made]
    late = rng.random() < 0.3  # the last parameter has no gradients at first
    for step in range(STEPS):
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            grad = torch.randn(a.shape, generator=generator, dtype=torch.float64) * 10 ** rng.uniform(-2, 1)
            missing = (late and i == len(ours) - 1 and step < 5) or rng.random() < 0.03
            a.grad, b.grad = (None, None) if missing else (grad.clone(), grad.clone())
        for opt in made:
            opt.step()
        for scheduler in schedulers:
            scheduler.step()
    moved = False
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        at_most(1e-12, a, b, f"{name}({options}), parameter {i}")
        moved |= bool((a != start[i]).any())
        mine, other = made[0].state[a], made[1].state[b]
        for key, value in other.items():
            if isinstance(value, torch.Tensor) and value.is_floating_point() and key in mine:
                at_most(1e-12, mine[key].double(), value.double(), f"{name}({options}), {key} {i}")
        for key in (key for key, value in other.items() if value is not None and name != "ASGD"):
            assert key in mine, key
    assert moved or not sum(one.numel() for one in start)
    for mine, other in zip(made[0].param_groups, made[1].param_groups, strict=True):
        assert {key: other[key] for key in other if key != "params"} == {key: mine.get(key) for key in other if key != "params"}
