"""`lrkern.compare`: distances against slow exact ones, areas against fractions, first steps, chunks, odd values."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
import ulp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_properties import thorough

import lrkern as lk
from lrkern.schedules import comparison

CHUNK = comparison._CHUNK
ODD = [
    0.0,
    -0.0,
    5e-324,
    -5e-324,
    2.2250738585072014e-308,
    1.0,
    -1.0,
    math.nextafter(1.0, 2.0),
    1e308,
    math.inf,
    -math.inf,
    math.nan,
]


def relative_of(x, y):
    """|x - y|/max(|x|, |y|), rounded once after a rounded difference; infinite where one of them is not finite."""
    if not (math.isfinite(x) and math.isfinite(y)):
        return math.inf
    larger = max(abs(x), abs(y))
    return abs(x - y) / larger if math.isfinite(x - y) else abs(x / larger - y / larger)


def slow(a, b):
    """(differing, distance, its step, difference, its step, relative difference, its step) one value at a time."""
    differing, most, at, largest, where, relative, there = 0, 0, None, 0.0, None, 0.0, None
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        x, y = float(x), float(y)
        if x == y or (math.isnan(x) and math.isnan(y)):
            continue
        differing += 1
        lone = math.isnan(x) or math.isnan(y)
        apart = math.inf if lone else ulp.steps_apart(x, y)
        difference = math.inf if lone else abs(x - y)
        if relative_of(x, y) > relative:
            relative, there = relative_of(x, y), i
        if apart > most:
            most, at = apart, i
        if difference > largest:
            largest, where = difference, i
    return differing, most, at, largest, where, relative, there


def found(c):
    return (
        *(c.differing, c.max_ulp, c.ulp_step, c.max_difference, c.difference_step),
        *(c.max_relative, c.relative_step),
    )


def exact_ratio(a, b):
    over, under = sum(map(Fraction, a.tolist())), sum(map(Fraction, b.tolist()))
    try:
        return float(over / under)
    except OverflowError:
        return math.inf if over * under > 0 else -math.inf


def test_two_schedules():
    a, b = lk.cosine(0.1, 0.0, 1000).warmup(10), lk.cosine(0.1, 0.0, 1001).warmup(10)
    c = lk.compare(a, b, 1100, start=5)
    x, y = a.table(1100, 5), b.table(1100, 5)
    differing, most, at, largest, where, relative, there = slow(x, y)
    assert found(c) == (differing, most, at + 5, largest, where + 5, relative, there + 5)
    assert c.relative_values == (x[there], y[there])
    assert c.ulp_values == (x[at], y[at]) == (a(at + 5), b(at + 5))
    assert c.difference_values == (x[where], y[where])
    assert c.area_ratio == exact_ratio(x, y) != 1.0
    assert (c.n, c.start, c.dtype, c.equal) == (1100, 5, "float64", False)


def test_equal_ones():
    s = lk.wsd(0.1, 10, 70, 20)
    c = lk.compare(s, lk.parse(repr(s)), 200)
    assert c.equal
    assert found(c) == (0, 0, None, 0.0, None, 0.0, None)
    assert (c.ulp_values, c.difference_values, c.relative_values, c.area_ratio) == (None, None, None, 1.0)
    assert (c.verdict, c.close, c.beyond) == ("equal", True, 0)
    assert repr(c) == "Comparison(equal in float64 at all 200 steps, 0 to 199; ratio of areas 1.0)"


def test_what_it_says():
    a, b = np.array([1.0, 0.5, 0.0]), [1.0, 0.5 + 2.0**-53, 0.0]
    apart = (
        "by 1.11022e-16 at step 1, 0.5 and 0.5000000000000001; "
        "by 2.22045e-16 of the larger one at step 1, 0.5 and 0.5000000000000001; "
        "by 1 ULP at step 1, 0.5 and 0.5000000000000001; "
    )
    c = lk.compare(a, b)
    apart += f"ratio of areas {c.area_ratio!r}"
    assert repr(c) == f"Comparison(equal up to rounding in float64 at all 3 steps, 0 to 2; not identical at 1; {apart})"
    c = lk.compare(a, b, atol=1e-9)
    assert repr(c) == f"Comparison(equal within the tolerance in float64 at all 3 steps, 0 to 2; not identical at 1; {apart})"
    for c in (lk.compare(a, b, rtol=0.0), lk.compare(a, b, rtol=0, atol=0)):
        assert repr(c) == f"Comparison(1 of 3 steps (0 to 2) differ in float64; {apart})"
    b[2] = 1e-3
    first, _, _ = repr(lk.compare(a, b)).partition("; ")
    assert first == "Comparison(1 of 3 steps (0 to 2) differ in float64 by more than rounding, 2 in total"
    first, _, _ = repr(lk.compare(a, b, rtol=1e-9)).partition("; ")
    assert first == "Comparison(1 of 3 steps (0 to 2) differ in float64 by more than the tolerance, 2 in total"
    with pytest.raises(dataclasses.FrozenInstanceError):
        c.n = 5


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("x", ODD)
def test_odd_values_in_every_pair(x, dtype):
    with np.errstate(over="ignore", under="ignore"):
        a, b = np.full(len(ODD), x, dtype), np.array(ODD, dtype)
    c = lk.compare(a, b)
    assert c.dtype == np.dtype(dtype).name
    if dtype == np.float64:
        assert found(c) == slow(a, b)
    for i in range(len(ODD)):
        one = lk.compare(a[i : i + 1], b[i : i + 1])
        other = lk.compare(b[i : i + 1], a[i : i + 1])
        assert found(one) == found(other)
        same = a[i] == b[i] or (math.isnan(a[i]) and math.isnan(b[i]))
        assert one.equal == same
        if not same and not math.isnan(a[i]) and not math.isnan(b[i]) and dtype == np.float64:
            assert one.max_ulp == ulp.steps_apart(a[i], b[i])


def test_rounding_is_told_from_differences():
    """NumPy's formula differs by no more than rounding; half a step of warm-up differs by more."""
    t = np.arange(300)
    logged = 0.1 * (1.0 + np.cos(np.pi * t / 299)) / 2.0
    s = lk.cosine(0.1, 0.0, 299)
    c = lk.compare(s, logged)
    assert c.max_ulp > 60
    assert (c.verdict, c.close, c.equal, c.rounding) == ("equal up to rounding", True, False, True)
    assert c.atol == 8 * 2.0**-52 * 0.1
    assert lk.compare(s, logged, rtol=0.0).verdict == lk.compare(s, logged, atol=0.0).verdict == "different"
    c = lk.compare(s, logged, rtol=1e-12)
    assert (c.verdict, c.beyond, c.rtol, c.atol, c.rounding) == ("equal within the tolerance", 0, 1e-12, 0.0, False)
    assert lk.compare(s, lk.cosine(0.1, 1e-14, 299), 300).verdict == "different"
    single = logged.astype("f4")
    assert lk.compare(s, np.nextafter(single, np.float32(1))).verdict == "equal up to rounding"
    assert lk.compare(s, single, dtype="float64").verdict == "different"
    assert lk.compare(s, single, dtype="float64", rtol=1e-7, atol=1e-9).verdict == "equal within the tolerance"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_rounding_is(dtype):
    """8 eps of the largest finite value, no matter whose and where; infinities and NaN are never rounding."""
    eps = float(np.finfo(dtype).eps)
    for largest in (1.0, 3.0, -(2.0**-100), 2.0**90):
        most = dtype(8 * eps * abs(largest))
        for size, verdict in ((most, "equal up to rounding"), (np.nextafter(most, dtype(math.inf)), "different")):
            for sign in (1, -1):
                a, b = np.array([0.0, largest, 0.0], dtype), np.array([0.0, largest, sign * size], dtype)
                for c in (lk.compare(a, b), lk.compare(b, a)):
                    assert (c.verdict, c.differing, c.max_difference) == (verdict, 1, float(size))
    for odd in (math.inf, -math.inf, math.nan):
        a, b = np.array([odd, 1e30, 1.0], dtype), np.array([1.0, 1e30, 1.0], dtype)
        for c in (lk.compare(a, b), lk.compare(b, a), lk.compare(a, b, rtol=1e300, atol=1e300)):
            assert (c.verdict, c.max_relative, c.beyond) == ("different", math.inf, 1)
        assert lk.compare(a, a.copy()).verdict == "equal"


@thorough
@given(
    st.integers(1, 100).flatmap(
        lambda n: st.tuples(*[arrays(np.float64, n, elements=st.one_of(st.sampled_from(ODD), st.floats(-2, 2)))] * 2)
    ),
    st.sampled_from([0.0, 1e-3, 0.5, 1.0, 2.0]),
    st.sampled_from([0.0, 1e-3, 0.5, 1e300]),
)
def test_any_tolerance(pair, rtol, atol):
    a, b = pair
    c = lk.compare(a, b, rtol=rtol, atol=atol)
    beyond = 0
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        if x == y or (math.isnan(x) and math.isnan(y)):
            continue
        larger = max(abs(x), abs(y))
        beyond += not (math.isfinite(larger) and abs(x - y) <= atol + rtol * larger)
    assert (c.beyond, c.close) == (beyond, beyond == 0)
    assert (c.rtol, c.atol, c.rounding) == (rtol, atol, False)


def test_distances_in_both_types():
    def apart(a, b, dtype):
        return lk.compare(np.array([a], dtype), np.array([b], dtype)).max_ulp

    assert apart(1.0, math.nextafter(1.0, 0.0), "f8") == 1
    assert apart(1.0, 1.0 + 2.0**-23, "f4") == 1
    assert apart(-(2.0**-149), 2.0**-149, "f4") == 2
    assert apart(np.finfo("f4").max, np.inf, "f4") == apart(np.finfo("f8").max, np.inf, "f8") == 1
    assert apart(-np.inf, np.inf, "f8") == 2 * 0x7FF0_0000_0000_0000
    assert apart(-np.inf, np.inf, "f4") == 2 * 0x7F80_0000
    assert apart(np.nan, 1.0, "f4") == math.inf
    assert type(apart(1.0, 2.0, "f8")) is int


def test_float32_is_the_value_rounded_once():
    s = lk.cosine(3e-4, 1e-5, 700)
    single = s.table(700, dtype="float32")
    c = lk.compare(s, single)
    assert (c.equal, c.dtype, c.n) == (True, "float32", 700)
    assert not lk.compare(s, single, dtype="float64").equal
    assert not lk.compare(s, single.astype(np.float64)).equal
    assert lk.compare(s.table(700), s, dtype=np.float32).equal
    later = np.nextafter(single, np.float32(1))
    assert lk.compare(later, s).max_ulp == 1


@pytest.mark.parametrize("n", [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17])
def test_a_difference_in_any_place_is_found(n):
    s = lk.linear(1.0, 0.5, 3 * CHUNK)
    for at in {0, n // 2, n - 1}:
        values = s.table(n, 7)
        values[at] = math.nextafter(values[at], 2.0)
        c = lk.compare(values, s, start=7)
        assert (c.differing, c.max_ulp, c.ulp_step, c.difference_step) == (1, 1, at + 7, at + 7)
    doubled = s.table(n, 7)
    doubled[[0, n - 1]] *= 2
    c = lk.compare(s, doubled, start=7)
    assert (c.differing, c.ulp_step) == (len({0, n - 1}), 7)


@thorough
@given(
    st.integers(1, 300).flatmap(
        lambda n: st.tuples(*[arrays(np.float64, n, elements=st.one_of(st.sampled_from(ODD), st.floats()))] * 2)
    )
)
def test_any_values(pair):
    a, b = pair
    c = lk.compare(a, b)
    assert found(c) == slow(a, b)
    finite = np.isfinite(a).all() and np.isfinite(b).all()
    assert finite or math.isnan(c.area_ratio)


@pytest.mark.parametrize(
    "schedule",
    [
        lk.cosine(0.1, 0.0, 50_000),
        lk.exponential(1.0, 0.99),
        lk.constant(0.1),
        lk.linear(1.7e308, 1e300, 40_000),
        lk.exponential(1e-290, 0.999),
        lk.constant(5e-324),
        lk.cyclic(-1.0, 3.0, 77),
    ],
    ids=repr,
)
def test_areas_are_as_good_as_exact(schedule):
    n, other = CHUNK + 1000, lk.rex(0.3, 0.001, 10_000)
    a, b = schedule.table(n), other.table(n)
    assert ulp.steps_apart(lk.compare(a, b).area_ratio, exact_ratio(a, b)) == 0
    assert ulp.steps_apart(lk.compare(b, a).area_ratio, exact_ratio(b, a)) == 0


def test_areas_at_the_edges():
    def ratio(a, b):
        return lk.compare(a, b).area_ratio

    assert math.isnan(ratio([0.0], [0.0]))
    assert ratio([1.0, 2.0], [1.0, -1.0]) == math.inf
    assert ratio([-1.0, -2.0], [1.0, -1.0]) == -math.inf
    assert ratio([1e308, 1e308, 1e308], [1e308, 1e308, 2e307]) == exact_ratio(
        np.array([1e308] * 3), np.array([1e308, 1e308, 2e307])
    )
    assert ratio([1e308], [5e-324]) == math.inf
    assert ratio([1e16, 1.0, -1e16], [1.0, 1.0, 1.0]) == 1 / 3
    assert math.isnan(ratio([math.inf], [1.0]))
    assert math.isnan(ratio([1.0], [math.nan]))


def test_long_ones_take_little_memory():
    import tracemalloc

    a, b = lk.cosine(0.1, 0.0, 10**9), lk.cosine(0.1, 0.0, 10**9) * 1.0
    tracemalloc.start()
    try:
        c = lk.compare(a, b, 2_000_000, start=10**8)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert c.equal


def test_what_may_be_compared():
    s = lk.linear(1.0, 0.0, 3)
    for values in (
        [3, 2, 1, 0],
        np.array([3, 2, 1, 0], np.uint8),
        (3.0, 2, 1, 0),
        np.array([3, 2, 1, 0], ">f8"),
        np.arange(8.0)[7::-2] // 2,
    ):
        assert lk.compare(values, 3.0 * s).equal
    assert lk.compare(np.array([3, 2, 1, 0], ">f4"), 3.0 * s).dtype == "float32"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("error")
def test_signalling_nans_are_nans(dtype):
    single, double = np.array([0x7F800001], "u4").view("f4"), np.array([0x7FF0000000000001], "u8").view("f8")
    assert lk.compare(single, [math.nan], dtype=dtype).equal
    assert lk.compare(double, [math.nan], dtype=dtype).equal


S = lk.linear(1.0, 0.0, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((S, S), TypeError, "compare: n must be given for two Schedules; got None"),
        ((S, S, 0), ValueError, "compare: n must be an integer >= 1; got 0 (int)"),
        ((S, S, 2.0), TypeError, "compare: n must be an integer >= 1; got 2.0 (float); write 2"),
        ((S, S, 2, -1), ValueError, "compare: start must be an integer from 0"),
        ((S, S, 2, 2**53), ValueError, "compare: start must be an integer from 0"),
        ((S, S, 2, 0, "float16"), ValueError, "compare: dtype must be 'float64' or 'float32'; got 'float16' (str)"),
        ((S, S, 2, 0, object()), TypeError, "compare: dtype must be 'float64' or 'float32'; got <object"),
        ((S, [1.0, 2.0], 3), ValueError, "compare: b must have as many values as there are steps, 3; got float64 (2,)"),
        (([1.0], [1.0, 2.0]), ValueError, "compare: b must have as many values as there are steps, 1; got float64 (2,)"),
        ((S, []), ValueError, "compare: n must be an integer >= 1; got 0 (int)"),
        (
            (S, "cosine(1, 0, 3)"),
            TypeError,
            "compare: b must be a Schedule or an array of float64, float32 or integers; got 'cos",
        ),
        ((None, S), TypeError, "compare: a must be a Schedule or an array of float64, float32 or integers; got None"),
        (([True], S), TypeError, "compare: a must be a Schedule or an array of"),
        (([[1.0], [1.0, 2.0]], S), TypeError, "compare: a must be a Schedule or an array of"),
        ((np.ones(3, np.float16), S), TypeError, "compare: a must be a Schedule or an array of"),
        ((np.ones(3, np.longdouble), S), TypeError, "compare: a must be a Schedule or an array of"),
        ((np.ones((3, 2)), S), ValueError, "compare: a must be a Schedule or a 1-D array; got float64 (3, 2)"),
        ((1.0, S), ValueError, "compare: a must be a Schedule or a 1-D array; got float64 ()"),
        ((S, S, 2, 0, None, -1.0), ValueError, "compare: rtol must be a finite number >= 0; got -1.0 (float)"),
        ((S, S, 2, 0, None, None, math.nan), ValueError, "compare: atol must be a finite number >= 0; got nan (float)"),
        ((S, S, 2, 0, None, "1"), TypeError, "compare: rtol must be a finite number >= 0; got '1' (str)"),
        ((lk.exponential(1.0, 10.0), S, 400), OverflowError, "schedule: the value at step 309 is beyond"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error) as raised:
        lk.compare(*arguments[:5], **dict(zip(("rtol", "atol"), arguments[5:], strict=False)))
    assert str(raised.value).startswith(message)
