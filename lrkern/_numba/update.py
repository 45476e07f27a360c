"""Rules over arrays in compiled code: one loop that reads, unscales, clips, steps, averages, copies and writes each element.

`Pipeline` says what goes on around the rule. Numbers that are not asked for change no bit: a factor of 1, a limit of infinity.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from lrkern import _storage, rules
from lrkern._exact_sum import BINS, add, total
from lrkern._jit import FLAGS, fma, number, pointwise, rounded
from lrkern._numba.arrays import STRIDE, _kind, _stub, ask, cached, flat, load, part, store, store_random, zero_of
from lrkern._numba.norms import BLOCK, LANES, add_square, folded

AHEAD = 512
"""Elements from those at work to those that the memory is asked for."""

ELEMENTS = 4096
"""Elements that are stepped before their gradients are set to zero: few enough for the inner caches."""


class Pipeline(NamedTuple):
    """What goes on around a rule: gradients are multiplied by `factor`, then clipped to `limit`."""

    factor: float
    limit: float
    weight: float  # of the parameter in its average
    zero: bool  # set gradients to 0 afterwards
    mixed: Any  # uint64, `random_seed`'s, where rounding is stochastic; None where it is to nearest


load_param = _stub("load_param")  # load_param(param, remainder, i, like)
store_param = _stub("store_param")  # store_param(param, remainder, i, x, key, element)
store_state = _stub("store_state")  # store_state(state, i, x, key, element)
key_of = _stub("key_of")  # key_of(mixed, stream, element)
inputs_at = _stub("inputs_at")  # inputs_at(like, inputs, group): a row of numbers as the rule's inputs


@overload(load_param, jit_options=FLAGS)
def _load_param(param, remainder, i, like):
    if isinstance(remainder, types.NoneType):
        return lambda param, remainder, i, like: load(param, i, like)
    return lambda param, remainder, i, like: _storage.join_split(param[i], remainder[i])


@overload(store_param, jit_options=FLAGS)
def _store_param(param, remainder, i, x, key, element):
    def whole(param, remainder, i, x, key, element):
        store_state(param, i, x, key, element)

    def halves(param, remainder, i, x, key, element):
        param[i], remainder[i] = _storage.split(x)

    return whole if isinstance(remainder, types.NoneType) else halves


@overload(store_state, jit_options=FLAGS)
def _store_state(state, i, x, key, element):
    if isinstance(key, types.NoneType):
        return lambda state, i, x, key, element: store(state, i, x)
    return lambda state, i, x, key, element: store_random(state, i, x, key, element)


@overload(key_of, jit_options=FLAGS)
def _key_of(mixed, stream, element):
    if isinstance(mixed, types.NoneType):
        return lambda mixed, stream, element: None
    return lambda mixed, stream, element: _storage.random_key(mixed, np.uint64(stream), np.uint64(element))


@overload(inputs_at, jit_options=FLAGS)
def _inputs_at(like, inputs, group):
    scope: dict[str, Any] = {"made": like.instance_class}
    fields = ", ".join(f"inputs[group, {i}]" for i in range(len(like)))
    exec(f"def impl(like, inputs, group): return made({fields})", scope)
    return scope["impl"]


@pointwise
def prepared(g, factor, limit):
    """A gradient, unscaled and clipped."""
    y = g * factor
    return -limit if y < -limit else limit if y > limit else y


@pointwise
def run_one(c, like, first, factor, limit, weight, i, p, remainder, g, s0, s1, s2, average, copy, key, key0, key1, key2):
    """Step element i of 1-D arrays."""
    element = np.uint64(first + i)
    x = load_param(p, remainder, i, like)
    y = prepared(load(g, i, like), factor, limit)
    x, a0, a1, a2 = rules.update(c, x, y, load(s0, i, like), load(s1, i, like), load(s2, i, like))
    e = load(average, i, like)
    store(average, i, fma(weight, x - e, e))
    store(copy, i, x)
    store_param(p, remainder, i, x, key, element)
    store_state(s0, i, a0, key0, element)
    store_state(s1, i, a1, key1, element)
    store_state(s2, i, a2, key2, element)


@pointwise
def run_block(c, like, first, pipeline, p, remainder, g, s0, s1, s2, average, copy):
    """Step all elements of 1-D arrays; `first`: the number of the first one in its tensor."""
    factor, limit = number(pipeline.factor, like), number(pipeline.limit, like)
    weight = number(pipeline.weight, like)
    key, key0, key1, key2 = (
        key_of(pipeline.mixed, 0, first),
        key_of(pipeline.mixed, 1, first),
        key_of(pipeline.mixed, 2, first),
        key_of(pipeline.mixed, 3, first),
    )
    whole = p.size // STRIDE * STRIDE
    for group in range(0, whole, STRIDE):
        ask(p, group + AHEAD)
        ask(remainder, group + AHEAD)
        ask(g, group + AHEAD)
        ask(s0, group + AHEAD)
        ask(s1, group + AHEAD)
        ask(s2, group + AHEAD)
        ask(average, group + AHEAD)
        ask(copy, group + AHEAD)
        for i in range(group, group + STRIDE):
            run_one(
                c,
                like,
                first,
                factor,
                limit,
                weight,
                i,
                p,
                remainder,
                g,
                s0,
                s1,
                s2,
                average,
                copy,
                key,
                key0,
                key1,
                key2,
            )
    for i in range(whole, p.size):
        run_one(
            c,
            like,
            first,
            factor,
            limit,
            weight,
            i,
            p,
            remainder,
            g,
            s0,
            s1,
            s2,
            average,
            copy,
            key,
            key0,
            key1,
            key2,
        )


@pointwise
def run_range(c, like, first, pipeline, p, remainder, g, s0, s1, s2, average, copy):
    """The same in blocks, gradients set to zero where that is asked for."""
    begin = 0
    while begin < p.size:
        size = min(ELEMENTS, p.size - begin)
        # The keys of random bits change where the upper half of an element's number does.
        size = min(size, (1 << 32) - ((first + begin) & 0xFFFFFFFF))
        block = part(g, begin, size)
        run_block(
            c,
            like,
            first + begin,
            pipeline,
            part(p, begin, size),
            part(remainder, begin, size),
            block,
            part(s0, begin, size),
            part(s1, begin, size),
            part(s2, begin, size),
            part(average, begin, size),
            part(copy, begin, size),
        )
        if pipeline.zero:
            for i in range(size):
                block[i] = 0
        begin += size


@pointwise
def measure_block(c, like, pipeline, p, remainder, g, s0, s1, s2, lanes, others):
    """(sum of squares of the parameters of a block, of what the rule measures); the last two are scratch memory."""
    factor, limit = number(pipeline.factor, like), number(pipeline.limit, like)
    lanes[:] = 0.0
    others[:] = 0.0
    for i in range(p.size):
        x = load_param(p, remainder, i, like)
        y = prepared(load(g, i, like), factor, limit)
        m = rules.measured(c, x, y, load(s0, i, like), load(s1, i, like), load(s2, i, like))
        add_square(lanes, i % LANES, np.float64(x))
        add_square(others, i % LANES, np.float64(m))
    return folded(lanes), folded(others)


# ------------------------------------------------------------------------------------ one tensor, in a user's own function


alike = _stub("alike")  # alike(param, other): whether another array has the shape and the memory order of the parameter


@overload(alike, jit_options=FLAGS)
def _alike(param, other):
    one_order = _kind(other) != "" and (param.ndim < 2 or param.layout == other.layout)
    if not one_order:
        return lambda param, other: False
    return lambda param, other: other.shape == param.shape


alike_or_none = _stub("alike_or_none")  # the same, of an array that need not be there


@overload(alike_or_none, jit_options=FLAGS)
def _alike_or_none(param, other):
    if _kind(other) == "":
        return lambda param, other: True
    return lambda param, other: alike(param, other)


@cached
def step(h, n, param, grad, s0, s1, s2):
    """Update number n of one tensor by the rule whose inputs `h` are, and nothing around it."""
    like = zero_of(param)
    c = rounded(rules.scalars(h, n, 1.0, 1.0), like)
    one, unlimited = number(1.0, like), number(np.inf, like)
    p, g, a, b, d = flat(param), flat(grad), flat(s0), flat(s1), flat(s2)
    run_block(c, like, 0, Pipeline(one, unlimited, one, False, None), p, None, g, a, b, d, None, None)


@cached
def step_measured(h, n, param, grad, s0, s1):
    """The same by a rule that asks for norms."""
    like = zero_of(param)
    one, unlimited = number(1.0, like), number(np.inf, like)
    pipeline = Pipeline(one, unlimited, one, False, None)
    p, g, a, b = flat(param), flat(grad), flat(s0), flat(s1)
    c = rounded(rules.scalars(h, n, 1.0, 1.0), like)
    lanes, others = np.empty(LANES), np.empty(LANES)
    sums = np.zeros((2, BINS), np.int64)
    for begin in range(0, p.size, BLOCK):
        size = min(BLOCK, p.size - begin)
        squares = measure_block(
            c,
            like,
            pipeline,
            part(p, begin, size),
            None,
            part(g, begin, size),
            part(a, begin, size),
            part(b, begin, size),
            None,
            lanes,
            others,
        )
        for k in range(2):
            add(sums[k], squares[k])
    norm_p, norm_m = np.sqrt(total(sums[0])), np.sqrt(total(sums[1]))
    c = rounded(rules.scalars(h, n, norm_p, norm_m), like)
    run_block(c, like, 0, pipeline, p, None, g, a, b, None, None, None)
