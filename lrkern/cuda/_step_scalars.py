"""The small kernels before a step: schedules, decisions based on norms, and the scalars of all tensors. All on the device."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from lrkern.cuda._norms import root
from lrkern.cuda._overloads import native
from lrkern.cuda._platform import cuda, kernel, load, types
from lrkern.cuda._table_layout import (
    AVERAGES,
    CLIP,
    CLIP_NORM,
    COEFS,
    CONTROL_AVERAGES,
    CONTROL_COUNT,
    CONTROL_RECENT,
    CONTROL_REFUSED,
    CONTROL_SKIPPED,
    CONTROL_SKIPS,
    CONTROL_WRONG,
    EMA_DECAY,
    FACTOR,
    GRAD_NORM,
    GRAD_SCALE,
    GROUP,
    HAS_GRADIENT,
    LIMIT,
    NOT_FINITE,
    REFUSED,
    RESCALE,
    RULE,
    SIZE,
    SKIP_NORM,
    SKIP_SIGMA,
    SKIPPED,
    STEP_FACTOR,
    WEIGHT,
    reader_of_inputs,
    writer_of_scalars,
)
from lrkern.pointwise.exact_sum import BINS, total
from lrkern.pointwise.plan_eval import at_integer
from lrkern.pointwise.primitives import pointwise
from lrkern.pointwise.spikes import is_spike
from lrkern.pointwise.storage import random_seed
from lrkern.rules.compiled import FAMILIES, SCALAR_STATES, Tensor
from lrkern.schedules.plan import Plan

# Rows of `live`: a scheduled input of a group, and the position of its plan.
LIVE_GROUP, LIVE_PLACE, LIVE_BREAKS, LIVE_PIECES, LIVE_COUNT, LIVE_TAIL, LIVE_PERIOD = range(7)

# `options`, float64
CLIP_VALUE, SKIP_NONFINITE, ERROR_IF_NONFINITE, WANTS_NORM, EMA_EVERY = range(5)
OPTIONS = 5

# `random`, uint64
MIXED, SEED = range(2)

_load_scale = load(np.float32, 1)


@pointwise
def _factor(raw, grad_scale, clip_norm):
    """The factor of gradients with this norm."""
    clips = clip_norm < math.inf and not raw / grad_scale <= clip_norm
    return clip_norm / raw if clips else 1.0 / grad_scale


@kernel
def advance(
    control: Any,
    numbers: Any,
    random: Any,
    bins: Any,
    clips: Any,
    inputs: Any,
    options: Any,
    recent: Any,
    live: Any,
    breaks: Any,
    center: Any,
    coef: Any,
    grad_scale: float,
    scale_address: int,
) -> None:
    """One block: evaluate schedules at `count`, decide about clipping, skipping and refusing, and count the step."""
    first = cuda.shared.array(BINS, types.int64)
    second = cuda.shared.array(BINS, types.int64)
    thread, threads = cuda.threadIdx.x, cuda.blockDim.x
    count = control[CONTROL_COUNT]
    k = thread
    while k < BINS:
        first[k] = bins[0, k]
        second[k] = bins[1, k]
        bins[0, k] = 0
        bins[1, k] = 0
        k += threads
    cuda.syncthreads()
    j = thread
    while j < live.shape[0]:
        a, b, n = live[j, LIVE_BREAKS], live[j, LIVE_PIECES], live[j, LIVE_COUNT]
        arrays = native(breaks[a : a + n + 1]), native(center[b : b + n]), native(coef[b : b + n])
        plan = Plan(arrays[0], arrays[1], arrays[2], live[j, LIVE_TAIL], live[j, LIVE_PERIOD])
        inputs[live[j, LIVE_GROUP], live[j, LIVE_PLACE]] = at_integer(plan, count)
        j += threads
    cuda.syncthreads()
    if thread == 0 and control[CONTROL_WRONG] != 0:
        clips[0, RESCALE] = 0.0
        control[CONTROL_SKIPS] = REFUSED
        control[CONTROL_REFUSED] += 1
        control[CONTROL_WRONG] = 0
    elif thread == 0:
        scale = grad_scale
        if scale_address != 0:
            scale = np.float64(_load_scale(scale_address))
        raw, finite = math.nan, True
        if options[WANTS_NORM] != 0.0:
            square = total(native(first))
            raw = root(square)
            if clips[0, RESCALE] != 0.0:
                square = total(native(second))
                raw = root(square) / clips[0, RESCALE]
            finite = square < math.inf
        clips[0, RESCALE] = 0.0
        clips[0, STEP_FACTOR] = _factor(raw, scale, inputs[0, CLIP_NORM])
        numbers[GRAD_SCALE] = scale
        refuses = options[ERROR_IF_NONFINITE] != 0.0 and not finite
        norm, sigma, remembered = raw / scale, inputs[0, SKIP_SIGMA], control[CONTROL_RECENT]
        skips = (options[SKIP_NONFINITE] != 0.0 and not finite) or norm > inputs[0, SKIP_NORM]
        if sigma < math.inf:
            skips = skips or is_spike(native(recent), remembered, norm, sigma)
        if not refuses:
            numbers[GRAD_NORM] = norm
        if refuses:
            control[CONTROL_SKIPS] = NOT_FINITE
        elif skips:
            control[CONTROL_SKIPS] = SKIPPED
            control[CONTROL_SKIPPED] += 1
        else:
            control[CONTROL_SKIPS] = 0
            control[CONTROL_COUNT] = count + 1
            if sigma < math.inf and norm < math.inf:
                recent[remembered % recent.shape[0]] = norm
                control[CONTROL_RECENT] = remembered + 1
            control[CONTROL_AVERAGES] = 1 if (count + 1) % np.int64(options[EMA_EVERY]) == 0 else 0
        random[MIXED] = random_seed(random[SEED], np.uint64(count))


@kernel
def set_factors(numbers: Any, bins: Any, clips: Any, inputs: Any) -> None:
    """The factors from norms of groups or tensors, one thread each; `advance` sets the first row of `clips`."""
    i = cuda.grid(1) + 1
    if i < clips.shape[0]:
        raw = root(total(native(bins[2 * i])))
        if clips[i, RESCALE] != 0.0:
            raw = root(total(native(bins[2 * i + 1]))) / clips[i, RESCALE]
        clips[i, RESCALE] = 0.0
        clips[i, STEP_FACTOR] = _factor(raw, numbers[GRAD_SCALE], inputs[0, CLIP_NORM])
        for k in range(BINS):
            bins[2 * i, k] = 0
            bins[2 * i + 1, k] = 0


@pointwise
def _same_states(h, t):
    return t.z0, t.z1


@cache
def make_scalars(rule: str) -> Any:
    """The kernel scalars(tensors, inputs, options, control, clips, updates, states, norms, coefs32, coefs64, counts, own).

    One thread per tensor. `counts`: whether this counts as an update of the tensors, whose scalar states then change; those
    before it follow them in `states`, for kernels that compute the scalars of rows. `own`: the index of this rule among those
    of the list; tensors of other rules are left to their kernels.
    """
    family: Any = FAMILIES[rule]
    read_inputs, scalars_of = reader_of_inputs(family.inputs), family.scalars
    write, sums = writer_of_scalars(family.scalars_type), family.sums
    new_states = family.scalar_states or _same_states

    def scalars(
        tensors: Any,
        inputs: Any,
        options: Any,
        control: Any,
        clips: Any,
        updates: Any,
        states: Any,
        norms: Any,
        coefs32: Any,
        coefs64: Any,
        counts: int,
        own: int,
    ) -> None:
        tensor = cuda.grid(1)
        if tensor >= tensors.shape[0] or tensors[tensor, HAS_GRADIENT] == 0 or control[CONTROL_SKIPS] != 0:
            return
        group, n = tensors[tensor, GROUP], updates[tensor] + 1
        if inputs[group, RULE] != own:
            return
        h, measured = read_inputs(inputs, group), norms[tensor, 1]
        if not sums:
            measured = root(measured)
        size = np.float64(tensors[tensor, SIZE])
        t = Tensor(n, root(norms[tensor, 0]), measured, size, states[tensor, 0], states[tensor, 1])
        c = scalars_of(h, t)
        write(coefs64, tensor, c)
        write(coefs32, tensor, c)
        coefs64[tensor, FACTOR] = clips[tensors[tensor, CLIP], STEP_FACTOR]
        coefs64[tensor, LIMIT] = options[CLIP_VALUE]
        for k in range(AVERAGES):
            coefs64[tensor, WEIGHT + k] = 1.0 - inputs[group, EMA_DECAY + k]
        for k in range(FACTOR, COEFS):
            coefs32[tensor, k] = np.float32(coefs64[tensor, k])
        if counts != 0:
            updates[tensor] = n
            states[tensor, SCALAR_STATES], states[tensor, SCALAR_STATES + 1] = t.z0, t.z1
            states[tensor, 0], states[tensor, 1] = new_states(h, t)

    return kernel(scalars, rule, rule=family.scalars_type)
