"""Powers of coefficients that each thread remembers: the bits do not depend on the powers before them."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

import lrkern as lk

pytest.importorskip("numba")

BETAS = (0.0, 0.5, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999, 1 - 2.0**-53)  # one more than a thread remembers
COUNTS = (0, 0, 1, 2, 62, 63, 4, 10**6, 10**6 + 1, 10**6, 7, 2**39 - 1, 2**40 - 2, 2**40 - 1, 2**40, 3, 2**45 + 5)


def moved(beta1: float, beta2: float, count: int, backend: str) -> bytes:
    """A parameter after one update of that number."""
    param, grad = np.ones(3), np.array([1.0, -3.0, 0.1])
    first, second = np.array([0.5, 0.25, 0.125]), np.array([2.0, 3.0, 5.0])
    lk.adamw_step(param, grad, first, second, count=count, beta1=beta1, beta2=beta2, backend=backend)
    return param.tobytes()


def test_order_does_not_matter() -> None:
    cases = [(beta1, beta2, count) for count in COUNTS for beta1, beta2 in itertools.pairwise((*BETAS, BETAS[0]))]
    shuffled = [cases[i] for i in np.random.default_rng(1).permutation(len(cases))]
    for case in [*cases, *shuffled]:
        assert moved(*case, "c") == moved(*case, "numba"), case


def test_threads_have_their_own() -> None:
    found: list[bytes] = []
    case = (0.9, 0.999, 1000)

    def run() -> None:
        found.append(moved(*case, "c"))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    run()
    assert found == [moved(*case, "numba")] * 2
