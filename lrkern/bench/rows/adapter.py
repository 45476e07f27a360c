"""Optimizers of `lrkern.torch` against torch's own: gradients are new tensors, as after `backward`, or made by it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from lrkern.bench.rivals import peers, torch_steps
from lrkern.bench.rows import sizes as sizes_of
from lrkern.bench.rows.arrays import OPTIONS, Floats, turns
from lrkern.bench.rows.gradients import Loop, OnePass
from lrkern.bench.rows.lists import SMALL, network
from lrkern.bench.timing import step_checks
from lrkern.bench.timing.race import Contestant
from lrkern.bench.timing.result import SUBJECT
from lrkern.bench.timing.row import Contest
from lrkern.bench.timing.sizes import Sizes

LISTS: dict[str, Callable[[Sizes], list[int]]] = {
    "1000 x 64": lambda sizes: [SMALL] * sizes.tensors,
    "161 tensors": lambda sizes: network(),
    "64 M": lambda sizes: [sizes.elements],
}
ONE = tuple(case for case in sizes_of.CASES if not case.endswith(" 64 M"))
CASES = tuple(f"{rule}, {name}" for name in LISTS for rule in ("SGD", "AdamW"))


def step_over(module: str, rule: str, params: list[Any], **options: Any) -> Callable[[], object]:
    """The step of an optimizer of a module."""
    made = getattr(import_module(module), rule)(params, **OPTIONS[rule], **options)
    step: Callable[[], object] = made.step
    return step


def contestant(
    name: str, module: str, rule: str, loop_of: type[Loop], list_of: list[int], units: int, repeats: int, **options: Any
) -> Contestant:
    """An optimizer over a list of tensors."""

    def check() -> None:
        def build(param: Floats, grad: Floats) -> Callable[[], object]:
            torch: Any = import_module("torch")
            own = torch.from_numpy(param).requires_grad_()
            own.grad = torch.from_numpy(grad)
            return step_over(module, rule, [own], **options)

        ulps = step_checks.OURS_ULP if name == SUBJECT else step_checks.TORCH_ULP
        step_checks.follows(rule, OPTIONS[rule], build, ulps)

    loop = loop_of(list_of)
    return Contestant(
        name, step_over(module, rule, loop.params, **options), units, prepare=loop.backward, repeats=repeats, check=check
    )


def entries(case: str, sizes: Sizes) -> dict[str, Callable[[], Contestant]]:
    """A list."""
    rule, _, name = case.partition(", ")
    return against_torch(rule, Loop, LISTS[name](sizes), 1, sizes)


def entries_of_one(case: str, sizes: Sizes) -> dict[str, Callable[[], Contestant]]:
    """One tensor; times are per element."""
    rule, _, name = case.partition(", ")
    n = sizes_of.ELEMENTS[name] // sizes.shrink
    return against_torch(rule, OnePass, [n], n, sizes)


def against_torch(
    rule: str, loop_of: type[Loop], list_of: list[int], units: int, sizes: Sizes
) -> dict[str, Callable[[], Contestant]]:
    """lrkern.torch, and torch's fused step."""
    shared = (rule, loop_of, list_of, units, turns(sum(list_of), sizes.repeats))
    return {
        SUBJECT: partial(contestant, SUBJECT, "lrkern.torch", *shared),
        torch_steps.FUSED: partial(contestant, torch_steps.FUSED, "torch.optim", *shared, fused=True),
    }


ROWS = [
    Contest("adapter", CASES if peers.available("torch") else (), entries),
    Contest("adapter-sizes", ONE if peers.available("torch") else (), entries_of_one),
]
