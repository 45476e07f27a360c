"""Norms in compiled code: sums of squares of blocks, added exactly. docs/steps.md ("Norm"), src_c/exact_sum.c."""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from lrkern._jit import FLAGS, bits64, float64_of, pointwise
from lrkern._numba.arrays import _stub, emit_ask, load

BLOCK = 1024  # elements
LANES = 16
DIGITS = 70  # digit k of an exact sum is worth 2^(32 k - 1074); int64, with room for the carries of 2^30 terms

u64 = np.uint64


@pointwise
def add_exactly(digits, term):
    """Add a number >= 0 to the exact sum; infinities and NaNs are for the caller to keep."""
    bits = np.int64(bits64(term))
    exponent, fraction = bits >> 52, bits & ((1 << 52) - 1)
    mantissa = fraction | (1 << 52) if exponent != 0 else fraction
    place = exponent - 1 if exponent != 0 else 0
    at, shift = place // 32, place % 32
    low, high = (mantissa & 0xFFFFFFFF) << shift, (mantissa >> 32) << shift
    digits[at] += low & 0xFFFFFFFF
    digits[at + 1] += (low >> 32) + (high & 0xFFFFFFFF)
    digits[at + 2] += high >> 32


@pointwise
def rounded_sum(digits):
    """The exact sum rounded once to nearest, ties to even; the digits are used up."""
    carry = 0
    for k in range(DIGITS):
        carry += digits[k]
        digits[k] = carry & 0xFFFFFFFF
        carry >>= 32
    top = DIGITS - 1
    while top >= 0 and digits[top] == 0:
        top -= 1
    if top < 0:
        return 0.0
    # The leading 64 bits, m 2^(place - 1074), from three digits.
    a, free = digits[top], 0
    while a < 1 << 31:
        a <<= 1
        free += 1
    b = digits[top - 1] if top > 0 else 0
    c = digits[top - 2] if top > 1 else 0
    m = (u64(digits[top]) << u64(32) | u64(b)) << u64(free) | u64(c >> (32 - free))
    rest = c & ((1 << (32 - free)) - 1) != 0
    for k in range(top - 2):
        rest = rest or digits[k] != 0
    place = 32 * (top - 1) - free
    # Bits below the last digit of a double: 11, or more where the number is denormal.
    cut = -place if place + 11 < 0 else 11
    half = u64(1) << u64(cut - 1)
    tail = m & ((half << u64(1)) - u64(1))
    kept = np.int64(m >> u64(cut))
    if tail > half or (tail == half and (rest or kept & 1)):
        kept += 1
    exponent = place + cut + 1
    if kept >> 53:
        kept >>= 1
        exponent += 1
    if exponent >= 0x7FF:
        return math.inf
    bits = exponent << 52 | (kept & ((1 << 52) - 1)) if kept >> 52 else kept
    return float64_of(u64(bits))


@pointwise
def total(sums):
    """The exact sum of numbers >= 0, rounded once."""
    digits, special = np.zeros(DIGITS, np.int64), 0.0
    for k in range(sums.size):
        if sums[k] < math.inf:
            add_exactly(digits, sums[k])
        else:
            special += sums[k]
    return special if special != 0 else rounded_sum(digits)


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


add_rows = _stub("add_rows")  # add_rows(values, like, scale, lanes): add the squares of all whole rows of LANES elements


@intrinsic
def _add_rows_as_vectors(typing_context, values, scale, lanes):
    """Sums kept in registers: as elements of `lanes` they would go through memory for each row, which might be in `values`."""

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
        total = cgutils.alloca_once_value(builder, builder.load(sum_at, align=8))
        total.align = 8  # of a double: the stack promises no more
        index = context.get_value_type(types.intp)
        rows = builder.udiv(builder.extract_value(numbers.shape, 0), index(LANES))
        with cgutils.for_range(builder, rows) as loop:
            at = builder.gep(numbers.data, [builder.mul(loop.index, index(LANES))])
            emit_ask(builder, builder.gep(at, [index(BLOCK)]), LANES * item)
            x = builder.load(builder.bitcast(at, row.as_pointer()), align=item)
            x = builder.fmul(x if item == 8 else builder.fpext(x, vector), scales)
            builder.store(builder.fadd(builder.load(total, align=8), builder.fmul(x, x)), total, align=8)
        builder.store(builder.load(total, align=8), sum_at, align=8)
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
