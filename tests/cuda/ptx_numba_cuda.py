"""What tests ask of numba-cuda: see `stand_in` and `ptx`."""

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
    """What PTX of any capability is made of, which takes longer than all of it."""
    return kernel.compile(arguments)._codelibrary


def ptx(library, capability, name):
    """The text."""
    return library.get_asm_str(cc=capability)
