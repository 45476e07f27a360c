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
_BETWEEN = """
    0x1.0000000000000p-4 0x1.9f6a79c9e0f36p-4 0x1.510d3192ce39dp-3 0x1.1178499645879p-2 0x1.bbc3bd329576ap-2
    0x1.680d70ef67256p-1 0x1.2421c57792536p+0 0x1.da0c4012ef44ap+0 0x1.809f833b6c15fp+1 0x1.381147622f886p+2
    0x1.fa65ce55fc3c0p+2 0x1.9aded4472477ap+3 0x1.4d5d0eed46f34p+4 0x1.0e7a412959a8ap+5 0x1.b6e8aeee17ed0p+5
    0x1.641ce05d40363p+6 0x1.20ef768b45ac0p+7 0x1.d4dc5dc7e48c8p+7 0x1.7c6a1f29e2ce5p+8 0x1.34a720b7fa2bep+9
    0x1.f4db4e142fa25p+9 0x1.965fea53d6e3ap+10 0x1.49b740f45e1c3p+11 0x1.0b849a8455072p+12 0x1.b21b3aa923d92p+12
    0x1.603758f1d75afp+13 0x1.1dc61bd5651f3p+14 0x1.cfbb031a741a7p+14 0x1.7840850a20797p+15 0x1.31468ab0da7f9p+16
    0x1.ef60534533a00p+16 0x1.91ed98456b4f4p+17 0x1.461baab7ebb3dp+18 0x1.08973e2c8a9c5p+19 0x1.ad5b3a4a16c6bp+19
    0x1.5c5cbbc37907fp+20 0x1.1aa59c4115e7cp+21 0x1.caa8075760b4ep+21 0x1.742293d666307p+22 0x1.2def6a81ca3adp+23
    0x1.e9f4b26ec435fp+23 0x1.8d87bad53cf6bp+24 0x1.428a2f98d7286p+25 0x1.05b214e9123f1p+26 0x1.a8a8882207be1p+26
    0x1.588cea3f093b7p+27 0x1.178ddeffbf181p+28 0x1.c5a3423d6f1d2p+28 0x1.70102ae575557p+29 0x1.2aa1a5aad04f2p+30
    0x1.e4984090670bcp+30 0x1.892e2f1f775d1p+31 0x1.3f02b34834469p+32 0x1.02d507c210684p+33 0x1.a402feeb9c538p+33
    0x1.54c7c62710f11p+34 0x1.147ecb8844cc4p+35 0x1.c0ac8bfc26ac2p+35 0x1.6c0929e98c7e9p+36 0x1.275d21f62eabdp+37
    0x1.df4ad3221650cp+37 0x1.84e0d2a2017e4p+38 0x1.3b8519c662a4bp+39 0x1.0000000000000p+40
"""  # powers of two from 2^-4 to 2^40, written out: the last bit of NumPy's power depends on the processor
FRACTIONS = np.array([k / 7 for k in range(64)] + [float.fromhex(one) for one in _BETWEEN.split()])
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
