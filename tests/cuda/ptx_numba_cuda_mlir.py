"""Helpers of tests for numba-cuda-mlir: see `fake_device` and `ptx`."""

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
    """The intermediate form from which PTX of any capability is made; making it takes longest."""
    return kernel.compile(types.void(*arguments)).metadata


def ptx(metadata, capability, name):
    """The PTX text, without functions that were inlined into kernels: the compiler emits them anyway."""
    options = {**metadata["targetoptions"], "chip": name}
    text = mlir_optimization.get_ptx(SimpleNamespace(metadata={**metadata, "ptx": None}), options)
    return re.sub(r"^\.visible \.func .*?^\}$", "", text, flags=re.M | re.S)
