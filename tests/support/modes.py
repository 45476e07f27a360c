"""Other floating-point modes of the calling thread, as -ffast-math of some library or a program's own fesetround leave them."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# In glibc's fenv_t: where the word is that says how, and its bits.
_PLACE = {"x86_64": 28, "aarch64": 0}.get(platform.machine())
MODES = {
    "x86_64": {
        "flush to zero": 0x8000,
        "denormals are zero": 0x0040,
        "both": 0x8040,
        "down": 0x2000,
        "up": 0x4000,
        "truncate": 0x6000,
        "all": 0xE040,
    },
    "aarch64": {"flush to zero": 1 << 24, "up": 1 << 22, "down": 2 << 22, "truncate": 3 << 22, "all": 7 << 22},
}.get(platform.machine(), {})

needs_modes = pytest.mark.skipif(sys.platform != "linux" or _PLACE is None, reason="the layout of glibc's fenv_t")


def _environment() -> ctypes.Array[ctypes.c_uint32]:
    found = (ctypes.c_uint32 * 16)()
    assert ctypes.CDLL(None).fegetenv(found) == 0
    return found


def mode() -> int:
    """The bits that are in force."""
    return _environment()[_PLACE // 4] & (0xE040 if _PLACE else 0x1C00000)


def put_in_force(bits: int) -> None:
    """Only these of the bits."""
    environment = _environment()
    environment[_PLACE // 4] = environment[_PLACE // 4] & ~(0xE040 if _PLACE else 0x1C00000) | bits
    assert ctypes.CDLL(None).fesetenv(environment) == 0


@contextmanager
def running_in(name: str) -> Iterator[None]:
    """What runs within has to leave the mode as it is."""
    put_in_force(MODES[name])
    try:
        yield
        left = mode()
    finally:
        put_in_force(0)
    assert left == MODES[name], f"{name} became {left:#x}"
