"""lrkern's performance targets: the lines of the table, with the time or ratio to reach."""

from __future__ import annotations

from math import log

import lrkern as lk
from lrkern.bench.report.line import Cases, Line, against, both, of, only
from lrkern.bench.rivals.limits import STREAMING, STREAMS
from lrkern.bench.rivals.torch_steps import FOREACH, FUSED
from lrkern.bench.rows import own, rules, toll
from lrkern.bench.timing.result import Result
from lrkern.bench.timing.row import ALONE, BESIDE
from lrkern.bench.timing.sizes import Sizes

LARGE = "2^26 float32"
GRADIENTS = "AdamW step, 1000 new gradients of torch"


def named(case: str) -> bool:
    """Named curves of the package, as opposed to composites; without from_table, which has a piece per value."""
    return case in lk.__all__ and case != "from_table"


def short_cycles(steps: str, gain: str, target: float | None) -> list[Line]:
    """Warm restarts of 100 steps, in both precisions."""
    return [
        line
        for dtype in ("float64", "float32")
        for line in against(
            "short-cycles",
            f"fill {steps} {dtype}, cycles of 100, {gain}",
            "step",
            {STREAMING: target},
            only(f"{dtype}, {gain}"),
        )
    ]


def pointwise(size: str) -> Cases:
    """Rules without norms, at one size."""
    return lambda case: case.partition(", ")[2] == size and case.partition(", ")[0] not in rules.NORMS


def first_step(cache: str) -> Cases:
    """First steps, not tables."""
    return lambda case: case in (f"SGD, {cache}", f"AdamW, {cache}")


def of_lists(rule: str) -> list[Line]:
    """Steps of many tensors."""
    small, network = of(rule, "1000 x 64"), of(rule, "161 tensors")
    return [
        *both("step-list", f"{rule} step, 1000 tensors of 64", "step", {FUSED: (100, 60), FOREACH: (None, None)}, small),
        *both("step-list", f"{rule} step, 161 tensors, 0.93 M in all", "step", {FUSED: (5, 5), FOREACH: (None, None)}, network),
        *both("step-list", f"{rule} step, 1000 tensors of 64", "step", {STREAMS: (None, None)}, small),
        *both("step-list", f"{rule} step, 161 tensors, 0.93 M in all", "step", {STREAMS: (None, None)}, network),
    ]


def of_adapter(name: str, label: str, target: float, at_most: float | None = None) -> list[Line]:
    """Steps of lrkern.torch over one list of tensors: the times if there is a target for them, and the ratios."""
    lines = []
    for rule in ("SGD", "AdamW"):
        step, cases = f"lrkern.torch, {rule} step, {label}", of(rule, name)
        if at_most is not None:
            lines += [Line("adapter", step, "step", "", cases, at_most=at_most, how=how) for how in (ALONE, BESIDE)]
        lines += both("adapter", step, "step", {FUSED: (target, target)}, cases)
    return lines


SCHEDULES = [
    Line("error", "largest error, float64", "ULP", at_most=0.6),
    Line("float32", "float32 values not float64's rounded once", "values", at_most=0),
    *against("fill", "fill 10^8 float64", "step", {STREAMING: 0.85}),
    *against("fill-float32", "fill 10^8 float32", "step", {STREAMING: 0.85}),
    *short_cycles("10^8", "gain 1", 0.85),
    *short_cycles("10^7", "gain 0.999", None),
    *both(
        "peers",
        "fill 10^8 float64, cosine",
        "step",
        {
            "NumPy": (40, 40),
            "Python loop": (500, 500),
            "torch scheduler": (10_000, 10_000),
            "optax jit": (None, None),
            "Numba loop": (None, None),
        },
        only("cosine"),
    ),
    *against(
        "peers",
        "fill 10^8 float64, any curve",
        "step",
        {"NumPy": None, "Python loop": None, "torch scheduler": None, "optax jit": None, "Numba loop": None},
        how=ALONE,
    ),
    Line("cached-serial", "10^5 steps, in cache, one thread", "step", at_most=0.3e-9),
    Line("scalar", "s(t), one number", "call", at_most=150e-9),
    *against("scalar", "s(t), one number", "call", {"Python function": None}),
    *against("lookup", "s(steps), 10^6 steps in random order", "step", {"NumPy": None}),
    Line("compile", "compile (and build) a named curve", "schedule", cases=named, at_most=50e-6),
    Line("compile", "compile a composite", "schedule", cases=lambda case: case not in lk.__all__),
    Line("compile", "compile a table of 1000 values", "schedule", cases=only("from_table")),
    Line("compile", "compile a cosine with warm-up", "schedule", cases=only("warmup"), at_most=15e-6),
    *against("grid", "grid of 10^4 warm-up cosines x 10^4 steps", "step", {STREAMING: 0.3, "NumPy": 15}, only("warmup")),
    *against("grid", "grid of all kinds, 10^4 x 10^4 steps", "step", {STREAMING: 0.2}, only("all kinds")),
    *against("noise", "10^7 normal numbers", "step", {"NumPy": 0.3}, only("normal")),
    *against("noise", "10^7 uniform numbers", "step", {"NumPy": 0.3}, only("uniform")),
    *against("plateau", "plateau, 10^4 runs x 10^4 metrics", "metric", {"torch loop": 100, "copy": None}, only("torch")),
    *against("plateau", "plateau, any dialect", "metric", {"copy": None}),
    *against("loss-driven", "loss_driven, 10^4 runs x 10^4 losses", "loss", {"copy": None}),
    Line("import", "import lrkern, beyond NumPy", "ms", at_most=40),
    Line("extension-size", "the extension module, as built", "MiB", at_most=4),
    Line("quick-run", "lrkern bench --quick", "s", at_most=30),
]

STEPS = [
    *(
        line
        for rule in ("SGD", "Adam", "AdamW")
        for line in both("step", f"{rule} step, one tensor, 4 K to 64 M", "element", {FUSED: (1, 1)}, of(rule))
    ),
    *against("step", f"AdamW step, {LARGE}", "element", {STREAMS: 0.95}, of("AdamW", "64 M"), ALONE),
    *against("one-thread", "AdamW step, 2^18 float32, one thread", "element", {STREAMS: 0.5}, only("AdamW")),
    *against("one-thread", "SGD step, 2^18 float32, one thread", "element", {STREAMS: None}, only("SGD")),
    *against("sgd", f"sgd_step, momentum, {LARGE}", "element", {STREAMS: 0.95}),
    *both("sgd-peers", f"sgd_step, momentum, {LARGE}", "element", {STREAMS: (0.95, None), FUSED: (1, 1)}),
    *both(
        "sgd-peers",
        f"sgd_step, momentum, {LARGE}",
        "element",
        dict.fromkeys((FOREACH, "NumPy", "Numba loop", "Python loop"), (None, None)),
    ),
    *both("pipeline", f"unscale, clip, SGD, average, zero, {LARGE}", "element", {STREAMS: (0.9, None)}),
    *both("pipeline", f"unscale, clip, SGD, average, zero, {LARGE}", "element", {"torch sequence": (None, None)}),
    *against("split", "SGD step, split bfloat16, 2^26", "element", {"float32 step": 1.25}),
    *against("rule", f"any rule without norms, {LARGE}", "element", {STREAMS: 0.9}, pointwise(rules.LARGE)),
    *against("rule", "any rule without norms, 2^22 float32", "element", {STREAMS: None}, pointwise(rules.MEDIUM)),
]

LISTS = [
    *(line for rule in ("SGD", "AdamW") for line in of_lists(rule)),
    *both("step-list", "SGD step, 1000 tensors of 64", "step", {"NumPy": (None, None)}, of("SGD", "1000 x 64")),
    *both(
        "step-list",
        "SGD step, one tensor of 1000",
        "step",
        dict.fromkeys((FUSED, "NumPy"), (None, None)),
        of("SGD", "1 x 1000"),
    ),
    Line("step-list", "SGD step, one tensor of 1000, the call", "step", "", of("SGD", "1 x 1000"), at_most=2e-6, how=ALONE),
    Line("torch-gradients", GRADIENTS, "step", "", only("1000 x 64"), at_most=250e-6, how=ALONE),
    Line("torch-gradients", GRADIENTS, "step", "", only("1000 x 64"), at_most=250e-6, how=BESIDE),
    *both("torch-gradients", GRADIENTS, "step", {FUSED: (None, None)}, only("1000 x 64")),
    *both("torch-gradients", "AdamW step, a new gradient of 1 M of torch", "step", {FUSED: (None, None)}, only("1 x 1 M")),
    Line("call", "sgd_step, one tensor of 64", "call", cases=only("sgd_step"), at_most=1.5e-6),
    Line("call", "bound step, one tensor of 64", "call", cases=lambda case: case.endswith("bound"), at_most=0.4e-6),
    Line(
        "call",
        "bound step with a schedule, one tensor of 64",
        "call",
        cases=lambda case: case.endswith("schedule"),
        at_most=0.55e-6,
    ),
]

ADAPTER = [
    *of_adapter("1000 x 64", "1000 new gradients of 64", 8, at_most=300e-6),
    *of_adapter("161 tensors", "161 new gradients, 0.93 M in all", 3),
    *of_adapter("64 M", "a new gradient of 64 M", 1),
    *(
        line
        for rule in ("SGD", "Adam", "AdamW")
        for line in both(
            "adapter-sizes",
            f"lrkern.torch, {rule} step, a gradient of backward, 4 K to 4 M",
            "element",
            {FUSED: (None, None)},
            of(rule),
        )
    ),
    *both("training", "lrkern.torch, training a transformer of 10 M", "training step", {FUSED: (1, 1)}),
    Line("import-torch", "import lrkern.torch, beyond torch", "ms", at_most=20),
    Line("toll-torch", "reading a tensor by the exchange API", "us", cases=only(toll.EXCHANGE), at_most=0.15),
    Line("toll", "reading a tensor by DLPack in Python", "us", cases=only(toll.OF_NUMPY), at_most=2),
    Line("toll-torch", "reading a tensor by DLPack in Python, torch's", "us", cases=only(toll.OF_TORCH)),
]

NUMBA = [
    *against("numba-table", "Numba: fill 10^8 float64, cosine", "step", {"C kernels": 0.9}),
    *against("numba-step", f"Numba: a step of {LARGE}", "element", {"C kernels": 0.9}),
    Line("first-call", "a rule of your own: first step", "s", cases=only("own rule"), at_most=0.1),
    Line("first-call", "Numba: first step, empty cache", "s", cases=first_step("empty cache"), at_most=2),
    Line("first-call", "Numba: first step, from the cache", "s", cases=first_step("filled cache"), at_most=0.1),
    Line("first-call", "Numba: first table, empty cache", "s", cases=only("table, empty cache"), at_most=2),
    Line("first-call", "Numba: first table, from the cache", "s", cases=only("table, filled cache"), at_most=0.1),
]

MACHINE = [
    *against("machine-fill", "limit: streaming fill", "8 bytes", dict.fromkeys(("plain fill", "ndarray.fill"))),
    *against("machine-copy", "limit: copy", "8 bytes", dict.fromkeys(("numpy.copyto",))),
]

LINES = [*SCHEDULES, *STEPS, *LISTS, *ADAPTER, *NUMBA, *MACHINE]


def count(n: int) -> str:
    """A number of steps or elements: 10^8, 2^22, or all of its digits."""
    for base in (10, 2):
        power = round(log(n, base))
        if base**power == n:
            return f"{base}^{power}"
    return f"{n:,}"


def own_lines(results: list[Result], sizes: Sizes) -> list[Line]:
    """A line for each result of the user's own schedules and rules."""
    labels = {
        own.SCHEDULE: (f"fill {count(sizes.fill)} float64", "step", STREAMING),
        own.CALL: ("s(t), one number", "call", ""),
        own.COMPILE: ("read and compile", "schedule", ""),
        own.RULE: (f"a step of {count(sizes.rule_elements)} float32", "element", STREAMS),
    }
    found = []
    for result in results:
        if result.row in labels:
            label, unit, rival = labels[result.row]
            name = result.case.rpartition("/")[2] if result.row == own.RULE else result.case
            found.append(Line(result.row, f"{name}: {label}", unit, rival, only(result.case)))
    return found
