"""torch's gradients as they come out of `backward`: new tensors every step, which lrkern takes by DLPack."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import lrkern as lk
from lrkern.bench.rivals import peers, torch_steps
from lrkern.bench.rows.arrays import OPTIONS, Floats, tensors
from lrkern.bench.timing import step_checks
from lrkern.bench.timing.race import Contestant
from lrkern.bench.timing.result import SUBJECT
from lrkern.bench.timing.row import Contest
from lrkern.bench.timing.sizes import Sizes

RULE = "AdamW"
CASES = ("1000 x 64", "1 x 1 M")


class Loop:
    """Parameters of torch whose gradients are new tensors after every `backward`."""

    def __init__(self, sizes: list[int]) -> None:
        torch: Any = import_module("torch")
        torch.set_num_threads(lk.get_threads())
        params, grads = tensors(sizes)
        self.params = [torch.from_numpy(one) for one in params]
        self.templates = [torch.from_numpy(one) for one in grads]

    def backward(self) -> None:
        """New gradients in new memory: the old ones live until all new ones are there, as in a loop that overlaps."""
        for param, fresh in zip(self.params, [one.clone() for one in self.templates], strict=True):
            param.grad = fresh


class OnePass(Loop):
    """The same by a pass of `backward`: of the sum of products of the parameters and constants, which become the gradients."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__(sizes)
        for one in self.params:
            one.requires_grad_()

    def backward(self) -> None:
        """New gradients, made by torch's engine."""
        for param, factors in zip(self.params, self.templates, strict=True):
            param.grad = None
            param.dot(factors).backward()


def ours(sizes: list[int], repeats: int) -> Contestant:
    """lrkern: one call with the list of gradients, made within the time."""
    loop = Loop(sizes)
    params: list[Any] = loop.params
    optimizer: Any = getattr(lk, RULE)(params, **OPTIONS[RULE])

    def check() -> None:
        def build(param: Floats, grad: Floats) -> Callable[[], object]:
            torch: Any = import_module("torch")
            mine = getattr(lk, RULE)([torch.from_numpy(param)], **OPTIONS[RULE])
            return lambda: mine.step([torch.from_numpy(grad).clone()])

        step_checks.follows(RULE, OPTIONS[RULE], build, step_checks.OURS_ULP)

    def run() -> None:
        optimizer.step([param.grad for param in params])

    return Contestant(SUBJECT, run, 1, prepare=loop.backward, repeats=repeats, check=check)


def of_torch(sizes: list[int], repeats: int) -> Contestant:
    """torch's fused step."""
    loop = Loop(sizes)
    optimizer = getattr(import_module("torch").optim, RULE)(loop.params, fused=True, **OPTIONS[RULE])
    return Contestant(torch_steps.FUSED, optimizer.step, 1, prepare=loop.backward, repeats=repeats)


def entries(case: str, sizes: Sizes) -> dict[str, Callable[[], Contestant]]:
    """Both; without torch there are no such gradients."""
    list_of = [64] * sizes.tensors if case == "1000 x 64" else [2**20 // sizes.shrink]
    return {SUBJECT: partial(ours, list_of, sizes.repeats), torch_steps.FUSED: partial(of_torch, list_of, sizes.repeats)}


ROWS = [Contest("torch-gradients", CASES if peers.available("torch") else (), entries)]
