"""Megatron-LM's OptimizerParamScheduler. Steps are what `step(increment)` adds up: samples, as a rule.

For n updates of a global batch of B samples ask for `s(B * np.arange(n))`. Where groups have rates or decays of their own,
call once for each.
"""

from __future__ import annotations

from lrkern import schedules
from lrkern._checks import choice, count, describe, flag, real
from lrkern.dialects._parts import held, public, warmed
from lrkern.schedules.expression import Schedule, join

_STYLES = ("constant", "linear", "cosine", "inverse-square-root", "WSD")
_TAILS = ("linear", "cosine", "exponential", "minus_sqrt")


def OptimizerParamScheduler(
    init_lr: float,
    max_lr: float,
    min_lr: float,
    lr_warmup_steps: int,
    lr_decay_steps: int,
    lr_decay_style: str,
    start_wd: float = 0.0,
    end_wd: float = 0.0,
    wd_incr_steps: int = 0,
    wd_incr_style: str = "constant",
    use_checkpoint_opt_param_scheduler: bool = True,
    override_opt_param_scheduler: bool = False,
    wsd_decay_steps: int | None = None,
    lr_wsd_decay_style: str | None = None,
) -> Schedule:
    """Linearly from init_lr to max_lr at t = lr_warmup_steps, then down to min_lr at t = lr_decay_steps, and min_lr after.

    With r from 0 to 1 between the two, min_lr + (max_lr - min_lr) times: 1 - r, (1 + cos(pi r))/2; "WSD": 1, and in the last
    wsd_decay_steps, r counted in them, 1 - r, (1 + cos(pi r))/2, 2 2^-r - 1 or 1 - sqrt(r). "inverse-square-root":
    max(min_lr, max_lr sqrt(lr_warmup_steps/t)); "constant": max_lr.

    Args:
        init_lr, max_lr, min_lr: init_lr <= max_lr, 0 <= min_lr <= max_lr.
        lr_warmup_steps, lr_decay_steps: counts from step 0, 0 <= the first < the second.
        lr_decay_style: "constant", "linear", "cosine", "inverse-square-root" or "WSD".
        start_wd, end_wd, wd_incr_steps, wd_incr_style: see `OptimizerParamSchedulerWeightDecay`.
        use_checkpoint_opt_param_scheduler, override_opt_param_scheduler: of no effect here; not both, as there.
        wsd_decay_steps, lr_wsd_decay_style: for "WSD": >= 1, and "linear", "cosine", "exponential" or "minus_sqrt".

    Source: Megatron-LM megatron/core/optimizer_param_scheduler.py.

    >>> OptimizerParamScheduler(0.0, 1.0, 0.2, 2, 6, "linear").table(9)
    array([0. , 0.5, 1. , 0.8, 0.6, 0.4, 0.2, 0.2, 0.2])
    """
    where = "megatron.OptimizerParamScheduler"
    top = real(where, "max_lr", max_lr)
    first, last = real(where, "init_lr", init_lr, high=top), real(where, "min_lr", min_lr, low=0.0, high=top)
    told = flag(where, "use_checkpoint_opt_param_scheduler", use_checkpoint_opt_param_scheduler)
    if flag(where, "override_opt_param_scheduler", override_opt_param_scheduler) and told:
        raise ValueError(f"{where}: use_checkpoint and override_opt_param_scheduler must not both be True")
    warmup = count(where, "lr_warmup_steps", lr_warmup_steps)
    steps = count(where, "lr_decay_steps", lr_decay_steps, low=warmup + 1) - warmup
    style = choice(where, "lr_decay_style", lr_decay_style, _STYLES)
    if style == "constant":
        fall = schedules.constant(top)
    elif style == "inverse-square-root":
        curve = schedules.inverse_sqrt(top, max(warmup, 1))
        fall = held((curve if warmup else curve.shift(1)).clip(low=last), steps, last, "after")
    elif style == "WSD":
        fall = _wsd(where, top, last, steps, wsd_decay_steps, lr_wsd_decay_style)
    else:
        fall = (schedules.linear if style == "linear" else schedules.cosine)(top, last, steps)
    # The warm-up has its last step to itself, also where a decay has begun before it.
    return warmed(first, top, warmup, fall, "after")


def _wsd(where: str, top: float, last: float, steps: int, decay: int | None, style: str | None) -> Schedule:
    if decay is None or style is None:
        missing = "wsd_decay_steps" if decay is None else "lr_wsd_decay_style"
        raise TypeError(f"{where}: {missing} must be given for 'WSD'; got {describe(None)}")
    decay = count(where, "wsd_decay_steps", decay, low=1)
    tail = choice(where, "lr_wsd_decay_style", style, _TAILS)
    if tail == "exponential":
        fall = schedules.exponential_ramp(top, last, decay, 0.5)
    else:
        curves = {"linear": schedules.linear, "cosine": schedules.cosine, "minus_sqrt": schedules.one_minus_sqrt}
        fall = curves[tail](top, last, decay)
    stable = steps - decay
    return join([schedules.constant(top), fall], [stable]) if stable >= 0 else fall.shift(stable)


def OptimizerParamSchedulerWeightDecay(
    start_wd: float, end_wd: float, wd_incr_steps: int, wd_incr_style: str, wd_mult: float = 1.0
) -> Schedule:
    """The weight decay that goes with it: wd_mult times start_wd to end_wd in wd_incr_steps, then wd_mult end_wd.

    Args:
        start_wd, end_wd: 0 <= start_wd <= end_wd.
        wd_incr_steps: >= 0.
        wd_incr_style: "constant" (start_wd and end_wd are equal), "linear" or "cosine".
        wd_mult: the group's factor.

    Source: Megatron-LM OptimizerParamScheduler.get_wd.

    >>> OptimizerParamSchedulerWeightDecay(0.0, 0.1, 4, "linear")(2)
    0.05
    """
    where = "megatron.OptimizerParamSchedulerWeightDecay"
    start = real(where, "start_wd", start_wd, low=0.0)
    end, steps = real(where, "end_wd", end_wd, low=start), count(where, "wd_incr_steps", wd_incr_steps)
    factor = real(where, "wd_mult", wd_mult)
    style = choice(where, "wd_incr_style", wd_incr_style, ("constant", "linear", "cosine"))
    if style == "constant":
        if start != end:
            raise ValueError(f"{where}: end_wd must be start_wd for 'constant'; got {describe(end_wd)}")
        return factor * schedules.constant(end)
    return factor * (schedules.linear if style == "linear" else schedules.cosine)(start, end, steps)


__all__ = public(globals())
