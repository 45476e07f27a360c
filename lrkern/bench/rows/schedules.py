"""Schedules: whole tables, single steps, arrays of steps, compilation, grids."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lrkern as lk
from lrkern.bench.curves import BY_NAME, CURVES, END, PEAK, Curve
from lrkern.bench.rivals import limits, peers
from lrkern.bench.rivals.limits import STREAMING
from lrkern.bench.timing import buffers, checks
from lrkern.bench.timing.race import Contestant, Race
from lrkern.bench.timing.result import SUBJECT
from lrkern.bench.timing.row import Contest, Row
from lrkern.bench.timing.sizes import Sizes
from lrkern.bench.timing.threads import one_thread

EVERY = tuple(curve.name for curve in CURVES)
WITH_TWINS = tuple(sorted((curve.name for curve in CURVES if curve.loop and curve.array), key="cosine".__eq__))


# --------------------------------------------------------------------------------------------- tables beyond the caches


def race_fill(case: str, sizes: Sizes, dtype: type = np.float64) -> Race:
    """A curve, in one of two precisions."""
    return fill_race(BY_NAME[case], sizes.fill, sizes, dtype)


def fill_race(curve: Curve, n: int, sizes: Sizes, dtype: type) -> Race:
    """Build, compile and fill, against the bare stores."""
    threads = lk.get_threads()
    out = buffers.output(n, dtype)

    def fill() -> None:
        curve.build(n, PEAK).table(n, out=out)

    def check() -> None:
        fill()
        checks.table(curve.build(n, PEAK), out, sizes.points, curve.twin(n, PEAK))

    rival = Contestant(STREAMING, lambda: limits.fill_streaming(out, PEAK, threads), n)
    rounds = sizes.rounds if dtype is np.float64 else sizes.slow_rounds
    return Race(Contestant(SUBJECT, fill, n), [rival], rounds, check)


CYCLE = 100  # steps
SHORT = tuple(f"{dtype}, gain {gain:g}" for gain in (0.999, 1.0) for dtype in ("float32", "float64"))


def race_short_cycles(case: str, sizes: Sizes) -> Race:
    """Short warm restarts. With gain 1, all cycles are alike; else each is compiled by itself, which takes far longer."""
    dtype, _, gain = case.partition(", gain ")
    curve = Curve(case, lambda n, a: lk.warm_restarts(a, END, CYCLE, growth=1.0, gain=float(gain)))
    return fill_race(curve, sizes.fill if gain == "1" else sizes.numpy, sizes, getattr(np, dtype))


def peers_entries(case: str, sizes: Sizes) -> dict[str, Callable[[], Contestant]]:
    """The same fill against hand-written code, each rival at a suitable length."""
    curve = BY_NAME[case]
    entries: dict[str, Callable[[], Contestant]] = {
        SUBJECT: partial(our_fill, curve, sizes),
        "NumPy": partial(numpy_rival, curve, sizes.fill if curve.name == "cosine" else sizes.numpy),
        "Python loop": partial(loop_rival, curve, sizes.loop),
    }
    if peers.available("numba"):
        entries["Numba loop"] = partial(numba_rival, curve, sizes.numpy)
    if peers.available("optax") and curve.name in peers.OPTAX:
        entries["optax jit"] = partial(optax_rival, curve, sizes.numpy)
    if peers.available("torch") and curve.name in peers.TORCH:
        entries["torch scheduler"] = partial(torch_rival, curve, sizes.torch)
    return entries


def our_fill(curve: Curve, sizes: Sizes) -> Contestant:
    """Build, compile and fill."""
    n = sizes.fill
    out = buffers.output(n)

    def fill() -> None:
        curve.build(n, PEAK).table(n, out=out)

    def check() -> None:
        fill()
        checks.table(curve.build(n, PEAK), out, sizes.points, curve.twin(n, PEAK))

    return Contestant(SUBJECT, fill, n, check=check)


def rival(name: str, curve: Curve, run: Callable[[], Any], n: int, ulps: int, prepare: Any = None) -> Contestant:
    """A rival whose values must be those of lrkern within `ulps`, its error bound in ULP of the largest value."""

    def check() -> None:
        if prepare is not None:
            prepare()
        checks.alike(curve.build(n, PEAK).table(n), np.asarray(run()), ulps, f"{curve.name}: {name}")

    return Contestant(name, run, n, prepare, check=check)


def numpy_rival(curve: Curve, n: int) -> Contestant:
    """One expression of the array of all steps."""
    assert curve.array is not None
    expression = curve.array(n, PEAK)
    return rival("NumPy", curve, lambda: expression(np.arange(n, dtype=np.float64)), n, checks.NAIVE_ULP)


def loop_rival(curve: Curve, n: int) -> Contestant:
    """A list comprehension over the naive function."""
    assert curve.loop is not None
    at = curve.loop(n, PEAK)
    return rival("Python loop", curve, lambda: [at(t) for t in range(n)], n, checks.NAIVE_ULP)


def numba_rival(curve: Curve, n: int) -> Contestant:
    """The naive loop, compiled; into an existing array."""
    assert curve.loop is not None
    fill, out = peers.numba_loop(curve.loop(n, PEAK)), np.full(n, PEAK)

    def run() -> NDArray[np.float64]:
        fill(out)
        return out

    return rival("Numba loop", curve, run, n, checks.NAIVE_ULP)


def optax_rival(curve: Curve, n: int) -> Contestant:
    """optax under jit, on an array of steps."""
    return rival("optax jit", curve, peers.optax_values(curve.name, n, PEAK, n), n, checks.FLOAT32_ULP)


def torch_rival(curve: Curve, n: int) -> Contestant:
    """A torch scheduler, step by step."""
    steps = peers.TorchSteps(curve.name, n, PEAK, n)
    return rival("torch scheduler", curve, steps.run, n, checks.RECURSION_ULP, steps.prepare)


# --------------------------------------------------------------------------------------------- tables within the caches


def race_cached(case: str, sizes: Sizes) -> Race:
    """One schedule's table, repeatedly and on one thread, so that neither memory nor compilation nor waking matters."""
    n, schedule = sizes.cached, BY_NAME[case].build(sizes.cached, PEAK)
    out = np.full(n, PEAK)

    def fill() -> None:
        schedule.table(n, out=out)

    def check() -> None:
        fill()
        checks.table(schedule, out, sizes.points, BY_NAME[case].twin(n, PEAK))

    rival = Contestant("ndarray.fill", lambda: out.fill(PEAK), n, repeats=sizes.repeats)
    subject = Contestant(SUBJECT, fill, n, repeats=sizes.repeats)
    return Race(subject, [rival], sizes.rounds, check, after=one_thread())


# --------------------------------------------------------------------------------------------------------- single steps


def race_scalar(case: str, sizes: Sizes) -> Race:
    """s(t) for one Python integer at a time, in random order, with the loop around the calls."""
    n, curve = sizes.compile_steps, BY_NAME[case]
    schedule, rivals = curve.build(n, PEAK), []
    array = np.random.default_rng(2).integers(0, n, sizes.calls)
    steps = [int(t) for t in array]

    def run() -> None:
        s = schedule
        for t in steps:
            s(t)

    if curve.loop:
        at = curve.loop(n, PEAK)

        def naive() -> None:
            f = at
            for t in steps:
                f(t)

        rivals.append(Contestant("Python function", naive, sizes.calls))

    def check() -> None:
        checks.same_bits(np.array([schedule(t) for t in steps]), schedule.table(n)[array], case)

    return Race(Contestant(SUBJECT, run, sizes.calls), rivals, sizes.rounds, check)


def race_lookup(case: str, sizes: Sizes) -> Race:
    """s(steps) for an array of steps in random order."""
    n, curve = sizes.fill, BY_NAME[case]
    schedule = curve.build(n, PEAK)
    steps = np.random.default_rng(3).integers(0, n, sizes.lookups)

    def check() -> None:
        values = schedule(steps)
        one_by_one = np.array([schedule(int(t)) for t in steps[: 10 * sizes.points]])
        checks.same_bits(values[: len(one_by_one)], one_by_one, case)

    assert curve.array is not None
    expression = curve.array(n, PEAK)
    rival = Contestant("NumPy", lambda: expression(steps.astype(np.float64)), sizes.lookups)
    return Race(Contestant(SUBJECT, lambda: schedule(steps), sizes.lookups), [rival], sizes.rounds, check)


# ---------------------------------------------------------------------------------------------------------- compilation


def race_compile(case: str, sizes: Sizes) -> Race:
    """Build a schedule and its plan, each time with other numbers, so that nothing can be cached."""
    n, curve, fresh = sizes.compile_steps, BY_NAME[case], itertools.count(1)
    peaks: list[float] = []

    def prepare() -> None:
        peaks[:] = [PEAK + next(fresh) * 2.0**-40 for _ in range(sizes.compiles)]

    def run() -> None:
        for peak in peaks:
            curve.build(n, peak).plan(n)

    def check() -> None:
        plan = curve.build(n, PEAK).plan(n)
        if not (plan.breaks[0] == 0 and len(plan.coef) == len(plan.breaks) - 1):
            raise checks.WrongResult(f"{case}: not a plan: {plan!r}")

    return Race(Contestant(SUBJECT, run, sizes.compiles, prepare=prepare), [], sizes.rounds, check)


# ---------------------------------------------------------------------------------------------------------------- grids


def grid_parameters(sizes: Sizes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A peak and a warm-up for every row."""
    rng = np.random.default_rng(4)
    return rng.uniform(0.01, 1.0, sizes.schedules), rng.integers(1, sizes.grid_steps // 2, sizes.schedules)


def grid_of(case: str, sizes: Sizes) -> list[Any]:
    """Distinct schedules: warm-up cosines, or every entry of the table in turn."""
    n = sizes.grid_steps
    peaks, warmups = grid_parameters(sizes)
    if case == "warmup":
        return [lk.cosine(a, END, n - w).warmup(w) for a, w in zip(peaks.tolist(), warmups.tolist(), strict=True)]
    return [curve.build(n, a) for a, curve in zip(peaks.tolist(), itertools.cycle(CURVES), strict=False)]


def broadcast(sizes: Sizes) -> NDArray[np.float64]:
    """The grid of warm-up cosines as one NumPy expression."""
    n = sizes.grid_steps
    peaks, warmups = (column[:, None] for column in grid_parameters(sizes))
    t = np.arange(n, dtype=np.float64)
    fall = END + (peaks - END) * (1 + np.cos(np.pi * (t - warmups) / (n - warmups))) / 2
    return np.where(t < warmups, peaks * t / warmups, fall)


def race_grid(case: str, sizes: Sizes) -> Race:
    """`lk.tables` of new schedules, against a fill of the same size and against NumPy's broadcasting."""
    shape, threads = (sizes.schedules, sizes.grid_steps), lk.get_threads()
    size = shape[0] * shape[1]
    flat = buffers.output(size)
    out = flat.reshape(shape)
    grid: list[Any] = []

    def prepare() -> None:
        grid[:] = grid_of(case, sizes)

    def run() -> None:
        lk.tables(grid, shape[1], out=out)

    def check() -> None:
        prepare()
        run()
        for i in range(0, shape[0], max(1, shape[0] // sizes.points)):
            checks.same_bits(out[i], grid_of_one(grid[i]).table(shape[1]), f"row {i}")
        if case == "warmup":
            checks.alike(out, broadcast(sizes), checks.NAIVE_ULP, "NumPy broadcasting")

    rivals = [Contestant(STREAMING, lambda: limits.fill_streaming(flat, PEAK, threads), size)]
    if case == "warmup":
        rivals.insert(0, Contestant("NumPy", lambda: broadcast(sizes), size))
    return Race(Contestant(SUBJECT, run, size, prepare=prepare), rivals, sizes.slow_rounds, check)


def grid_of_one(schedule: Any) -> Any:
    """The same schedule, rebuilt from its text."""
    return lk.parse(repr(schedule))


# ---------------------------------------------------------------------------------------------------------------- noise


def race_noise(case: str, sizes: Sizes) -> Race:
    """Seeded noise alone, against NumPy's generator, which is sequential instead of random-access."""
    n, generator = sizes.numpy, np.random.default_rng(5)
    out = buffers.output(n)
    noise = lk.noise(PEAK, case)

    def check() -> None:
        noise.table(n, out=out)
        checks.same_bits(lk.noise(PEAK, case).table(1000, start=n // 2), out[n // 2 : n // 2 + 1000], case)

    draw = generator.standard_normal if case == "normal" else generator.random
    rival = Contestant("NumPy", lambda: draw(out=out), n)
    return Race(Contestant(SUBJECT, lambda: noise.table(n, out=out), n), [rival], sizes.slow_rounds, check)


ROWS = [
    Row("fill", EVERY, race_fill),
    Row("fill-float32", EVERY, partial(race_fill, dtype=np.float32)),
    Contest("peers", WITH_TWINS, peers_entries, beside="cosine".__eq__, slow=True),
    Row("short-cycles", SHORT, race_short_cycles),
    Row("cached-serial", EVERY, race_cached),
    Row("scalar", EVERY, race_scalar),
    Row("lookup", ("warmup", "warm_restarts"), race_lookup),
    Row("compile", EVERY, race_compile),
    Row("grid", ("warmup", "all kinds"), race_grid),
    Row("noise", ("normal", "uniform"), race_noise),
]
