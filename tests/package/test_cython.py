"""`from lrkern cimport ...`: the example module, built as a user would, gives Python's bits."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lrkern as lk
from lrkern import _core
from lrkern.rules.one_array import all_functions
from lrkern.rules.rule import own_rules

FUNCTIONS = {one.name: one for one in all_functions(own_rules())}

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "cython"

pytestmark = [
    pytest.mark.skipif(not EXAMPLE.exists(), reason="needs the source checkout"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler"),
]

# Besides the example: every step function, both dtypes, and errors. Arrays are passed as addresses, which compile quickly.
MORE = """
# cython: language_level=3
from libc.stdint cimport int64_t
from lrkern cimport *

def table(schedule, int64_t start, int64_t n, size_t out):
    cdef int64_t where = 0
    cdef CompiledPlan held = plan_of(schedule, 10)
    cdef lrk_expr *e = expression_of(schedule)
    cdef lrk_status status
    with nogil:
        status = lrk_fill(e, &held.plan, start, n, <void *>out, LRK_FLOAT64, &where)
    return status, where

def lookup(schedule, int64_t n, size_t steps, size_t out):
    cdef int64_t where = 0
    return lrk_lookup(expression_of(schedule), NULL, <const int64_t *>steps, n, <double *>out, &where)

def versions():
    return LRK_ABI_VERSION, lrk_abi_version()

def text(status):
    return lrk_status_text(status)

def find_rule(bytes rule):
    return lrk_rule_find(rule)

def find(bytes rule, bytes name):
    return lrk_rule_input(lrk_rule_find(rule), name)

def hits(size_t param, size_t other):
    # -1, or 0 where a list with four numbers at `param` is hit by 8 bytes at `other`; the work is shared out anew first
    cdef lrk_step_list one
    cdef int64_t clash = 0, hit
    if lrk_step_list_init(&one, 1, 1) != LRK_OK:
        raise MemoryError
    one.groups[0].rule = lrk_rule_find("sgd")
    one.tensors[0].data[LRK_PARAM], one.tensors[0].type[LRK_PARAM], one.tensors[0].size = <void *>param, LRK_F64, 4
    hit = lrk_step_list_finalize(&one, &clash)
    lrk_step_list_balance(&one)
    hit = lrk_step_list_find_overlap(&one, <const void *>other, 8) if hit < 0 else -2
    lrk_step_list_free(&one)
    return hit

cdef void own_scalars(const double *inputs, const lrk_rule_tensor *tensor, double *out) noexcept nogil:
    out[0] = inputs[0]

cdef void own_f32(
    int64_t size, int64_t ahead, void *param, const void *grad, void *const *states, const void *coefs
) noexcept nogil:
    for i in range(size):
        (<float *>param)[i] -= (<const float *>coefs)[0] * (<const float *>grad)[i]

cdef void own_f64(
    int64_t size, int64_t ahead, void *param, const void *grad, void *const *states, const void *coefs
) noexcept nogil:
    for i in range(size):
        (<double *>param)[i] -= (<const double *>coefs)[0] * (<const double *>grad)[i]

def register(bytes name):
    cdef lrk_own_rule rule
    rule.name, rule.inputs, rule.states, rule.scalar_states, rule.coefs = name, "lr", 0, 0, 1
    rule.measured, rule.scalars = LRK_MEASURES_NOTHING, own_scalars
    rule.update[0], rule.update[1] = own_f32, own_f64
    return lrk_rule_register(&rule)

def step_by(int rule, int type, int64_t n, size_t param, size_t grad, double lr, double scale):
    cdef lrk_step_list one
    cdef lrk_step_options options = lrk_step_defaults()
    cdef int64_t other = 0
    options.grad_scale = scale
    lrk_step_list_init(&one, 1, 1)
    one.groups[0].rule, one.groups[0].inputs[0] = rule, lr
    one.tensors[0].data[<int>LRK_PARAM], one.tensors[0].data[<int>LRK_GRAD] = <void *>param, <void *>grad
    one.tensors[0].type[<int>LRK_PARAM] = one.tensors[0].type[<int>LRK_GRAD] = type
    one.tensors[0].size = n
    lrk_step_list_finalize(&one, &other)
    done = lrk_step_run(&one, &options).isa != NULL
    lrk_step_list_free(&one)
    return done

def plan(schedule, int64_t horizon, int64_t t):
    cdef CompiledPlan held = plan_of(schedule, horizon)
    return lrk_plan_covers(&held.plan, t), lrk_plan_at(&held.plan, t), lrk_plan_value(&held.plan, t)
"""

STEP = """
def {rule}_{type}(list inputs, int64_t updates, int64_t n, size_t p, size_t g, {arguments}):
    cdef lrk_{rule}_options o
    for i in range(sizeof(o) // sizeof(double)):
        (<double *>&o)[i] = inputs[i]
    return lrk_step_{rule}_{type}(n, <{T} *>p, <const {T} *>g, {states}, updates, &o)
"""

# rule -> its states; None: left out. Then the same step in Python: name, arguments.
LR = {"lr": 0.1}
BETAS = {"beta1": 0.9, "beta2": 0.99}
CASES = [
    ("sgd", [0], {**LR, "weight_decay": 0.1, "momentum": 0.9, "dampening": 0.5}, "sgd_step", {"first": False}, {}),
    ("sgd", [None], {**LR, "maximize": 1}, "sgd_step", {}, {}),
    ("adam", [0, 1, None], {**LR, **BETAS, "eps": 1e-8, "weight_decay": 0.1}, "adam_step", {"count": 3}, {}),
    ("adam", [0, 1, 2], {**LR, **BETAS, "eps": 1e-8, "decoupled": 1, "weight_decay": 0.1}, "adamw_step",
     {"count": 3}, {"decoupled": None}),
    ("lion", [0], {**LR, **BETAS, "weight_decay": 0.1, "decoupled": 1}, "lion_step", {}, {"decoupled": None}),
    ("rmsprop", [0, 1, 2], {**LR, "alpha": 0.9, "eps": 1e-8, "momentum": 0.5}, "rmsprop_step", {}, {}),
    ("rmsprop", [0, None, None], {**LR, "alpha": 0.9, "eps": 1e-8}, "rmsprop_step", {}, {}),
    ("adagrad", [0], {**LR, "eps": 1e-8, "lr_decay": 0.1}, "adagrad_step", {"count": 3}, {}),
    ("lars", [0], {**LR, "momentum": 0.9, "trust": 0.01, "weight_decay": 0.1, "lr_inside": 1}, "lars_step",
     {"first": False, "eps": 0.0}, {"lr_inside": None}),
    ("lamb", [0, 1], {**LR, **BETAS, "eps": 1e-6, "pull": 0.1, "bias_correction": 1}, "lamb_step", {"count": 3},
     {"pull": "weight_decay", "bias_correction": None}),
]  # fmt: skip


def more():
    """The source of the module `more`."""
    text = MORE
    for rule, count in {rule: len(states) for rule, states, *_ in CASES}.items():
        for kind, T in (("f32", "float"), ("f64", "double")):
            arguments = ", ".join(f"size_t s{i}" for i in range(count))
            states = ", ".join(f"<{T} *>s{i}" for i in range(count))
            text += STEP.format(rule=rule, type=kind, T=T, arguments=arguments, states=states)
    return text


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """(training, more): the example and the module above, built with the example's setup.py."""
    folder = tmp_path_factory.mktemp("cython")
    for path in EXAMPLE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    (folder / "more.pyx").write_text(more())
    text = (folder / "setup.py").read_text()
    assert text.count("[extension]") == 1
    extra = '[extension, Extension("more", ["more.pyx"], include_dirs=[lrkern.get_include()])]'
    (folder / "setup.py").write_text(text.replace("[extension]", extra))
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "CFLAGS": "-O1 -g0"})
    assert done.returncode == 0, done.stderr + done.stdout
    loaded = []
    for name in ("training", "more"):
        (path,) = folder.glob(f"{name}.*.so")
        spec = importlib.util.spec_from_file_location(name, path)
        loaded.append(importlib.util.module_from_spec(spec))
        spec.loader.exec_module(loaded[-1])
    return loaded


SCHEDULES = [lk.cosine(0.5, 0.0, 100).warmup(10), lk.linear(1.0, 0.0, 30).repeat(20), lk.from_table([3.0, 1.0, 2.0])]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_values(modules, schedule):
    training, more = modules
    assert training.learning_rates(schedule, 150).tobytes() == schedule.table(150).tobytes()
    out = np.zeros(90)
    assert more.table(schedule, 20, 90, out.ctypes.data)[0] == 0
    assert out.tobytes() == schedule.table(90, 20).tobytes()
    steps = np.array([5, 0, 10**9], np.int64)
    assert more.lookup(schedule, 3, steps.ctypes.data, out.ctypes.data) == 0
    assert out[:3].tobytes() == schedule(steps).tobytes()


def test_a_rule_of_its_own(modules):
    _, more = modules
    rule = more.register(b"of_cython")
    assert rule > more.find_rule(b"adam")
    assert more.register(b"of_cython") == -4
    for number, dtype in enumerate((np.float32, np.float64)):
        param, grad = np.ones(700, dtype), np.full(700, 4, dtype)
        assert more.step_by(rule, number, 700, param.ctypes.data, grad.ctypes.data, 0.25, 2.0)
        assert (param == 0.5).all()


def test_the_loop_is_that_of_python(modules):
    training, _ = modules
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3))
    y = (x[:, 0] + 0.1 * rng.normal(size=50) > 0).astype(np.float64)
    schedule = SCHEDULES[0]
    weights, buffer = np.zeros(3), np.zeros(3)
    for t in range(40):
        grad = x.T @ (1 / (1 + np.exp(-(x @ weights))) - y) / len(y)
        lk.sgd_step(weights, grad, buffer, lr=schedule(t), momentum=0.9, first=t == 0)
    found = training.fit(schedule, x, y, 40)
    assert np.max(np.abs(found - weights)) < 1e-12 < np.max(np.abs(weights))  # sums in another order


def test_a_rule_with_numbers_of_the_tensor(modules):
    training, _ = modules
    param = np.zeros(1)
    optimizer = lk.ScheduleFreeSGD([param], 0.5)
    for _ in range(30):
        optimizer.step([param - 3.0])
    assert training.fit_line(3.0, 30) == optimizer.averaged_params[0][0]
    assert abs(training.fit_line(3.0, 300) - 3.0) < 0.01


@pytest.mark.parametrize("sizes", [[7], [3, 0, 1, 40, 131], [0], [90_001, 5]])
def test_a_list_has_the_bits_of_sgd(modules, sizes):
    training, _ = modules
    rng = np.random.default_rng(2)
    begun = [rng.normal(size=size).astype(np.float32) for size in sizes]
    mine, theirs = ([one.copy() for one in begun] for _ in range(2))
    optimizer = lk.SGD(theirs, SCHEDULES[0], momentum=0.9, clip_norm=1.0)
    for _ in range(20):
        optimizer.step([(np.arange(p.size) + 1).astype(np.float32) * p for p in theirs])
    training.descend(SCHEDULES[0], mine, 20)
    for one, other, before in zip(mine, theirs, begun, strict=True):
        assert one.tobytes() == other.tobytes()
        assert one.size == 0 or one.tobytes() != before.tobytes()
    if len(sizes) > 1:
        with pytest.raises(ValueError, match="must not share memory"):
            training.descend(SCHEDULES[0], [mine[0], mine[0]], 1)


def arrays(dtype, count):
    """A parameter, a gradient and states >= 0, without zeros, of an odd length."""
    rng = np.random.default_rng(1)
    return [rng.normal(size=131).astype(dtype) for _ in range(2)] + [
        (0.1 + rng.random(131)).astype(dtype) for _ in range(count)
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("rule", "states", "options", "function", "only", "renamed"), CASES, ids=[f"{c[3]}-{len(c[1])}{c[1][-1]}" for c in CASES]
)
def test_steps_have_the_bits_of_python(modules, rule, states, options, function, only, renamed, dtype):
    _, more = modules
    param, grad, *kept = arrays(dtype, len(states))
    mine = [param.copy(), *(one.copy() if state is not None else None for one, state in zip(kept, states, strict=True))]
    step = getattr(more, f"{rule}_{'f32' if dtype == 'float32' else 'f64'}")
    members = FUNCTIONS[rule].options
    inputs = [float(options.get(name, 0.0)) for name in members]
    assert set(options) <= set(members)
    addresses = [0 if one is None else one.ctypes.data for one in (mine[0], grad, *mine[1:])]
    assert step(inputs, only.get("count", 1), param.size, *addresses) == 0
    named = {renamed.get(name, name): value for name, value in options.items() if renamed.get(name, name) is not None}
    flags = {name: bool(value) for name, value in named.items() if name in ("maximize",)}
    theirs = [one if state is not None else None for one, state in zip(kept, states, strict=True)]
    before = param.copy()
    getattr(lk, function)(param, grad, *theirs, **{**named, **flags, **only})
    assert param.tobytes() == mine[0].tobytes() != before.tobytes()
    for one, other in zip(theirs, mine[1:], strict=True):
        assert (one is None and other is None) or one.tobytes() == other.tobytes()


def test_versions_and_texts(modules):
    """A module can check whether it was compiled for the lrkern that it runs with; statuses have texts."""
    _, more = modules
    header = int(re.search(r"#define LRK_ABI_VERSION (\d+)", (Path(lk.get_include()) / "lrkern.h").read_text())[1])
    assert more.versions() == (header, header)
    assert [more.text(status) for status in (0, -3)] == [b"no error", b"an array that is written overlaps another"]


def test_rules_by_name_and_what_a_list_writes(modules):
    _, more = modules
    assert [more.find(b"adam", name.encode()) for name in _core.RULES["adam"]] == list(range(len(_core.RULES["adam"])))
    assert more.find(b"adam", b"momentum") == -1
    memory = np.ones(6)
    assert [more.hits(memory.ctypes.data + 8, memory.ctypes.data + 8 * k) for k in range(6)] == [-1, 0, 0, 0, 0, -1]


def test_errors(modules):
    _, more = modules
    memory = np.ones(5)
    options = [1.0] + [0.0] * (len(FUNCTIONS["sgd"].options) - 1)
    assert more.sgd_f64(options, 0, 4, memory.ctypes.data, memory.ctypes.data + 8, 0) == -3  # LRK_ERROR_OVERLAP
    assert memory.tolist() == [1.0] * 5
    growing, out = lk.exponential(1.0, 10.0), np.zeros(400)
    assert more.table(growing, 0, 400, out.ctypes.data) == (-2, 309)  # LRK_ERROR_OVERFLOW
    with pytest.raises(OverflowError, match="step 309"):
        more.plan(growing, 400, 0)
    with pytest.raises(ValueError, match=r"plan_of: horizon must be an integer from 1 to 2\*\*53; got 0"):
        more.plan(growing, 0, 0)
    with pytest.raises(TypeError, match="schedule must be a Schedule; got float"):
        more.plan(0.5, 10, 0)
    covered, at, value = more.plan(growing, 5, 10**6)
    assert not covered
    assert np.isnan([at, value]).all()
    assert more.plan(lk.constant(2.0), 1, 2**53) == (True, 2.0, 2.0)
