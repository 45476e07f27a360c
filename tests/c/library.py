"""Builds src_c without Python, as src_c/Makefile does: what compare.py and fuzz/run.py link their programs with."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# Of the programs.
FLAGS = ["-std=c11", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Werror", f"-I{ROOT / 'src_c'}"]


def machine_of(cc: list[str]) -> str:
    """The machine that a compiler compiles for: x86_64, aarch64, ..."""
    return subprocess.run([*cc, "-dumpmachine"], check=True, capture_output=True, text=True).stdout.split("-")[0]


def sanitizer_flags(sanitizers: str) -> list[str]:
    """Flags that compile and link for these sanitizers, a list with commas: the first thing that they see ends the program."""
    return ["-g", "-O1", f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"]


def objects(cc: list[str], folder: Path, flags: list[str], strict: bool = True) -> list[str]:
    """The object files of all ISAs of the machine, in `folder`, compiled with `flags` besides its own.

    `strict`: warnings are errors; those of gcc, that is, since other compilers warn of other things.
    """
    folder.mkdir(parents=True, exist_ok=True)
    make = [
        "make",
        "-s",
        "-C",
        str(ROOT / "src_c"),
        f"CC={shlex.join(cc)}",
        f"OUT={folder}",
        f"CFLAGS={' '.join(flags)}",
        "objects",
    ]
    subprocess.run(make, check=True, env={**os.environ, "LRKERN_WERROR": str(int(strict))})
    return sorted(map(str, folder.glob("*/*.o")))
