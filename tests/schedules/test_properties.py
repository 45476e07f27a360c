"""Laws that hold for any schedule, on everyday expressions: leaves from the table of cases too, methods on top.

A few draws, the same on every run; with LRKERN_EXAMPLES=1000 so many, others every time (`make fuzz`).
"""

from __future__ import annotations

import copy
import os
import pickle
import re

import cases
import expressions
import numpy as np
import oracle
import pytest
import ulp
from expressions import build
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import lrkern as lk

EXAMPLES = os.environ.get("LRKERN_EXAMPLES")
thorough = settings(
    max_examples=int(EXAMPLES or 20),
    deadline=None,
    database=None,
    derandomize=EXAMPLES is None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

# Leaves of the table whose values and lengths leave room to multiply a few of them.
EXTREME = re.compile(r"e[-+]?[123]\d\d|5e-324|2\*\*5|9007199254740992|\b1e1\d|10\*\*1\d|lambda|range")
TABLE_LEAVES = tuple(c.text for c in cases.CASES if c.curve in oracle.namespace and not EXTREME.search(c.text))


def everyday(rng):
    """An expression between everyday constants."""
    return expressions.expression(expressions.Draws(rng, longest=10**9, leaves=TABLE_LEAVES), rng.randint(0, 3))


def accepted(text):
    try:
        build(text)
    except (ValueError, ArithmeticError):
        return False
    return True


expression = st.randoms(use_true_random=False).map(everyday).filter(accepted)
positive = st.one_of(st.sampled_from([0.1, 1.0, 1e-3, 0.7, 3.0]), st.floats(1e-3, 100.0))
at_least_one = st.one_of(st.integers(1, 40), st.integers(1, 3000), st.integers(1, 10**9))
shape = st.sampled_from(expressions.TAILS)


@thorough
@given(
    st.sampled_from(["linear", "cosine", "one_minus_sqrt", "rex", "polynomial", "geometric"]),
    positive,
    positive,
    at_least_one,
    st.integers(0, 2**40),
)
def test_a_ramp_is_monotone_and_stays_between_its_ends(name, start, end, steps, at):
    schedule = build(f"{name}({start!r}, {end!r}, {steps}{', 1.7' if name == 'polynomial' else ''})")
    assert schedule(0) == start
    assert schedule(steps) == end
    assert schedule(steps + at) == end
    row = schedule.table(2000, start=at % steps)
    assert min(start, end) <= row.min()
    assert row.max() <= max(start, end)
    moves = np.diff(row) * (1 if end >= start else -1)
    assert np.all(moves >= -np.spacing(np.abs(row[1:])))


@thorough
@given(expression)
def test_text_pickle_copy_equality(text):
    schedule = build(text)
    printed = repr(schedule)
    steps = np.arange(50)
    for again in (
        lk.parse(printed),
        lk.parse(printed if "lambda" in text else text),  # which no text may hold
        build(printed),
        build(text),
        pickle.loads(pickle.dumps(schedule)),
        copy.copy(schedule),
        copy.deepcopy(schedule),
    ):
        assert again == schedule
        assert (again != schedule) is False
        assert hash(again) == hash(schedule)
        assert repr(again) == printed
        assert again.steps == schedule.steps
        try:
            expected = schedule(steps)
        except ArithmeticError:
            continue
        ulp.assert_same_bits(again(steps), expected, text)


@thorough
@given(expression, expression)
def test_equality_is_about_the_expression(a, b):
    same = repr(build(a)) == repr(build(b))
    assert (build(a) == build(b)) == same
    assert build(a) != a
    assert build(a) != 3.0


@thorough
@given(expression, st.integers(0, 5000), st.integers(1, 300), st.data())
def test_a_slice_is_a_part_of_the_whole(text, start, n, data):
    schedule = build(text)
    try:
        whole = schedule.table(n, start=start)
    except ArithmeticError:  # beyond float64, or not defined
        assume(False)
    first = data.draw(st.integers(0, n))
    last = data.draw(st.integers(first, n))
    ulp.assert_same_bits(schedule.table(last - first, start=start + first), whole[first:last], text)
    ulp.assert_same_bits(schedule(np.arange(start, start + n)), whole, text)
    ulp.assert_same_bits(lk.tables([schedule, lk.constant(1.0)], n, start=start)[0], whole, text)
    with np.errstate(over="ignore", under="ignore"):
        single = whole.astype(np.float32)
    ulp.assert_same_bits(schedule.table(n, start=start, dtype=np.float32), single, text)


def close(a, b, scale):
    """Two roundings of one exact value, each within 0.6 ULP: at most one float64 apart."""
    unit = np.maximum(np.spacing(np.abs(a)), np.spacing(np.abs(scale)))
    return np.all(np.abs(a - b) <= unit)


@thorough
@given(expression, expression, st.integers(0, 80), st.integers(1, 60), shape)
def test_laws(text, other, n, every, ramp):
    """The definitions of the methods, one in terms of the other, up to one rounding."""
    s, r = build(text), build(other)
    steps = np.arange(100)
    try:
        whole, others = s(np.arange(200)), r(steps)
    except ArithmeticError:  # beyond float64, or not defined
        assume(False)
    values, scale, other_scale = whole[:100], scales_of(text, steps), scales_of(other, steps)
    assume(np.all(scale < 1e150))
    assume(np.all(other_scale < 1e150))

    late = np.maximum(steps - n, 0)
    held = np.where(steps < n, s._beginning(), values[late])  # phases of no steps at their start
    assert close(s.shift(n)(steps), held, np.maximum(scale[late], np.abs(held)))
    assert close(s.shift(-n)(steps[: 100 - n]), values[n:], scale[n:])
    assert close(s.shift(-n)(steps), whole[n : n + 100], scale.max())
    assert close(s.warmup(n, curve=ramp)(steps + n), values, scale)
    assert close(s.cooldown(n, every, curve=ramp)(steps[:n]), values[:n], scale[:n])
    assert np.all(s.cooldown(n, every, 0.25, ramp)(steps + n + every) == 0.25)
    joined = lk.join([s, r], [n])
    assert close(joined(steps[:n]), values[:n], scale[:n])
    assert close(joined(steps + n), others, other_scale)
    stairs = steps // every * every
    assert close(s.staircase(every)(steps), values[stairs], scale[stairs])
    assert close(s.repeat(every)(steps), values[steps % every], scale[steps % every])
    assert close((2.0 * s)(steps), 2.0 * values, 2 * scale)
    assert close((-s)(steps), -values, scale)
    assert close(s.stretch(3)(3 * steps), values, scale)
    middle = float(np.min(values)) / 2 + float(np.max(values)) / 2
    clipped = s.clip(low=middle)(steps)
    assert close(clipped, np.maximum(values, middle), scale)
    assert np.all(clipped >= middle)
    assert np.all(s.clip(high=middle)(steps) <= middle)
    total, product = (s + r)(steps), (s * r)(steps)
    ulp.assert_same_bits((r + s)(steps), total, "a + b and b + a")
    assert close((r * s)(steps), product, product)  # next to a zero its last digits depend on the order
    ulp.assert_same_bits(s.warmup(0)(steps), values, "a warm-up of no steps")


def scales_of(text, steps):
    """The unit of the accuracy at each step."""
    exact = oracle.evaluate(text)
    return np.array([float(exact.at_with_scale(int(t))[1]) for t in steps])


@pytest.mark.parametrize("text", ["cosine(0.1, 0.0, 1000)", "exponential(1.0, 0.999)", "inverse_sqrt(1.0, 30)"])
def test_methods_leave_the_schedule_as_it_was(text):
    schedule = build(text)
    before = repr(schedule), schedule.table(100).tobytes()
    schedule.warmup(10).clip(0.01).repeat(50, 3).stretch(0.7).shift(3).staircase(2).cooldown(5, 5).then(schedule)
    assert (repr(schedule), schedule.table(100).tobytes()) == before
