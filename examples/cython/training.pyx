# cython: language_level=3, boundscheck=False
"""Training loops without Python, learning rates from a schedule, steps from lrkern: of one array, and of a list of tensors."""

from libc.math cimport exp
from libc.stdint cimport int64_t
from libc.string cimport memset

from lrkern cimport (
    LRK_F32,
    LRK_GRAD,
    LRK_OK,
    LRK_PARAM,
    LRK_STATE,
    CompiledPlan,
    lrk_plan,
    lrk_plan_at,
    lrk_plan_value,
    lrk_rule,
    lrk_rule_find,
    lrk_rule_input,
    lrk_schedule_free_sgd_options,
    lrk_sgd_options,
    lrk_step_defaults,
    lrk_step_list,
    lrk_step_list_free,
    lrk_step_list_init,
    lrk_step_list_finalize,
    lrk_step_options,
    lrk_step_run,
    lrk_step_schedule_free_sgd_f64,
    lrk_step_sgd_f64,
    lrk_step_tensor,
    plan_of,
)

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


def fit_line(double slope, int64_t steps, double lr=0.5):
    """The average after so many schedule-free steps of one number down (p - slope)^2 / 2: a rule that keeps two numbers."""
    cdef double param = 0, grad, base, average, lr_max = 0, weight_sum = 0
    cdef lrk_schedule_free_sgd_options options
    cdef int64_t t
    memset(&options, 0, sizeof(options))
    options.lr, options.beta, options.lr_power = lr, 0.9, 2
    with nogil:
        for t in range(steps):
            grad = param - slope
            lrk_step_schedule_free_sgd_f64(1, &param, &grad, &base, &average, &lr_max, &weight_sum, t, &options)
    return average


def learning_rates(schedule, int64_t steps):
    """The same values, looked up by the inline function: faster where the compiler may use fused multiply-adds (-mfma)."""
    cdef CompiledPlan held = plan_of(schedule, steps)
    cdef double[::1] out = np.empty(steps)
    cdef int64_t t
    with nogil:
        for t in range(steps):
            out[t] = lrk_plan_at(&held.plan, t)
    return np.asarray(out)


cdef bint run(lrk_step_list *tensors, const lrk_plan *plan, int64_t steps) noexcept nogil:
    """Steps all tensors at once, gradients clipped to a norm of 1 over them all. False where memory is short."""
    cdef lrk_step_options options = lrk_step_defaults()
    cdef lrk_step_tensor *tensor
    cdef const float *param
    cdef float *grad
    cdef int64_t t, i, k
    options.clip_norm = 1
    for t in range(steps):
        for i in range(tensors.count):
            tensor = &tensors.tensors[i]
            param, grad = <const float *>tensor.data[LRK_PARAM], <float *>tensor.data[LRK_GRAD]
            for k in range(tensor.size):
                grad[k] = (k + 1) * param[k]
        tensors.groups[0].inputs[0] = lrk_plan_value(plan, t)  # lr is the first input of every rule
        if lrk_step_run(tensors, &options).isa == NULL:
            return False
    return True


def descend(schedule, list params, int64_t steps, double momentum=0.9):
    """So many steps of float32 arrays down sum_k (k + 1) p_k^2 / 2, the sum over the elements of all of them."""
    cdef CompiledPlan held = plan_of(schedule, steps)
    cdef lrk_rule rule = lrk_rule_find("sgd_momentum")
    cdef lrk_step_list tensors
    cdef lrk_step_tensor *tensor
    cdef list kept = [(np.zeros_like(param), np.zeros_like(param)) for param in params]  # the list holds their addresses
    cdef float[::1] param, buffer, grad
    cdef int64_t i, other
    cdef bint done
    if lrk_step_list_init(&tensors, len(params), 1) != LRK_OK:
        raise MemoryError
    try:
        tensors.groups[0].rule = rule
        tensors.groups[0].inputs[lrk_rule_input(rule, "momentum")] = momentum
        for i in range(tensors.count):
            tensor, param, (buffer, _) = &tensors.tensors[i], params[i], kept[i]
            tensor.size = param.shape[0]
            tensor.data[LRK_PARAM], tensor.type[LRK_PARAM] = &param[0], LRK_F32
            tensor.data[LRK_STATE], tensor.type[LRK_STATE] = &buffer[0], LRK_F32
        if lrk_step_list_finalize(&tensors, &other) >= 0:
            raise ValueError("descend: params must not share memory")
        for i in range(tensors.count):
            tensor, (_, grad) = &tensors.tensors[i], kept[i]
            tensor.data[LRK_GRAD], tensor.type[LRK_GRAD] = &grad[0], LRK_F32
        with nogil:
            done = run(&tensors, &held.plan, steps)
        if not done:
            raise MemoryError
    finally:
        lrk_step_list_free(&tensors)
