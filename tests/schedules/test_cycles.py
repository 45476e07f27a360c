"""Cycles that are copied instead of evaluated have the values that each of their steps has."""

from __future__ import annotations

import isas
import numpy as np
import pytest

import lrkern as lk

CYCLES = [
    "warm_restarts(0.1, 0.0, 2)",
    "cyclic(0.0, 1.0, 7, 4)",
    "cosine(0.1, 0.01, 100).repeat(100).warmup(33)",
    "warm_restarts(0.1, 0.0, 2047)",
    "warm_restarts(0.1, 0.001, 2049).shift(-1000)",
    "cosine(1.0, 0.1, 4096).repeat(4096)",
    "cosine(1.0, 0.1, 5003).repeat(5003).shift(700)",
    "chebyshev(10.0, 1000.0, 64)",
    "cosine(1.0, 0.1, 131072).repeat(131072)",
    "cosine(1.0, 0.1, 131073).repeat(131073)",
]
MANY = 1_300_003  # streamed, and shared by two threads
every_isa = pytest.mark.parametrize("isa", lk.isas())


def one_by_one(text, start, n, dtype):
    """The values of the steps, each found by itself."""
    with isas.running("scalar"):
        return lk.parse(text)(np.arange(start, start + n)).astype(dtype)


@every_isa
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("text", CYCLES)
def test_odd_beginnings_and_lengths(text, dtype, isa):
    for start, n in ((0, 1), (1, 27), (17, 399), (131_070, 9_001), (2**41 + 3, 20_011), (2**53 - 6_000, 6_000)):
        expected = one_by_one(text, start, n, dtype).tobytes()
        for at in (0, 3):
            memory = np.full(n + 2 * at + 1, 7, dtype)
            out = memory[at : at + n]
            with isas.running(isa):
                lk.parse(text).table(n, start=start, dtype=dtype, out=out)
                assert out.tobytes() == expected, (text, start, n, at)
                lk.tables([lk.parse(text)], n, start=start, dtype=dtype, out=out[None])
            assert out.tobytes() == expected, (text, start, n, at)
            assert (memory[:at] == 7).all()
            assert (memory[at + n :] == 7).all()


@every_isa
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("text", CYCLES)
def test_large_tables(text, threads, isa):
    start = 2**42 - 5
    expected = one_by_one(text, start, MANY, np.float64)
    with isas.running(isa, threads):
        assert lk.parse(text).table(MANY, start=start).tobytes() == expected.tobytes()
        assert lk.parse(text).table(MANY, start=start, dtype=np.float32).tobytes() == expected.astype(np.float32).tobytes()
        assert lk.tables([lk.parse(text)] * 3, 300_001, start=start)[2].tobytes() == expected[:300_001].tobytes()
