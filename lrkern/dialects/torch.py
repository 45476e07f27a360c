"""The schedulers of torch.optim.lr_scheduler: step t is the number of calls of `scheduler.step()`.

torch computes most of them by recursion from step to step; these are their closed forms. `last_epoch` is omitted: to go on
from step n, ask for step n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from lrkern import schedules
from lrkern._checks import choice, count, counts, describe, flag, real, single
from lrkern.dialects._cycles import Phase, cyclic, needs_momentum, one_cycle
from lrkern.dialects._parts import between, from_calls, powers, public, span, value_errors, wave
from lrkern.schedules.budget import spend
from lrkern.schedules.expression import Schedule, join, multiply, schedule


def LambdaLR(base_lr: float, lr_lambda: Callable[[int], float] | Schedule, steps: int | None = None) -> Schedule:
    """base_lr lr_lambda(t).

    Args:
        lr_lambda: a function of the step (an int), or a Schedule, which needs no `steps`.
        steps: how many steps to ask the function for, >= 1; the last value is held.

    Source: torch LambdaLR.

    >>> LambdaLR(0.1, lambda t: 0.5**t, steps=3)
    from_table([0.1, 0.05, 0.025])
    """
    where = "torch.LambdaLR"
    base_lr = real(where, "base_lr", base_lr)
    if isinstance(lr_lambda, Schedule):
        return base_lr * lr_lambda
    factors = from_calls(where, "lr_lambda", lr_lambda, steps)
    return schedules.from_table([base_lr * factor for factor in factors.args[0]])


def MultiplicativeLR(base_lr: float, lr_lambda: Callable[[int], float], steps: int | None = None) -> Schedule:
    """base_lr lr_lambda(1) lr_lambda(2) ... lr_lambda(t).

    Args:
        lr_lambda: a function of the step (an int).
        steps: length of the table, >= 1; the last value is held. The function is called for steps 1 to steps - 1.

    Source: torch MultiplicativeLR.

    >>> MultiplicativeLR(1.0, lambda t: 0.5, steps=4)
    from_table([1.0, 0.5, 0.25, 0.125])
    """
    where = "torch.MultiplicativeLR"
    lr = Fraction(real(where, "base_lr", base_lr))
    if not callable(lr_lambda):
        raise TypeError(f"{where}: lr_lambda must be callable; got {describe(lr_lambda)}")
    values = [float(lr)]
    steps = count(where, "steps", steps, low=1)
    spend(steps)
    for t in range(1, steps):
        values.append(values[-1] * real(where, f"lr_lambda({t})", single(lr_lambda(t))))
    return schedules.from_table(values)


def StepLR(base_lr: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """base_lr gamma^floor(t/step_size).

    Args:
        step_size: steps between two changes, >= 1.
        gamma: >= 0.

    Source: torch StepLR.

    >>> StepLR(0.1, 2, gamma=0.5).table(5)
    array([0.1  , 0.1  , 0.05 , 0.05 , 0.025])
    """
    where = "torch.StepLR"
    base_lr, step_size = real(where, "base_lr", base_lr), count(where, "step_size", step_size, low=1)
    gamma = real(where, "gamma", gamma, low=0.0)
    if gamma == 0.0:
        return schedules.piecewise([base_lr, 0.0], [step_size])
    return schedules.step_decay(base_lr, gamma, step_size)


def MultiStepLR(base_lr: float, milestones: Sequence[int], gamma: float = 0.1) -> Schedule:
    """base_lr gamma^(number of milestones <= t).

    Args:
        milestones: steps >= 0 in any order; one that stands there twice counts twice.
        gamma: any number.

    Source: torch MultiStepLR.

    >>> MultiStepLR(1.0, [2, 3], gamma=0.5).table(5)
    array([1.  , 1.  , 0.5 , 0.25, 0.25])
    """
    where = "torch.MultiStepLR"
    base_lr, gamma = real(where, "base_lr", base_lr), real(where, "gamma", gamma)
    at = _milestones(where, milestones)
    return schedules.piecewise(powers(base_lr, gamma, len(at)), at)


def _milestones(where: str, milestones: Sequence[int]) -> list[int]:
    if not isinstance(milestones, Sequence) or isinstance(milestones, str):
        raise TypeError(f"{where}: milestones must be a sequence of integers; got {describe(milestones)}")
    return sorted(count(where, f"milestones[{i}]", at) for i, at in enumerate(milestones))


def ConstantLR(base_lr: float, factor: float = 1.0 / 3, total_iters: int = 5) -> Schedule:
    """base_lr factor until step total_iters, base_lr from there on.

    Args:
        factor: 0 to 1.
        total_iters: steps, >= 0.

    Source: torch ConstantLR, which divides by zero at the end for factor 0, and never leaves factor for total_iters 0.

    >>> ConstantLR(0.1, 0.5, 2).table(4)
    array([0.05, 0.05, 0.1 , 0.1 ])
    """
    where = "torch.ConstantLR"
    base_lr, factor = real(where, "base_lr", base_lr), real(where, "factor", factor, low=0.0, high=1.0)
    return schedules.piecewise([base_lr * factor, base_lr], [count(where, "total_iters", total_iters)])


def LinearLR(base_lr: float, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5) -> Schedule:
    """base_lr (start_factor + (end_factor - start_factor) min(t, total_iters)/total_iters).

    Args:
        start_factor, end_factor: 0 to 1.
        total_iters: steps, >= 0; with 0 it is at end_factor at once.

    Source: torch LinearLR, which refuses start_factor 0 and stays at start_factor with total_iters 0.

    >>> LinearLR(0.1, start_factor=0.5, total_iters=4).table(6)
    array([0.05  , 0.0625, 0.075 , 0.0875, 0.1   , 0.1   ])
    """
    where = "torch.LinearLR"
    base_lr = real(where, "base_lr", base_lr)
    start_factor = real(where, "start_factor", start_factor, low=0.0, high=1.0)
    end_factor = real(where, "end_factor", end_factor, low=0.0, high=1.0)
    return base_lr * schedules.linear(start_factor, end_factor, count(where, "total_iters", total_iters))


def ExponentialLR(base_lr: float, gamma: float) -> Schedule:
    """base_lr gamma^t.

    Args:
        gamma: >= 0.

    Source: torch ExponentialLR.

    >>> ExponentialLR(1.0, 0.5).table(4)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    where = "torch.ExponentialLR"
    base_lr, gamma = real(where, "base_lr", base_lr), real(where, "gamma", gamma, low=0.0)
    return schedules.exponential(base_lr, gamma) if gamma else schedules.piecewise([base_lr, 0.0], [0], "after")


def PolynomialLR(base_lr: float, total_iters: int = 5, power: float = 1.0) -> Schedule:
    """base_lr (1 - min(t, total_iters)/total_iters)^power.

    Args:
        total_iters: steps, >= 0; with 0 it is at 0 at once.
        power: >= 0; with 0 nothing changes.

    Source: torch PolynomialLR, which stays at base_lr with total_iters 0.

    >>> PolynomialLR(1.0, total_iters=4, power=2.0).table(6)
    array([1.    , 0.5625, 0.25  , 0.0625, 0.    , 0.    ])
    """
    where = "torch.PolynomialLR"
    base_lr, total_iters = real(where, "base_lr", base_lr), count(where, "total_iters", total_iters)
    power = real(where, "power", power, low=0.0)
    return schedules.polynomial(base_lr, 0.0, total_iters, power) if power else schedules.constant(base_lr)


def CosineAnnealingLR(base_lr: float, T_max: float, eta_min: float = 0.0) -> Schedule:
    """eta_min + (base_lr - eta_min)(1 + cos(pi t/T_max))/2: after T_max steps it rises again, and so on.

    Args:
        T_max: steps from top to bottom, > 0.
        eta_min: lowest value, absolute.

    Source: torch CosineAnnealingLR, which computes each value from the one before.

    >>> CosineAnnealingLR(1.0, T_max=2).table(6)
    array([1. , 0.5, 0. , 0.5, 1. , 0.5])
    """
    where = "torch.CosineAnnealingLR"
    base_lr, eta_min = real(where, "base_lr", base_lr), real(where, "eta_min", eta_min)
    return wave(base_lr, eta_min, span(where, "T_max", T_max))


def CosineAnnealingWarmRestarts(base_lr: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> Schedule:
    """eta_min + (base_lr - eta_min)(1 + cos(pi T_cur/T_i))/2, cycle i of T_i = T_0 T_mult^i steps, T_cur of them done.

    Args:
        T_0: steps of the first cycle, >= 1.
        T_mult: integer >= 1.
        eta_min: lowest value, absolute; a restart comes before it is reached.

    Source: torch CosineAnnealingWarmRestarts, whose step(epoch) takes a logarithm and gives the bottom instead of the top at
        some restarts (T_mult=3, step 121 T_0).

    >>> CosineAnnealingWarmRestarts(1.0, T_0=2, T_mult=2).table(7).round(4)
    array([1.    , 0.5   , 1.    , 0.8536, 0.5   , 0.1464, 1.    ])
    """
    where = "torch.CosineAnnealingWarmRestarts"
    base_lr = real(where, "base_lr", base_lr)
    with value_errors():
        eta_min, T_0, T_mult = (
            real(where, "eta_min", eta_min),
            count(where, "T_0", T_0, low=1),
            count(where, "T_mult", T_mult, low=1),
        )
    return schedules.warm_restarts(base_lr, eta_min, T_0, T_mult)


def CyclicLR(
    base_lr: float,
    max_lr: float,
    step_size_up: float = 2000,
    step_size_down: float | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
    scale_fn: Callable[[float], float] | None = None,
    scale_mode: str = "cycle",
    cycle_momentum: bool = True,
    base_momentum: float = 0.8,
    max_momentum: float = 0.9,
    *,
    steps: int | None = None,
) -> Schedule:
    """Triangles: base_lr + (max_lr - base_lr) x s, x the height in the triangle (0 to 1 to 0), s the scale.

    s is 1 for mode "triangular", 2^-i in cycle i (0, 1, ...) for "triangular2", gamma^t for "exp_range".

    Args:
        step_size_up, step_size_down: steps, > 0; `step_size_down=None` is as `step_size_up`.
        gamma: > 0.
        scale_fn: a function that gives s instead of `mode`: of the number of the cycle (1, 2, ...) for scale_mode "cycle", of
            the step for "iterations". It needs `steps`.
        cycle_momentum, base_momentum, max_momentum: see `CyclicMomentum`, which takes the same arguments.
        steps: number of steps for which scale_fn is called; the last value is held.

    Source: torch CyclicLR, arXiv 1506.01186; torch's triangular2 overflows after 1024 cycles.

    >>> CyclicLR(0.0, 1.0, 2, mode="triangular2").table(9)
    array([0.  , 0.5 , 1.  , 0.5 , 0.  , 0.25, 0.5 , 0.25, 0.  ])
    """
    where = "torch.CyclicLR"
    low, high = real(where, "base_lr", base_lr), real(where, "max_lr", max_lr)
    flag(where, "cycle_momentum", cycle_momentum)
    return cyclic(where, low, high, step_size_up, step_size_down, mode, gamma, scale_fn, scale_mode, steps)


def CyclicMomentum(
    base_lr: float,
    max_lr: float,
    step_size_up: float = 2000,
    step_size_down: float | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
    scale_fn: Callable[[float], float] | None = None,
    scale_mode: str = "cycle",
    cycle_momentum: bool = True,
    base_momentum: float = 0.8,
    max_momentum: float = 0.9,
    *,
    steps: int | None = None,
) -> Schedule:
    """The momentum (or beta1) that goes with `CyclicLR`: max_momentum - (max_momentum - base_momentum) x s.

    Args: those of `CyclicLR`; `cycle_momentum=False` is a ValueError, as there is no momentum then.

    Source: torch CyclicLR.

    >>> CyclicMomentum(0.0, 1.0, 2).table(5)
    array([0.9 , 0.85, 0.8 , 0.85, 0.9 ])
    """
    where = "torch.CyclicMomentum"
    needs_momentum(where, cycle_momentum)
    top, bottom = real(where, "max_momentum", max_momentum), real(where, "base_momentum", base_momentum)
    return cyclic(where, top, bottom, step_size_up, step_size_down, mode, gamma, scale_fn, scale_mode, steps)


def OneCycleLR(
    max_lr: float,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    cycle_momentum: bool = True,
    base_momentum: float = 0.85,
    max_momentum: float = 0.95,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> Schedule:
    """From max_lr/div_factor to max_lr at t = pct_start N - 1, to max_lr/(div_factor final_div_factor) at t = N - 1.

    With `three_phase` back to max_lr/div_factor at t = 2 pct_start N - 2 and from there to the end. The phases may end between
    two steps; then no step has the top value itself.

    Args:
        total_steps: N >= 1; or epochs and steps_per_epoch, whose product it is.
        pct_start: 0 to 1.
        anneal_strategy: "cos" or "linear".
        cycle_momentum, base_momentum, max_momentum: see `OneCycleMomentum`, which takes the same arguments.
        div_factor, final_div_factor: > 0.

    Source: torch OneCycleLR, arXiv 1708.07120. After step N - 1 the value is held: torch continues for one step (down
        to negative values where linear), then raises. With pct_start N = 1 it divides by zero; here the phases of no steps are
        passed by: step 0 is the top, with three phases max_lr/div_factor, where the last one begins, and for N = 1 the end.

    >>> s = OneCycleLR(0.1, 100)
    >>> s(0), s(29), round(s(99), 12)
    (0.004, 0.1, 4e-07)
    """
    where = "torch.OneCycleLR"
    top, first = real(where, "max_lr", max_lr), real(where, "div_factor", div_factor, above=0.0)
    last = real(where, "final_div_factor", final_div_factor, above=0.0)
    flag(where, "cycle_momentum", cycle_momentum)
    low, one = schedules.constant(top) / first, schedules.constant(1.0)
    up, down = (lambda kind, n: between(kind, low, top, n)), (lambda kind, n: between(kind, top, low, n))
    if flag(where, "three_phase", three_phase):
        phases = [up, down, lambda kind, n: multiply(low, between(kind, 1.0, one / last, n))]
    else:
        phases = [up, lambda kind, n: between(kind, top, low / last, n)]
    return one_cycle(where, _total(where, total_steps, epochs, steps_per_epoch), pct_start, anneal_strategy, phases)


def OneCycleMomentum(
    max_lr: float,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    cycle_momentum: bool = True,
    base_momentum: float = 0.85,
    max_momentum: float = 0.95,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> Schedule:
    """The momentum (or beta1) that goes with `OneCycleLR`: max_momentum to base_momentum while the rate rises, and back.

    Args: those of `OneCycleLR`; `cycle_momentum=False` is a ValueError, as there is no momentum then.

    Source: torch OneCycleLR.

    >>> m = OneCycleMomentum(0.1, 100)
    >>> m(0), m(29), m(99)
    (0.95, 0.85, 0.95)
    """
    where = "torch.OneCycleMomentum"
    needs_momentum(where, cycle_momentum)
    top, bottom = real(where, "max_momentum", max_momentum), real(where, "base_momentum", base_momentum)
    phases: list[Phase] = [lambda kind, n: between(kind, top, bottom, n), lambda kind, n: between(kind, bottom, top, n)]
    if flag(where, "three_phase", three_phase):
        phases.append(lambda kind, n: schedules.constant(top))
    return one_cycle(where, _total(where, total_steps, epochs, steps_per_epoch), pct_start, anneal_strategy, phases)


def _total(where: str, total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """The length of a run, given in one of two ways."""
    with value_errors():
        return _one_total(where, total_steps, epochs, steps_per_epoch)


def _one_total(where: str, total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is None and (epochs is None or steps_per_epoch is None):
        raise ValueError(f"{where}: total_steps must be given, or epochs and steps_per_epoch; got None")
    if epochs is None or steps_per_epoch is None:
        return count(where, "total_steps", total_steps, low=1)
    product = count(where, "epochs", epochs, low=1) * count(where, "steps_per_epoch", steps_per_epoch, low=1)
    if total_steps is not None and count(where, "total_steps", total_steps, low=1) != product:
        raise ValueError(f"{where}: total_steps must be epochs times steps_per_epoch, {product}; got {describe(total_steps)}")
    return count(where, "epochs times steps_per_epoch", product)


def SequentialLR(schedulers: Sequence[Schedule], milestones: Sequence[int]) -> Schedule:
    """schedulers[i] from its own step 0, i the number of milestones <= t.

    Args:
        schedulers: Schedules, each made with the base learning rate.
        milestones: one less, steps >= 0 that do not decrease.

    Source: torch SequentialLR.

    >>> SequentialLR([ConstantLR(0.1, 0.1, 20), ExponentialLR(0.1, 0.9)], [20])(20)
    0.1
    """
    where = "torch.SequentialLR"
    parts = _schedulers(where, schedulers)
    at = counts(where, "milestones", milestones)
    if len(at) != len(parts) - 1:
        raise ValueError(f"{where}: milestones must be one less than the {len(parts)} schedulers; got {len(at)}")
    return join(parts, at)


def ChainedScheduler(schedulers: Sequence[Schedule], base_lr: float) -> Schedule:
    """base_lr times the product of schedulers[i](t)/base_lr.

    Args:
        schedulers: Schedules, each made with this base learning rate, each a factor times it: a floor such as eta_min > 0
            depends in torch on the order of updates and is not such a factor.
        base_lr: not 0.

    Source: torch ChainedScheduler.

    >>> ChainedScheduler([ConstantLR(1.0, 0.5, 2), ExponentialLR(1.0, 0.5)], base_lr=1.0).table(4)
    array([0.5  , 0.25 , 0.25 , 0.125])
    """
    where = "torch.ChainedScheduler"
    base_lr = real(where, "base_lr", base_lr)
    if base_lr == 0.0:
        raise ValueError(f"{where}: base_lr must not be 0, the schedulers are divided by it; got 0.0 (float)")
    product, *others = _schedulers(where, schedulers)
    for other in others:
        product = product * (other / base_lr)
    return product


def _schedulers(where: str, schedulers: Sequence[Schedule]) -> list[Schedule]:
    if isinstance(schedulers, Schedule) or not isinstance(schedulers, Sequence):
        raise TypeError(f"{where}: schedulers must be a sequence of Schedules; got {describe(schedulers)}")
    if not schedulers:
        raise ValueError(f"{where}: schedulers must not be empty")
    return [schedule(where, f"schedulers[{i}]", one) for i, one in enumerate(schedulers)]


def SWALR(base_lr: float, swa_lr: float, anneal_epochs: int = 10, anneal_strategy: str = "cos") -> Schedule:
    """base_lr + (swa_lr - base_lr) a, a rising from 0 to 1 in anneal_epochs steps: t/anneal_epochs or (1 - cos(pi ...))/2.

    To hand over from another schedule s at step n, as one does in torch: s.cooldown(n, anneal_epochs, swa_lr, "cosine").

    Args:
        anneal_epochs: steps, >= 0.
        anneal_strategy: "cos" or "linear".

    Source: torch.optim.swa_utils.SWALR.

    >>> SWALR(0.1, 0.05, anneal_epochs=2).table(4)
    array([0.1  , 0.075, 0.05 , 0.05 ])
    """
    where = "torch.SWALR"
    base_lr, swa_lr = real(where, "base_lr", base_lr), real(where, "swa_lr", swa_lr)
    with value_errors():
        anneal_epochs = count(where, "anneal_epochs", anneal_epochs)
        kind = choice(where, "anneal_strategy", anneal_strategy, ("cos", "linear"))
    return between("cosine" if kind == "cos" else "linear", base_lr, swa_lr, anneal_epochs)


__all__ = public(globals())
