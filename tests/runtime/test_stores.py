"""The stores that fill large arrays: when a trial of both kinds is conclusive, and when not."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which("cc") or shutil.which("gcc")
PLAIN, STREAM, UNKNOWN = range(3)
HALF = 1 << 30  # bytes that each kind stored

pytestmark = pytest.mark.skipif(COMPILER is None or not (ROOT / "src_c").is_dir(), reason="needs a C compiler and the sources")


class Trial(ctypes.Structure):
    """lrk_stores_trial."""

    _fields_ = (("bytes", ctypes.c_int64 * 2), ("nanoseconds", ctypes.c_int64 * 2), ("page_faults", ctypes.c_int64))


@pytest.fixture
def stores(tmp_path):
    """A separate library for each test, because it remembers decisions."""
    target = tmp_path / "stores.so"
    command = [
        str(COMPILER),
        "-std=gnu11",
        "-O1",
        "-shared",
        "-fPIC",
        f"-I{ROOT / 'src_c'}",
        str(ROOT / "src_c/runtime/stores.c"),
    ]
    subprocess.run([*command, "-o", str(target)], check=True)
    library = ctypes.CDLL(str(target))
    library.lrk_stores_for.argtypes = [ctypes.c_int, ctypes.c_int64]
    return library


def decide(stores, threads, plain, stream, page_faults=0):
    """Report a trial with these nanoseconds; return the stores used for a gigabyte afterwards."""
    stores.lrk_stores_decide(threads, ctypes.byref(Trial((HALF, HALF), (plain, stream), page_faults)))
    return stores.lrk_stores_for(threads, HALF)


def test_before_a_trial(stores):
    assert stores.lrk_stores_for(2, 1 << 20) == PLAIN  # fits in caches
    assert stores.lrk_stores_for(2, 64 << 20) == STREAM  # too small to be conclusive
    assert stores.lrk_stores_for(2, 256 << 20) == UNKNOWN


@pytest.mark.parametrize(("plain", "stream", "faster"), [(100, 130, PLAIN), (130, 100, STREAM)])
def test_a_clear_difference_decides_for_good(stores, plain, stream, faster):
    assert decide(stores, 2, plain, stream) == faster
    assert stores.lrk_stores_for(2, 64 << 20) == faster
    assert stores.lrk_stores_for(2, 1 << 20) == PLAIN
    assert stores.lrk_stores_for(1, HALF) == UNKNOWN  # each number of threads separately


@pytest.mark.parametrize(("plain", "stream"), [(100, 109), (109, 100), (100, 100)])
def test_a_small_difference_decides_nothing(stores, plain, stream):
    assert decide(stores, 2, plain, stream) == UNKNOWN


@pytest.mark.parametrize("page", [4 << 10, 64 << 10, 2 << 20])
def test_fresh_memory_decides_nothing(stores, page):
    """Every page of it faults at the first touch; a few faults occur in any case."""
    assert decide(stores, 2, 100, 200, 2 * HALF // page) == UNKNOWN
    assert decide(stores, 2, 100, 200, 100) == PLAIN


def test_page_faults_are_counted(stores):
    stores.lrk_page_faults.restype = ctypes.c_int64
    before = stores.lrk_page_faults()
    bytearray(64 << 20)
    assert stores.lrk_page_faults() > before
