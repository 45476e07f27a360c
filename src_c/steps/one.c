/* A step of one array: a list of one tensor, on the stack. */
#include <stdlib.h>
#include <string.h>

#include "steps/steps.h"

static lrk_status run_one(lrk_rule rule, const void *inputs, size_t inputs_size, lrk_step_tensor tensor, const void *grad,
                          int64_t updates)
{
    lrk_step_group group = {.rule = rule};
    int64_t starts[2], blocks[2], other;
    lrk_step_clip clips[1];
    lrk_step_span written[LRK_MAX_WRITTEN];
    lrk_step_list list = {
        .tensors = &tensor,
        .updates = &updates,
        .count = 1,
        .groups = &group,
        .n_groups = 1,
        .starts = starts,
        .blocks = blocks,
        .clips = clips,
        .written = written,
    };
    memcpy(group.inputs, inputs, inputs_size);
    if (lrk_step_list_finalize(&list, &other) >= 0 ||
        lrk_step_list_find_overlap(&list, grad, lrk_step_bytes(&tensor, LRK_GRAD)) >= 0)
        return LRK_ERROR_OVERLAP;
    tensor.data[LRK_GRAD] = (void *)(uintptr_t)grad; /* only read: zero_grad is off */
    const lrk_step_options plain = lrk_step_defaults();
    const lrk_step_result result = lrk_step_run(&list, &plain);
    free(list.sums);
    return result.isa == NULL ? LRK_ERROR_MEMORY : LRK_OK;
}

#define TENSOR(storage, s0, s1, s2) \
    (lrk_step_tensor) \
    { \
        .data = {[LRK_PARAM] = param, [LRK_STATE] = (s0), [LRK_STATE + 1] = (s1), [LRK_STATE + 2] = (s2)}, .size = n, \
        .type = {[LRK_PARAM] = (storage), \
                 [LRK_GRAD] = (storage), \
                 [LRK_STATE] = (storage), \
                 [LRK_STATE + 1] = (storage), \
                 [LRK_STATE + 2] = (storage)}, \
    }

#define DEFINE_STEPS(T, type, storage) \
    lrk_status lrk_step_sgd_##type(int64_t n, T *param, const T *grad, T *momentum_buffer, int64_t updates, \
                                   const lrk_sgd_options *options) \
    { \
        const lrk_rule rule = momentum_buffer != NULL ? LRK_RULE_sgd_momentum : LRK_RULE_sgd; \
        return run_one(rule, options, sizeof *options, TENSOR(storage, momentum_buffer, NULL, NULL), grad, updates); \
    } \
\
    lrk_status lrk_step_adam_##type(int64_t n, T *param, const T *grad, T *exp_avg, T *exp_avg_sq, T *max_exp_avg_sq, \
                                    int64_t updates, const lrk_adam_options *options) \
    { \
        const lrk_rule rule = max_exp_avg_sq != NULL ? LRK_RULE_amsgrad : LRK_RULE_adam; \
        const lrk_step_tensor tensor = TENSOR(storage, exp_avg, exp_avg_sq, max_exp_avg_sq); \
        return run_one(rule, options, sizeof *options, tensor, grad, updates); \
    } \
\
    lrk_status lrk_step_lion_##type(int64_t n, T *param, const T *grad, T *exp_avg, int64_t updates, \
                                    const lrk_lion_options *options) \
    { \
        return run_one(LRK_RULE_lion, options, sizeof *options, TENSOR(storage, exp_avg, NULL, NULL), grad, updates); \
    } \
\
    lrk_status lrk_step_rmsprop_##type(int64_t n, T *param, const T *grad, T *square_avg, T *grad_avg, T *momentum_buffer, \
                                       int64_t updates, const lrk_rmsprop_options *options) \
    { \
        lrk_rmsprop_options own = *options; \
        own.centered = grad_avg != NULL; \
        own.with_momentum = momentum_buffer != NULL; \
        const lrk_step_tensor tensor = TENSOR(storage, square_avg, grad_avg, momentum_buffer); \
        return run_one(LRK_RULE_rmsprop, &own, sizeof own, tensor, grad, updates); \
    } \
\
    lrk_status lrk_step_adagrad_##type(int64_t n, T *param, const T *grad, T *sum, int64_t updates, \
                                       const lrk_adagrad_options *options) \
    { \
        return run_one(LRK_RULE_adagrad, options, sizeof *options, TENSOR(storage, sum, NULL, NULL), grad, updates); \
    } \
\
    lrk_status lrk_step_lars_##type(int64_t n, T *param, const T *grad, T *momentum_buffer, int64_t updates, \
                                    const lrk_lars_options *options) \
    { \
        return run_one(LRK_RULE_lars, options, sizeof *options, TENSOR(storage, momentum_buffer, NULL, NULL), grad, updates); \
    } \
\
    lrk_status lrk_step_lamb_##type(int64_t n, T *param, const T *grad, T *exp_avg, T *exp_avg_sq, int64_t updates, \
                                    const lrk_lamb_options *options) \
    { \
        return run_one(LRK_RULE_lamb, options, sizeof *options, TENSOR(storage, exp_avg, exp_avg_sq, NULL), grad, updates); \
    }

DEFINE_STEPS(float, f32, LRK_F32)
DEFINE_STEPS(double, f64, LRK_F64)
