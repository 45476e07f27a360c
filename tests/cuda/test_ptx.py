"""Every kernel compiles to PTX for every architecture, with the expected instructions. Needs no GPU."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lrkern.backends.cuda_compiler import chosen

ptx = pytest.importorskip("ptx", reason="needs a CUDA compiler, and not the simulator")

pytestmark = pytest.mark.cuda

FLOAT32_STEPS = [f"step-{name}" for name, layout in ptx.LAYOUTS.items() if layout.t is np.float32]
FLOAT64_STEPS = [f"step-{name}" for name, layout in ptx.LAYOUTS.items() if layout.t is np.float64]

MOST_REGISTERS = {
    "scalars-schedule_free_radam": 96,
    "scalars-schedule_free_radam_cautious_decay": 96,
    "step-sgd-float32": 40,
    "step-sgd_momentum-float32": 40,
    "step-adam-float32": 64,
    "step-lion-float32": 40,
    "step-adam-everything": 96,
    "step-adam-mixed-float64": 160,
    "measure-lamb-float64": 128,
    "normed-adam-float32": 128,
    "normed-adam-everything": 128,
    "normed-adam-sparse": 112,
    "normed-adam-mixed-float64": 160,
    "table-float32": 96,
    "table-float64": 96,
}


def is_kept_in_memory(name):
    """Whether the compiler fails to keep a small array in registers: the sum of a row's gradients, updated in a loop."""
    return chosen() == "numba-cuda-mlir" and "sparse" in name


@pytest.fixture(params=ptx.CAPABILITIES, ids=ptx.arch)
def capability(request):
    return request.param


# Variants of rules consist of parts that others have.
VARIANT, SOME = (
    re.compile("cautious|grokfast|amsgrad"),
    ("amsgrad", "adam_cautious", "adagrad_cautious_decay", "sgd_grokfast"),
)


def each(names):
    """Kernels as parameters. In some tests the order is reversed, so that the processes of a run make different ones first."""
    return [
        pytest.param(
            one,
            marks=[pytest.mark.exhaustive]
            if VARIANT.search(one) and not any(f"-{some}-" in f"-{one}-" for some in SOME)
            else [],
        )
        for one in names
    ]


@pytest.mark.parametrize("name", each(ptx.SIGNATURES))
def test_every_kernel_compiles_without_local_memory_and_calls(name, capability):
    text = ptx.ptx(name, capability)
    assert f".target {ptx.arch(capability)}\n" in text
    if not is_kept_in_memory(name):
        assert ".local" not in text, "registers have spilled to memory, or an array is indexed by what is no constant"
    assert "call" not in ptx.instructions(text), "a function has not been inlined"


@pytest.mark.parametrize("name", each(ptx.SIGNATURES))
def test_the_assembler_has_registers_enough(name):
    """A multiprocessor has 65,536 registers: with at most 64 each, 1024 threads are resident and hide latency."""
    registers, stack, spilled = ptx.assembled(name, ptx.CAPABILITIES[-1])
    assert stack <= (32 if is_kept_in_memory(name) else 0)
    assert spilled == 0
    assert registers <= MOST_REGISTERS.get(name, 84)


@pytest.mark.parametrize("name", each(reversed(ptx.SIGNATURES)))
def test_nothing_is_left_to_fuse(name, capability):
    """ptxas may fuse a product and a sum that have no rounding modifier: bits would depend on the compiler."""
    products = set()
    lines = re.findall(r"^\s*(?:@!?%p\d+\s+)?([\w.]+)\s+(%\w+), (.*);$", ptx.ptx(name, capability), re.M)
    for _ in range(3):  # once around every loop
        for word, target, operands in lines:
            read = set(re.findall(r"%\w+", operands))
            if word in ("mul.f32", "mul.f64") or (re.match(r"mov|selp|neg", word) and read & products):
                products.add(target)
    sums = [line for line in lines if re.match(r"(add|sub)\.f(32|64)$", line[0])]
    assert not [line for line in sums if set(re.findall(r"%\w+", line[2])) & products]


@pytest.mark.parametrize("name", each(name for name in reversed(FLOAT32_STEPS) if "-rows" not in name))
def test_no_double_arithmetic_in_float32_steps(name, capability):
    doubles = [word for word in ptx.instructions(ptx.ptx(name, capability)) if ".f64" in word]
    assert not doubles


@pytest.mark.parametrize("name", each(reversed(FLOAT32_STEPS + FLOAT64_STEPS)))
def test_memory_is_read_and_written_16_bytes_at_a_time(name, capability):
    """The expected number of wide accesses; elements per access are those of the narrowest array in 16 bytes."""
    layout = ptx.LAYOUTS[name.removeprefix("step-")]
    found = ptx.instructions(ptx.ptx(name, capability))
    average = [ptx.F64 if layout.t is np.float64 else ptx.F32] * layout.averages
    states = [one for one in layout.states if one is not None]
    rest = [ptx.BF16] if layout.split else []
    copy = [] if layout.copy is None else [layout.copy]
    grads = [layout.grad] * (2 if layout.sparse else 1)  # of a row's first entry, and of its others
    cleared = grads if layout.zero_grad else []

    def accesses(storages):
        return sum(layout.lanes * ptx._elements.itemsize(one) // 16 for one in storages)

    loads = accesses([layout.param, *grads, *states, *average, *rest])
    stores = accesses([layout.param, *states, *average, *rest, *copy, *cleared])
    wide = [re.match(r"(ld|st)\.global\.(v4\.[fu]32|v2\.f64)$", word) for word in found]
    counts = {kind: sum(found[word[0]] for word in wide if word and word[1] == kind) for kind in ("ld", "st")}
    skipped = accesses(cleared)  # zeros are stored on skipped steps, too
    assert counts["ld"] == loads
    assert stores <= counts["st"] <= stores + skipped
    narrow = [word for word in found if re.match(r"(ld|st)\.global\.v", word)]
    assert set(narrow) == {word[0] for word in wide if word}, "a vector that is no 16 bytes"


@pytest.mark.parametrize("name", each(reversed(FLOAT32_STEPS + FLOAT64_STEPS)))
def test_multiply_adds_are_fused(name, capability):
    found = ptx.instructions(ptx.ptx(name, capability))
    assert found["fma.rn.f64" if name in FLOAT64_STEPS else "fma.rn.f32"] > 0


@pytest.mark.parametrize(("name", "wide"), [("float32", "st.global.v4.f32"), ("float64", "st.global.v2.f64")])
def test_tables(name, wide, capability):
    found = ptx.instructions(ptx.ptx(f"table-{name}", capability))
    assert found[wide] == 1
    assert found["fma.rn.f64"] == 11 * (4 if name == "float32" else 2), "Horner's rule by fused multiply-adds, for each lane"


@pytest.mark.parametrize("storage", ["float32", "bfloat16", "float64"])
def test_norms_read_what_four_lanes_take(storage, capability):
    found = ptx.instructions(ptx.ptx(f"square-{storage}-False", capability))
    wide = {"float32": "ld.global.v4.f32", "bfloat16": "ld.global.v2.u32", "float64": "ld.global.v2.f64"}[storage]
    assert found[wide] > 0
    assert found["mul.rn.f64"] > 0
    assert found["fma.rn.f64"] == 0, "a square and its sum are rounded one after the other"


def test_norms_of_rows_read_what_four_lanes_take(capability):
    found = ptx.instructions(ptx.ptx("square-sparse", capability))
    assert found["ld.global.v4.f32"] == 2, "of a row's first entry, and of its others"
    assert found["add.f32"] > 0
    assert found["mul.rn.f64"] > 0
    assert found["fma.rn.f64"] == 0


def test_the_sort_has_no_arithmetic_but_that_of_integers(capability):
    for name in ("sort_blocks", "merge"):
        found = ptx.instructions(ptx.ptx(name, capability))
        assert found["ld.global.u64"] + found["ld.global.s64"] + found["ld.global.b64"] > 0
        assert not [word for word in found if re.search(r"\.f(32|64)", word)]


def test_division_and_roots_are_rounded_correctly(capability):
    for name in FLOAT32_STEPS + FLOAT64_STEPS + [f"scalars-{rule}" for rule in ptx.FAMILIES]:
        for word in ptx.instructions(ptx.ptx(name, capability)):
            if re.match(r"(div|sqrt|rcp)\.\S*f(32|64)", word):
                assert re.match(r"(div|sqrt|rcp)\.rn\.f(32|64)$", word), (name, word)
            assert ".ftz" not in word
            assert ".approx" not in word


def test_sums_of_norms_reach_memory_by_integer_atomics(capability):
    for name in ("square-float32-False", "measure-lamb-float32"):
        text = ptx.ptx(name, capability)
        assert re.search(r"(atom|red)\.global\.add\.u64", text)
        assert re.search(r"(atom|red)\.shared\.add\.u64", text)
        assert not re.search(r"(atom|red)\.\w+\.add\.f", text)
