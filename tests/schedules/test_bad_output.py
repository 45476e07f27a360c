"""Arrays that cannot be filled, and rejected calls: nothing is written."""

from __future__ import annotations

import numpy as np
import pytest
from rejects import Rejects

import lrkern as lk


def read_only(n, dtype):
    out = np.full(n, 7, dtype)
    out.flags.writeable = False
    return out


BAD_OUT = {  # name: (n -> out, a view on all memory behind it)
    "a list": lambda n: [0.0] * n,
    "a number": lambda n: 3.0,
    "bytes": lambda n: b"\0" * 8 * n,
    "a bytearray": lambda n: bytearray(8 * n),
    "too short": lambda n: np.full(n - 1, 7.0),
    "too long": lambda n: np.full(n + 1, 7.0),
    "empty": lambda n: np.full(0, 7.0),
    "two-dimensional": lambda n: np.full((n, 1), 7.0),
    "zero-dimensional": lambda n: np.array(7.0),
    "strided": lambda n: np.full(2 * n, 7.0)[::2],
    "reversed": lambda n: np.full(n, 7.0)[::-1],
    "broadcast": lambda n: np.broadcast_to(np.float64(7.0), (n,)),
    "a column": lambda n: np.full((n, 3), 7.0)[:, 1],
    "read-only": lambda n: read_only(n, np.float64),
    "byte-swapped": lambda n: np.full(n, 7.0).astype(">f8"),
    "byte-swapped float32": lambda n: np.full(n, 7.0).astype(">f4"),
    "float16": lambda n: np.full(n, 7, np.float16),
    "longdouble": lambda n: np.full(n, 7, np.longdouble),
    "int64": lambda n: np.full(n, 7),
    "uint8": lambda n: np.full(8 * n, 7, np.uint8),
    "complex": lambda n: np.full(n, 7j),
    "bool": lambda n: np.full(n, True),
    "objects": lambda n: np.full(n, 7.0, object),
    "records": lambda n: np.full(n, 7, [("x", float)]),
}


def memory_of(out) -> bytes:
    base = out
    while isinstance(base, np.ndarray) and isinstance(base.base, np.ndarray):
        base = base.base
    return base.tobytes() if isinstance(base, np.ndarray) and base.dtype != object else repr(base).encode()


@pytest.mark.parametrize("name", BAD_OUT)
@pytest.mark.parametrize("n", [10, 100_000])
def test_bad_out_of_table(name, n):
    out = BAD_OUT[name](n)
    before = memory_of(out)
    with Rejects((TypeError, ValueError), "table", "out"):
        lk.cosine(0.1, 0.0, 100).table(n, out=out)
    assert memory_of(out) == before


@pytest.mark.parametrize("name", BAD_OUT)
def test_bad_out_of_tables(name):
    out = BAD_OUT[name](10)
    before = memory_of(out)
    with Rejects((TypeError, ValueError), "tables", "out"):
        lk.tables([lk.cosine(0.1, 0.0, 100)] * 2, 10, out=out)
    assert memory_of(out) == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.full((3, 10), 7.0),
        lambda: np.full((2, 11), 7.0),
        lambda: np.full((10, 2), 7.0),
        lambda: np.full((10, 2), 7.0).T,
        lambda: np.full((2, 20), 7.0)[:, ::2],
        lambda: np.full((2, 12), 7.0)[:, :10],
        lambda: np.full(20, 7.0),
        lambda: np.full((2, 10, 1), 7.0),
        lambda: np.broadcast_to(np.full(10, 7.0), (2, 10)),
        lambda: np.full((2, 10), 7.0).astype(">f8"),
        lambda: np.full((2, 10), 7),
    ],
)
def test_bad_shapes_of_out_of_tables(make):
    out = make()
    before = memory_of(out)
    with Rejects((TypeError, ValueError), "tables", "out"):
        lk.tables([lk.cosine(0.1, 0.0, 100)] * 2, 10, out=out)
    assert memory_of(out) == before


def test_dtype_and_out_must_agree():
    for dtype, other in [(np.float64, np.float32), (np.float32, np.float64)]:
        out = np.full(10, 7, other)
        with Rejects((TypeError, ValueError), "table", "out"):
            lk.cosine(0.1, 0.0, 100).table(10, dtype=dtype, out=out)
        assert np.all(out == 7)


@pytest.mark.parametrize(
    ("call", "exception"),
    [
        (lambda s, out: s.table(-1, out=out), ValueError),
        (lambda s, out: s.table(10.0, out=out), TypeError),
        (lambda s, out: s.table(10, start=-1, out=out), ValueError),
        (lambda s, out: s.table(10, start=2**53, out=out), ValueError),
        (lambda s, out: s.table(10, start="0", out=out), TypeError),
        (lambda s, out: s.table(10, dtype=np.int32, out=out), (TypeError, ValueError)),
        (lambda s, out: lk.exponential(1e300, 10.0).table(10, out=out), OverflowError),
        (lambda s, out: lk.exponential(1e300, 1.5).table(10, start=45, out=out), OverflowError),
        (lambda s, out: lk.tables([s, 3], 10, out=out.reshape(2, 5)), TypeError),
    ],
)
def test_nothing_is_written_by_a_refused_call(call, exception):
    out = np.full(10, 7.0)
    with Rejects(exception):
        call(lk.cosine(0.1, 0.0, 100), out)
    assert np.all(out == 7.0)


def test_nothing_is_written_by_a_large_table_that_overflows_late():
    """The overflow is found before the first byte is stored, also where several threads would share the work."""
    out = np.full(500_000, 7.0)
    schedule = lk.exponential(1e300, 10.0, every=50_000)
    with Rejects(OverflowError, argument="step"):
        schedule.table(out.size, out=out)
    assert np.all(out == 7.0)


def test_schedules_cannot_be_changed():
    schedule = lk.cosine(0.1, 0.0, 10)
    for name in ("steps", "name", "args", "node"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(schedule, name, 3)
    assert schedule == lk.cosine(0.1, 0.0, 10)
