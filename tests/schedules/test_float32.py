"""Long pieces in float32 are the float64 values rounded once, also next to half-way between two numbers."""

from __future__ import annotations

import isas
import numpy as np
import pytest

import lrkern as lk

FAR = f"cosine(1.0, 0.0, {2**50}).shift({-(2**48)})"
CURVES = [
    "cosine(0.1, 0.001, 1_000_000)",
    "cosine(-0.1, 0.0, 1_000_000, power=3.0).warmup(1001)",
    "polynomial(0.1, 0.0, 1_000_000, 0.9)",
    "inverse_sqrt(0.1, 10_000) * cosine(1.0, 0.0, 1_000_000)",
    "exponential(0.1, 0.9, every=20_000)",
    "tanh(0.1, 0.001, 1_000_000)",
    "cosine(0.1, 0.001, 10_000).repeat(10_000, gain=0.99)",
    "one_minus_sqrt(1.0, -0.5, 1_000_000)",
    "linear(0.1, 0.0, 1_000_000) ** 2.0",
    "geometric(1e-30, 1e-44, 1_000_000)",  # down to numbers of few digits
    "geometric(1e30, 3e38, 1_000_000)",
    "geometric(1e-300, 1e-310, 1_000_000)",
    FAR,
]
MANY = 1_100_003
every_isa = pytest.mark.parametrize("isa", lk.isas())


@every_isa
@pytest.mark.parametrize("text", CURVES)
def test_rounded_once(text, isa):
    schedule = lk.parse(text)
    start = 2**48 if text == FAR else 0
    with isas.running("scalar" if isa != "scalar" else "avx2" if "avx2" in lk.isas() else isa):
        values = schedule.table(MANY, start=start)
    expected = values.astype(np.float32)
    with isas.running(isa):
        # in the caches, and long enough for streaming
        for first, n in ((0, 127), (0, 128), (3, 200_001), (70_001, 99_997), (MANY - 1000, 1000)):
            for at in (0, 1, 5):
                memory = np.full(n + at + 1, 7, np.float32)
                schedule.table(n, start=start + first, out=memory[at : at + n])
                assert memory[at : at + n].tobytes() == expected[first : first + n].tobytes(), (text, first, n, at)
                assert memory[at + n] == 7.0
                assert (memory[:at] == 7.0).all()
    for threads in (1, 2):
        with isas.running(isa, threads):
            big = np.empty(2 * MANY + 1, np.float32)[1:]
            schedule.table(2 * MANY, start=start, out=big)
        assert big[:MANY].tobytes() == expected.tobytes(), (text, threads)


def test_some_values_are_next_to_half_way():
    """Else the tests above would not show that such values are evaluated in all their digits."""
    values = lk.parse(CURVES[0]).table(MANY - 100_003)
    last = values.view(np.int64) & (1 << 29) - 1
    assert (np.abs(last - (1 << 28)) < 1 << 15).sum() > 60
