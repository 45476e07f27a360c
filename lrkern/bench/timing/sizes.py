"""The sizes of the rows: `FULL` for measurements, `QUICK` to see that everything runs."""

from __future__ import annotations

from dataclasses import dataclass

from lrkern.bench.settings import Settings
from lrkern.bench.timing.race import SAMPLES


@dataclass(frozen=True)
class Sizes:
    """Steps, elements and repetitions."""

    fill: int  # steps of a table that does not fit in any cache
    numpy: int  # steps for NumPy expressions, Numba and optax
    loop: int  # steps for naive Python loops
    torch: int  # steps of a torch scheduler
    cached: int  # steps of a table that fits in the caches
    schedules: int  # schedules of a grid ...
    grid_steps: int  # ... and its steps
    lookups: int  # steps in an array given to s(steps)
    calls: int  # calls of s(t)
    compiles: int  # schedules compiled in one round
    compile_steps: int  # their length
    elements: int  # parameters of the large optimizer step
    rule_elements: int  # parameters of a step that fits in the memory of every machine
    shrink: int  # steps of named sizes have so many times fewer elements
    tensors: int  # small tensors in one step
    loop_elements: int  # parameters for the naive Python loop
    repeats: int  # runs of a short job in one round
    samples: int  # runs in a turn, if each is timed on its own
    imports: int  # processes that import the package, after one that compiles it
    first_calls: int  # processes whose first call finds compiled code in the cache
    points: int  # steps at which one case is compared with the oracle
    rounds: int
    slow_rounds: int  # rounds with slow rivals
    patience: float  # seconds after which a race ends early, but with at least three rounds


FULL = Sizes(
    fill=10**8,
    numpy=10**7,
    loop=10**5,
    torch=10**4,
    cached=10**5,
    schedules=10_000,
    grid_steps=10_000,
    lookups=10**6,
    calls=10**5,
    compiles=100,
    compile_steps=10**6,
    elements=2**26,
    rule_elements=2**22,
    shrink=1,
    tensors=1000,
    loop_elements=10**5,
    repeats=100,
    samples=SAMPLES,
    imports=11,
    first_calls=3,
    points=200,
    rounds=9,
    slow_rounds=5,
    patience=6.0,
)

QUICK = Sizes(
    fill=2 * 10**5,
    numpy=10**5,
    loop=10**4,
    torch=200,
    cached=10**5,
    schedules=100,
    grid_steps=1000,
    lookups=10**4,
    calls=10**3,
    compiles=3,
    compile_steps=10**5,
    elements=2**16,
    rule_elements=2**14,
    shrink=64,
    tensors=50,
    loop_elements=10**3,
    repeats=3,
    samples=2,
    imports=0,
    first_calls=1,
    points=20,
    rounds=2,
    slow_rounds=2,
    patience=1.0,
)


def of(settings: Settings) -> Sizes:
    """Those of a run."""
    return QUICK if settings.quick else FULL
