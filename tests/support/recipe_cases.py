"""The curves of lrkern/schedules/recipes.py: their formulas and the expressions under test. See cases.py."""

from __future__ import annotations

from fractions import Fraction

from case_table import (
    BOTH_POSITIVE,
    EXTREME_PAIRS,
    LENGTHS,
    ODD_LENGTHS,
    POSITIVE_TAILS,
    TAILS,
    curve,
    over,
    spans,
)
from oracle import (
    SHAPES,
    Exact,
    Measured,
    carried,
    exactly,
    measured,
    mp,
    ramp_at,
    real,
    span,
)


@curve(
    over("noam(512, {})", [0, 1, 2, 400, 4000, 10**6, 10**12]),
    "noam(1, 10, 2.5)",
    "noam(1000000, 4000, factor=1e-290)",
    "noam(513, 4000, -1.0)",
)
def noam(model_size, warmup, factor=1.0):
    def value(t):
        n = real(t + 1)
        least = 1 / mp.sqrt(n) if warmup == 0 else min(1 / mp.sqrt(n), n / mp.sqrt(real(warmup)) ** 3)
        return real(factor) / mp.sqrt(real(model_size)) * least

    return Exact.curve(value, None, [warmup])


def phases(up, first, second, third, steps, shape, three_phase):
    """[(begin, end of phase, from, to)] of a one-cycle policy, and the curve through them."""
    legs = [(0, up, *first), (up, 2 * up, *second), (2 * up, steps, *third)]
    if not three_phase:
        legs = [(0, up, *first), (up, steps, second[0], third[1])]

    def value(t):
        for begin, stop, a, b in legs:
            if t < stop:
                return shape(a, b, (t - begin) / (stop - begin))
        return real(legs[-1][3])

    def beginning(t):
        begun = [a for begin, _, a, _ in (legs if up else legs[1:]) if begin == t]
        return real(begun[0]) if begun else value(t)

    return Exact.curve(value, steps, [stop for _, stop, _, _ in legs], begin=beginning)


ONE_CYCLES = ["", ", 0.5", ", pct_start=0.0", ", pct_start=1.0", ", anneal='linear'", ", 0.25, anneal='linear'"]


@curve(
    [f"one_cycle(0.1, {n})" for n in (0, *LENGTHS)],
    [f"one_cycle(0.3, 1000{extra})" for extra in ONE_CYCLES],
    "one_cycle(0.3, 10**6, div=7.0)",
    "one_cycle(0.3, 10**6, 0.3, 3.0, 7.0)",
    "one_cycle(0.3, 1000, 0.3, 25.0, 1e4, 'cosine', True)",
    "one_cycle(0.3, 10**6, three_phase=True, anneal='linear')",
    "one_cycle(-1.0, 10, pct_start=0.5, three_phase=True)",
    "one_cycle(1e-300, 1000, div=1e10, final_div=1e10)",
    "one_cycle(1e300, 1000, div=1e-5)",
)
def one_cycle(peak, steps, pct_start=0.3, div=25.0, final_div=1e4, anneal="cosine", three_phase=False):
    up, top = int(pct_start * steps), exactly(peak)
    low = top / exactly(div)
    end = low / exactly(final_div)
    return phases(up, (low, top), (top, low), (low, end), steps, SHAPES[anneal], three_phase)


@curve(
    [f"one_cycle_momentum(0.85, 0.95, {n})" for n in (0, *LENGTHS)],
    [f"one_cycle_momentum(0.85, 0.95, 1000{extra})" for extra in ONE_CYCLES],
    "one_cycle_momentum(0.85, 0.95, 1000, 0.3, 'linear', True)",
    "one_cycle_momentum(0.0, 0.95, 10**6, three_phase=True)",
)
def one_cycle_momentum(low, high, steps, pct_start=0.3, anneal="cosine", three_phase=False):
    return phases(int(pct_start * steps), (high, low), (low, high), (high, high), steps, SHAPES[anneal], three_phase)


def hold_and_fall(peak, warmup, stable, decay, end, tail, start=0.0):
    """start to peak, peak, then to end along the tail."""
    fall = warmup + stable

    def value(t):
        if t < warmup:
            return SHAPES["linear"](start, peak, t / warmup)
        if t < fall:
            return real(peak)
        return real(end) if t >= fall + decay else ramp_at(tail, peak, end, t - fall, decay)

    def beginning(t):
        return real(peak) if t == fall or (t == 0 and warmup == 0) else value(t)

    return Exact.curve(value, fall + decay, [warmup, fall, fall + decay], begin=beginning)


@curve(
    [f"wsd(0.1, {w}, {s}, {d}, tail='{tail}')" for tail in TAILS for w, s, d in [(10, 50, 40), (2000, 10**6, 10**5)]],
    [f"wsd(0.1, {w}, {s}, {d}, 0.001, '{tail}')" for tail in [*TAILS, *POSITIVE_TAILS] for w, s, d in [(10, 90, 100)]],
    [f"wsd({a}, 100, 50, {n}, {b}, 'inverse_proportional')" for a, b in BOTH_POSITIVE for n in ODD_LENGTHS],
    [f"wsd({a}, 7, 50, {n}, {b}, '{tail}')" for a, b in BOTH_POSITIVE for n in (7, 10**6) for tail in TAILS[-2:]],
    "wsd(0.1, 10, 50, 10**12, tail='mirror_cosine')",
    "wsd(0.1, 10, 50, 10**12, tail='halving')",
    "wsd(-1.0, 10, 50, 1000, 1.0, tail='halving')",
    "wsd(3e-4, 10**4, 10**8, 10**7, 3e-5, 'exponential')",
    "wsd(0.1, 10, 50, 40)",
    "wsd(0.1, 0, 50, 40)",
    "wsd(0.1, 10, 0, 40)",
    "wsd(0.1, 10, 50, 0)",
    "wsd(0.1, 0, 0, 0)",
    "wsd(0.1, 1, 1, 1, 0.2)",
    "wsd(-1e300, 100, 1000, 300, 1e300, tail='cosine')",
)
def wsd(peak, warmup, stable, decay, end=0.0, tail="linear"):
    return hold_and_fall(peak, warmup, stable, decay, end, tail)


@curve(
    "wsd_s(0.1, 0.01, 100, [1000, 2000, 4000], 200)",
    "wsd_s(0.1, 0.01, 2000, [10**5, 2 * 10**5, 4 * 10**5], [10**4, 2 * 10**4, 4 * 10**4])",
    [f"wsd_s(0.1, 0.001, 10, [50, 90], [20, 30], '{tail}')" for tail in [*TAILS, *POSITIVE_TAILS]],
    "wsd_s(0.1, 0.0, 0, [7], 3, tail='linear')",
    "wsd_s(0.1, 0.2, 5, [5, 5, 9], [0, 0, 4])",
    "wsd_s(0.1, 0.001, 0, [3, 6], 3)",
    "wsd_s(3e-4, 3e-5, 10**9, [10**11, 10**12], 10**10)",
)
def wsd_s(peak, end, warmup, budgets, decay, tail="inverse_proportional"):
    falls = [decay] * len(budgets) if isinstance(decay, int) else decay

    def value(t):
        if t < warmup:
            return SHAPES["linear"](0.0, peak, t / warmup)
        for budget, fall in zip(budgets, falls, strict=True):
            if t < budget:
                into = t - (budget - fall)
                return real(peak) if into <= 0 else ramp_at(tail, peak, end, into, fall)
        return real(end)

    def beginning(t):
        falling = any(b == t and n == 0 for b, n in zip(budgets, falls, strict=True))
        return real(peak) if falling or (t == 0 and warmup == 0) else value(t)

    marks = [mark for b, n in zip(budgets, falls, strict=True) for mark in (b - n, b)]
    return Exact.curve(value, budgets[-1], [warmup, *marks], begin=beginning)


@curve("knee(0.1, 100, 1000, 900)", "knee(0.1, 2000, 10**6, 10**5)", "knee(0.1, 0, 0, 7)", "knee(-1.0, 3, 0, 0)")
def knee(peak, warmup, explore, decay):
    return hold_and_fall(peak, warmup, explore, decay, 0.0, "linear")


@curve(
    over("linear_to_zero(0.1, {})", ["100, 900", "2000, 10**6", "0, 1000", "10, 0", "10**9, 10**12", "1, 1"]),
    "linear_to_zero(1e-300, 7, 1000)",
)
def linear_to_zero(peak, warmup, decay):
    return hold_and_fall(peak, warmup, 0, decay, 0.0, "linear")


@curve(
    over("tri_stage(0.1, {})", ["100, 400, 500", "1000, 10**5, 10**6", "0, 7, 10", "10, 0, 10", "3, 3, 0", "0, 0, 0"]),
    over("tri_stage(5e-4, 100, 400, 500, {})", ["0.0, 0.05", "1.0, 1.0", "2, 0.5", "final_scale=1e-300", "0.3, 3.0"]),
    "tri_stage(1e300, 10, 10, 1000, 1e-300, 1e-300)",
    "tri_stage(0.1, 10**9, 10**11, 10**12)",
)
def tri_stage(peak, warmup, hold, decay, init_scale=0.01, final_scale=0.01):
    first, last = exactly(peak) * exactly(init_scale), exactly(peak) * exactly(final_scale)
    return hold_and_fall(peak, warmup, hold, decay, last, "exponential", first)


@curve(
    "power_lr(128, 128 * 4096, 2000)",
    "power_lr(1024, 1024 * 4096, 240)",
    over(
        "power_lr(16.0, 1e6, {})", ["1", "1000, 1e-3", "10, 1e300", "10**6, peak=1e-9", "100, a=4.6, b=-1.0", "7, 0.1, 3, -0.4"]
    ),
    "power_lr(1, 1, 1, 1e-300, 1e-290, -2.5)",
    "power_lr(1e-3, 1e12, 10**9)",
)
def power_lr(batch_size, tokens, warmup, peak=0.02, a=4.0, b=-0.51):
    def law(t):
        return min(real(peak), real(exactly(batch_size) * exactly(a)) * mp.power(real(t * exactly(tokens)), real(b)))

    def value(t):
        return law(t) if t >= warmup else law(Fraction(warmup)) * real(t / warmup)

    below = mp.power(real(peak) / real(exactly(batch_size) * exactly(a)), 1 / real(b)) / real(tokens)
    return Exact.curve(value, None, [warmup, int(min(below, 2**53))])


@curve(spans("half_cosine({start}, {end}, {steps})", extremes=EXTREME_PAIRS[:6] + EXTREME_PAIRS[8:]))
def half_cosine(peak, end, steps):
    middle = real((exactly(peak) + exactly(end)) / 2)

    def value(t):
        value, scale = SHAPES["cosine"](peak, end, (1 + min(t / steps, Fraction(1))) / 2) if steps else measured(real(end))
        return Measured(middle, scale) if t == 0 < steps else Measured(value, scale)

    return Exact.curve(value, steps, begin=lambda t: middle if t == 0 else value(t))


@curve(
    over("truncated_cosine(0.1, 0.0, 1000, {})", ["100", "100, 0.01", "0", "1000", "999, floor=0.05", "1, 0.01"]),
    over("truncated_cosine(3e-4, 3e-5, {})", ["10**6, 10**5, 3e-5", "10**12, 10**10", "0, 0", "7, 3", "1, 1", "1, 0"]),
    "truncated_cosine(1e-300, 1e-310, 1000, 300)",
    "truncated_cosine(1e300, 1e-300, 1000, 300, 1e299)",
)
def truncated_cosine(start, end, steps, decay, floor=0.0):
    left = steps - decay

    def value(t):
        if t < left:
            return SHAPES["cosine"](start, floor, t / steps)
        if t >= steps:
            return real(end)
        begin, scale = SHAPES["cosine"](start, floor, Fraction(left, steps)) if decay < steps else measured(real(start))
        fall, terms = SHAPES["linear"](begin, end, (t - left) / decay)
        return Measured(fall, max(terms, carried("linear", scale, begin, fall, True, t - left, decay)))

    def beginning(t):
        if t == 0 and steps == 0:
            return real(start)
        return SHAPES["cosine"](start, floor, Fraction(1)) if t == left and decay == 0 else value(t)

    return Exact.curve(value, steps, [left, steps], begin=beginning)


@curve(
    over("lr_range_test(1e-7, 10.0, {})", ["0", "1", "100", "1000", "10**6", "10**12", "1000, every=10", "1000, every=7"]),
    over("lr_range_test(0.0, 1.0, {}, 'linear')", ["0", "7", "1000", "10**12"]),
    "lr_range_test(1e-3, 0.1, 2000, 'linear', 100)",
    "lr_range_test(1e-3, 0.1, 5, 'linear', every=3)",
    "lr_range_test(1e-300, 1e300, 1000)",
)
def lr_range_test(low, high, steps, kind="exponential", every=1):
    smooth = span(low, high, steps, SHAPES[kind])
    return smooth if every == 1 else smooth.staircase(every)
