"""dialects.transformers against its formulas, and against the lists of transformers' own tests."""

from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, mp, real

import lrkern as lk
from lrkern.dialects import transformers as H

CASES = []  # (schedule, formula, moved)


def case(schedule, formula, moved=0):
    CASES.append((schedule, formula, moved))


def factor(warmup, after, base=3e-4, start=0):
    """base times: start to 1 linearly, then after(steps since the warm-up)."""

    def formula(t):
        if t < warmup:
            return real(exact(base)) * checks.linear(exact(start), 1, Fraction(t) / warmup)
        return real(exact(base)) * real(after(t - warmup))

    return formula


def wave(cycles, steps, low=0):
    return lambda s: checks.cosine(1, exact(low), 2 * exact(cycles) * s / steps)


def restarts(cycles, steps):
    return lambda s: Fraction(0) if s >= steps else checks.cosine(1, 0, (cycles * Fraction(s) / steps) % 1)


def enter():
    b = 3e-4
    case(H.get_constant_schedule(b), lambda t: exact(b))
    for w in (0, 1, 10):
        case(H.get_constant_schedule_with_warmup(b, w), factor(w, lambda s: 1))
    for w, n in [(10, 100), (0, 50), (1, 9), (7, 7), (0, 0), (20, 10)]:
        d = max(n - w, 1)
        case(H.get_linear_schedule_with_warmup(b, w, n), factor(w, lambda s, w=w, n=n, d=d: max(0, Fraction(n - w - s, d))))
        for cycles in (0.5, 1.0, 2, 0.0, 1.5, 0.3):
            moved = Fraction(0 if cycles in (0.5, 1.0, 2, 0.0) else 300, 2**52)
            case(H.get_cosine_schedule_with_warmup(b, w, n, cycles), factor(w, wave(cycles, d)), moved)
        for cycles in (1, 2, 3, 7, 10):
            s = H.get_cosine_with_hard_restarts_schedule_with_warmup(b, w, n, cycles)
            case(s, factor(w, restarts(cycles, d)), Fraction(d, 2**51))
        for end, power in [(1e-7, 1.0), (0.0, 2.0), (1e-5, 0.5)]:

            def after(t, w=w, n=n, end=end, power=power):
                if t < w:
                    return exact(b) * t / w
                p = min(Fraction(t - w, n - w), Fraction(1)) if n > w else Fraction(1)
                return real(exact(end)) + real(exact(b) - exact(end)) * checks.power(1 - p, power)

            case(H.get_polynomial_decay_schedule_with_warmup(b, w, n, end, power), after)
        for rate in (0.1, 0.0):
            s = H.get_cosine_with_min_lr_schedule_with_warmup(b, w, n, min_lr_rate=rate)
            case(s, factor(w, wave(0.5, d, rate)))
            s = H.get_cosine_with_min_lr_schedule_with_warmup_lr_rate(b, w, n, min_lr_rate=rate)
            case(s, lambda t, w=w, d=d, rate=rate: real(exact(b)) * real(
                Fraction(t + 1, w) if t < w else wave(0.5, d, rate)(t - w + 1)
            ))  # fmt: skip
            s = H.get_cosine_with_min_lr_schedule_with_warmup_lr_rate(b, w, n, min_lr_rate=rate, warmup_lr_rate=0.2)
            case(s, lambda t, w=w, d=d, rate=rate: real(exact(b)) * real(
                exact(0.2) + (1 - exact(0.2)) * Fraction(t, max(1, w - 1)) if t < w else wave(0.5, d, rate)(t - w + 1)
            ))  # fmt: skip
        s = H.get_cosine_with_min_lr_schedule_with_warmup(b, w, n, min_lr=1e-5)
        case(s, lambda t, w=w, d=d: exact(b) * t / w if t < w else checks.cosine(b, 1e-5, Fraction(t - w, d)))
    for w, scale in [(10, None), (0, 25), (20, 7)]:
        c = scale or w
        case(H.get_inverse_sqrt_schedule(b, w, scale), factor(w, lambda s, c=c: 1 / mp.sqrt(real(1 + Fraction(s) / c))))
    shapes = {
        "linear": (lambda p: p, lambda p: 1 - p),
        "cosine": (lambda p: checks.cosine(0, 1, p), lambda p: checks.cosine(1, 0, p)),
        "1-sqrt": (lambda p: 1 - mp.sqrt(real(1 - p)), lambda p: 1 - mp.sqrt(real(p))),
    }
    for up, (rise, _) in shapes.items():
        for down, (_, fall) in shapes.items():
            for w, stable, d, low in [(10, 20, 30, 0.0), (5, 0, 10, 0.1), (0, 3, 1, 0.5)]:

                def after(t, rise=rise, fall=fall, w=w, stable=stable, d=d, low=low):
                    if t < w:
                        x = rise(Fraction(t, w))
                    elif t < w + stable:
                        x = 1
                    else:
                        x = fall(Fraction(t - w - stable, d)) if t < w + stable + d else 0
                    return real(exact(b)) * (real(x) * real(1 - exact(low)) + real(exact(low)))

                options = {"warmup_type": up, "decay_type": down, "min_lr_ratio": low}
                case(H.get_wsd_schedule(b, w, d, num_stable_steps=stable, **options), after)
                assert H.get_wsd_schedule(b, w, d, w + stable + d, **options) == CASES[-1][0]
                assert H.get_wsd_schedule(b, w, d, w + stable + d, stable, **options) == CASES[-1][0]


enter()


@pytest.mark.parametrize(
    ("schedule", "formula", "moved"), CASES, ids=lambda x: repr(x)[:90] if isinstance(x, lk.Schedule) else ""
)
def test_formula(schedule, formula, moved):
    checks.assert_follows(schedule, formula, range(130), moved=moved)
    checks.assert_ordinary(schedule)


PUBLISHED = [
    (H.get_constant_schedule(10.0), [10.0] * 10),
    (H.get_constant_schedule_with_warmup(10.0, 4), [0.0, 2.5, 5.0, 7.5, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0]),
    (H.get_linear_schedule_with_warmup(10.0, 2, 10), [0.0, 5.0, 10.0, 8.75, 7.5, 6.25, 5.0, 3.75, 2.5, 1.25]),
    (H.get_cosine_schedule_with_warmup(10.0, 2, 10), [0.0, 5.0, 10.0, 9.61, 8.53, 6.91, 5.0, 3.08, 1.46, 0.38]),
    (
        H.get_cosine_with_hard_restarts_schedule_with_warmup(10.0, 2, 10, num_cycles=2),
        [0.0, 5.0, 10.0, 8.53, 5.0, 1.46, 10.0, 8.53, 5.0, 1.46],
    ),
    (
        H.get_polynomial_decay_schedule_with_warmup(10.0, 2, 10, power=2.0, lr_end=1e-7),
        [0.0, 5.0, 10.0, 7.656, 5.625, 3.906, 2.5, 1.406, 0.625, 0.156],
    ),
    (H.get_inverse_sqrt_schedule(10.0, 2), [0.0, 5.0, 10.0, 8.165, 7.071, 6.325, 5.774, 5.345, 5.0, 4.714]),
    (
        H.get_wsd_schedule(10.0, 2, 2, num_stable_steps=2, min_lr_ratio=0.1),
        [1.0, 5.5, 10.0, 10.0, 10.0, 5.5, 1.0, 1.0, 1.0, 1.0],
    ),
]


@pytest.mark.parametrize(("schedule", "values"), PUBLISHED)
def test_published(schedule, values):
    """The lists of transformers' tests for base rate 10, to the two or three digits they give."""
    assert abs(schedule.table(10) - values).max() < 0.01


BAD = [
    (  # a ValueError, as there
        lambda: H.get_wsd_schedule(0.1, 1, 2, 9, warmup_type=None),
        ValueError,
        "transformers.get_wsd_schedule: warmup_type must be 'linear', 'cosine' or '1-sqrt'; got None",
    ),
    (
        lambda: H.get_wsd_schedule(0.1, 1, 2, 9, decay_type=3),
        ValueError,
        "transformers.get_wsd_schedule: decay_type must be 'linear', 'cosine' or '1-sqrt'; got 3 (int)",
    ),
    (
        lambda: H.get_constant_schedule(None),
        TypeError,
        "transformers.get_constant_schedule: base_lr must be a finite number; got None",
    ),
    (lambda: H.get_linear_schedule_with_warmup(0.1, -1, 3), ValueError, "num_warmup_steps must be an integer >= 0; got -1"),
    (lambda: H.get_linear_schedule_with_warmup(0.1, 1, 3.5), TypeError, "num_training_steps must be an integer >= 0; got 3.5"),
    (lambda: H.get_cosine_schedule_with_warmup(0.1, 1, 3, -1), ValueError, "num_cycles must be a finite number >= 0; got -1"),
    (
        lambda: H.get_polynomial_decay_schedule_with_warmup(0.1, 1, 3, 0.2),
        ValueError,
        "lr_end must be a finite number < 0.1; got 0.2",
    ),
    (
        lambda: H.get_cosine_with_min_lr_schedule_with_warmup(0.1, 1, 3),
        ValueError,
        "one of min_lr and min_lr_rate must be given",
    ),
    (
        lambda: H.get_wsd_schedule(0.1, 10, 20, 100, 30),
        ValueError,
        "transformers.get_wsd_schedule: num_training_steps must be 60, that of all phases, or left out; got 100 (int)",
    ),
    (
        lambda: H.get_scheduler("warmup_stable_decay", 0.1, 10, 100, {"num_decay_steps": 20, "num_stable_steps": 30}),
        ValueError,
        "transformers.get_scheduler: num_training_steps must be 60, that of all phases, or left out; got 100 (int)",
    ),
    (lambda: H.get_wsd_schedule(0.1, 1, 3), ValueError, "num_training_steps or num_stable_steps must be given; got None"),
    (lambda: H.get_wsd_schedule(0.1, 5, 6, 10), ValueError, "num_training_steps must be >= 11, warm-up and decay; got 10"),
    (
        lambda: H.get_wsd_schedule(0.1, 1, 3, 9, decay_type="sqrt"),
        ValueError,
        "decay_type must be 'linear', 'cosine' or '1-sqrt'",
    ),
    (lambda: H.get_scheduler("sine", 0.1), ValueError, "transformers.get_scheduler: name must be 'linear', "),
    (lambda: H.get_scheduler("greedy", 0.1), ValueError, "follows metrics: see lrkern.plateau(dialect='transformers')"),
    (lambda: H.get_scheduler("reduce_lr_on_plateau", 0.1), ValueError, "see lrkern.plateau(dialect='torch')"),
    # arguments that transformers refuses with a ValueError are refused with one here
    (lambda: H.get_scheduler("cosine", 0.1, 10), ValueError, "num_training_steps must be given for 'cosine'; got None"),
    (
        lambda: H.get_scheduler("linear", 0.1),
        ValueError,
        "get_scheduler: num_warmup_steps must be given for 'linear'; got None",
    ),
    (
        lambda: H.get_scheduler("cosine", 0.1, 10, 100, {"num_warmup_steps": 50}),
        TypeError,
        "transformers.get_scheduler: num_warmup_steps must be given once; got 10 and, in scheduler_specific_kwargs, 50",
    ),
    (
        lambda: H.get_scheduler("warmup_stable_decay", 0.1, 10, 100, {"num_training_steps": 90, "num_decay_steps": 9}),
        TypeError,
        "num_training_steps must be given once; got 100 and, in scheduler_specific_kwargs, 90",
    ),
    (
        lambda: H.get_scheduler("warmup_stable_decay", 0.1, 10, 100),
        TypeError,
        "num_decay_steps must be given in scheduler_specific_kwargs for 'warmup_stable_decay'; got None",
    ),
    (
        lambda: H.get_scheduler("linear", 0.1, 10, 100, {"num_cycles": 2}),
        TypeError,
        "transformers.get_scheduler: scheduler_specific_kwargs of 'linear' must be no arguments; got 'num_cycles'",
    ),
    (
        lambda: H.get_scheduler("polynomial", 0.1, 10, 100, {"end": 0.0}),
        TypeError,
        "scheduler_specific_kwargs of 'polynomial' must be lr_end, power; got 'end'",
    ),
    (
        lambda: H.get_scheduler("polynomial", 0.1, 10, 100, {"power": 0.0}),
        ValueError,
        "transformers.get_scheduler: power must be a finite number > 0; got 0.0",
    ),
    (
        lambda: H.get_scheduler("linear", 0.1, 10, 100, ["power"]),
        TypeError,
        "transformers.get_scheduler: scheduler_specific_kwargs must be a dict of arguments; got ['power']",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
