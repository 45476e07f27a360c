"""Every rule, one operation at a time: the kernels against the functions themselves, executed on numbers that round once."""

from __future__ import annotations

import numpy as np
import pytest
import ulp

from lrkern import _core
from lrkern.backends.engine import StepOptions, StepTensors
from lrkern.rules import exactly
from lrkern.rules.rule import own_rules

RULES = own_rules()
RANGES = {"lr": (1e-4, 0.5), "weight_decay": (0.0, 0.3), "eps": (1e-9, 1e-3), "rho": (0.5, 0.99)}


def inputs_of(rule, name, rng):
    """Random inputs: numbers within the range of their kind, flags as they come; half of the time without weight decay."""
    found = {}
    for one in rule.parts(name).hypers:
        if one.is_flag:
            found[one.name] = float(rng.integers(2))
        elif one.name in RANGES:
            found[one.name] = float(rng.uniform(*RANGES[one.name]))
        elif isinstance(one.default, float) and one.default > 1:
            found[one.name] = float(rng.uniform(1.0, 2.0 * one.default))
        else:
            found[one.name] = float(rng.uniform(0.0, 0.9999))
    if rng.integers(2):
        found["weight_decay"] = 0.0
    return found


def engine_of(backend, name, param, states):
    tensors = StepTensors(name, lambda kind, i: kind, [param], [name], [0], {f"s{k}": [one] for k, one in enumerate(states)})
    if backend == "c":
        return _core.StepList(tensors)
    pytest.importorskip("numba")
    from lrkern.numba.lists import StepList

    return StepList(tensors)


def run(backend, name, inputs, param, states, grads):
    engine = engine_of(backend, name, param, states)
    engine.set_options(StepOptions())
    for place, input_name in enumerate(_core.RULES[name]):
        engine.set_input(0, place, inputs[input_name])
    for grad in grads:
        assert engine.run([grad], 1.0) is None
    return engine.get_scalar_states()[0][: len(RULES[name].scalar_states)]


NORMS = {"lars", "lamb", "mars", "stable_adamw", "novograd"}
"""Rules tried over several blocks of norms, which takes seconds."""


# Cautious variants have one part in common.
IN_WORDS = [
    pytest.param(name, dtype, marks=[pytest.mark.exhaustive] if name.endswith("_cautious") and name != "adam_cautious" else [])
    for name in RULES
    for dtype in (np.float32, np.float64)
]


@pytest.mark.parametrize(("name", "dtype"), IN_WORDS)
def test_every_rule_by_its_own_words(name, dtype):
    rule, rng = RULES[name], np.random.default_rng([len(name), *name.encode()])
    of_tensors = rule.parts(name).needs_norms
    for size in (1, 37, 37, 37, *([1031] if of_tensors and name in NORMS else [])):
        inputs = inputs_of(rule, name, rng)
        grads = [rng.standard_normal(size).astype(dtype) * dtype(10.0 ** rng.integers(-3, 3)) for _ in range(3)]
        if size >= 5 and not (of_tensors and rng.integers(2)):
            grads[1][:5] = [0.0, -0.0, np.inf, np.nan, 1e-38]
        param = rng.standard_normal(size).astype(dtype)
        states = [np.zeros(size, dtype) for _ in rule.parts(name).states]
        expected, expected_states = param.copy(), [one.copy() for one in states]
        scalars, expected_scalars = run("c", name, inputs, param, states, grads), [0.0] * len(rule.scalar_states)
        for n, grad in enumerate(grads, 1):
            expected, expected_states, expected_scalars = exactly.step(
                rule, name, inputs, n, expected, grad, expected_states, expected_scalars
            )
        for array in (param, expected, *states, *expected_states):  # the sign of a NaN is not defined
            array[np.isnan(array)] = np.nan
        ulp.assert_same_bits(np.array(scalars), np.array(expected_scalars), f"scalar states of {name} {inputs}")
        ulp.assert_same_bits(param, expected, f"{name} {inputs}")
        for one, other, state in zip(states, expected_states, rule.parts(name).states, strict=True):
            ulp.assert_same_bits(one, other, f"{state} of {name} {inputs}")


# Of different kinds: with norms, with scalar states, with a mean. To compile all rules takes minutes.
FEW = {"mars", "asgd", "stable_adamw", "adam_cautious"}
IN_NUMBA = [pytest.param(one, marks=[] if one in FEW else [pytest.mark.exhaustive]) for one in RULES]


@pytest.mark.parametrize("name", IN_NUMBA)
def test_numba_has_the_same_bits(name):
    rule, rng = RULES[name], np.random.default_rng([1, *name.encode()])
    param, grads = rng.standard_normal(1031).astype(np.float32), list(rng.standard_normal((3, 1031)).astype(np.float32))
    results = []
    for backend in ("c", "numba"):
        own, states = param.copy(), [np.zeros(1031, np.float32) for _ in rule.parts(name).states]
        scalars = []
        for seed in range(2):
            scalars += run(backend, name, inputs_of(rule, name, np.random.default_rng(seed)), own, states, grads)
        results.append([own, *states, np.array(scalars)])
    for one, other in zip(*results, strict=True):
        ulp.assert_same_bits(one, other, name)
