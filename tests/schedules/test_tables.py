"""Tables and lookups: empty ones, shapes and types of steps, out=, many schedules, limits of expressions."""

from __future__ import annotations

import copy
import pickle
import time
from fractions import Fraction

import numpy as np
import pytest
import ulp

import lrkern as lk

LAST = 2**53


def test_nothing_to_fill():
    s = lk.cosine(0.1, 0.0, 100)
    for dtype in (np.float64, np.float32):
        assert s.table(0, dtype=dtype).shape == (0,)
        assert s.table(0, dtype=dtype).dtype == dtype
        assert lk.tables([s, s], 0, dtype=dtype).shape == (2, 0)
        assert lk.tables([], 10, dtype=dtype).shape == (0, 10)
        assert lk.tables([], 0, dtype=dtype).shape == (0, 0)
    assert s.table(0, start=LAST).shape == (0,)
    assert s([]).shape == (0,)
    assert s(np.empty((3, 0), np.int64)).shape == (3, 0)
    out = np.empty(0)
    assert s.table(0, out=out) is out


def test_shapes_and_kinds_of_steps():
    s = lk.cosine(0.1, 0.0, 100)
    steps = np.arange(24)
    row = s.table(24)
    for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.float32, np.float64):
        got = s(steps.astype(dtype).reshape(2, 3, 4))
        assert got.dtype == np.float64
        ulp.assert_same_bits(got, row.reshape(2, 3, 4), str(dtype))
    ulp.assert_same_bits(s(steps.reshape(4, 6).T), row.reshape(4, 6).T.copy(), "a transposed array")
    ulp.assert_same_bits(s(steps[::-2]), row[::-2].copy(), "a strided array")
    ulp.assert_same_bits(s(steps.astype(">i4")), row, "foreign byte order")
    ulp.assert_same_bits(s(steps.astype(">f8")), row, "foreign byte order")
    ulp.assert_same_bits(s(list(range(24))), row, "a list")
    ulp.assert_same_bits(s(tuple(range(24))), row, "a tuple")
    ulp.assert_same_bits(s([[0, 1], [2, 3]]), row[:4].reshape(2, 2), "a nested list")
    assert isinstance(s(np.float32(3.0)), float)
    assert isinstance(s(np.uint8(3)), float)
    zero_dimensional = s(np.array(3))
    assert float(zero_dimensional) == row[3]
    assert np.shape(zero_dimensional) == ()
    assert type(s(3)) is float
    assert s(-0.0) == row[0]


def test_float16_steps():
    """2^53 is beyond float16: comparing with it overflows, which NumPy warns of."""
    s = lk.linear(1.0, 0.0, 8)
    assert s(np.float16(3)) == 0.625
    assert s(np.array([3, 2.5], np.float16)).tolist() == [0.625, 0.6875]
    with pytest.raises(ValueError, match=r"^schedule: step must be >= 0 and <= 2\^53; got -3.0 \(float16\)$"):
        s(np.float16(-3))
    for wrong, shown in ((-3, "-3.0"), (np.inf, "inf")):
        with pytest.raises(ValueError, match=rf"^schedule: steps must be >= 0 and <= 2\^53; got {shown}$"):
            s(np.array([1, wrong], np.float16))


def test_steps_are_not_written_to():
    steps = np.arange(1000)
    steps.flags.writeable = False
    lk.cosine(0.1, 0.0, 100)(steps)
    assert steps.tolist() == list(range(1000))


def test_out_is_returned_and_filled():
    s = lk.cosine(0.1, 0.0, 100)
    for dtype in (np.float64, np.float32):
        out = np.full(50, 7, dtype)
        assert s.table(50, out=out) is out
        ulp.assert_same_bits(out, s.table(50, dtype=dtype))
        grid = np.full((2, 50), 7, dtype)
        assert lk.tables([s, 2.0 * s], 50, out=grid) is grid
        ulp.assert_same_bits(grid[0], out)
        row = np.full((3, 50), 7, dtype)
        s.table(50, out=row[1])
        ulp.assert_same_bits(row[1], out)
        assert np.all(row[::2] == 7)


def test_many_schedules():
    """Thousands in one call, all different, some infinite: the rows are the tables."""
    schedules = []
    for i in range(3000):
        s = lk.cosine(0.1 + i / 1000, 1e-3 * (i % 7), 50 + i % 400).warmup(i % 20)
        schedules.append(s if i % 3 else lk.exponential(0.1 + i, 0.99) + lk.warm_restarts(0.1, 0.0, 10 + i % 9, 1.1))
    grid = lk.tables(schedules, 300, start=5)
    assert grid.shape == (3000, 300)
    for i in range(0, 3000, 17):
        ulp.assert_same_bits(grid[i], schedules[i].table(300, start=5), repr(schedules[i]))
    single = lk.tables(schedules, 300, start=5, dtype=np.float32)
    ulp.assert_same_bits(single, grid.astype(np.float32))


def test_one_schedule_many_times():
    s = lk.cosine(0.1, 0.0, 100)
    grid = lk.tables([s] * 1000, 64)
    assert grid.tobytes() == s.table(64).tobytes() * 1000


def test_wide_and_tall_grids():
    s, r = lk.cosine(0.1, 0.0, 10**5), lk.inverse_sqrt(0.1, 30)
    wide = lk.tables([s, r], 500_000)
    ulp.assert_same_bits(wide[0], s.table(500_000))
    ulp.assert_same_bits(wide[1], r.table(500_000))
    tall = lk.tables([s, r] * 50_000, 1)
    assert tall.tobytes() == np.array([s(0), r(0)] * 50_000).tobytes()


def test_any_sequence_of_schedules():
    s = lk.cosine(0.1, 0.0, 100)
    ulp.assert_same_bits(lk.tables((s, s), 5), lk.tables([s, s], 5))


def test_more_than_2_31_steps_in():
    s = lk.cosine(1.0, 0.0, 2**40)
    for start in (2**31 - 20, 2**32 - 20, 2**33 - 20):
        ulp.assert_same_bits(s.table(40, start=start), np.array([s(start + i) for i in range(40)]))


def test_the_first_large_table_has_the_bits_of_small_ones():
    """It is filled with both kinds of stores, in turns."""
    n = 2**25 + 13
    schedule = lk.cosine(0.1, 0.0, n)
    for _ in range(2):
        table = schedule.table(n)
        for start in (0, 1000, n // 3, n // 2 - 500, n - 1000):
            assert table[start : start + 1000].tobytes() == schedule.table(1000, start).tobytes()


def test_a_long_table_of_many_pieces():
    """Thousands of joins: each piece starts where it should, and deep expressions do not overflow a stack."""
    n = 5000
    s = lk.join([lk.linear(float(i), float(i + 1), 10) for i in range(n)], [10 * i for i in range(1, n)])
    assert s.table(10 * n)[::10].tolist() == list(range(n))
    assert s(np.arange(0, 10 * n, 10)).tolist() == list(range(n))


DEEPER = {
    "+": lambda s: s + 0.5,
    "reversed +": lambda s: lk.constant(1.0) + s,
    "*": lambda s: 0.999 * s,
    "- and /": lambda s: (1.0 - s) / 3.0,
    "warmup": lambda s: s.warmup(1),
    "cooldown": lambda s: s.cooldown(10, 1),
    "clip": lambda s: s.clip(0.0),
    "clip of a sum": lambda s: (s + lk.constant(0.5)).clip(0.0),
    "join": lambda s: lk.join([s, lk.linear(1.0, 0.0, 2)], [5]),
    "join on the right": lambda s: lk.join([lk.linear(1.0, 0.0, 2), s], [5]),
    "then on the right": lambda s: lk.linear(1.0, 0.0, 2).then(s),
}


@pytest.mark.parametrize("name", DEEPER)
def test_whatever_can_be_built_can_be_printed_read_compared_and_pickled(name):
    """Up to the maximum depth, which is checked when an expression is built; also from a deep stack."""
    s = r = lk.from_table([1.0, 0.5])
    built = 0
    with pytest.raises(ValueError, match=r"^schedule: expressions may be nested 100 deep at most; got 10[12]$"):  # noqa: PT012
        while built < 1000:
            s, r = DEEPER[name](s), DEEPER[name](r)
            built += 1
    assert built >= 32

    def with_frames(n, call):
        return with_frames(n - 1, call) if n else call()

    for call in (
        lambda: lk.parse(repr(s)) == s,
        lambda: pickle.loads(pickle.dumps(s)) == s,
        lambda: copy.deepcopy(s) == s,
        lambda: r == s,
        lambda: hash(r) == hash(s),
        lambda: np.isfinite(s.table(100)).all(),
        lambda: lk.parse(repr(s)).table(100).tobytes() == s.table(100).tobytes(),
    ):
        assert with_frames(100, call)


def test_a_chain_of_any_length():
    """`then` extends a join instead of nesting it."""
    s = lk.linear(0.0, 1.0, 10)
    for i in range(1, 1000):
        s = s.then(lk.linear(float(i), float(i + 1), 10))
    assert s.steps == 10_000
    assert s.table(10_000)[::10].tolist() == list(range(1000))
    assert lk.parse(repr(s)) == s == pickle.loads(pickle.dumps(s))
    three = lk.linear(0.0, 1.0, 2).then(lk.constant(3.0)).then(lk.cosine(1.0, 0.0, 2))
    assert repr(three) == "join([linear(0.0, 1.0, 2), constant(3.0), cosine(1.0, 0.0, 2)], [2, 2])"
    assert three.table(5).tolist() == [0.0, 0.5, 1.0, 0.5, 0.0]


def test_numbers_of_numpy_in_arithmetic():
    """On either side, and never an array of schedules: a product with a vector is a list (see test_every_dialect.py)."""
    s = lk.linear(1.0, 0.0, 4)
    for two in (np.float64(2.0), np.float32(2.0), np.int64(2), np.uint8(2), np.uint64(2)):
        assert two * s == s * two == 2.0 * s
        assert two + s == s + two == s + 2.0
        assert two - s == 2.0 - s
        assert s - two == s - 2.0
        assert s / two == s / 2.0
        assert (two == s) is False
    for array in (np.arange(3.0), np.array(2.0), np.arange(6).reshape(2, 3)):
        for wrong in (lambda x: x + s, lambda x: s - x, lambda x: s / x, lambda x: x / s):
            with pytest.raises(TypeError):
                wrong(array)


def test_fractions_as_steps():
    s = lk.cosine(1.0, 0.0, 10)
    assert s(Fraction(3, 2)) == s(1.5)
    assert s(Fraction(6, 2)) == s(3)
    assert s(Fraction(1, 3)) == s(1 / 3)  # the nearest float, as wherever a number is asked for


def test_arrays_of_whole_and_fractional_steps():
    """The bits are those of single calls, also where some steps are whole and where the plan has to grow."""
    for text in ("cosine(0.1, 0.0, 100).warmup(10)", "inverse_sqrt(0.1, 30)", "from_table([0.1, 0.2, 0.4])"):
        schedule = lk.parse(text)
        steps = np.array([0.0, 0.5, 7.0, 7.25, 99.0, 1e6, 1e6 + 0.5, 2.0**53, 3.0, 1e12 + 0.5])
        assert schedule(steps).tolist() == [lk.parse(text)(t) for t in steps.tolist()]
    with pytest.raises(OverflowError, match=r"step 1024\.5 "):
        lk.exponential(1.0, 2.0)(np.array([1.5, 1024.5, 1023.0]))
    with pytest.raises(OverflowError, match="step 1024 "):
        lk.exponential(1.0, 2.0)(np.array([1.5, 1024.0, 1023.0]))


def test_where_an_exponential_ends():
    """Never past `end`: an end on the other side is rejected, one that is never reached has no effect."""
    assert lk.exponential(1.0, 0.5, end=0.3).table(4).tolist() == [1.0, 0.5, 0.3, 0.3]
    assert lk.exponential(1.0, 2.0, end=3.0).table(4).tolist() == [1.0, 2.0, 3.0, 3.0]
    assert lk.exponential(-1.0, 2.0, end=-3.0).table(4).tolist() == [-1.0, -2.0, -3.0, -3.0]
    assert lk.exponential(-1.0, 0.5, end=-0.3).table(4).tolist() == [-1.0, -0.5, -0.3, -0.3]
    for rate in (0.5, 1.0, 2.0):
        assert lk.exponential(1.0, rate, end=1.0).table(3).tolist() == [1.0] * 3
    for end in (0.5, 2.0, -1.0):
        assert lk.exponential(1.0, 1.0, end=end).table(3).tolist() == [1.0] * 3
        assert lk.exponential(0.0, 0.5, end=end).table(3).tolist() == [0.0] * 3


def test_what_takes_no_steps_leaves_no_trace():
    falling = lk.linear(1.0, 0.0, 2)
    assert lk.constant(0.1).then(falling).table(3).tolist() == falling.table(3).tolist()
    assert lk.join([lk.constant(0.1), falling], [2]).table(5).tolist() == [0.1, 0.1, 1.0, 0.5, 0.0]


def test_a_table_of_a_million_values_is_taken_quickly():
    values = np.random.default_rng(0).random(10**6)
    begin = time.process_time()
    schedule = lk.from_table(values)
    seconds = time.process_time() - begin
    assert schedule.table(10**6).tobytes() == values.tobytes()
    assert seconds < 0.5, f"{seconds:.3f} s"
