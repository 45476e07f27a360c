"""Schedules as plain data: round trips through `to_dict` and `from_dict`, and errors that say what is wrong with a record."""

import copy
import json
import math
import random
import time
from functools import reduce

import cases
import numpy as np
import pytest
import test_properties
import ulp
from hypothesis import given
from representative import each_case

import lrkern as lk
from lrkern import dialects

STEPS = [*range(20), 100, 999, 1000, 10**6, 10**9]


def there_and_back(schedule):
    """A schedule after a checked round trip through JSON text."""
    text = json.dumps(schedule.to_dict(), allow_nan=False)
    again = lk.Schedule.from_dict(json.loads(text))
    assert again == schedule
    assert hash(again) == hash(schedule)
    assert repr(again) == repr(schedule)
    assert again.steps == schedule.steps
    assert again.to_dict() == schedule.to_dict()
    return again


def assert_same_values(a, b):
    for t in STEPS:
        try:
            wanted = a(t)
        except OverflowError:
            continue
        assert b(t).hex() == wanted.hex()


@pytest.mark.parametrize("case", each_case())
def test_every_case_survives_json(case):
    schedule = case.build(lk)
    assert_same_values(schedule, there_and_back(schedule))


@test_properties.thorough
@given(test_properties.expression)
def test_any_expression_survives_json(text):
    schedule = test_properties.build(text)
    again = there_and_back(schedule)
    try:
        ulp.assert_same_bits(again.table(200), schedule.table(200), text)
    except (OverflowError, ZeroDivisionError):
        pass


def test_only_plain_things_are_in_a_record():
    plain = {dict, list, str, int, float, bool, type(None)}

    def check(value):
        assert type(value) in plain
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(item)

    for case in cases.CASES:
        check(case.build(lk).to_dict())
    check(lk.piecewise(np.array([1.0, 0.5], np.float32), np.array([3])).warmup(np.int32(2), np.float32(0.5)).to_dict())


@pytest.mark.parametrize("value", [-0.0, 5e-324, 1.7976931348623157e308, 0.1, 2**53, 1 / 3, -1e-310])
def test_numbers_survive_exactly(value):
    schedule = lk.constant(value)
    (back,) = there_and_back(schedule).args
    assert back.hex() == float(value).hex()


def test_a_record_says_everything_by_name():
    assert (lk.linear(0.1, 0, 9).warmup(3) * 2 + lk.constant(1)).to_dict()["schedule"] == {
        "name": "+",
        "args": {
            "left": {
                "name": "*",
                "args": {
                    "left": 2.0,
                    "right": {
                        "name": "warmup",
                        "of": {"name": "linear", "args": {"start": 0.1, "end": 0.0, "steps": 9}},
                        "args": {"steps": 3, "start": 0.0, "curve": "linear"},
                    },
                },
            },
            "right": {"name": "constant", "args": {"value": 1.0}},
        },
    }


def test_tables_functions_and_dialects_are_what_they_are_made_of():
    table = lk.from_function(lambda t: 1.0 / (1 + t), 4)
    assert table.to_dict()["schedule"] == {"name": "from_table", "args": {"values": [1.0, 0.5, 1 / 3, 0.25]}}
    there_and_back(table)
    foreign = dialects.transformers.get_cosine_schedule_with_warmup(3e-4, 100, 1000)
    assert_same_values(foreign, there_and_back(foreign))


def test_what_has_a_default_may_be_left_out_and_whole_floats_may_be_integers():
    node = {"name": "warmup", "of": {"name": "cosine", "args": {"start": 1, "end": 0, "steps": 90}}, "args": {"steps": 10}}
    record = {"format": "lrkern.schedule", "version": 1, "schedule": node}
    before = copy.deepcopy(record)
    assert lk.Schedule.from_dict(record) == lk.cosine(1.0, 0.0, 90).warmup(10)
    assert record == before


def test_a_product_may_be_written_either_way_round():
    record = lk.linear(1, 0, 3).to_dict()
    record["schedule"] = {"name": "*", "args": {"left": record["schedule"], "right": 3}}
    assert lk.Schedule.from_dict(record) == 3.0 * lk.linear(1, 0, 3)


def test_as_deep_as_expressions_go_and_no_deeper():
    deep = lk.linear(1.0, 0.0, 5)
    while True:
        try:
            deep = deep.shift(1)
        except ValueError:
            break
    there_and_back(deep)
    for around in (
        lambda node: {"name": "shift", "of": node, "args": {"n": 1}},
        lambda node: {"name": "+", "args": {"left": node, "right": 1.0}},
        lambda node: {"name": "join", "args": {"schedules": [node], "boundaries": []}},
    ):
        record = deep.to_dict()
        for _ in range(10_000):
            record["schedule"] = around(record["schedule"])
        with pytest.raises(ValueError, match=r"^from_dict: nodes may be nested 100 deep at most$"):
            lk.Schedule.from_dict(record)


LINE = {"name": "linear", "args": {"start": 1.0, "end": 0.0, "steps": 5}}

ENDS = LINE["args"]
TOP = {"format": "lrkern.schedule", "version": 1, "schedule": LINE}

# Messages begin with "from_dict: ", or with the name of the curve that is not pleased.
WRONG_RECORDS = [
    (None, TypeError, 'record must be a dict, {"format": "lrkern.schedule", ...}; got None'),
    ("linear(1, 0, 5)", TypeError, "record must be a dict, "),
    ({}, ValueError, "record must have 'format'; it has nothing"),
    ({"format": "lrkern.schedule", "version": 1}, ValueError, "record must have 'schedule'; it has 'format', 'version'"),
    ({**TOP, "format": "other"}, ValueError, "format must be 'lrkern.schedule'; got 'other'"),
    (
        {**TOP, "version": 2},
        ValueError,
        "version must be 1; got 2 (int) from a newer lrkern than this one",
    ),
    ({**TOP, "version": 0}, ValueError, "version must be 1; got 0 (int)"),
    ({**TOP, "version": True}, TypeError, "version must be an integer; got True"),
    ({**TOP, "version": "1"}, TypeError, "version must be an integer; got '1'"),
    ({**TOP, "version": 1, "x": 1}, ValueError, "record must not have 'x'"),
]

WRONG_NODES = [
    (3.0, TypeError, 'schedule must be a dict, {"name": ..., "args": {...}}; got 3.0 (float)'),
    ([LINE], TypeError, "schedule must be a dict"),
    ({"args": {}}, ValueError, "schedule must have 'name'; it has 'args'"),
    ({"name": "linear"}, ValueError, "schedule must have 'args'; it has 'name'"),
    ({**LINE, "steps": 5}, ValueError, "schedule must not have 'steps'"),
    ({**LINE, "name": 5}, TypeError, "schedule.name must be a string; got 5 (int)"),
    ({**LINE, "name": ["linear"]}, TypeError, "schedule.name must be a string; got ['linear'] (list)"),
    ({**LINE, "name": "linaer"}, ValueError, "schedule.name must be a curve, a method of schedules or an operator; got"),
    ({**LINE, "name": "__import__"}, ValueError, "schedule.name must be a curve"),
    ({**LINE, "name": "table"}, ValueError, "schedule.name must be a curve"),
    ({**LINE, "name": "-"}, ValueError, "schedule.name must be a curve"),
    ({"name": "linear", "args": [1.0, 0.0, 5]}, TypeError, "schedule.args must be a dict of names and values; got"),
    ({"name": "linear", "args": {1: 2}}, TypeError, "schedule.args must be a dict of names and values; got"),
    ({"name": "linear", "args": {"start": 1.0, "end": 0.0}}, ValueError, "schedule.args: missing a required argument: 'steps'"),
    ({**LINE, "args": {**ENDS, "power": 2}}, ValueError, "schedule.args: got an unexpected keyword argument"),
    ({**LINE, "args": {**ENDS, "steps": 5.5}}, TypeError, "linear: steps must be an integer >= 0; got 5.5 (float)"),
    ({**LINE, "args": {**ENDS, "start": LINE}}, TypeError, "linear: start must be a finite number; got"),
    ({**LINE, "args": {**ENDS, "start": math.inf}}, ValueError, "linear: start must be a finite number; got inf"),
    ({**LINE, "args": {**ENDS, "start": math.nan}}, ValueError, "linear: start must be a finite number; got nan"),
    ({**LINE, "args": {**ENDS, "start": None}}, TypeError, "linear: start must be a finite number; got None"),
    ({**LINE, "of": LINE}, ValueError, "schedule must not have 'of': linear is not a method"),
    ({"name": "shift", "args": {"n": 1}}, ValueError, "schedule must have 'of', the node that shift is applied to"),
    ({"name": "shift", "of": 5, "args": {"n": 1}}, TypeError, "schedule.of must be a dict"),
    ({"name": "shift", "of": LINE, "args": {"self": LINE}}, ValueError, "schedule.args: "),
    ({"name": "then", "of": LINE, "args": {"other": 5}}, TypeError, "then: other must be a Schedule; got 5 (int)"),
    (
        {"name": "join", "args": {"schedules": [LINE, {"name": "no"}], "boundaries": [5]}},
        ValueError,
        "schedule.args.schedules[1] must have 'args'; it has 'name'",
    ),
    ({"name": "+", "args": {"left": LINE}}, ValueError, "schedule.args must have 'right'; it has 'left'"),
    ({"name": "+", "args": {"left": 1.0, "right": LINE}}, TypeError, "schedule.args.left must be a node; got 1.0 (float)"),
    ({"name": "+", "args": {"left": LINE, "right": "1"}}, TypeError, "schedule.args.right must be a finite number; got '1'"),
    ({"name": "*", "args": {"left": 1.0, "right": 2.0}}, TypeError, "schedule.args.right must be a node; got 2.0 (float)"),
    ({"name": "*", "args": {"left": [LINE], "right": LINE}}, TypeError, "schedule.args.left must be a finite number; got ["),
    ({"name": "/", "args": {"left": 1.0, "right": 2.0}}, TypeError, "schedule.args.left must be a node; got 1.0 (float)"),
    ({"name": "**", "args": {"left": LINE, "right": LINE}}, TypeError, "schedule.args.right must be a finite number; got"),
    ({"name": "**", "args": {"left": 2.0, "right": LINE}}, TypeError, "schedule.args.left must be a node; got 2.0 (float)"),
    ({"name": "/", "args": {"left": LINE, "right": 0}}, ValueError, "schedule.args.right must not be zero"),
    ({"name": "+", "of": LINE, "args": {"left": LINE, "right": 1}}, ValueError, "schedule must not have 'of': + is not"),
    (
        {"name": "join", "args": {"schedules": reduce(lambda node, _: [node], range(5000), []), "boundaries": [1]}},
        TypeError,
        "join: schedules[0] must be a Schedule; got something nested too deeply (list)",
    ),
]


@pytest.mark.parametrize(
    ("record", "error", "message"),
    WRONG_RECORDS
    + [({"format": "lrkern.schedule", "version": 1, "schedule": node}, error, message) for node, error, message in WRONG_NODES],
    ids=range(len(WRONG_RECORDS) + len(WRONG_NODES)),
)
def test_what_is_wrong_with_a_record_is_said(record, error, message):
    with pytest.raises(error) as raised:
        lk.Schedule.from_dict(record)
    assert type(raised.value) is error
    assert str(raised.value).startswith((f"from_dict: {message}", message))
    assert len(str(raised.value)) < 300


class OtherMapping(dict):
    """A mapping of another type."""


def mutated(draw, value, depth=0):
    """A record with something changed, removed, duplicated or moved."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(list(value))
        kind = draw.randrange(12)
        if kind == 0:
            return {other: one for other, one in value.items() if other != key}
        if kind == 1:
            return {**value, draw.choice(KEYS): draw.choice(ODD)}
        if kind == 2:
            return {draw.choice(KEYS) if other == key else other: one for other, one in value.items()}
        return {**value, key: mutated(draw, value[key], depth + 1)}
    if isinstance(value, list) and value and draw.random() < 0.7:
        at = draw.randrange(len(value))
        return draw.choice(
            ([*value[:at], mutated(draw, value[at], depth + 1), *value[at + 1 :]], value[:at], value * 2, value[::-1])
        )
    return draw.choice(ODD)


KEYS = [
    "name",
    "args",
    "of",
    "left",
    "right",
    "schedule",
    "self",
    "steps",
    "start",
    "x",
    "",
    "a" * 10**6,
    "é\n",
    "__class__",
    7,
    None,
]
ODD = [
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 1e308, 1e-320, math.inf, math.nan, 2**53, 2**53 + 1, 10**400, 1 << 10**6),
    *("", "linear", "cosine", "join", "+", "*", "/", "warmup", "restarts", "table", "__init__", "a" * 10**6, "\ud800", "\0"),
    *([], [1.0], [[]], [None] * 1000, {}, {"name": "constant", "args": {"value": 1.0}}, {"name": "join"}, {1: 2}),
    *(
        object(),
        b"linear",
        1j,
        np.ones(3),
        np.float32(0.5),
        lk.constant(1.0),
        OtherMapping(name="constant", args=OtherMapping(value=2.0)),
    ),
    reduce(lambda inner, _: [inner], range(100_000), []),
]


def test_mutated_records():
    """Any mutated record: its schedule, or one short error, quickly."""
    draw = random.Random(13 if test_properties.EXAMPLES is None else None)
    whole = [case.build(lk).to_dict() for case in cases.CASES if len(case.text) < 500]
    deep = lk.constant(0.5)
    for _ in range(30):
        deep = lk.join([deep.warmup(1, 0.25), lk.linear(1, 0, 5)], [9])
    read = 0
    for _ in range(100 * int(test_properties.EXAMPLES or 30)):
        record = draw.choice(whole) if draw.random() < 0.9 else deep.to_dict()
        for _ in range(draw.choice((1, 1, 2))):
            record = mutated(draw, record)
        begin = time.thread_time()
        try:
            schedule = lk.Schedule.from_dict(record)
        except (ValueError, TypeError, OverflowError) as error:
            assert len(str(error)) < 500
        else:
            assert lk.Schedule.from_dict(schedule.to_dict()) == schedule
            read += 1
        assert time.thread_time() - begin < 0.5
    assert read > 10


@pytest.mark.parametrize("key", ["a" * 10**6, "\ud800" * 1000, "\n" * 1000])
def test_errors_are_short_however_long_the_names(key):
    for node in (
        {"name": key, "args": {}},
        {"name": "linear", "args": {key: 1.0}},
        {"name": "linear", "args": {**ENDS, key: 1.0}},
        {"name": "linear", "args": {**ENDS, "start": {"name": "linear", "args": {key: {"name": "no"}}}}},
        {"name": "linear", "args": {}, key: 1},
        {key: 1},
    ):
        with pytest.raises((ValueError, TypeError)) as raised:
            lk.Schedule.from_dict({**TOP, "schedule": node})
        assert len(str(raised.value)) < 500


def test_the_place_is_told_however_deep():
    record = {"name": "nothing", "args": {}}
    for _ in range(90):
        record = {"name": "join", "args": {"schedules": [LINE, record], "boundaries": [3]}}
    with pytest.raises(ValueError, match=r"^from_dict: schedule\.args\.schedules\[1\].*\.{3}.*\[1\]\.name must be") as raised:
        lk.Schedule.from_dict({**TOP, "schedule": record})
    assert len(str(raised.value)) < 300
