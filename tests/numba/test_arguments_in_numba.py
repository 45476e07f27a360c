"""lrkern.numba: errors of its functions, dependencies of their caches, and the error without a compiler."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher
from numba.core.errors import TypingError

import lrkern as lk
import lrkern.numba as ln
from lrkern import _core
from lrkern.numba import arrays
from lrkern.rules.one_array import all_functions
from lrkern.rules.rule import own_rules

ROOT = Path(__file__).parents[2]
STEPS = [name for name in ln.__all__ if name.endswith("_step")]


def read_only(*shape):
    array = np.ones(shape)
    array.setflags(write=False)
    return array


@pytest.mark.parametrize("name", STEPS)
def test_arguments_are_those_of_the_namesake(name):
    """The same order and defaults, except for required arguments."""
    mine, theirs = (inspect.signature(one).parameters for one in (getattr(ln, name).py_func, getattr(lk, name)))
    assert [*mine, "backend"] == [*theirs]
    for key, parameter in mine.items():
        if theirs[key].default is not inspect.Parameter.empty:
            assert repr(parameter.default) == repr(theirs[key].default), key


@pytest.mark.parametrize("wrong", [{"maximize": 2}, {"decoupled": 1}, {"nesterov": 0.5}, {"first": 0}])
def test_flags_are_true_or_false(wrong):
    p = np.ones(3)
    with pytest.raises(TypeError, match=f"^sgd_step: {next(iter(wrong))} must be True or False"):
        lk.sgd_step(p, p.copy(), lr=0.1, **wrong)
    with pytest.raises(Exception, match="lrkern: a flag must be True or False; got"):
        ln.sgd_step(p, p.copy(), lr=0.1, **wrong)
    assert (p == 1).all()


@pytest.mark.parametrize("wrong", [{"lr": True}, {"lr": "0.1"}, {"lr": 0.1, "weight_decay": False}])
def test_numbers_are_numbers(wrong):
    p = np.ones(3)
    with pytest.raises(TypeError, match=r"^sgd_step: "):
        lk.sgd_step(p, p.copy(), **wrong)
    with pytest.raises(Exception, match="lrkern: a number must be an integer or a float; got"):
        ln.sgd_step(p, p.copy(), **wrong)
    assert (p == 1).all()


@pytest.mark.parametrize("name", ["sgd_step", "lars_step"])
def test_a_rate_that_is_missing_is_told_as_missing(name):
    p = np.ones(3)
    for given in ({}, {"lr": np.nan}):
        with pytest.raises(ValueError, match=f"^{name}: lr must be given, a finite float32 number >= 0$"):
            getattr(ln, name)(p, p.copy(), np.zeros(3), **given)
    assert (p == 1).all()


@pytest.mark.parametrize("count", [2**53 + 1, -1, np.uint64(2**63)])
def test_counts_end_where_those_of_c_do(count):
    p, b = np.ones(3), np.zeros(3)
    with pytest.raises(ValueError, match=r"count must be an integer (>= 0|from 0 to 2\*\*53)"):
        lk.adagrad_step(p, p.copy(), b, count=count)
    with pytest.raises(ValueError, match=r"count must be an integer from 0 to 2\*\*53"):
        ln.adagrad_step(p, p.copy(), b, count=count)
    assert (p == 1).all()


def test_what_is_written_must_be_writable_and_contiguous():
    plan = lk.constant(0.5).plan()
    for out, words in (
        (read_only(3), "must be writable; got"),
        (np.ones((3, 4), order="F"), "out must be C-contiguous; got"),
        (np.ones(6)[::2], "out must be C-contiguous; got"),
        ([1.0], "out must be float64 or float32; got"),
    ):
        with pytest.raises(Exception, match=words):
            ln.fill(plan, out)
    with pytest.raises(Exception, match="must be writable; got"):
        ln.sgd_step(read_only(3), np.ones(3), lr=0.1)
    with pytest.raises(Exception, match="must be writable; got"):
        ln.lion_step(np.ones(3), np.ones(3), read_only(3), lr=0.1)
    p = np.ones(3)
    ln.sgd_step(p, read_only(3), lr=0.5)
    assert (p == 0.5).all()


def test_every_step_of_c_is_there_with_its_arrays():
    """Their numbers are read out of what Cython says of them."""
    names = {name for name in _core.__pyx_capi__ if name.startswith("lrk_step_") and name.endswith(("_f32", "_f64"))}
    assert set(ln.c.KERNELS) == names
    for one in all_functions(own_rules()):
        for suffix in ("f32", "f64"):
            arguments = ln.c.KERNELS[f"lrk_step_{one.name}_{suffix}"].sig.args
            assert len(arguments) == 5 + len(one.states) + len(one.scalar_states), one.name


# ------------------------------------------------------------------------------------------------------------- caches


def test_caches_know_all_sources():
    """Every file of lrkern's with compiled functions in it: else an edit would leave old code in use."""
    known = {name for name, _, _ in arrays._SOURCES}
    found, package = set(), Path(arrays.__file__).parent.parent
    for name, module in sys.modules.items():
        if name.startswith("lrkern.") and not name.startswith("lrkern.cuda"):
            own = [one for one in vars(module).values() if isinstance(one, Dispatcher) and one.py_func.__module__ == name]
            if own:
                found.add(str(Path(module.__file__).relative_to(package)))
    of_constants = {"_checks.py", "_loss_driven/dialects.py", "_loss_driven/runs.py", "schedules/plan.py"}
    some = {"rules/compiled.py", "pointwise/exact_sum.py", "pointwise/plan_eval.py", "numba/update.py"}
    assert some <= found <= known - of_constants
    assert of_constants <= known


AT = "import lrkern as lk, lrkern.numba as ln; ln.notice.LONG = 1e9; print(ln.at(lk.linear(1.0, 0.0, 4).plan(), 3))"


def run(program, **environment):
    return subprocess.run([sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True)


def test_a_full_disk_is_no_reason_to_fail(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)); "
    done = run(limit + AT, NUMBA_CACHE_DIR=str(tmp_path))
    assert (done.stdout, done.stderr) == ("0.25\n", "")
    assert not list(tmp_path.rglob("*.nbc"))


def test_caches_that_cannot_be_written_are_done_without(tmp_path):
    (tmp_path / "file").touch()
    done = run(AT, NUMBA_CACHE_DIR=str(tmp_path / "file" / "folder"))
    assert done.stdout == "0.25\n", done.stderr


# ---------------------------------------------------------------------------------------------------- no compiler


def test_a_compiler_that_is_switched_off_is_told():
    program = """
import lrkern as lk
print(lk.info()["backends"]["numba"])
try:
    lk.constant(1.0).table(3, backend="numba")
except ImportError as error:
    print(error)
import lrkern.numba
"""
    done = run(program, NUMBA_DISABLE_JIT="1")
    why = "lrkern.numba needs compiled code, which NUMBA_DISABLE_JIT switches off: unset it"
    told = f"Status(usable=False, about='{why}')\ntable: backend 'numba' cannot be used: {why}\n"
    assert done.stdout == told, done.stderr
    assert done.stderr.endswith(f"ImportError: {why}\n")


def test_a_compiler_that_is_missing_is_told():
    program = "import sys; sys.modules['numba'] = None; import lrkern.numba"
    done = run(program)
    assert done.stderr.endswith("ImportError: lrkern.numba needs numba: pip install 'lrkern[numba]'\n")


SQUARES = [  # states, and in which 16 bits which of them cannot be
    ("adam_step", ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"], {"count": 0}, ["float16"]),
    ("adamw_step", ["exp_avg", "exp_avg_sq"], {"count": 0}, ["float16"]),
    ("rmsprop_step", ["square_avg"], {}, ["float16"]),
    ("rmsprop_step", ["square_avg", "grad_avg"], {}, ["float16", "bfloat16"]),
    ("adagrad_step", ["sum"], {"count": 0}, ["float16"]),
    ("lamb_step", ["exp_avg", "exp_avg_sq"], {"count": 0}, ["float16"]),
]


ALLOWED = [one[:3] for one in SQUARES if "bfloat16" not in one[3]]
ALLOWED = [one if k % 2 == 0 else pytest.param(*one, marks=pytest.mark.exhaustive) for k, one in enumerate(ALLOWED)]


@pytest.mark.parametrize(("name", "states", "more"), ALLOWED, ids=str)
def test_squares_may_be_in_bfloat16(name, states, more):
    """All of them in one version, as each is compiled."""
    p, g = np.ones(3, np.float32), np.full(3, 1e-4, np.float32)
    getattr(ln, name)(p, g, *(np.zeros(3, np.uint16) for _ in states), lr=0.1, **more)
    assert (p != 1).all()
    assert np.isfinite(p).all()


# Types of a whole step are found out for each: one state of each rule in each type, so that each state occurs.
FIRST = [2, 1, 0, 0, 0, 0]
REFUSED = [
    pytest.param(name, states, more, dtype, k, marks=[] if k == (first + j) % len(states) else [pytest.mark.exhaustive])
    for first, (name, states, more, unfit) in zip(FIRST, SQUARES, strict=True)
    for j, dtype in enumerate(unfit)
    for k in range(len(states))
]


@pytest.mark.parametrize(("name", "states", "more", "dtype", "k"), REFUSED, ids=str)
def test_squares_are_in_no_16_bits_that_lose_them(name, states, more, dtype, k):
    """What the namesakes in lrkern refuse, in their words."""
    carriers = {"float16": np.int16, "bfloat16": np.uint16}
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtypes = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
    p, g = np.ones(3, np.float32), np.full(3, 1e-4, np.float32)
    arrays = [np.zeros(3, dtypes[dtype] if i == k else np.float32) for i in range(len(states))]
    bits = [one.view(carriers[dtype]) if i == k else one for i, one in enumerate(arrays)]
    with pytest.raises(TypeError, match=f"^{name}: {states[k]} must not be {dtype}, ") as theirs:
        getattr(lk, name)(p, g, *arrays, lr=0.1, **more)
    with pytest.raises(TypingError) as mine:
        getattr(ln, name)(p, g, *bits, lr=0.1, **more)
    assert str(theirs.value) in str(mine.value)
    assert (p == 1).all()


def test_float16_holds_what_is_no_square():
    p, g, b = np.ones(3, np.float32), np.ones(3, np.float32), np.zeros(3, np.int16)
    ln.sgd_step(p, g, b, lr=0.5, momentum=0.5, first=True)
    ln.lion_step(p, g, b, lr=0.5)
    ln.lars_step(p, g, b, lr=0.5)
    assert b.all()
