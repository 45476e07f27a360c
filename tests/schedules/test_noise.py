"""The numbers of noise in blocks: against the definition in many digits, however many of them are asked for."""

from __future__ import annotations

import isas
import mpmath
import numpy as np
import pytest
import ulp
from random_words import word

import lrkern as lk

WORD = 2**64
STREAM = 2**63
KINDS = ["noise(0.1, seed=3)", "noise(-2.5, 'uniform', seed=3)", "noise(1.0, limit=0.7, seed=3)", "noise(1e-305, seed=3)"]
CLOSE = 67_754_608  # of seed 0: 2^-31 of the grid from half-way between two of its numbers
every_isa = pytest.mark.parametrize("isa", lk.isas())


def normal(seed: int, t: int) -> float:
    """The definition of docs/schedules.md."""
    a, b = word(seed, t, STREAM), word(seed, t, STREAM + 1)
    with mpmath.workdps(60):
        u, v = mpmath.mpf(2 * (a >> 11) + 1) / 2**54, mpmath.mpf(2 * (b >> 12) + 1) / 2**53
        m = float(mpmath.floor(2**24 * mpmath.sqrt(-2 * mpmath.log(u)) * mpmath.cos(mpmath.pi * v / 2) + 0.5)) / 2**24
    return -m + 0.0 if b % 2 else m


def unshifted(z: int, by: int) -> int:
    """The w with w ^ w >> by = z."""
    w = z
    for _ in range(64 // by):
        w = z ^ w >> by
    return w


def unmixed(z: int) -> int:
    """The word that `mix` makes z of."""
    z = unshifted(z, 31) * pow(0x94D049BB133111EB, -1, WORD) % WORD
    z = unshifted(z, 27) * pow(0xBF58476D1CE4E5B9, -1, WORD) % WORD
    return unshifted(z, 30)


def seed_of(wanted: int, t: int, k: int) -> int:
    """The seed with which word k of step t is the one wanted."""
    inner = unmixed(unmixed((unmixed(wanted) - STREAM - k) % WORD) - t & WORD - 1)
    seed = (inner - 0x9E3779B97F4A7C15) % WORD
    assert word(seed, t, STREAM + k) == wanted
    return seed


def around(centre: int, low: int, high: int) -> list[int]:
    return [n for n in range(centre - 2, centre + 3) if low <= n < high]


# u next to 0, 1, 1/2, and where its logarithm is taken another way; v next to 0, 1/2 and 1
FIRST = [n for p in (0.0, 2**-0.5, 0.5, 0.25, 2**-1.5, 2**-30, 1.0) for n in around(int(p * 2**53), 0, 2**53)]
SECOND = [n for p in (0.0, 0.5, 2 / 3, 1.0) for n in around(int(p * 2**52), 0, 2**52)]
EXTREMES = [(n << 11, 0) for n in FIRST] + [(n << 12 | n % 2, 1) for n in SECOND]


@every_isa
def test_extreme_words(isa):
    for wanted, k in EXTREMES:
        for t in (5, 2**45 + 7):
            seed = seed_of(wanted, t, k)
            with isas.running(isa):
                got = lk.noise(1.0, seed=seed).table(40, start=t - 5)
            assert got[5] == normal(seed, t), (hex(wanted), k, t)


@every_isa
def test_a_number_that_doubles_round_the_wrong_way(isa):
    with isas.running(isa):
        s = lk.noise(1.0, seed=0)
        assert s.table(300, start=CLOSE - 100)[100] == s(CLOSE) == normal(0, CLOSE)


@every_isa
def test_many_numbers(isa):
    with isas.running(isa):
        got = lk.noise(1.0, seed=9).table(1000, start=2**41)
    ulp.assert_same_bits(got, np.array([normal(9, 2**41 + t) for t in range(1000)]), "normal")


@every_isa
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("text", KINDS)
def test_odd_beginnings_and_lengths(text, threads, isa):
    start, n = 2**43 + 5, 1_200_007
    with isas.running(isa, threads):
        s = lk.parse(text)
        whole = s.table(n, start=start)
        single = s.table(n, start=start, dtype=np.float32)
        ulp.assert_same_bits(single, whole.astype(np.float32), text)
        for first, m in ((0, 1), (1, 15), (2, 16), (250, 300), (700, 1001), (n - 255, 255)):
            memory = np.full(m + 2, 7.0)
            s.table(m, start=start + first, out=memory[1:-1])
            assert memory[1:-1].tobytes() == whole[first : first + m].tobytes(), (text, first, m)
            assert memory[0] == memory[-1] == 7.0
        steps = np.arange(n - 1, 0, -997)
        assert s(start + steps).tobytes() == whole[steps].tobytes()
        assert [s(start + int(t)) for t in steps[:50]] == whole[steps[:50]].tolist()
        assert lk.tables([s, s], 999, start=start + 3)[1].tobytes() == whole[3:1002].tobytes()
