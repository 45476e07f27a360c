"""Bad calls: the right kind of error, a message that names the argument and what was passed, and nothing written.

Starting from good calls, arguments of curves and methods are replaced one by one, by their annotations; errors that involve
several arguments (an order, a sum of lengths) are in a table. Every rejection must be quick and take little memory.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from decimal import Decimal
from fractions import Fraction

import cases
import numpy as np
import pytest
from rejects import Rejects

import lrkern as lk

REAL, COUNT, SEED = "real", "count", "seed"
WRONG_KIND = ["text", "'0.5'", "b'x'", "True", "False", "1j", "[0.1]", "{}", "np.array([0.1])", "np.True_", "object()"]
WRONG = {
    REAL: [(v, TypeError) for v in [*WRONG_KIND, "None"]]
    + [(v, ValueError) for v in ("nan", "inf", "-inf", "np.float64('nan')", "np.float32('inf')", "10**400")],
    COUNT: [(v, TypeError) for v in [*WRONG_KIND, "None", "2.5", "100.0", "np.float64(3.0)", "nan", "inf"]]
    + [(v, ValueError) for v in ("2**53 + 1", "-2**53 - 1", "10**400")],
}
WRONG[SEED] = [(v, e) for v, e in WRONG[COUNT] if v != "2**53 + 1"] + [("-1", ValueError), ("2**64", ValueError)]
WORDS = {
    "Fraction": Fraction,
    "Decimal": Decimal,
    "nan_of": lambda t: math.nan,
    "nan": math.nan,
    "inf": math.inf,
    "np": np,
    "object": object,
    "text": "text",
}


def kind_of(parameter) -> str | None:
    """The kind in an annotation; None for strings, flags and lists, which the tables below cover."""
    hint = str(parameter.annotation)
    if re.search(r"bool|str|Sequence|Iterable|Schedule|Callable|Literal|ArrayLike|NDArray", hint):
        return None
    if parameter.name == "seed":
        return SEED
    if re.search(r"\bfloat\b|Real", hint):
        return REAL
    if re.search(r"\bint\b|Index|Integral", hint):
        return COUNT
    return None


def may_be_none(parameter) -> bool:
    return "None" in str(parameter.annotation) or "Optional" in str(parameter.annotation)


def good_calls():
    """(function name, callable, arguments) of one good call for every curve and every method of Schedule."""
    for name in sorted(cases.public_curves(lk) - {"join", "from_table", "from_function"}):
        # the case of this curve that spells out most arguments
        texts = [c.text for c in cases.CASES if c.curve == name and c.text.startswith(f"{name}(")]
        text = max(texts, key=lambda t: len(ast.parse(t, mode="eval").body.args + ast.parse(t, mode="eval").body.keywords))
        tree = ast.parse(text, mode="eval").body
        positional = [eval(ast.unparse(a)) for a in tree.args]
        keywords = {k.arg: eval(ast.unparse(k.value)) for k in tree.keywords}
        function = getattr(lk, name)
        yield name, function, inspect.signature(function).bind(*positional, **keywords)
    schedule = lk.cosine(0.1, 0.01, 100)
    methods = {
        "warmup": (10,),
        "cooldown": (10, 10),
        "clip": (0.0, 1.0),
        "shift": (3,),
        "stretch": (2.0,),
        "staircase": (3,),
        "repeat": (10, 3, 0.5),
        "restarts": (2.0, 0.5, 3, 0.1),
        "extend": (200, 10),
        "finish": (10, 10),
    }
    for name, arguments in methods.items():
        function = getattr(schedule, name)
        yield name, function, inspect.signature(function).bind(*arguments)


def spoiled_calls():
    """Each numeric argument of each good call, with what it must not be."""
    for name, function, bound in good_calls():
        bound.apply_defaults()
        for parameter in inspect.signature(function).parameters.values():
            wrong = WRONG.get(kind_of(parameter), [])
            wrong = [one for one in wrong if one[0] != "None" or not may_be_none(parameter)]
            if wrong:
                yield name, function, bound, parameter.name, wrong


SPOILED = list(spoiled_calls())


@pytest.mark.parametrize(
    ("name", "function", "bound", "argument", "wrong"),
    SPOILED,
    ids=[f"{name}({argument})" for name, _, _, argument, _ in SPOILED],
)
def test_one_argument_spoiled(name, function, bound, argument, wrong):
    for word, exception in wrong:
        arguments = {**bound.arguments, argument: eval(word, WORDS)}
        try:
            with Rejects(exception, name, argument):
                function(**arguments)
        except BaseException as error:
            error.add_note(f"{name}({argument}={word})")
            raise


def test_every_number_of_every_call_is_spoiled():
    """The annotations are understood: each curve except the listed ones has a number among its replaced arguments."""
    assert {name for name, *_ in SPOILED} >= cases.public_curves(lk) - {
        "join",
        "from_table",
        "from_function",
        "piecewise",
        "interpolate",
    }
    assert {name for name, *_ in SPOILED} >= cases.public_methods(lk) - {"then", "of", "cumulative"}


S = "cosine(0.1, 0.0, 100)"
BAD_CALLS = [  # expression, exception, function named, argument named
    # out of range
    *[(f"{c}(0.1, 0.0, -1)", ValueError, c, "steps") for c in ("linear", "cosine", "one_minus_sqrt", "rex", "tanh")],
    ("geometric(0.0, 0.1, 10)", ValueError, "geometric", "start"),
    ("geometric(0.1, 0.0, 10)", ValueError, "geometric", "end"),
    ("geometric(0.1, -0.1, 10)", ValueError, "geometric", "end"),
    ("geometric(-0.1, -0.2, 10)", ValueError, "geometric", "start"),
    ("polynomial(0.1, 0.0, 10, 0.0)", ValueError, "polynomial", "power"),
    ("polynomial(0.1, 0.0, 10, -1.0)", ValueError, "polynomial", "power"),
    ("polynomial(0.1, 0.0, 10, warp=1e-4)", ValueError, "polynomial", "warp"),
    ("cosine(0.1, 0.0, 10, 0.0)", ValueError, "cosine", "power"),
    ("cosine(0.1, 0.0, 10, warp=1001)", ValueError, "cosine", "warp"),
    ("line(0.1, 0.1, 0)", ValueError, "line", "every"),
    ("exponential_ramp(0.1, 0.0, 10, 0.0)", ValueError, "exponential_ramp", "ratio"),
    ("exponential_ramp(0.1, 0.0, 10, 1)", ValueError, "exponential_ramp", "ratio"),
    ("cosine(0.1, 0.0, 10).restarts(1.0000000001)", ValueError, "restarts", "growth"),
    ("cosine(0.1, 0.0, 10).warmup(3).restarts()", ValueError, "restarts", "schedule"),
    ("cosine(0.1, 0.0, 0).restarts()", ValueError, "restarts", "schedule"),
    ("cosine(0.1, 0.0, 10).stretch(1, 0)", ValueError, "stretch", "divisor"),
    ("cosine(0.1, 0.0, 10).stretch(-1, 3)", ValueError, "stretch", "factor"),
    ("cosine(0.1, 0.0, 10).stretch(1, 2**53 + 1)", ValueError, "stretch", "divisor"),
    ("exponential(0.1, 0.0)", ValueError, "exponential", "rate"),
    ("exponential(0.1, -0.5)", ValueError, "exponential", "rate"),
    ("exponential(0.1, 0.5, 0)", ValueError, "exponential", "every"),
    ("exponential(0.1, 0.5, every=-3)", ValueError, "exponential", "every"),
    ("exponential(1.0, 0.5, end=2.0)", ValueError, "exponential", "end"),
    ("exponential(1.0, 2.0, end=0.5)", ValueError, "exponential", "end"),
    ("exponential(-1.0, 0.5, end=-2.0)", ValueError, "exponential", "end"),
    ("exponential(-1.0, 2.0, end=0.5)", ValueError, "exponential", "end"),
    ("exponential(1.0, 1.0, end=nan)", ValueError, "exponential", "end"),
    ("inverse_time(0.1, -0.1)", ValueError, "inverse_time", "rate"),
    ("inverse_time(0.1, 0.1, 0.0)", ValueError, "inverse_time", "every"),
    ("inverse_sqrt(0.1, 0)", ValueError, "inverse_sqrt", "timescale"),
    ("inverse_sqrt(0.1, -1)", ValueError, "inverse_sqrt", "timescale"),
    ("tanh(0.1, 0.0, 10, 3, 3)", ValueError, "tanh", "upper"),
    ("tanh(0.1, 0.0, 10, 4, 3)", ValueError, "tanh", "upper"),
    ("step_decay(0.1, 0.0, 10)", ValueError, "step_decay", "factor"),
    ("step_decay(0.1, -1.0, 10)", ValueError, "step_decay", "factor"),
    ("step_decay(0.1, 0.5, 0)", ValueError, "step_decay", "every"),
    ("noam(0, 10)", ValueError, "noam", "model_size"),
    ("noam(-512, 10)", ValueError, "noam", "model_size"),
    ("noam(512, -1)", ValueError, "noam", "warmup"),
    ("wsd(0.1, 1, 1, 1, 0.0, 'inverse_proportional')", ValueError, "wsd", "end"),
    ("wsd(-0.1, 1, 1, 1, 0.1, 'inverse_proportional')", ValueError, "wsd", "peak"),
    ("wsd(0.1, 1, 1, 1, 0.0, 'halved')", ValueError, "wsd", "tail"),
    ("wsd_s(0.1, 0.01, 10, [], 5)", ValueError, "wsd_s", "budgets"),
    ("wsd_s(0.1, 0.01, 10, 100, 5)", TypeError, "wsd_s", "budgets"),
    ("wsd_s(0.1, 0.01, 10, [100, 50], 5)", ValueError, "wsd_s", "budgets"),
    ("wsd_s(0.1, 0.01, 10, [100.0], 5)", TypeError, "wsd_s", "budgets"),
    ("wsd_s(0.1, 0.01, 10, [12], 5)", ValueError, "wsd_s", "budget"),
    ("wsd_s(0.1, 0.01, 10, [100, 104], 5)", ValueError, "wsd_s", "budget"),
    ("wsd_s(0.1, 0.01, 10, [100, 200], [5])", ValueError, "wsd_s", "decay"),
    ("wsd_s(0.1, 0.01, 10, [100], -1)", ValueError, "wsd_s", "decay"),
    ("wsd_s(0.1, 0.01, 10, [100], True)", TypeError, "wsd_s", "decay"),
    ("wsd_s(0.1, 0.01, 10, [100], 5.0)", TypeError, "wsd_s", "decay"),
    ("wsd_s(0.1, 0.0, 10, [100], 5)", ValueError, "wsd_s", "end"),
    ("wsd_s(0.1, 0.01, 10, [100], 5, 'round')", ValueError, "wsd_s", "tail"),
    ("knee(0.1, 1, -1, 1)", ValueError, "knee", "explore"),
    ("knee(0.1, 2**53, 1, 1)", ValueError, "knee", "warmup + explore + decay"),
    ("linear_to_zero(0.1, -1, 1)", ValueError, "linear_to_zero", "warmup"),
    ("tri_stage(0.0, 1, 1, 1)", ValueError, "tri_stage", "peak"),
    ("tri_stage(0.1, 1, 1, 1, -0.1)", ValueError, "tri_stage", "init_scale"),
    ("tri_stage(0.1, 1, 1, 1, 0.1, 0.0)", ValueError, "tri_stage", "final_scale"),
    ("power_lr(0, 1e6, 1)", ValueError, "power_lr", "batch_size"),
    ("power_lr(16, 0.0, 1)", ValueError, "power_lr", "tokens"),
    ("power_lr(16, 1e6, 0)", ValueError, "power_lr", "warmup"),
    ("power_lr(16, 1e6, 1, 0.0)", ValueError, "power_lr", "peak"),
    ("power_lr(16, 1e6, 1, a=0.0)", ValueError, "power_lr", "a"),
    ("power_lr(16, 1e6, 1, b=0.0)", ValueError, "power_lr", "b"),
    ("power_lr(16, 1e6, 1, b=-1001)", ValueError, "power_lr", "b"),
    ("half_cosine(0.1, 0.0, 2**53)", ValueError, "half_cosine", "steps"),
    ("truncated_cosine(0.1, 0.0, 10, 11)", ValueError, "truncated_cosine", "decay"),
    ("lr_range_test(0.0, 1.0, 10)", ValueError, "lr_range_test", "low"),
    ("lr_range_test(0.1, -1.0, 10)", ValueError, "lr_range_test", "high"),
    ("lr_range_test(0.1, 1.0, 10, 'cosine')", ValueError, "lr_range_test", "kind"),
    ("lr_range_test(0.1, 1.0, 10, every=0)", ValueError, "lr_range_test", "every"),
    ("chebyshev(0.0, 1.0, 4)", ValueError, "chebyshev", "smallest"),
    ("chebyshev(1.0, 0.5, 4)", ValueError, "chebyshev", "largest"),
    ("chebyshev(0.1, 1.0, 0)", ValueError, "chebyshev", "period"),
    ("chebyshev(0.1, 1.0, 6)", ValueError, "chebyshev", "period"),
    ("chebyshev(0.1, 1.0, 4, 'random')", ValueError, "chebyshev", "order"),
    ("noise(0.1, 'gauss')", ValueError, "noise", "kind"),
    ("noise(0.1, limit=0.09)", ValueError, "noise", "limit"),
    ("noise(0.1, 'uniform', limit=1.0)", ValueError, "noise", "limit"),
    ("cooldowns(0.1, [1], 2)", TypeError, "cooldowns", "base"),
    ("cooldowns(cosine(0.1, 0.0, 9), 1, 2)", TypeError, "cooldowns", "at"),
    ("cooldowns(cosine(0.1, 0.0, 9), [-1], 2)", ValueError, "cooldowns", "at"),
    ("cooldowns(cosine(0.1, 0.0, 9), [1, 2], [2])", ValueError, "cooldowns", "steps"),
    ("cooldowns(cosine(0.1, 0.0, 9), [1, 2], 0.5)", TypeError, "cooldowns", "steps"),
    ("cooldowns(cosine(0.1, 0.0, 9), [1, 2], True)", TypeError, "cooldowns", "steps"),
    ("cooldowns(cosine(0.1, 0.0, 9), [1], 2, 0.0, 'exponential')", ValueError, "cooldown", "end"),
    ("cyclic(0.0, 1.0, 0, 0)", ValueError, "cyclic", "up"),
    ("cyclic(0.0, 1.0, 0)", ValueError, "cyclic", "up"),
    ("cyclic(0.0, 1.0, -1)", ValueError, "cyclic", "up"),
    ("cyclic(0.0, 1.0, 1, -1)", ValueError, "cyclic", "down"),
    ("cyclic(0.0, 1.0, 1, mode='saw')", ValueError, "cyclic", "mode"),
    ("cyclic(0.0, 1.0, 1, mode=3)", (TypeError, ValueError), "cyclic", "mode"),
    ("cyclic(0.0, 1.0, 1, mode='exp_range', gamma=0.0)", ValueError, "cyclic", "gamma"),
    ("cyclic(0.0, 1.0, 1, mode='exp_range', gamma=-1.0)", ValueError, "cyclic", "gamma"),
    ("warm_restarts(0.1, 0.0, 0)", ValueError, "warm_restarts", "period"),
    ("warm_restarts(0.1, 0.0, -1)", ValueError, "warm_restarts", "period"),
    ("warm_restarts(0.1, 0.0, 10, 0.0)", ValueError, "warm_restarts", "growth"),
    ("warm_restarts(0.1, 0.0, 10, -2)", ValueError, "warm_restarts", "growth"),
    ("warm_restarts(0.1, 0.0, 10, 1.0000000000000002)", ValueError, "warm_restarts", "growth"),
    ("warm_restarts(0.1, 0.0, 10, 0.9999999999999999)", ValueError, "warm_restarts", "growth"),
    ("warm_restarts(0.1, 0.0, 10, 2, 0.0)", ValueError, "warm_restarts", "gain"),
    ("warm_restarts(0.1, 0.0, 10, 2, -0.5)", ValueError, "warm_restarts", "gain"),
    ("one_cycle(0.1, 10, 1.5)", ValueError, "one_cycle", "pct_start"),
    ("one_cycle(0.1, 10, -0.1)", ValueError, "one_cycle", "pct_start"),
    ("one_cycle(0.1, 10, div=0.0)", ValueError, "one_cycle", "div"),
    ("one_cycle(0.1, 10, final_div=0.0)", ValueError, "one_cycle", "final_div"),
    ("one_cycle(0.1, 10, anneal='cos')", ValueError, "one_cycle", "anneal"),
    ("one_cycle(0.1, 10, 0.6, three_phase=True)", ValueError, "one_cycle", "pct_start"),
    ("one_cycle(0.1, 10, three_phase=1)", TypeError, "one_cycle", "three_phase"),
    ("one_cycle(0.1, -10)", ValueError, "one_cycle", "steps"),
    ("one_cycle_momentum(0.1, 0.2, 10, 2.0)", ValueError, "one_cycle_momentum", "pct_start"),
    ("one_cycle_momentum(0.1, 0.2, 10, anneal='x')", ValueError, "one_cycle_momentum", "anneal"),
    ("one_cycle_momentum(0.1, 0.2, 10, 0.9, three_phase=True)", ValueError, "one_cycle_momentum", "pct_start"),
    ("wsd(0.1, -1, 1, 1)", ValueError, "wsd", "warmup"),
    ("wsd(0.1, 1, -1, 1)", ValueError, "wsd", "stable"),
    ("wsd(0.1, 1, 1, -1)", ValueError, "wsd", "decay"),
    ("wsd(0.1, 1, 1, 1, tail='sqrt')", ValueError, "wsd", "tail"),
    ("wsd(0.1, 1, 1, 1, 0.0, 'exponential')", ValueError, "wsd", "end"),
    ("wsd(0.1, 2**53, 2**53, 2**53)", ValueError, "wsd", None),
    # lists
    ("piecewise([], [])", ValueError, "piecewise", "values"),
    ("piecewise([0.1], [3])", ValueError, "piecewise", None),
    ("piecewise([0.1, 0.2, 0.3], [3])", ValueError, "piecewise", None),
    ("piecewise([0.1, 0.2, 0.3], [5, 3])", ValueError, "piecewise", "boundaries"),
    ("piecewise([0.1, 0.2], [-1])", ValueError, "piecewise", "boundaries"),
    ("piecewise([0.1, 0.2], [-2.5])", ValueError, "piecewise", "boundaries"),
    ("piecewise([0.1, 0.2], [2], 'at')", ValueError, "piecewise", "side"),
    ("piecewise([0.1, 0.2], [True])", TypeError, "piecewise", "boundaries"),
    ("piecewise([0.1, nan], [3])", ValueError, "piecewise", "values"),
    ("piecewise([0.1, 'x'], [3])", TypeError, "piecewise", "values"),
    ("piecewise(0.1, [3])", TypeError, "piecewise", "values"),
    ("piecewise([0.1, 0.2], 3)", TypeError, "piecewise", "boundaries"),
    ("piecewise([0.1, 0.2], [2**53 + 1])", ValueError, "piecewise", "boundaries"),
    ("piecewise('ab', [3])", TypeError, "piecewise", "values"),
    ("interpolate([], [])", ValueError, "interpolate", "values"),
    ("interpolate([0.1, 0.2], [3])", ValueError, "interpolate", None),
    ("interpolate([0.1, 0.2], [3, 2])", ValueError, "interpolate", "boundaries"),
    ("interpolate([0.1, 0.2], [3, 4.0])", TypeError, "interpolate", "boundaries"),
    ("interpolate([0.1, inf], [3, 4])", ValueError, "interpolate", "values"),
    ("interpolate([0.1, 0.2], [3, 4], 'cubic')", ValueError, "interpolate", "kind"),
    ("from_table([])", ValueError, "from_table", "values"),
    ("from_table([[0.1, 0.2]])", (TypeError, ValueError), "from_table", "values"),
    ("from_table(0.1)", (TypeError, ValueError), "from_table", "values"),
    ("from_table([0.1, nan])", ValueError, "from_table", "values"),
    ("from_table([0.1, inf])", ValueError, "from_table", "values"),
    ("from_table(['a'])", TypeError, "from_table", "values"),
    ("from_table('abc')", TypeError, "from_table", "values"),
    ("from_table(np.array([1j]))", TypeError, "from_table", "values"),
    ("from_table(np.array([True]))", TypeError, "from_table", "values"),
    ("from_table(None)", TypeError, "from_table", "values"),
    ("from_table(np.array([10**400]))", (TypeError, ValueError), "from_table", "values"),
    ("from_function(0.1, 10)", TypeError, "from_function", "f"),
    ("from_function(float, 0)", ValueError, "from_function", "steps"),
    ("from_function(float, 2.0)", TypeError, "from_function", "steps"),
    ("from_function(nan_of, 10)", ValueError, "from_function", "f"),
    ("from_function(lambda t: 'x', 10)", TypeError, "from_function", "f"),
    ("join([], [])", ValueError, "join", "schedules"),
    (f"join([{S}], [10])", ValueError, "join", None),
    (f"join([{S}, {S}], [])", ValueError, "join", None),
    (f"join([{S}, {S}, {S}], [10, 5])", ValueError, "join", "boundaries"),
    (f"join([{S}, {S}], [-1])", ValueError, "join", "boundaries"),
    (f"join([{S}, {S}], [-1.0])", ValueError, "join", "boundaries"),
    (f"join([{S}, {S}], ['1'])", TypeError, "join", "boundaries"),
    (f"join([{S}, {S}], [1], 3)", TypeError, "join", "side"),
    (f"join([{S}, 0.1], [1])", TypeError, "join", "schedules"),
    (f"join({S}, [1])", TypeError, "join", "schedules"),
    (f"join([{S}, {S}], 5)", TypeError, "join", "boundaries"),
    # methods
    (f"{S}.warmup(-1)", ValueError, "warmup", "steps"),
    (f"{S}.warmup(10, curve='quadratic')", ValueError, "warmup", "curve"),
    (f"{S}.warmup(10, curve=None)", (TypeError, ValueError), "warmup", "curve"),
    (f"{S}.warmup(10, curve='exponential')", ValueError, "warmup", "start"),
    ("linear(0.0, 1.0, 10).warmup(10, 0.1, curve='exponential')", ValueError, "warmup", None),
    (f"{S}.cooldown(-1, 10)", ValueError, "cooldown", "at"),
    (f"{S}.cooldown(1, -10)", ValueError, "cooldown", "steps"),
    (f"{S}.cooldown(1, 10, curve='x')", ValueError, "cooldown", "curve"),
    (f"{S}.cooldown(1, 10, 0.0, 'exponential')", ValueError, "cooldown", "end"),
    (f"{S}.cooldown(100, 10, 0.1, 'exponential')", ValueError, "cooldown", None),
    (f"{S}.clip(1.0, 0.0)", ValueError, "clip", "high"),
    (f"{S}.stretch(0)", ValueError, "stretch", "factor"),
    (f"{S}.stretch(-1.0)", ValueError, "stretch", "factor"),
    (f"{S}.staircase(0)", ValueError, "staircase", "every"),
    (f"{S}.staircase(-5)", ValueError, "staircase", "every"),
    (f"{S}.repeat(0)", ValueError, "repeat", "period"),
    (f"{S}.repeat(10, 0)", ValueError, "repeat", "times"),
    (f"{S}.repeat(10, -1)", ValueError, "repeat", "times"),
    (f"{S}.repeat(10, gain=0.0)", ValueError, "repeat", "gain"),
    (f"{S}.repeat(10, gain=-1.0)", ValueError, "repeat", "gain"),
    (f"{S}.then(0.1)", TypeError, "then", "other"),
    (f"{S}.then(None)", TypeError, "then", "other"),
    ("exponential(0.1, 0.9).then(constant(1.0))", ValueError, "then", None),
    (f"{S} + 'a'", TypeError, None, None),
    (f"{S} + None", TypeError, None, None),
    (f"{S} + True", TypeError, None, None),
    (f"[1] * {S}", TypeError, None, None),
    (f"{S} + nan", ValueError, None, None),
    (f"inf * {S}", ValueError, None, None),
    (f"{S} / 0.0", (ValueError, ZeroDivisionError), None, None),
    (f"{S} / nan", ValueError, None, None),
    (f"'1' / {S}", TypeError, None, None),
    (f"nan / {S}", ValueError, None, None),
    (f"{S} ** {S}", TypeError, None, None),
    (f"2 ** {S}", TypeError, None, None),
    (f"{S} ** nan", ValueError, None, None),
    (f"{S} % 2", TypeError, None, None),
    (f"{S}.warmup", None, None, None),
    (f"{S} < {S}", TypeError, None, None),
    ("cosine(0.1)", TypeError, None, None),
    ("cosine(0.1, 0.0, 10, 1.0, 1.0, 20)", TypeError, None, None),
    ("cosine(0.1, 0.0, 10, stepz=3)", TypeError, None, None),
    # steps
    (f"{S}(-1)", ValueError, None, "step"),
    (f"{S}(-0.5)", ValueError, None, "step"),
    (f"{S}(nan)", ValueError, None, "step"),
    (f"{S}(inf)", ValueError, None, "step"),
    (f"{S}(2**53 + 1)", ValueError, None, "step"),
    (f"{S}(2.0**53 + 2)", ValueError, None, "step"),
    (f"{S}(10**400)", ValueError, None, "step"),
    (f"{S}('3')", TypeError, None, "step"),
    (f"{S}(None)", TypeError, None, "step"),
    (f"{S}(True)", TypeError, None, "step"),
    (f"{S}(3j)", TypeError, None, "step"),
    (f"{S}({{}})", TypeError, None, "step"),
    (f"{S}(object())", TypeError, None, "step"),
    (f"{S}()", TypeError, None, None),
    (f"{S}([1, -1])", ValueError, None, "step"),
    (f"{S}([1.0, nan])", ValueError, None, "step"),
    (f"{S}(np.array([1, 2**53 + 1]))", ValueError, None, "step"),
    (f"{S}(np.array([2**63], np.uint64))", ValueError, None, "step"),
    (f"{S}(np.array(['a']))", TypeError, None, "step"),
    (f"{S}(np.array([True]))", TypeError, None, "step"),
    (f"{S}(np.array([1j]))", TypeError, None, "step"),
    (f"{S}(np.array(['2020'], 'datetime64[Y]'))", TypeError, None, "step"),
    (f"{S}([[1, 2], [3]])", TypeError, "schedule", "step"),
    (f"{S}(Fraction(-1, 2))", ValueError, "schedule", "step"),
    (f"{S}(Fraction(10**400))", ValueError, "schedule", "step"),
    (f"{S}(Decimal(1))", TypeError, "schedule", "step"),
    (f"{S}(np.array([None]))", TypeError, None, "step"),
    # tables
    (f"{S}.table(-1)", ValueError, "table", "n"),
    (f"{S}.table(2.0)", TypeError, "table", "n"),
    (f"{S}.table(True)", TypeError, "table", "n"),
    (f"{S}.table('3')", TypeError, "table", "n"),
    (f"{S}.table(None)", TypeError, "table", "n"),
    (f"{S}.table(2**60)", (ValueError, MemoryError), None, None),
    (f"{S}.table(10**400)", ValueError, "table", "n"),
    (f"{S}.table(10, start=-1)", ValueError, "table", "start"),
    (f"{S}.table(10, start=1.0)", TypeError, "table", "start"),
    (f"{S}.table(10, start=2**53)", ValueError, "table", None),
    (f"{S}.table(10, start=2**63)", ValueError, "table", "start"),
    (f"{S}.table(10, dtype=np.int64)", (TypeError, ValueError), "table", "dtype"),
    (f"{S}.table(10, dtype=np.float16)", (TypeError, ValueError), "table", "dtype"),
    (f"{S}.table(10, dtype='>f8')", (TypeError, ValueError), "table", "dtype"),
    (f"{S}.table(10, dtype='nonsense')", TypeError, None, None),
    (f"{S}.table(10, dtype=',')", TypeError, "table", "dtype"),
    (f"{S}.table(10, dtype={{'names': ['a']}})", TypeError, "table", "dtype"),
    (f"{S}.table(10, dtype=('f8', -1))", TypeError, "table", "dtype"),
    (f"{S}.table(10, dtype=np.complex128)", (TypeError, ValueError), "table", "dtype"),
    (f"tables({S}, 10)", TypeError, "tables", "schedules"),
    (f"tables([{S}, 0.1], 10)", TypeError, "tables", "schedules"),
    (f"tables([{S}], -1)", ValueError, "tables", "n"),
    (f"tables([{S}], 1.5)", TypeError, "tables", "n"),
    (f"tables([{S}], 10, start=-1)", ValueError, "tables", "start"),
    (f"tables([{S}], 10, dtype='i4')", (TypeError, ValueError), "tables", "dtype"),
    ("tables(None, 10)", TypeError, "tables", "schedules"),
    # the rest of the interface
    (f"{S}.plan(-1)", ValueError, "plan", "horizon"),
    (f"{S}.plan(1.5)", TypeError, "plan", "horizon"),
    ("parse(3)", TypeError, "parse", "text"),
    ("parse(None)", TypeError, "parse", "text"),
    ("parse(b'constant(0.1)')", TypeError, "parse", "text"),
    ("set_threads(0)", ValueError, "set_threads", "n"),
    ("set_threads(-1)", ValueError, "set_threads", "n"),
    ("set_threads(1.0)", TypeError, "set_threads", "n"),
    ("set_threads(True)", TypeError, "set_threads", "n"),
    ("use_isa('sse9')", ValueError, "use_isa", "name"),
    ("use_isa(3)", TypeError, "use_isa", "name"),
    # the class itself
    ("Schedule('a', (), None, 1)", TypeError, None, "node"),
    ("Schedule(None, (), constant(1.0).node, 1)", TypeError, None, "name"),
    ("Schedule('a', None, constant(1.0).node, 1)", TypeError, None, "args"),
    ("Schedule()", TypeError, None, None),
]
BAD_CALLS = [row for row in BAD_CALLS if row[1] is not None]


@pytest.mark.parametrize(("text", "exception", "function", "argument"), BAD_CALLS, ids=[row[0] for row in BAD_CALLS])
def test_bad_call(text, exception, function, argument):
    names = {**vars(lk), **WORDS, "float": float}
    # the words of curves win over those of this module
    with Rejects(exception, function, argument):
        eval(text, {"__builtins__": {}}, names)


def test_a_message_in_full():
    """One wording everywhere: `function: argument must be this; got that`."""
    with pytest.raises(TypeError, match=r"^cosine: steps must be an integer >= 0; got 2\.5 \(float\)$"):
        lk.cosine(0.1, 0.0, 2.5)
    with pytest.raises(TypeError, match=r"steps must be an integer >= 0; got 100000\.0 \(float\); write 100000, or int\("):
        lk.cosine(0.1, 0.0, 1e5)
    with pytest.raises((TypeError, ValueError)) as caught:
        lk.cosine(0.1, 0.0, 10).table(10, out=np.zeros(10, np.float32), dtype=np.float64)
    assert str(caught.value) == ("table: out must be a C-contiguous float64 array of shape (10,); got float32 (10,)")


@pytest.mark.parametrize("text", [row[0] for row in BAD_CALLS if row[0].startswith(S + "(")])
def test_errors_of_steps_show_what_came(text):
    with pytest.raises((TypeError, ValueError)) as caught:
        eval(text, {"__builtins__": {}}, {**vars(lk), **WORDS})
    if "()" not in text:
        assert "; got " in str(caught.value)


def test_good_calls_are_good():
    for _, function, bound in good_calls():
        assert function(*bound.args, **bound.kwargs) is not None
