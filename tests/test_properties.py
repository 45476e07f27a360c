"""Laws that hold for any schedule, on expressions drawn by hypothesis: leaves from the table of cases, methods on top.

A few draws, the same on every run; with LRKERN_EXAMPLES=1000 so many, others every time (`make fuzz`).
"""

from __future__ import annotations

import copy
import itertools
import os
import pickle
import re

import case_steps
import cases
import numpy as np
import oracle
import pytest
import ulp
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

# Values and lengths that leave room to multiply a few of them.
EXTREME = re.compile(r"e[-+]?[123]\d\d|5e-324|2\*\*5|9007199254740992|\b1e1\d|10\*\*1\d|lambda|range")
TABLE_LEAVES = [c.text for c in cases.CASES if c.curve in oracle.namespace and not EXTREME.search(c.text)]

value = st.one_of(
    st.sampled_from([0.0, 0.1, 1.0, 0.3, 1e-3, -0.5, 2.0, -1.0]),
    st.floats(1e-6, 10.0).filter(lambda x: x > 0),
    st.floats(-10.0, 10.0).filter(lambda x: x == 0 or abs(x) > 1e-6),
)
positive = st.one_of(st.sampled_from([0.1, 1.0, 1e-3, 0.7, 3.0]), st.floats(1e-3, 100.0))
rate = st.one_of(st.sampled_from([0.5, 0.9, 0.999, 1.0]), st.floats(0.5, 1.0))
count = st.one_of(st.integers(0, 40), st.integers(0, 3000), st.integers(0, 10**9))
at_least_one = count.map(lambda n: n + 1)
shape = st.sampled_from(["linear", "cosine", "one_minus_sqrt", "square", "logarithmic", "mirror_cosine", "halving"])


def call(name, *arguments):
    return st.tuples(*arguments).map(lambda drawn: f"{name}({', '.join(map(repr, drawn))})")


leaf = st.one_of(
    st.sampled_from(TABLE_LEAVES),
    call("constant", value),
    call("linear", value, value, count),
    call("cosine", value, value, count),
    call("cosine", value, value, count, positive, positive),
    call("polynomial", value, value, count, positive, positive),
    call("line", value, value, positive),
    call("polynomial", value, value, count, positive),
    call("one_minus_sqrt", value, value, count),
    call("rex", value, value, count),
    call("geometric", positive, positive, count),
    call("exponential", value, rate, at_least_one),
    call("inverse_sqrt", value, positive),
    call("warm_restarts", value, value, at_least_one, st.sampled_from([0.5, 0.9, 1.0, 1.1, 1.5, 2.0, 3.0, 0.999, 1.001]), rate),
    call("cyclic", value, value, at_least_one, at_least_one),
)


def method(inner, name, *arguments):
    return st.tuples(inner, *arguments).map(lambda d: f"({d[0]}).{name}({', '.join(map(repr, d[1:]))})")


def grown(inner):
    return st.one_of(
        st.tuples(inner, inner).map(lambda d: f"({d[0]}) + ({d[1]})"),
        st.tuples(inner, inner).map(lambda d: f"({d[0]}) - ({d[1]})"),
        st.tuples(inner, inner).map(lambda d: f"({d[0]}) * ({d[1]})"),
        st.tuples(value, inner).map(lambda d: f"{d[0]!r} * ({d[1]})"),
        st.tuples(inner, positive).map(lambda d: f"({d[0]}) / {d[1]!r}"),
        st.tuples(inner, inner, count).map(lambda d: f"join([{d[0]}, {d[1]}], [{d[2]}])"),
        st.tuples(inner, value, value).map(lambda d: f"({d[0]}).clip({min(d[1:])!r}, {max(d[1:])!r})"),
        method(inner, "warmup", count, value, shape),
        method(inner, "cooldown", count, count, value, shape),
        method(inner, "shift", st.integers(-5000, 5000)),
        method(inner, "stretch", positive),
        method(inner, "stretch", at_least_one, at_least_one),
        method(inner, "staircase", at_least_one),
        method(inner, "repeat", at_least_one, st.one_of(st.none(), st.integers(1, 50)), rate),
    )


expression = st.recursive(leaf, grown, max_leaves=6).filter(lambda text: len(text) < 600)


def build(text):
    return eval(text, {"__builtins__": {}}, vars(lk))


def tried_steps(text, exact, n=60):
    """A few dozen steps of an expression: around the landmarks and scattered, without those that overflow."""
    draw = case_steps.rng(text)
    steps = {0, 1, 2, 3, *(int(2 ** draw.uniform(0, 40)) for _ in range(n // 3))}
    for mark in exact.marks:
        steps.update(t for t in range(mark - 2, mark + 3) if 0 <= t <= cases.LAST_STEP)
    end = min(case_steps.last_of(exact), 10**10)
    steps.update(draw.randrange(end + 1) for _ in range(n // 3))
    rows = []
    for t in sorted(steps):
        v, scale = exact.at_with_scale(t)
        if abs(v) < cases.mp.ldexp(1, 1023) and scale < cases.mp.ldexp(1, 1023):
            rows.append((t, v, scale))
    return rows


@thorough
@given(expression)
def test_accuracy(text):
    exact = oracle.evaluate(text)
    rows = tried_steps(text, exact)
    assume(rows)
    steps, values, scales = zip(*rows, strict=True)
    got = build(text)(np.array(steps, np.int64))
    error, i = ulp.worst(got, values, scales)
    assert error <= cases.MAX_ULP, (
        f"{text} at step {steps[i]}: got {float(got[i])!r}, exact {cases.mp.nstr(values[i], 25)}, {error:.4g} ULP"
    )


@thorough
@given(expression)
def test_order_and_bounds(text):
    """Neighbouring steps keep their order, and no value leaves the range of a curve that has one."""
    exact = oracle.evaluate(text)
    rows = [row for row in tried_steps(text, exact) if row[2] == abs(row[1])]
    assume(rows)
    got = build(text)(np.array([t for t, _, _ in rows], np.int64))
    for ((t, x, sx), (u, y, sy)), (a, b) in zip(itertools.pairwise(rows), itertools.pairwise(got), strict=True):
        if u == t + 1:
            unit = cases.mp.ldexp(1, ulp.ulp_exponent(max(sx, sy)))
            up = 1 if y >= x else -1
            assert up * (float(a) - float(b)) <= (unit if abs(y - x) <= unit else 0), (text, t)


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
        lk.parse(text),
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
        except OverflowError:
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
    except OverflowError:
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
    except OverflowError:
        assume(False)
    values, scale, other_scale = whole[:100], scales_of(text, steps), scales_of(other, steps)
    assume(np.all(scale < 1e150))
    assume(np.all(other_scale < 1e150))

    late = np.maximum(steps - n, 0)
    assert close(s.shift(n)(steps), values[late], scale[late])
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
    ulp.assert_same_bits((r * s)(steps), product, "a * b and b * a")
    ulp.assert_same_bits(s.warmup(0)(steps), values, "a warm-up of no steps")


def scales_of(text, steps):
    """What the accuracy at each step is measured in."""
    exact = oracle.evaluate(text)
    return np.array([float(exact.at_with_scale(int(t))[1]) for t in steps])


@pytest.mark.parametrize("text", ["cosine(0.1, 0.0, 1000)", "exponential(1.0, 0.999)", "inverse_sqrt(1.0, 30)"])
def test_methods_leave_the_schedule_as_it_was(text):
    schedule = build(text)
    before = repr(schedule), schedule.table(100).tobytes()
    schedule.warmup(10).clip(0.01).repeat(50, 3).stretch(0.7).shift(3).staircase(2).cooldown(5, 5).then(schedule)
    assert (repr(schedule), schedule.table(100).tobytes()) == before
