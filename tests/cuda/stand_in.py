"""A CUDA device where there is none: the stand-in for the driver (driver.c), which runs kernels as C (emulator.py)."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from pathlib import Path

import emulator
import numpy as np

HERE = Path(__file__).parent

_FIND = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)


class StandIn:
    """The driver, in place of any other from now on: to be made before Numba looks for one."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        library = Path(self._folder.name) / "libcuda.so.1"
        flags = ["-shared", "-fPIC", "-O1", "-w", f"-Wl,-soname,{library.name}"]
        subprocess.run(["gcc", *flags, HERE / "driver.c", "-o", library, "-ldl"], check=True)
        self.library = ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        self._texts: list[str] = []
        self._kernels: dict[str, int] = {}
        self._found = _FIND(self._find)
        ctypes.c_void_p.in_dll(self.library, "fake_find").value = ctypes.cast(self._found, ctypes.c_void_p).value
        self._listen()

    def _listen(self) -> None:
        """Keep the text of every kernel that is assembled, as the assembler gets it."""
        from numba.cuda.codegen import CUDACodeLibrary

        get_cubin = CUDACodeLibrary.get_cubin

        def noted(library, cc=None):
            self._texts.append(library.get_lto_ptx(cc) if library._lto else library.get_asm_str(cc))
            return get_cubin(library, cc)

        CUDACodeLibrary.get_cubin = noted

    def _find(self, name: bytes) -> int:
        kernel = name.decode()
        if kernel not in self._kernels:
            text = next(one for one in reversed(self._texts) if f".entry {kernel}(" in one)
            self._kernels[kernel] = emulator.compiled(text, kernel, self._folder.name)
        return self._kernels[kernel]

    def view(self, array) -> np.ndarray:
        """Bytes in the device's memory, which is the CPU's."""
        address, _ = array.__cuda_array_interface__["data"]
        return np.frombuffer((ctypes.c_char * array.nbytes).from_address(address), np.uint8)

    def set(self, name: str, value: int) -> None:
        """`capturing` or `backwards`."""
        ctypes.c_int.in_dll(self.library, f"fake_{name}").value = value

    def races(self) -> int:
        """Accesses that have collided since this was asked for last."""
        counter = ctypes.c_long.in_dll(self.library, "fake_races")
        found, counter.value = counter.value, 0
        return found

    def capture(self, run) -> None:
        """Record what this launches, for `replay`."""
        self.library.fake_forget()
        self.set("capturing", 1)
        try:
            run()
        finally:
            self.set("capturing", 0)

    def replay(self) -> None:
        """What the graph of the last capture does."""
        self.library.fake_replay()


DEVICE = None if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" else StandIn()
"""The one of this process; None in numba-cuda's simulator, which needs none."""
