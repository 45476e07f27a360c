"""Runs whose length changes, and schedules over other clocks than the steps: extend, finish, diff, of, cumulative."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import numpy as np
import pytest
import ulp

import lrkern as lk


def assert_next_to(ours, others):
    """Two evaluations of one formula, each within 0.6 ULP, that are cut into pieces at other steps."""
    assert max(map(ulp.steps_apart, ours.tolist(), others.tolist()), default=0) <= 1


# ------------------------------------------------------------------------------------------------------------- extend

RUNS = [
    lk.cosine(0.1, 0.01, 1000),
    lk.cosine(0.1, 0.0, 900).warmup(100),
    lk.wsd(0.1, 50, 650, 300, 0.001),
    lk.polynomial(0.1, 0.01, 1000, 0.9) * 0.3,
    lk.from_table(np.linspace(1.0, 0.1, 1000)),
]


@pytest.mark.parametrize("run", RUNS, ids=repr)
@pytest.mark.parametrize(("at", "total"), [(0, 2500), (600, 2000), (999, 1001), (500, 700), (1, 10**12)])
def test_an_extended_run_goes_on_from_where_it_is(run, at, total):
    longer = run.extend(total, at)
    assert longer.steps == total
    assert longer(at) == run(at)
    assert_next_to(longer.table(at), run.table(at))
    assert longer(total) == run(run.steps)
    assert lk.parse(repr(longer)) == longer
    # A step of the longer run lies between two of the old one, and so does its value; test_accuracy has the values.
    for t in range(at, min(total, at + 2000)):
        place = at + Fraction((t - at) * (run.steps - at), total - at)
        neighbours = run(math.floor(place)), run(math.ceil(place))
        low, high = np.nextafter(min(neighbours), -1.0), np.nextafter(max(neighbours), 1.0)
        assert low <= longer(t) <= high


def test_an_extended_run_does_not_rise():
    run = lk.cosine(0.1, 0.0, 1000)
    assert lk.cosine(0.1, 0.0, 2000)(600) > 2 * run(600)  # what rebuilding does
    assert np.all(np.diff(run.extend(2000, at=600).table(2001)) <= 0.0)


def test_extended_by_the_same_total_nothing_changes():
    run = lk.cosine(0.1, 0.0, 900).warmup(100)
    assert_next_to(run.extend(1000, at=300).table(1200), run.table(1200))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: lk.exponential(0.1, 0.9).extend(100, 10), "the schedule must end"),
        (lambda: lk.constant(0.1).extend(100, 0), "at must be before step 0, at which the schedule has ended; got 0"),
        (lambda: lk.cosine(0.1, 0.0, 10).extend(100, 10), "at must be before step 10"),
        (lambda: lk.cosine(0.1, 0.0, 10).extend(5, 5), "total must be an integer >= 6"),
        (lambda: lk.cosine(0.1, 0.0, 10).finish(5, -1), "finish: steps must be an integer"),
        (lambda: lk.cosine(0.1, 0.0, 10).finish(5, 5, 0.0, "steep"), "finish: curve must be"),
        (lambda: lk.linear(0.1, 0.0, 10).of(0.1), "of: clock must be a Schedule"),
        (lambda: lk.linear(0.1, 0.0, 10).of(lk.line(0.0, -1.0)), "clock must be >= 0 and never decrease; violated at step 0"),
        (lambda: lk.linear(0.1, 0.0, 10).of(lk.join([lk.line(0.0, 2.0), lk.line(9.0, 1.0)], [5])), "violated at step 5"),
        (lambda: lk.linear(0.1, 0.0, 10).of(lk.constant(-1.0)), "clock must be >= 0"),
        (lambda: lk.linear(1.0, 2.0, 10).cumulative(), "must be piecewise constant"),
        (lambda: lk.noise(1.0).cumulative(), "must not change at more than 100000 steps"),
        (lambda: lk.piecewise([1.0, -1.0], [3]).cumulative(), "values must be >= 0; got -1.0 at step 3"),
        (lambda: lk.diff(lk.constant(0.1), 0.1, 3), "diff: new must be a Schedule"),
        (lambda: lk.diff(lk.constant(0.1), lk.constant(0.1), -3), "diff: at must be an integer >= 0"),
        (lambda: lk.join([lk.constant(1.0)] * 3, [4, 4], ["after", "from"]), "got 'after' 4 before 'from' 4"),
        (lambda: lk.join([lk.constant(1.0)] * 2, [4], ["after", "from"]), "one for each of the 1 boundaries; got 2"),
        (lambda: lk.join([lk.constant(1.0)] * 2, [4], "before"), "side must be 'from' or 'after'"),
        (lambda: lk.join([lk.constant(1.0)] * 2, [np.nan]), "boundaries[0] must be a finite number"),
        (lambda: lk.piecewise([1.0, 2.0], [-0.5]), "boundaries[0] must be a finite number >= 0"),
        (lambda: lk.cosine(1.0, 0.1, 9).restarts(0.5, 1.0, warmup=3), "growth must be a finite number >= 1"),
        (lambda: lk.cosine(1.0, 0.1, 9).restarts(warmup=-1), "warmup must be an integer"),
        (lambda: lk.cosine(1.0, 0.1, 9).repeat(3, side="both"), "repeat: side must be"),
        (lambda: lk.cosine(1.0, 0.1, 9).staircase(3, "both"), "staircase: side must be"),
        (lambda: lk.rex(1.0, 0.1, 9, d=1.0), "d must be a finite number >= -1e+06 and < 1"),
        (lambda: lk.cosine(1.0, 0.1, 9) ** 1e4, "power must be a finite number >= -1000"),
    ],
)
def test_what_has_no_meaning_is_refused(call, says):
    with pytest.raises((TypeError, ValueError), match=re.escape(says)):
        call()


# -------------------------------------------------------------------------------------------------------- no value there


@pytest.mark.parametrize(
    ("schedule", "pole"),
    [
        (1.0 / lk.linear(1.0, 0.0, 4), 4),
        (lk.constant(2.0) / lk.linear(-3.0, 5.0, 8), 3),
        (lk.linear(1.0, 0.0, 4) ** -0.5, 4),
        (lk.linear(1.0, -1.0, 5) ** 0.5, 3),
        (0.0 * (1.0 / lk.linear(1.0, 0.0, 4)), 4),
        ((1.0 / lk.linear(1.0, 0.0, 4)).clip(0.0, 1.0), 4),
        (1.0 / (1.0 / lk.linear(1.0, 0.0, 4)), 4),
        ((1.0 / lk.linear(1.0, 0.0, 4)).stretch(2), 8),
    ],
    ids=repr,
)
def test_poles_are_refused_with_their_step(schedule, pole):
    assert np.isfinite(schedule.table(pole)).all()
    message = f"value at step {pole} is not defined"
    for ask in (
        lambda: schedule(pole),
        lambda: schedule(np.array([0, pole])),
        lambda: schedule.table(pole + 3),
        lambda: schedule.plan(pole + 3),
        lambda: schedule.table(pole + 3, backend="numba"),
    ):
        with pytest.raises(ZeroDivisionError, match=message):
            ask()
    with pytest.raises(ZeroDivisionError, match=rf"schedules\[1\] at step {pole} is not defined"):
        lk.tables([lk.constant(1.0), schedule], pole + 3)


def test_a_pole_between_steps_is_told_where_it_is_asked_for():
    schedule = 1.0 / lk.linear(-1.0, 1.0, 3)
    assert schedule.table(4).tolist() == [-1.0, -3.0, 3.0, 1.0]
    with pytest.raises(ZeroDivisionError, match=r"step 1\.5 is not defined"):
        schedule(1.5)


def test_nothing_rises_to_a_pole():
    with pytest.raises(ZeroDivisionError, match="step 0 is not defined"):
        (1.0 / lk.linear(0.0, 1.0, 4)).warmup(3)
    with pytest.raises(ZeroDivisionError, match="step 4 is not defined"):
        (1.0 / lk.linear(1.0, 0.0, 4)).cooldown(4, 3)


# -------------------------------------------------------------------------------------------------- beginnings and lengths


@pytest.mark.parametrize("warmup", [1, 10, 100])
@pytest.mark.parametrize(
    "phase",
    [
        lambda n: lk.cosine(0.1, 0.0, n),
        lambda n: lk.linear(0.1, 0.0, n),
        lambda n: lk.wsd(0.1, 0, 0, n),
        lambda n: lk.cosine(0.1, 0.0, n).then(lk.constant(0.0)),
        lambda n: 2.0 * lk.rex(0.05, 0.0, n),
        lambda n: lk.one_minus_sqrt(0.1, 0.0, n).clip(0.0, 1.0),
    ],
)
def test_a_phase_of_no_steps_is_warmed_up_to_its_start(phase, warmup):
    values = phase(0).warmup(warmup).table(warmup + 3)
    assert values[:warmup].tolist() == lk.constant(0.1).warmup(warmup).table(warmup).tolist()
    assert values[warmup:].tolist() == [0.0, 0.0, 0.0]
    # as of a phase of one step, except for the phase itself
    assert values[:warmup].tolist() == phase(1).warmup(warmup).table(warmup).tolist()


def test_a_table_takes_a_step_for_each_value():
    table = lk.from_table([1, 2, 3])
    assert table.steps == 3
    assert lk.from_function(float, 5).steps == 5
    assert table.then(lk.from_table([7, 8])).table(6).tolist() == [1, 2, 3, 7, 8, 8]
    assert lk.dialects.torch.OneCycleLR(0.1, 100).steps == 100
    last = lk.dialects.torch.OneCycleLR(0.1, 100)(99)
    assert lk.dialects.torch.OneCycleLR(0.1, 100).then(lk.constant(5.0)).table(3, start=98).tolist()[1:] == [last, 5.0]


def test_piecewise_never_ends():
    assert lk.piecewise([1.0, 0.1], [3]).steps is None
    with pytest.raises(ValueError, match="then: the schedule must end"):
        lk.piecewise([1.0, 0.1], [3]).then(lk.constant(1.0))


def test_a_boundary_belongs_to_one_side():
    for shift in (0, 3, 10**12):
        begins = lk.join([lk.constant(1.0), lk.constant(2.0)], [3]).shift(shift)
        ends = lk.join([lk.constant(1.0), lk.constant(2.0)], [3], "after").shift(shift)
        at = 3 + shift
        assert begins.table(3, start=at - 1).tolist() == [1.0, 2.0, 2.0]
        assert ends.table(3, start=at - 1).tolist() == [1.0, 1.0, 2.0]
        assert [ends(float(at)), ends(np.nextafter(float(at), np.inf))] == [1.0, 2.0 if shift < 10**12 else ends(at + 2.0**-10)]
    between = lk.join([lk.constant(1.0), lk.line(0.0, 1.0)], [47.5])
    assert between(47.499) == 1.0
    assert between.table(3, start=47).tolist() == [1.0, 0.5, 1.5]


# ------------------------------------------------------------------------------------------------------------- of, diff


def test_a_rate_over_tokens_under_a_batch_ramp():
    sizes = lk.piecewise([2**20, 2**21, 2**22], [1000, 3000])
    tokens = sizes.cumulative()
    by_token = lk.cosine(3e-4, 3e-5, 2**34).warmup(2**28)
    rate = by_token.of(tokens)
    counted = np.concatenate([[0], np.cumsum(sizes.table(8000).astype(np.int64))])
    assert tokens.table(8001).astype(np.int64).tolist() == counted.tolist()
    assert_next_to(rate.table(8001), by_token(counted[:8001]))
    assert rate.steps == int(np.searchsorted(counted, by_token.steps)) or rate.steps > 8000
    assert len(rate.plan(8001).center) < 40


def test_steps_to_the_largest_number_of_tokens_are_exact():
    tokens = lk.line(0.0, 3.0)
    step = (2**53 - 1) // 3
    assert lk.from_table([0.0, 1.0]).stretch(2.0**52).of(tokens)(step) == 1.0
    assert lk.line(0.0, 1.0).of(tokens)(step) == 3.0 * step


def test_a_diff_says_what_the_next_update_does():
    old = lk.cosine(3e-4, 0.0, 100_000)
    new = lk.cosine(3e-4, 0.0, 150_000)
    found = lk.diff(old, new, 40_000)
    assert (found.at, found.old_value, found.new_value) == (40_000, old(40_000), new(40_000))
    assert (found.first, found.old_steps, found.new_steps, found.new_end) == (40_000, 100_000, 150_000, 0.0)
    assert found.largest == np.max(np.abs(old.table(150_001) - new.table(150_001))[40_000:])
    assert found.exhaustive
    assert not found.same
    text = str(found)
    assert f"{new(40_000)!r} instead of {old(40_000)!r}" in text
    assert "it ends at step 150000" in text
    assert lk.diff(old, old, 7).same
    assert str(lk.diff(old, old, 7)) == "from step 7 on: the same values"


def test_a_diff_of_endless_schedules_looks_far_ahead():
    old = lk.constant(0.1)
    new = lk.piecewise([0.1, 0.2], [10**13])
    found = lk.diff(old, new, 5)
    assert found.first == 10**13
    assert not found.exhaustive
    assert lk.diff(lk.line(0.0, 1.0), lk.line(0.0, 1.0) + 0.0, 5).lines()[0].endswith("the same values at all steps sampled")


def test_only_a_length_that_differs_is_told():
    found = lk.diff(lk.constant(0.1), lk.linear(0.1, 0.1, 100), 3)
    assert found.first is None
    assert "no value differs" in str(found)
    assert "it ends at step 100" in str(found)
