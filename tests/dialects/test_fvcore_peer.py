"""dialects.fvcore against fvcore over random arguments; the whole is short enough for fvcore's 1e-6 to move no boundary."""

from __future__ import annotations

import inspect

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import fvcore as F

peer = isolated_import.load("fvcore.common.param_scheduler")

pytestmark = pytest.mark.peers
NO_DEPS = "fvcore"


def compare(ours, theirs, steps, terms=0.0, **kwargs):
    times = checks.times(repr(ours), steps)
    values = [theirs(t / steps) for t in times]
    checks.assert_agree(checks.at(ours, times), values, terms=terms, what=repr(ours), **kwargs)


def test_every_scheduler_is_there():
    theirs = {n for n, c in vars(peer).items() if inspect.isclass(c) and c.__module__ == peer.__name__}
    assert theirs - {"ParamScheduler"} == set(F.__all__)


@pytest.mark.parametrize("seed", range(40))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    a, b = (float(x) for x in 10 ** rng.uniform(-4, 0, 2))
    n = int(rng.integers(5, 250))
    compare(F.ConstantParamScheduler(a), peer.ConstantParamScheduler(a), n)
    for name, args in [
        ("CosineParamScheduler", (a, b)),
        ("ExponentialParamScheduler", (a, b)),
        ("LinearParamScheduler", (a, b)),
        ("PolynomialDecayParamScheduler", (a, float(rng.uniform(0.5, 3)))),
    ]:
        compare(getattr(F, name)(*args, steps=n), getattr(peer, name)(*args), n, terms=a + b)
    values = [float(x) for x in rng.uniform(0, 1, 4)]
    at = sorted(int(x) for x in rng.choice(np.arange(1, n), 3, replace=False))
    compare(F.MultiStepParamScheduler(values, n, at), peer.MultiStepParamScheduler(values, n, at), n)
    compare(F.MultiStepParamScheduler(values, None, [*at, n]), peer.MultiStepParamScheduler(values, None, [*at, n]), n)
    m = 4 * n
    compare(F.MultiStepParamScheduler(values, m), peer.MultiStepParamScheduler(values, m), m)
    compare(F.StepParamScheduler(n, values), peer.StepParamScheduler(n, values), n)
    gamma = float(rng.uniform(0.1, 0.9))
    compare(F.StepWithFixedGammaParamScheduler(a, 3, gamma, n), peer.StepWithFixedGammaParamScheduler(a, 3, gamma, n), n)


@pytest.mark.parametrize("seed", range(40))
def test_composite(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 250))
    shares = [float(x) for x in rng.choice([0.05, 0.1, 0.15, 0.2, 0.25], 3)]
    shares.append(round(1.0 - sum(shares), 12))
    scaling = [str(x) for x in rng.choice(["rescaled", "fixed"], 4)]
    kinds = [
        ("CosineParamScheduler", (0.5, 0.1)),
        ("LinearParamScheduler", (0.1, 0.4)),
        ("ConstantParamScheduler", (0.3,)),
        ("ExponentialParamScheduler", (0.5, 0.01)),
    ]
    order = [kinds[i] for i in rng.permutation(4)]
    ours = [getattr(F, k)(*a, **({} if k.startswith("Constant") else {"steps": n})) for k, a in order]
    theirs = [getattr(peer, k)(*a) for k, a in order]
    # a child that begins between two steps does so at a multiple of 2^-20 of a step
    late = 2.0**-20 / n * 100 if any((np.cumsum(shares) * n) % 1) else 0.0
    compare(
        F.CompositeParamScheduler(ours, shares, scaling, steps=n),
        peer.CompositeParamScheduler(theirs, list(shares), scaling),
        n,
        terms=1.0,
        relative=1e-12 + late,
    )


def test_early_boundary():
    """The difference listed in the documentation."""
    theirs = peer.MultiStepParamScheduler([1.0, 0.1], 10**7, [5 * 10**6])
    assert theirs((5 * 10**6 - 5) / 10**7) == 0.1
    assert F.MultiStepParamScheduler([1.0, 0.1], 10**7, [5 * 10**6])(5 * 10**6 - 5) == 1.0
    with pytest.raises(IndexError):
        peer.StepParamScheduler(10, [1.0, 0.1])(1.0)
