"""Sums of gradients: their bits, structures, errors."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import reference_steps as reference
from isas import running
from reference_steps import BF16, F16, F32, F64
from step_arrays import assert_same_bits, specials, values

import lrkern as lk

BACKENDS = pytest.mark.parametrize("backend", ["c", "numba"])
DTYPES = (F64, F32, BF16, F16)
SIZES = (0, 1, 7, 16, 131, 1025)


def mixture(pairs: list[tuple[Any, Any]]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Every size of these pairs of dtypes, with the limits of the formats."""
    into, grads = [], []
    for k, (a, b) in enumerate(pairs):
        for n in SIZES:
            into.append(values(a, n, 100 * k + n))
            grads.append(values(b, n, 1000 + 100 * k + n))
        edges = specials(a), specials(b)
        into.append(np.repeat(edges[0], edges[1].size))
        grads.append(np.tile(edges[1], edges[0].size))
    return into, grads


PAIRS = list(itertools.product(DTYPES, DTYPES))
# Numba compiles every pair: some of them, among which each dtype is on either side, are enough to try at first.
SOME = [(a, DTYPES[k - 1]) for k, a in enumerate(DTYPES)]
OTHERS = [pair for pair in PAIRS if pair not in SOME]
MIXTURES = [
    pytest.param("c", PAIRS, id="c"),
    pytest.param("numba", SOME, id="numba"),
    pytest.param("numba", OTHERS, id="numba-others", marks=pytest.mark.exhaustive),
]


@pytest.mark.parametrize(("backend", "pairs"), MIXTURES)
@pytest.mark.parametrize("scale", [1.0, -0.25, 0.1, 3e-30, 2e30, 0.0])
def test_every_mixture(scale: float, backend: str, pairs: list[tuple[Any, Any]]) -> None:
    into, grads = mixture(pairs)
    expected = [one.copy() for one in into]
    for one, grad in zip(expected, grads, strict=True):
        reference.accumulate(one, grad.copy(), scale)
    for isa in lk.isas() if backend == "c" else ["scalar"]:
        found, given = [one.copy() for one in into], [one.copy() for one in grads]
        with running(isa, 2):
            lk.accumulate(found, given, scale, backend=backend)
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same_bits(one, other, f"{isa}, {scale}: {into[i].dtype} + {grads[i].dtype}")
        assert [one.tobytes() for one in given] == [one.tobytes() for one in grads]
    assert scale == 0 or any((one != start).any() for one, start in zip(found, into, strict=True))


@BACKENDS
@pytest.mark.parametrize("threads", [1, 2])
def test_large_arrays_and_rows(threads: int, backend: str) -> None:
    into = [values(F32, 300_000, 1), values(BF16, 70_000, 2).reshape(70, 1000), values(F64, 60, 3).reshape(20, 3)]
    rows = np.array([19, 3, 19, 0]), values(F32, 12, 4).reshape(4, 3)
    grads: list[Any] = [values(BF16, 300_000, 5), values(F32, 70_000, 6).reshape(70, 1000), rows]
    expected = [one.copy() for one in into]
    for one, grad in zip(expected, grads, strict=True):
        reference.accumulate(one.reshape(one.shape), grad, 0.3)
    with running(lk.isas()[0], threads):
        lk.accumulate(into, grads, 0.3, backend=backend)
    for one, other in zip(into, expected, strict=True):
        assert_same_bits(one, other)


@BACKENDS
def test_structures(backend: str) -> None:
    """One array, lists, dicts, those of groups; None anywhere; any order of axes; bits of bfloat16."""
    one = np.ones(2)
    lk.accumulate(one, np.array([1.0, 2.0]), 0.5, backend=backend)
    assert one.tolist() == [1.5, 2.0]
    lk.accumulate(one, (np.array([1]), np.array([4.0])), backend=backend)
    assert one.tolist() == [1.5, 6.0]
    nested = [[np.zeros(1)], {"w": np.zeros(()), "b": np.zeros(1)}, [np.ones(1)]]
    lk.accumulate(nested, [(np.ones(1),), {"b": None, "w": np.array(2.0)}, None], 2, backend=backend)
    assert [nested[0][0].tolist(), nested[1]["w"].tolist(), nested[1]["b"].tolist()] == [[2.0], 4.0, [0.0]]
    fortran = np.asfortranarray(np.zeros((2, 3)))
    lk.accumulate([fortran], [np.asfortranarray(np.arange(6.0).reshape(2, 3))], backend=backend)
    assert fortran.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    halves = np.array([0x3F80], np.uint16)
    lk.accumulate([halves], [halves.copy()], np.float32(1), uint16_as_bfloat16=True, backend=backend)
    assert halves.tolist() == [0x4000]
    lk.accumulate([], [], backend=backend)
    lk.accumulate({"w": one}, {"w": None}, backend=backend)
    lk.accumulate(one, None, backend=backend)
    assert one.tolist() == [1.5, 6.0]


def test_a_mean_of_gradients_is_one_of_float32() -> None:
    """What float32 sums of bfloat16 gradients are for: nothing is lost."""
    grads = [values(BF16, 1000, k) for k in range(8)]
    total, narrow = np.zeros(1000, F32), np.zeros(1000, BF16)
    for grad in grads:
        lk.accumulate([total], [grad], 1 / 8)
        lk.accumulate([narrow], [grad], 1 / 8)
    exact = np.array([math.fsum(float(grad[i]) / 8 for grad in grads) for i in range(1000)])
    assert np.all(np.abs(total - exact) <= 2.0**-18)
    assert np.max(np.abs(narrow.astype(F64) - exact)) > 2.0**-10


SHARED = np.zeros(4)
FROZEN = np.zeros(2)
FROZEN.flags.writeable = False


@BACKENDS
@pytest.mark.parametrize(
    ("into", "grad", "more", "error", "message"),
    [
        ([np.zeros(2)], [np.zeros(3)], {}, ValueError, r"grad\[0\] must be .* of shape \(2,\) .*like into\[0\]"),
        ({"w": np.zeros(2)}, {"w": [1.0, 2.0]}, {}, TypeError, r"grad\['w'\] must be"),
        ({"w": np.zeros(2)}, {"v": np.zeros(2)}, {}, ValueError, "grad must have the keys of into; got no 'w' and also 'v'"),
        ([[np.zeros(2)]], [[]], {}, ValueError, r"grad\[0\] must have 1 entries like into\[0\]; got 0"),
        ([np.zeros(2)], np.zeros(2), {}, TypeError, "grad must be a list of 1 like into; got"),
        (np.zeros(2, "i4"), np.zeros(2), {}, TypeError, "into must be float64"),
        (FROZEN, np.zeros(2), {}, ValueError, "into must be writable"),
        ([SHARED[:3], SHARED[2:]], [np.ones(3), np.ones(2)], {}, ValueError, r"into\[0\] and into\[1\] must not share memory"),
        (SHARED[:2], SHARED[1:3], {}, ValueError, "into and grad must not share memory"),
        (3.0, 1.0, {}, TypeError, "into must be a dict or list of arrays; got 3.0"),
        (None, None, {}, TypeError, "into must be a dict or list of arrays; got None"),
        ([np.zeros(2)], [np.ones(2)], {"scale": math.nan}, ValueError, "scale must be a finite number"),
        ([np.zeros(2)], [np.ones(2)], {"scale": "1"}, TypeError, "scale must be a finite number"),
        ([np.zeros(2)], [np.ones(2)], {"scale": 1e39}, ValueError, "scale must be a finite number"),
        ([np.zeros(2)], [np.ones(2)], {"uint16_as_bfloat16": 1}, TypeError, "uint16_as_bfloat16 must be True or False"),
        ([np.zeros((3, 2))], [(np.array([3]), np.ones((1, 2)))], {}, ValueError, r"grad\[0\]\[0\] must be .* rows in 0..2"),
    ],
)
def test_errors(into: Any, grad: Any, more: dict[str, Any], error: type[Exception], message: str, backend: str) -> None:
    with pytest.raises(error, match=f"^accumulate: {message}"):
        lk.accumulate(into, grad, **more, backend=backend)
    assert not SHARED.any()
    assert not FROZEN.any()


def test_no_such_backend() -> None:
    with pytest.raises(ValueError, match=r"^accumulate: backend must be 'c', 'numba' or 'cuda'; got 'gpu'"):
        lk.accumulate([np.ones(1)], [np.ones(1)], backend="gpu")
