"""The steps at which a schedule is tested: all of a short one; ends, landmarks and random steps of a long one."""

from __future__ import annotations

import ast
import math
import random
import zlib

from cases import LAST_STEP
from oracle import (
    Exact,
    crossings,
    mp,
)

SHORT = 3000  # schedules up to this length are tested at every step


def names_used(text: str) -> set[str]:
    """Every function and method name in an expression."""
    tree = ast.walk(ast.parse(text, mode="eval"))
    return {n.id if isinstance(n, ast.Name) else n.attr for n in tree if isinstance(n, ast.Name | ast.Attribute)}


def rng(text: str, salt: str = "") -> random.Random:
    """A random generator seeded by the case."""
    return random.Random(zlib.crc32((text + salt).encode()))


def last_of(exact: Exact) -> int:
    """The end of the schedule, or the last possible step."""
    return LAST_STEP if exact.steps is None else min(exact.steps, LAST_STEP)


def landmarks(exact: Exact) -> list[int]:
    """Joins, ends, sign changes, and steps at which values leave the normal range."""
    end = last_of(exact)
    marks = sorted({0, end, *(m for m in exact.marks if m <= end)})
    tiny, smallest, largest = mp.ldexp(1, -1022), mp.ldexp(1, -1075), mp.ldexp(1, 1024)
    found = []
    for function in (
        exact.at,
        lambda t: abs(exact.at(t)) - tiny,
        lambda t: abs(exact.at(t)) - smallest,
        lambda t: abs(exact.at(t)) - largest,
    ):
        found += crossings(function, marks)
    return sorted({*marks, *found})


def sample(text: str, exact: Exact, dense: int = 300, scattered: int = 250) -> list[int]:
    """Integer steps: all of a short schedule; both ends, landmarks, powers of two and random ones of a long one."""
    end = last_of(exact)
    chosen = {0, LAST_STEP}
    if end <= SHORT:
        chosen.update(range(end + 4))
        chosen.update((end + 1000, 10**9))
        return sorted(chosen)
    random_ = rng(text)
    chosen.update(range(dense))
    chosen.update(range(end - dense, min(end + 4, LAST_STEP + 1)))
    for mark in landmarks(exact):
        chosen.update(range(max(mark - 3, 0), min(mark + 4, LAST_STEP + 1)))
    chosen.update(n + d for k in range(2, 54) for d in (-1, 0, 1) if (n := 2**k) < end)
    chosen.update(random_.randrange(end) for _ in range(scattered))
    chosen.update(int(2 ** random_.uniform(0, math.log2(end))) for _ in range(scattered // 2))
    return sorted(chosen)


def fractional_sample(text: str, exact: Exact, scattered: int = 40) -> list[float]:
    """Steps between the integers: random, halves, and the floats next to landmarks."""
    end, random_ = last_of(exact), rng(text, "fractional")
    chosen = {0.5, 1e-3, math.pi, 1e-9}
    for mark in landmarks(exact)[:12]:
        chosen.update((mark - 0.5, mark + 0.25, math.nextafter(mark, 0.0), math.nextafter(mark, math.inf)))
    chosen.discard(5e-324)
    chosen.update(random_.uniform(0, max(end, 1)) for _ in range(scattered))
    chosen.update(2 ** random_.uniform(-3, math.log2(max(end, 2))) for _ in range(scattered))
    return sorted(t for t in chosen if 0 <= t <= LAST_STEP)
