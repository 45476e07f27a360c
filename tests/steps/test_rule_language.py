"""The language of rules: what it means, what it refuses, and that the C code is what the formulas say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lrkern.rules import RuleError
from lrkern.rules.array_text import text_of
from lrkern.rules.array_words import divide, opposite
from lrkern.rules.c_text import scalars_text, update_text
from lrkern.rules.lowering import divided, fixed
from lrkern.rules.rule import Rule, own_rules, part
from lrkern.rules.words import fma, isfinite, maximum, minimum, n, norm, sign, sqrt

ROOT = Path(__file__).parents[2]


def of_text(text, *states):
    """A rule from the text of a function."""
    scope = {}
    exec(text, scope)
    (function,) = (one for name, one in scope.items() if callable(one))
    return Rule(function, states, text=text)


@pytest.mark.skipif(not (ROOT / "tools").is_dir(), reason="needs the source checkout")
def test_the_c_code_is_what_the_formulas_say():
    done = subprocess.run([sys.executable, "tools/rule_sources.py", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "src_c/steps/generated_rules.def differs from the formulas: run `make rules`"


def test_scalars_are_computed_once_and_elements_in_the_order_written():
    rule = of_text(
        "def f(p, g, b, *, lr, beta=0.9, weight_decay=0.0):\n"
        "    m = fma(beta, b, (1 - beta) * g)\n"
        "    step = lr / (1 - beta**n)\n"
        "    return p - (step * sign(m) + lr * weight_decay * p), m\n",
        "b",
    )
    parts = rule.parts("f")
    assert scalars_text(parts) == [
        "const double step = h->lr / lrk_one_minus_power(h->beta, t->n);",
        "c->step = step;",
        "c->beta = h->beta;",
        "c->one_minus_beta = 1 - h->beta;",
        "c->lr_times_weight_decay = h->lr * h->weight_decay;",
    ]
    assert update_text(parts) == [
        "const T m_ = FMA(c->beta, s0, c->one_minus_beta * g);",
        "const T new_p = p - (c->step * SIGN(m_) + c->lr_times_weight_decay * p);",
        "s0 = m_;",
        "p = new_p;",
    ]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("p - (g - p)", "p - (g - p)"),
        ("p - g - p", "p - g - p"),
        ("p / (g * p)", "p / (g * p)"),
        ("p / g * p", "p / g * p"),
        ("-(p + g)", "-(p + g)"),
        ("-(-p)", "-(-p)"),
        ("p ** 2", "p * p"),
        ("p ** 0.5", "SQRT(p)"),
        ("(p if p > g else g) * p", "(p > g ? p : g) * p"),
        ("p if p > g and g >= 0 else g", "p > g && g >= (T)0 ? p : g"),
        ("2 * p", "(T)2 * p"),
        ("p if isfinite(g) else 0.5", "ISFINITE(g) ? p : (T)0.5"),
        ("minimum(p, maximum(g, -1))", "MINIMUM(p, MAXIMUM(g, (T)-1))"),
    ],
)
def test_c_code_of_expressions(expression, text):
    rule = of_text(f"def f(p, g, *, lr):\n    return {expression}\n")
    assert update_text(rule.parts("f")) == [f"p = {text};"]


def test_states_that_change_places():
    rule = of_text("def f(p, g, a, b, *, lr):\n    return a - lr * g, b, p\n", "a", "b")
    assert update_text(rule.parts("f")) == [
        "const T new_s0 = s1;",
        "const T new_s1 = p;",
        "const T new_p = s0 - c->lr * g;",
        "s0 = new_s0;",
        "s1 = new_s1;",
        "p = new_p;",
    ]


def test_a_flag_that_is_fixed_removes_what_it_excludes():
    text = (
        "def f(p, g, a, b, *, lr, second=False):\n"
        "    x = fma(0.5, a, g)\n"
        "    y = fma(0.5, b, x) if second else x\n"
        "    return p - lr * y, x, y if second else b\n"
    )
    scope = {}
    exec(text, scope)
    rule = Rule(scope["f"], ("a", "b"), variants={"one": {"second": False}, "two": {"second": True}}, text=text)
    assert (rule.parts("one").states, rule.parts("two").states) == (("a",), ("a", "b"))
    assert [one.name for one in rule.parts("one").hypers] == ["lr"]
    assert "second" not in " ".join(update_text(rule.parts("one")))


SIGNUM = """\
def update(h, n, p, g, s0):
    c = rounded(p, minus_lr=-h.lr, beta=h.beta, one_minus_beta=1 - h.beta, weight_decay=h.weight_decay)
    weight_decay_is_0 = c.weight_decay == 0
    g_ = 1 * g
    d = {choice}
    m = c.beta * s0 + c.one_minus_beta * d
    x = sign(m)
    return c.minus_lr * x + p, m
"""


@pytest.mark.parametrize(
    ("decided", "choice"),
    [
        (False, "where(weight_decay_is_0, g_, c.weight_decay * p + g_)"),
        (True, "g_ if weight_decay_is_0 else c.weight_decay * p + g_"),
    ],
)
def test_the_text_for_whole_arrays(decided, choice):
    """Conditions on flags that are fixed, and on constants that follow from them, are decided when the text is written."""
    flags = dict.fromkeys(("decoupled", "maximize", "nesterov", "cautious", "cautious_decay"), False)
    parts = divided(fixed(own_rules()["signum"].program(), flags))
    assert text_of(parts, decided=decided) == SIGNUM.format(choice=choice)


def test_words_of_arrays_take_numbers_where_python_raises():
    assert [divide(one, 0) for one in (1.0, -1.0)] == [np.inf, -np.inf]
    assert np.isnan(divide(0.0, 0))
    assert divide(1.0, -0.0) == -np.inf
    assert (opposite(True), opposite(False), divide(1, 4)) == (False, True, 0.25)


@pytest.mark.parametrize(
    ("text", "states", "message"),
    [
        ("def f(p, g, *, lr):\n    for i in p:\n        pass\n    return p", (), "line 2: `for i in p:"),
        ("def f(p, g, *, lr):\n    return p - lr * q", (), "line 2: `q` is not known; known names are p, g, lr, n"),
        ("def f(p, g, *, lr):\n    return p.sum()", (), "line 2: `p.sum()` is not allowed: calls are those of fma"),
        ("def f(p, g, *, lr):\n    return p - 9007199254740992 * g", (), "line 2: `9007199254740992` must be below 2**53"),
        ("def f(p, g, *, lr):\n    return exp(p)", (), "line 2: `exp(p)` calls exp: a rule may call fma, sqrt"),
        ("def f(p, g, *, lr):\n    return fma(p, g)", (), "line 2: `fma(p, g)` has 2 arguments; fma takes 3"),
        ("def f(p, g, b, *, lr):\n    return p - lr * g", ("b",), "must return 2 values, the new parameter, b; it returns 1"),
        ("def f(p, g, *, lr):\n    g = g * 2\n    return p - lr * g", (), "line 2: `g = g * 2` overwrites g"),
        ("def f(p, g, *, lr):\n    lr = lr * 2\n    return p - lr * g", (), "line 2: `lr = lr * 2` overwrites lr"),
        (
            "def f(p, g, *, lr):\n    return p ** g",
            (),
            "line 2: `p ** g` is not allowed: of elements, `x ** 2`",
        ),
        ("def f(p, g, *, lr):\n    return p - norm(lr) * g", (), "line 2: `norm(lr)` takes the norm of a scalar"),
        ("def f(p, g, *, lr):\n    return p if lr else g", (), "line 2: `lr` is a number where a condition is needed"),
        ("def f(p, g, *, lr):\n    return p + (g > 0)", (), "line 2: `g > 0` is a condition where a number is needed"),
        ("def f(p, g, *, lr):\n    return g > 0", (), "returns a condition as the parameter"),
        ("def f(p, g, *, lr):\n    if lr > 0:\n        return p\n    return g", (), "line 2: `if lr > 0:"),
        ("def f(p, g, *, lr):\n    return p\n    return g", (), "line 2: `return p` is not the last statement"),
        ("def f(p, g, *, lr):\n    p += g\n    return p", (), "line 2: `p += g` is not allowed"),
        ("def f(p, g, *, lr):\n    return 0 < p < 1", (), "line 2: `0 < p < 1` is not allowed"),
        ("def f(p, g, *, lr):\n    return p[0]", (), "line 2: `p[0]` is not allowed"),
        ("def f(p, g, a, b, c, d, e, x, *, lr):\n    return p", tuple("abcdex"), "at most 5 states; got 6"),
        ("def f(p, g, *, lr):\n    return norm(g) * mean(g) * p", (), "at most one norm, mean or count is possible"),
        (
            "def f(p, g, *, lr):\n    return mean(lr) * p",
            (),
            "line 2: `mean(lr)` takes the mean of a scalar",
        ),
        ("def f(p, g, *, lr):\n    return count(g) * p", (), "`count(g)` counts numbers: count is of a condition on elements"),
        ("def f(p, g, *, lr):\n    return norm(g > 0) * p", (), "takes the norm of a condition"),
        (
            "def f(p, g, *, lr):\n    return norm(g) * norm(g * p) * p",
            (),
            "at most one norm, mean or count is possible",
        ),
        (
            "def f(p, g, *, lr):\n    return norm(g * norm(p)) * p",
            (),
            "of something that depends on another one",
        ),
        ("def f(p, g, *, lr):\n    x, y = p\n    return x", (), "line 2: `x, y = p` assigns 1 values to 2 names"),
    ],
)
def test_mistakes_are_told_with_their_line(text, states, message):
    rule = of_text(text, *states)
    with pytest.raises(RuleError, match="rule f") as caught:
        rule.parts("f")
    assert message in str(caught.value)


def test_a_rule_without_source():
    function = eval("lambda p, g, *, lr: p")
    with pytest.raises(RuleError, match="its source cannot be read: define it in a file or a notebook, or pass the text"):
        Rule(function, ()).program()


def test_words_and_parts_are_not_executed():
    for word in (fma, sqrt, sign, minimum, maximum, isfinite, norm):
        with pytest.raises(TypeError, match="is a word of rules"):
            word(1.0)
    with pytest.raises(TypeError, match="is a part of rules"):
        part(lambda x: x)(1.0)
    assert n is None


def test_the_functions_for_numba_say_the_same_as_the_c_code():
    numba = pytest.importorskip("numba")
    from lrkern.rules.compiled import FAMILIES, Tensor

    assert set(FAMILIES) == set(own_rules())
    family = FAMILIES["adagrad"]
    scalars_of, update_of = family.scalars, family.update

    @numba.njit
    def update(h, p, g, s):
        return update_of(scalars_of(h, Tensor(1, 1.0, 1.0, 1.0, 0.0, 0.0)), p, g, s, s, s, s, s)

    inputs = family.inputs(0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert update(inputs, 1.0, 0.5, 0.0)[:2] == (0.75, 0.25)
    assert np.isnan(update(inputs, np.nan, 0.5, 0.0)[0])
