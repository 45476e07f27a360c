"""dialects.torch against torch's own schedulers, stepped as in a training loop, over random arguments.

torch goes from step to step by recursion; where a scheduler has a closed form as well, that is compared too, and the drift of
the recursion is allowed for: a few roundings a step.
"""

from __future__ import annotations

import warnings

import dialect_checks as checks
import numpy as np
import pytest

from lrkern.dialects import torch as T

torch = pytest.importorskip("torch")
L = pytest.importorskip("torch.optim.lr_scheduler")

pytestmark = pytest.mark.peers
STEPS = 220
DRAWS = 25


def optimizer(base, **kwargs):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base, **kwargs)


def run(make, base, steps=STEPS, momentum=None):
    """(rates, momenta) of a scheduler: what is in force at each update."""
    opt = optimizer(base, momentum=0.5 if momentum is None else momentum)
    rates, momenta = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = make(opt)
        for _ in range(steps):
            rates.append(opt.param_groups[0]["lr"])
            momenta.append(opt.param_groups[0]["momentum"])
            opt.step()
            if len(rates) < steps:
                scheduler.step()
    return np.array(rates, float), np.array(momenta, float)


def closed(make, base, times):
    scheduler = make(optimizer(base))
    values = []
    for t in times:
        scheduler.last_epoch = t
        values.append(scheduler._get_closed_form_lr()[0])
    return np.array(values, float)


def draws(seed):
    """Random generators, one for each draw."""
    return [np.random.default_rng([seed, i]) for i in range(DRAWS)]


def both(name, base, *args, terms=0.0, drift=0.0, steps=STEPS, with_closed=True, **kwargs):
    schedule = getattr(T, name)(base, *args, **kwargs)
    what = f"{name}({base!r}, {args}, {kwargs})"
    make = lambda opt: getattr(L, name)(opt, *args, **kwargs)  # noqa: E731
    # Every step of the recursion adds a few roundings of the value, and of the terms it is made of.
    stepped = run(make, base, steps)[0]
    checks.assert_agree(schedule.table(steps), stepped, terms=np.abs(stepped) + drift, roundings=4 * steps, what=what)
    if with_closed:
        times = checks.times(what, steps)
        checks.assert_agree(checks.at(schedule, times), closed(make, base, times), terms=terms, what=f"{what}, closed form")


def rate(rng):
    return float(10 ** rng.uniform(-5, 0))


@pytest.mark.parametrize("rng", draws(1))
def test_stairs(rng):
    both("StepLR", rate(rng), int(rng.integers(1, 60)), float(rng.uniform(0.05, 1.2)))
    both("MultiStepLR", rate(rng), [int(m) for m in rng.integers(0, 250, rng.integers(0, 6))], float(rng.uniform(0.05, 1.2)))
    both("ConstantLR", rate(rng), float(rng.uniform(0.01, 1)), int(rng.integers(1, 200)))


@pytest.mark.parametrize("rng", draws(2))
def test_smooth(rng):
    base = rate(rng)
    both("ExponentialLR", base, float(rng.uniform(0.9, 1.01)))
    both(
        "LinearLR",
        base,
        float(rng.uniform(0.01, 1)),
        float(rng.uniform(0, 1)),
        int(rng.integers(1, 300)),
        terms=base,
        drift=base,
    )
    both("PolynomialLR", base, int(rng.integers(1, 300)), float(rng.uniform(0.3, 3)), terms=base)


@pytest.mark.parametrize("rng", draws(3))
def test_cosine(rng):
    base, eta = rate(rng), float(rng.choice([0.0, rate(rng) * 0.01]))
    steps = int(rng.integers(2, 300))
    ours = T.CosineAnnealingLR(base, steps, eta)
    times = checks.times(repr(ours), STEPS)
    make = lambda opt: L.CosineAnnealingLR(opt, steps, eta)  # noqa: E731
    theirs = closed(make, base, times)
    checks.assert_agree(checks.at(ours, times), theirs, terms=base, what=f"{base} {steps} {eta}, closed form")
    stepped = run(make, base)[0]
    checks.assert_agree(ours.table(STEPS), stepped, terms=base, roundings=4 * STEPS, what=f"{base} {steps} {eta}")


@pytest.mark.parametrize("rng", draws(4))
def test_warm_restarts(rng):
    base, eta = rate(rng), rate(rng) * 0.01
    first, growth = int(rng.integers(1, 40)), int(rng.integers(1, 4))
    ours = T.CosineAnnealingWarmRestarts(base, first, growth, eta)
    make = lambda opt: L.CosineAnnealingWarmRestarts(opt, first, growth, eta)  # noqa: E731
    times = checks.times(repr(ours), STEPS)
    theirs, opt = run(make, base)[0], optimizer(base)
    scheduler = make(opt)
    for t in times[STEPS:]:
        scheduler.step(t)
        theirs = np.append(theirs, opt.param_groups[0]["lr"])
    # the time within a cycle is the difference of two times
    checks.assert_agree(checks.at(ours, times), theirs, terms=base, roundings=STEPS, what=f"{base} {first} {growth} {eta}")


def test_warm_restarts_at_epoch_121():
    """The difference listed in the documentation: torch's step(epoch) is at the bottom where cycle 5 begins."""
    opt = optimizer(0.05)
    scheduler = L.CosineAnnealingWarmRestarts(opt, 10, 3)
    scheduler.step(1210)
    assert abs(opt.param_groups[0]["lr"]) < 1e-12
    assert T.CosineAnnealingWarmRestarts(0.05, 10, 3)(1210) == 0.05


@pytest.mark.parametrize("rng", draws(5))
def test_cyclic(rng):
    low = rate(rng) * 0.1
    high = low + rate(rng)
    fractional = bool(rng.integers(2))
    up, down = (float(x) if fractional else int(x) for x in rng.uniform(1, 60, 2))
    kinds = [
        {"mode": "triangular"},
        {"mode": "triangular2"},
        {"mode": "exp_range", "gamma": float(rng.uniform(0.9, 1.0))},
        {"scale_fn": lambda x: 1 / (1 + 0.1 * x)},
        {"scale_fn": lambda x: 0.99**x, "scale_mode": "iterations"},
    ]
    for kind in kinds:
        options = {**kind, "base_momentum": 0.8, "max_momentum": 0.93}
        ours = {"steps": STEPS} if "scale_fn" in kind else {}
        rates, momenta = run(lambda opt: L.CyclicLR(opt, low, high, up, down, **options), 0.1)  # noqa: B023
        cycles = STEPS / (up + down)  # torch subtracts the number of the cycle from the time in cycles
        got = T.CyclicLR(low, high, up, down, **options, **ours).table(STEPS)
        checks.assert_agree(
            got, rates, terms=high * (1 + cycles) * (1 + up / down + down / up), what=f"{low} {high} {up} {down} {kind}"
        )
        got = T.CyclicMomentum(low, high, up, down, **options, **ours).table(STEPS)
        checks.assert_agree(got, momenta, terms=1 + cycles * (1 + up / down + down / up), what=f"{up} {down} {kind}")


@pytest.mark.parametrize("rng", draws(6))
def test_one_cycle(rng):
    top, steps = rate(rng), int(rng.integers(3, 220))
    for kind in ("cos", "linear"):
        for three in (False, True):
            pct = float(rng.uniform(0.0, 0.5 if three else 1.0))
            if pct * steps == 1:
                continue
            div, final = float(rng.uniform(2, 50)), float(10 ** rng.uniform(0, 5))
            options = {
                "total_steps": steps, "pct_start": pct, "anneal_strategy": kind, "div_factor": div, "final_div_factor": final,
                "base_momentum": 0.81, "max_momentum": 0.97, "three_phase": three,
            }  # fmt: skip
            rates, momenta = run(lambda opt: L.OneCycleLR(opt, top, **options), 0.1, steps)  # noqa: B023
            what = f"{top} {options}"
            # torch counts whole steps; what its formula gives between them is asked for with the counter set
            times = checks.times(what, steps - 1)
            opt = optimizer(0.1, momentum=0.5)
            scheduler = L.OneCycleLR(opt, top, **options)
            between = []
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for scheduler.last_epoch in times[steps - 1 :]:
                    between.append((scheduler.get_lr()[0], opt.param_groups[0]["momentum"]))
            times.insert(steps - 1, steps - 1)
            rates, momenta = np.append(rates, [r for r, _ in between]), np.append(momenta, [m for _, m in between])
            checks.assert_agree(checks.at(T.OneCycleLR(top, **options), times), rates, terms=top, what=what)
            checks.assert_agree(checks.at(T.OneCycleMomentum(top, **options), times), momenta, what=what)
    epochs = T.OneCycleLR(top, epochs=3, steps_per_epoch=7)
    assert epochs == T.OneCycleLR(top, 21)


@pytest.mark.parametrize("rng", draws(7))
def test_composed(rng):
    base, at = rate(rng), sorted(int(x) for x in rng.integers(1, 200, 2))
    warm, cosine, gamma = int(rng.integers(1, 50)), int(rng.integers(5, 90)), float(rng.uniform(0.9, 1))
    rates, _ = run(
        lambda opt: L.SequentialLR(
            opt, [L.LinearLR(opt, 0.1, total_iters=warm), L.CosineAnnealingLR(opt, cosine), L.ExponentialLR(opt, gamma)], at
        ),
        base,
    )
    parts = [T.LinearLR(base, 0.1, total_iters=warm), T.CosineAnnealingLR(base, cosine), T.ExponentialLR(base, gamma)]
    ours = T.SequentialLR(parts, at).table(STEPS)
    checks.assert_agree(ours, rates, terms=base, roundings=4 * STEPS, what=f"{base} {at} {warm} {cosine}")

    step = int(rng.integers(1, 50))
    rates, _ = run(
        lambda opt: L.ChainedScheduler(
            [L.LinearLR(opt, 0.2, total_iters=warm), L.StepLR(opt, step), L.ExponentialLR(opt, gamma)]
        ),
        base,
    )
    parts = [T.LinearLR(base, 0.2, total_iters=warm), T.StepLR(base, step), T.ExponentialLR(base, gamma)]
    checks.assert_agree(T.ChainedScheduler(parts, base).table(STEPS), rates, what=f"{base} {warm} {step} {gamma}")


@pytest.mark.parametrize("rng", draws(8))
def test_functions(rng):
    base, a = rate(rng), float(rng.uniform(0.9, 1))
    rates, _ = run(lambda opt: L.LambdaLR(opt, lambda t: a**t / (1 + 0.01 * t)), base)
    assert np.array_equal(T.LambdaLR(base, lambda t: a**t / (1 + 0.01 * t), STEPS).table(STEPS), rates)
    rates, _ = run(lambda opt: L.MultiplicativeLR(opt, lambda t: a if t % 3 else 1.02), base)
    assert np.array_equal(T.MultiplicativeLR(base, lambda t: a if t % 3 else 1.02, STEPS).table(STEPS), rates)


@pytest.mark.parametrize("rng", draws(9))
def test_swa(rng):
    from torch.optim.swa_utils import SWALR

    base, swa, n = rate(rng), rate(rng), int(rng.integers(0, 60))
    for kind in ("cos", "linear"):
        rates, _ = run(lambda opt: SWALR(opt, swa, n, kind), base, 100)  # noqa: B023
        ours = T.SWALR(base, swa, n, kind).table(100)
        # torch takes the initial rate back out of the present one at every step: near the end that loses digits
        checks.assert_agree(ours, rates, terms=base + swa, roundings=40.0 * (n + 1) ** 2, what=f"{base} {swa} {n} {kind}")
