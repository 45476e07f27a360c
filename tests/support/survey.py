"""Random expressions against the oracle for any length of time: shrunk failures, and the distribution of errors.

python tests/support/survey.py --pairs 1000000            # (schedule, step) pairs; another seed every time
python tests/support/survey.py --hours 8 --seed 7
python tests/support/survey.py "cosine(1.0, 0.1, 50).warmup(7)"    # one expression, closely
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time

import expressions
import numpy as np
import promise
import shrinking

import lrkern as lk

STEPS = 60
EVERY = 0.001  # width of the bins that errors are counted in, ULP
QUANTILES = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999, 1.0)


def breaks_as(fault: promise.Fault, seed: int):
    """Whether a text breaks the same promise at the steps drawn with a seed."""

    def fails(text: str) -> bool:
        faults, _ = promise.examine(text, expressions.build(text), random.Random(seed), STEPS)
        return any(f.kind == fault.kind for f in faults)

    return fails


def minimized(fault: promise.Fault, tries: int = 300) -> promise.Fault:
    """The same fault in the simplest expression found."""
    for seed in range(8):  # with steps at which it fails
        if breaks_as(fault, seed)(fault.text):
            text = shrinking.shrink(fault.text, breaks_as(fault, seed), tries)
            faults, _ = promise.examine(text, expressions.build(text), random.Random(seed), STEPS)
            return max((f for f in faults if f.kind == fault.kind), key=lambda f: f.error)
    return fault


class Tally:
    """A histogram of errors, and the largest ones."""

    def __init__(self):
        self.bins = np.zeros(2001, np.int64)
        self.schedules = 0
        self.worst: list[tuple[float, str, int]] = []

    def add(self, text: str, errors: list[float]) -> None:
        self.schedules += 1
        if not errors:
            return
        finite = np.minimum(np.nan_to_num(np.array(errors), nan=2.0, posinf=2.0), 2.0)
        np.add.at(self.bins, (finite / EVERY).astype(int), 1)
        self.worst = sorted([*self.worst, (max(errors), text)], reverse=True)[:10]

    def report(self) -> str:
        n = int(self.bins.sum())
        below = np.cumsum(self.bins) / max(n, 1)
        quantiles = ", ".join(f"{q:.7g}: {np.searchsorted(below, q) * EVERY:.3f}" for q in QUANTILES)
        lines = [f"{n} steps of {self.schedules} schedules; quantiles of the error in ULP: {quantiles}"]
        return "\n".join(lines + [f"  {error:.4g} {text}" for error, text in self.worst])


def survey(
    seed: int, examples: float = math.inf, pairs: float = math.inf, seconds: float = math.inf, most_faults: int = 50
) -> list[promise.Fault]:
    """Examine random expressions until one of the limits is reached; print the findings, return shrunk faults."""
    tally, faults, began = Tally(), [], time.monotonic()
    told = began
    number = 0
    while tally.schedules < examples and tally.bins.sum() < pairs and len(faults) < most_faults:
        if time.monotonic() - began > seconds:
            break
        number += 1
        rng = random.Random(f"{seed}/{number}")
        text, schedule = expressions.buildable(rng)
        at = time.monotonic()
        broken, errors = promise.examine(text, schedule, rng, STEPS)
        tally.add(text, errors)
        if time.monotonic() - at > 5.0:
            print(f"slow ({time.monotonic() - at:.1f} s): {text}", flush=True)
        if broken:
            worst = max(broken, key=lambda f: f.error)
            print(f"[{number}] {worst}", flush=True)
            small = minimized(worst)
            print(f"    = {small}", flush=True)
            faults.append(small)
        if time.monotonic() - told > 60.0:
            told = time.monotonic()
            print(f"... {int(tally.bins.sum())} steps", flush=True)
    print(f"seed {seed}, {lk.info()['isa']}, {time.monotonic() - began:.0f} s")
    print(tally.report())
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("expression", nargs="?")
    parser.add_argument("--pairs", type=float, default=math.inf)
    parser.add_argument("--hours", type=float, default=math.inf)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--faults", type=int, default=50, help="stop after so many")
    options = parser.parse_args()
    if options.expression:
        schedule = expressions.build(options.expression)
        faults, errors = promise.examine(options.expression, schedule, random.Random(options.seed), 2000)
        print(*faults[:20], f"{len(faults)} faults, largest error {max(errors, default=0.0):.4f} ULP", sep="\n")
        return bool(faults)
    if options.pairs == options.hours == math.inf:
        options.pairs = 1e5
    return bool(survey(options.seed, pairs=options.pairs, seconds=options.hours * 3600.0, most_faults=options.faults))


if __name__ == "__main__":
    sys.exit(main())
