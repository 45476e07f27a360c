"""Builds src_c without Python for some machine and compares its bits with those of the installed package.

    python tests/c/compare.py --cc cc
    python tests/c/compare.py --cc aarch64-linux-gnu-gcc --run qemu-aarch64-static
    python tests/c/compare.py --quick --sanitize address,undefined

Every case of cases.py, the large tables of golden.py and SGD steps, on every ISA of the build; what is long enough for
threads with 1 and 2 of them.
Where golden/schedules.sha256 has a digest, that is what a table is compared with.
"""

from __future__ import annotations

import argparse
import shlex
import struct
import subprocess
import sys
from itertools import product
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

import cases  # noqa: E402
import golden  # noqa: E402
import library  # noqa: E402
import numpy as np  # noqa: E402
from record import program  # noqa: E402

import lrkern as lk  # noqa: E402

OVERFLOW = -2  # LRK_ERROR_OVERFLOW

# ------------------------------------------------------------------------------------------------------------ the build


def build(cc, sanitizers):
    """The driver, and the library as src_c/Makefile compiles it with `cc`, or for sanitizers (a list with commas)."""
    folder = ROOT / "build" / "-".join(["c", library.machine_of(cc), *sanitizers.split(",")])
    linking = library.sanitizer_flags(sanitizers) if sanitizers else ["-static"]
    objects = library.objects(cc, folder, linking if sanitizers else [])
    isas = sorted(path.stem for path in map(Path, objects) if path.parent.name == "isa" and path.stem != "dispatch")
    driver = folder / "driver"
    source = str(HERE / "driver.c")
    command = [*cc, "-O2", *library.FLAGS, source, *objects, *linking, "-pthread", "-lm", "-o", str(driver)]
    subprocess.run(command, check=True)
    return driver, isas


# ------------------------------------------------------------------------------------------- jobs and what they must give


def digest(parts):
    """Of frames or of what should be in them."""
    return golden.digest(parts)


class Job:
    """Something for the driver: its words, how many frames they give, the digest those must have."""

    def __init__(self, name, words, frames, expected, threads=False):
        self.name, self.words, self.frames, self.expected, self.threads = name, words, frames, expected, threads


def table_jobs(known):
    """float64 and float32 tables, and values between steps, as golden.py digests them."""
    for case in cases.CASES:
        words, node, schedule = program(lambda case=case: case.build(lk))
        spans = golden.windows(schedule)
        for i, (dtype, word) in enumerate([(np.float64, "fill64"), (np.float32, "fill32")]):
            asks = [text for start, n in spans for text in (word, str(node), str(start), str(n))]
            frames = len(spans)
            if dtype is np.float64:
                steps = golden.FRACTIONS.tolist()
                asks += ["values", str(node), str(len(steps)), *(t.hex() for t in steps)]
                frames += 1
            expected = known[case.text][i] if case.text in known else golden.digests(case)[i]
            yield Job(f"{word} {case.text}", [*(words if i == 0 else []), *asks], frames, expected)


def large_jobs(known):
    """Tables long enough for every thread and for streaming stores."""
    for text in golden.LARGE_TEXTS:
        words, node, _ = program(lambda text=text: lk.parse(text))
        key = f"{golden.LARGE} steps of {text}"
        both = known[key] if key in known else golden.large_digests(text)
        for i, word in enumerate(("fill64", "fill32")):
            asks = [word, str(node), "0", str(golden.LARGE)]
            yield Job(f"{word} {key}", [*(words if i == 0 else []), *asks], 1, both[i], threads=True)


def pattern(seed, n, dtype):
    """driver.c's pattern."""
    i = np.arange(n, dtype=np.uint64)
    h = (i * 2654435761 + seed * 40503) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    h ^= h >> 16
    scale = np.where(i % 97 == 96, 2.0**-130, np.where(i % 101 == 100, 2.0**100, 1.0))
    return ((h.astype(np.float64) * 2.0**-32 - 0.5) * scale).astype(dtype)


SIZES = [(0, 1), (1, 18), (3, 130), (0, 1000), (5, 400_003)]  # offset, size
OPTIONS = [
    {"momentum": 0.0},
    {"momentum": 0.0, "weight_decay": 0.01},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01, "decoupled": True},
    {"momentum": 0.9, "weight_decay": 0.01, "maximize": True},
]
NAMES = ["lr", "momentum", "dampening", "weight_decay", "nesterov", "decoupled", "maximize"]


def step_jobs():
    """One SGD step each."""
    for dtype, (offset, n), options, first in product((np.float64, np.float32), SIZES, OPTIONS, (False, True)):
        param, grad, buffer = (pattern(seed, n, dtype) for seed in range(3))
        with_buffer = options["momentum"] != 0
        if first and not with_buffer:
            continue
        values = {"lr": 0.1, **options}
        state = buffer[offset:] if with_buffer else None
        lk.sgd_step(param[offset:], grad[offset:], state, first=first, **values)
        word = f"sgd{8 * param.itemsize}"
        numbers = [float(values.get(name, 0.0)).hex() for name in NAMES]
        expected = digest([param.tobytes(), buffer.tobytes()])
        yield Job(
            f"{word} {n - offset} elements, first={first}, {values}",
            [word, str(offset), str(n), str(int(first)), *numbers],
            2,
            expected,
            threads=n > 100_000,
        )


# --------------------------------------------------------------------------------------------------------------- the run


def frames_of(output):
    """The frames of a run; one that overflowed counts as that word, as in golden.py."""
    at = 0
    while at < len(output):
        status, size = struct.unpack_from("<qq", output, at)
        at += 16
        yield b"OverflowError" if status == OVERFLOW else output[at : at + size] if status == 0 else f"status {status}".encode()
        at += size


def differences(command, jobs):
    """Names of the jobs that gave other bits."""
    text = "\n".join(" ".join(job.words) for job in jobs)
    run = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True)
    frames = frames_of(run.stdout)
    wrong = [job.name for job in jobs if digest([next(frames, b"missing") for _ in range(job.frames)]) != job.expected]
    if next(frames, None) is not None:
        wrong.append("more output than asked for")
    return wrong


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cc", default="cc", help="the compiler")
    parser.add_argument("--run", default="", help="what runs its programs here, an emulator for example")
    parser.add_argument("--quick", action="store_true", help="every tenth case only")
    parser.add_argument("--sanitize", default="", help="sanitizers to build with: address,undefined or thread")
    options = parser.parse_args()
    driver, built = build(shlex.split(options.cc), options.sanitize)
    command = [*shlex.split(options.run), str(driver)]
    isas = subprocess.run([*command, "--isas"], check=True, capture_output=True, text=True).stdout.split()
    recorded = golden.recorded() if golden.GOLDEN.exists() else {}
    if options.quick:
        cases.CASES[:] = cases.CASES[:: 80 if options.sanitize else 10]
    jobs = [*table_jobs(recorded), *large_jobs(recorded), *step_jobs()]
    known = {digest for pair in recorded.values() for digest in pair}
    kept = sum(job.expected in known for job in jobs)
    names = f"built for {', '.join(built)}, can run {', '.join(isas)}"
    print(f"{len(jobs)} jobs, {kept} of them with a golden digest; {names}", flush=True)
    failed = not set(isas) <= set(built) or len(isas) < 1
    for isa, threads in product(isas, (1, 2)):
        mine = [job for job in jobs if job.threads or threads == 1]
        wrong = differences([*command, isa, str(threads)], mine)
        same = len(mine) - len(wrong)
        print(f"{isa}, {threads} threads: {same} same, {len(wrong)} different", *wrong[:20], sep="\n    ", flush=True)
        failed = failed or bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
