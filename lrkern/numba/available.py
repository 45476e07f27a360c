"""Says what is missing where Numba cannot be used. Imported before the rest of `lrkern.numba`."""

from lrkern._optional import require

if require("numba", install="'lrkern[numba]'", what="lrkern.numba").config.DISABLE_JIT:
    raise ImportError("lrkern.numba needs compiled code, which NUMBA_DISABLE_JIT switches off: unset it")
