"""Every case of the table against the oracle: accuracy, ends, order, bounds, and the same value by every way of evaluation.

Short schedules are tested at every step, long ones at both ends, around every join and at scattered steps, integers and
fractions (see case_steps.sample).  Errors are in ULP of the exact value, or of the larger term if a sum cancelled.
"""

from __future__ import annotations

import functools
import itertools

import case_steps
import cases
import numpy as np
import oracle
import promise
import pytest
import ulp
from representative import each_case

import lrkern as lk


class Tried:
    """One case with its steps and exact values; the steps in `overflows` are beyond float64."""

    def __init__(self, case):
        self.text = case.text
        self.schedule = case.build(lk)
        self.exact = case.exact()
        self.steps, self.values, self.scales, self.overflows = [], [], [], []
        for t in case_steps.sample(case.text, self.exact):
            value, scale = self.exact.at_with_scale(t)
            try:
                ulp.nearest(value)
            except OverflowError:
                self.overflows.append(t)
            if self.overflows:
                continue
            self.steps.append(t)
            self.values.append(value)
            self.scales.append(scale)

    @functools.cached_property
    def got(self) -> np.ndarray:
        return self.schedule(np.array(self.steps, np.int64))

    def runs(self) -> list[tuple[int, int]]:
        """(first, last) indices of ranges of consecutive steps."""
        groups = itertools.groupby(enumerate(self.steps), key=lambda pair: pair[1] - pair[0])
        rows = [list(group) for _, group in groups]
        return [(row[0][0], row[-1][0]) for row in rows]

    def report(self, t, got, value, scale) -> str:
        error = ulp.ulp_error(got, value, scale)
        larger = f" of a term {float(scale):.17g}" if scale > abs(value) else ""
        return f"{self.text} at step {t}: got {got!r}, exact {cases.mp.nstr(value, 25)}: {error:.4g} ULP{larger}"


@pytest.fixture(scope="module", params=each_case())
def tried(request):
    return Tried(request.param)


def assert_accurate(tried, steps, got, values, scales):
    rows = list(zip(steps, got, values, scales, strict=True))
    errors = [promise.error_at(tried.text, tried.exact, t, float(g), v, s) for t, g, v, s in rows]
    wrong = sum(not error <= cases.MAX_ULP for error in errors)
    if wrong:
        t, g, v, s = rows[max(range(len(rows)), key=errors.__getitem__)]
        where = tried.report(t, float(g), v, s)
        pytest.fail(f"{where}; {wrong} of {len(steps)} steps beyond {cases.MAX_ULP}", pytrace=False)


def test_accuracy(tried):
    assert tried.got.dtype == np.float64
    assert_accurate(tried, tried.steps, tried.got, tried.values, tried.scales)


def test_accuracy_between_steps(tried):
    steps, values, scales = [], [], []
    for t in case_steps.fractional_sample(tried.text, tried.exact):
        value, scale = tried.exact.at_with_scale(t)
        if not tried.overflows or t < tried.steps[-1]:
            steps.append(t)
            values.append(value)
            scales.append(scale)
    assert_accurate(tried, steps, tried.schedule(np.array(steps)), values, scales)


def test_values_promised_at_joins_and_ends_are_exact(tried):
    """If the exact value at an end or join is a float64, it is returned: s(0) == start, s(steps) == end."""
    marks = {0, case_steps.last_of(tried.exact), *tried.exact.marks}
    for t, got, value, scale in zip(tried.steps, tried.got, tried.values, tried.scales, strict=True):
        if t in marks and scale == abs(value) and ulp.nearest(value) == value:
            assert got == ulp.nearest(value), tried.report(t, got, value, scale)


def test_order(tried):
    """Neighbouring steps are out of order by at most one ULP, and not at all if they are further apart."""
    rows = zip(tried.steps, tried.got, tried.values, tried.scales, strict=True)
    for (t, a, x, sx), (u, b, y, sy) in itertools.pairwise(rows):
        if u != t + 1:
            continue
        if y < x:
            a, b, x, y = b, a, y, x
        unit = cases.mp.ldexp(1, ulp.ulp_exponent(max(sx, sy)))
        wrong_way = float(a) - float(b)  # exact: both lie within a factor of two wherever this is positive
        assert wrong_way <= (unit if y - x <= unit else 0), f"{tried.text}: steps {t} and {u} out of order"


def test_bounds(tried):
    """No value is outside the range of the exact values (rounded outward if a bound is not a float64)."""
    if any(scale > abs(value) for value, scale in zip(tried.values, tried.scales, strict=True)):
        pytest.skip("a sum that cancels")
    low, high = min(tried.values), max(tried.values)
    floor, ceiling = ulp.nearest(low), ulp.nearest(high)
    if floor > low:
        floor = np.nextafter(floor, -np.inf)
    if ceiling < high:
        ceiling = np.nextafter(ceiling, np.inf)
    assert floor <= tried.got.min(), tried.text
    assert tried.got.max() <= ceiling, tried.text


def test_steps(tried):
    assert tried.schedule.steps == tried.exact.steps
    assert tried.schedule.steps is None or type(tried.schedule.steps) is int


def test_same_bits_however_asked(tried):
    """Scalars (int, NumPy, float), arrays of any shape and kind, tables, slices and float32 tables agree to the bit."""
    schedule, steps, got = tried.schedule, np.array(tried.steps, np.int64), tried.got
    few = sorted(case_steps.rng(tried.text, "few").sample(range(len(steps)), min(40, len(steps))))
    for i in few:
        t = tried.steps[i]
        value = schedule(t)
        assert type(value) is float
        assert value.hex() == float(got[i]).hex(), (tried.text, t)
        assert schedule(float(t)).hex() == value.hex(), (tried.text, t)
        assert schedule(np.int64(t)).hex() == value.hex(), (tried.text, t)
    ulp.assert_same_bits(schedule(steps.astype(np.float64)), got, f"{tried.text}, steps as floats")
    ulp.assert_same_bits(schedule(tried.steps), got, f"{tried.text}, steps as a list")
    ulp.assert_same_bits(schedule(steps[::-1]), got[::-1], f"{tried.text}, steps backwards")
    even = len(steps) // 2 * 2
    ulp.assert_same_bits(schedule(steps[:even].reshape(2, -1)), got[:even].reshape(2, -1), f"{tried.text}, two rows")
    for first, last in tried.runs()[:60]:
        start, n = tried.steps[first], last - first + 1
        part = got[first : last + 1]
        if start + n > cases.LAST_STEP:  # tables reach to the step before the last that calls take
            n, part = n - 1, part[:-1]
        what = f"{tried.text}, {n} steps from {start}"
        ulp.assert_same_bits(schedule.table(n, start=start), part, what)
        with np.errstate(over="ignore", under="ignore"):
            single = part.astype(np.float32)
        ulp.assert_same_bits(schedule.table(n, start=start, dtype=np.float32), single, f"{what}, float32")
        if n > 9:
            ulp.assert_same_bits(schedule.table(n - 7, start=start + 5), part[5 : n - 2], f"{what}, a slice")


def test_overflow_names_the_step(tried):
    for t in tried.overflows[:3]:
        with pytest.raises(OverflowError, match=str(t)):
            tried.schedule(t)
        with pytest.raises(OverflowError, match=str(t)):
            tried.schedule.table(1, start=min(t, cases.LAST_STEP - 1))


def test_repr_means_the_same(tried):
    """repr returns an expression with the same exact values, and parse rebuilds an equal schedule from it."""
    text = repr(tried.schedule)
    twin = oracle.evaluate(text)
    for t in case_steps.rng(tried.text, "repr").sample(tried.steps, min(10, len(tried.steps))):
        assert twin.at(t) == tried.exact.at(t), (text, t)
    again = lk.parse(text)
    assert again == tried.schedule
    assert hash(again) == hash(tried.schedule)
    assert repr(again) == text
    ulp.assert_same_bits(again(np.array(tried.steps, np.int64)), tried.got, f"parse({text!r})")


def test_the_table_names_every_curve():
    """Every public function and method that returns a Schedule is tested above."""
    used = set().union(*(case_steps.names_used(case.text) for case in cases.CASES))
    assert cases.public_curves(lk) <= used
    assert cases.public_methods(lk) <= used


def test_every_entry_is_public():
    assert {case.curve for case in cases.CASES if case.curve in oracle.namespace} <= set(lk.__all__)
