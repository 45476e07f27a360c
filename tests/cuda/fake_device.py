"""A fake CUDA device for machines without a GPU: a fake driver (driver.c) that runs kernels as C (emulator.py)."""

from __future__ import annotations

import atexit
import ctypes
import subprocess
import tempfile
import traceback
from importlib import import_module
from pathlib import Path

import emulator
import numpy as np

from lrkern.backends.cuda_compiler import chosen, module_of, simulated

HERE = Path(__file__).parent

_LOAD = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
_FIND = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_HEADER = 64
"""Bytes of the header of a kernel's code, which contain its length."""


class FakeDevice:
    """Replaces the CUDA driver of this process; must be created before a compiler looks for one."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        atexit.register(self._folder.cleanup)  # else Python warns in the processes of pytest-xdist
        library = Path(self._folder.name) / "libcuda.so.1"
        flags = ["-shared", "-fPIC", "-O1", "-w", f"-Wl,-soname,{library.name}"]
        subprocess.run(["gcc", *flags, HERE / "driver.c", "-o", library, "-ldl"], check=True)
        self.library = ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        self._texts: list[tuple[bytes, str]] = []
        self._kernels: dict[tuple[str, int], int] = {}
        self._asked = _LOAD(self._load), _FIND(self._find)
        for name, function in zip(("fake_load", "fake_find"), self._asked, strict=True):
            ctypes.c_void_p.in_dll(self.library, name).value = ctypes.cast(function, ctypes.c_void_p).value

    def note(self, code: bytes, text: str) -> None:
        """Keep assembled code with its PTX text."""
        self._texts.append((code, text))

    def _load(self, address: int) -> int:
        """A handle of the code at this address: kernels of the same name may differ."""
        header = ctypes.string_at(address, _HEADER)
        if header.startswith(b".version"):
            self._texts.append((b"", ctypes.string_at(address).decode()))
            return len(self._texts)
        for number, (code, _) in enumerate(self._texts, 1):
            if code and code[:_HEADER] == header and ctypes.string_at(address, len(code)) == code:
                return number
        return len(self._texts) + 1  # a handle of unknown code: `_find` finds nothing in it

    def _find(self, name: bytes, handle: int) -> int:
        key = name.decode(), handle
        if key not in self._kernels:
            try:
                self._kernels[key] = emulator.compiled(self._texts[handle - 1][1], key[0], self._folder.name)
            except Exception:  # which C would swallow
                traceback.print_exc()
                return 0
        return self._kernels[key]

    def view(self, array) -> np.ndarray:
        """The bytes of a device array; the device's memory is the CPU's."""
        address, _ = array.__cuda_array_interface__["data"]
        return np.frombuffer((ctypes.c_char * array.nbytes).from_address(address), np.uint8)

    def set(self, name: str, value: int) -> None:
        """Set a flag of the driver: `capturing` or `backwards`."""
        ctypes.c_int.in_dll(self.library, f"fake_{name}").value = value

    def races(self) -> int:
        """The number of colliding accesses since the last call."""
        counter = ctypes.c_long.in_dll(self.library, "fake_races")
        found, counter.value = counter.value, 0
        return found

    def capture(self, run) -> None:
        """Record the launches of `run`, for `replay`."""
        self.library.fake_forget()
        self.set("capturing", 1)
        try:
            run()
        finally:
            self.set("capturing", 0)

    def replay(self) -> None:
        """Run the graph of the last capture."""
        self.library.fake_replay()


DEVICE = None if simulated() else FakeDevice()
"""The device of this process; None in numba-cuda's simulator, which needs none."""

COMPILER = None if simulated() else import_module(f"ptx_{module_of(chosen())}")
"""The functions of the compiler in use that tests need."""

if DEVICE is not None:
    COMPILER.listen(DEVICE.note)
