"""Writes lrkern/cuda/shipped.zip, the kernels that the package has as PTX; needs numba-cuda, but no GPU.

python tools/shipped_kernels.py            writes the file, in some minutes

They are what `tests/cuda/shipped_steps.py` runs: a step of every optimizer with default options and arrays of float32, of the
ones that are used most also with other types, clipping and averages, and tables.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "cuda"), str(TESTS / "support")]

import shipped_steps  # noqa: E402 (it makes the fake device, before a compiler looks for a driver)

from lrkern.cuda import _shipped  # noqa: E402


def text(kernel: Any) -> str:
    """The PTX of a compiled kernel, for all drivers that can read it, without comments."""
    (compiled,) = kernel.overloads.values()
    made = compiled._codelibrary.get_asm_str(cc=_shipped.CAPABILITY)
    made = re.sub(r"\.version \d+\.\d+", f".version {_shipped.VERSION}", made)
    lines = (re.sub(r"\s*//.*", "", line).rstrip() for line in made.splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def main() -> None:
    """Write the file. Its bytes depend on nothing but its contents."""
    _shipped.FILE.unlink(missing_ok=True)
    for name in shipped_steps.CASES:
        shipped_steps.run(name)
    kernels = {name: kernel for kernel, name in _shipped.NAMES.items() if kernel.overloads}
    with zipfile.ZipFile(_shipped.FILE, "w", zipfile.ZIP_LZMA) as archive:
        for name in sorted(kernels):
            archive.writestr(zipfile.ZipInfo(name), text(kernels[name]), zipfile.ZIP_LZMA)
        archive.comment = _shipped.digest().encode()


if __name__ == "__main__":
    main()
