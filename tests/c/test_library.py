"""The C library alone: what it exports, its headers, the example program with Python's bits."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lrkern as lk
from lrkern import _core

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src_c"
HEADERS = ["lrkern.h", "lrkern_optimizers.h", "lrkern_plan.h", "lrkern_rule.h", "lrkern_steps.h"]
STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic"]

compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
checkout = pytest.mark.skipif(not SOURCES.exists(), reason="needs the source checkout")
linux = pytest.mark.skipif(platform.system() != "Linux", reason="nm -D knows ELF")


def run(*command, **kwargs):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def symbols(*arguments):
    """Names that a library defines for others."""
    return {line.split()[-1] for line in run("nm", "--defined-only", *arguments).splitlines() if len(line.split()) == 3}


def declared():
    """Names of the functions that the headers offer."""
    names = set()
    for header in ("lrkern.h", "lrkern_steps.h"):
        text = run("cc", "-E", "-P", f"-I{SOURCES}", SOURCES / header)
        names |= set(re.findall(r'visibility\("default"\)\)\)[^;(]*?(lrk_\w+)\(', text))
    assert len(names) > 50
    return names


@pytest.fixture(scope="module")
def library():
    """The folder of the library, built without Python, and without optimisation: that would take as long as all these tests."""
    if shutil.which("make") is None:
        pytest.skip("no make")
    out = ROOT / "build" / "lib-O0"
    run("make", "-s", "-j2", "-C", SOURCES, f"OUT={out}", "CFLAGS=-O0", "LRKERN_WERROR=")
    return out


@compiler
@checkout
@linux
@pytest.mark.exhaustive
def test_the_shared_library_exports_the_interface_and_nothing_else(library):
    assert symbols("-D", library / "liblrkern.so") == declared()


@compiler
@checkout
@linux
@pytest.mark.skipif(os.environ.get("LRKERN_SYMBOLS") == "1", reason="symbols were asked for")
def test_the_extension_is_stripped():
    assert symbols(_core.__file__) == set()


@compiler
@checkout
@linux
@pytest.mark.exhaustive
def test_the_extension_exports_the_same(library):
    assert symbols("-D", _core.__file__) == declared() | {"PyInit__core"}


@compiler
@checkout
@linux
@pytest.mark.exhaustive
def test_the_static_library_defines_nothing_else_either(library):
    names = symbols("-g", library / "liblrkern.a")
    assert declared() < names
    assert {name for name in names if not name.startswith("lrk_")} == set()


@compiler
@checkout
@linux
@pytest.mark.exhaustive
def test_the_libraries_need_no_python(library):
    text = run("nm", "-D", "--undefined-only", library / "liblrkern.so")
    assert not re.search(r" _?Py", text)
    assert "pthread_create" in text


@checkout
def test_abi_version():
    version = int(re.search(r"#define LRK_ABI_VERSION (\d+)", (SOURCES / "lrkern.h").read_text())[1])
    assert ctypes.CDLL(_core.__file__).lrk_abi_version() == version


def test_every_status_has_a_text():
    text = ctypes.CDLL(_core.__file__).lrk_status_text
    text.restype = ctypes.c_char_p
    assert len({text(status) for status in (0, -1, -2, -3, -99)}) == 5


INT, REAL = ctypes.c_int64, ctypes.c_double


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("lrk_sum", [None]),
        ("lrk_product", [None]),
        ("lrk_clip", [REAL(0), REAL(1)]),
        ("lrk_shift", [INT(1)]),
        ("lrk_stretch", [REAL(2), INT(3)]),
        ("lrk_staircase", [INT(2)]),
        ("lrk_fractal", [ctypes.c_int(3)]),
        ("lrk_repeat", [INT(3), INT(3), REAL(1), REAL(1)]),
        ("lrk_restarts", [INT(3), REAL(1), REAL(1), REAL(0)]),
        ("lrk_restarts", [INT(3), REAL(2), REAL(0.5), REAL(0)]),
        ("lrk_expr_retain", []),
    ],
)
def test_null_goes_through_constructors(name, arguments):
    """The last expression of an invalid construction reports it."""
    function = getattr(ctypes.CDLL(_core.__file__), name)
    function.restype = ctypes.c_void_p
    assert function(None, *arguments) is None


def test_headers_are_installed():
    folder = Path(lk.get_include())
    assert sorted(path.name for path in folder.iterdir()) == HEADERS
    if SOURCES.exists():
        for name in HEADERS:
            source = next(SOURCES.rglob(name))
            assert (folder / name).read_bytes() == source.read_bytes()


@compiler
@pytest.mark.parametrize("standard", ["c99", "c11", "c23", "c++11", "c++20"])
@pytest.mark.parametrize("header", HEADERS)
def test_headers_stand_alone(header, standard, tmp_path):
    command = "c++" if standard.startswith("c++") else "cc"
    if shutil.which(command) is None:
        pytest.skip(f"no {command}")
    source = tmp_path / ("alone.cpp" if command == "c++" else "alone.c")
    source.write_text(f'#include "{header}"\n#include "{header}"\nint main(void) {{ return 0; }}\n')
    wanted = {"c23": "c2x"}.get(standard, standard)
    run(command, f"-std={wanted}", *STRICT, "-Wno-unused-function", f"-I{lk.get_include()}", "-fsyntax-only", source)


@compiler
def test_the_evaluator_refuses_fast_math(tmp_path):
    source = tmp_path / "fast.c"
    source.write_text('#include "lrkern_plan.h"\n')
    command = ["cc", "-ffast-math", f"-I{lk.get_include()}", "-fsyntax-only", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "compile this file without -ffast-math" in done.stderr


def gradient(p, count=8):
    """examples/c/training.c's, in float32."""
    one = np.float32
    grad = np.zeros(2, np.float32)
    for i in range(count):
        x = one(i) / one(count) - one(0.5)
        error = p[0] + p[1] * x - (one(1) + one(3) * x)
        grad[0] += error / one(count)
        grad[1] += error * x / one(count)
    return grad


def training():
    """What examples/c/training.c prints."""
    lr = lk.cosine(0.5, 0.0, 55).warmup(5)
    lines = [f"lr {value.hex()}" for value in lr.table(60)[::10].tolist()]
    p, buffer = np.zeros(2, np.float32), np.zeros(2, np.float32)
    for t in range(60):
        lk.sgd_step(p, gradient(p), buffer, lr=lr(t), momentum=0.9, first=t == 0)
    r = np.zeros(2, np.float32)
    opt = lk.ScheduleFreeSGD([r], 0.5)
    for _ in range(60):
        opt.step([gradient(r)])
    average = opt.averaged_params[0]
    q = np.zeros(2, np.float32)
    opt = lk.AdamW([q[:1], q[1:]], lr, beta1=0.9, beta2=0.99, eps=1e-8, weight_decay=0.01, clip_norm=1.0)
    for _ in range(60):
        grad = gradient(q)
        opt.step([grad[:1], grad[1:]])
    for name, values in (("sgd", p), ("schedule-free", average), ("adamw", q)):
        lines.append(" ".join([name, *(float(value).hex() for value in values)]))
    return lines


def hexes(lines):
    """Lines with their hexadecimal floats read: C may write them in other ways than Python."""
    return [[float.fromhex(word) if "0x" in word else word for word in line.split()] for line in lines]


@compiler
@checkout
@pytest.mark.parametrize("link", ["static", "shared", "installed"])
@pytest.mark.exhaustive
def test_the_example_gives_the_bits_of_python(link, library, tmp_path):
    include, source = SOURCES, ROOT / "examples" / "c" / "training.c"
    how = [library / "liblrkern.a"] if link == "static" else [f"-L{library}", "-llrkern", f"-Wl,-rpath,{library}"]
    if link == "installed":
        if shutil.which("pkg-config") is None:
            pytest.skip("no pkg-config")
        run("make", "-s", "-C", SOURCES, "install", f"OUT={library}", f"PREFIX={tmp_path}")
        settings = {**os.environ, "PKG_CONFIG_PATH": str(tmp_path / "lib" / "pkgconfig")}
        include, how = tmp_path / "include", run("pkg-config", "--cflags", "--libs", "lrkern", env=settings).split()
        how.append(f"-Wl,-rpath,{tmp_path / 'lib'}")
        assert sorted(path.name for path in include.iterdir()) == HEADERS
    program = tmp_path / "training"
    flags = ["-std=c11", "-O2", "-ffp-contract=off", *STRICT, f"-I{include}"]
    run("cc", *flags, source, *how, "-lm", "-pthread", "-o", program)
    found = hexes(run(program).splitlines())
    assert found == hexes(training())
    assert found[-1][1] != 0


def own_rule():
    """What examples/c/own_rule.c prints."""
    from lrkern.rules.words import fma, sign  # noqa: F401  (words of the rule)

    signum = lk.rule("momentum")("""
def signum(p, g, momentum, *, lr, beta=0.9):
    m = fma(beta, momentum, (1 - beta) * g)
    return fma(-lr, sign(m), p), m
""")
    param = np.array([1, -2, 0.5, 0], np.float32)
    opt = signum.Optimizer([param], lr=0.125, clip_norm=1.0)
    for _ in range(10):
        opt.step([np.float32(2) * param - np.float32(0.5)])
    (momentum,) = opt.state_dict()["momentums"]
    return [f"{float(p).hex()} {float(m).hex()}" for p, m in zip(param, momentum, strict=True)]


@compiler
@checkout
def test_the_example_of_a_rule_gives_the_bits_of_python(tmp_path):
    pytest.importorskip("llvmlite")
    program = tmp_path / "own_rule.so"  # linked with the extension module, which exports the library
    flags = ["-std=c11", "-O2", "-ffp-contract=off", *STRICT, f"-I{lk.get_include()}", "-shared", "-fPIC"]
    run("cc", *flags, ROOT / "examples" / "c" / "own_rule.c", _core.__file__, "-lm", "-o", program)
    script = "import sys, ctypes, lrkern; sys.exit(ctypes.CDLL(sys.argv[1]).main())"
    found = hexes(run(sys.executable, "-c", script, program).splitlines())
    assert found == hexes(own_rule())
    assert found[0][1] != 0


@compiler
@checkout
@pytest.mark.parametrize("contract", ["off", "fast"])
@pytest.mark.parametrize("isa", [[], ["-march=native"]], ids=["plain", "native"])
def test_the_inline_evaluator_has_the_bits_of_tables(contract, isa, tmp_path):
    """Compiled by users' flags, contraction of sums of products included; with and without hardware fma."""
    source, shared = tmp_path / "inline.c", tmp_path / "inline.so"
    source.write_text(
        '#include "lrkern_plan.h"\n'
        "void values(const lrk_plan *p, const int64_t *t, int64_t n, double *out)\n"
        "{ for (int64_t i = 0; i < n; i++) out[i] = lrk_plan_at(p, t[i]); }\n"
    )
    run("cc", "-std=gnu11", "-O3", *isa, f"-ffp-contract={contract}", f"-I{lk.get_include()}", "-shared", "-fPIC", source,
        "-lm", "-o", shared)  # fmt: skip
    values = ctypes.CDLL(str(shared)).values
    array = np.ctypeslib.ndpointer
    values.argtypes = [ctypes.c_void_p, array(np.int64), ctypes.c_int64, array(np.float64)]
    c = ctypes.CDLL(_core.__file__)
    c.lrk_ramp.restype = c.lrk_constant.restype = c.lrk_repeat.restype = ctypes.c_void_p
    c.lrk_constant.argtypes = [ctypes.c_double] * 2
    c.lrk_ramp.argtypes = [
        ctypes.c_int,
        ctypes.c_double,
        ctypes.c_double,
        ctypes.c_int64,
        *[ctypes.c_void_p, ctypes.c_int64] * 2,
    ]
    c.lrk_repeat.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_double, ctypes.c_double, ctypes.c_int]
    c.lrk_expr_release.argtypes = [ctypes.c_void_p]
    c.lrk_plan_compile.argtypes = [ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    c.lrk_plan_free.argtypes = [ctypes.c_void_p]
    cosine, peaks = 2, (0.1, 3e-310)  # LRK_SHAPE_COSINE; the second one's values are denormal
    for peak in peaks:
        top, bottom = c.lrk_constant(peak, 1.0), c.lrk_constant(0.0, 1.0)
        once = c.lrk_ramp(cosine, 1.0, 1.0, 1000, top, 0, bottom, 0)
        again = c.lrk_repeat(once, 300, 2**63 - 1, 1.0, 1.0, 0)
        curve = lk.cosine(peak, 0.0, 1000)
        for expr, schedule in ((once, curve), (again, curve.repeat(300))):
            plan = (ctypes.c_int64 * 6)()
            assert c.lrk_plan_compile(expr, 1000, 1 << 16, 64, plan) == 0
            steps = np.array([*range(1200), 10**12, 2**53, -1], np.int64)
            found = np.empty(len(steps))
            values(plan, steps, len(steps), found)
            assert found[:-1].tobytes() == schedule(steps[:-1]).tobytes()
            assert np.isnan(found[-1])
            c.lrk_plan_free(plan)
        for expr in (once, again, top, bottom):
            c.lrk_expr_release(expr)
