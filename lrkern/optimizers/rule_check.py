"""`lrkern.rules.check`: runs a rule of the user's own through what lrkern's rules are tested with."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from ctypes import CDLL, Structure, byref, c_double, c_int64, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lrkern import backends, runtime
from lrkern.backends.engine import StepTensors
from lrkern.optimizers.own_rules import OwnRule
from lrkern.rules import exactly
from lrkern.rules.reader import MAX_SCALAR_STATES

_SIZES = (0, 1, 2, 7, 31, 33, 64, 1031)
_LARGE = 70_001
"""Elements enough for several threads."""


@dataclass
class Report:
    """What a check found. It is true if nothing failed."""

    rule: str
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.failed

    def __str__(self) -> str:
        lines = [f"rule {self.rule}"]
        for word, found in (("ok", self.passed), ("FAILED", self.failed), ("skipped", self.skipped)):
            lines += [f"  {word:8}{one}" for one in found]
        return "\n".join(lines)


class _Failure(Exception):
    """A check that did not pass."""


def check(rule: OwnRule, seed: int = 0, quiet: bool = False) -> Report:
    """Check a rule: its backends against each other and against its own formula, its state, and skipped steps.

    Numbers are random: each option is drawn around its default. All comparisons are of bits.

    - formula: each operation on elements exact and then rounded once, float32 and float64 (not for rules with norms);
    - sizes, threads, storage: arrays of 0 to 70,001 elements, 1 and 2 threads, parameters in bfloat16 and float16;
    - Numba: the same steps by that backend, which compiles the rule by itself;
    - C: the code of `rule.c_source()`, if a C compiler is found (the environment's CC, or cc, gcc, clang);
    - CUDA: the same steps on a GPU, if there is one;
    - state: an optimizer that continues from `state_dict`, and from a file, as if it had not stopped;
    - skips: a step that is skipped changes no byte.

    Args:
        rule: from `lrkern.rule`.
        seed: of the random numbers.
        quiet: do not print the report.

    Returns:
        A report, true if nothing failed: lists of sentences `passed`, `failed` and `skipped`.

    Raises:
        TypeError: `rule` is not from `lrkern.rule`.
        ImportError: llvmlite is missing.
    """
    if not isinstance(rule, OwnRule):
        raise TypeError(f"check: rule must be from lrkern.rule; got {rule!r}")
    rule.prepare_c("check")
    report = Report(rule.name)
    for name, run in _CHECKS.items():
        try:
            told = run(rule, np.random.default_rng([seed, *name.encode()]))
        except _Failure as failure:
            report.failed.append(f"{name}: {failure}")
        except ImportError as error:  # of an extra
            report.skipped.append(f"{name}: {error}")
        else:
            (report.skipped if told.startswith("no ") else report.passed).append(f"{name}: {told}")
    if not quiet:
        print(report, file=sys.stdout)
    return report


# ------------------------------------------------------------------------------------------------------------- random steps


def _inputs(rule: OwnRule, rng: np.random.Generator) -> dict[str, float]:
    """Numbers around the defaults, flags as they come."""
    found: dict[str, float] = {}
    for one in rule.hypers:
        if one.is_flag:
            found[one.name] = float(rng.integers(2))
        elif one.default is inspect.Parameter.empty:
            found[one.name] = float(10 ** rng.uniform(-4, -0.5))
        elif one.default == 0:
            found[one.name] = float(rng.choice([0.0, rng.uniform(0.0, 0.3)]))
        else:
            found[one.name] = float(one.default * rng.uniform(0.5, 1.0))
    return found


@dataclass
class _Run:
    """A few steps of one array."""

    inputs: dict[str, float]
    param: Any
    states: list[Any]
    grads: list[Any]
    scalars: list[float] = field(default_factory=list)
    """The scalar states."""

    @classmethod
    def random(cls, rule: OwnRule, rng: np.random.Generator, size: int, dtype: Any, special: bool = False) -> _Run:
        """Random numbers of many sizes; `special`: with zeros, an infinity and a NaN."""
        grads = [rng.standard_normal(size).astype(dtype) * dtype(10.0 ** rng.integers(-3, 3)) for _ in range(3)]
        if special and size >= 5:
            grads[1][:5] = [0.0, -0.0, np.inf, np.nan, 1e-38]
        states = [np.full(size, rule.initial.get(state, 0.0), dtype) for state in rule.states]
        scalars = [0.0] * len(rule.scalar_states)
        return cls(_inputs(rule, rng), rng.standard_normal(size).astype(dtype), states, grads, scalars)

    def copy(self) -> _Run:
        return _Run(self.inputs, self.param.copy(), [one.copy() for one in self.states], self.grads, [*self.scalars])

    def arrays(self) -> dict[str, Any]:
        found = {"the parameter": self.param, **{f"state {k}": one for k, one in enumerate(self.states)}}
        return found | ({"the scalar states": np.array(self.scalars)} if self.scalars else {})

    def by_engine(self, rule: OwnRule, backend: str = "c") -> _Run:
        """The steps by a backend."""
        chosen = backends.choose("check", backend)
        given = [chosen.arrays.as_array("check", "array", one, written=True) for one in (self.param, *self.states)]
        states = {name: [one] for name, one in zip(rule.states, given[1:], strict=True)}
        made_of = StepTensors("check", lambda kind, i: kind, given[:1], [rule.key], [0], states)
        engine = chosen.StepList(made_of._replace(as_gradient=chosen.arrays.as_dense_gradient))
        for place, one in enumerate(rule.parts(rule.key).hypers):
            engine.set_input(0, place, self.inputs[one.name])
        engine.publish()
        for grad in self.grads:
            engine.run([grad], 1.0)
        self.scalars = list(engine.get_scalar_states()[0][: len(self.scalars)])
        return self


def _same(what: str, one: _Run, other: _Run, names: Sequence[str]) -> None:
    """Raise at the first element that differs in a bit; NaN equals NaN."""
    for (name, a), b in zip(one.arrays().items(), other.arrays().values(), strict=True):
        differs = np.flatnonzero((a.view(f"u{a.itemsize}") != b.view(f"u{b.itemsize}")) & ~((a != a) & (b != b)))
        if differs.size:
            k = int(differs[0])
            name = names[int(name[6:])] if name.startswith("state ") else name
            options = ", ".join(f"{name}={value:.6g}" for name, value in one.inputs.items())
            raise _Failure(f"element {k} of {name} is {a[k]!r}, {what} {b[k]!r} ({differs.size} of {a.size} differ; {options})")


# ------------------------------------------------------------------------------------------------------------------- checks


def _formula(rule: OwnRule, rng: np.random.Generator) -> str:
    count = 0
    for dtype in (np.float32, np.float64):
        for _ in range(6):
            run = _Run.random(rule, rng, 37, dtype, special=True)
            expected = run.copy()
            run.by_engine(rule)
            for n, grad in enumerate(expected.grads, 1):
                expected.param, expected.states, expected.scalars = exactly.step(
                    rule, rule.key, expected.inputs, n, expected.param, grad, expected.states, expected.scalars
                )
            _same("by its formula", run, expected, rule.states)
            count += run.param.size * len(run.grads)
    return f"{count} updates of elements are its operations, each rounded once"


def _sizes(rule: OwnRule, rng: np.random.Generator) -> str:
    if rule.parts(rule.key).needs_norms:
        return "no check, because the rule looks at whole tensors"
    whole = _Run.random(rule, rng, max(_SIZES), np.float32)
    expected = whole.copy().by_engine(rule)
    for size in _SIZES:
        grads = [one[:size].copy() for one in whole.grads]
        part = _Run(whole.inputs, whole.param[:size].copy(), [one[:size].copy() for one in whole.states], grads, whole.scalars)
        cut = _Run(whole.inputs, expected.param[:size], [one[:size] for one in expected.states], [], expected.scalars)
        _same(f"within {max(_SIZES)} elements", part.by_engine(rule), cut, rule.states)
    return f"arrays of {', '.join(map(str, _SIZES))} elements"


def _threads(rule: OwnRule, rng: np.random.Generator) -> str:
    run, before = _Run.random(rule, rng, _LARGE, np.float32), runtime.get_threads()
    results = []
    try:
        for threads in (1, 2):
            runtime.set_threads(threads)
            results.append(run.copy().by_engine(rule))
    finally:
        runtime.set_threads(before)
    _same("with two threads", results[0], results[1], rule.states)
    return f"the same bits with 1 and 2 threads, {_LARGE} elements"


def _storage(rule: OwnRule, rng: np.random.Generator) -> str:
    run = _Run.random(rule, rng, 1031, np.float32)
    run.grads = run.grads[:1]
    in_half = run.param.astype(np.float16)
    narrow, wide = run.copy(), run.copy()
    narrow.param, wide.param = in_half.copy(), in_half.astype(np.float32)
    narrow.by_engine(rule)
    wide.by_engine(rule)
    with np.errstate(over="ignore"):
        wide.param = wide.param.astype(np.float16)
    _same("rounded from float32", narrow, wide, rule.states)
    return "a float16 parameter is computed in float32 and rounded once"


def _in_numba(rule: OwnRule, rng: np.random.Generator) -> str:
    if not backends.status("numba").usable:
        return "no Numba can be used here"
    for dtype in (np.float32, np.float64):
        run = _Run.random(rule, rng, 1031, dtype, special=True)
        _same("by Numba", run.copy().by_engine(rule), run.copy().by_engine(rule, "numba"), rule.states)
    return "the backend has the same bits, float32 and float64"


def _compiler() -> str | None:
    return next((found for one in (os.environ.get("CC"), "cc", "gcc", "clang") if one and (found := shutil.which(one))), None)


def _in_c(rule: OwnRule, rng: np.random.Generator) -> str:
    compiler = _compiler()
    if compiler is None:
        return "no C compiler was found"
    with tempfile.TemporaryDirectory() as folder:
        for dtype in (np.float32, np.float64):
            library = _library(compiler, rule, np.dtype(dtype).name, Path(folder))
            for size in (37, 1031):
                run = _Run.random(rule, rng, size, dtype, special=True)
                _same("in C", run.copy().by_engine(rule), _by_library(library, rule, run), rule.states)
    return f"c_source() has the same bits, float32 and float64 ({Path(compiler).name})"


def _library(compiler: str, rule: OwnRule, dtype: str, folder: Path) -> CDLL:
    source, made = folder / f"{dtype}.c", folder / f"{dtype}.so"
    source.write_text(rule.c_source(dtype))
    flags = ["-std=c11", "-O2", "-ffp-contract=off", "-shared", "-fPIC", f"-I{runtime.get_include()}"]
    done = subprocess.run([compiler, *flags, str(source), "-o", str(made), "-lm"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise _Failure(f"{compiler}: {done.stderr.strip()[:500]}")
    return CDLL(str(made))


def _by_library(library: CDLL, rule: OwnRule, run: _Run) -> _Run:
    """The steps by compiled C."""
    parts, suffix = rule.parts(rule.key), "f32" if run.param.dtype == np.float32 else "f64"

    class Inputs(Structure):
        _fields_ = [(one.name, c_double) for one in parts.hypers] or [("unused", c_double)]

    class Tensor(Structure):
        _fields_ = [
            ("n", c_int64), ("norm", c_double), ("measured", c_double), ("size", c_double),
            ("states", c_double * MAX_SCALAR_STATES),
        ]  # fmt: skip

    inputs = Inputs(*(run.inputs[one.name] for one in parts.hypers))
    size = c_int64(run.param.size)
    for n, grad in enumerate(run.grads, 1):
        arrays = [one.ctypes.data_as(c_void_p) for one in (run.param, grad, *run.states)]
        tensor = Tensor(n, 1.0, 1.0, float(run.param.size))
        tensor.states[: len(run.scalars)] = run.scalars
        if parts.needs_norms:
            measured = np.empty_like(run.param)
            out = measured.ctypes.data_as(c_void_p)
            getattr(library, f"{rule.name}_measure_{suffix}")(size, *arrays, out, byref(inputs), byref(tensor))
            tensor.norm = exactly.norm_of(run.param.tolist())
            tensor.measured = (exactly.sum_of if parts.measures_sum else exactly.norm_of)(measured.tolist())
        getattr(library, f"{rule.name}_update_{suffix}")(size, *arrays, byref(inputs), byref(tensor))
        if run.scalars:
            new = (c_double * MAX_SCALAR_STATES)()
            getattr(library, f"{rule.name}_scalar_states")(byref(inputs), byref(tensor), new)
            run.scalars = new[: len(run.scalars)]
    return run


def _on_device(rule: OwnRule, rng: np.random.Generator) -> str:
    status = backends.status("cuda")
    if not status.usable:
        return "no GPU can be used here"
    for dtype in (np.float32, np.float64):
        run = _Run.random(rule, rng, _LARGE, dtype)
        _same("on the GPU", run.copy().by_engine(rule), _by_device(rule, run), rule.states)
    return "the same bits"


def _by_device(rule: OwnRule, run: _Run) -> _Run:
    chosen = backends.choose("check", "cuda")
    from numba import cuda

    on_device = _Run(run.inputs, *(cuda.to_device(run.param), [cuda.to_device(one) for one in run.states]), [], [*run.scalars])
    on_device.grads = [cuda.to_device(one) for one in run.grads]
    on_device.by_engine(rule, "cuda")
    copy = chosen.arrays.in_cpu_memory
    as_array = chosen.arrays.as_array
    param, *states = (copy(as_array("check", "array", one, written=False)) for one in (on_device.param, *on_device.states))
    return _Run(run.inputs, param, states, run.grads, on_device.scalars)


def _optimizers(rule: OwnRule, rng: np.random.Generator, **shared: Any) -> Iterator[tuple[Any, list[Any], list[list[Any]]]]:
    """Two optimizers with their parameters and gradients of six steps, all alike."""
    options: dict[str, Any] = {
        one.name: bool(value) if one.is_flag else value
        for one, value in zip(rule.hypers, _inputs(rule, rng).values(), strict=True)
    }
    first = [rng.standard_normal((3, 5)).astype(np.float32), rng.standard_normal(17).astype(np.float32)]
    grads = [[rng.standard_normal(one.shape).astype(np.float32) for one in first] for _ in range(6)]
    for _ in range(2):
        params = [one.copy() for one in first]
        yield rule.Optimizer(params, **options, **shared), params, grads


def _state(rule: OwnRule, rng: np.random.Generator) -> str:
    def equal(way: str, resume: Callable[[Any, Any], None]) -> None:
        (opt, params, grads), (other, others, _) = _optimizers(rule, rng, clip_norm=10.0)
        for grad in grads[:3]:
            opt.step(grad)
        for own, saved in zip(others, params, strict=True):
            own[...] = saved
        resume(opt, other)
        for grad in grads[3:]:
            opt.step(grad)
            other.step(grad)
        for k, (a, b) in enumerate(zip(params, others, strict=True)):
            if a.tobytes() != b.tobytes():
                raise _Failure(f"params[{k}] differs after three steps that follow {way}")

    def by_file(opt: Any, other: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state"
            opt.save(path)
            other.load(path)

    equal("load_state_dict", lambda opt, other: other.load_state_dict(opt.state_dict()))
    equal("load", by_file)
    return "resuming from state_dict and from a file continues to the bit"


def _skips(rule: OwnRule, rng: np.random.Generator) -> str:
    (opt, params, grads), _ = _optimizers(rule, rng, skip_nonfinite=True)
    opt.step(grads[0])
    before, state = [one.tobytes() for one in params], opt.state_dict()
    grads[1][1][3] = np.nan
    opt.step(grads[1])
    after = opt.state_dict()
    if before != [one.tobytes() for one in params]:
        raise _Failure("a skipped step wrote to a parameter")
    for name in rule.states:
        for a, b in zip(state[f"{name}s"], after[f"{name}s"], strict=True):
            if a.tobytes() != b.tobytes():
                raise _Failure(f"a skipped step wrote to {name}")
    if (after["count"], after["skipped"]) != (state["count"], state["skipped"] + 1):
        raise _Failure("a skipped step was counted as a step")
    return "a skipped step changes no byte"


_CHECKS: dict[str, Callable[[OwnRule, np.random.Generator], str]] = {
    "formula": _formula,
    "sizes": _sizes,
    "threads": _threads,
    "storage": _storage,
    "Numba": _in_numba,
    "C": _in_c,
    "CUDA": _on_device,
    "state": _state,
    "skips": _skips,
}
