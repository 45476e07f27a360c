"""Averages in the place of parameters and buffers for a while, and averages of a model's buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from lrkern.torch.versions import increment_version


@contextmanager
def exchanged(pairs: Sequence[tuple[Tensor, Tensor]], kept: Sequence[Tensor] = ()) -> Iterator[None]:
    """A context in which the first tensor of each pair has the values of the second.

    After it, these and the tensors in `kept` have the bits they had before; also after an error on the way in, such as a
    KeyboardInterrupt. An error with one of them does not keep the others from it.
    """
    with ExitStack() as stack:  # goes backwards, so that of tensors on one memory the first copy is the last one written
        for one in kept:
            stack.callback(_write, one, one.detach().clone())
        for one, average in pairs:
            stack.callback(_write, one, one.detach().clone())
            _write(one, average)
        yield


@torch.no_grad()
def _write(tensor: Tensor, values: Tensor) -> None:
    tensor.detach().copy_(values)
    increment_version([tensor])


class BufferAverages:
    """Exponential moving averages of a model's floating-point buffers, one for each decay of an optimizer's `ema`."""

    def __init__(self, model: torch.nn.Module, number: int, count: int) -> None:
        self.model, self.number = model, number
        self.count = count
        """The steps that the averages include."""
        self.averages: dict[str, list[Tensor]] = {}
        self._now = self._floats()
        """The buffers at the last look: to find them takes long."""
        self.follow("average_buffers")

    def _floats(self) -> dict[str, Tensor]:
        return {name: one for name, one in self.model.named_buffers() if one.is_floating_point()}

    def follow(self, where: str) -> None:
        """Look at the buffers that the model has now: averages of new ones begin, and those of removed ones end.

        Raises:
            ValueError: one has another shape or device than its average. Nothing has changed then.
        """
        now = self._floats()
        for name, one in now.items():
            average = self.averages.get(name, [one])[0]
            if average.shape != one.shape or average.device != one.device:
                shapes = [f"{tuple(kept.shape)} on {kept.device}" for kept in (average, one)]
                raise ValueError(
                    f"{where}: buffer {name!r} must stay {shapes[0]}, as its average is; got {shapes[1]}: "
                    "call average_buffers again after such a change"
                )
        self._now = now
        if now.keys() != self.averages.keys():
            self.averages = {name: self._of(name, one) for name, one in now.items()}

    def _of(self, name: str, buffer: Tensor) -> list[Tensor]:
        """The averages of a buffer: new ones if it has none yet."""
        return self.averages.get(name) or [_wide(buffer) for _ in range(self.number)]

    @torch.no_grad()
    def update(self, decays: Sequence[float]) -> None:
        """Take the buffers, as they were at the last look, into the averages."""
        for name, one in self._now.items():
            for average, decay in zip(self.averages[name], decays, strict=True):
                average.lerp_(one.to(average.dtype), 1.0 - decay)

    def pairs(self, where: str, which: int) -> list[tuple[Tensor, Tensor]]:
        """Each buffer with its average; raises as `follow`."""
        self.follow(where)
        return [(one, self.averages[name][which]) for name, one in self._now.items()]

    def state(self) -> dict[str, list[Tensor]]:
        """The averages by the names of buffers, of those that the model has now."""
        return {name: [average.clone() for average in self._of(name, one)] for name, one in self._floats().items()}

    def check(self, where: str, state: Mapping[str, Sequence[Tensor]]) -> None:
        """Raise a ValueError if a state has the averages of other buffers."""
        shapes = {name: [tuple(one.shape) for one in some] for name, some in state.items()}
        own = {name: [tuple(one.shape)] * self.number for name, one in self._floats().items()}
        if shapes != own:
            raise ValueError(f"{where}: averages of buffers must be those of {', '.join(own)}, in shape too; got {shapes}")

    @torch.no_grad()
    def load(self, state: Mapping[str, Sequence[Tensor]]) -> None:
        """Take the averages of a state that has been checked."""
        self._now = self._floats()
        self.averages = {name: [_wide(one).copy_(saved) for saved in state[name]] for name, one in self._now.items()}


def _wide(buffer: Tensor) -> Tensor:
    """A copy in float64 if the buffer is, else in float32."""
    return buffer.detach().to(torch.float64 if buffer.dtype is torch.float64 else torch.float32, copy=True)
