"""Storage formats of elements: one source for Numba and CUDA, the twin of src_c/steps/storage.h.

bfloat16 and float16 are handled as uint16 bits, with integer and float32 operations only: no native half precision is used.
`docs/steps.md` ("Storage") defines the roundings.
"""

from __future__ import annotations

import numpy as np

from lrkern.pointwise.primitives import bits32, float32_of, pointwise, u32

u16, u64 = np.uint16, np.uint64

# Typed constants, so that 32-bit and 64-bit arithmetic keeps its type: Numba turns uint64 with int64 into float64.
_SIGN, _DIGITS = u32(0x80000000), u32(0x7FFFFFFF)
_INFINITY, _NAN = u32(0x7F800000), u32(0x7FC00000)
_REBIAS = u32(112 << 23)


@pointwise
def to_odd(x):
    """A float64 to float32, truncated, with the last bit set if inexact: narrower formats then round it as they would x."""
    nearest = np.float32(x)
    back = np.float64(nearest)
    too_large = u32(1) if abs(back) > abs(x) else u32(0)
    inexact = u32(0) if back == x else u32(1)
    return float32_of(u32(u32(bits32(nearest) - too_large) | inexact))


@pointwise
def from_bf16(h):
    """The float32 of a bfloat16's bits."""
    return float32_of(u32(u32(h) << u32(16)))


@pointwise
def to_bf16(x):
    """A float32 to the bits of a bfloat16, to nearest."""
    bits = bits32(x)
    near = u32(bits + u32(0x7FFF) + u32(u32(bits >> u32(16)) & u32(1)))
    return u16((near if x == x else _NAN) >> u32(16))


@pointwise
def from_f16(h):
    """The float32 of a float16's bits."""
    sign = u32(u32(u32(h) & u32(0x8000)) << u32(16))
    digits = u32(u32(h) & u32(0x7FFF))
    normal = u32(u32(digits << u32(13)) + (u32(224 << 23) if digits >= u32(0x7C00) else _REBIAS))
    denormal = bits32(np.float32(np.int32(digits)) * np.float32(2.0**-24))
    return float32_of(u32(sign | (denormal if digits < u32(0x400) else normal)))


@pointwise
def _f16_signed(bits, digits, finite):
    """The bits of a float16: `finite` with its sign; from 65536 on, an infinity or NaN."""
    special = u32(0x7E00) if digits > _INFINITY else u32(0x7C00)
    sign = u32(u32(bits >> u32(16)) & u32(0x8000))
    return u16(sign | (special if digits >= u32(0x47800000) else finite))


@pointwise
def to_f16(x):
    """A float32 to the bits of a float16, to nearest."""
    bits = bits32(x)
    digits = u32(bits & _DIGITS)
    normal = u32(u32(digits + u32(0xFFF) + u32(u32(digits >> u32(13)) & u32(1)) - _REBIAS) >> u32(13))
    # 2^-24, the spacing of denormals, is the last bit of float32 numbers from 0.5 to 1.
    denormal = u32(bits32(float32_of(digits) + np.float32(0.5)) - u32(0x3F000000))
    return _f16_signed(bits, digits, denormal if digits < u32(0x38800000) else normal)


@pointwise
def to_bf16_random(x, r):
    """A float32 to the bits of a bfloat16, stochastically; r: 32 random bits."""
    bits = bits32(x)
    digits = u32(bits & _DIGITS)
    moved = u32(u32(bits & _SIGN) | u32(digits + u32(r >> u32(16))))
    return to_bf16(x) if digits >= _INFINITY else u16(moved >> u32(16))


@pointwise
def to_f16_random(x, r):
    """A float32 to the bits of a float16, stochastically; r: 32 random bits."""
    bits = bits32(x)
    digits = u32(bits & _DIGITS)
    more = u32(r >> u32(19))
    normal = u32(u32(digits + more - _REBIAS) >> u32(13))
    # Both results are computed for all x: where this one is not used, it must not overflow.
    small = float32_of(digits if digits < u32(0x38800000) else u32(0))
    denormal = u32(u32(u32(np.int32(small * np.float32(2.0**37))) + more) >> u32(13))
    return _f16_signed(bits, digits, denormal if digits < u32(0x38800000) else normal)


@pointwise
def join_split(param, remainder):
    """The float32 of a split parameter: bits of a bfloat16, and what they lack (int16)."""
    whole = float32_of(u32(u32(u32(param) << u32(16)) + u32(np.int32(remainder))))
    # Together they would be a NaN where the remainder is of another parameter than the one that has been written here.
    return whole if whole == whole else from_bf16(param)


@pointwise
def split(x):
    """(bits of a bfloat16, what they lack as int16) of a float32."""
    bits = bits32(x) if x == x else _NAN
    return u16(u32(bits + u32(0x8000)) >> u32(16)), np.int16(u16(bits & u32(0xFFFF)))


@pointwise
def mix(z):
    """SplitMix64's finalizer."""
    z = (z ^ (z >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> u64(27))) * u64(0x94D049BB133111EB)
    return z ^ (z >> u64(31))


@pointwise
def random_seed(seed, count):
    """The part of the key that all elements of a step share; `seed` and `count` are uint64."""
    return mix(mix(seed + u64(0x9E3779B97F4A7C15)) + count)


@pointwise
def random_key(mixed, stream, element):
    """The key of an element's random bits, shared by 2^32 elements of a stream. All uint64; `mixed` is from `random_seed`."""
    return mix(mixed + (stream << u64(32)) + (element >> u64(32)))


@pointwise
def random_bits(key, element):
    """The 32 random bits of an element; both arguments are uint64."""
    x = u32(u32(element) ^ u32(key))
    x = u32(u32(x ^ u32(x >> u32(16))) * u32(0x21F0AAAD))
    x = u32(u32(x ^ u32(x >> u32(15))) + u32(key >> u64(32)))
    x = u32(x * u32(0xD35A2D97))
    return u32(x ^ u32(x >> u32(15)))
