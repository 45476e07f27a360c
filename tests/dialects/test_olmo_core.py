"""dialects.olmo_core against its formulas."""

from fractions import Fraction
from functools import partial

import dialect_checks as checks
import pytest
from dialect_checks import exact, mp, real

import lrkern as lk
from lrkern.dialects import olmo_core as O

LR = 0.3
CASES = []  # (schedule, formula, steps)


def line(start, end, p):
    return checks.linear(exact(start), exact(end), p)


def case(schedule, formula, steps=100):
    CASES.append(pytest.param(schedule, formula, steps, id=repr(schedule)[:90]))


def warmed(warmup, then, first=0.0, top=LR, *, through=False):
    """`through`: the warm-up's own formula still holds at its last step."""

    def formula(t):
        if t < warmup or (through and warmup and t == warmup):
            return real(exact(first)) + (real(top) - real(exact(first))) * real(Fraction(t, warmup))
        return then(t)

    return formula


def enter():
    case(O.ConstantScheduler(LR, 9), lambda t: exact(LR))
    for warmup in (0, 7):
        case(O.ConstantWithWarmup(LR, 50, warmup=warmup, warmup_min_lr=0.01), warmed(warmup, lambda t: exact(LR), 0.01))
    assert O.ConstantWithWarmup(LR, 50, warmup_fraction=0.17) == O.ConstantWithWarmup(LR, 1, warmup=8)  # round(8.5)
    assert O.WSD(LR, 50, warmup_steps=5, decay_steps=9, decay_fraction=None) == O.WSD(
        LR, 50, warmup=5, decay=9, decay_fraction=None
    )

    for warmup, decay in ((7, 20), (0, 60), (40, 30), (0, 0)):

        def wsd(t, warmup=warmup, decay=decay):
            return line(0.01, LR, Fraction(min(max(60 - t, 0), decay), decay)) if decay and t >= 60 - decay else exact(LR)

        options = {"warmup": warmup, "decay": decay, "decay_fraction": None, "decay_min_lr": 0.01}
        case(O.WSD(LR, 60, **options), warmed(warmup, wsd, through=True))

    def cosine(t, warmup, end, low=0.1, half=False):
        n = max(end - warmup, 0)
        p = min(Fraction(t - warmup, n), Fraction(1)) if n else Fraction(1)
        w = checks.cosine(1, exact(low), (1 + p) / 2 if half else p)
        return real(exact(LR)) * w, real(exact(LR))

    for warmup, t_max in ((7, None), (0, 30), (70, None)):
        end = t_max or 60
        options = {"warmup": warmup, "t_max": t_max, "warmup_min_lr": 0.02}
        case(O.CosWithWarmup(LR, 60, **options), warmed(warmup, partial(cosine, warmup=warmup, end=end), 0.02))
        middle = real(exact(LR)) * (1 + real(exact(0.1))) / 2
        half = partial(cosine, warmup=warmup, end=end, half=True)
        case(O.HalfCosWithWarmup(LR, 60, **options), warmed(warmup, half, 0.02, middle))

        def linear(t, warmup=warmup, end=end):
            n = max(end - warmup, 0)
            return exact(LR) * line(1.0, 0.1, min(Fraction(t - warmup, n), Fraction(1)) if n else Fraction(1))

        case(O.LinearWithWarmup(LR, 60, **options), warmed(warmup, linear, 0.02))

    def cosine_then_line(t, decay=20, warmup=7):
        if t < 60 - decay:
            return warmed(warmup, partial(cosine, warmup=warmup, end=60))(t)
        begin = cosine(60 - decay, warmup, 60)[0]
        w = real(Fraction(max(60 - t, 0), decay))
        return begin * w + real(exact(0.001)) * (1 - w), real(exact(LR))

    options = {"warmup": 7, "decay": 20, "decay_fraction": None, "decay_min_lr": 0.001}
    case(O.CosWithWarmupAndLinearDecay(LR, 60, **options), cosine_then_line)
    for low in (0.0, 0.2):

        def root(t, low=low):
            return real(exact(LR)) * (real(exact(low)) + real(1 - exact(low)) * mp.sqrt(real(Fraction(9, t)))), real(exact(LR))

        case(O.InvSqrtWithWarmup(LR, 60, warmup=9, alpha_f=low), warmed(9, root))

    def power(t):
        return real(exact(LR)) * mp.power(real(Fraction(t, 9)), real(exact(-0.51)))

    def power_then_line(t):
        if t < 70:
            return power(t)
        w = real(Fraction(max(90 - t, 0), 20))
        return power(70) * w + real(exact(0.01)) * (1 - w)

    options = {"warmup": 9, "decay_fraction": None, "decay_min_lr": 0.01}
    case(O.PowerLR(LR, 90, decay=0, **options), warmed(9, power, through=True))
    case(O.PowerLR(LR, 90, decay=20, **options), warmed(9, power_then_line, through=True))
    rise = lambda t: real(exact(1e-4)) * mp.power(real(exact(LR)) / real(exact(1e-4)), real(min(Fraction(t, 60), Fraction(1))))  # noqa: E731
    case(O.ExponentialScheduler(LR, 60, lr_min=1e-4), rise)

    for kind in ("linear", "cosine"):
        ramp = line if kind == "linear" else lambda a, b, p: checks.cosine(exact(a), exact(b), p)
        stages = [
            {"duration": 10, "start_lr": 0.01, "end_lr_fraction": 0.9, "shape": kind},
            {"duration": 15, "end_lr": 0.05, "shape": kind},
            {"duration": 5, "start_lr_fraction": 0.3, "end_lr_fraction": 0.2, "shape": kind},
            {"duration": 5, "end_lr": 0.25, "shape": kind},
        ]

        def staged(t, ramp=ramp):
            if t < 10:
                return ramp(0.01, exact(LR) * exact(0.9), Fraction(t, 10)), exact(LR)
            if t < 25:
                return ramp(exact(LR) * exact(0.9), 0.05, Fraction(t - 10, 15)), exact(LR)
            if t < 30:
                return real(exact(LR)) * real(ramp(0.3, 0.2, Fraction(t - 25, 5))), exact(LR)
            return ramp(exact(LR) * exact(0.2), 0.25, min(Fraction(t - 30, 5), Fraction(1))), exact(LR)

        case(O.ComposableScheduler(LR, 9, stages=stages), staged, 60)
        for end, last in (({"end_lr": 0.001}, exact(0.001)), ({"end_lr_fraction": 0.7}, exact(LR) * exact(0.7))):
            override = {"start": 17, "duration": 9, "shape": kind, **end}

            def cut(t, staged=staged, ramp=ramp, last=last, kind=kind):
                if t < 17:
                    return staged(t)
                p, begin = min(Fraction(t - 17, 9), Fraction(1)), real(staged(17)[0])
                w = real(1 - p) if kind == "linear" else checks.cosine(1, 0, p)
                return begin * w + real(last) * (1 - w), exact(LR)

            case(O.ComposableScheduler(LR, stages=stages, override_decay=override), cut, 60)

    for warmup, decay in ((0, 4), (3, 4), (6, 4), (3, 0)):
        lengths, shares = [10, 4, 20], [1.0, 0.5, 0.7]

        def periods(t, warmup=warmup, decay=decay, lengths=lengths, shares=shares):
            begin = 0
            for i, (n, share) in enumerate(zip(lengths, shares, strict=True)):
                top = exact(LR) * exact(share)
                if i == 0 and t < warmup:
                    return top * Fraction(t, warmup)
                if t < begin + n - decay:
                    return top
                if t <= begin + n and (decay or t < begin + n):
                    return exact(0.01) + (top - exact(0.01)) * Fraction(begin + n - t, decay), LR
                if t <= begin + n and i < 2:
                    return top  # no decay: OLMo-core divides by zero here
                begin += n
            return exact(0.01)

        options = {"warmup": warmup, "decay": decay, "decay_min_lr": 0.01}
        case(O.WSDS(LR, period_lengths=lengths, period_lr_multipliers=shares, **options), periods, 60)


enter()


@pytest.mark.parametrize(("schedule", "formula", "steps"), CASES)
def test_formula(schedule, formula, steps):
    checks.assert_follows(schedule, formula, range(steps))
    checks.assert_ordinary(schedule)


def test_sequential():
    """Each goes on from the rate of the one before, with its step 1; tokens as well as steps."""
    unit = 10**9
    warm, fall = partial(O.ConstantWithWarmup, warmup=2 * unit), partial(O.CosWithWarmup, warmup=0, alpha_f=0.2)
    last = partial(O.LinearWithWarmup, warmup=0, alpha_f=0.0)
    s = O.SequentialScheduler(0.1, 10 * unit, schedulers=[warm, fall, last], schedulers_max=[3 * unit, 4 * unit])
    at = [0, unit, 3 * unit, 3 * unit + 1, 5 * unit, 7 * unit, 7 * unit + 1, 10 * unit]
    low = 0.1 * 0.2
    cosine, line = lk.cosine(0.1, low, 4 * unit), lk.linear(low, 0.0, 3 * unit)
    assert s(at).tolist() == [0.0, 0.05, 0.1, cosine(1), cosine(2 * unit), low, line(1), 0.0]
    override = {"start": 8 * unit, "duration": unit, "end_lr": 0.001}
    cut = O.SequentialScheduler(
        0.1, 10 * unit, schedulers=[warm, fall, last], schedulers_max=[3 * unit, 4 * unit, 9], override_decay=override
    )
    assert cut([8 * unit, 9 * unit]).tolist() == [s(8 * unit), 0.001]
    checks.assert_ordinary(cut)


STAGES = [{"duration": 2, "end_lr": 0.1}]
BAD = [
    (lambda: O.WSD(0.1, 9), ValueError, "olmo_core.WSD: one of warmup and warmup_fraction must be given; got None"),
    (lambda: O.WSD(0.1, 9, warmup=1, warmup_steps=1), ValueError, "warmup_fraction must be given; got warmup and warmup_steps"),
    (
        lambda: O.WSD(0.1, 9, warmup=1, decay=1),
        ValueError,
        "one of decay and decay_fraction must be given; got decay and decay_fra",
    ),
    (
        lambda: O.WSD(0.1, 9, warmup=1, warmup_min_lr=0.1),
        ValueError,
        "olmo_core.WSD: warmup_min_lr must be below initial_lr = 0.1",
    ),
    (
        lambda: O.WSD(0.1, 9, warmup=1, decay_min_lr=0.1),
        ValueError,
        "olmo_core.WSD: decay_min_lr must be below the 0.1 that it fa",
    ),
    (lambda: O.WSD(0.1, 9, warmup=1, decay=10, decay_fraction=None), ValueError, "WSD: decay must be <= max_steps = 9; got 10"),
    (lambda: O.WSD(0.1, 9, warmup_fraction=1.5), ValueError, "warmup_fraction must be a finite number >= 0 and <= 1; got 1.5"),
    (lambda: O.PowerLR(0.1, 9, warmup=0), ValueError, "olmo_core.PowerLR: warmup must be an integer >= 1, it is what t is"),
    (
        lambda: O.PowerLR(0.1, 9, warmup=1, b=0.5),
        ValueError,
        "olmo_core.PowerLR: b must be a finite number >= -1e+06 and < 0; got 0.5",
    ),
    (lambda: O.PowerLR(0.1, 9, warmup=9), ValueError, "PowerLR: warmup and decay must fit into max_steps = 9; got 9 and 1"),
    (lambda: O.InvSqrtWithWarmup(0.1, 9, warmup=0), ValueError, "olmo_core.InvSqrtWithWarmup: warmup must be an integer >= 1"),
    (
        lambda: O.HalfCosWithWarmup(0.1, 9, warmup=1, warmup_min_lr=0.06),
        ValueError,
        "warmup_min_lr must be below the 0.055 that",
    ),
    (
        lambda: O.CosWithWarmup(0.1, 0, warmup=1),
        ValueError,
        "olmo_core.CosWithWarmup: max_steps must be an integer >= 1; got 0",
    ),
    (lambda: O.CosWithWarmup(0.1, 9, warmup=1, t_max=0), ValueError, "CosWithWarmup: t_max must be an integer >= 1; got 0"),
    (lambda: O.ComposableScheduler(0.1), TypeError, "stages must be a sequence of dicts, at least one; got ()"),
    (
        lambda: O.ComposableScheduler(0.1, stages=[3]),
        TypeError,
        "stages[0] must be a dict of duration, shape, end_lr, end_lr_frac",
    ),
    (lambda: O.ComposableScheduler(0.1, stages=[{"steps": 3}]), TypeError, "start_lr, start_lr_fraction; got 'steps'"),
    (
        lambda: O.ComposableScheduler(0.1, stages=[{"duration": 3}]),
        ValueError,
        "stages[0] must have one of end_lr and end_lr_fr",
    ),
    (
        lambda: O.ComposableScheduler(0.1, stages=[STAGES[0] | {"start_lr": 1, "start_lr_fraction": 1}]),
        ValueError,
        "olmo_core.ComposableScheduler: stages[0] must have at most one of start_lr and start_lr_fraction; got both",
    ),
    (
        lambda: O.ComposableScheduler(0.1, stages=STAGES, override_decay={"start": 1, "duration": 0, "end_lr": 0.0}),
        ValueError,
        "olmo_core.ComposableScheduler: override_decay: duration must be an integer >= 1; got 0",
    ),
    (
        lambda: O.SequentialScheduler(0.1, 9, schedulers=[], schedulers_max=[]),
        TypeError,
        "schedulers must be a sequence of fun",
    ),
    (
        lambda: O.SequentialScheduler(0.1, 9, schedulers=[O.CosWithWarmup] * 3, schedulers_max=[1]),
        ValueError,
        "schedulers_max must be 2 lengths for 3 schedulers; got [1]",
    ),
    (
        lambda: O.SequentialScheduler(0.1, 9, schedulers=[O.ConstantScheduler] * 2, schedulers_max=[9]),
        ValueError,
        "max_steps must be more than the 9 of schedulers_max; got 9",
    ),
    (
        lambda: O.WSDS(0.1, period_lengths=[], warmup=1, decay=1),
        TypeError,
        "period_lengths must be a sequence of integers; got []",
    ),
    (
        lambda: O.WSDS(0.1, period_lengths=[3], warmup=2, decay=2),
        ValueError,
        "warmup and decay must fit into period 0 of 3; got 2",
    ),
    (
        lambda: O.WSDS(0.1, period_lengths=[3], period_lr_multipliers=[0.0], warmup=1, decay=1),
        ValueError,
        "period_lr_multipliers must be > 0, one for each of 1 periods; got (0.0,)",
    ),
    (
        lambda: O.WSDS(0.1, period_lengths=[3], warmup=1, decay=1, decay_min_lr=0.2),
        ValueError,
        "olmo_core.WSDS: decay_min_lr must be below the rate 0.1 of period 0; got 0.2",
    ),
    (lambda: O.ExponentialScheduler(0.1, 9, lr_min=0), ValueError, "lr_min must be a finite number > 0; got 0"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
