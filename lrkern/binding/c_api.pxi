# The C functions that other Cython modules get as capsules, under their own names. See _core.pxd.

cdef extern from "lrkern_steps.h" nogil:
    int c_abi_version "lrk_abi_version"(...)
    const char *c_status_text "lrk_status_text"(...)
    lrk_status c_fill "lrk_fill"(...)
    double c_plan_value "lrk_plan_value"(...)
    lrk_status c_lookup "lrk_lookup"(...)
    lrk_status c_step_sgd_f32 "lrk_step_sgd_f32"(...)
    lrk_status c_step_sgd_f64 "lrk_step_sgd_f64"(...)
    lrk_status c_step_adam_f32 "lrk_step_adam_f32"(...)
    lrk_status c_step_adam_f64 "lrk_step_adam_f64"(...)
    lrk_status c_step_lion_f32 "lrk_step_lion_f32"(...)
    lrk_status c_step_lion_f64 "lrk_step_lion_f64"(...)
    lrk_status c_step_rmsprop_f32 "lrk_step_rmsprop_f32"(...)
    lrk_status c_step_rmsprop_f64 "lrk_step_rmsprop_f64"(...)
    lrk_status c_step_adagrad_f32 "lrk_step_adagrad_f32"(...)
    lrk_status c_step_adagrad_f64 "lrk_step_adagrad_f64"(...)
    lrk_status c_step_lars_f32 "lrk_step_lars_f32"(...)
    lrk_status c_step_lars_f64 "lrk_step_lars_f64"(...)
    lrk_status c_step_lamb_f32 "lrk_step_lamb_f32"(...)
    lrk_status c_step_lamb_f64 "lrk_step_lamb_f64"(...)
    lrk_rule c_rule_find "lrk_rule_find"(...)
    int c_rule_input "lrk_rule_input"(...)
    lrk_step_options c_step_defaults "lrk_step_defaults"(...)
    lrk_status c_step_list_init "lrk_step_list_init"(...)
    void c_step_list_free "lrk_step_list_free"(...)
    int64_t c_step_list_seal "lrk_step_list_finalize"(...)
    int64_t c_step_list_hit "lrk_step_list_find_overlap"(...)
    void c_step_list_weigh "lrk_step_list_balance"(...)
    void c_step_copy "lrk_step_copy"(...)
    lrk_step_result c_step_run "lrk_step_run"(...)
    int64_t c_step_nonfinite "lrk_step_nonfinite"(...)


cdef int lrk_abi_version() noexcept nogil:
    return c_abi_version()


cdef const char *lrk_status_text(lrk_status status) noexcept nogil:
    return c_status_text(status)


cdef lrk_status lrk_fill(
    const lrk_expr *e, const lrk_plan *plan, int64_t start, int64_t n, void *out, lrk_dtype dtype, int64_t *overflow_at
) noexcept nogil:
    return c_fill(e, plan, start, n, out, dtype, overflow_at)


cdef double lrk_plan_value(const lrk_plan *plan, int64_t t) noexcept nogil:
    return c_plan_value(plan, t)


cdef lrk_status lrk_lookup(
    const lrk_expr *e, const lrk_plan *plan, const int64_t *steps, int64_t n, double *out, int64_t *overflow_at
) noexcept nogil:
    return c_lookup(e, plan, steps, n, out, overflow_at)


cdef lrk_status lrk_step_sgd_f32(
    int64_t n, float *param, const float *grad, float *momentum_buffer, int64_t updates, const lrk_sgd_options *options
) noexcept nogil:
    return c_step_sgd_f32(n, param, grad, momentum_buffer, updates, options)


cdef lrk_status lrk_step_sgd_f64(
    int64_t n, double *param, const double *grad, double *momentum_buffer, int64_t updates, const lrk_sgd_options *options
) noexcept nogil:
    return c_step_sgd_f64(n, param, grad, momentum_buffer, updates, options)


cdef lrk_status lrk_step_adam_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, float *max_exp_avg_sq,
    int64_t updates, const lrk_adam_options *options
) noexcept nogil:
    return c_step_adam_f32(n, param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq, updates, options)


cdef lrk_status lrk_step_adam_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, double *max_exp_avg_sq,
    int64_t updates, const lrk_adam_options *options
) noexcept nogil:
    return c_step_adam_f64(n, param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq, updates, options)


cdef lrk_status lrk_step_lion_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates, const lrk_lion_options *options
) noexcept nogil:
    return c_step_lion_f32(n, param, grad, exp_avg, updates, options)


cdef lrk_status lrk_step_lion_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates, const lrk_lion_options *options
) noexcept nogil:
    return c_step_lion_f64(n, param, grad, exp_avg, updates, options)


cdef lrk_status lrk_step_rmsprop_f32(
    int64_t n, float *param, const float *grad, float *square_avg, float *grad_avg, float *momentum_buffer,
    int64_t updates, const lrk_rmsprop_options *options
) noexcept nogil:
    return c_step_rmsprop_f32(n, param, grad, square_avg, grad_avg, momentum_buffer, updates, options)


cdef lrk_status lrk_step_rmsprop_f64(
    int64_t n, double *param, const double *grad, double *square_avg, double *grad_avg, double *momentum_buffer,
    int64_t updates, const lrk_rmsprop_options *options
) noexcept nogil:
    return c_step_rmsprop_f64(n, param, grad, square_avg, grad_avg, momentum_buffer, updates, options)


cdef lrk_status lrk_step_adagrad_f32(
    int64_t n, float *param, const float *grad, float *sum, int64_t updates, const lrk_adagrad_options *options
) noexcept nogil:
    return c_step_adagrad_f32(n, param, grad, sum, updates, options)


cdef lrk_status lrk_step_adagrad_f64(
    int64_t n, double *param, const double *grad, double *sum, int64_t updates, const lrk_adagrad_options *options
) noexcept nogil:
    return c_step_adagrad_f64(n, param, grad, sum, updates, options)


cdef lrk_status lrk_step_lars_f32(
    int64_t n, float *param, const float *grad, float *momentum_buffer, int64_t updates, const lrk_lars_options *options
) noexcept nogil:
    return c_step_lars_f32(n, param, grad, momentum_buffer, updates, options)


cdef lrk_status lrk_step_lars_f64(
    int64_t n, double *param, const double *grad, double *momentum_buffer, int64_t updates, const lrk_lars_options *options
) noexcept nogil:
    return c_step_lars_f64(n, param, grad, momentum_buffer, updates, options)


cdef lrk_status lrk_step_lamb_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
    int64_t updates, const lrk_lamb_options *options
) noexcept nogil:
    return c_step_lamb_f32(n, param, grad, exp_avg, exp_avg_sq, updates, options)


cdef lrk_status lrk_step_lamb_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
    int64_t updates, const lrk_lamb_options *options
) noexcept nogil:
    return c_step_lamb_f64(n, param, grad, exp_avg, exp_avg_sq, updates, options)


cdef lrk_rule lrk_rule_find(const char *name) noexcept nogil:
    return c_rule_find(name)


cdef int lrk_rule_input(lrk_rule rule, const char *name) noexcept nogil:
    return c_rule_input(rule, name)


cdef lrk_step_options lrk_step_defaults() noexcept nogil:
    return c_step_defaults()


cdef lrk_status lrk_step_list_init(lrk_step_list *list, int64_t count, int64_t n_groups) noexcept nogil:
    return c_step_list_init(list, count, n_groups)


cdef void lrk_step_list_free(lrk_step_list *list) noexcept nogil:
    c_step_list_free(list)


cdef int64_t lrk_step_list_finalize(lrk_step_list *list, int64_t *other) noexcept nogil:
    return c_step_list_seal(list, other)


cdef int64_t lrk_step_list_find_overlap(const lrk_step_list *list, const void *address, int64_t bytes) noexcept nogil:
    return c_step_list_hit(list, address, bytes)


cdef void lrk_step_list_balance(lrk_step_list *list) noexcept nogil:
    c_step_list_weigh(list)


cdef void lrk_step_copy(lrk_step_list *list) noexcept nogil:
    c_step_copy(list)


cdef lrk_step_result lrk_step_run(lrk_step_list *list, const lrk_step_options *options) noexcept nogil:
    return c_step_run(list, options)


cdef int64_t lrk_step_nonfinite(const lrk_step_list *list, int64_t tensor, double *value) noexcept nogil:
    return c_step_nonfinite(list, tensor, value)
