"""Which of the two packages compiles CUDA kernels, determined without importing either."""

from __future__ import annotations

import os

from lrkern._optional import installed

VARIABLE = "LRKERN_CUDA_COMPILER"

EXTRAS = {"numba-cuda": "cuda", "numba-cuda-mlir": "cuda-mlir"}
"""Each package and the extra of lrkern that installs it; the first one is preferred if both are installed."""


def module_of(package: str) -> str:
    """The name of a compiler's module; files here and in tests that are for one compiler only are named after it."""
    return package.replace("-", "_")


def simulated() -> bool:
    """Whether kernels run in numba-cuda's simulator."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"


def chosen() -> str:
    """The package that LRKERN_CUDA_COMPILER names; without it, numba-cuda, or numba-cuda-mlir if only that is installed.

    Raises:
        ImportError: there is no such compiler, or no simulator for it. It is not checked that the package is installed.
    """
    name = os.environ.get(VARIABLE)
    if name is not None and name not in EXTRAS:
        raise ImportError(f"{VARIABLE} must be {' or '.join(map(repr, EXTRAS))}; got {name!r}")
    only_mlir = installed("numba-cuda-mlir") and not installed("numba-cuda")
    found = name or ("numba-cuda-mlir" if only_mlir else "numba-cuda")
    if found == "numba-cuda-mlir" and simulated():
        raise ImportError("numba-cuda-mlir has no simulator: unset NUMBA_ENABLE_CUDASIM, or choose numba-cuda")
    return found
