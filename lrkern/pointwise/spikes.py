"""Norms that are far above those before them: one text for Numba and CUDA, the twin of `is_spike` in src_c/steps/run.c."""

from __future__ import annotations

from lrkern.pointwise.primitives import fma, pointwise, product, sqrt


@pointwise
def is_spike(recent, count, norm, sigma):
    """Whether a norm is more than `sigma` standard deviations above the mean of the last ones, if there are enough.

    Norm number k of `count` is at recent[k % recent.size]. Sums begin at the oldest.
    """
    window = recent.shape[0]
    if count < window:
        return False
    sum_so_far, squares = 0.0, 0.0
    for k in range(window):
        sum_so_far = sum_so_far + recent[(count + k) % window]
    mean = sum_so_far / window
    for k in range(window):
        off = recent[(count + k) % window] - mean
        squares = squares + product(off, off)
    return norm > fma(sigma, sqrt(squares / window), mean)
