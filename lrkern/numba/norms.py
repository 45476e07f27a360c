"""Norms in compiled code: exact sums of block sums of squares. See docs/steps.md ("Norm")."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from lrkern import _core
from lrkern.numba.arrays import emit_prefetch, load
from lrkern.pointwise.exact_sum import BINS, add, total
from lrkern.pointwise.primitives import FLAGS, pointwise, word

BLOCK = _core.NORM_BLOCK  # elements
LANES = 16


@pointwise
def sum_exactly(terms):
    """The sum, rounded once."""
    bins = np.zeros(BINS, np.int64)
    for k in range(terms.size):
        add(bins, terms[k])
    return total(bins)


@pointwise
def sum_sets_exactly(terms, sets, count):
    """The same for each of `count` sets; sets[k] is the set of terms[k]."""
    bins = np.zeros((count, BINS), np.int64)
    for k in range(terms.size):
        add(bins[sets[k]], terms[k])
    sums = np.empty(count)
    for one in range(count):
        sums[one] = total(bins[one])
    return sums


@pointwise
def add_square(lanes, position, x):
    """Add x^2 to the lane of the element at this position of a block."""
    lanes[position] = lanes[position] + x * x


@pointwise
def folded(lanes):
    """The sum of the lanes."""
    width = LANES // 2
    while width > 0:
        for j in range(width):
            lanes[j] = lanes[j] + lanes[j + width]
        width //= 2
    return lanes[0]


add_rows = word("add_rows")  # add_rows(values, like, scale, lanes): add the squares of all whole rows of LANES elements


@intrinsic
def _add_rows_as_vectors(typing_context, values, scale, lanes):
    """Keeps sums in registers: in `lanes`, which might alias `values`, they would be stored and loaded for each row."""

    def code(context, builder, signature, arguments):
        numbers, sums = (
            context.make_array(kind)(context, builder, one)
            for kind, one in zip((values, lanes), (arguments[0], arguments[2]), strict=True)
        )
        item = values.dtype.bitwidth // 8
        vector = ir.VectorType(ir.DoubleType(), LANES)
        row = ir.VectorType(context.get_data_type(values.dtype), LANES)
        undefined = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(undefined, arguments[1], ir.IntType(32)(0))
        scales = builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))
        sum_at = builder.bitcast(sums.data, vector.as_pointer())
        sums_so_far = cgutils.alloca_once_value(builder, builder.load(sum_at, align=8))
        sums_so_far.align = 8  # of a double: the stack guarantees no more
        index = context.get_value_type(types.intp)
        rows = builder.udiv(builder.extract_value(numbers.shape, 0), index(LANES))
        with cgutils.for_range(builder, rows) as loop:
            at = builder.gep(numbers.data, [builder.mul(loop.index, index(LANES))])
            emit_prefetch(builder, builder.gep(at, [index(BLOCK)]), LANES * item)
            x = builder.load(builder.bitcast(at, row.as_pointer()), align=item)
            x = builder.fmul(x if item == 8 else builder.fpext(x, vector), scales)
            builder.store(builder.fadd(builder.load(sums_so_far, align=8), builder.fmul(x, x)), sums_so_far, align=8)
        builder.store(builder.load(sums_so_far, align=8), sum_at, align=8)
        return context.get_dummy_value()

    return types.void(values, types.float64, lanes), code


@overload(add_rows, jit_options=FLAGS)
def _add_rows(values, like, scale, lanes):
    def as_vectors(values, like, scale, lanes):
        _add_rows_as_vectors(values, scale, lanes)

    def one_by_one(values, like, scale, lanes):
        for row in range(values.size // LANES):
            for j in range(LANES):
                add_square(lanes, j, np.float64(load(values, row * LANES + j, like)) * scale)

    return as_vectors if isinstance(values.dtype, types.Float) else one_by_one


@pointwise
def square_of(values, like, scale, lanes):
    """The sum of squares of the elements of a block, each multiplied by `scale`; `lanes`: scratch memory."""
    lanes[:] = 0.0
    add_rows(values, like, np.float64(scale), lanes)
    rest = values.size // LANES * LANES
    for j in range(values.size - rest):
        add_square(lanes, j, np.float64(load(values, rest + j, like)) * scale)
    return folded(lanes)
