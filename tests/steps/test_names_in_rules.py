"""Names in rules of the user's own: those that mean something in C, Numba, torch or JAX work, or are refused."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import ulp
from representative import compiled

pytest.importorskip("numba")

import lrkern as lk
from lrkern.rules import RuleError, exactly
from lrkern.rules.array_update import array_update
from lrkern.rules.reader import MAX_HYPERS
from lrkern.rules.rule import Rule, part

OF_C = (
    "double", "int", "register", "t", "h", "c", "T", "i", "z", "bool", "true", "float", "unix", "typeof", "asm", "out", "size",
    "INT64_MAX", "int64_t", "lrk_sqrt", "FMA", "t_", "T_", "double_", "scalars", "coefs",
)  # fmt: skip
OF_PYTHON = (
    "s0", "z0", "z1", "sqrt_", "fma_", "product", "number", "Scalars", "power", "one_minus_power", "real_power", "where",
    "norm_p", "rounded", "divide", "index", "step", "update", "inf", "nan", "isfinite", "mean", "norm", "k2", "coef1",
    "_hidden", "__x", "_",
)  # fmt: skip
NAMES = (*OF_C, *OF_PYTHON)


def hypers_rule(names):
    """A rule with hyper-parameters of these names."""
    factors = " * ".join(f"({one} + {one} ** n)" for one in names)
    return f"def named(p, g, *, lr, {', '.join(f'{one}=0.5' for one in names)}):\n    return p - lr * g * {factors}\n"


def scalars_rule(names):
    """A rule with scalars, each made of the one before: named, used by elements and by conditions."""
    lines, last = [], "lr"
    for one in names:
        lines.append(f"    {one} = 0.25 * maximum({last}, n) + 0.1 * (1 - 0.5 ** n) ** n - 0.1 * abs({last}) ** 1.5\n")
        last = one
    used = names[-10:]
    terms = " - ".join(f"({one} * g if {one} > 0 else {one})" for one in used)
    return f"def named(p, g, *, lr):\n{''.join(lines)}    return p - 0.001 * ({terms})\n"


def elements_rule(names):
    """A rule with elements of these names, and a flag that one of them has."""
    lines, last = [], "g"
    for one in names:
        lines.append(f"    {one} = maximum(0.5 * {last} + sqrt(abs({last})), 0.25)\n")
        last = one
    return f"def named(p, g, *, lr):\n{''.join(lines)}    return p - lr * ({' + '.join(names[:60])})\n"


def masks_rule(names):
    """A rule with conditions of these names, of elements and of scalars."""
    lines, last = ["    own = g > 0\n    other = lr > 0.5\n"], ("own", "other")
    for k, one in enumerate(names):
        lines.append(f"    {one} = {last[k % 2]} or {'g' if k % 2 == 0 else 'lr'} > {k}\n")
        last = (one, last[1]) if k % 2 == 0 else (last[0], one)
    return f"def named(p, g, *, lr):\n{''.join(lines)}    return p - lr * ((g if {last[1]} else p) if {last[0]} else 2 * g)\n"


def states_rule(names):
    """A rule with scalar states and states of these names."""
    return "def named(p, g, m, z, *, lr):\n    z0 = z + lr\n    z1 = z0 * 2\n    return p - z1 * (g + m), 0.5 * m, z + z1\n"


WRITTEN = {
    **{
        f"hypers {k}": hypers_rule(part)
        for k, part in enumerate([OF_C[:12], OF_C[12:], OF_PYTHON[:-3][:13], OF_PYTHON[:-3][13:]])
    },
    "scalars": scalars_rule(NAMES),
    "elements": elements_rule(NAMES),
    "masks": masks_rule(NAMES),
}


def made(text):
    return lk.rule()(text)


def inputs_of(rule):
    return {one.name: 0.1 if one.name == "lr" else float(one.default) for one in rule.hypers}


PARAM, GRAD = np.linspace(-1.0, 1.0, 19), np.linspace(0.75, -0.5, 19)


def expected_of(rule):
    found, _, _ = exactly.step(rule, rule.key, inputs_of(rule), 3, PARAM.copy(), GRAD, [], [])
    assert not np.array_equal(found, PARAM)
    return found


@compiled("kind", WRITTEN, ["hypers 2", "elements"])
def test_names_have_no_effect_on_the_bits(kind, backend):
    rule = made(WRITTEN[kind])
    assert len(rule.hypers) <= MAX_HYPERS
    param = PARAM.copy()
    rule.step(param, GRAD, count=2, backend=backend, **inputs_of(rule))
    ulp.assert_same_bits(param, expected_of(rule), kind)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("standard", ["c11", "gnu11", "gnu2x"])
@pytest.mark.parametrize("kind", WRITTEN)
def test_names_in_c_source(kind, standard):
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-Wno-unused-variable", "-Werror", "-ffp-contract=off", "-fsyntax-only"]
    for dtype in ("float32", "float64"):
        source = made(WRITTEN[kind]).c_source(dtype)
        done = subprocess.run(
            ["gcc", *flags, f"-I{lk.get_include()}", "-xc", "-"], input=source, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.peers
@pytest.mark.parametrize("differs", [False, True])
@pytest.mark.parametrize("library", ["torch", "jax"])
@pytest.mark.parametrize("kind", WRITTEN)
def test_names_in_functions_of_arrays(kind, library, differs):
    rule = made(WRITTEN[kind])
    module = pytest.importorskip(library)
    if library == "jax":
        with module.enable_x64(True):
            given = [module.numpy.asarray(one) for one in (PARAM, GRAD)]
            (found,) = array_update(rule, library, differs=differs)(3, inputs_of(rule), *given)
    else:
        (found,) = array_update(rule, library, differs=differs)(3, inputs_of(rule), *map(module.from_numpy, (PARAM, GRAD)))
    found = np.asarray(found) + (PARAM if differs else 0.0)
    np.testing.assert_array_less(np.abs(found - expected_of(rule)), 1e-12)


def test_scalar_states_of_any_name():
    rule = lk.rule("t", scalars="double")(states_rule(NAMES))
    param, state, scalar = PARAM.copy(), np.ones(19), np.full(1, 0.5)
    expected, _, _ = exactly.step(rule, rule.key, inputs_of(rule), 1, param, GRAD, [state.copy()], [0.5])
    rule.step(param, GRAD, state, scalar, lr=0.1)
    ulp.assert_same_bits(param, expected, "states")


REFUSED = {
    "a word that is called": ("def f(p, g, *, lr, sqrt=1.0):\n    return p - lr * sqrt(g)", "sqrt is an argument and a word"),
    "a value with its name": (
        "def f(p, g, *, lr):\n    x = abs(g)\n    abs = x\n    return p - lr * abs",
        "line 3: `abs` is the name of a value and of a word that the rule calls: give the value another name",
    ),
    "two of one name": ("def f(p, g, *, lr, p=1.0):\n    return p - lr * g", "duplicate argument 'p'"),
    "the parameter's": ("def f(x, g, *, lr, p=1.0):\n    return x - lr * g * p", "p is the parameter, which has this name in"),
    "the gradient's": ("def f(p, x, *, lr, g=1.0):\n    return p - lr * g * x", "g is the gradient, which has this name in"),
    "the number's": ("def f(p, g, *, lr, n=1.0):\n    return p - lr * g * n", "n is the number of the update, which has this"),
    "an array called n": ("def f(n, g, *, lr):\n    return n - lr * g", "n is the number of the update, not an argument"),
    "hidden": ("def f(p, g, *, _lr):\n    return p - _lr * g", "_lr must have a name that does not begin with _"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_names_that_are_refused(kind):
    text, problem = REFUSED[kind]
    with pytest.raises(RuleError, match="rule f") as raised:
        lk.rule()(text)
    assert problem in str(raised.value)


@pytest.mark.parametrize("name", ["param", "grad", "params", "shared", "backend", "count", "self"])
def test_names_of_arguments_are_refused(name):
    with pytest.raises(RuleError, match=f"rule f: {name} must have another name, which optimizers use for something else"):
        lk.rule()(f"def f(p, g, *, lr, {name}=0.5):\n    return p - lr * {name} * g")


@pytest.mark.parametrize("states", [("p",), ("g",), ("n",)])
def test_states_that_are_refused(states):
    with pytest.raises(RuleError, match="which has this name in formulas: give the value another name"):
        lk.rule(*states)("def f(x, y, z, *, lr):\n    return x - lr * y, z")
    with pytest.raises(RuleError, match="states must have different names; got m, m"):
        lk.rule("m", "m")("def f(p, g, a, b, *, lr):\n    return p - lr * g, a, b")


@part
def _halved(x):
    fade = 0.5 * x
    return fade - 0.125


@part
def _one_of(x, y):
    turn = x * 2
    beta_is_0 = turn + 1
    return y - turn - beta_is_0


def clashes(p, g, *, lr, fade=0.25, beta=0.1, one_minus_beta=0.5, turn=True):
    m = _one_of(g, p) if beta == 0 or turn else p
    return m - _halved(lr) * g * fade * (1 - beta) * one_minus_beta


def test_names_of_parts_and_made_names_are_apart():
    rule = Rule(clashes, ())
    own = lk.rule()(clashes)
    parts = rule.parts("clashes")
    names = [name for name, _ in parts.coefs]
    assert len({*names}) == len(names)
    inputs = {"lr": 0.1, "fade": 0.25, "beta": 0.1, "one_minus_beta": 0.5, "turn": 1.0}
    for turn in (True, False):
        inputs["turn"] = float(turn)
        expected, _, _ = exactly.step(own, own.key, inputs, 3, PARAM.copy(), GRAD, [], [])
        for backend in ("c", "numba"):
            param = PARAM.copy()
            own.step(param, GRAD, backend=backend, **{**inputs, "turn": turn})
            ulp.assert_same_bits(param, expected, f"{backend} {turn}")
