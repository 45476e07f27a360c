"""A whole training step of a small transformer on the CPU: forward, backward, and the step of the optimizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import lrkern as lk
from lrkern.bench.rivals import peers, torch_steps
from lrkern.bench.rows.arrays import OPTIONS
from lrkern.bench.timing import checks
from lrkern.bench.timing.race import Contestant
from lrkern.bench.timing.result import SUBJECT
from lrkern.bench.timing.row import Contest
from lrkern.bench.timing.sizes import Sizes

CASE = "transformer of 10 M"
WORDS, WIDTH, HEADS, LAYERS = 1024, 384, 6, 5
BATCH, LENGTH = 2, 32
SHRUNK = 8  # in quick runs
RULE = "AdamW"
CHECKED = 3  # steps in which the loss must fall


class Training:
    """A model, data, and an optimizer."""

    def __init__(self, module: str, sizes: Sizes, **options: Any) -> None:
        torch: Any = import_module("torch")
        torch.set_num_threads(lk.get_threads())
        torch.manual_seed(1)
        width, layers = (WIDTH, LAYERS) if sizes.shrink == 1 else (WIDTH // SHRUNK, 1)
        layer = torch.nn.TransformerEncoderLayer(width, HEADS, 4 * width, dropout=0.0, batch_first=True)
        encoder = torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.model = torch.nn.Sequential(torch.nn.Embedding(WORDS, width), encoder, torch.nn.Linear(width, WORDS))
        self.words = torch.randint(WORDS, (BATCH, LENGTH))
        self.loss_of = torch.nn.CrossEntropyLoss()
        self.optimizer = getattr(import_module(module), RULE)(self.model.parameters(), **OPTIONS[RULE], **options)

    def step(self) -> Any:
        """One step towards the words themselves; returns the loss."""
        self.optimizer.zero_grad()
        loss = self.loss_of(self.model(self.words).flatten(0, 1), self.words.flatten())
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def contestant(name: str, module: str, sizes: Sizes, **options: Any) -> Contestant:
    """Training with an optimizer of a module."""
    training = Training(module, sizes, **options)

    def check() -> None:
        losses = [float(training.step()) for _ in range(CHECKED)]
        if not losses[-1] < losses[0]:
            raise checks.WrongResult(f"the loss must fall in {CHECKED} steps; got {losses}")

    return Contestant(name, training.step, 1, repeats=max(1, sizes.repeats // 20), check=check)


def entries(case: str, sizes: Sizes) -> dict[str, Callable[[], Contestant]]:
    """With lrkern.torch, and with torch's fused AdamW."""
    return {
        SUBJECT: partial(contestant, SUBJECT, "lrkern.torch", sizes),
        torch_steps.FUSED: partial(contestant, torch_steps.FUSED, "torch.optim", sizes, fused=True),
    }


ROWS = [Contest("training", (CASE,) if peers.available("torch") else (), entries)]
