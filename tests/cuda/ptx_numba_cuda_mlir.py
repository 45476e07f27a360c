"""What tests ask of numba-cuda-mlir: see `stand_in` and `ptx`."""

from __future__ import annotations

import re
from types import SimpleNamespace

from numba_cuda_mlir import mlir_optimization, types


def listen(note):
    """note(code, text) is called for every kernel that is assembled."""
    optimize = mlir_optimization.optimize

    def noted(found):
        optimize(found)
        note(found.metadata["cubin"], found.metadata["ptx"])

    mlir_optimization.optimize = noted


def compiled(kernel, arguments):
    """What PTX of any capability is made of, which takes longer than all of it."""
    return kernel.compile(types.void(*arguments)).metadata


def ptx(metadata, capability, name):
    """The text, without functions that kernels had inlined: they are compiled all the same."""
    options = {**metadata["targetoptions"], "chip": name}
    text = mlir_optimization.get_ptx(SimpleNamespace(metadata={**metadata, "ptx": None}), options)
    return re.sub(r"^\.visible \.func .*?^\}$", "", text, flags=re.M | re.S)
