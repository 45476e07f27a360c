"""Constants in rules of the user's own: what is infinite, True and False, powers at the ends of float64; on every backend."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import ulp

pytest.importorskip("numba")

import lrkern as lk
from lrkern.rules import RuleError, exactly
from lrkern.rules.array_update import array_update


def made(value, states="", names=()):
    return lk.rule(*names)(f"def f(p, g{states}, *, lr, turn=False):\n    return {value}\n")


@pytest.mark.parametrize("text", ["1e999", "-1e999", "lr * 1e999", "1e999 - 1e999", "(p if g < 1e400 else g)"])
def test_infinite_constants_are_refused(text):
    with pytest.raises(RuleError) as raised:
        made(f"p - g * {text}")
    assert str(raised.value) == "rule f, line 2: `1e309` is beyond the largest float64: constants of rules are finite"


def with_nan(p, g, *, lr=float("nan")):
    return p - lr * g


def test_infinite_defaults_are_refused():
    for text in ("1e999", "-1e999"):
        with pytest.raises(RuleError, match=r"rule f: lr: its default must be finite; got -?inf"):
            lk.rule()(f"def f(p, g, *, lr={text}):\n    return p - lr * g\n")
    with pytest.raises(RuleError, match="rule with_nan: lr: its default must be finite; got nan"):
        lk.rule()(with_nan)


@pytest.mark.parametrize("value", ["x", None, True, 1j, 1e300, 10**400, float("nan"), [1.0]], ids=repr)
def test_initial_values_are_numbers(value):
    with pytest.raises((TypeError, ValueError), match=r"rule f: initial\['m'\] must be a finite number"):
        lk.rule("m", initial={"m": value})("def f(p, g, m, *, lr):\n    return p - lr * m, m\n")


def test_an_infinite_initial_value_is_that_of_a_minimum():
    rule = lk.rule("m", initial={"m": float("inf")})("def f(p, g, m, *, lr):\n    return p - lr * g, minimum(m, g)\n")
    for backend in ("c", "numba"):
        opt = rule.Optimizer([np.ones(3, np.float32)], lr=0.5, backend=backend)
        opt.step([np.array([1.0, -2.0, 3.0], np.float32)])
        np.testing.assert_array_equal(opt.state_dict()["ms"][0], np.float32([1.0, -2.0, 3.0]))


VALUES = {
    "beyond float32": "p - lr * (g * 1e300)",
    "a word beyond float32": "p - lr * minimum(g, 1e300)",
    "a choice beyond float32": "p - lr * (g if p < 0 else -1e300)",
    "a sum that overflows": "p - g / (1e308 * 10)",
    "not": "p - lr * (g if lr < 0.5 and not turn else p)",
    "choice of conditions": "p - lr * (g if ((lr > 0) if turn else (lr < 0.5)) else p)",
    "constant for scalars": "p - lr * (g if ((lr > 0) if turn else True) else p)",
    "constant for elements": "p - lr * (g if ((g > 0) if p > 0 else True) else p)",
    "flag for elements": "p - lr * (g if ((g > 0) if p > 0 else turn) else p)",
    "constant alone": "p - lr * (g if True else p)",
    "constants compared": "p - lr * (g if lr < 2 and 1 < 2 else p)",
    "constants combined": "p - lr * (g if (g > 0 or False) and (True and p > -2) else p)",
    "isfinite of a scalar": "p - lr * (g if isfinite(lr) and not isfinite(p) else p)",
    "division by 0": "p - lr * (g / 0)",
    "division of scalars by 0": "p - 1 / (g * (1 / (lr - lr)))",
    "0 to a negative power": "p - 1 / (g * (lr - lr) ** (-1))",
    "0 to a real power": "p - 1 / (g * (lr - lr) ** (-1.5))",
    "a negative number to a real power": "(p if (-lr) ** 1.5 < 1 else g)",
    "a real power that overflows": "p - g / (lr * 1e300) ** 1.5",
    "1 minus a power of a negative number": "p - g * (1 - (-lr) ** n)",
    "1 minus a power of -2": "p - g * (1 - (lr - lr - 2) ** n)",
    "1 minus a power of 0": "p - g * (1 - (lr - lr) ** n)",
    "a whole power that overflows": "p - g / (lr * 1e200) ** 3",
    "a whole power that overflows below 0": "p - (-lr * 1e200) ** 3 * lr",
    "the inverse of such a power": "p - g * (lr * 1e200) ** (-3)",
    "an infinite number to a whole power": "p - g / (1 / (lr - lr)) ** 3",
    "1 minus a power that overflows": "p - g / (1 - (lr * 1e200) ** (n + 2))",
    "1 minus a large power": "p - g / (1 - (lr * 1e200) ** n)",
}
PARAM, GRAD = np.linspace(-1.0, 1.0, 5), np.array([1.0, -1.0, 1.0, 0.25, 1.0])


def expected_of(rule, turn, dtype=np.float64):
    inputs = {"lr": 0.1, "turn": float(turn)}
    found, _, _ = exactly.step(rule, rule.key, inputs, 1, PARAM.astype(dtype), GRAD.astype(dtype), [], [])
    return found


@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize("kind", VALUES)
def test_constants_are_the_same_on_every_backend(kind, turn):
    rule = made(VALUES[kind])
    for dtype in (np.float64, np.float32):
        param = PARAM.astype(dtype)
        rule.step(param, GRAD.astype(dtype), lr=0.1, turn=turn, count=0)
        ulp.assert_same_bits(param, expected_of(rule, turn, dtype), f"{kind} c")


KINDS = [*VALUES]


@pytest.mark.parametrize(
    "group", [pytest.param(k, marks=[pytest.mark.exhaustive] if k % 12 else []) for k in range(0, len(KINDS), 6)]
)
def test_constants_in_numba(group):
    values = [VALUES[kind] for kind in KINDS[group : group + 6]]  # in one rule, because each takes seconds
    names = tuple(f"m{k}" for k in range(1, len(values)))
    rule = made(", ".join(values), "".join(f", {one}" for one in names), names)
    for turn in (False, True):
        given = [PARAM.copy(), *(np.zeros(5) for _ in names)]
        rule.step(given[0], GRAD, *given[1:], lr=0.1, turn=turn, count=0, backend="numba")
        for found, value in zip(given, values, strict=True):
            ulp.assert_same_bits(found, expected_of(made(value), turn), value)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("kind", VALUES)
def test_constants_in_c_source(kind):
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-fsyntax-only", f"-I{lk.get_include()}"]
    source = made(VALUES[kind]).c_source("float64")
    done = subprocess.run(["gcc", *flags, "-xc", "-"], input=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.peers
@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize("library", ["torch", "jax"])
@pytest.mark.parametrize("kind", VALUES)
def test_constants_in_functions_of_arrays(kind, library, turn):
    rule, module = made(VALUES[kind]), pytest.importorskip(library)
    update = array_update(rule, library, {"turn": turn})
    if library == "jax":
        with module.enable_x64(True):
            for dtype in (np.float32, np.float64):
                found = update(1, {"lr": 0.1}, *(module.numpy.asarray(one.astype(dtype)) for one in (PARAM, GRAD)))[0]
    else:
        for dtype in (np.float32, np.float64):
            found = update(1, {"lr": 0.1}, *(module.from_numpy(one.astype(dtype)) for one in (PARAM, GRAD)))[0]
    found, expected = np.asarray(found), expected_of(rule, turn)  # in float64, the last one
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    finite = np.isfinite(expected)
    distance = np.abs(found[finite] - expected[finite]) / np.maximum(np.abs(expected[finite]), 1.0)
    assert np.max(distance, initial=0.0) < 1e-12
