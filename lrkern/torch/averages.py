"""Averages in the place of parameters and buffers for a while, and averages of a model's buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from lrkern.torch.versions import increment_version


@contextmanager
def exchanged(pairs: Sequence[tuple[Tensor, Tensor]], kept: Sequence[Tensor] = ()) -> Iterator[None]:
    """A context in which the first tensor of each pair has the values of the second.

    After it, these and the tensors in `kept` have the bits they had before.
    """
    written = [one for one, _ in pairs]
    with torch.no_grad():
        before = [(one, one.detach().clone()) for one in (*written, *kept)]
        for one, average in pairs:
            one.detach().copy_(average)
    increment_version(written)
    try:
        yield
    finally:
        with torch.no_grad():
            for one, own in before:
                one.detach().copy_(own)
        increment_version([one for one, _ in before])


class BufferAverages:
    """Exponential moving averages of a model's floating-point buffers, one for each decay of an optimizer's `ema`."""

    def __init__(self, model: torch.nn.Module, number: int, count: int) -> None:
        self.model, self.number = model, number
        self.count = count
        """The steps that the averages include."""
        self.averages = {name: [_wide(one) for _ in range(number)] for name, one in self._floats().items()}

    def _floats(self) -> dict[str, Tensor]:
        return {name: one for name, one in self.model.named_buffers() if one.is_floating_point()}

    @torch.no_grad()
    def update(self, decays: Sequence[float]) -> None:
        """Take the buffers as they are now into the averages."""
        for name, one in self._floats().items():
            for average, decay in zip(self.averages[name], decays, strict=True):
                average.lerp_(one.to(average.dtype), 1.0 - decay)

    def pairs(self, which: int) -> list[tuple[Tensor, Tensor]]:
        """Each buffer with its average."""
        return [(one, self.averages[name][which]) for name, one in self._floats().items()]

    def state(self) -> dict[str, list[Tensor]]:
        """The averages by the names of buffers."""
        return {name: [one.clone() for one in averages] for name, averages in self.averages.items()}

    def check(self, where: str, state: Mapping[str, Sequence[Tensor]]) -> None:
        """Raise a ValueError if a state has the averages of other buffers."""
        shapes, own = (
            {name: [tuple(one.shape) for one in some] for name, some in all_.items()} for all_ in (state, self.averages)
        )
        if shapes != own:
            raise ValueError(f"{where}: averages of buffers must be those of {', '.join(own)}, in shape too; got {shapes}")

    @torch.no_grad()
    def load(self, state: Mapping[str, Sequence[Tensor]]) -> None:
        """Take the averages of a state that has been checked."""
        for name, averages in self.averages.items():
            for average, saved in zip(averages, state[name], strict=True):
                average.copy_(saved)


def _wide(buffer: Tensor) -> Tensor:
    """A copy in float64 if the buffer is, else in float32."""
    return buffer.detach().to(torch.float64 if buffer.dtype is torch.float64 else torch.float32, copy=True)
