"""Loss-driven schedules on compiled Python, of many runs and metric by metric: the bits of C in every dialect."""

from __future__ import annotations

import inspect
import itertools

import numpy as np
import pytest
import reference_scan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from isas import running
from numba import njit, prange
from test_scan import ARGUMENTS, CASES, DIALECTS, IDS, KL_CASES, LANES, divergences, losses, metric, rate
from ulp import assert_same_bits

import lrkern as lk
import lrkern.numba as ln
from lrkern import _core, backends
from lrkern.numba import plateau_arguments, scan_rules

# ------------------------------------------------------------------------------------------------------------ many runs


def test_rules_are_those_of_c():
    assert scan_rules.ScanParams._fields == _core.SCAN_PARAMS
    assert scan_rules.ScanState._fields == _core.SCAN_STATE
    assert tuple(scan_rules.KINDS) == _core.SCAN_RULES
    assert set(ln.BACKEND.scans) == set(backends.choose("f", "c").scans) == {*_core.SCAN_RULES, "loss_driven"}


def metrics_for(options, runs, steps):
    metrics = losses(runs, steps, len(str(options)))
    if options.get("window"):
        metrics[::2] = np.nan_to_num(metrics[::2], nan=0.5, posinf=2.0, neginf=0.1)  # a NaN never leaves a running sum
    return metrics


# Whatever the dialect, the code is the same: what is compiled for each is the set of arguments that it has.
COMPILED = ("torch", "optax")
OF_DIALECTS = [
    pytest.param(*case, id=label, marks=[] if case[0] in COMPILED else [pytest.mark.exhaustive])
    for case, label in zip(CASES, IDS, strict=True)
]


@pytest.mark.parametrize(("dialect", "options"), OF_DIALECTS)
def test_every_dialect(dialect, options):
    metrics = metrics_for(options, LANES + 3, 100)
    expected = lk.plateau(metrics, 0.1, dialect=dialect, **options, backend="c")
    assert_same_bits(lk.plateau(metrics, 0.1, dialect=dialect, **options, backend="numba"), expected)


SIZES = [(0, 5), (5, 0), (1, 1), (2, 3), (LANES - 1, 63), (LANES, 64), (LANES + 1, 65), (3 * LANES + 1, 130)]
SOME = [
    ("torch", {"patience": 2, "cooldown": 1, "min_lr": 1e-4, "factor": 0.7}),
    ("mmengine", {"begin": 4, "end": 30, "patience": 1}),
    ("keras", {"patience": 2, "factor": 0.7}),
    ("optax", {"patience": 1, "accumulate": 3, "factor": 0.7}),
    ("transformers", {"patience": 1, "window": 70, "min_lr": 0.05, "factor": 0.8}),
    ("paddle", {"patience": 1, "cooldown": 2, "factor": 0.7, "threshold_mode": "abs", "mode": "max"}),
    ("speechbrain", {"patience": 1, "factor": 0.7}),
    ("speechbrain_plateau", {"patience": 1, "factor": 0.7, "warmup": 2, "min_lr": 0.01}),
]


IN_SINGLE = [(*SOME[0], np.float32), pytest.param(*SOME[4], np.float32, marks=pytest.mark.exhaustive)]


@pytest.mark.parametrize(("dialect", "options", "dtype"), [*[(*one, np.float64) for one in SOME], *IN_SINGLE])
def test_sizes_and_layouts(dialect, options, dtype):
    """Rows further apart than they are long, and not to be written; numbers per run."""
    for runs, steps in SIZES:
        wide = metrics_for(options, runs, steps + 3).astype(dtype)
        wide.setflags(write=False)
        start = np.linspace(0.1, 1.0, runs)
        expected = lk.plateau(wide[:, :steps], start, dialect=dialect, **options)
        assert_same_bits(lk.plateau(wide[:, :steps], start, dialect=dialect, **options, backend="numba"), expected)
    assert len(np.unique(expected)) > 2 * runs


@pytest.mark.parametrize(("dialect", "options"), [SOME[0], pytest.param(*SOME[4], marks=pytest.mark.exhaustive)])
def test_threads(dialect, options):
    """So many metrics that threads share them; arguments that differ from run to run, and the array that is given."""
    metrics, patience = np.tile(metrics_for(options, 111, 300), (4, 1)), np.arange(444) % 7
    options = options | {"patience": patience}
    for threads in (1, 3):
        out = np.zeros(metrics.shape)
        with running(lk.isas()[-1], threads):
            assert _core.scan_in_parallel(metrics.size) == (threads > 1)
            assert lk.plateau(metrics, 0.1, dialect=dialect, **options, backend="numba", out=out) is out
        assert_same_bits(out, lk.plateau(metrics, 0.1, dialect=dialect, **options))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_loss_driven(dtype):
    for runs, steps in (*SIZES, (300, 250)):
        rows, decay = losses(runs, steps + 3, 3).astype(dtype)[:, :steps], 0.9 + np.arange(runs) % 5 / 100
        found = lk.loss_driven(rows, 0.3, decay, backend="numba")
        assert_same_bits(found, lk.loss_driven(rows, 0.3, decay, backend="c"))
    assert 100 < np.count_nonzero(found[0] == lk.exponential(0.3, 0.9).table(250)) < 200


# ------------------------------------------------------------------------------------------------------ metric by metric


@pytest.mark.parametrize(("dialect", "options"), KL_CASES, ids=str)
def test_kl_adaptive(dialect, options):
    kl = divergences(2 * LANES + 3, 100, 5)
    expected = lk.kl_adaptive(kl, 0.003, dialect=dialect, **options, backend="c")
    assert_same_bits(lk.kl_adaptive(kl, 0.003, dialect=dialect, **options, backend="numba"), expected)


def all_options(dialect, options):
    """Every argument of the dialect, counts as floats: the functions are compiled once for each dialect."""
    given = reference_scan.DEFAULTS[dialect] | {name: value for name, value in options.items() if value is not None}
    return {name: float(value) if isinstance(value, int) else value for name, value in given.items() if value is not None}


def test_arguments_are_those_of_plateau():
    names = [name for name in inspect.signature(ln.plateau_start.py_func).parameters if name != "dialect"]
    assert tuple(names) == plateau_arguments.ARGUMENTS
    assert ["metrics", *inspect.signature(ln.plateau_start.py_func).parameters] == [
        *inspect.signature(ln.plateau.py_func).parameters
    ]
    own = [name for name in inspect.signature(lk.plateau).parameters if name not in ("metrics", "out", "backend", "more")]
    assert [*names[:9], "dialect"] == own


AT_FIRST = [pytest.param(one, marks=[] if one in COMPILED else [pytest.mark.exhaustive]) for one in DIALECTS]


@pytest.mark.parametrize("dialect", AT_FIRST)
def test_every_dialect_metric_by_metric(dialect):
    tried = 0
    for name, options in CASES:
        if name == dialect:
            metrics = metrics_for(options, 3, 100)
            expected = lk.plateau(metrics, 0.1, dialect=dialect, **options)
            given = all_options(dialect, options)
            assert_same_bits(ln.plateau(metrics, 0.1, dialect=dialect, **given), expected, str(options))
            tried += len(np.unique(expected)) > 3
    assert tried > 10


def test_defaults_are_those_of_the_dialect():
    metrics = losses(1, 100, 1)[0]
    for dialect in DIALECTS:  # the word is known when it runs only: compiled once for them all
        assert_same_bits(ln.plateau(metrics, 0.1, dialect=dialect), lk.plateau(metrics, 0.1, dialect=dialect))


@st.composite
def calls(draw, dialects):
    dialect = draw(st.sampled_from(dialects))
    optional = {"window": st.integers(1, 6), "end": st.integers(6, 30)}
    options = {
        name: draw(optional.get(name, ARGUMENTS[name])) for name in reference_scan.DEFAULTS[dialect] if name in ARGUMENTS
    }
    if dialect == "optax":  # or a threshold
        options["atol"] = draw(ARGUMENTS["atol"])
    return draw(st.lists(metric, max_size=60)), draw(rate), dialect, options


@pytest.mark.parametrize("dialects", [COMPILED, pytest.param(DIALECTS, marks=pytest.mark.exhaustive)], ids=["some", "all"])
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_calls(dialects, data):
    call = data.draw(calls(dialects))
    metrics, start, dialect, options = call
    metrics = np.array(metrics, float)
    expected = lk.plateau(metrics, start, dialect=dialect, **options)
    assert_same_bits(lk.plateau(metrics, start, dialect=dialect, **options, backend="numba"), expected)
    assert_same_bits(ln.plateau(metrics, start, dialect=dialect, **all_options(dialect, options)), expected)


@njit(parallel=True, fastmath=True)
def rates(metrics):
    """One thread per run; `plateau_update` does not change the given state."""
    out, again = np.empty(metrics.shape), np.empty(len(metrics))
    for run in prange(len(metrics)):
        state = ln.plateau_start(0.1, dialect="transformers", window=4, patience=1, min_lr=0.05, factor=0.8)
        for t in range(metrics.shape[1]):
            before = state
            state = ln.plateau_update(before, metrics[run, t])
            out[run, t] = state.lr
            again[run] = ln.plateau_update(before, metrics[run, t]).lr
            if again[run] != out[run, t]:
                out[run, t] = -1.0
    return out


def test_in_a_parallel_loop():
    metrics = np.nan_to_num(losses(6, 60, 2), nan=0.5, posinf=2.0, neginf=0.1)
    expected = lk.plateau(metrics, 0.1, dialect="transformers", window=4, patience=1, min_lr=0.05, factor=0.8)
    assert len(np.unique(expected)) > 10
    assert_same_bits(rates(metrics), expected)


WRONG = [
    *itertools.product(["torch"], [("factor", 1.0), ("factor", -0.1), ("patience", 1.5), ("mode", "low"), ("min_lr", np.nan)]),
    *itertools.product(["keras"], [("precision", "float16"), ("threshold", np.inf), ("cooldown", 2.0**53 + 2)]),
    *itertools.product(["optax"], [("factor", 0.0), ("threshold", 1.5), ("accumulate", 0.0), ("atol", -1.0)]),
]


@pytest.mark.parametrize(("dialect", "argument"), WRONG)
def test_errors_are_those_of_plateau(dialect, argument):
    """The same text without the offending value."""
    name, value = argument
    given = all_options(dialect, {}) | {name: value}
    with pytest.raises(ValueError, match=f"^plateau: {name} must be") as found:
        ln.plateau_start(0.1, dialect=dialect, **given)
    with pytest.raises((TypeError, ValueError)) as expected:
        lk.plateau(np.ones(3), 0.1, dialect=dialect, **{name: value})
    assert str(expected.value).startswith(f"{found.value}") or name == "cooldown"  # names its upper bound only if exceeded


@pytest.mark.parametrize(
    ("dialect", "given"),
    [("mmengine", {"begin": 3, "end": 2}), ("optax", {"threshold": 0.0, "atol": 0.0}), ("keras", {"end": 4})],
)
def test_errors_about_several_arguments(dialect, given):
    with pytest.raises((TypeError, ValueError)) as found:
        ln.plateau_start(0.1, dialect=dialect, **given)
    with pytest.raises(type(found.value)) as expected:
        lk.plateau(np.ones(3), 0.1, dialect=dialect, **given)
    assert str(found.value).split(" than begin")[0] in str(expected.value)


def test_the_start_has_no_default():
    for call in (lambda: ln.plateau_start(None), lambda: ln.plateau(np.ones(3), None)):
        with pytest.raises(TypeError, match=r"^plateau: start must be"):
            call()


def test_arguments_that_a_dialect_does_not_have():
    with pytest.raises(ValueError, match=r"^plateau: dialect must be 'torch', 'keras', .* or 'speechbrain_plateau'$"):
        ln.plateau_start(0.1, dialect="pytorch")
    with pytest.raises(
        TypeError, match=r"^plateau: dialect 'keras' has no argument eps; it has factor, patience, threshold, mode"
    ):
        ln.plateau_start(0.1, dialect="keras", eps=0.1)
    with pytest.raises(ValueError, match=r"^plateau: threshold or atol must be > 0 in dialect 'optax'"):
        ln.plateau_start(0.1, dialect="optax", **(all_options("optax", {}) | {"threshold": 0.0}))
    with pytest.raises(ValueError, match=r"^plateau: end must be larger than begin"):
        ln.plateau_start(0.1, dialect="mmengine", **(all_options("mmengine", {"begin": 3, "end": 3})))
    with pytest.raises(Exception, match="an argument of plateau must be an integer, a float or a string; got bool"):
        ln.plateau_start(0.1, patience=True)
