"""Bit-identical tables on every ISA, for every thread count, slice and alignment, in every release."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import cases
import golden
import numpy as np
import pytest
from golden import LARGE, LARGE_TEXTS, active_isa, all_digests, changes, digest, recorded, threads, windows

import lrkern as lk

CYCLE_TEXTS = [
    "cosine(1.0, 0.1, 1000).repeat(1000).shift(-300)",
    "cosine(1.0, 0.1, 1000).repeat(1000).shift(-300).warmup(41)",
    "polynomial(1.0, 0.0, 700, 0.9).repeat(700).shift(-690) * 0.5",
    "cosine(1.0, 0.0, 1000).repeat(1000) + linear(1.0, 0.0, 1)",
    "(cosine(1.0, 0.1, 1000).repeat(1000) + linear(1.0, 0.0, 1730)).warmup(40)",
    "join([linear(0.0, 1.0, 90), cyclic(0.1, 1.0, 300, 77).shift(-200)], [55])",
    "cosine(1.0, 0.1, 300).repeat(300).shift(-7) + cosine(0.3, 0.1, 80).repeat(80)",
    "cosine(1.0, 0.1, 300).repeat(300).stretch(3, 2).shift(-100)",
    "(cosine(1.0, 0.1, 100).repeat(100) + polynomial(1.0, 0.0, 730, 0.7)).staircase(3).clip(0.11, 0.9)",
    "cosine(0.7, 0.1, 900).warmup(13).shift(-5)",
    "from_table([0.5, 0.25, 0.125]).repeat(5).shift(-2) * cosine(1.0, 0.5, 40).repeat(40)",
]
OFFSETS = [0, 1, 4, 8, 12, 20, 33, 56, 63]

every_isa = pytest.mark.parametrize("isa", lk.isas())
both_thread_counts = pytest.mark.parametrize("n_threads", [1, 2])


def test_this_machine_has_more_than_one_way():
    assert "scalar" in lk.isas()
    assert active_isa() in lk.isas()
    if os.uname().machine in ("x86_64", "aarch64"):
        assert len(lk.isas()) > 1, "only the scalar kernels were built or found"


@every_isa
@both_thread_counts
def test_golden(isa, n_threads):
    with lk.use_isa(isa), threads(n_threads):
        assert active_isa() == isa
        # rows of cases are too short for a second thread, large tables are not
        found = all_digests(every=1 if n_threads == 1 else 25)
    expected = recorded()
    if n_threads > 1:
        expected = {text: pair for text, pair in expected.items() if text in found}
    wrong = changes(expected, found)
    assert not wrong, "\n".join(wrong[:20])


@every_isa
def test_scalars(isa):
    """One step at a time gives the bits of the table."""
    for case in cases.CASES[::5]:
        schedule = case.build(lk)
        start, n = windows(schedule)[1]
        with lk.use_isa("scalar"):
            try:
                row = schedule.table(min(n, 60), start=start)
            except OverflowError:
                continue
        with lk.use_isa(isa):
            assert active_isa() == isa
            one_by_one = np.array([schedule(start + i) for i in range(len(row))])
        assert one_by_one.tobytes() == row.tobytes(), case.text


@every_isa
@both_thread_counts
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [5, 1000, 300_001, 2_000_003])
def test_alignment_of_out(isa, n_threads, dtype, n):
    """Any address of `out` has the same bits, and no byte next to it is touched."""
    size = np.dtype(dtype).itemsize * n
    for text in LARGE_TEXTS[:5:2]:
        schedule = lk.parse(text)
        with lk.use_isa("scalar"), threads(1):
            expected = schedule.table(n, start=3, dtype=dtype).tobytes()
        with lk.use_isa(isa), threads(n_threads):
            assert active_isa() == isa
            for offset in OFFSETS if n < 10**6 else OFFSETS[1:7:2]:
                buffer = bytearray(b"\xa5" * (size + 128))
                out = np.frombuffer(buffer, dtype, n, offset)
                assert schedule.table(n, start=3, dtype=dtype, out=out) is out
                assert buffer[offset : offset + size] == expected, (text, offset)
                assert buffer[:offset] == b"\xa5" * offset
                assert buffer[offset + size :] == b"\xa5" * (128 - offset)


@every_isa
def test_slices(isa):
    """Every start and length around the vector widths: a slice is a part of the whole."""
    for text in [*LARGE_TEXTS, "noam(512, 40)", "rex(0.1, 0.0, 100)", "from_table([0.1, 0.2, 0.3, 0.4])"]:
        schedule = lk.parse(text)
        for base in (0, 890, 1999, 900_001 - 40):
            for dtype in (np.float64, np.float32):
                with lk.use_isa("scalar"):
                    whole = schedule.table(150, start=base, dtype=dtype)
                with lk.use_isa(isa):
                    assert active_isa() == isa
                    for start in range(0, 40, 3):
                        for n in (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100):
                            part = schedule.table(n, start=base + start, dtype=dtype)
                            assert part.tobytes() == whole[start : start + n].tobytes(), (text, base, start, n)


@both_thread_counts
def test_large_slices(n_threads):
    """A slice of a large table equals that part of the whole, wherever the threads' chunks begin."""
    for text in LARGE_TEXTS[:4]:
        schedule = lk.parse(text)
        with threads(1):
            whole = schedule.table(LARGE)
        with threads(n_threads):
            for start in (1, 4097, 1_000_003):
                part = schedule.table(LARGE - start - 5, start=start)
                assert part.tobytes() == whole[start : LARGE - 5].tobytes(), (text, start)


@every_isa
@both_thread_counts
def test_tables(isa, n_threads):
    """A grid of schedules is the rows of each, whatever fills it."""
    schedules = [case.build(lk) for case in cases.CASES[::3]]
    n = 257
    with lk.use_isa("scalar"), threads(1):
        kept, expected = [], []
        for schedule in schedules:
            with contextlib.suppress(OverflowError):
                expected.append(schedule.table(n, start=9))
                kept.append(schedule)
    with lk.use_isa(isa), threads(n_threads):
        assert active_isa() == isa
        grid = lk.tables(kept, n, start=9)
        single = lk.tables(kept, n, start=9, dtype=np.float32)
    assert grid.tobytes() == np.array(expected).tobytes()
    with np.errstate(over="ignore", under="ignore"):
        assert single.tobytes() == np.array(expected).astype(np.float32).tobytes()


@every_isa
@pytest.mark.parametrize("text", CYCLE_TEXTS)
def test_a_step_has_one_piece(isa, text):
    """Where values repeat, each cycle has the pieces of the first: alone, in slices and grids, in plans of a part."""
    fresh, plan = lambda: lk.parse(text), lk.parse(text).plan(1)
    assert plan.period > 0
    bases = [0, plan.tail_start, plan.tail_start + plan.period, plan.tail_start + 3 * plan.period, 10**9, 10**15]
    with lk.use_isa(isa):
        for base in bases:
            whole = fresh().table(3000, start=base)
            assert lk.tables([fresh()], 3000, start=base).tobytes() == whole.tobytes(), (text, base)
            far = fresh()
            far(0)
            assert far(np.arange(base, base + 3000)).tobytes() == whole.tobytes(), (text, base)
            for start in (0, 1, 299, 701, 1500, 2999):
                assert fresh()(base + start).hex() == whole[start].hex(), (text, base + start)
                slice_ = lk.tables([fresh()], 3000 - start, start=base + start)
                assert slice_.tobytes() == whole[start:].tobytes(), (text, base + start)
    for base in bases:
        breaks, center, coef, _, _ = fresh()._plan_arrays(base + 2500, base)
        assert breaks[0] <= base
        assert breaks[-1] >= base + 2500
        for k, (begin, end) in enumerate(itertools.pairwise(breaks)):
            t = max(int(begin), base)
            reduced = t if t < plan.tail_start else plan.tail_start + (t - plan.tail_start) % plan.period
            i = np.searchsorted(plan.breaks, reduced, "right") - 1
            if plan.period > 1:
                assert (coef[k] == plan.coef[i]).all(), (text, t)
                assert t - center[k] == reduced - plan.center[i], (text, t)
                assert end - t <= plan.breaks[i + 1] - reduced, (text, t)


@every_isa
def test_isa_from_the_environment(isa):
    """LRKERN_ISA selects the ISA of a new process, which has the same digests."""
    case = next(case for case in cases.CASES if case.text.startswith("cosine(0.1, 0.0, 1000).warmup(137)"))
    program = f"import golden, cases; print(golden.active_isa()); print(*golden.digests(cases.Case('warmup', {case.text!r})))"
    path = os.pathsep.join([str(Path(golden.__file__).parent), *sys.path])
    environment = {**os.environ, "LRKERN_ISA": isa, "PYTHONPATH": path}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [isa, *recorded()[case.text]]


def test_the_digests_tell_bits_apart():
    """A change of the last bit of one value changes the digest."""
    row = cases.CASES[20].build(lk).table(100)
    touched = row.copy()
    touched[57] = np.nextafter(touched[57], np.inf)
    assert digest([row.tobytes()]) != digest([touched.tobytes()])
    assert changes({"a": ("1", "2")}, {"a": ("1", "3"), "b": ("1", "2")}) == [
        "other bits in float32: a",
        "not in the golden file; `make record` adds it: b",
    ]
