"""Helpers of the dialects' tests: comparisons with exact formulas and with the peers' own objects."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import oracle
import ulp

import lrkern as lk

MAX_ULP = 0.6
mp = oracle.mp
real = oracle.real


def exact(x) -> Fraction:
    """The number a float holds."""
    return Fraction(x)


def cosine(start, end, p):
    """end + (start - end)(1 + cos(pi p))/2 of exact numbers, without cancellation; p may be any number."""
    w, v = oracle.cosine_weights(p)
    return real(start) * w + real(end) * v


def linear(start, end, p):
    return real(start) * real(1 - p) + real(end) * real(p)


def power(base, exponent):
    """base^exponent, with 0^0 = 1 and 0^x = 0."""
    return mp.power(real(base), real(exponent)) if base else mp.mpf(exponent == 0)


def assert_follows(schedule, formula, steps, max_ulp=MAX_ULP, moved=0):
    """Every one of these steps within `max_ulp` of formula(step): a number, or a number and the scale of a cancelling sum.

    The formula is asked for these steps as integers, and as fractions for times between whole steps.

    `moved`: by how much the time may be another: some 2^-52 of the whole, where phases end between steps at places that are
    no float64.
    """

    def at(t):
        value = formula(t)
        value, scale = value if isinstance(value, tuple) else (value, None)
        return real(value), None if scale is None else real(scale)

    times = [*steps, *map(Fraction, between(repr(schedule), steps))]
    for t, ours in zip(times, schedule(np.array(times, np.float64)), strict=True):
        value, scale = at(t)
        error = ulp.ulp_error(ours, value, scale)
        if error > max_ulp and moved:
            near = max(abs(at(t + d)[0] - value) for d in (moved, -moved))
            error -= float(near / mp.ldexp(1, ulp.ulp_exponent(value)))
        assert error <= max_ulp, f"{schedule!r} at step {float(t)!r}: got {ours!r}, exact {mp.nstr(value, 20)}: {error:.3g} ULP"


def between(name: str, steps: Sequence[int], least: int = 20) -> list[float]:
    """Random non-integer times: one after each of `steps`, at least `least` of them; seeded by the name."""
    begun = np.resize(steps, max(len(steps), least))
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    return [float(t) for t in begun + draw.uniform(2.0**-20, 1 - 2.0**-20, begun.size)]


def times(name: str, steps: int) -> list[int | float]:
    """Steps 0, 1, ..., `steps` - 1, and 20 random non-integer times, seeded by the name."""
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    return [*range(steps), *between(name, draw.choice(steps, 20))]


def at(schedule: lk.Schedule, times: Sequence[float]) -> np.ndarray:
    return schedule(np.array(times, np.float64))


def assert_ordinary(schedule):
    """Check what every Schedule can do: text and back, pickle, equality, a table with the bits of the calls."""
    assert isinstance(schedule, lk.Schedule)
    again = lk.parse(repr(schedule))
    assert again == schedule
    assert hash(again) == hash(schedule)
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    ulp.assert_same_bits(again.table(40), schedule(np.arange(40)), repr(schedule))


def assert_agree(ours, theirs, *, relative=1e-12, terms=0.0, roundings=16.0, eps=2.0**-53, what=""):
    """|ours - theirs| <= relative |theirs| + what the peer's own roundings make of terms of this size.

    `terms`: the largest numbers that the peer adds up on the way (an array or one number), where the result is smaller:
    (1 + cos) near the bottom, end + (start - end) x. `roundings`: how many of them.
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    allowed = relative * np.abs(theirs) + roundings * eps * np.abs(terms)
    wrong = np.flatnonzero(~(np.abs(ours - theirs) <= allowed))
    if wrong.size:
        i = int(wrong[0])
        raise AssertionError(f"{what}: {wrong.size} of {ours.size} steps differ, first {i}: {ours[i]!r}, peer {theirs[i]!r}")
