"""The functions of C that update one array, of every rule: made from the formulas, declared as they are, with their bits."""

from __future__ import annotations

import ctypes
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import ulp
from cases import DESCENTS, OPTIMIZERS
from test_rules_exactly import inputs_of, run

import lrkern as lk
from lrkern import _core
from lrkern.rules import exactly
from lrkern.rules.one_array import TYPES, all_functions
from lrkern.rules.rule import own_rules

HEADER = re.sub(r"/\*.*?\*/", "", (Path(lk.get_include()) / "lrkern_optimizers.h").read_text(), flags=re.S)
LIBRARY = ctypes.CDLL(_core.__file__)
DTYPES = {"f32": np.float32, "f64": np.float64}
OVERLAP = -3
FUNCTIONS = {one.name: one for one in all_functions(own_rules())}


# ----------------------------------------------------------------------------------------------------- what there is


def test_every_kernel_has_a_function():
    assert sorted(variant for one in FUNCTIONS.values() for variant in one.variants) == sorted(_core.RULES)
    declared = re.findall(r"lrk_status lrk_step_(\w+)_(f32|f64)\(", HEADER)
    assert sorted(declared) == sorted(itertools.product(FUNCTIONS, TYPES))
    assert all(hasattr(LIBRARY, f"lrk_step_{name}_{suffix}") for name, suffix in declared)
    assert {f"lrk_step_{name}_{suffix}" for name, suffix in declared} <= set(_core.__pyx_capi__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_options_are_the_inputs_of_the_rule(name):
    one = FUNCTIONS[name]
    (body,) = re.findall(rf"typedef struct lrk_{one.rule.name}_options \{{(.*?)\}} lrk_{one.rule.name}_options;", HEADER, re.S)
    members = tuple(re.findall(r"\w+(?=[,;])", body))
    assert members == one.options
    for variant in one.variants:  # in the same order; what is no member follows from states
        inputs = [name for name in _core.RULES[variant] if name in members or name not in one.decided]
        assert inputs == [name for name in members if name in _core.RULES[variant]]


def test_names_that_there_have_always_been():
    """Arguments of the first functions, which programs pass by their place."""
    states = {
        "sgd": "momentum_buffer", "adam": "exp_avg exp_avg_sq max_exp_avg_sq", "lion": "exp_avg",
        "rmsprop": "square_avg grad_avg momentum_buffer", "adagrad": "sum", "lars": "momentum_buffer",
        "lamb": "exp_avg exp_avg_sq",
    }  # fmt: skip
    for name, kept in states.items():
        (arguments,) = re.findall(rf"lrk_step_{name}_f32\((.*?)\);", HEADER, re.S)
        assert re.findall(r"(\w+)(?=,|$)", arguments) == ["n", "param", "grad", *kept.split(), "updates", "options"]
    assert {name: FUNCTIONS[name].choices for name in ("sgd", "adam")} == {
        "sgd": [("sgd", [("momentum_buffer", False)]), ("sgd_momentum", [("momentum_buffer", True)])],
        "adam": [("adam", [("max_exp_avg_sq", False)]), ("amsgrad", [("max_exp_avg_sq", True)])],
    }
    assert FUNCTIONS["rmsprop"].decided == {"centered": ("grad_avg", True), "with_momentum": ("momentum_buffer", True)}


@pytest.mark.parametrize("name", DESCENTS)
def test_optimizers_keep_the_states_that_the_formula_needs(name):
    """The flags that a missing state turns off are the options for which Python keeps none."""
    for options in [DESCENTS[name][0], *OPTIMIZERS.get(name, [])]:
        made = getattr(lk, name)([np.zeros(1)], **{"lr": 0.1, **options})
        for form in (group.form for group in made._arranged.groups):
            (one,) = [one for one in FUNCTIONS.values() if form.variant in one.variants]
            values = {input_name: bool(value) for input_name, _, value in form.inputs}
            flags = {**one.rule.variants[form.variant], **values}
            off = {state for state, switch in one.switches.items() if flags[switch.flag] != switch.given}
            assert form.states == tuple(state for state in one.states if state not in off)


# -------------------------------------------------------------------------------------------------------------- bits


class Memory:
    """Copies of arrays, each `offset` bytes after an aligned address."""

    def __init__(self, arrays, offset):
        self.dtypes = [one.dtype for one in arrays]
        rooms = [np.zeros(one.nbytes + 16, np.uint8) for one in arrays]
        begins = [-one.ctypes.data % 8 + offset for one in rooms]
        self.bytes = [room[begin : begin + one.nbytes] for room, begin, one in zip(rooms, begins, arrays, strict=True)]
        for k, array in enumerate(arrays):
            self.write(k, array)

    def write(self, k, array):
        self.bytes[k][:] = array.view(np.uint8)

    def pointer(self, k):
        return ctypes.c_void_p(self.bytes[k].ctypes.data)

    def arrays(self):
        return [one.copy().view(dtype) for one, dtype in zip(self.bytes, self.dtypes, strict=True)]


def for_cython(name):
    """The function that Cython modules and Numba get: in a capsule, with its declaration."""
    capsule = _core.__pyx_capi__[name]
    of_name, of_pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    of_name.restype, of_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    of_pointer.restype, of_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    declaration = of_name(capsule)
    return ctypes.CFUNCTYPE(ctypes.c_int)(of_pointer(capsule, declaration)), declaration.decode()


def call(name, suffix, size, pointers, updates, options, function=None):
    """The status of a function. `pointers`: param, grad, states, scalar states."""
    if function is None:
        function = getattr(LIBRARY, f"lrk_step_{name}_{suffix}")
        function.restype = ctypes.c_int
    struct = (ctypes.c_double * len(options))(*options)
    return function(ctypes.c_int64(size), *pointers, ctypes.c_int64(updates), struct)


def ways(one):
    """Which states are given: all of them, and all of the ways to leave some out."""
    optional = list(one.switches)
    for given in itertools.product((True, False), repeat=len(optional)):
        left_out = {state for state, has in zip(optional, given, strict=True) if not has}
        yield tuple(state for state in one.states if state not in left_out)


CASES = [(name, given) for name, one in FUNCTIONS.items() for given in ways(one)]


def variant_for(one, given):
    """The variant whose kernels use exactly these states; the first one of those that tell by their inputs."""
    return next((name for name in one.variants if one.rule.parts(name).states == given), one.variants[0])


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize(("name", "given"), CASES, ids=[f"{name}-{len(given)}" for name, given in CASES])
def test_bits_are_those_of_the_rule(name, given, suffix):
    """Of the rule executed one operation at a time, and of the same rule as optimizers run it."""
    one, dtype = FUNCTIONS[name], DTYPES[suffix]
    variant, rng = variant_for(one, given), np.random.default_rng([len(given), *name.encode()])
    used = one.rule.parts(variant).states
    for size, offset in ((1, 0), (37, 1), (1031, 0)):
        inputs = inputs_of(one.rule, variant, rng)
        inputs |= {flag: float((state in given) == on) for flag, (state, on) in one.decided.items() if flag in inputs}
        # Members that follow from the states are ignored, and so are those of other variants.
        options = [1.0 - inputs[name] if name in one.decided else inputs.get(name, 0.5) for name in one.options]
        param = rng.standard_normal(size).astype(dtype)
        grads = [rng.standard_normal(size).astype(dtype) for _ in range(3)]
        # What may hold anything before the first update does.
        free = {state for state, flags in one.free.items() if not flags or any(inputs[flag] == value for flag, value in flags)}
        states = [np.full(size, 3.0 if state in free else 0.0, dtype) for state in one.states]
        numbers = [np.full(1, 3.0 if state in free else 0.0) for state in one.scalar_states]
        memory = Memory([param, grads[0], *states, *numbers], offset)
        names = ["param", "grad", *one.states, *one.scalar_states]
        left_out = set(one.states) - set(given)
        pointers = [None if state in left_out else memory.pointer(k) for k, state in enumerate(names)]
        for updates, grad in enumerate(grads):
            memory.write(1, grad)
            assert call(name, suffix, size, pointers, updates, options) == 0
        found = dict(zip(names, memory.arrays(), strict=True))
        assert size == 1 or found["param"].tobytes() != param.tobytes() or inputs.get("silent"), "something has moved"

        results = [in_list(variant, inputs, param, used, grads)]
        if size < 100:  # one operation at a time takes long
            results.append(in_words(one.rule, variant, inputs, param, used, grads))
        for wanted, wanted_states, wanted_numbers in results:
            ulp.assert_same_bits(found["param"], wanted, f"{name} {inputs}")
            for state, array in zip(used, wanted_states, strict=True):
                if state in given:
                    ulp.assert_same_bits(found[state], array, f"{state} of {name} {inputs}")
            for state, number in zip(one.scalar_states, wanted_numbers, strict=True):
                ulp.assert_same_bits(found[state], np.array([number]), f"{state} of {name} {inputs}")


def in_list(variant, inputs, param, used, grads):
    """Parameter, states and scalar states after steps of an optimizer's list."""
    param, states = param.copy(), [np.zeros_like(param) for _ in used]
    return param, states, run("c", variant, inputs, param, states, grads)


def in_words(rule, variant, inputs, param, used, grads):
    """The same by the function of Python that the rule is."""
    states, numbers = [np.zeros_like(param) for _ in used], [0.0] * len(rule.scalar_states)
    for n, grad in enumerate(grads, 1):
        param, states, numbers = exactly.step(rule, variant, inputs, n, param, grad, states, numbers)
    return param, states, numbers


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_for_cython_and_numba_are_the_same(name, suffix):
    one, rng = FUNCTIONS[name], np.random.default_rng(list(name.encode()))
    kind, arrays, numbers = TYPES[suffix], len(one.states), len(one.scalar_states)
    function, declaration = for_cython(f"lrk_step_{name}_{suffix}")
    types = ["int64_t", f"{kind} *", f"{kind} const *", *[f"{kind} *"] * arrays, *["double *"] * numbers, "int64_t"]
    given = re.findall(r"\((.*)\)", declaration)[0].split(", ")
    assert given == [*types, f"lrk_{one.rule.name}_options const *"]
    inputs = inputs_of(one.rule, one.variants[-1], rng)
    made = [rng.random(37).astype(DTYPES[suffix]) for _ in range(2 + arrays)] + [rng.random(1) for _ in range(numbers)]
    results = []
    for how in (None, function):
        memory = Memory(made, 0)
        pointers = [memory.pointer(k) for k in range(len(made))]
        assert call(name, suffix, 37, pointers, 5, [inputs.get(name, 0.5) for name in one.options], how) == 0
        results.append([array.tobytes() for array in memory.arrays()])
    assert results[0] == results[1] != [array.tobytes() for array in made]


# ---------------------------------------------------------------------------------------------------------- overlaps


@pytest.mark.parametrize("name", FUNCTIONS)
def test_overlaps_are_refused(name):
    one = FUNCTIONS[name]
    size, count = 4, 2 + len(one.states)
    total = count + len(one.scalar_states)
    options = [0.1] + [0.5] * (len(one.options) - 1)
    for suffix, dtype in DTYPES.items():
        width = size * np.dtype(dtype).itemsize
        for i, j in itertools.combinations(range(total), 2):
            memory = np.ones(64 * total, np.uint8)
            places = [64 * k for k in range(total)]
            places[j] = places[i] + (width if i < count else 8) - 1  # the last byte of one is the first of the other
            before = memory.copy()
            pointers = [ctypes.c_void_p(memory.ctypes.data + place) for place in places]
            assert call(name, suffix, size, pointers, 1, options) == OVERLAP, (i, j)
            assert memory.tobytes() == before.tobytes()
            places[j] += 1  # next to each other
            pointers = [ctypes.c_void_p(memory.ctypes.data + place) for place in places]
            assert call(name, suffix, size, pointers, 1, options) == 0, (i, j)
            assert memory.tobytes() != before.tobytes()


def test_empty_arrays():
    """Arrays may be NULL. The numbers of the tensor still change."""
    one = FUNCTIONS["nadam"]
    number = ctypes.c_double(0)
    options = [0.1] * len(one.options)
    assert call("nadam", "f32", 0, [None, None, None, None, ctypes.byref(number)], 0, options) == 0
    assert number.value > 0
    assert call("sgd", "f64", 0, [None, None, None], 0, [0.1] * 9) == 0
