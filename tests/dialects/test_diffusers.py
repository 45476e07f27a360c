"""dialects.diffusers against its formulas; what it shares with transformers has the values tested there."""

import inspect
from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact

from lrkern.dialects import diffusers as D
from lrkern.dialects import transformers as H

SHARED = [
    ("get_constant_schedule", (0.1,)),
    ("get_constant_schedule_with_warmup", (0.1, 7)),
    ("get_linear_schedule_with_warmup", (0.1, 7, 40)),
    ("get_cosine_schedule_with_warmup", (0.1, 7, 40, 1.5)),
    ("get_cosine_with_hard_restarts_schedule_with_warmup", (0.1, 7, 40, 3)),
    ("get_polynomial_decay_schedule_with_warmup", (0.1, 7, 40, 0.01, 1.7)),
]


@pytest.mark.parametrize(("name", "args"), SHARED)
def test_what_transformers_has_too(name, args):
    schedule = getattr(D, name)(*args)
    assert schedule == getattr(H, name)(*args)
    checks.assert_ordinary(schedule)
    ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (D, H))
    assert list(ours.values())[: len(theirs)] == list(theirs.values())


@pytest.mark.parametrize("args", [(7, 40, -1, 0.1, 0.9), (0, 9, -1, 0.25, 1.0), (5, 5, -1, 0.2, 1.5), (9, 4, -1, 0.0, 0.7)])
def test_linear_between_two_factors(args):
    warmup, total, _, last, top = args
    low, high, base = exact(last), exact(top), exact(0.3)

    def formula(t):
        if t < warmup:
            return base * high * t / warmup
        return base * (low + (high - low) * max(Fraction(0), Fraction(total - t) / max(total - warmup, 1)))

    schedule = D.get_linear_schedule_with_warmup(0.3, *args)
    checks.assert_follows(schedule, formula, range(50))
    checks.assert_ordinary(schedule)


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        ("1:10,0.1:20,0.01:30,0.005", [(10, 1.0), (20, 0.1), (30, 0.01), (None, 0.005)]),
        ("0.1:20,1:10,0.01:30,0.005", [(10, 1.0), (20, 0.1), (30, 0.01), (None, 0.005)]),  # in any order
        (" 1e-1 : 3 , 2", [(3, 0.1), (None, 2.0)]),
        ("0.7", [(None, 0.7)]),
    ],
)
def test_piecewise(rules, changes):
    def formula(t):
        return exact(0.3) * next(exact(factor) for until, factor in changes if until is None or t < until)

    schedule = D.get_piecewise_constant_schedule(0.3, rules)
    checks.assert_follows(schedule, formula, range(40))
    checks.assert_ordinary(schedule)
    assert D.get_scheduler("piecewise_constant", 0.3, rules) == schedule


def test_get_scheduler():
    assert D.get_scheduler("constant", 0.1, num_warmup_steps=3) == D.get_constant_schedule(0.1)
    assert D.get_scheduler("constant_with_warmup", 0.1, None, 7) == D.get_constant_schedule_with_warmup(0.1, 7)
    assert D.get_scheduler("linear", 0.1, None, 7, 40) == D.get_linear_schedule_with_warmup(0.1, 7, 40)
    # num_cycles is not handed on to "cosine" there
    assert D.get_scheduler("cosine", 0.1, None, 7, 40, 3) == D.get_cosine_schedule_with_warmup(0.1, 7, 40)
    restarts = D.get_cosine_with_hard_restarts_schedule_with_warmup(0.1, 7, 40, 3)
    assert D.get_scheduler("cosine_with_restarts", 0.1, None, 7, 40, 3) == restarts
    polynomial = D.get_polynomial_decay_schedule_with_warmup(0.1, 7, 40, power=2.0)
    assert D.get_scheduler("polynomial", 0.1, None, 7, 40, power=2.0) == polynomial


PIECEWISE = "diffusers.get_piecewise_constant_schedule"
BAD = [
    (lambda: D.get_constant_schedule(None), TypeError, "diffusers.get_constant_schedule: base_lr must be a finite number; got"),
    (
        lambda: D.get_linear_schedule_with_warmup(0.1, -1, 3),
        ValueError,
        "diffusers.get_linear_schedule_with_warmup: num_warmup",
    ),
    (
        lambda: D.get_piecewise_constant_schedule(0.1, None),
        TypeError,
        f"{PIECEWISE}: step_rules must be factors and steps such",
    ),
    (lambda: D.get_piecewise_constant_schedule(0.1, ""), ValueError, "'1:10,0.1:20,0.005'; got '' (str)"),
    (lambda: D.get_piecewise_constant_schedule(0.1, "1:10"), ValueError, "'1:10,0.1:20,0.005'; got '1:10' (str)"),
    (lambda: D.get_piecewise_constant_schedule(0.1, "1:2.5,1"), ValueError, "'1:10,0.1:20,0.005'; got '1:2.5,1' (str)"),
    (lambda: D.get_piecewise_constant_schedule(0.1, "10,1"), ValueError, "'1:10,0.1:20,0.005'; got '10,1' (str)"),
    (
        lambda: D.get_piecewise_constant_schedule(0.1, "1:0,1"),
        ValueError,
        f"{PIECEWISE}: step of '1:0' in step_rules must be an",
    ),
    (
        lambda: D.get_piecewise_constant_schedule(0.1, "nan:1,1"),
        ValueError,
        "factor of 'nan:1' in step_rules must be a finite nu",
    ),
    (
        lambda: D.get_piecewise_constant_schedule(0.1, "1:9,2:9,1"),
        ValueError,
        "step_rules must have one factor until step 9; got",
    ),
    (lambda: D.get_scheduler("sine", 0.1), ValueError, "diffusers.get_scheduler: name must be 'linear', 'cosine', "),
    (lambda: D.get_scheduler("cosine", 0.1, None, 3), ValueError, "num_training_steps must be given for 'cosine'; got None"),
    (lambda: D.get_scheduler("piecewise_constant", 0.1), ValueError, "step_rules must be given for 'piecewise_constant'; got"),
    (lambda: D.get_scheduler("polynomial", 0.1, None, 3, 9, power=0), ValueError, "diffusers.get_scheduler: power must be"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
