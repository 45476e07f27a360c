"""Fuzzes src_c without Python, under the address and undefined-behaviour sanitizers, on every ISA of this machine.

    python tests/c/fuzz/run.py --seconds 600          libFuzzer (needs clang): ends at the first fault, which it keeps in a file
    python tests/c/fuzz/run.py --seconds 600 --harness plans
    python tests/c/fuzz/run.py --keep-going ...       ends at no fault, and keeps them all
    python tests/c/fuzz/run.py --replay               the inputs of corpus/, by any compiler (--cc)
    python tests/c/fuzz/run.py --replay FILE --harness plans          one input; the job in words
    python tests/c/fuzz/run.py --merge                what fuzzing has found, as few inputs as do the same, into corpus/

The harnesses are plans.c, steps.c and scans.c; what a byte means is in decode.c, expression.c, step_job.c. There is no
dictionary: the bytes choose from tables of the numbers that matter.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

import library  # noqa: E402

CORPUS = HERE / "corpus"
BUILD = library.ROOT / "build" / "fuzz"
SANITIZERS = "address,undefined,float-cast-overflow"

# Harness -> its sources, and its share of the time.
HARNESSES = {
    "plans": (["plans", "expression", "decode", "record"], 0.6),
    "steps": (["steps", "step_job", "decode", "record"], 0.25),
    "scans": (["scans", "decode", "record"], 0.15),
}

# The counters that tell libFuzzer where an input has been. Comparisons are not traced: it makes everything three times slower.
COVERAGE = "-fsanitize-coverage=inline-8bit-counters,pc-table"

LONGEST = 400  # bytes of an input
TIMEOUT = 60  # seconds: an input takes some hundredths of one


def build(cc: list[str], names: list[str], fuzzer: bool) -> dict[str, Path]:
    """The harnesses as programs, with libFuzzer or with a main that reads files."""
    flags = [*library.sanitizer_flags(SANITIZERS), *([COVERAGE] if fuzzer else [])]
    folder = BUILD / f"{Path(cc[0]).name}-{library.machine_of(cc)}-{'fuzzer' if fuzzer else 'replay'}"
    strict = "clang" not in Path(cc[0]).name  # whose warnings are others
    objects = library.objects(cc, folder / "objects", flags, strict)
    programs = {}
    for name in names:
        sources = [str(HERE / f"{source}.c") for source in [*HARNESSES[name][0], *([] if fuzzer else ["replay"])]]
        programs[name] = folder / name
        linking = ["-fsanitize=fuzzer", "-fno-sanitize-coverage=trace-cmp"] if fuzzer else []
        command = [*cc, *library.FLAGS, *flags, *linking, *sources, *objects, "-pthread", "-lm", "-o", str(programs[name])]
        subprocess.run(command, check=True)
    return programs


def replay(cc: list[str], names: list[str], files: list[str]) -> int:
    """Runs the files, or the committed inputs, through the harnesses. Returns the number of harnesses that saw a fault."""
    faults = 0
    for name, program in build(cc, names, fuzzer=False).items():
        inputs = files or sorted(str(one) for one in (CORPUS / name).iterdir())
        environment = {**os.environ, **({"LRK_FUZZ_PRINT": "1"} if files else {})}
        done = subprocess.run([str(program), *inputs], stderr=subprocess.PIPE, text=True, errors="replace", env=environment)
        # The last file that is named is the one that was being run.
        print(f"{name}: {'' if done.returncode else done.stderr.splitlines()[-1]}", flush=True)
        if done.returncode:
            print(done.stderr[-6000:], flush=True)
            faults += 1
    return faults


def fuzz(names: list[str], seconds: int, keep_going: bool) -> int:
    """Fuzzes each harness for its share of the time. Returns how many ended with a fault."""
    programs = build(["clang"], names, fuzzer=True)
    whole = sum(HARNESSES[name][1] for name in names)
    faults = 0
    for name, program in programs.items():
        found, kept = BUILD / "found" / name, BUILD / "faults" / name
        found.mkdir(parents=True, exist_ok=True)
        kept.mkdir(parents=True, exist_ok=True)
        before = set(kept.iterdir())
        command = [
            str(program),
            f"-max_total_time={max(1, round(seconds * HARNESSES[name][1] / whole))}",
            f"-max_len={LONGEST}",
            "-len_control=0",
            f"-timeout={TIMEOUT}",
            f"-artifact_prefix={kept}/",
            f"-report_slow_units={TIMEOUT}",  # else inputs of 10 seconds, which a busy machine makes of two, count as faults
            "-print_final_stats=1",
            f"-verbosity={int(keep_going)}",
            *(["-fork=1", "-ignore_crashes=1", "-ignore_timeouts=1"] if keep_going else []),
            str(found),
            str(CORPUS / name),
        ]
        print(shlex.join(command), flush=True)
        code = subprocess.run(command).returncode
        new = sorted(set(kept.iterdir()) - before)
        for path in new:
            print(f"{name}: a fault; in words: python tests/c/fuzz/run.py --harness {name} --replay {path}", flush=True)
        faults += bool(code or new)
        print(f"{name}: {'nothing wrong' if not (code or new) else f'{len(new)} faults'}", flush=True)
    return faults


def merge(names: list[str]) -> None:
    """As few inputs as reach what all reach, those that are known and those that fuzzing has found, become corpus/."""
    for name, program in build(["clang"], names, fuzzer=True).items():
        known, fresh = CORPUS / name, BUILD / "merged" / name
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        subprocess.run(
            [str(program), "-merge=1", "-use_counters=0", str(fresh), str(known), str(BUILD / "found" / name)], check=True
        )
        shutil.rmtree(known, ignore_errors=True)
        shutil.copytree(fresh, known)
        sizes = [one.stat().st_size for one in known.iterdir()]
        print(f"{name}: {len(sizes)} inputs, {sum(sizes)} bytes", flush=True)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="time for all harnesses together")
    parser.add_argument("--harness", choices=list(HARNESSES), help="this one alone")
    parser.add_argument("--keep-going", action="store_true", help="do not end at a fault")
    parser.add_argument("--replay", nargs="*", metavar="FILE", help="run these, or all of corpus/")
    parser.add_argument("--cc", default="cc", help="the compiler for --replay")
    parser.add_argument("--merge", action="store_true", help="make corpus/ of what has been found")
    options = parser.parse_args()
    names = [options.harness] if options.harness else list(HARNESSES)
    if options.replay is not None:
        return 1 if replay(shlex.split(options.cc), names, options.replay) else 0
    if options.merge:
        merge(names)
        return 0
    return 1 if fuzz(names, options.seconds, options.keep_going) else 0


if __name__ == "__main__":
    sys.exit(main())
