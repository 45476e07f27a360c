"""Long rules: many names made of one another, and many operations in one expression."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest
import ulp

pytest.importorskip("llvmlite")

import lrkern as lk
from lrkern.rules import RuleError, exactly
from lrkern.rules.array_text import text_of as array_text
from lrkern.rules.c_text import scalar_states_text
from lrkern.rules.llvm_text import llvm_text
from lrkern.rules.python_text import text_of as python_text
from lrkern.rules.reader import MAX_NESTING, MAX_STATES
from lrkern.rules.rule import Rule, part

MOST_SECONDS = 5.0
"""Reading each name once takes some hundredths of a second; reading it again at each use would not end."""


def text_of(statements, result, states=""):
    """The text of a rule."""
    lines = "".join(f"    {one}\n" for one in statements)
    return f"def long(p, g{states}, *, lr, turn=False):\n{lines}    return {result}\n"


def all_texts(rule):
    """What is written of a rule, for every backend."""
    parts = rule.parts(next(iter(rule.variants)))
    found = [rule.formula(), llvm_text(parts), python_text(parts, MAX_STATES), *scalar_states_text(parts)]
    found += [rule.c_source(dtype) for dtype in ("float32", "float64")]
    return found + [array_text(parts, decided=one, differs=differs) for one in (True, False) for differs in (True, False)]


def doubled(first, count):
    """Statements that double a value, each time by a sum of the last one with itself, and halve it in between."""
    found = [f"x = {first}"]
    for k in range(count):
        found.append("y = x + x" if k % 2 == 0 else "x = 0.25 * (y + y)")
    return found


CHAINS = {
    "scalars": (doubled("lr", 200), "p - x * g"),
    "elements": (doubled("g", 200), "p - lr * x"),
    "conditions": (["c = lr > 0", *["c = (c and c) or c"] * 200], "p - lr * (g if c else 0)"),
    "choices": (["q = p - lr * g", *["q = q - lr * g if lr < 0.5 else q"] * 200], "q"),
    "names": (["x = lr * 2", "y = x", *["x, y = y, x"] * 200], "p - x * g"),
    "squares": (["x = lr", *["x = ((x ** 2) ** 2) ** 2 + lr"] * 60], "p - x * g"),
}


@pytest.mark.parametrize("kind", CHAINS)
def test_the_time_for_names_made_of_names_is_that_of_their_number(kind):
    begin = time.perf_counter()
    rule = lk.rule()(text_of(*CHAINS[kind]))
    texts = all_texts(rule)
    rule.prepare_c("test")
    assert time.perf_counter() - begin < MOST_SECONDS
    assert max(map(len, texts)) < 2_000_000
    param, grad = np.linspace(-1.0, 1.0, 5), np.full(5, 0.5)
    expected, _, _ = exactly.step(rule, rule.key, {"lr": 0.1, "turn": 0.0}, 1, param, grad, [], [])
    rule.step(param, grad, lr=0.1)
    ulp.assert_same_bits(param, expected, kind)


def test_differences_of_values_that_are_no_sums():
    text = text_of(["q = g * 2", "r = q if turn else p", "q = p - lr * r"], "(q if g > 0 else r) if lr > 0.5 else r * 3")
    rule = lk.rule()(text)
    scope = {
        "number": lambda x, p: x,
        "where": lambda c, a, b: a if c else b,
        "rounded": lambda p, /, **c: SimpleNamespace(**c),
    }
    for lr in (0.25, 0.75):
        for turn in (True, False):
            for g in (-2.0, 2.0):
                found = []
                for differs in (False, True):
                    exec(array_text(rule.parts(rule.key), decided=True, differs=differs), scope)
                    found += scope["update"](SimpleNamespace(lr=lr, turn=turn), 1, 3.0, g)
                assert found[1] == found[0] - 3.0


def test_chains_may_be_longer_than_python_nests_calls():
    for first, result in (("lr", "p - x * g"), ("g", "p - lr * x")):
        all_texts(lk.rule()(text_of(doubled(first, 3000), result)))


def test_squares_within_squares_do_not_double_the_text():
    expression = "g"
    for _ in range(MAX_NESTING - 4):
        expression = f"({expression})**2"
    rule = lk.rule()(text_of([], f"p - lr * {expression}"))
    assert max(map(len, all_texts(rule))) < 200_000
    assert sum(one.startswith("square") for one in rule.formula().splitlines()) >= MAX_NESTING // 2 - 3


NESTS = {
    "sum": "{} + g", "difference": "g - ({})", "product": "({}) * g", "quotient": "g / ({})", "minus": "-({})",
    "fma": "fma(lr, {}, g)", "word": "sqrt({})", "minimum": "minimum(g, {})", "choice": "(({}) if g > 0 else p)",
    "other": "(p if lr > 0.5 else ({}))", "test": "(p if {} > g else g)", "scalars": "lr + ({})", "power": "({}) ** n",
    "real power": "1.5 ** ({})", "square": "({}) ** 2", "condition": "(1.0 if not {} > 2 else 0.0)",
}  # fmt: skip


@pytest.mark.parametrize("kind", NESTS)
@pytest.mark.parametrize("leaf", ["g", "lr", "n"])
def test_what_is_nested_to_the_limit_is_written_for_every_backend(kind, leaf):
    if leaf == "g" and "power" in kind:
        pytest.skip("powers are of scalars")
    value, made = leaf, None
    for _ in range(MAX_NESTING + 2):
        value = NESTS[kind].format(value)
        text = text_of([f"x = {value}"], "p - lr * x")
        try:
            made = lk.rule()(text)
        except RuleError as error:
            assert f"line 2: an expression nests more than {MAX_NESTING} operations" in str(error), error
            break
    else:
        pytest.fail("the limit was not reached")
    assert made is not None
    assert all(all_texts(made))


@pytest.mark.parametrize("terms", [MAX_NESTING + 2, 400, 1000, 3000, 100_000])
@pytest.mark.parametrize("operator", ["+", "*", "and"])
def test_too_many_terms_are_refused_by_the_limit(terms, operator):
    value = f" {operator} ".join(["turn" if operator == "and" else "g"] * terms)
    text = text_of(["x = lr", f"y = {value}"], "p - x * g")
    with pytest.raises(RuleError) as raised:
        lk.rule()(text)
    assert f"nests more than {MAX_NESTING} operations, of which each term of a sum is one: give names to parts of it" in str(
        raised.value
    )
    if terms < 1000:
        assert str(raised.value).startswith("rule long, line 3: an expression nests")


@part
def _again(x):
    return _again(x) + 1


@part
def _deep(x):
    return x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + 1


def _calls_itself(p, g, *, lr):
    return p - lr * _again(g)


def _calls_deep_parts(p, g, *, lr):
    return p - lr * (((_deep(g) + _deep(p)) + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11 + 12 + 13 + 14 + 15) + _deep(g))


def test_parts_are_bounded_too():
    with pytest.raises(RuleError, match=r"rule _calls_itself: _again calls itself, or parts nest more than 64 deep"):
        Rule(_calls_itself, ()).program()
    assert all_texts(Rule(_calls_deep_parts, ()))


def test_numbers_that_differ_in_the_sign_of_zero_are_two_scalars():
    rule = lk.rule()("def zeros(p, g, *, lr):\n    return g if p * (lr * 0.0) > 0 else g * (lr * -0.0)\n")
    param, grad = np.ones(3), np.ones(3)
    expected, _, _ = exactly.step(rule, rule.key, {"lr": 0.1}, 1, param, grad, [], [])
    rule.step(param, grad, lr=0.1)
    ulp.assert_same_bits(param, expected, "signs")
    assert [name for name, _ in rule.parts(rule.key).coefs] == ["lr_times_0_0", "lr_times_minus_0_0"]
