"""Random expressions have the same bits in calls, tables, slices, grids, lookups, plans, Numba, ISAs and threads.

A few dozen, the same on every run; with LRKERN_EXAMPLES=1000 that many, others every time (`make fuzz`). Every way of
evaluation starts with a new schedule, so that it cannot use a plan that another one has made.
"""

from __future__ import annotations

import os
import random
import re

import expressions
import isas
import numpy as np
import pytest
import shrinking
import ulp
from numba import njit

import lrkern as lk
import lrkern.numba as ln

EXAMPLES = os.environ.get("LRKERN_EXAMPLES")
SEED = random.SystemRandom().randrange(10**9) if EXAMPLES else 0
LAST = 2**53
PARTS = 6
MANY = 40_000  # steps that two threads share
PERIODIC = [  # tails that begin inside a cycle, of one and of several kinds
    "cosine(1.0, 0.1, 1000).repeat(1000).shift(-300)",
    "cosine(1.0, 0.1, 1000).repeat(1000).shift(300).staircase(7)",
    "(cosine(1.0, 0.1, 1000).repeat(1000) + linear(1.0, 0.0, 1730)).warmup(40)",
    "cosine(1.0, 0.1, 7 * 10**5).repeat(7 * 10**5).shift(-3 * 10**5)",
    "cyclic(0.0, 1.0, 500, 300).cooldown(10**6, 333, 0.5).then(cyclic(0.0, 1.0, 500, 300).shift(-77))",
]


@njit
def look_up(plan, steps, out):
    for i in range(steps.size):
        out[i] = ln.at(plan, steps[i])


# Each way: (schedule, window of steps (start, n), random numbers) -> n values; None if it does not apply.


def table(schedule, start, n, rng):
    return schedule.table(n, start=start)


def calls(schedule, start, n, rng):
    return np.array([schedule(start + i) for i in range(n)])


def lookup(schedule, start, n, rng):
    """An array of steps in any order."""
    order = np.array(rng.sample(range(n), n))
    out = np.empty(n)
    out[order] = schedule(start + order)
    return out


def slices(schedule, start, n, rng):
    """Some parts, the last one first."""
    cuts = sorted({0, n, *(rng.randint(0, n) for _ in range(3))})
    out = np.empty(n)
    for first, last in reversed(list(zip(cuts, cuts[1:], strict=False))):
        out[first:last] = schedule.table(last - first, start=start + first)
    return out


def grid(schedule, start, n, rng):
    """A row among others."""
    return lk.tables([lk.constant(0.5), schedule, lk.linear(1.0, 0.0, 77)], n, start=start)[1]


def alone(schedule, start, n, rng):
    """A grid of one row."""
    return lk.tables([schedule], n, start=start)[0]


def single(schedule, start, n, rng):
    """float32, which is float64 rounded once."""
    return schedule.table(n, start=start, dtype=np.float32)


def numba_table(schedule, start, n, rng):
    return schedule.table(n, start=start, backend="numba")


def plan(schedule, start, n, rng):
    """lrkern.numba.at, where a plan reaches as far."""
    try:
        compiled = schedule.plan(start + n)
    except (ValueError, OverflowError, ZeroDivisionError):  # more pieces than a plan may have; a step before these has no value
        return None
    out = np.empty(n)
    look_up(compiled, np.arange(start, start + n), out)
    return None if np.isnan(out).any() else out


ROADS = {road.__name__: road for road in (table, calls, lookup, slices, grid, alone, single, numba_table, plan)}


def windows(text: str, schedule, rng: random.Random) -> list[tuple[int, int]]:
    """Three of (start, n): the beginning, around a number that occurs in the text, around the end, anywhere, far out."""
    numbers = [int(word) for word in re.findall(r"\b\d+\b", text) if int(word) < LAST] or [1]
    end = min(schedule.steps or rng.choice(numbers), LAST)
    starts = [
        (0, 70),
        (rng.choice(numbers) + rng.choice((0, rng.choice(numbers))) - rng.randint(0, 40), 60),
        (end - rng.randint(0, 40), 50),
        (int(2 ** rng.uniform(0, 40)), 40),
        (rng.randrange(2**40, LAST - 40), 30),
    ]
    return [(max(min(start, LAST - n), 0), n) for start, n in rng.sample(starts, 3)]


def differing(text: str, seed: int) -> list[str]:
    """A description of the difference."""
    rng = random.Random(seed)
    found = []
    schedule = expressions.build(text)
    for start, n in windows(text, schedule, rng):
        with isas.running("scalar"):
            expected = road_taken(table, expressions.build(text), start, n, rng)
        for isa in lk.isas():
            for name, road in ROADS.items():
                if isa != lk.isas()[-1] and name not in ("table", "lookup", "grid", "plan"):
                    continue  # the same code except for the kernels, which the others cover
                with isas.running(isa):
                    got = road_taken(road, expressions.build(text), start, n, rng)
                want, dtype = (rounded(expected), np.float32) if name == "single" else (expected, np.float64)
                if got is not None and got != want:
                    found.append(f"{name}, {isa}, steps {start} to {start + n - 1}: {told(want, got, dtype)}")
        found += between_differ(text, start + n / 2)
    return found


def between_differ(text: str, t: float) -> list[str]:
    """Times between steps, which are asked for one by one."""
    times = np.array([t + 0.25, t / 3, t / 7, 0.5])
    rows = []
    for isa in lk.isas():
        with isas.running(isa):
            rows.append(road_taken(lambda schedule, *_: schedule(times), expressions.build(text), 0, 0, None))
    return [f"between steps, {isa}: {told(rows[0], row)}" for isa, row in zip(lk.isas(), rows, strict=True) if row != rows[0]]


def rounded(row: bytes) -> bytes:
    if row == b"OverflowError":
        return row
    with np.errstate(over="ignore", under="ignore"):
        return np.frombuffer(row).astype(np.float32).tobytes()


def road_taken(road, schedule, start, n, rng) -> bytes | None:
    """The bytes of the values, or "OverflowError"; None if the way does not reach that far."""
    try:
        out = road(schedule, start, n, rng)
    except (OverflowError, ZeroDivisionError):
        return b"OverflowError"
    return None if out is None else out.tobytes()


def told(expected: bytes, got: bytes, dtype=np.float64) -> str:
    if b"OverflowError" in (expected, got):
        return f"{'overflows' if got == b'OverflowError' else 'does not overflow'}"
    a, b = np.frombuffer(expected, dtype), np.frombuffer(got, dtype)
    wrong = ulp.different(a, b)
    return f"{wrong.size} of {a.size} differ, first at {wrong[0]}: {float(a[wrong[0]]).hex()} and {float(b[wrong[0]]).hex()}"


def threads_differ(text: str, start: int) -> list[str]:
    """Tables and grids that are long enough for two threads."""
    found, expected = [], None
    for name in ("table", "lookup", "slices", "grid", "alone", "numba_table"):
        for isa, threads in (("scalar", 1), (lk.isas()[-1], 1), (lk.isas()[-1], 2)):
            with isas.running(isa, threads):
                got = road_taken(ROADS[name], expressions.build(text), start, MANY, random.Random(start))
            expected = expected or got
            if got != expected:
                found.append(f"{name}, {isa}, threads {threads}, steps {start} to {start + MANY - 1}: {told(expected, got)}")
    return found


def check(text: str, seed: int) -> None:
    found = differing(text, seed)
    if found:
        small = shrinking.shrink(text, lambda simpler: bool(differing(simpler, seed)), 150)
        pytest.fail(f"{text}\n= {small}\n" + "\n".join(differing(small, seed)[:10]), pytrace=False)


@pytest.mark.parametrize("text", PERIODIC)
def test_periodic_tails(text):
    for seed in range(2):
        check(text, seed)
    assert threads_differ(text, 12_345) == []


@pytest.mark.parametrize("part", range(PARTS))
def test_every_road_gives_the_same_bits(part):
    count = -(-int(EXAMPLES or 60) // PARTS)
    for number in range(count):
        seed = f"{SEED}/{part}/{number}"
        text, _ = expressions.buildable(random.Random(seed))
        check(text, number)
        if number % 5 == 0:
            start = random.Random(seed).choice((0, 3, 1000, 2**40))
            assert threads_differ(text, start) == [], text


def test_a_difference_is_seen(monkeypatch):
    """A change of the last bit in one way is found."""

    def touched(schedule, start, n, rng):
        out = table(schedule, start, n, rng)
        out[-1] = np.nextafter(out[-1], 2.0)
        return out

    monkeypatch.setitem(ROADS, "calls", touched)
    assert differing("cosine(1.0, 0.1, 1000)", 0)
