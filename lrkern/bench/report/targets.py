"""The lines of the table and lrkern's performance targets: the row, the rival, and the time or ratio to reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import lrkern as lk
from lrkern.bench.rivals.limits import STREAMING
from lrkern.bench.timing.race import Result

Cases = Callable[[str], bool]


def every(case: str) -> bool:
    """All cases of the row; the line shows the worst."""
    return True


def only(name: str) -> Cases:
    """Only the case `name`."""
    return lambda case: case == name


def named(case: str) -> bool:
    """Named curves of the package, as opposed to composites; without from_table, which has a piece per value."""
    return case in lk.__all__ and case != "from_table"


@dataclass(frozen=True)
class Line:
    """One line of the table: the worst of some cases of a row, by its time, its value or its ratio to a rival."""

    row: str
    label: str
    unit: str  # of lrkern's number: ULP, values, ms, or the unit of work of a time
    rival: str = ""
    cases: Cases = every
    at_least: float | None = None  # target for the ratio
    at_most: float | None = None  # target for lrkern's own number: the value, or the time in seconds

    def number(self, result: Result) -> float:
        """lrkern's own number."""
        number = result.value if result.time is None else result.time
        assert number is not None
        return number

    def badness(self, result: Result) -> float:
        """Larger for results further from the target."""
        return -result.ratio(self.rival) if self.rival else self.number(result)

    def worst(self, results: list[Result]) -> tuple[Result | None, int]:
        """The worst result, which the line shows, and the number of results."""
        mine = [
            result
            for result in results
            if result.row == self.row and self.cases(result.case) and (not self.rival or self.rival in result.rivals)
        ]
        return (max(mine, key=self.badness) if mine else None), len(mine)

    def met(self, result: Result) -> bool | None:
        """Whether the target is met; None if there is none."""
        if self.at_least is not None:
            return result.ratio(self.rival) >= self.at_least
        if self.at_most is not None:
            return self.number(result) <= self.at_most
        return None


def against(row: str, label: str, unit: str, rivals: dict[str, float | None], cases: Cases = every) -> list[Line]:
    """A line per rival, each with its target ratio or None."""
    return [Line(row, label, unit, rival, cases, at_least=target) for rival, target in rivals.items()]


LINES = [
    Line("error", "largest error, float64", "ULP", at_most=0.6),
    Line("float32", "float32 values not float64's rounded once", "values", at_most=0),
    *against("fill", "fill 10^8 float64", "step", {STREAMING: 0.85}),
    *against("fill-float32", "fill 10^8 float32", "step", {STREAMING: None}),
    *against(
        "peers",
        "fill 10^8 float64, cosine",
        "step",
        {
            "NumPy": 40,
            "Python loop": 500,
            "torch scheduler": 10_000,
            "optax jit": None,
            "Numba loop": None,
        },
        only("cosine"),
    ),
    *against(
        "peers",
        "fill 10^8 float64, any curve",
        "step",
        {"NumPy": None, "Python loop": None, "torch scheduler": None, "optax jit": None, "Numba loop": None},
    ),
    Line("cached", "10^5 steps, in cache", "step", at_most=0.3e-9),
    Line("scalar", "s(t), one number", "call", at_most=150e-9),
    *against("scalar", "s(t), one number", "call", {"Python function": None}),
    *against("lookup", "s(steps), 10^6 steps in random order", "step", {"NumPy": None}),
    Line("compile", "compile (and build) a named curve", "schedule", cases=named, at_most=50e-6),
    Line("compile", "compile a composite", "schedule", cases=lambda case: case not in lk.__all__),
    Line("compile", "compile a table of 1000 values", "schedule", cases=only("from_table")),
    Line("compile", "compile a cosine with warm-up", "schedule", cases=only("warmup"), at_most=15e-6),
    *against("grid", "grid of 10^4 warm-up cosines x 10^4 steps", "step", {STREAMING: 0.3, "NumPy": 15}, only("warmup")),
    *against("grid", "grid of all kinds, 10^4 x 10^4 steps", "step", {STREAMING: None}, only("all kinds")),
    *against("noise", "10^7 normal numbers", "step", {"NumPy": None}, only("normal")),
    *against("noise", "10^7 uniform numbers", "step", {"NumPy": None}, only("uniform")),
    *against("plateau", "plateau, 10^4 runs x 10^4 metrics", "metric", {"torch loop": 100, "copy": None}, only("torch")),
    *against("plateau", "plateau, any dialect", "metric", {"copy": None}),
    *against("loss-driven", "loss_driven, 10^4 runs x 10^4 losses", "loss", {"copy": None}),
    Line("import", "import lrkern, beyond NumPy", "ms", at_most=40),
    *against("sgd", "SGD step, momentum, 2^26 float32", "element", {"bare streams": 0.95}),
    *against(
        "sgd-peers",
        "SGD step, momentum, 2^26 float32",
        "element",
        {"NumPy": 6, "Python loop": 1000, "Numba loop": None, "torch fused": 1, "torch foreach": None},
    ),
    *against(
        "sgd-list",
        "SGD step, 1000 tensors of 64",
        "step",
        {"NumPy": None, "torch fused": 60, "torch foreach": None},
        only("many small"),
    ),
    *against(
        "sgd-list",
        "SGD step, one tensor of 1000",
        "step",
        dict.fromkeys(("NumPy", "torch fused", "torch foreach")),
        only("one small"),
    ),
    Line("sgd-list", "SGD step, one tensor of 1000, the call", "step", cases=only("one small"), at_most=2e-6),
    *against("sgd-resnet", "SGD step, 161 tensors, 10^6 elements", "step", {"torch fused": 5, "torch foreach": None}),
    *against("adamw", "AdamW step, 2^26 float32", "element", {"bare streams": 0.95, "torch fused": 1}),
    *against(
        "pipeline", "unscale, clip, SGD, average, zero, 2^26 float32", "element", {"bare streams": None, "torch sequence": 2.3}
    ),
    *against("split", "SGD step, split bfloat16, 2^26", "element", {"float32 step": 1.25}),
    *against("numba-table", "Numba: fill 10^8 float64, cosine", "step", {"C kernels": 0.9}),
    *against("numba-step", "Numba: a step of 2^26 float32", "element", {"C kernels": 0.9}),
    *against("machine-fill", "limit: streaming fill", "8 bytes", dict.fromkeys(("plain fill", "ndarray.fill"))),
    *against("machine-copy", "limit: copy", "8 bytes", dict.fromkeys(("numpy.copyto",))),
]
