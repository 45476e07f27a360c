# cython: language_level=3, boundscheck=False
"""A training loop without Python: logistic regression, its learning rate from a schedule, its step from lrkern."""

from libc.math cimport exp
from libc.stdint cimport int64_t
from libc.string cimport memset

from lrkern cimport LRK_OK, CompiledPlan, lrk_plan_at, lrk_plan_value, lrk_sgd_options, lrk_step_sgd_f64, plan_of

import numpy as np


def fit(schedule, const double[:, ::1] x, const double[::1] y, int64_t steps, double momentum=0.9):
    """Weights after so many steps down the mean logistic loss; y holds 0s and 1s."""
    cdef CompiledPlan held = plan_of(schedule, steps)  # keeps the plan alive
    cdef double[::1] weights = np.zeros(x.shape[1]), grad = np.zeros(x.shape[1]), buffer = np.zeros(x.shape[1])
    cdef lrk_sgd_options options
    cdef int64_t t, i, k, n = x.shape[0], m = x.shape[1]
    cdef double score, error
    memset(&options, 0, sizeof(options))
    options.momentum = momentum
    with nogil:
        for t in range(steps):
            grad[:] = 0
            for i in range(n):
                score = 0
                for k in range(m):
                    score += x[i, k] * weights[k]
                error = (1 / (1 + exp(-score)) - y[i]) / n
                for k in range(m):
                    grad[k] += error * x[i, k]
            options.lr = lrk_plan_value(&held.plan, t)
            if lrk_step_sgd_f64(m, &weights[0], &grad[0], &buffer[0], t, &options) != LRK_OK:
                break  # never: these arrays do not overlap
    return np.asarray(weights)


def learning_rates(schedule, int64_t steps):
    """The same values, looked up by the inline function: faster where the compiler may use fused multiply-adds (-mfma)."""
    cdef CompiledPlan held = plan_of(schedule, steps)
    cdef double[::1] out = np.empty(steps)
    cdef int64_t t
    with nogil:
        for t in range(steps):
            out[t] = lrk_plan_at(&held.plan, t)
    return np.asarray(out)
