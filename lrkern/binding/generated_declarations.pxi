# Written by tools/rule_sources.py from the formulas in lrkern/optimizers: change those, then run `make rules`.

cdef extern from "lrkern_optimizers.h" nogil:
    ctypedef struct lrk_adadelta_options:
        double lr, weight_decay, decoupled, maximize, rho, eps
    ctypedef struct lrk_adam_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, eps_inside, eps_hat, decay_after, cautious_decay
        double of_corrected, grokfast_alpha, grokfast_lamb
    ctypedef struct lrk_adabelief_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, cautious_decay
    ctypedef struct lrk_adamax_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, cautious_decay
    ctypedef struct lrk_radam_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, cautious_decay
    ctypedef struct lrk_laprop_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, cautious_decay
    ctypedef struct lrk_adopt_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, cautious_decay
    ctypedef struct lrk_asgd_options:
        double lr, weight_decay, decoupled, maximize, lambd, alpha, t0
    ctypedef struct lrk_lars_options:
        double lr, weight_decay, decoupled, maximize, momentum, nesterov, trust, eps, joint, lr_inside, trust_clip, unadapted
    ctypedef struct lrk_lamb_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, pull, bias_correction, unadapted
    ctypedef struct lrk_mars_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, gamma, cautious_decay
    ctypedef struct lrk_sgd_options:
        double lr, weight_decay, decoupled, maximize, momentum, dampening, nesterov, lr_inside, zero_start, cautious_decay
        double grokfast_alpha, grokfast_lamb
    ctypedef struct lrk_lion_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, cautious_decay
    ctypedef struct lrk_ademamix_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, beta3, alpha, eps, cautious_decay
    ctypedef struct lrk_adan_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, beta3, eps, proximal, cautious_decay
    ctypedef struct lrk_nadam_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, momentum_decay, cautious_decay
    ctypedef struct lrk_novograd_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, grad_averaging, cautious_decay
    ctypedef struct lrk_schedule_free_sgd_options:
        double lr, weight_decay, decoupled, maximize, beta, r, lr_power
    ctypedef struct lrk_schedule_free_adamw_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, r, lr_power
    ctypedef struct lrk_schedule_free_radam_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, r, lr_power, silent
    ctypedef struct lrk_signum_options:
        double lr, weight_decay, decoupled, maximize, beta, nesterov, cautious_decay
    ctypedef struct lrk_rprop_options:
        double lr, weight_decay, decoupled, maximize, eta_minus, eta_plus, step_min, step_max
    ctypedef struct lrk_rmsprop_options:
        double lr, weight_decay, decoupled, maximize, alpha, eps, momentum, with_momentum, centered, eps_inside, lr_inside
    ctypedef struct lrk_adagrad_options:
        double lr, weight_decay, decoupled, maximize, eps, lr_decay, eps_inside
    ctypedef struct lrk_stable_adamw_options:
        double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, cautious_decay

cdef lrk_status lrk_step_adadelta_f32(
    int64_t n, float *param, const float *grad, float *square_avg, float *acc_delta, int64_t updates,
    const lrk_adadelta_options *options
) noexcept nogil
cdef lrk_status lrk_step_adadelta_f64(
    int64_t n, double *param, const double *grad, double *square_avg, double *acc_delta, int64_t updates,
    const lrk_adadelta_options *options
) noexcept nogil
cdef lrk_status lrk_step_adadelta_cautious_decay_f32(
    int64_t n, float *param, const float *grad, float *square_avg, float *acc_delta, int64_t updates,
    const lrk_adadelta_options *options
) noexcept nogil
cdef lrk_status lrk_step_adadelta_cautious_decay_f64(
    int64_t n, double *param, const double *grad, double *square_avg, double *acc_delta, int64_t updates,
    const lrk_adadelta_options *options
) noexcept nogil
cdef lrk_status lrk_step_adam_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, float *max_exp_avg_sq, int64_t updates,
    const lrk_adam_options *options
) noexcept nogil
cdef lrk_status lrk_step_adam_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, double *max_exp_avg_sq, int64_t updates,
    const lrk_adam_options *options
) noexcept nogil
cdef lrk_status lrk_step_adam_cautious_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, float *max_exp_avg_sq, int64_t updates,
    const lrk_adam_options *options
) noexcept nogil
cdef lrk_status lrk_step_adam_cautious_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, double *max_exp_avg_sq, int64_t updates,
    const lrk_adam_options *options
) noexcept nogil
cdef lrk_status lrk_step_adam_grokfast_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, float *max_exp_avg_sq, float *grad_ema,
    int64_t updates, const lrk_adam_options *options
) noexcept nogil
cdef lrk_status lrk_step_adam_grokfast_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, double *max_exp_avg_sq, double *grad_ema,
    int64_t updates, const lrk_adam_options *options
) noexcept nogil
cdef lrk_status lrk_step_adam_grokfast_cautious_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, float *max_exp_avg_sq, float *grad_ema,
    int64_t updates, const lrk_adam_options *options
) noexcept nogil
cdef lrk_status lrk_step_adam_grokfast_cautious_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, double *max_exp_avg_sq, double *grad_ema,
    int64_t updates, const lrk_adam_options *options
) noexcept nogil
cdef lrk_status lrk_step_adabelief_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_var, float *max_exp_avg_var, int64_t updates,
    const lrk_adabelief_options *options
) noexcept nogil
cdef lrk_status lrk_step_adabelief_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_var, double *max_exp_avg_var,
    int64_t updates, const lrk_adabelief_options *options
) noexcept nogil
cdef lrk_status lrk_step_adabelief_cautious_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_var, float *max_exp_avg_var, int64_t updates,
    const lrk_adabelief_options *options
) noexcept nogil
cdef lrk_status lrk_step_adabelief_cautious_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_var, double *max_exp_avg_var,
    int64_t updates, const lrk_adabelief_options *options
) noexcept nogil
cdef lrk_status lrk_step_adamax_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_inf, int64_t updates,
    const lrk_adamax_options *options
) noexcept nogil
cdef lrk_status lrk_step_adamax_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_inf, int64_t updates,
    const lrk_adamax_options *options
) noexcept nogil
cdef lrk_status lrk_step_adamax_cautious_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_inf, int64_t updates,
    const lrk_adamax_options *options
) noexcept nogil
cdef lrk_status lrk_step_adamax_cautious_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_inf, int64_t updates,
    const lrk_adamax_options *options
) noexcept nogil
cdef lrk_status lrk_step_radam_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, int64_t updates,
    const lrk_radam_options *options
) noexcept nogil
cdef lrk_status lrk_step_radam_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, int64_t updates,
    const lrk_radam_options *options
) noexcept nogil
cdef lrk_status lrk_step_radam_cautious_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, int64_t updates,
    const lrk_radam_options *options
) noexcept nogil
cdef lrk_status lrk_step_radam_cautious_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, int64_t updates,
    const lrk_radam_options *options
) noexcept nogil
cdef lrk_status lrk_step_laprop_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, float *max_exp_avg_sq, int64_t updates,
    const lrk_laprop_options *options
) noexcept nogil
cdef lrk_status lrk_step_laprop_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, double *max_exp_avg_sq, int64_t updates,
    const lrk_laprop_options *options
) noexcept nogil
cdef lrk_status lrk_step_laprop_cautious_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, float *max_exp_avg_sq, int64_t updates,
    const lrk_laprop_options *options
) noexcept nogil
cdef lrk_status lrk_step_laprop_cautious_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, double *max_exp_avg_sq, int64_t updates,
    const lrk_laprop_options *options
) noexcept nogil
cdef lrk_status lrk_step_adopt_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, int64_t updates,
    const lrk_adopt_options *options
) noexcept nogil
cdef lrk_status lrk_step_adopt_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, int64_t updates,
    const lrk_adopt_options *options
) noexcept nogil
cdef lrk_status lrk_step_adopt_cautious_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, int64_t updates,
    const lrk_adopt_options *options
) noexcept nogil
cdef lrk_status lrk_step_adopt_cautious_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, int64_t updates,
    const lrk_adopt_options *options
) noexcept nogil
cdef lrk_status lrk_step_asgd_f32(
    int64_t n, float *param, const float *grad, float *average, double *eta, double *mu, int64_t updates,
    const lrk_asgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_asgd_f64(
    int64_t n, double *param, const double *grad, double *average, double *eta, double *mu, int64_t updates,
    const lrk_asgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_asgd_cautious_decay_f32(
    int64_t n, float *param, const float *grad, float *average, double *eta, double *mu, int64_t updates,
    const lrk_asgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_asgd_cautious_decay_f64(
    int64_t n, double *param, const double *grad, double *average, double *eta, double *mu, int64_t updates,
    const lrk_asgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_lars_f32(
    int64_t n, float *param, const float *grad, float *momentum_buffer, int64_t updates, const lrk_lars_options *options
) noexcept nogil
cdef lrk_status lrk_step_lars_f64(
    int64_t n, double *param, const double *grad, double *momentum_buffer, int64_t updates, const lrk_lars_options *options
) noexcept nogil
cdef lrk_status lrk_step_lamb_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, int64_t updates,
    const lrk_lamb_options *options
) noexcept nogil
cdef lrk_status lrk_step_lamb_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, int64_t updates,
    const lrk_lamb_options *options
) noexcept nogil
cdef lrk_status lrk_step_mars_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, float *last_grad, float *max_exp_avg_sq,
    int64_t updates, const lrk_mars_options *options
) noexcept nogil
cdef lrk_status lrk_step_mars_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, double *last_grad,
    double *max_exp_avg_sq, int64_t updates, const lrk_mars_options *options
) noexcept nogil
cdef lrk_status lrk_step_sgd_f32(
    int64_t n, float *param, const float *grad, float *momentum_buffer, int64_t updates, const lrk_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_sgd_f64(
    int64_t n, double *param, const double *grad, double *momentum_buffer, int64_t updates, const lrk_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_sgd_momentum_cautious_f32(
    int64_t n, float *param, const float *grad, float *momentum_buffer, int64_t updates, const lrk_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_sgd_momentum_cautious_f64(
    int64_t n, double *param, const double *grad, double *momentum_buffer, int64_t updates, const lrk_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_sgd_cautious_decay_f32(
    int64_t n, float *param, const float *grad, float *momentum_buffer, int64_t updates, const lrk_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_sgd_cautious_decay_f64(
    int64_t n, double *param, const double *grad, double *momentum_buffer, int64_t updates, const lrk_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_sgd_grokfast_f32(
    int64_t n, float *param, const float *grad, float *momentum_buffer, float *grad_ema, int64_t updates,
    const lrk_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_sgd_grokfast_f64(
    int64_t n, double *param, const double *grad, double *momentum_buffer, double *grad_ema, int64_t updates,
    const lrk_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_sgd_grokfast_cautious_f32(
    int64_t n, float *param, const float *grad, float *momentum_buffer, float *grad_ema, int64_t updates,
    const lrk_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_sgd_grokfast_cautious_f64(
    int64_t n, double *param, const double *grad, double *momentum_buffer, double *grad_ema, int64_t updates,
    const lrk_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_lion_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates, const lrk_lion_options *options
) noexcept nogil
cdef lrk_status lrk_step_lion_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates, const lrk_lion_options *options
) noexcept nogil
cdef lrk_status lrk_step_lion_cautious_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates, const lrk_lion_options *options
) noexcept nogil
cdef lrk_status lrk_step_lion_cautious_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates, const lrk_lion_options *options
) noexcept nogil
cdef lrk_status lrk_step_ademamix_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_slow, float *exp_avg_sq, int64_t updates,
    const lrk_ademamix_options *options
) noexcept nogil
cdef lrk_status lrk_step_ademamix_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_slow, double *exp_avg_sq, int64_t updates,
    const lrk_ademamix_options *options
) noexcept nogil
cdef lrk_status lrk_step_ademamix_cautious_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_slow, float *exp_avg_sq, int64_t updates,
    const lrk_ademamix_options *options
) noexcept nogil
cdef lrk_status lrk_step_ademamix_cautious_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_slow, double *exp_avg_sq, int64_t updates,
    const lrk_ademamix_options *options
) noexcept nogil
cdef lrk_status lrk_step_adan_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_diff, float *exp_avg_sq, float *previous,
    int64_t updates, const lrk_adan_options *options
) noexcept nogil
cdef lrk_status lrk_step_adan_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_diff, double *exp_avg_sq, double *previous,
    int64_t updates, const lrk_adan_options *options
) noexcept nogil
cdef lrk_status lrk_step_adan_cautious_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_diff, float *exp_avg_sq, float *previous,
    int64_t updates, const lrk_adan_options *options
) noexcept nogil
cdef lrk_status lrk_step_adan_cautious_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_diff, double *exp_avg_sq, double *previous,
    int64_t updates, const lrk_adan_options *options
) noexcept nogil
cdef lrk_status lrk_step_nadam_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, double *mu_product, int64_t updates,
    const lrk_nadam_options *options
) noexcept nogil
cdef lrk_status lrk_step_nadam_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, double *mu_product, int64_t updates,
    const lrk_nadam_options *options
) noexcept nogil
cdef lrk_status lrk_step_nadam_cautious_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, double *mu_product, int64_t updates,
    const lrk_nadam_options *options
) noexcept nogil
cdef lrk_status lrk_step_nadam_cautious_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, double *mu_product, int64_t updates,
    const lrk_nadam_options *options
) noexcept nogil
cdef lrk_status lrk_step_novograd_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, double *square, int64_t updates,
    const lrk_novograd_options *options
) noexcept nogil
cdef lrk_status lrk_step_novograd_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *square, int64_t updates,
    const lrk_novograd_options *options
) noexcept nogil
cdef lrk_status lrk_step_schedule_free_sgd_f32(
    int64_t n, float *param, const float *grad, float *base, float *average, double *lr_max, double *weight_sum,
    int64_t updates, const lrk_schedule_free_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_schedule_free_sgd_f64(
    int64_t n, double *param, const double *grad, double *base, double *average, double *lr_max, double *weight_sum,
    int64_t updates, const lrk_schedule_free_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_schedule_free_sgd_cautious_decay_f32(
    int64_t n, float *param, const float *grad, float *base, float *average, double *lr_max, double *weight_sum,
    int64_t updates, const lrk_schedule_free_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_schedule_free_sgd_cautious_decay_f64(
    int64_t n, double *param, const double *grad, double *base, double *average, double *lr_max, double *weight_sum,
    int64_t updates, const lrk_schedule_free_sgd_options *options
) noexcept nogil
cdef lrk_status lrk_step_schedule_free_adamw_f32(
    int64_t n, float *param, const float *grad, float *base, float *average, float *exp_avg_sq, double *lr_max,
    double *weight_sum, int64_t updates, const lrk_schedule_free_adamw_options *options
) noexcept nogil
cdef lrk_status lrk_step_schedule_free_adamw_f64(
    int64_t n, double *param, const double *grad, double *base, double *average, double *exp_avg_sq, double *lr_max,
    double *weight_sum, int64_t updates, const lrk_schedule_free_adamw_options *options
) noexcept nogil
cdef lrk_status lrk_step_schedule_free_adamw_cautious_decay_f32(
    int64_t n, float *param, const float *grad, float *base, float *average, float *exp_avg_sq, double *lr_max,
    double *weight_sum, int64_t updates, const lrk_schedule_free_adamw_options *options
) noexcept nogil
cdef lrk_status lrk_step_schedule_free_adamw_cautious_decay_f64(
    int64_t n, double *param, const double *grad, double *base, double *average, double *exp_avg_sq, double *lr_max,
    double *weight_sum, int64_t updates, const lrk_schedule_free_adamw_options *options
) noexcept nogil
cdef lrk_status lrk_step_schedule_free_radam_f32(
    int64_t n, float *param, const float *grad, float *base, float *average, float *exp_avg_sq, double *lr_max,
    double *weight_sum, int64_t updates, const lrk_schedule_free_radam_options *options
) noexcept nogil
cdef lrk_status lrk_step_schedule_free_radam_f64(
    int64_t n, double *param, const double *grad, double *base, double *average, double *exp_avg_sq, double *lr_max,
    double *weight_sum, int64_t updates, const lrk_schedule_free_radam_options *options
) noexcept nogil
cdef lrk_status lrk_step_schedule_free_radam_cautious_decay_f32(
    int64_t n, float *param, const float *grad, float *base, float *average, float *exp_avg_sq, double *lr_max,
    double *weight_sum, int64_t updates, const lrk_schedule_free_radam_options *options
) noexcept nogil
cdef lrk_status lrk_step_schedule_free_radam_cautious_decay_f64(
    int64_t n, double *param, const double *grad, double *base, double *average, double *exp_avg_sq, double *lr_max,
    double *weight_sum, int64_t updates, const lrk_schedule_free_radam_options *options
) noexcept nogil
cdef lrk_status lrk_step_signum_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates, const lrk_signum_options *options
) noexcept nogil
cdef lrk_status lrk_step_signum_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates, const lrk_signum_options *options
) noexcept nogil
cdef lrk_status lrk_step_signum_cautious_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates, const lrk_signum_options *options
) noexcept nogil
cdef lrk_status lrk_step_signum_cautious_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates, const lrk_signum_options *options
) noexcept nogil
cdef lrk_status lrk_step_rprop_f32(
    int64_t n, float *param, const float *grad, float *previous, float *step_size, int64_t updates,
    const lrk_rprop_options *options
) noexcept nogil
cdef lrk_status lrk_step_rprop_f64(
    int64_t n, double *param, const double *grad, double *previous, double *step_size, int64_t updates,
    const lrk_rprop_options *options
) noexcept nogil
cdef lrk_status lrk_step_rmsprop_f32(
    int64_t n, float *param, const float *grad, float *square_avg, float *grad_avg, float *momentum_buffer, int64_t updates,
    const lrk_rmsprop_options *options
) noexcept nogil
cdef lrk_status lrk_step_rmsprop_f64(
    int64_t n, double *param, const double *grad, double *square_avg, double *grad_avg, double *momentum_buffer,
    int64_t updates, const lrk_rmsprop_options *options
) noexcept nogil
cdef lrk_status lrk_step_rmsprop_cautious_f32(
    int64_t n, float *param, const float *grad, float *square_avg, float *grad_avg, float *momentum_buffer, int64_t updates,
    const lrk_rmsprop_options *options
) noexcept nogil
cdef lrk_status lrk_step_rmsprop_cautious_f64(
    int64_t n, double *param, const double *grad, double *square_avg, double *grad_avg, double *momentum_buffer,
    int64_t updates, const lrk_rmsprop_options *options
) noexcept nogil
cdef lrk_status lrk_step_rmsprop_cautious_decay_f32(
    int64_t n, float *param, const float *grad, float *square_avg, float *grad_avg, float *momentum_buffer, int64_t updates,
    const lrk_rmsprop_options *options
) noexcept nogil
cdef lrk_status lrk_step_rmsprop_cautious_decay_f64(
    int64_t n, double *param, const double *grad, double *square_avg, double *grad_avg, double *momentum_buffer,
    int64_t updates, const lrk_rmsprop_options *options
) noexcept nogil
cdef lrk_status lrk_step_adagrad_f32(
    int64_t n, float *param, const float *grad, float *sum, int64_t updates, const lrk_adagrad_options *options
) noexcept nogil
cdef lrk_status lrk_step_adagrad_f64(
    int64_t n, double *param, const double *grad, double *sum, int64_t updates, const lrk_adagrad_options *options
) noexcept nogil
cdef lrk_status lrk_step_adagrad_cautious_decay_f32(
    int64_t n, float *param, const float *grad, float *sum, int64_t updates, const lrk_adagrad_options *options
) noexcept nogil
cdef lrk_status lrk_step_adagrad_cautious_decay_f64(
    int64_t n, double *param, const double *grad, double *sum, int64_t updates, const lrk_adagrad_options *options
) noexcept nogil
cdef lrk_status lrk_step_stable_adamw_f32(
    int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, int64_t updates,
    const lrk_stable_adamw_options *options
) noexcept nogil
cdef lrk_status lrk_step_stable_adamw_f64(
    int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, int64_t updates,
    const lrk_stable_adamw_options *options
) noexcept nogil
