"""Builds the one extension, `lrkern._core`: Cython binding + src_c, whose kernels are compiled once per ISA."""

from __future__ import annotations

import os
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Per machine: ISA name -> compiler flags of src_c/isa_<name>.c. The last names in each row are tried first at import.
ISA_FLAGS = {
    "x86_64": {
        "scalar": ["-march=x86-64"],
        "avx2": ["-march=x86-64", "-mavx2", "-mfma"],
        "avx512": [
            "-march=x86-64",
            "-mavx512f",
            "-mavx512dq",
            "-mavx512vl",
            "-mavx512bw",
            "-mfma",
            "-mprefer-vector-width=512",
        ],
    },
    "aarch64": {"scalar": ["-fno-tree-vectorize"], "neon": []},
    "other": {"scalar": []},
}
ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}

# No flag may change a bit of a result: contraction is off, so a fused multiply-add happens where the source says fma.
C_FLAGS = [
    "-O3",
    "-std=c11",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",
    "-fvisibility=hidden",
    "-pthread",
]
WARNING_FLAGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"] if os.environ.get("LRKERN_WERROR") == "1" else []


def isa_flags() -> dict[str, list[str]]:
    """Flags of the ISAs that the target machine can have."""
    machine = sysconfig.get_platform().rsplit("-", 1)[-1].lower()
    return ISA_FLAGS.get(ALIASES.get(machine, machine), ISA_FLAGS["other"])


def c_sources() -> dict[str, list[str]]:
    """C sources of this build -> their own flags."""
    isas = isa_flags()
    common = {str(path): [] for path in sorted(Path("src_c").glob("*.c")) if not path.name.startswith("isa_")}
    return common | {f"src_c/isa_{isa}.c": flags for isa, flags in isas.items()}


def headers() -> list[str]:
    """Every file that an object of src_c may include."""
    return sorted(str(path) for pattern in ("*.h", "*.inc", "*.def") for path in Path("src_c").glob(pattern))


class BuildExt(build_ext):
    """Compiles src_c file by file, each with its own flags, and only the files that are out of date."""

    def build_extension(self, ext: Extension) -> None:
        """Compile src_c to objects, then let setuptools compile the binding and link all of it."""
        newest_header = max(os.path.getmtime(name) for name in [*headers(), __file__])
        stale, ext.extra_objects = [], []
        for source, flags in c_sources().items():
            (target,) = self.compiler.object_filenames([source], output_dir=self.build_temp)
            newest = max(newest_header, os.path.getmtime(source))
            if self.force or not os.path.exists(target) or os.path.getmtime(target) < newest:
                stale.append((source, flags))
            ext.extra_objects.append(target)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.compile_c, stale))
        forced, self.force = self.force, self.force or bool(stale)
        try:
            super().build_extension(ext)
        finally:
            self.force = forced

    def compile_c(self, source_and_flags: tuple[str, list[str]]) -> None:
        """Compile one file of src_c, with its own flags after everybody's."""
        source, flags = source_and_flags
        postargs = [*C_FLAGS, *WARNING_FLAGS, *flags]
        self.compiler.compile([source], output_dir=self.build_temp, include_dirs=["src_c"], extra_postargs=postargs)


core = Extension(
    "lrkern._core",
    ["lrkern/_core.pyx"],
    include_dirs=["src_c", numpy.get_include()],
    define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"), ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION")],
    depends=[*headers(), *c_sources(), *(str(path) for path in Path("lrkern").glob("*.pxi"))],
    extra_compile_args=["-O2", "-fvisibility=hidden", "-pthread"],
    extra_link_args=["-pthread"],
    libraries=["m"],
)

setup(ext_modules=cythonize([core], language_level=3), cmdclass={"build_ext": BuildExt})
