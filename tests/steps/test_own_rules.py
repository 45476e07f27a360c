"""Rules of the user's own: their optimizers, `step`, C code, checks and errors."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import ulp
from representative import compiled, diagonals

pytest.importorskip("numba")

import user_rules

import lrkern as lk
from lrkern.rules import RuleError, fma, n, sign  # noqa: F401  (fma, n: words)

SUPPORT = Path(__file__).parents[1] / "support"


def random(size, dtype=np.float32, seed=0):
    return np.random.default_rng([seed, size]).standard_normal(size).astype(dtype)


# ------------------------------------------------------------------------------------------------------------------- check


QUICK = (user_rules.signum, user_rules.by_norms)


@pytest.mark.parametrize(
    "rule",
    [pytest.param(one, id=one.name, marks=[] if one in QUICK else [pytest.mark.exhaustive]) for one in user_rules.ALL],
)
def test_every_check_passes(rule, capsys):
    report = lk.rules.check(rule)
    assert report, str(report)
    assert not report.failed
    assert {"threads", "storage", "state", "skips"} <= {one.partition(":")[0] for one in report.passed}
    assert str(report) in capsys.readouterr().out


def test_a_check_finds_a_wrong_backend(monkeypatch):
    from lrkern.rules.c_source import c_source

    monkeypatch.setattr("lrkern.rules.c_source.c_source", lambda *given: c_source(*given).replace("SIGN(m_)", "-SIGN(m_)"))
    report = lk.rules.check(user_rules.signum, quiet=True)
    assert not report
    assert len(report.failed) == 1
    assert report.failed[0].startswith("C: element 0 of the parameter is ")


def test_checks_that_need_an_extra_are_skipped_without_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    report = lk.rules.check(user_rules.signum, quiet=True)
    assert report
    assert any(text.startswith("state: ") and "pip install 'lrkern[save]'" in text for text in report.skipped)


def test_check_is_for_rules():
    with pytest.raises(TypeError, match=r"check: rule must be from lrkern\.rule; got "):
        lk.rules.check(lk.AdamW)


# --------------------------------------------------------------------------------------------------------------- optimizers

OPTIONS = [
    {},
    {"clip_norm": 0.5, "ema": 0.9},
    {"rounding": "stochastic", "state_dtype": "bfloat16", "seed": 7},
    {"rounding": "split", "skip_nonfinite": True, "zero_grad": True},
    {"clip_value": 0.25, "clip_per": "tensor"},
]


@diagonals(3, ("options", OPTIONS, lambda one: "-".join(one) or "none"), ("kind", ["float32", "float64", "bfloat16"], str))
def test_a_rule_written_again_has_the_bits_of_the_optimizer(kind, options):
    halves = kind == "bfloat16"
    if options.get("rounding") == "split" and not halves:
        options = {**options, "rounding": "nearest"}
    dtype = np.float32 if halves else np.dtype(kind)

    def arrays(seed):
        found = [random(37, dtype, seed), random(5, dtype, seed + 1).reshape(5, 1)]
        return [(one.view(np.uint32) >> 16).astype(np.uint16) for one in found] if halves else found

    results = []
    for made in (user_rules.adam.Optimizer, lk.Adam):
        params = arrays(1)
        lr = lk.cosine(0.1, 0.0, 6)
        opt = made(params, lr=lr, beta1=0.8, weight_decay=0.01, uint16_as_bfloat16=halves, **options)
        for step in range(5):
            opt.step(arrays(10 + step), grad_scale=2.0)
        state = opt.state_dict()
        results.append([*params, *state["exp_avgs"], *state["exp_avg_sqs"], *(opt.ema_params or [])])
        assert opt.count == 5
        assert opt.lr == lr(5)
    for one, other in zip(*results, strict=True):
        ulp.assert_same_bits(one, other, "Adam")


def test_rows_and_learning_rates_of_rows():
    results = []
    for made in (user_rules.adam.Optimizer, lk.Adam):
        params = [random(12).reshape(4, 3).copy()]
        opt = made(params, lr=0.1)
        opt.step([(np.array([2, 0]), random(6).reshape(2, 3))])
        results.append(params[0])
    ulp.assert_same_bits(*results, "rows")
    lrs, param = np.array([0.1, 0.0, 0.3]), random(6).reshape(3, 2)
    opt, alone = user_rules.signum.Optimizer([param], lr=lrs), param.copy()
    grad = random(6, seed=2).reshape(3, 2)
    opt.step([grad])
    for row, lr in enumerate(lrs):
        user_rules.signum.step(alone[row], grad[row].copy(), np.zeros(2, np.float32), lr=float(lr))
    ulp.assert_same_bits(param, alone, "rows with their own learning rates")


def test_the_learning_rates_of_rows_go_by_the_name():
    rule = lk.rule()("def later(p, g, *, scale=2.0, lr):\n    return p - lr * (scale * g)")
    for backend in ("c", "numba"):
        param = np.ones((3, 2))
        rule.Optimizer([param], lr=np.array([0.0, 0.25, 0.5]), backend=backend).step([np.ones((3, 2))])
        assert param.tolist() == [[1.0, 1.0], [0.5, 0.5], [0.0, 0.0]]


def test_groups_set_masks_and_resume(tmp_path):
    body, head = np.ones(3), np.ones((2, 2))
    opt = user_rules.signum.Optimizer(
        [{"params": [body], "lr": 0.5}, {"params": [head], "weight_decay": 0.5}], lr=0.25, decay_mask=lambda name, a: a.ndim > 1
    )
    grads = [[np.ones(3)], [np.ones((2, 2))]]
    opt.step(grads)
    assert (body == 0.5).all()
    assert (head == 1 - (0.25 + 0.25 * 0.5)).all()
    opt.set("beta", lk.linear(0.5, 0.0, 2), group=0)
    opt.lr = 0.0
    opt.step(grads)
    assert (body == 0.5).all()
    opt.save(tmp_path / "state")
    other = user_rules.signum.Optimizer([{"params": [body]}, {"params": [head]}], lr=0.25)
    other.load(tmp_path / "state")
    assert other.count == 2
    assert repr(opt).startswith("<signum: 2 steps, 2 arrays of 7 elements in 2 groups")


POWERS = ("n**-1", "0.5 ** (n - 3)", "0.9 ** (2 - n)", "1 - 0.5 ** (1 - n)", "lr**-2", "(-0.7) ** (n - 3)", "2**n", "1 - 3**n")


@compiled("power", POWERS, POWERS[:3])
def test_powers_with_negative_exponents_and_whole_bases(power, backend):
    """Rounded once: the exact values, of which the first five updates take a different one each."""
    if backend == "numba":
        pytest.importorskip("numba")
    rule = lk.rule()(f"def f(p, g, *, lr):\n    return p - ({power}) * g")
    optimizer = rule.Optimizer([param := np.zeros(1)], lr=0.1, backend=backend)
    for count in range(1, 6):
        param[0] = 0.0
        optimizer.step([np.ones(1)])
        assert param[0] == -of_power(power, count), count


def of_power(text, count):
    """The value of one of POWERS, rounded once."""
    scope = {"n": count, "lr": Fraction(0.1), "x": Fraction(0.5), "y": Fraction(0.9), "z": Fraction(-0.7)}
    for number, name in (("(-0.7)", "z"), ("0.5", "x"), ("0.9", "y")):
        text = text.replace(number, name)
    return float(eval(text.replace("n**-1", "Fraction(1, n)").replace("2**n", "Fraction(2)**n"), {"Fraction": Fraction}, scope))


def test_a_rule_without_lr():
    param = np.ones(3)
    opt = user_rules.plain.Optimizer([param], size=lk.linear(1.0, 0.0, 4))
    opt.step([np.ones(3)])
    opt.step([np.ones(3)])
    assert (param == 1 - 1.0 - 0.75).all()
    with pytest.raises(AttributeError, match="plain: the rule has no lr"):
        _ = opt.lr


def test_initial_states():
    opt = user_rules.five.Optimizer([np.ones(2)])
    state = opt.state_dict()
    assert [state[f"{one}s"][0][0] for one in "abcde"] == [0.0, 0.5, 0.0, 0.0, -1.0]


def test_help_shows_formula_and_options():
    doc = user_rules.signum.Optimizer.__doc__
    assert "Signum, arXiv 1802.04434." in doc
    assert "m = beta momentum_buffer + (1 - beta) g" in doc
    assert "clip_norm: scale gradients" in doc
    import inspect

    signature = str(inspect.signature(user_rules.signum.Optimizer))
    assert signature.startswith("(params, lr, *, beta=0.9, weight_decay=0.0, clip_norm")


# --------------------------------------------------------------------------------------------------------------------- step


def test_step_in_compiled_code():
    import numba

    rule, norms = user_rules.adam, user_rules.by_norms

    @numba.njit
    def train(param, grad, m, v, steps):
        for k in range(steps):
            rule.step(param, grad, m, v, lr=0.1, count=k)
            norms.step(param, grad, m)

    results = []
    for in_numba in (False, True):
        param, m, v = random(37), np.zeros(37, np.float32), np.zeros(37, np.float32)
        if in_numba:
            train(param, random(37, seed=3), m, v, 3)
        else:
            for k in range(3):
                rule.step(param, random(37, seed=3), m, v, lr=0.1, count=k)
                norms.step(param, random(37, seed=3), m)
        results.append([param, m, v])
    for one, other in zip(*results, strict=True):
        ulp.assert_same_bits(one, other, "step")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"lr": 0.1, "states": 2}, TypeError, r"signum\.step: needs 1 states \(momentum_buffer\); got 2"),
        ({}, TypeError, r"signum\.step: lr must be given"),
        ({"lr": -0.1}, ValueError, r"signum\.step: lr must be a finite number >= 0"),
        ({"lr": 0.1, "betas": 1}, TypeError, r"signum\.step: unknown option betas"),
        ({"lr": 0.1, "backend": "fortran"}, ValueError, r"signum\.step: backend must be 'c', 'numba' or 'cuda'; got 'fortran'"),
    ],
)
def test_wrong_arguments_of_step(given, error, message):
    param, states = np.ones(2), [np.zeros(2)] * given.pop("states", 1)
    with pytest.raises(error, match=message):
        user_rules.signum.step(param, np.ones(2), *states, **given)
    assert (param == 1).all()


def test_wrong_arguments_of_a_compiled_step():
    import numba

    rule, counting = user_rules.signum, user_rules.adam

    @numba.njit
    def step(param, grad, b, lr):
        rule.step(param, grad, b, lr=lr)

    @numba.njit
    def without_count(param, grad):
        counting.step(param, grad, np.zeros(2), np.zeros(2), lr=0.1)

    with pytest.raises(ValueError, match=r"signum\.step: lr must be a finite float32 number >= 0"):
        step(np.ones(2), np.ones(2), np.zeros(2), -1.0)
    with pytest.raises(ValueError, match=r"signum\.step: momentum_buffer must have the shape and memory order of param"):
        step(np.ones(2), np.ones(2), np.zeros(3), 1.0)
    with pytest.raises(ValueError, match=r"adam\.step: count must be given"):
        without_count(np.ones(2), np.ones(2))


# ------------------------------------------------------------------------------------------------------------------- caches

PROGRAM = """
import sys, numpy as np, lrkern as lk
from lrkern.numba import kernels
from lrkern.rules import fma
rule = lk.rule("m")(open(sys.argv[1]).read())
p = np.ones(40, np.float32)
rule.Optimizer([p], lr=0.5, backend="numba").step([np.ones(40, np.float32)])
print(p[0], sum(kernels.run_serial.stats.cache_hits.values()), sum(kernels.run_serial.stats.cache_misses.values()))
"""
RULE = "def own(p, g, m, *, lr):\n    return p - lr * {factor} * g, m\n"


@pytest.mark.exhaustive
def test_compiled_rules_are_found_by_what_they_say(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(SUPPORT)}

    def run(factor, name="own"):
        text = tmp_path / "rule.txt"
        text.write_text(RULE.format(factor=factor).replace("own", name))
        command = [sys.executable, "-c", PROGRAM, str(text)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return tuple(float(one) for one in done.stdout.split())

    assert run(1.0) == (0.5, 0, 1)
    assert run(1.0) == (0.5, 1, 0)
    assert run(2.0) == (0.0, 0, 1)  # the rule has changed
    assert run(1.0, "another") == (0.5, 0, 1)  # a program that does not have the first rule reads its cache
    assert run(1.0) == (0.5, 1, 0)


# ------------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("text", "states", "message"),
    [
        ("def f(p, g, m, *, lr):\n    return p - lr * g, g.m", ("m",), "line 2: `g.m` is not allowed"),
        ("def f(p, g, m, *, lr):\n    return p - lr * g", ("m",), "must return 2 values, the new parameter, m; it returns 1"),
        ("def f(p, g, *, lr, clip_norm=1.0):\n    return p - lr * g", (), "clip_norm must have another name"),
        ("def f(p, g, *, lr='a'):\n    return p - lr * g", (), "its default must be a number, or True or False"),
        ("def f(p, g, lr=1):\n    return p - lr * g", (), "lr is an element and has no default; scalars follow after a *"),
        ("def f(p, g, **lr):\n    return p", (), "*lr is not allowed: arguments have names"),
        ("@staticmethod\ndef f(p, g):\n    return p", (), "must have no decorators where it is handed over as text"),
        ("def f(p, g, *, lr=print(1)):\n    return p", (), "`print(1)` is not a number, True or False"),
        (f"def f(p, g, *, {', '.join(f'a{k}=1.0' for k in range(17))}):\n    return p", (), "at most 16 keyword-only"),
        ("x = 1", (), "expected the text of one function"),
    ],
)
def test_mistakes_are_told_where_the_rule_is_defined(text, states, message):
    with pytest.raises(RuleError) as caught:
        lk.rule(*states)(text)
    assert message in str(caught.value)


def test_wrong_states():
    with pytest.raises(TypeError, match=r"rule: states must be names; got .*: write @lk.rule\(\) above the function"):
        lk.rule(lambda p, g, *, lr: p)
    with pytest.raises(RuleError, match="initial must be one of m; got q"):
        lk.rule("m", initial={"q": 1.0})("def f(p, g, m, *, lr):\n    return p - lr * g, m")


def test_wrong_options():
    with pytest.raises(TypeError, match="signum: missing a required argument: 'lr'"):
        user_rules.signum.Optimizer([np.ones(1)])
    with pytest.raises(TypeError, match="signum: unknown option betas"):
        user_rules.signum.Optimizer([np.ones(1)], lr=0.1, betas=0.1)
    with pytest.raises(ValueError, match="plain: decay_mask must be None, because the rule has no weight_decay"):
        user_rules.plain.Optimizer([np.ones(1)], decay_mask=[False])
    with pytest.raises(TypeError, match="by_norms needs dense gradients for its norms"):
        user_rules.by_norms.Optimizer([np.ones((2, 2))]).step([(np.array([0]), np.ones((1, 2)))])


def test_types_of_rules_that_are_not_known_are_empty():
    from lrkern.rules import type_names

    unknown = type_names.Inputs_gone_0123
    assert unknown is type_names.Inputs_gone_0123
    assert unknown.__name__ == "Inputs_gone_0123"
    with pytest.raises(AttributeError):
        _ = type_names.something
