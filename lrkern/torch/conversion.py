"""`from_torch`: the schedule of a scheduler of torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch.optim import lr_scheduler
from torch.optim.swa_utils import SWALR

from lrkern import dialects
from lrkern._checks import count, cut, describe, warn
from lrkern.schedules.curves import constant
from lrkern.schedules.expression import Schedule, schedule
from lrkern.torch.scheduler import Scheduler

_of = dialects.torch


def from_torch(scheduler: lr_scheduler.LRScheduler, name: str = "lr", *, group: int = 0, steps: int | None = None) -> Schedule:
    """What a torch scheduler gives to a group: a schedule whose step n is the value after n calls of `step()`.

    Nested schedulers (SequentialLR, ChainedScheduler) are read as well. How far the scheduler has come does not matter.

    By definition each scheduler of a SequentialLR begins with the base rate, and those of a ChainedScheduler are factors. torch
    does not step all of them so: not a SequentialLR or ChainedScheduler within a SequentialLR, nor a MultiplicativeLR or SWALR
    there that comes later and goes on from the rate that it finds, nor one with `total_iters=0`; in a ChainedScheduler not a
    SequentialLR, nor those that set rates whatever the others have made of them, such as LambdaLR and OneCycleLR, or a
    CosineAnnealingLR with `eta_min`. For these the schedule is the definition, with a warning. A CosineAnnealingLR in a
    ChainedScheduler follows it up to T_max.

    Args:
        scheduler: a scheduler of torch.optim.lr_scheduler, a SWALR, or a `Scheduler` of lrkern.
        name: "lr"; "momentum", which is beta1 of optimizers with betas, for OneCycleLR and CyclicLR with `cycle_momentum`; of a
            `Scheduler` any hyper-parameter that it sets.
        group: the number of the parameter group.
        steps: for LambdaLR and MultiplicativeLR, whose functions are called: for how many steps.

    Raises:
        TypeError: another kind of scheduler; ReduceLROnPlateau depends on losses (`lrkern.Plateau`).
        ValueError: `steps` is needed; the scheduler does not set `name`; there is no such group, or it was added later; or
            there are values that `lrkern.dialects.torch` refuses.

    Example:
        >>> import torch
        >>> from lrkern.torch import from_torch
        >>> opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> from_torch(torch.optim.lr_scheduler.StepLR(opt, step_size=30, gamma=0.1))
        step_decay(0.1, 0.1, 30)
        >>> opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
        >>> from_torch(torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.4, total_steps=100), "momentum")(29)
        0.85
    """
    if isinstance(scheduler, Scheduler):
        return _own(scheduler, name, group)
    kind = type(scheduler).__name__
    curve = getattr(_of, kind, None)
    if curve is None or type(scheduler) is not getattr(lr_scheduler, kind, SWALR):
        hint = ": its rate depends on losses, see lrkern.Plateau" if "Plateau" in kind else ""
        raise TypeError(f"from_torch: scheduler must be one of torch's; got {describe(scheduler)}{hint}")
    if name != "lr":
        if name not in ("momentum", "beta1") or kind not in _MOMENTUM or not scheduler.cycle_momentum:
            wanted = "must be 'lr', or 'momentum' for OneCycleLR and CyclicLR with cycle_momentum"
            raise ValueError(f"from_torch: name {wanted}; got {cut(repr(name))} of {kind}")
        curve = _MOMENTUM[kind]
    _check_group(scheduler, group)
    base = _number(scheduler.optimizer.param_groups[group]["initial_lr"])
    if kind in _NESTED:
        _warn_of_nesting(scheduler, group)
        made = [one for one in scheduler._schedulers if kind != "ChainedScheduler" or _sets_rate(one, group)]
        parts = [from_torch(one, group=group, steps=steps) for one in made]
        return _NESTED[kind](scheduler, parts, base) if parts else constant(base)
    if steps is None and _needs_steps(scheduler, group):
        wanted = "must be the number of steps to ask its function for"
        raise ValueError(f"from_torch: steps {wanted}; got None for {kind}")
    if _never_ends(scheduler):
        return constant(base * getattr(scheduler, _FIRST_FACTOR[kind], 1.0))
    found: Schedule = curve(**_arguments(scheduler, curve, group, base, steps))
    return found


def _check_group(scheduler: Any, group: int) -> None:
    """Raise if there is no such group, or the scheduler knows no rate of it."""
    groups = scheduler.optimizer.param_groups
    count("from_torch", "group", group, high=len(groups) - 1)
    if "initial_lr" not in groups[group] or group >= len(getattr(scheduler, "base_lrs", groups)):
        wanted = f"must be there when the {type(scheduler).__name__} is made"
        raise ValueError(f"from_torch: param_groups[{group}] {wanted}; got one added later: make the scheduler again")


def _own(scheduler: Scheduler, name: str, group: int) -> Schedule:
    count("from_torch", "group", group, high=len(scheduler.optimizer.param_groups) - 1)
    value, own = scheduler.schedules_of(name)[group], scheduler.optimizer.param_groups[group]
    if value is None:
        if name not in own or name == "params":
            set_by = ", ".join(scheduler._schedules)
            raise ValueError(f"from_torch: name must be one that the Scheduler sets, {set_by}; got {cut(repr(name))}")
        value = own[name]
    return schedule("from_torch", name, value) if callable(value) else constant(_number(value))


def _needs_steps(scheduler: Any, group: int) -> bool:
    """Whether it calls a function; a LambdaLR may have a Schedule instead."""
    functions = getattr(scheduler, "lr_lambdas", None)
    if functions is None:
        return False
    return type(scheduler) is not lr_scheduler.LambdaLR or not isinstance(functions[group], Schedule)


def _number(value: Any) -> float:
    return float(value)


_MOMENTUM: Mapping[str, Any] = {"OneCycleLR": _of.OneCycleMomentum, "CyclicLR": _of.CyclicMomentum}

_NESTED: Mapping[str, Callable[[Any, list[Schedule], float], Schedule]] = {
    "SequentialLR": lambda scheduler, parts, base: _of.SequentialLR(parts, [*scheduler._milestones]),
    "ChainedScheduler": lambda scheduler, parts, base: _of.ChainedScheduler(parts, base),
}


_EARLY = {"SequentialLR": ("SequentialLR", "ChainedScheduler"), "ChainedScheduler": ("SequentialLR",)}
"""Schedulers that torch steps early, or cannot begin in time, within another one."""

_GO_ON = ("MultiplicativeLR", "SWALR")
"""Those that begin with the rate that they find."""

_SET = ("LambdaLR", "OneCycleLR", "CyclicLR", "CosineAnnealingWarmRestarts", "SWALR", "Scheduler")
"""Those whose rates are no factor of what the others of a chain have made of the rate."""


_OWN_BASE = ("CyclicLR", "CosineAnnealingWarmRestarts", "LambdaLR")
"""Those that compute with base rates of their own, also where another has changed those of groups."""


_FIRST_FACTOR = {"ConstantLR": "factor", "LinearLR": "start_factor", "PolynomialLR": ""}
"""Schedulers with `total_iters`, and their factor of step 0."""


def _never_ends(scheduler: Any) -> bool:
    """Whether torch keeps the rate of step 0 forever: `total_iters`, where it would change, is not after it."""
    return type(scheduler).__name__ in _FIRST_FACTOR and scheduler.total_iters <= 0


def _sets_rate(scheduler: Any, group: int) -> bool:
    return not isinstance(scheduler, Scheduler) or scheduler.schedules_of("lr")[group] is not None


def _deviates(outer: str, members: list[Any], place: int, group: int) -> bool:
    """Whether torch steps a member of a SequentialLR or ChainedScheduler in another way than these are defined."""
    one = members[place]
    inner, sets = type(one).__name__, _sets_rate(one, group)
    if inner in _EARLY[outer]:
        return True
    if outer == "SequentialLR":
        return not sets or (place > 0 and (inner in _GO_ON or _never_ends(one)))
    others = [other for other in members if other is not one and _sets_rate(other, group)]
    return bool(others) and sets and (inner in _SET or (inner == "CosineAnnealingLR" and one.eta_min != 0))


def _warn_of_nesting(scheduler: Any, group: int) -> None:
    outer, members = type(scheduler).__name__, scheduler._schedulers
    for place, inner in enumerate(type(one).__name__ for one in members):
        if _deviates(outer, members, place, group):
            warn(f"from_torch: torch does not step a {inner} within a {outer} as it is defined; the schedule is the definition")
            return


def _one_cycle(scheduler: Any, group: Mapping[str, Any]) -> dict[str, Any]:
    phases, total = scheduler._schedule_phases, scheduler.total_steps
    momenta = {name: group[name] for name in ("base_momentum", "max_momentum") if name in group}
    return {
        **momenta,
        "max_lr": group["max_lr"],
        "pct_start": (phases[0]["end_step"] + 1) / total,
        "anneal_strategy": scheduler._anneal_func_type,
        "div_factor": group["max_lr"] / group["initial_lr"],
        "final_div_factor": group["initial_lr"] / group["min_lr"],
        "three_phase": len(phases) == 3,
    }


def _cyclic(scheduler: Any, group: Mapping[str, Any]) -> dict[str, Any]:
    up = scheduler.total_size * scheduler.step_ratio
    return {"step_size_up": up, "step_size_down": scheduler.total_size - up, "scale_fn": scheduler._scale_fn_custom}


def _averaging(scheduler: Any, group: Mapping[str, Any]) -> dict[str, Any]:
    strategy = getattr(scheduler, "_anneal_strategy", None)
    if strategy is None:  # torch 2.4 keeps the function only
        strategy = "linear" if "linear" in scheduler.anneal_func.__name__ else "cos"
    return {"swa_lr": group["swa_lr"], "anneal_strategy": strategy}


# Arguments that the scheduler keeps in another form.
_KEPT: Mapping[str, Callable[[Any, Mapping[str, Any]], dict[str, Any]]] = {
    "MultiStepLR": lambda scheduler, group: {"milestones": [*scheduler.milestones.elements()]},
    "OneCycleLR": _one_cycle,
    "CyclicLR": _cyclic,
    "SWALR": _averaging,
}


def _arguments(scheduler: Any, curve: Any, index: int, base: float, steps: int | None) -> dict[str, Any]:
    """The arguments of a function of `dialects.torch`, from the attributes of torch's scheduler."""
    found: dict[str, Any] = {"base_lr": base, "steps": steps}
    group = scheduler.optimizer.param_groups[index]
    read = _KEPT.get(type(scheduler).__name__)
    found |= read(scheduler, group) if read else {}
    needed = inspect.signature(curve).parameters
    for name in needed:
        if name in found:
            continue
        if hasattr(scheduler, f"{name}s"):  # one for each group
            found[name] = getattr(scheduler, f"{name}s")[index]
        elif hasattr(scheduler, name):
            found[name] = getattr(scheduler, name)
    if type(scheduler).__name__ in _OWN_BASE:
        found["base_lr"] = scheduler.base_lrs[index]
    return {name: value for name, value in found.items() if name in needed}
