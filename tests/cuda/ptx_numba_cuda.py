"""Helpers of tests for numba-cuda: see `fake_device` and `ptx`."""

from __future__ import annotations

from numba.cuda.codegen import CUDACodeLibrary


def listen(note):
    """note(code, text) is called for every kernel that is assembled."""
    get_cubin = CUDACodeLibrary.get_cubin

    def noted(library, cc=None):
        found = get_cubin(library, cc)
        note(found.code, library.get_lto_ptx(cc) if library._lto else library.get_asm_str(cc))
        return found

    CUDACodeLibrary.get_cubin = noted


def compiled(kernel, arguments):
    """The intermediate form from which PTX of any capability is made; making it takes longest."""
    return kernel.compile(arguments)._codelibrary


def ptx(library, capability, name):
    """The PTX text."""
    return library.get_asm_str(cc=capability)
