"""Builds `lrkern._core`, the Cython binding and src_c, whose kernels are compiled once per ISA, and the benchmark's limits."""

from __future__ import annotations

import os
import platform
import re
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# The compiler flags of the C library: names -> words.
FLAGS = {
    name: value.split()
    for name, _, value in (line.partition(" = ") for line in Path("src_c/flags.mk").read_text().splitlines() if " = " in line)
}
WARNING_FLAGS = FLAGS["WARNING_FLAGS"] if os.environ.get("LRKERN_WERROR") == "1" else []
# Python's own flags ask for debugging symbols, which would make up three quarters of the extension. Names of functions that
# only debuggers and profilers read are 5 % of the rest.
WANTS_SYMBOLS = os.environ.get("LRKERN_SYMBOLS") == "1"
SYMBOLS = [] if WANTS_SYMBOLS else ["-g0"]
STRIPPED = ["-Wl,--strip-all"] if platform.system() == "Linux" and not WANTS_SYMBOLS else []


def isa_flags() -> dict[str, list[str]]:
    """The possible ISAs of the target machine, with their flags."""
    machine = sysconfig.get_platform().rsplit("-", 1)[-1].lower()
    (machine,) = FLAGS.get(f"ALIAS_{machine}", [machine])
    isas = FLAGS.get(f"ISAS_{machine}", FLAGS["ISAS_other"])
    return {isa: FLAGS.get(f"FLAGS_{machine}_{isa}", []) for isa in isas}


def c_sources() -> dict[str, list[str]]:
    """The C sources of this build -> their own flags."""
    isas = isa_flags()
    of_an_isa = {f"src_c/isa/{isa}.c" for isa in FLAGS["ISAS_all"]}
    common = {str(path): [] for path in sorted(Path("src_c").glob("*/*.c")) if str(path) not in of_an_isa}
    return common | {f"src_c/isa/{isa}.c": flags for isa, flags in isas.items()}


def headers() -> list[str]:
    """Every file that objects of src_c depend on, except their sources."""
    return sorted(str(path) for pattern in ("*.h", "*.inc", "*.def", "flags.mk") for path in Path("src_c").rglob(pattern))


def write_c_api() -> None:
    """Write lrkern/binding/c_api.pxi: the functions that _core.pxd declares, which hand their arguments on to those of C."""
    declared = "".join(Path(one).read_text() for one in ("lrkern/_core.pxd", "lrkern/binding/generated_declarations.pxi"))
    functions = re.findall(r"^cdef ([\w ]+?\*?)(lrk_\w+)\(([^)]*)\) noexcept nogil$", declared, re.M)
    lines = ["# Written by setup.py from _core.pxd.", "", 'cdef extern from "lrkern_steps.h" nogil:']
    lines += [f'    {kind}c_{name} "{name}"(...)' for kind, name, _ in functions]
    for kind, name, arguments in functions:
        names = re.findall(r"(\w+)\s*(?:,|$)", arguments)
        call = f"c_{name}({', '.join(names)})"
        lines += ["", f"cdef {kind}{name}({arguments}) noexcept nogil:"]
        lines += [f"    {call}" if kind == "void " else f"    return {call}"]
    text, target = "\n".join([*lines, ""]), Path("lrkern/binding/c_api.pxi")
    if not target.exists() or target.read_text() != text:  # a newer file would be compiled again
        target.write_text(text)


class Source(NamedTuple):
    """A C file of the extension, what it is compiled with, and the files it depends on."""

    path: str
    include_dirs: list[str]
    macros: list[tuple[str, str | None]]
    flags: list[str]
    depends: list[str]


class BuildExt(build_ext):
    """Compiles src_c file by file, each with its own flags, and only files that are out of date."""

    def build_extension(self, ext: Extension) -> None:
        """Compile src_c and the binding to objects, as many at a time as there are processors; let setuptools link them."""
        if ext.name != "lrkern._core":
            super().build_extension(ext)
            return
        common = [*FLAGS["C_FLAGS"], *SYMBOLS, *WARNING_FLAGS]
        # The binding first: it and each file of an ISA take longer than all others together.
        sources = [Source(one, ext.include_dirs, ext.define_macros, ext.extra_compile_args, ext.depends) for one in ext.sources]
        sources += [Source(path, ["src_c"], [], [*common, *flags], headers()) for path, flags in reversed(c_sources().items())]
        stale, objects = [], []
        for one in sources:
            (target,) = self.compiler.object_filenames([one.path], output_dir=self.build_temp)
            newest = max(map(os.path.getmtime, [one.path, *one.depends, __file__]))
            if self.force or not os.path.exists(target) or os.path.getmtime(target) < newest:
                stale.append(one)
            objects.append(target)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.compile_c, stale))
        before = ext.sources, ext.extra_objects, self.force
        ext.sources, ext.extra_objects, self.force = [], objects, self.force or bool(stale)
        try:
            super().build_extension(ext)
        finally:
            ext.sources, ext.extra_objects, self.force = before

    def compile_c(self, one: Source) -> None:
        """Compile a file to an object."""
        self.compiler.compile(
            [one.path],
            output_dir=self.build_temp,
            macros=one.macros,
            include_dirs=one.include_dirs,
            extra_postargs=one.flags,
        )


write_c_api()
core = Extension(
    "lrkern._core",
    ["lrkern/_core.pyx"],
    include_dirs=["src_c", numpy.get_include()],
    define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"), ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION")],
    depends=[*headers(), *c_sources(), "lrkern/_core.pxd", *map(str, Path("lrkern/binding").glob("*.pxi"))],
    extra_compile_args=["-O2", *SYMBOLS, "-fvisibility=hidden", "-pthread"],
    extra_link_args=["-pthread", *STRIPPED, *FLAGS.get(f"LINK_FLAGS_{platform.system()}", [])],
    libraries=["m"],
)

# The bare memory traffic that the benchmark compares with.
limits = Extension(
    "lrkern.bench.rivals._limits",
    ["lrkern/bench/rivals/limits.c"],
    depends=["lrkern/bench/rivals/limit_blocks.inc", "src_c/flags.mk"],
    extra_compile_args=[*FLAGS["C_FLAGS"], *SYMBOLS, *WARNING_FLAGS],
    extra_link_args=["-pthread", *STRIPPED],
)

setup(ext_modules=[*cythonize([core], language_level=3), limits], cmdclass={"build_ext": BuildExt})
