"""Digests of the values of every case, golden/schedules.sha256, and how they are made. test_bits.py compares them.

They are made from lrkern's own output, whose accuracy test_accuracy.py checks; they detect any change of a bit. After new
cases, or after an intended change of bits:

    python tests/support/golden.py --add      # add the digests of new cases, drop those of cases that are gone; `make record`
    python tests/support/golden.py --write    # show what changed, and rewrite the file
    python tests/support/golden.py --check    # compare all digests, also without pytest (on another machine)
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from functools import partial
from pathlib import Path

import cases
import numpy as np

import lrkern as lk

GOLDEN = Path(__file__).parents[1] / "golden" / "schedules.sha256"
FRACTIONS = np.concatenate([np.arange(64) / 7, 2.0 ** np.linspace(-4, 40, 64)])
LARGE = 2_500_000  # enough for streaming stores and every thread
LARGE_TEXTS = [
    "cosine(3e-4, 3e-5, 1_000_000).warmup(2_000)",
    "warm_restarts(0.1, 0.0, 10)",
    "warm_restarts(0.1, 0.0, 1000, 1.1)",
    "exponential(0.1, 0.99999).staircase(10)",
    "cyclic(0.0, 1.0, 700, 300) * polynomial(1.0, 0.0, 2_000_000, 0.9)",
    "piecewise([0.1, 0.01, 0.001], [900_001, 1_500_003])",
    "cosine(0.1, 0.01, 90).warmup(10).repeat(100, gain=0.9999)",
]


def windows(schedule):
    """(start, n): the beginning, the middle, around the end; far out where there is none."""
    end = schedule.steps
    if end is None:
        return [(0, 1500), (10**6 - 50, 100), (10**9 + 1, 70), (10**15 - 3, 70)]
    return [(0, 1500), (max(end // 2 - 77, 0), 200), (min(max(end - 300, 0), 2**53 - 400), 400)]


def rows(schedule, dtype):
    """The bytes of every window and of values between steps; a row that overflows counts as that word."""
    for start, n in windows(schedule):
        try:
            yield schedule.table(n, start=start, dtype=dtype).tobytes()
        except OverflowError:
            yield b"OverflowError"
    if dtype is np.float64:
        try:
            yield schedule(FRACTIONS).tobytes()
        except OverflowError:
            yield b"OverflowError"


def digest(parts) -> str:
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.hexdigest()


def digests(case) -> tuple[str, str]:
    schedule = case.build(lk)
    return digest(rows(schedule, np.float64)), digest(rows(schedule, np.float32))


def large_digests(text) -> tuple[str, str]:
    schedule = lk.parse(text)
    return tuple(digest([memoryview(schedule.table(LARGE, dtype=d))]) for d in (np.float64, np.float32))


def makers(every: int = 1):
    """Text -> what makes the digests of float64 and float32 rows, of every so many cases and of all large tables."""
    assert sys.byteorder == "little", "the digests are of little-endian numbers"
    return {case.text: partial(digests, case) for case in cases.CASES[::every]} | {
        f"{LARGE} steps of {text}": partial(large_digests, text) for text in LARGE_TEXTS
    }


def all_digests(every: int = 1) -> dict[str, tuple[str, str]]:
    """What they make."""
    return {text: make() for text, make in makers(every).items()}


def recorded() -> dict[str, tuple[str, str]]:
    lines = [line.split(" ", 2) for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]
    return {text: (double, single) for double, single, text in lines}


def changes(expected, found) -> list[str]:
    out = [f"{word}: {text}" for text in found for word in [change(expected.get(text), found[text])] if word]
    return out + [f"no longer in the table: {text}" for text in expected if text not in found]


def change(expected, found) -> str | None:
    if expected is None:
        return "not in the golden file; `make record` adds it"
    names = [name for name, a, b in zip(("float64", "float32"), expected, found, strict=True) if a != b]
    return f"other bits in {' and '.join(names)}" if names else None


def active_isa() -> str:
    return lk.info()["isa"]


@contextlib.contextmanager
def threads(n):
    before = lk.get_threads()
    lk.set_threads(n)
    try:
        assert lk.get_threads() == n
        yield
    finally:
        lk.set_threads(before)


def write(found) -> None:
    GOLDEN.parent.mkdir(exist_ok=True)
    head = "# sha256 of float64 rows, sha256 of float32 rows, schedule; see test_bits.py\n"
    GOLDEN.write_text(head + "".join(f"{a} {b} {text}\n" for text, (a, b) in found.items()))


def add() -> None:
    """The digests of new cases go into the file, those of cases that are gone out of it; no other one changes."""
    known, wanted = recorded(), makers()
    kept = {text: pair for text, pair in known.items() if text in wanted}
    new = {text: make() for text, make in wanted.items() if text not in known}
    if new or len(kept) < len(known):
        write(kept | new)
        print(f"{GOLDEN.name}: {len(new)} digests added, {len(known) - len(kept)} dropped")


def main(arguments) -> int:
    if arguments == ["--add"]:
        add()
        return 0
    if arguments not in (["--write"], ["--check"]):
        print(__doc__)
        return 2
    found = all_digests()
    wrong = changes(recorded() if GOLDEN.exists() else {}, found)
    print(*wrong, sep="\n")
    print(f"{len(found)} digests ({active_isa()}, {lk.get_threads()} threads), {len(wrong)} changes")
    if arguments == ["--check"]:
        return 1 if wrong else 0
    write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
