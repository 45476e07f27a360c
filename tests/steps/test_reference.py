"""The reference of the steps itself: roundings and random bits against exact fractions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import reference_steps as reference
from reference_steps import BF16, F16, F32, F64
from step_arrays import assert_same_bits, specials, values


def exactly_rounded(exact: Fraction, precision: int, least: int) -> Fraction:
    """To nearest, ties to even, in a format without a largest number."""
    if exact == 0:
        return exact
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length()
    exponent -= abs(exact) < Fraction(2) ** exponent
    unit = Fraction(2) ** max(exponent + 1 - precision, least)
    return round(exact / unit) * unit


class TestReference:
    @pytest.mark.parametrize(("dtype", "precision", "least"), [(F32, 24, -149), (F64, 53, -1074)])
    def test_fma_rounds_once(self, dtype: Any, precision: int, least: int) -> None:
        rng = np.random.default_rng(1)
        with np.errstate(all="ignore"):
            a, b = (np.ldexp(rng.standard_normal(3000), rng.integers(least // 2, 20, 3000)).astype(dtype) for _ in range(2))
            c = (-(a * b) * (1 + rng.integers(-2, 3, 3000) * np.finfo(dtype).eps)).astype(dtype)
            c[::2] = (np.ldexp(a.astype(F64), rng.integers(-60, 60, 3000)).astype(dtype))[::2]
        for x, y, z, found in zip(*(one.tolist() for one in (a, b, c, reference.fma(a, b, c))), strict=True):
            if math.isfinite(z):
                exact = Fraction(x) * Fraction(y) + Fraction(z)
                assert Fraction(found) == exactly_rounded(exact, precision, least)

    @pytest.mark.parametrize("dtype", [F32, F64])
    def test_fma_of_specials(self, dtype: Any) -> None:
        most, zero, inf = np.finfo(dtype).max, dtype.type(0), dtype.type(math.inf)
        for a, b, c, expected in [
            (most, most, -inf, -inf),
            (most, most, zero, inf),
            (-most, most, zero, -inf),
            (inf, zero, most, math.nan),
            (zero, -most, -zero, -0.0),
            (zero, most, -zero, 0.0),
            (most, -most, inf, inf),
            (dtype.type(3), dtype.type(-2), dtype.type(6), 0.0),
            (np.finfo(dtype).tiny, -np.finfo(dtype).tiny, zero, -0.0),
        ]:
            with np.errstate(all="ignore"):
                found = reference.fma(np.array([a]), b, np.array([c]))
            assert_same_bits(found, np.array([expected], dtype), f"fma({a}, {b}, {c})")

    @pytest.mark.parametrize(("dtype", "precision", "least", "limit"), [(BF16, 8, -133, 2.0**128), (F16, 11, -24, 65536.0)])
    @pytest.mark.parametrize("source", [F32, F64])
    def test_stored_to_nearest(self, source: Any, dtype: Any, precision: int, least: int, limit: float) -> None:
        rng = np.random.default_rng(2)
        x = np.ldexp(rng.standard_normal(2000), rng.integers(least - 3, 17, 2000))
        ties = np.round(np.ldexp(rng.standard_normal(2000), 2 + precision)) * np.ldexp(1.0, rng.integers(least - 1, 8, 2000))
        x = np.concatenate([x, ties, np.nextafter(ties, 0), np.nextafter(ties, np.inf), [limit, limit * (1 - 2.0**-20)]])
        with np.errstate(all="ignore"):
            x = x.astype(source)
            stored = reference.to_nearest(x, dtype)
        for exact, found in zip(x[np.isfinite(x)].tolist(), stored[np.isfinite(x)].astype(F64).tolist(), strict=True):
            expected = exactly_rounded(Fraction(exact), precision, least)
            assert found == (float(expected) if abs(expected) < limit else math.copysign(math.inf, exact)), exact

    @pytest.mark.parametrize(("dtype", "bits_used"), [(BF16, 16), (F16, 13)])
    def test_stochastic_rounding_is_fair(self, dtype: Any, bits_used: int) -> None:
        """Of all random bits there are, the mean is the number."""
        shift = 32 - bits_used
        for x in (0.1, -1.2345678, 1.9999999, 3.1e-5, -6.1e-5, 6.0975552e-05, 1e-6, 60000.123):
            x = float(F32.type(x))
            if dtype == F16 and abs(x) < 2.0**-14:
                x = math.trunc(x * 2.0**37) / 2.0**37
            rounded = np.array([reference.stochastic(x, dtype, r << shift) for r in range(2**bits_used)], np.uint16).view(dtype)
            assert np.mean(rounded.astype(F64)) == x
            assert 1 <= len(set(rounded.tolist())) <= 2

    def test_random_bits_are_random(self) -> None:
        """Half of the bits differ when one thing does."""
        base = (5, 7, 1, 11)
        for changed in range(4):
            flips = 0
            for k in range(200):
                one = (*base[:3], k * 1000 + 11)
                other = (*one[:changed], one[changed] + 1, *one[changed + 1 :])
                flips += (reference.random_bits(*one) ^ reference.random_bits(*other)).bit_count()
            assert abs(flips - 3200) < 6 * math.sqrt(6400) / 2

    def test_split_holds_every_float32(self) -> None:
        x = np.concatenate([specials(F32), values(F32, 1000, 3), np.array([0x3F808000, 0x3F818000], np.uint32).view(F32)])
        param, remainder = reference.split(x)
        assert_same_bits(reference.joined(param, remainder), x, "split and joined")
        finite = np.isfinite(x) & (np.abs(x) < 1e38)
        nearest = reference.to_nearest(x, BF16)
        x, param, nearest = x[finite], param[finite].astype(F32), nearest[finite].astype(F32)
        assert np.all(np.abs(param - x) == np.abs(nearest - x))

    def test_power(self) -> None:
        for beta, n in itertools.product((0.0, 0.5, 0.9, 0.999, 1 - 2.0**-53), (1, 2, 100, 101, 1000)):
            exact = 1 - Fraction(beta) ** n
            assert reference.one_minus_power(beta, n) == exact.numerator / exact.denominator
