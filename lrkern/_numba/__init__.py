"""What `lrkern.numba` is made of: loops over arrays on the CPU, around the pointwise functions that CUDA shares."""

from lrkern._optional import require

if require("numba", install="'lrkern[numba]'", what="lrkern.numba").config.DISABLE_JIT:
    raise ImportError("lrkern.numba needs compiled code, which NUMBA_DISABLE_JIT switches off: unset it")
