"""Rules compiled by LLVM while the program runs: the bits of the C kernels, and what registering does."""

from __future__ import annotations

import subprocess
import sys
import threading
from ctypes import CDLL, CFUNCTYPE, Structure, byref, c_char_p, c_double, c_int, c_int64, c_void_p, cast

import numpy as np
import pytest
import ulp

pytest.importorskip("llvmlite")

import lrkern as lk
from lrkern import _core
from lrkern.backends.engine import StepTensors
from lrkern.rules.llvm_text import llvm_text
from lrkern.rules.machine_code import known_to_c
from lrkern.rules.rule import own_rules
from lrkern.rules.words import abs, fma, isfinite, maximum, minimum, n, norm, sign, sqrt

RULES = own_rules()


def stepped(name, inputs, param, states, grads):
    """Parameter, states and scalar states after steps by the C engine."""
    param, states = param.copy(), [one.copy() for one in states]
    kept = {f"s{k}": [one] for k, one in enumerate(states)}
    engine = _core.StepList(StepTensors(name, lambda kind, i: kind, [param], [name], [0], kept))
    for place, value in enumerate(inputs):
        engine.set_input(0, place, value)
    for grad in grads:
        assert engine.run([grad], 1.0) is None
    return [param, *states, np.array(engine.get_scalar_states()[0])]


def random_inputs(rule, name, rng):
    """Numbers and flags, half of the time without weight decay: branches must go both ways."""
    found = []
    for one in rule.parts(name).hypers:
        value = float(rng.integers(2)) if one.is_flag else float(rng.uniform(0.0, 0.99))
        found.append(0.0 if one.name in ("weight_decay", "unadapted") and rng.integers(2) else value)
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", RULES)
def test_every_rule_of_lrkern_has_the_bits_of_its_kernel(name, dtype):
    rule, rng = RULES[name], np.random.default_rng([2, *name.encode()])
    parts, again = rule.parts(name), f"llvm_{name}"
    known_to_c("test", again, parts)
    moved = False
    for size in (1, 15, 16, 33, 700, 1031):  # one vector and less, a block and more
        inputs = random_inputs(rule, name, rng)
        param, states = rng.standard_normal(size).astype(dtype), [np.zeros(size, dtype) for _ in parts.states]
        grads = [rng.standard_normal(size).astype(dtype) for _ in range(3)]
        if size == 33 and not parts.needs_norms:
            grads[1][:5] = [0.0, -0.0, np.inf, np.nan, 1e-38]
        found, expected = (stepped(one, inputs, param, states, grads) for one in (again, name))
        for one, other in zip(found, expected, strict=True):
            ulp.assert_same_bits(one, other, f"{name} {inputs} {size}")
        moved |= not np.array_equal(found[0], param)
    assert moved


@lk.rule("unused", "m", scalars=("first", "second"))
def every_word(p, g, unused, m, first, second, *, lr, beta=0.9, turn=False, power=1.5):
    k = minimum(n, 3) * 2 - abs(-n)
    late = beta ** (n - 2) if n > 2 and (turn or beta ** (n - 2) > 0) else 1  # a negative power would never end
    c = 1 - beta**n if not turn else beta**power
    size = norm(g)
    x = maximum(first, size) if isfinite(size) else sign(second) * sqrt(abs(second))
    y = fma(beta, x, late) / (k + 1)
    d = sign(g) if turn else -g
    e = d if n >= 2 and beta < 0.95 else d * c
    f = (e if (g > 0 and not m > e) or m == e else minimum(e, maximum(m, 0.25))) if isfinite(g) else m
    return p - lr * (y * f + 2), unused, abs(f) * 0.1, x + k, second + late


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("turn", [False, True])
def test_every_word_has_the_bits_of_the_formula(dtype, turn):
    from lrkern.rules import exactly

    every_word.prepare_c("test")
    rng, key = np.random.default_rng(7), every_word.key
    for beta in (0.9, 0.97):
        inputs = {"lr": 0.1, "beta": beta, "turn": float(turn), "power": 1.5}
        param, states = rng.standard_normal(37).astype(dtype), [np.full(37, 5, dtype), np.ones(37, dtype)]
        grads = [rng.standard_normal(37).astype(dtype) for _ in range(4)]
        found = stepped(key, inputs.values(), param, states, grads)
        scalars, unused = [0.0, 0.0], states[0]
        for count, grad in enumerate(grads, 1):
            param, states, scalars = exactly.step(every_word, key, inputs, count, param, grad, states, scalars)
        for one, other in zip(found, [param, unused, states[1], np.array(scalars)], strict=True):
            ulp.assert_same_bits(one, other, f"{inputs}")


def test_members_lie_where_c_has_them(monkeypatch):
    assert _core.RULE_TENSOR == {"n": 0, "norm": 8, "measured": 16, "size": 24, "states": 32}
    for member in ("measured", "size", "states"):
        monkeypatch.setitem(_core.RULE_TENSOR, member, 4000 + _core.RULE_TENSOR[member])
    own = lk.rule("m", scalars=("a", "b"))(OF_MEMBERS)
    text = llvm_text(own.parts(own.key))
    assert {f"add i64 %t, {4000 + k}" in text for k in (16, 24, 32, 40)} == {True}


OF_MEMBERS = """def scalars(p, g, m, a, b, *, lr):
    return p - lr * mean(g) * (a + b), m, a + 1, b + 2
"""


def test_older_versions_of_llvm_get_typed_pointers():
    parts = RULES["adam"].parts("adam")
    typed, untyped = (llvm_text(parts, typed_pointers=one) for one in (True, False))
    assert "<16 x float>* " in typed
    assert "ptr" not in typed.replace("inttoptr", "")
    assert "float>*" not in untyped


def test_vectors_are_used_and_nothing_is_fused():
    import llvmlite.binding as llvm

    parts = RULES["sgd"].parts("sgd")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    assembly = llvm_text(parts, typed_pointers=llvm.llvm_version_info[0] < 17)
    assert "<16 x float>" in assembly
    assert not {"fast", "contract", "reassoc", "fmuladd", "nnan"} & set(assembly.split())


def test_threads_that_use_a_rule_at_once_register_it_once():
    rule = lk.rule()("def raced(p, g, *, lr=0.5):\n    return p - lr * g")
    params, failures, gate = [np.ones(3) for _ in range(8)], [], threading.Barrier(8)

    def run(param):
        try:
            gate.wait()
            rule.Optimizer([param]).step([np.ones(3)])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in params]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert failures == []
    assert all((one == 0.5).all() for one in params)


def test_rules_need_no_numba_and_say_what_they_do_need():
    program = """
import sys
import numpy as np, lrkern as lk
rule = lk.rule()("def halves(p, g, *, lr=0.5):\\n    return p - lr * g")
if sys.argv[1] == "missing":
    sys.modules["llvmlite.binding"] = sys.modules["llvmlite"] = None
sys.modules["numba"] = None
p = np.ones(3)
try:
    rule.Optimizer([p]).step([np.ones(3)])
except ImportError as error:
    print(error)
print(p[0])
"""
    command = [sys.executable, "-c", program]
    said = [subprocess.run([*command, one], capture_output=True, text=True) for one in ("there", "missing")]
    assert [one.stderr for one in said] == ["", ""]
    assert said[0].stdout == "0.5\n"
    assert said[1].stdout == "halves: a rule of your own needs llvmlite: pip install 'lrkern[numba]'\n1.0\n"


def test_a_rule_that_c_does_not_know():
    with pytest.raises(ValueError, match="where: the C library must know the rule; got no_rule"):
        _core.StepList(StepTensors("where", lambda kind, i: kind, [np.ones(2)], ["no_rule"], [0], {}))


# --------------------------------------------------------------------------------------------------------------- the C API

SCALARS = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p)
UPDATE = CFUNCTYPE(None, c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_void_p)
MEASURE = CFUNCTYPE(None, c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)


class OwnRule(Structure):
    """lrk_own_rule."""

    _fields_ = [
        ("name", c_char_p), ("inputs", c_char_p), ("states", c_int), ("scalar_states", c_int), ("coefs", c_int),
        ("measured", c_int), ("scalars", c_void_p), ("new_scalar_states", c_void_p), ("update", c_void_p * 2),
        ("measure", c_void_p * 2),
    ]  # fmt: skip


def numbers(address, size, kind=c_double):
    return np.ctypeslib.as_array((kind * size).from_address(address))


@SCALARS
def scalars(inputs, tensor, out):
    numbers(out, 1)[0] = numbers(inputs, 1)[0]


@UPDATE
def update(size, ahead, param, grad, states, coefs):
    numbers(param, size)[:] -= numbers(coefs, 1)[0] * numbers(grad, size)


def own_rule(name=b"by_ctypes", **changes):
    at = cast(update, c_void_p).value
    made = OwnRule(name, b"lr", 0, 0, 1, 0, cast(scalars, c_void_p), None, (c_void_p * 2)(at, at), (c_void_p * 2)())
    for field, value in changes.items():
        setattr(made, field, value)
    return made


LIBRARY = CDLL(_core.__file__)


@pytest.mark.parametrize(
    "change",
    [
        {"name": None}, {"name": b""}, {"name": b"two words"}, {"name": b"adam"}, {"inputs": None}, {"inputs": b"lr  beta"},
        {"inputs": b"lr "}, {"inputs": b" ".join(b"x%d" % k for k in range(17))}, {"states": 6}, {"states": -1},
        {"scalar_states": 3}, {"scalar_states": 1}, {"coefs": 25}, {"coefs": -1}, {"measured": 3}, {"measured": 1},
        {"scalars": None}, {"update": (c_void_p * 2)(cast(update, c_void_p).value, None)},
    ],
    ids=lambda change: "update" if "update" in change else str(change),  # an address would differ between processes
)  # fmt: skip
def test_registering_refuses(change):
    wrong = own_rule(**{"name": b"refused", **change})
    assert LIBRARY.lrk_rule_register(byref(wrong)) == -4
    assert LIBRARY.lrk_rule_find(b"refused") == -1
    assert LIBRARY.lrk_rule_register(None) == -4


def test_a_rule_registered_by_a_program():
    number = LIBRARY.lrk_rule_register(byref(own_rule()))
    assert number == LIBRARY.lrk_rule_find(b"by_ctypes") > LIBRARY.lrk_rule_find(b"adam")
    LIBRARY.lrk_rule_inputs.restype = LIBRARY.lrk_rule_name.restype = c_char_p
    assert (LIBRARY.lrk_rule_name(number), LIBRARY.lrk_rule_inputs(number)) == (b"by_ctypes", b"lr")
    assert (LIBRARY.lrk_rule_states(number), LIBRARY.lrk_rule_scalar_states(number)) == (0, 0)
    assert (LIBRARY.lrk_rule_input(number, b"lr"), LIBRARY.lrk_rule_input(number, b"eps")) == (0, -1)
    assert LIBRARY.lrk_rule_register(byref(own_rule())) == -4  # known
    functions = {"scalars": cast(scalars, c_void_p).value} | dict.fromkeys(
        ("update_f32", "update_f64"), cast(update, c_void_p).value
    )
    _core.register_rule("by_ctypes", ["lr"], 0, 0, 1, None, functions)  # found by its name
    param, *_ = stepped("by_ctypes", [0.5], np.ones(3), [], [np.ones(3), np.full(3, 2.0)])
    assert param.tolist() == [-0.5, -0.5, -0.5]
    with pytest.raises(ValueError, match="register_rule: the rule must be valid; got 'not valid'"):
        _core.register_rule("not valid", ["lr"], 0, 0, 1, None, functions)
