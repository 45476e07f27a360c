"""`Scheduler`: schedules as a scheduler of torch, over any optimizer of torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LRScheduler

from lrkern._checks import count, cut, describe, single
from lrkern.optimizers.option_names import hint
from lrkern.torch.adapter import Adapter
from lrkern.torch.names import PACKED

Value = Callable[[int], float] | float | None


class Scheduler(LRScheduler):
    """Hyper-parameters of a torch optimizer from schedules: after n calls of `step` they are those of step n.

    The values are the schedules' own, not factors of the optimizer's. With an optimizer of `lrkern.torch` it is not needed: its
    hyper-parameters may be schedules.

    A later member of a SequentialLR writes momentum and the like already when it is made, as torch's OneCycleLR does, since
    torch puts only `lr` back: let the first member set them as well.

    Args:
        optimizer: any optimizer of torch.
        lr: a schedule; a number; or a list of these, one for each group, with None for groups that keep what they have. One
            schedule is that of groups added later, too.
        last_epoch: the step before the one to continue from, as with torch's schedulers: -1 begins at step 0. `load_state_dict`
            sets it as well.
        schedules: the same for other keys of `param_groups`, such as momentum, weight_decay, and beta1 and beta2 of `betas`.

    Raises:
        TypeError: a schedule is none, or no key of the groups.
        ValueError: there are not as many as groups; or the optimizer has a schedule of its own.

    Example:
        >>> import torch, lrkern as lk
        >>> from lrkern.torch import Scheduler
        >>> opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
        >>> scheduler = Scheduler(opt, lr=lk.linear(1.0, 0.0, 4), momentum=lk.linear(0.5, 0.75, 4))
        >>> opt.step()
        >>> scheduler.step()
        >>> opt.param_groups[0]["lr"], opt.param_groups[0]["momentum"], scheduler.state_dict()
        (0.75, 0.5625, {'last_epoch': 1})
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        lr: Value | Sequence[Value] = None,
        *,
        last_epoch: int = -1,
        **schedules: Value | Sequence[Value],
    ) -> None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(f"Scheduler: optimizer must be an optimizer of torch; got {describe(optimizer)}")
        given = {"lr": lr, **schedules}
        self._of_all = {name: one for name, one in given.items() if not isinstance(one, list | tuple)}
        self._schedules = {name: _of_groups(optimizer, name, one) for name, one in given.items() if one is not None}
        if not self._schedules:
            raise ValueError("Scheduler: lr or another hyper-parameter must be a schedule; got none")
        if count("Scheduler", "last_epoch", last_epoch, low=-1) >= 0:
            for group in optimizer.param_groups:  # torch asks for it; schedules give values, and do not need it
                group.setdefault("initial_lr", group["lr"])
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The learning rates of the step reached. The other hyper-parameters are written to the groups."""
        groups, t = self.optimizer.param_groups, self.last_epoch
        lrs, found = self._lrs(t), []  # all of them before one is written: a function may have no value
        for name in self._schedules:
            if name != "lr":
                of_groups = zip(groups, self.schedules_of(name), strict=True)
                found += [(group, name, _at(name, one, t)) for group, one in of_groups if one is not None]
        for group, name, value in found:
            _write(group, name, value)
        return lrs

    def _lrs(self, t: int) -> list[Any]:
        groups = self.optimizer.param_groups
        return [
            group["lr"] if one is None else _at("lr", one, t)
            for group, one in zip(groups, self.schedules_of("lr"), strict=True)
        ]

    def schedules_of(self, name: str) -> list[Any]:
        """What sets a hyper-parameter of each group: a schedule, a number, or None."""
        values = self._schedules.get(name, [])
        later = len(self.optimizer.param_groups) - len(values)
        return [*values, *[self._of_all.get(name)] * later]

    def _get_closed_form_lr(self) -> list[Any]:
        return self.get_lr()

    def state_dict(self) -> dict[str, Any]:
        """The step reached, and nothing else."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a step. The optimizer's state has the values in force there; the next `step` writes new ones."""
        self.last_epoch = int(state_dict["last_epoch"])
        self._step_count = self.last_epoch + 1
        self._last_lr = self._lrs(max(0, self.last_epoch))


def _at(name: str, schedule: Any, t: int) -> float:
    return _number(name, schedule(t), f" at step {t}") if callable(schedule) else float(schedule)


def _number(name: str, value: Any, when: str) -> float:
    """A number of Python, NumPy or a tensor of one element; no boolean, and not NaN."""
    value = single(value)
    if isinstance(value, bool | np.bool_) or not isinstance(value, float | int | np.floating | np.integer):
        wanted = "a number" if when else "a schedule or a number"
        raise TypeError(f"Scheduler: {name} must be {wanted}{when}; got {describe(value)}")
    if value != value:
        raise ValueError(f"Scheduler: {name} must not be NaN{when}; got {describe(value)}")
    return float(value)


def _packed(name: str) -> tuple[str, int] | None:
    """The tuple that a hyper-parameter is in, and its place there."""
    for key, parts in PACKED.items():
        if name in parts:
            return key, parts.index(name)
    return None


def _write(group: dict[str, Any], name: str, value: float) -> None:
    packed = None if name in group else _packed(name)
    if packed is not None:
        key, place = packed
        values = [*group[key]]
        values[place] = _filled(values[place], value)
        group[key] = tuple(values)
    else:
        group[name] = _filled(group[name], value)


def _filled(old: Any, value: float) -> Any:
    """The value; in the same tensor where there is one, which compiled code and CUDA graphs read."""
    return old.fill_(value) if isinstance(old, torch.Tensor) else value


def _of_groups(optimizer: torch.optim.Optimizer, name: str, given: Any) -> list[Any]:
    groups = optimizer.param_groups
    values = list(given) if isinstance(given, list | tuple) else [given] * len(groups)
    if len(values) != len(groups):
        raise ValueError(f"Scheduler: {name} must be one schedule, or {len(groups)}, one per group; got {len(values)}")
    for g, (group, one) in enumerate(zip(groups, values, strict=True)):
        if one is None:
            continue
        if not callable(one):
            _number(name, one, "")
        packed = _packed(name)
        known = name in group or (packed is not None and len(group.get(packed[0], ())) > packed[1])
        if not known or name == "params":
            keys = [key for key in group if key != "params"]
            raise TypeError(f"Scheduler: {cut(name)} must be a key of param_groups[{g}]; got none of it{hint(name, keys)}")
        if isinstance(optimizer, Adapter) and optimizer.has_schedule(g, name):
            raise ValueError(f"Scheduler: {name} of param_groups[{g}] must be a number; got a schedule of the optimizer's own")
    return values
