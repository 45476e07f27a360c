"""The emulator follows the PTX ISA and detects invalid accesses, races and divergent barriers."""

from __future__ import annotations

import ctypes
import math
import subprocess
import sys
from pathlib import Path

import emulator
import numpy as np
import pytest

pytestmark = pytest.mark.cuda

FLOATS = [0.0, -0.0, 1.0, -1.5, 3.0, 1e-40, 5e-324, 1e38, -1e308, 2.0**53 + 1, math.inf, -math.inf, math.nan]
INTS = [0, 1, -1, 2, 63, 64, 255, -128, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 0x0123456789ABCDEF]

NUMPY = {"f": "float", "s": "int", "u": "uint", "b": "uint"}

_CHECK = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_uint64)


class Kernel(ctypes.Structure):
    """A kernel, as the fake driver gets it."""

    _fields_ = (("launch", ctypes.c_void_p), ("parameters", ctypes.c_int))


def run(body, folder, *arrays, threads=1, blocks=1, backwards=False, shared=""):
    """A kernel with the addresses of arrays in %a0, %a1, ...; what it accessed, as (byte from the first array, size)."""
    parameters = ", ".join(f".param .u64 k_param_{i}" for i in range(len(arrays)))
    loads = "\n".join(f"ld.param.u64 %a{i}, [k_param_{i}];" for i in range(len(arrays)))
    text = f"{shared}\n.visible .entry k(\n{parameters}\n)\n{{\n{loads}\n{body}\nret;\n}}\n"
    kernel = Kernel.from_address(emulator.compiled(text, "k", folder))
    assert kernel.parameters == len(arrays)
    seen = []
    check = _CHECK(lambda address, size, *_: seen.append((address - arrays[0].ctypes.data, size)))
    launch = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int, _CHECK)(kernel.launch)
    addresses = [ctypes.c_uint64(one.ctypes.data) for one in arrays]
    pointers = (ctypes.c_void_p * len(arrays))(*[ctypes.addressof(one) for one in addresses])
    launch((ctypes.c_uint * 3)(blocks, 1, 1), (ctypes.c_uint * 3)(threads, 1, 1), pointers, backwards, check)
    return seen


def dtype(kind):
    return np.dtype(f"{NUMPY[kind[0]]}{kind[1:]}")


def values(kind):
    with np.errstate(all="ignore"):
        if kind[0] == "f":
            return np.array(FLOATS).astype(dtype(kind))
        return np.array(INTS).astype(dtype(kind))


def kind_of(array):
    return {"f": "f", "i": "s", "u": "u"}[array.dtype.kind] + str(8 * array.itemsize)


def operate(word, folder, result, *operands):
    """An instruction on arrays of numbers, element by element."""
    found = np.empty(len(operands[0]), result)
    lines = []
    for i in range(len(found)):
        for k, one in enumerate(operands):
            lines.append(f"ld.global.{kind_of(one)} %x{k}, [%a{k + 1}+{i * one.itemsize}];")
        lines.append(f"{word} %y, {', '.join(f'%x{k}' for k in range(len(operands)))};")
        lines.append(f"st.global.{kind_of(found)} [%a0+{i * found.itemsize}], %y;")
    run("\n".join(lines), folder, found, *operands)
    return found


def pairs(kind):
    a = values(kind)
    return np.repeat(a, len(a)), np.tile(a, len(a))


def same(found, expected):
    expected = expected.astype(found.dtype)
    if found.dtype == np.float32:  # its only NaN
        expected.view(np.uint32)[np.isnan(expected)] = 0x7FFFFFFF
    if found.dtype == np.float64:
        assert np.array_equal(np.isnan(found), np.isnan(expected))
        found, expected = found[~np.isnan(found)], expected[~np.isnan(expected)]
    return found.tobytes() == expected.tobytes()


def shifted(a, n, right):
    n = int(n) & 0xFFFFFFFF
    width = a.dtype.itemsize * 8
    if n >= width:
        return a.dtype.type(-1) if right and a.dtype.kind == "i" and a < 0 else a.dtype.type(0)
    return a >> a.dtype.type(n) if right else a << a.dtype.type(n)


BINARY = {
    "add.f32": np.add, "add.f64": np.add, "add.s64": np.add, "add.s32": np.add, "sub.f32": np.subtract, "sub.s64": np.subtract,
    "mul.f32": np.multiply, "mul.rn.f64": np.multiply, "mul.lo.s64": np.multiply, "mul.lo.s32": np.multiply,
    "div.rn.f32": np.divide, "div.rn.f64": np.divide, "and.b32": np.bitwise_and, "xor.b64": np.bitwise_xor,
    "min.s64": np.minimum, "max.s64": np.maximum, "min.f32": np.fmin, "max.f64": np.fmax,
}  # fmt: skip


@pytest.mark.parametrize("word", BINARY)
def test_arithmetic(word, tmp_path):
    kind = word.rpartition(".")[2]
    a, b = pairs(kind)
    if word.startswith(("min", "max")) and kind[0] == "f":  # of zeros of either sign, either
        a, b = a[(a != 0) | (b != 0)], b[(a != 0) | (b != 0)]
    with np.errstate(all="ignore"):
        assert same(operate(word, tmp_path, dtype(kind), a, b), BINARY[word](a, b))


def test_wide_and_high_products(tmp_path):
    a, b = pairs("s32")
    assert same(operate("mul.wide.s32", tmp_path, np.dtype("i8"), a, b), a.astype(np.int64) * b)
    a, b = pairs("u64")
    high = np.array([int(x) * int(y) >> 64 for x, y in zip(a, b, strict=True)], np.uint64)
    assert same(operate("mul.hi.u64", tmp_path, np.dtype("u8"), a, b), high)


def test_products_that_are_added(tmp_path):
    a, b = pairs("s32")
    c = b[::-1].copy()
    with np.errstate(all="ignore"):
        assert same(operate("mad.lo.s32", tmp_path, np.dtype("i4"), a, b, c), a * b + c)
    wide = c.astype(np.int64) << 30
    assert same(operate("mad.wide.s32", tmp_path, np.dtype("i8"), a, b, wide), a.astype(np.int64) * b + wide)


@pytest.mark.parametrize("kind", ["u32", "u64"])
def test_bits_are_counted_taken_out_and_put_in(kind, tmp_path):
    a, width = values(kind), int(kind[1:])
    numbers = [int(one) for one in a]
    found = operate(f"clz.b{width}", tmp_path, np.dtype("u4"), a)
    assert found.tolist() == [width - one.bit_length() for one in numbers]
    assert operate(f"popc.b{width}", tmp_path, np.dtype("u4"), a).tolist() == [one.bit_count() for one in numbers]
    begin, length = (np.full(len(a), one, np.uint32) for one in (5, 9))
    taken = operate(f"bfe.{kind}", tmp_path, dtype(kind), a, begin, length)
    assert taken.tolist() == [one >> 5 & 511 for one in numbers]
    put = operate(f"bfi.b{width}", tmp_path, dtype(kind), a[::-1].copy(), a, begin, length)
    assert put.tolist() == [one & ~(511 << 5) | (new & 511) << 5 for new, one in zip(numbers[::-1], numbers, strict=True)]


def test_a_fused_multiply_add_rounds_once(tmp_path):
    a, b = pairs("f64")
    c = np.full_like(a, -(2.0**53 + 2))
    with np.errstate(all="ignore"):
        found = operate("fma.rn.f64", tmp_path, np.dtype("f8"), a, b, c)
    x = 1 + 2.0**-52
    assert operate("fma.rn.f64", tmp_path, np.dtype("f8"), *(np.array([one]) for one in (x, x, -(1 + 2.0**-51)))) == 2.0**-104
    assert np.isnan(found[np.isnan(a)]).all()


@pytest.mark.parametrize("word", ["shl.b32", "shl.b64", "shr.u32", "shr.s32", "shr.s64", "shr.u16"])
def test_shifts_by_any_number(word, tmp_path):
    kind = word.rpartition(".")[2].replace("b", "u")
    a = values(kind)
    a, n = np.repeat(a, 5), np.tile(np.array([0, 1, 31, 63, -1], np.int32), len(a))
    expected = np.array([shifted(x, y, word.startswith("shr")) for x, y in zip(a, n, strict=True)], dtype(kind))
    assert same(operate(word, tmp_path, dtype(kind), a, n), expected)


@pytest.mark.parametrize(
    "comparison", ["eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "nan", "num"]
)
def test_comparisons(comparison, tmp_path):
    a, b = pairs("f32")
    nan = np.isnan(a) | np.isnan(b)
    plain = {"eq": a == b, "ne": a != b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b, "na": nan, "nu": ~nan}
    expected = plain[comparison[:2]] & ~nan if len(comparison) == 2 else plain[comparison[:2]] | (nan & (comparison != "num"))
    found = compared(comparison, tmp_path, a, b)
    assert same(found, expected.astype(np.uint32))


def compared(comparison, folder, a, b):
    found = np.empty(len(a), np.uint32)
    lines = []
    for i in range(len(a)):
        lines.append(f"ld.global.f32 %x, [%a1+{4 * i}];\nld.global.f32 %z, [%a2+{4 * i}];")
        lines.append(f"setp.{comparison}.f32 %p, %x, %z;\nselp.u32 %y, 1, 0, %p;\nst.global.u32 [%a0+{4 * i}], %y;")
    run("\n".join(lines), folder, found, a, b)
    return found


CONVERSIONS = {
    "cvt.f64.f32": ("f32", "f64"), "cvt.rn.f32.f64": ("f64", "f32"), "cvt.rn.f64.s64": ("s64", "f64"),
    "cvt.s64.s32": ("s32", "s64"), "cvt.u64.u32": ("u32", "u64"), "cvt.u32.u64": ("u64", "u32"), "cvt.s32.s16": ("s16", "s32"),
    "cvt.u16.u32": ("u32", "u16"), "cvt.rn.f32.u16": ("u16", "f32"),
}  # fmt: skip


@pytest.mark.parametrize("word", CONVERSIONS)
def test_conversions(word, tmp_path):
    source, target = CONVERSIONS[word]
    a = values(source)
    with np.errstate(all="ignore"):
        assert same(operate(word, tmp_path, dtype(target), a), a.astype(dtype(target)))


def test_conversions_to_integers_saturate(tmp_path):
    a = np.array([1.9, -1.9, 1e300, -1e300, math.nan, 2.0**63, -(2.0**63)])
    most, least = 2**63 - 1, -(2**63)
    assert operate("cvt.rzi.s64.f64", tmp_path, np.dtype("i8"), a).tolist() == [1, -1, most, least, 0, most, least]
    assert operate("cvt.rmi.s64.f64", tmp_path, np.dtype("i8"), a).tolist() == [1, -2, most, least, 0, most, least]


def test_loads_extend_the_sign(tmp_path):
    found, a = np.empty(2, np.int64), np.array([-3, 7], np.int16)
    body = "ld.global.s16 %x, [%a1];\nst.global.s64 [%a0], %x;\nld.global.u16 %x, [%a1];\nst.global.s64 [%a0+8], %x;"
    run(body, tmp_path, found, a)
    assert found.tolist() == [-3, 0xFFFD]


def test_accesses_are_checked_whole(tmp_path):
    array = np.arange(8, dtype=np.float32)
    seen = run("ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%a0+16];\nst.global.f32 [%a0], %f3;", tmp_path, array)
    assert seen == [(16, 16), (0, 4)]
    assert array[0] == 6.0


def test_local_memory_is_each_thread_s_own(tmp_path):
    body = """
    .local .align 8 .b8 __local_depot0[16];
    mov.u64 %SPL, __local_depot0;
    cvta.local.u64 %SP, %SPL;
    mov.u32 %i, %tid.x;
    cvt.u64.u32 %w, %i;
    st.local.u64 [%SPL+8], %w;
    bar.sync 0;
    ld.local.u64 %v, [%SP+8];
    shl.b64 %d, %w, 3;
    add.s64 %to, %a0, %d;
    st.global.u64 [%to], %v;"""
    array = np.zeros(8, np.uint64)
    run(body, tmp_path, array, threads=8)
    assert array.tolist() == list(range(8))


@pytest.mark.parametrize("backwards", [False, True])
def test_barriers_hold_back_all_threads(backwards, tmp_path):
    """Each thread reads what its neighbour has written."""
    shared = ".visible .shared .align 4 .b8 memory[32];"
    body = """
    mov.u32 %i, %tid.x;
    mul.wide.u32 %d, %i, 4;
    mov.u64 %m, memory;
    add.s64 %own, %m, %d;
    st.shared.u32 [%own], %i;
    bar.sync 0;
    xor.b64 %d2, %d, 4;
    add.s64 %other, %m, %d2;
    ld.shared.u32 %v, [%other];
    add.s64 %to, %a0, %d;
    atom.global.add.u32 %old, [%to], %v;
    red.global.add.u32 [%a0], 100;"""
    array = np.zeros(8, np.uint32)
    run(body, tmp_path, array, threads=8, blocks=2, backwards=backwards, shared=shared)
    assert array.tolist() == [2 * 1 + 1600, 0, 6, 4, 10, 8, 14, 12]


@pytest.mark.parametrize(
    "line", ["sin.approx.f32 %f1, %f2", "div.full.f32 %f1, %f2, %f3", "add.rz.f32 %f1, %f2, %f3", "ld.const.f32 %f1, [%a0]"]
)
def test_what_is_not_known_is_an_error(line, tmp_path):
    with pytest.raises(NotImplementedError, match=line.split()[0]):
        run(line + ";", tmp_path, np.zeros(1))


PROGRAM = """
import sys
import numpy as np
import fake_device
from lrkern.cuda._platform import cuda

@cuda.jit
def copy(a, b, ahead):
    i = cuda.grid(1)
    if i < b.size:
        b[i] = a[i + ahead]

a, b = cuda.to_device(np.ones(128)), cuda.to_device(np.zeros(128))
copy[1, 128](a, b, 0)
assert b.copy_to_host().all()
copy[1, 128](a, b, 1)
"""


def test_an_access_beyond_an_array_ends_the_process(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    assert found.returncode < 0
    assert "fake driver: ld.global.f64: 8 bytes at" in found.stderr
