"""Compiled steps of lists of tensors, passed as addresses. One version per kind of list: see `Kind`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import prange, types
from numba.extending import overload

from lrkern import _core
from lrkern.numba import norms
from lrkern.numba.arrays import _array_of, array_at, cached, load, part, present, written, zero_of
from lrkern.numba.modes import enter, hidden, leave
from lrkern.numba.update import Arrays, Pipeline, inlined, measure_block, run_range, run_with_norms
from lrkern.pointwise import spikes, storage
from lrkern.pointwise.primitives import FLAGS, pointwise, rounded, word
from lrkern.rules import compiled as rules

PARAM, GRAD, STATE, AVERAGE, _, _, COPY, REMAINDER = _core.ROLES.values()
ROLES = REMAINDER + 1


class Tensors(NamedTuple):
    """All tensors of a list, one row each; `inputs` and `weights` have one row per group."""

    addresses: Any
    """int64: addresses of its arrays, in the order of C's roles."""
    group_of: Any
    updates: Any
    """The number of updates that it has had."""
    sizes: Any
    scalar_states: Any
    norms: Any
    """The norm of the parameter, and the norm or sum of what its rule measures."""
    factors: Any
    """The factor of its gradient."""
    inputs: Any
    weights: Any
    """The weights of parameters in their averages."""


class Kind(NamedTuple):
    """Types, given by values of these types, for which code is compiled.

    Functions with a parallel loop take the fields and put them together: such loops do not support nested tuples.
    """

    like: Any
    """0 in T."""
    inputs: Any
    """The inputs of the rule."""
    stored: Arrays
    """0 in the storage type of each array; None for no array."""
    measures: bool
    """Whether the rule needs norms."""


inputs_at = word("inputs_at")  # inputs_at(like, inputs, group, lrs, k): a row as the rule's inputs, with lr = lrs[k] if given


@overload(inputs_at, jit_options=FLAGS)
def _inputs_at(like, inputs, group, lrs, k):
    fields = [f"inputs[group, {i}]" for i in range(len(like))]
    if isinstance(lrs, types.Array):
        fields[like.fields.index("lr")] = "lrs[k]"
    return written("like, inputs, group, lrs, k", [f"return made({', '.join(fields)})"], made=like.instance_class)


# arrays_at(addresses, i, begin, size, shifted, stored): the elements of tensor i from `begin` on, those of its gradient from
# `shifted` on
arrays_at = word("arrays_at")


@overload(arrays_at, jit_options=FLAGS)
def _arrays_at(addresses, i, begin, size, shifted, stored):
    fields = []
    for name, role in zip(stored.fields, (*range(ROLES), None), strict=True):  # the last one is `after`
        first = "shifted" if role == GRAD else "begin"
        fields.append(f"_array_of(addresses[i, {role}], {first}, size, stored.{name})" if name in present(stored) else "None")
    arguments = "addresses, i, begin, size, shifted, stored"
    return written(arguments, [f"return Arrays({', '.join(fields)})"], Arrays=Arrays, _array_of=_array_of)


# ---------------------------------------------------------------------------------------------------------------- steps


@pointwise
def concealed(around):
    """The same with numbers that are not hoisted out of loops: see `modes`."""
    return with_own(around, around.factor, hidden(around.limit), around.weight, around.weight1, around.weight2)


@inlined
def with_own(around, factor, limit, weight, weight1, weight2):
    """The same with other numbers."""
    return Pipeline(factor, limit, weight, weight1, weight2, around.zero, around.mixed, around.mixed_states)


@inlined
def run_chunks(chunks, lrs, tensors, kind, around, sums):
    """Update chunks (tensor, begin, end, begin in the gradient, number of the first block); `sums`: None, or for norms."""
    # Once: unpacking counts references.
    addresses, group_of, updates, sizes, scalar_states, norms_of, factors, inputs, weights = tensors
    like, stored = kind.like, kind.stored
    k = 0
    while k < chunks.shape[0]:
        tensor = chunks[k, 0]
        group, n, z0, z1 = group_of[tensor], updates[tensor], scalar_states[tensor, 0], scalar_states[tensor, 1]
        h = inputs_at(kind.inputs, inputs, group, lrs, k)
        c = rounded(
            rules.scalars(h, rules.Tensor(n + 1, norms_of[tensor, 0], norms_of[tensor, 1], sizes[tensor], z0, z1)), like
        )
        own, same = weights[group], True
        while same:  # all chunks with these scalars
            i, begin, end = chunks[k, 0], chunks[k, 1], chunks[k, 2]
            pipeline = with_own(around, factors[i], around.limit, own[0], own[1], own[2])
            arrays = arrays_at(addresses, i, begin, end - begin, chunks[k, 3], stored)
            if sums is None:
                run_range(c, like, begin, pipeline, arrays)
            else:
                run_with_norms(c, like, begin, pipeline, arrays, sums, chunks[k, 4])
            k += 1
            if k == chunks.shape[0] or lrs is not None:
                same = False
            elif chunks[k, 0] != tensor:
                i = chunks[k, 0]
                same = not kind.measures and group == group_of[i] and n == updates[i]
                same = same and z0 == scalar_states[i, 0] and z1 == scalar_states[i, 1]


run_chunks_apart = pointwise(run_chunks.py_func)
"""`run_chunks` as a function of its own: Numba types and compiles the body of a parallel loop twice."""


# count(counts, members, tensors, like): count a step. It is counted here, not by the caller: Ctrl-C could come before the
# caller's next line.
count = word("count")


@overload(count, jit_options=FLAGS)
def _count(counts, members, tensors, like):
    def without_states(counts, members, tensors, like):
        updates = tensors.updates
        for i in members:
            updates[i] += 1
        counts[0] += 1

    def with_states(counts, members, tensors, like):
        _, group_of, updates, sizes, states, norms_of, _, inputs, _ = tensors
        for i in members:
            h = inputs_at(like, inputs, group_of[i], None, 0)
            t = rules.Tensor(updates[i] + 1, norms_of[i, 0], norms_of[i, 1], sizes[i], states[i, 0], states[i, 1])
            states[i, 0], states[i, 1] = rules.scalar_states(h, t)
            updates[i] += 1
        counts[0] += 1

    return with_states if rules.has_scalar_states(like.instance_class) else without_states


@cached
def run_serial(counts, members, chunks, lrs, tensors, kind, around, sums):
    """Update all chunks, which are those of the tensors `members`."""
    run_chunks(chunks, lrs, tensors, kind, around, sums)
    count(counts, members, tensors, kind.inputs)


@cached(parallel=True)
def run_parallel(counts, members, share, chunks, lrs, tensors, around, sums, like, inputs, stored, measures):
    """The same, `share` chunks at a time."""
    for k in prange((chunks.shape[0] + share - 1) // share):
        own, found = Kind(like, inputs, stored, measures), enter()
        run_chunks_apart(
            chunks[k * share : (k + 1) * share], part(lrs, k * share, share), tensors, own, concealed(around), sums
        )
        leave(found)
    count(counts, members, tensors, inputs)


# ---------------------------------------------------------------------------------------------------------------- norms


# Their versions differ by a kind's `like` and the type of its gradients only, so that rules share them.
@pointwise
def square_some(blocks, addresses, scale, out, like, stored):
    """out[k] = the sum of squares of block k (tensor, begin, end) of gradients, each element multiplied by `scale`."""
    lanes = np.empty(norms.LANES)
    for k in range(blocks.shape[0]):
        i, begin, end = blocks[k, 0], blocks[k, 1], blocks[k, 2]
        grad = array_at(addresses[i, GRAD], begin, end - begin, stored)
        out[k] = norms.square_of(grad, like, scale, lanes)


@cached
def square_serial(blocks, addresses, scale, out, like, stored):
    """The same for all blocks on the calling thread."""
    square_some(blocks, addresses, scale, out, like, stored)


@cached(parallel=True)
def square_parallel(blocks, addresses, scale, out, like, stored, share):
    """The same, `share` blocks at a time."""
    for k in prange((blocks.shape[0] + share - 1) // share):
        mine = slice(k * share, (k + 1) * share)
        found = enter()
        square_some(blocks[mine], addresses, hidden(scale), out[mine], like, stored)
        leave(found)


@cached
def totals(sums, sets, count):
    """The sum of the numbers of each set, rounded once; sets[k] is the set of sums[k]."""
    return norms.sum_sets_exactly(sums, sets, count)


@cached
def is_spike(recent, count, norm, sigma):
    """`spikes.is_spike`."""
    return spikes.is_spike(recent, count, norm, sigma)


@pointwise
def measure_some(blocks, tensors, kind, around, out):
    """out[0, k], out[1, k] = the sum of squares of parameters in block k, and that of the terms of what their rule measures."""
    addresses, group_of, updates, sizes, states, _, factors, inputs, _ = tensors
    lanes, others = np.empty(norms.LANES), np.empty(norms.LANES)
    for k in range(blocks.shape[0]):
        i, begin, end = blocks[k, 0], blocks[k, 1], blocks[k, 2]
        h = inputs_at(kind.inputs, inputs, group_of[i], None, 0)
        t = rules.Tensor(updates[i] + 1, 1.0, 1.0, sizes[i], states[i, 0], states[i, 1])
        c = rounded(rules.scalars(h, t), kind.like)
        arrays = arrays_at(addresses, i, begin, end - begin, begin, kind.stored)
        pipeline = with_own(around, factors[i], around.limit, 0.0, 0.0, 0.0)
        out[0, k], out[1, k] = measure_block(c, kind.like, pipeline, arrays, lanes, others)


@cached
def measure_serial(blocks, tensors, kind, around, out):
    """The same for all blocks on the calling thread."""
    measure_some(blocks, tensors, kind, around, out)


@cached(parallel=True)
def measure_parallel(blocks, tensors, around, out, share, like, inputs, stored, measures):
    """The same, `share` blocks at a time."""
    for k in prange((blocks.shape[0] + share - 1) // share):
        mine, own = slice(k * share, (k + 1) * share), Kind(like, inputs, stored, measures)
        found = enter()
        measure_some(blocks[mine], tensors, own, concealed(around), out[:, mine])
        leave(found)


@cached
def take_norms(blocks, members, sums, norms_of, sums_up):
    """norms_of[i] = the roots of the sums of tensor i, or the second sum itself; its blocks are adjacent."""
    for i in members:
        norms_of[i] = 0.0
    begin = 0
    while begin < blocks.shape[0]:
        i, end = blocks[begin, 0], begin
        while end < blocks.shape[0] and blocks[end, 0] == i:
            end += 1
        for k in range(2):
            total = norms.sum_exactly(sums[k, begin:end])
            norms_of[i, k] = total if k == 1 and sums_up else math.sqrt(total)
        begin = end


# -------------------------------------------------------------------------------------------------------------- gradients


@cached
def sum_rows(values, begin, order, out):
    """out[k] = the sum of the rows values[order[begin[k]:begin[k + 1]]], in this order, in the type of `out`."""
    like = zero_of(out)
    for k in range(out.shape[0]):
        for column in range(out.shape[1]):
            total = load(values[order[begin[k]]], column, like)
            for j in range(begin[k] + 1, begin[k + 1]):
                total += load(values[order[j]], column, like)
            out[k, column] = total


@cached
def random_seed(seed, step):
    """`_storage.random_seed`."""
    return storage.random_seed(seed, step)
