"""Every kernel of lrkern.cuda as PTX, without a GPU, and statistics of its text.

The PTX is what runs: the compiler in use makes it for launches on the device of `fake_device`.
"""

from __future__ import annotations

import collections
import fcntl
import hashlib
import platform
import re
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import fake_device  # before a compiler looks for a driver
import numpy as np

# isort: split
from cuda.bindings import nvjitlink

from lrkern.backends.cuda_compiler import chosen
from lrkern.cuda import _arrays, _elements, _kernels, _norms, _plans, _rows, _step_norms, _step_scalars
from lrkern.cuda._platform import types
from lrkern.rules.compiled import FAMILIES
from lrkern.rules.reader import MAX_STATES
from lrkern.rules.rule import own_rules

ROOT = Path(__file__).parents[2]

CAPABILITIES = (8, 0), (9, 0, "a")
"""Compute capabilities; the last one is the device's."""

F32, F64, BF16, F16 = _elements.FLOAT32, _elements.FLOAT64, _elements.BFLOAT16, _elements.FLOAT16
I64, U64 = types.int64, types.uint64
INTS, INTS2, INTS3 = I64[::1], I64[:, ::1], I64[:, :, ::1]
FLOATS, FLOATS2 = types.float64[::1], types.float64[:, ::1]
PLANS = INTS2, INTS, INTS, FLOATS2

STATES = {name: len(rule.parts(name).states) for name, rule in own_rules().items()}


def layout(rule, storage=F32, **others):
    """One storage type for all arrays, except for `others`."""
    count = STATES[rule]
    given = {
        "param": storage,
        "grad": storage,
        "states": tuple(storage if k < count else None for k in range(MAX_STATES)),
        "averages": 0,
        "copy": None,
        "split": False,
        "zero_grad": False,
        "stochastic": False,
        "stochastic_states": False,
        "row_lrs": False,
        "sparse": False,
    }
    return _kernels.Layout(rule=rule, **{**given, **others})


FLOAT32_STATES = (F32, F32, None, None, None)
LAYOUTS = {
    **{f"{rule}-float32": layout(rule) for rule in STATES},
    **{f"{rule}-float64": layout(rule, F64) for rule in ("sgd_momentum", "adam", "lamb")},
    "adam-bfloat16": layout("adam", BF16, states=FLOAT32_STATES),
    "adam-float16": layout("adam", F16),
    "adam-split": layout("adam", BF16, states=FLOAT32_STATES, split=True),
    "adam-stochastic": layout("adam", BF16, stochastic=True, stochastic_states=True),
    "sgd_momentum-rows": layout("sgd_momentum", row_lrs=True),
    "adam-sparse": layout("adam", sparse=True, zero_grad=True),
    "adam-sparse-bfloat16": layout("adam", BF16, states=FLOAT32_STATES, sparse=True),
    "sgd_momentum-sparse-float64-rows": layout("sgd_momentum", F64, sparse=True, row_lrs=True),
    "adam-everything": layout("adam", F32, grad=BF16, averages=1, copy=BF16, zero_grad=True),
    "adam-mixed-float64": layout("adam", F64, grad=F32, states=(F64, BF16, None, None, None), averages=1, copy=F16),
}


def of_t(t, dimensions=2):
    kind = types.float64 if t is np.float64 else types.float32
    return kind[:, ::1] if dimensions == 2 else kind[::1]


def signatures():
    """Name -> (kernel, types of its arguments)."""
    found = {}
    for name, one in LAYOUTS.items():
        of_rows = (FLOATS2, INTS, FLOATS2, INTS2) if one.row_lrs or one.sparse else ()
        found[f"step-{name}"] = _kernels.make_step(one), (INTS2, INTS2, of_t(one.t), INTS, U64[::1], *of_rows)
    for name in ("lars-float32", "lamb-float32", "lamb-float64"):
        one = LAYOUTS[name]
        found[f"measure-{name}"] = _norms.make_measure(one), (INTS2, INTS2, of_t(one.t), INTS3)
    for name, t, storage in (("float32", np.float32, F32), ("bfloat16", np.float32, BF16), ("float64", np.float64, F64)):
        for second in (False, True):
            found[f"square-{name}-{second}"] = _norms.make_square(t, storage, second, False), (INTS2, INTS2, FLOATS2, INTS2)
    found["square-sparse"] = _norms.make_square(np.float32, F32, False, True), (INTS2, INTS2, FLOATS2, INTS2, INTS2)
    found["sort_blocks"] = _rows.sort_blocks, (INTS2, INTS2, INTS2, INTS)
    found["merge"] = _rows.merge, (INTS2, INTS2, I64)
    for name in FAMILIES:
        arrays = INTS2, FLOATS2, FLOATS, INTS, FLOATS2, INTS, FLOATS2, FLOATS2, types.float32[:, ::1], FLOATS2, I64, I64
        found[f"scalars-{name}"] = _step_scalars.make_scalars(name), arrays
    arrays = INTS, FLOATS, U64[::1], INTS2, FLOATS2, FLOATS2, FLOATS, FLOATS, *PLANS, types.float64, I64
    found["advance"] = _step_scalars.advance, arrays
    found["judge_scale"] = _norms.judge_scale, (FLOATS2, INTS2)
    found["set_factors"] = _step_scalars.set_factors, (FLOATS, INTS2, FLOATS2, FLOATS2)
    found["take_norms"] = _norms.take_norms, (INTS3, FLOATS2)
    found["take_lengths"] = _step_norms.take_lengths, (INTS2, INTS, FLOATS, INTS3, FLOATS2)
    for name in ("adam-float32", "adam-everything", "sgd_momentum-rows", "adam-sparse", "adam-mixed-float64"):
        one = LAYOUTS[name]._replace(norms=True)
        arrays = INTS2, INTS2, of_t(one.t), INTS, U64[::1], FLOATS2, INTS, FLOATS2, INTS2, INTS3
        found[f"normed-{name}"] = _step_norms.make_step(one), arrays
    for carrier in (np.float32, np.float64):
        found[f"table-{carrier.__name__}"] = _plans.make_table(carrier), (*PLANS, I64, I64, I64)
    for carrier in (np.uint16, np.float32, np.float64):
        kind = getattr(types, carrier.__name__)
        found[f"fill-{carrier.__name__}"] = _arrays._make_fill(carrier), (I64, I64, kind)
    found["convert"] = _arrays._make_convert(BF16, F32), (I64, I64, I64)
    return found


SIGNATURES = signatures()


@cache
def _library(name):
    return fake_device.COMPILER.compiled(*SIGNATURES[name])


@cache
def _folder():
    """The folder of the PTX that this compiler makes of these sources."""
    installed = sorted(f"{one.name} {one.version}" for one in distributions())
    digest = hashlib.sha256(f"{chosen()} {platform.python_version()} {installed}".encode())
    for file in (Path(__file__), *sorted((ROOT / "lrkern").rglob("*.py"))):
        digest.update(file.read_bytes())
    folder = ROOT / "build" / "ptx" / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def ptx(name, capability):
    """The PTX text of a kernel. It takes seconds to make, so that the processes of a test run share what one has made."""
    file = _folder() / f"{name}.{arch(capability)}"
    with open(_folder() / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            for one in CAPABILITIES:
                text = fake_device.COMPILER.ptx(_library(name), one, arch(one))
                new = _folder() / f"{name}.new"
                new.write_text(text)
                new.replace(_folder() / f"{name}.{arch(one)}")
    return file.read_text()


def arch(capability):
    """The name of an architecture."""
    return "sm_" + "".join(map(str, capability))


def assembled(name, capability):
    """The assembler's report on a kernel: (registers per thread, bytes of stack, bytes spilled)."""
    text = ptx(name, capability).encode()
    linker = nvjitlink.create(2, [f"-arch={arch(capability)}", "-verbose"])
    nvjitlink.add_data(linker, nvjitlink.InputType.PTX, text, len(text), name)
    nvjitlink.complete(linker)
    log = bytearray(nvjitlink.get_info_log_size(linker))
    nvjitlink.get_info_log(linker, log)
    nvjitlink.destroy(linker)
    stack, spilled = re.search(rb"(\d+) bytes stack frame, (\d+) bytes spill stores", log).groups()
    return int(re.search(rb"Used (\d+) registers", log)[1]), int(stack), int(spilled)


@cache
def instructions(text):
    """The number of each instruction, by its full name."""
    found = collections.Counter()
    for line in text.splitlines():
        words = re.sub(r"^\s*@!?%p\d+\s+", "", line).split()
        if words and re.match(r"[a-z]+[0-9]?[.a-z0-9:]*;?$", words[0]) and not words[0].startswith("."):
            found[words[0].rstrip(";")] += 1
    return found
