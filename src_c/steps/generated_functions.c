/* clang-format off */
/* Steps of one array, of every rule: see one.c.
 * Written by tools/rule_sources.py from the formulas in lrkern/optimizers: change those, then run `make rules`. */
#include "steps/steps.h"

#define STEP(rule_, type_, inputs_, ...) \
    lrk_step_one(&(lrk_one_array){.rule = LRK_RULE_##rule_, \
                                  .type = type_, \
                                  .size = n, \
                                  .param = param, \
                                  .grad = grad, \
                                  .updates = updates, \
                                  .inputs = (inputs_), \
                                  .inputs_size = sizeof *(inputs_), \
                                  __VA_ARGS__})

lrk_status lrk_step_adadelta_f32(int64_t n, float *param, const float *grad, float *square_avg, float *acc_delta,
                                 int64_t updates, const lrk_adadelta_options *options)
{
    return STEP(adadelta, LRK_F32, options, .states = {square_avg, acc_delta});
}

lrk_status lrk_step_adadelta_f64(int64_t n, double *param, const double *grad, double *square_avg, double *acc_delta,
                                 int64_t updates, const lrk_adadelta_options *options)
{
    return STEP(adadelta, LRK_F64, options, .states = {square_avg, acc_delta});
}

lrk_status lrk_step_adadelta_cautious_decay_f32(int64_t n, float *param, const float *grad, float *square_avg, float *acc_delta,
                                                int64_t updates, const lrk_adadelta_options *options)
{
    return STEP(adadelta_cautious_decay, LRK_F32, options, .states = {square_avg, acc_delta});
}

lrk_status lrk_step_adadelta_cautious_decay_f64(int64_t n, double *param, const double *grad, double *square_avg,
                                                double *acc_delta, int64_t updates, const lrk_adadelta_options *options)
{
    return STEP(adadelta_cautious_decay, LRK_F64, options, .states = {square_avg, acc_delta});
}

lrk_status lrk_step_adam_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                             float *max_exp_avg_sq, int64_t updates, const lrk_adam_options *options)
{
    if (max_exp_avg_sq == NULL) {
        const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->beta1,
                                 options->beta2, options->eps, options->eps_inside, options->eps_hat, options->decay_after,
                                 options->cautious_decay};
        return STEP(adam, LRK_F32, &inputs, .states = {exp_avg, exp_avg_sq});
    }
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->beta1,
                             options->beta2, options->eps, options->eps_inside, options->eps_hat, options->decay_after,
                             options->cautious_decay, options->of_corrected};
    return STEP(amsgrad, LRK_F32, &inputs, .states = {exp_avg, exp_avg_sq, max_exp_avg_sq});
}

lrk_status lrk_step_adam_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                             double *max_exp_avg_sq, int64_t updates, const lrk_adam_options *options)
{
    if (max_exp_avg_sq == NULL) {
        const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->beta1,
                                 options->beta2, options->eps, options->eps_inside, options->eps_hat, options->decay_after,
                                 options->cautious_decay};
        return STEP(adam, LRK_F64, &inputs, .states = {exp_avg, exp_avg_sq});
    }
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->beta1,
                             options->beta2, options->eps, options->eps_inside, options->eps_hat, options->decay_after,
                             options->cautious_decay, options->of_corrected};
    return STEP(amsgrad, LRK_F64, &inputs, .states = {exp_avg, exp_avg_sq, max_exp_avg_sq});
}

lrk_status lrk_step_adam_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                      float *max_exp_avg_sq, int64_t updates, const lrk_adam_options *options)
{
    if (max_exp_avg_sq == NULL) {
        const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->beta1,
                                 options->beta2, options->eps, options->eps_inside, options->eps_hat, options->decay_after,
                                 options->cautious_decay};
        return STEP(adam_cautious, LRK_F32, &inputs, .states = {exp_avg, exp_avg_sq});
    }
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->beta1,
                             options->beta2, options->eps, options->eps_inside, options->eps_hat, options->decay_after,
                             options->cautious_decay, options->of_corrected};
    return STEP(amsgrad_cautious, LRK_F32, &inputs, .states = {exp_avg, exp_avg_sq, max_exp_avg_sq});
}

lrk_status lrk_step_adam_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                      double *max_exp_avg_sq, int64_t updates, const lrk_adam_options *options)
{
    if (max_exp_avg_sq == NULL) {
        const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->beta1,
                                 options->beta2, options->eps, options->eps_inside, options->eps_hat, options->decay_after,
                                 options->cautious_decay};
        return STEP(adam_cautious, LRK_F64, &inputs, .states = {exp_avg, exp_avg_sq});
    }
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->beta1,
                             options->beta2, options->eps, options->eps_inside, options->eps_hat, options->decay_after,
                             options->cautious_decay, options->of_corrected};
    return STEP(amsgrad_cautious, LRK_F64, &inputs, .states = {exp_avg, exp_avg_sq, max_exp_avg_sq});
}

lrk_status lrk_step_adam_grokfast_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                      float *max_exp_avg_sq, float *grad_ema, int64_t updates, const lrk_adam_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->beta1,
                             options->beta2, options->eps, options->eps_inside, options->eps_hat, options->decay_after,
                             max_exp_avg_sq != NULL, options->cautious_decay, options->of_corrected,
                             options->grokfast_alpha, options->grokfast_lamb};
    return STEP(adam_grokfast, LRK_F32, &inputs, .states = {exp_avg, exp_avg_sq, max_exp_avg_sq, grad_ema});
}

lrk_status lrk_step_adam_grokfast_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                      double *max_exp_avg_sq, double *grad_ema, int64_t updates,
                                      const lrk_adam_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->beta1,
                             options->beta2, options->eps, options->eps_inside, options->eps_hat, options->decay_after,
                             max_exp_avg_sq != NULL, options->cautious_decay, options->of_corrected,
                             options->grokfast_alpha, options->grokfast_lamb};
    return STEP(adam_grokfast, LRK_F64, &inputs, .states = {exp_avg, exp_avg_sq, max_exp_avg_sq, grad_ema});
}

lrk_status lrk_step_adam_grokfast_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                               float *max_exp_avg_sq, float *grad_ema, int64_t updates,
                                               const lrk_adam_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->beta1,
                             options->beta2, options->eps, options->eps_inside, options->eps_hat, options->decay_after,
                             max_exp_avg_sq != NULL, options->cautious_decay, options->of_corrected,
                             options->grokfast_alpha, options->grokfast_lamb};
    return STEP(adam_grokfast_cautious, LRK_F32, &inputs, .states = {exp_avg, exp_avg_sq, max_exp_avg_sq, grad_ema});
}

lrk_status lrk_step_adam_grokfast_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg,
                                               double *exp_avg_sq, double *max_exp_avg_sq, double *grad_ema, int64_t updates,
                                               const lrk_adam_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->beta1,
                             options->beta2, options->eps, options->eps_inside, options->eps_hat, options->decay_after,
                             max_exp_avg_sq != NULL, options->cautious_decay, options->of_corrected,
                             options->grokfast_alpha, options->grokfast_lamb};
    return STEP(adam_grokfast_cautious, LRK_F64, &inputs, .states = {exp_avg, exp_avg_sq, max_exp_avg_sq, grad_ema});
}

lrk_status lrk_step_adabelief_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_var,
                                  float *max_exp_avg_var, int64_t updates, const lrk_adabelief_options *options)
{
    if (max_exp_avg_var == NULL)
        return STEP(adabelief, LRK_F32, options, .states = {exp_avg, exp_avg_var});
    return STEP(adabelief_amsgrad, LRK_F32, options, .states = {exp_avg, exp_avg_var, max_exp_avg_var});
}

lrk_status lrk_step_adabelief_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_var,
                                  double *max_exp_avg_var, int64_t updates, const lrk_adabelief_options *options)
{
    if (max_exp_avg_var == NULL)
        return STEP(adabelief, LRK_F64, options, .states = {exp_avg, exp_avg_var});
    return STEP(adabelief_amsgrad, LRK_F64, options, .states = {exp_avg, exp_avg_var, max_exp_avg_var});
}

lrk_status lrk_step_adabelief_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_var,
                                           float *max_exp_avg_var, int64_t updates, const lrk_adabelief_options *options)
{
    if (max_exp_avg_var == NULL)
        return STEP(adabelief_cautious, LRK_F32, options, .states = {exp_avg, exp_avg_var});
    return STEP(adabelief_amsgrad_cautious, LRK_F32, options, .states = {exp_avg, exp_avg_var, max_exp_avg_var});
}

lrk_status lrk_step_adabelief_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_var,
                                           double *max_exp_avg_var, int64_t updates, const lrk_adabelief_options *options)
{
    if (max_exp_avg_var == NULL)
        return STEP(adabelief_cautious, LRK_F64, options, .states = {exp_avg, exp_avg_var});
    return STEP(adabelief_amsgrad_cautious, LRK_F64, options, .states = {exp_avg, exp_avg_var, max_exp_avg_var});
}

lrk_status lrk_step_adamax_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_inf, int64_t updates,
                               const lrk_adamax_options *options)
{
    return STEP(adamax, LRK_F32, options, .states = {exp_avg, exp_inf});
}

lrk_status lrk_step_adamax_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_inf, int64_t updates,
                               const lrk_adamax_options *options)
{
    return STEP(adamax, LRK_F64, options, .states = {exp_avg, exp_inf});
}

lrk_status lrk_step_adamax_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_inf,
                                        int64_t updates, const lrk_adamax_options *options)
{
    return STEP(adamax_cautious, LRK_F32, options, .states = {exp_avg, exp_inf});
}

lrk_status lrk_step_adamax_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_inf,
                                        int64_t updates, const lrk_adamax_options *options)
{
    return STEP(adamax_cautious, LRK_F64, options, .states = {exp_avg, exp_inf});
}

lrk_status lrk_step_radam_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, int64_t updates,
                              const lrk_radam_options *options)
{
    return STEP(radam, LRK_F32, options, .states = {exp_avg, exp_avg_sq});
}

lrk_status lrk_step_radam_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                              int64_t updates, const lrk_radam_options *options)
{
    return STEP(radam, LRK_F64, options, .states = {exp_avg, exp_avg_sq});
}

lrk_status lrk_step_radam_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                       int64_t updates, const lrk_radam_options *options)
{
    return STEP(radam_cautious, LRK_F32, options, .states = {exp_avg, exp_avg_sq});
}

lrk_status lrk_step_radam_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                       int64_t updates, const lrk_radam_options *options)
{
    return STEP(radam_cautious, LRK_F64, options, .states = {exp_avg, exp_avg_sq});
}

lrk_status lrk_step_laprop_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                               float *max_exp_avg_sq, int64_t updates, const lrk_laprop_options *options)
{
    if (max_exp_avg_sq == NULL)
        return STEP(laprop, LRK_F32, options, .states = {exp_avg, exp_avg_sq});
    return STEP(laprop_amsgrad, LRK_F32, options, .states = {exp_avg, exp_avg_sq, max_exp_avg_sq});
}

lrk_status lrk_step_laprop_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                               double *max_exp_avg_sq, int64_t updates, const lrk_laprop_options *options)
{
    if (max_exp_avg_sq == NULL)
        return STEP(laprop, LRK_F64, options, .states = {exp_avg, exp_avg_sq});
    return STEP(laprop_amsgrad, LRK_F64, options, .states = {exp_avg, exp_avg_sq, max_exp_avg_sq});
}

lrk_status lrk_step_laprop_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                        float *max_exp_avg_sq, int64_t updates, const lrk_laprop_options *options)
{
    if (max_exp_avg_sq == NULL)
        return STEP(laprop_cautious, LRK_F32, options, .states = {exp_avg, exp_avg_sq});
    return STEP(laprop_amsgrad_cautious, LRK_F32, options, .states = {exp_avg, exp_avg_sq, max_exp_avg_sq});
}

lrk_status lrk_step_laprop_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                        double *max_exp_avg_sq, int64_t updates, const lrk_laprop_options *options)
{
    if (max_exp_avg_sq == NULL)
        return STEP(laprop_cautious, LRK_F64, options, .states = {exp_avg, exp_avg_sq});
    return STEP(laprop_amsgrad_cautious, LRK_F64, options, .states = {exp_avg, exp_avg_sq, max_exp_avg_sq});
}

lrk_status lrk_step_adopt_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, int64_t updates,
                              const lrk_adopt_options *options)
{
    return STEP(adopt, LRK_F32, options, .states = {exp_avg, exp_avg_sq});
}

lrk_status lrk_step_adopt_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                              int64_t updates, const lrk_adopt_options *options)
{
    return STEP(adopt, LRK_F64, options, .states = {exp_avg, exp_avg_sq});
}

lrk_status lrk_step_adopt_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                       int64_t updates, const lrk_adopt_options *options)
{
    return STEP(adopt_cautious, LRK_F32, options, .states = {exp_avg, exp_avg_sq});
}

lrk_status lrk_step_adopt_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                       int64_t updates, const lrk_adopt_options *options)
{
    return STEP(adopt_cautious, LRK_F64, options, .states = {exp_avg, exp_avg_sq});
}

lrk_status lrk_step_asgd_f32(int64_t n, float *param, const float *grad, float *average, double *eta, double *mu,
                             int64_t updates, const lrk_asgd_options *options)
{
    return STEP(asgd, LRK_F32, options, .states = {average}, .scalar_states = {eta, mu});
}

lrk_status lrk_step_asgd_f64(int64_t n, double *param, const double *grad, double *average, double *eta, double *mu,
                             int64_t updates, const lrk_asgd_options *options)
{
    return STEP(asgd, LRK_F64, options, .states = {average}, .scalar_states = {eta, mu});
}

lrk_status lrk_step_asgd_cautious_decay_f32(int64_t n, float *param, const float *grad, float *average, double *eta, double *mu,
                                            int64_t updates, const lrk_asgd_options *options)
{
    return STEP(asgd_cautious_decay, LRK_F32, options, .states = {average}, .scalar_states = {eta, mu});
}

lrk_status lrk_step_asgd_cautious_decay_f64(int64_t n, double *param, const double *grad, double *average, double *eta,
                                            double *mu, int64_t updates, const lrk_asgd_options *options)
{
    return STEP(asgd_cautious_decay, LRK_F64, options, .states = {average}, .scalar_states = {eta, mu});
}

lrk_status lrk_step_lars_f32(int64_t n, float *param, const float *grad, float *momentum_buffer, int64_t updates,
                             const lrk_lars_options *options)
{
    return STEP(lars, LRK_F32, options, .states = {momentum_buffer});
}

lrk_status lrk_step_lars_f64(int64_t n, double *param, const double *grad, double *momentum_buffer, int64_t updates,
                             const lrk_lars_options *options)
{
    return STEP(lars, LRK_F64, options, .states = {momentum_buffer});
}

lrk_status lrk_step_lamb_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, int64_t updates,
                             const lrk_lamb_options *options)
{
    return STEP(lamb, LRK_F32, options, .states = {exp_avg, exp_avg_sq});
}

lrk_status lrk_step_lamb_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq, int64_t updates,
                             const lrk_lamb_options *options)
{
    return STEP(lamb, LRK_F64, options, .states = {exp_avg, exp_avg_sq});
}

lrk_status lrk_step_mars_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, float *last_grad,
                             float *max_exp_avg_sq, int64_t updates, const lrk_mars_options *options)
{
    if (max_exp_avg_sq == NULL)
        return STEP(mars, LRK_F32, options, .states = {exp_avg, exp_avg_sq, last_grad});
    return STEP(mars_amsgrad, LRK_F32, options, .states = {exp_avg, exp_avg_sq, last_grad, max_exp_avg_sq});
}

lrk_status lrk_step_mars_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                             double *last_grad, double *max_exp_avg_sq, int64_t updates, const lrk_mars_options *options)
{
    if (max_exp_avg_sq == NULL)
        return STEP(mars, LRK_F64, options, .states = {exp_avg, exp_avg_sq, last_grad});
    return STEP(mars_amsgrad, LRK_F64, options, .states = {exp_avg, exp_avg_sq, last_grad, max_exp_avg_sq});
}

lrk_status lrk_step_sgd_f32(int64_t n, float *param, const float *grad, float *momentum_buffer, int64_t updates,
                            const lrk_sgd_options *options)
{
    if (momentum_buffer == NULL) {
        const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->momentum,
                                 options->dampening, options->nesterov, options->lr_inside, options->zero_start};
        return STEP(sgd, LRK_F32, &inputs, .states = {NULL});
    }
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->momentum,
                             options->dampening, options->nesterov, options->lr_inside, options->zero_start};
    return STEP(sgd_momentum, LRK_F32, &inputs, .states = {momentum_buffer});
}

lrk_status lrk_step_sgd_f64(int64_t n, double *param, const double *grad, double *momentum_buffer, int64_t updates,
                            const lrk_sgd_options *options)
{
    if (momentum_buffer == NULL) {
        const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->momentum,
                                 options->dampening, options->nesterov, options->lr_inside, options->zero_start};
        return STEP(sgd, LRK_F64, &inputs, .states = {NULL});
    }
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->momentum,
                             options->dampening, options->nesterov, options->lr_inside, options->zero_start};
    return STEP(sgd_momentum, LRK_F64, &inputs, .states = {momentum_buffer});
}

lrk_status lrk_step_sgd_momentum_cautious_f32(int64_t n, float *param, const float *grad, float *momentum_buffer,
                                              int64_t updates, const lrk_sgd_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->momentum,
                             options->dampening, options->nesterov, options->lr_inside, options->zero_start};
    return STEP(sgd_momentum_cautious, LRK_F32, &inputs, .states = {momentum_buffer});
}

lrk_status lrk_step_sgd_momentum_cautious_f64(int64_t n, double *param, const double *grad, double *momentum_buffer,
                                              int64_t updates, const lrk_sgd_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->momentum,
                             options->dampening, options->nesterov, options->lr_inside, options->zero_start};
    return STEP(sgd_momentum_cautious, LRK_F64, &inputs, .states = {momentum_buffer});
}

lrk_status lrk_step_sgd_cautious_decay_f32(int64_t n, float *param, const float *grad, float *momentum_buffer, int64_t updates,
                                           const lrk_sgd_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->momentum,
                             options->dampening, options->nesterov, options->lr_inside, options->zero_start,
                             momentum_buffer != NULL};
    return STEP(sgd_cautious_decay, LRK_F32, &inputs, .states = {momentum_buffer});
}

lrk_status lrk_step_sgd_cautious_decay_f64(int64_t n, double *param, const double *grad, double *momentum_buffer,
                                           int64_t updates, const lrk_sgd_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->momentum,
                             options->dampening, options->nesterov, options->lr_inside, options->zero_start,
                             momentum_buffer != NULL};
    return STEP(sgd_cautious_decay, LRK_F64, &inputs, .states = {momentum_buffer});
}

lrk_status lrk_step_sgd_grokfast_f32(int64_t n, float *param, const float *grad, float *momentum_buffer, float *grad_ema,
                                     int64_t updates, const lrk_sgd_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->momentum,
                             options->dampening, options->nesterov, options->lr_inside, options->zero_start,
                             momentum_buffer != NULL, options->cautious_decay, options->grokfast_alpha,
                             options->grokfast_lamb};
    return STEP(sgd_grokfast, LRK_F32, &inputs, .states = {momentum_buffer, grad_ema});
}

lrk_status lrk_step_sgd_grokfast_f64(int64_t n, double *param, const double *grad, double *momentum_buffer, double *grad_ema,
                                     int64_t updates, const lrk_sgd_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->momentum,
                             options->dampening, options->nesterov, options->lr_inside, options->zero_start,
                             momentum_buffer != NULL, options->cautious_decay, options->grokfast_alpha,
                             options->grokfast_lamb};
    return STEP(sgd_grokfast, LRK_F64, &inputs, .states = {momentum_buffer, grad_ema});
}

lrk_status lrk_step_sgd_grokfast_cautious_f32(int64_t n, float *param, const float *grad, float *momentum_buffer,
                                              float *grad_ema, int64_t updates, const lrk_sgd_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->momentum,
                             options->dampening, options->nesterov, options->lr_inside, options->zero_start,
                             options->grokfast_alpha, options->grokfast_lamb};
    return STEP(sgd_grokfast_cautious, LRK_F32, &inputs, .states = {momentum_buffer, grad_ema});
}

lrk_status lrk_step_sgd_grokfast_cautious_f64(int64_t n, double *param, const double *grad, double *momentum_buffer,
                                              double *grad_ema, int64_t updates, const lrk_sgd_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->momentum,
                             options->dampening, options->nesterov, options->lr_inside, options->zero_start,
                             options->grokfast_alpha, options->grokfast_lamb};
    return STEP(sgd_grokfast_cautious, LRK_F64, &inputs, .states = {momentum_buffer, grad_ema});
}

lrk_status lrk_step_lion_f32(int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates,
                             const lrk_lion_options *options)
{
    return STEP(lion, LRK_F32, options, .states = {exp_avg});
}

lrk_status lrk_step_lion_f64(int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates,
                             const lrk_lion_options *options)
{
    return STEP(lion, LRK_F64, options, .states = {exp_avg});
}

lrk_status lrk_step_lion_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates,
                                      const lrk_lion_options *options)
{
    return STEP(lion_cautious, LRK_F32, options, .states = {exp_avg});
}

lrk_status lrk_step_lion_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates,
                                      const lrk_lion_options *options)
{
    return STEP(lion_cautious, LRK_F64, options, .states = {exp_avg});
}

lrk_status lrk_step_ademamix_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_slow,
                                 float *exp_avg_sq, int64_t updates, const lrk_ademamix_options *options)
{
    return STEP(ademamix, LRK_F32, options, .states = {exp_avg, exp_avg_slow, exp_avg_sq});
}

lrk_status lrk_step_ademamix_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_slow,
                                 double *exp_avg_sq, int64_t updates, const lrk_ademamix_options *options)
{
    return STEP(ademamix, LRK_F64, options, .states = {exp_avg, exp_avg_slow, exp_avg_sq});
}

lrk_status lrk_step_ademamix_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_slow,
                                          float *exp_avg_sq, int64_t updates, const lrk_ademamix_options *options)
{
    return STEP(ademamix_cautious, LRK_F32, options, .states = {exp_avg, exp_avg_slow, exp_avg_sq});
}

lrk_status lrk_step_ademamix_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_slow,
                                          double *exp_avg_sq, int64_t updates, const lrk_ademamix_options *options)
{
    return STEP(ademamix_cautious, LRK_F64, options, .states = {exp_avg, exp_avg_slow, exp_avg_sq});
}

lrk_status lrk_step_adan_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_diff, float *exp_avg_sq,
                             float *previous, int64_t updates, const lrk_adan_options *options)
{
    return STEP(adan, LRK_F32, options, .states = {exp_avg, exp_avg_diff, exp_avg_sq, previous});
}

lrk_status lrk_step_adan_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_diff,
                             double *exp_avg_sq, double *previous, int64_t updates, const lrk_adan_options *options)
{
    return STEP(adan, LRK_F64, options, .states = {exp_avg, exp_avg_diff, exp_avg_sq, previous});
}

lrk_status lrk_step_adan_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_diff,
                                      float *exp_avg_sq, float *previous, int64_t updates, const lrk_adan_options *options)
{
    return STEP(adan_cautious, LRK_F32, options, .states = {exp_avg, exp_avg_diff, exp_avg_sq, previous});
}

lrk_status lrk_step_adan_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_diff,
                                      double *exp_avg_sq, double *previous, int64_t updates, const lrk_adan_options *options)
{
    return STEP(adan_cautious, LRK_F64, options, .states = {exp_avg, exp_avg_diff, exp_avg_sq, previous});
}

lrk_status lrk_step_nadam_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq, double *mu_product,
                              int64_t updates, const lrk_nadam_options *options)
{
    return STEP(nadam, LRK_F32, options, .states = {exp_avg, exp_avg_sq}, .scalar_states = {mu_product});
}

lrk_status lrk_step_nadam_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                              double *mu_product, int64_t updates, const lrk_nadam_options *options)
{
    return STEP(nadam, LRK_F64, options, .states = {exp_avg, exp_avg_sq}, .scalar_states = {mu_product});
}

lrk_status lrk_step_nadam_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                       double *mu_product, int64_t updates, const lrk_nadam_options *options)
{
    return STEP(nadam_cautious, LRK_F32, options, .states = {exp_avg, exp_avg_sq}, .scalar_states = {mu_product});
}

lrk_status lrk_step_nadam_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                       double *mu_product, int64_t updates, const lrk_nadam_options *options)
{
    return STEP(nadam_cautious, LRK_F64, options, .states = {exp_avg, exp_avg_sq}, .scalar_states = {mu_product});
}

lrk_status lrk_step_novograd_f32(int64_t n, float *param, const float *grad, float *exp_avg, double *square, int64_t updates,
                                 const lrk_novograd_options *options)
{
    return STEP(novograd, LRK_F32, options, .states = {exp_avg}, .scalar_states = {square});
}

lrk_status lrk_step_novograd_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *square, int64_t updates,
                                 const lrk_novograd_options *options)
{
    return STEP(novograd, LRK_F64, options, .states = {exp_avg}, .scalar_states = {square});
}

lrk_status lrk_step_schedule_free_sgd_f32(int64_t n, float *param, const float *grad, float *base, float *average,
                                          double *lr_max, double *weight_sum, int64_t updates,
                                          const lrk_schedule_free_sgd_options *options)
{
    return STEP(schedule_free_sgd, LRK_F32, options, .states = {base, average}, .scalar_states = {lr_max, weight_sum});
}

lrk_status lrk_step_schedule_free_sgd_f64(int64_t n, double *param, const double *grad, double *base, double *average,
                                          double *lr_max, double *weight_sum, int64_t updates,
                                          const lrk_schedule_free_sgd_options *options)
{
    return STEP(schedule_free_sgd, LRK_F64, options, .states = {base, average}, .scalar_states = {lr_max, weight_sum});
}

lrk_status lrk_step_schedule_free_sgd_cautious_decay_f32(int64_t n, float *param, const float *grad, float *base,
                                                         float *average, double *lr_max, double *weight_sum, int64_t updates,
                                                         const lrk_schedule_free_sgd_options *options)
{
    return STEP(schedule_free_sgd_cautious_decay, LRK_F32, options, .states = {base, average},
                .scalar_states = {lr_max, weight_sum});
}

lrk_status lrk_step_schedule_free_sgd_cautious_decay_f64(int64_t n, double *param, const double *grad, double *base,
                                                         double *average, double *lr_max, double *weight_sum, int64_t updates,
                                                         const lrk_schedule_free_sgd_options *options)
{
    return STEP(schedule_free_sgd_cautious_decay, LRK_F64, options, .states = {base, average},
                .scalar_states = {lr_max, weight_sum});
}

lrk_status lrk_step_schedule_free_adamw_f32(int64_t n, float *param, const float *grad, float *base, float *average,
                                            float *exp_avg_sq, double *lr_max, double *weight_sum, int64_t updates,
                                            const lrk_schedule_free_adamw_options *options)
{
    return STEP(schedule_free_adamw, LRK_F32, options, .states = {base, average, exp_avg_sq},
                .scalar_states = {lr_max, weight_sum});
}

lrk_status lrk_step_schedule_free_adamw_f64(int64_t n, double *param, const double *grad, double *base, double *average,
                                            double *exp_avg_sq, double *lr_max, double *weight_sum, int64_t updates,
                                            const lrk_schedule_free_adamw_options *options)
{
    return STEP(schedule_free_adamw, LRK_F64, options, .states = {base, average, exp_avg_sq},
                .scalar_states = {lr_max, weight_sum});
}

lrk_status lrk_step_schedule_free_adamw_cautious_decay_f32(int64_t n, float *param, const float *grad, float *base,
                                                           float *average, float *exp_avg_sq, double *lr_max,
                                                           double *weight_sum, int64_t updates,
                                                           const lrk_schedule_free_adamw_options *options)
{
    return STEP(schedule_free_adamw_cautious_decay, LRK_F32, options, .states = {base, average, exp_avg_sq},
                .scalar_states = {lr_max, weight_sum});
}

lrk_status lrk_step_schedule_free_adamw_cautious_decay_f64(int64_t n, double *param, const double *grad, double *base,
                                                           double *average, double *exp_avg_sq, double *lr_max,
                                                           double *weight_sum, int64_t updates,
                                                           const lrk_schedule_free_adamw_options *options)
{
    return STEP(schedule_free_adamw_cautious_decay, LRK_F64, options, .states = {base, average, exp_avg_sq},
                .scalar_states = {lr_max, weight_sum});
}

lrk_status lrk_step_schedule_free_radam_f32(int64_t n, float *param, const float *grad, float *base, float *average,
                                            float *exp_avg_sq, double *lr_max, double *weight_sum, int64_t updates,
                                            const lrk_schedule_free_radam_options *options)
{
    return STEP(schedule_free_radam, LRK_F32, options, .states = {base, average, exp_avg_sq},
                .scalar_states = {lr_max, weight_sum});
}

lrk_status lrk_step_schedule_free_radam_f64(int64_t n, double *param, const double *grad, double *base, double *average,
                                            double *exp_avg_sq, double *lr_max, double *weight_sum, int64_t updates,
                                            const lrk_schedule_free_radam_options *options)
{
    return STEP(schedule_free_radam, LRK_F64, options, .states = {base, average, exp_avg_sq},
                .scalar_states = {lr_max, weight_sum});
}

lrk_status lrk_step_schedule_free_radam_cautious_decay_f32(int64_t n, float *param, const float *grad, float *base,
                                                           float *average, float *exp_avg_sq, double *lr_max,
                                                           double *weight_sum, int64_t updates,
                                                           const lrk_schedule_free_radam_options *options)
{
    return STEP(schedule_free_radam_cautious_decay, LRK_F32, options, .states = {base, average, exp_avg_sq},
                .scalar_states = {lr_max, weight_sum});
}

lrk_status lrk_step_schedule_free_radam_cautious_decay_f64(int64_t n, double *param, const double *grad, double *base,
                                                           double *average, double *exp_avg_sq, double *lr_max,
                                                           double *weight_sum, int64_t updates,
                                                           const lrk_schedule_free_radam_options *options)
{
    return STEP(schedule_free_radam_cautious_decay, LRK_F64, options, .states = {base, average, exp_avg_sq},
                .scalar_states = {lr_max, weight_sum});
}

lrk_status lrk_step_signum_f32(int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates,
                               const lrk_signum_options *options)
{
    return STEP(signum, LRK_F32, options, .states = {exp_avg});
}

lrk_status lrk_step_signum_f64(int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates,
                               const lrk_signum_options *options)
{
    return STEP(signum, LRK_F64, options, .states = {exp_avg});
}

lrk_status lrk_step_signum_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates,
                                        const lrk_signum_options *options)
{
    return STEP(signum_cautious, LRK_F32, options, .states = {exp_avg});
}

lrk_status lrk_step_signum_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates,
                                        const lrk_signum_options *options)
{
    return STEP(signum_cautious, LRK_F64, options, .states = {exp_avg});
}

lrk_status lrk_step_rprop_f32(int64_t n, float *param, const float *grad, float *previous, float *step_size, int64_t updates,
                              const lrk_rprop_options *options)
{
    return STEP(rprop, LRK_F32, options, .states = {previous, step_size});
}

lrk_status lrk_step_rprop_f64(int64_t n, double *param, const double *grad, double *previous, double *step_size,
                              int64_t updates, const lrk_rprop_options *options)
{
    return STEP(rprop, LRK_F64, options, .states = {previous, step_size});
}

lrk_status lrk_step_rmsprop_f32(int64_t n, float *param, const float *grad, float *square_avg, float *grad_avg,
                                float *momentum_buffer, int64_t updates, const lrk_rmsprop_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->alpha,
                             options->eps, options->momentum, momentum_buffer != NULL, grad_avg != NULL,
                             options->eps_inside, options->lr_inside};
    return STEP(rmsprop, LRK_F32, &inputs, .states = {square_avg, grad_avg, momentum_buffer});
}

lrk_status lrk_step_rmsprop_f64(int64_t n, double *param, const double *grad, double *square_avg, double *grad_avg,
                                double *momentum_buffer, int64_t updates, const lrk_rmsprop_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->alpha,
                             options->eps, options->momentum, momentum_buffer != NULL, grad_avg != NULL,
                             options->eps_inside, options->lr_inside};
    return STEP(rmsprop, LRK_F64, &inputs, .states = {square_avg, grad_avg, momentum_buffer});
}

lrk_status lrk_step_rmsprop_cautious_f32(int64_t n, float *param, const float *grad, float *square_avg, float *grad_avg,
                                         float *momentum_buffer, int64_t updates, const lrk_rmsprop_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->alpha,
                             options->eps, options->momentum, momentum_buffer != NULL, grad_avg != NULL,
                             options->eps_inside, options->lr_inside};
    return STEP(rmsprop_cautious, LRK_F32, &inputs, .states = {square_avg, grad_avg, momentum_buffer});
}

lrk_status lrk_step_rmsprop_cautious_f64(int64_t n, double *param, const double *grad, double *square_avg, double *grad_avg,
                                         double *momentum_buffer, int64_t updates, const lrk_rmsprop_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->alpha,
                             options->eps, options->momentum, momentum_buffer != NULL, grad_avg != NULL,
                             options->eps_inside, options->lr_inside};
    return STEP(rmsprop_cautious, LRK_F64, &inputs, .states = {square_avg, grad_avg, momentum_buffer});
}

lrk_status lrk_step_rmsprop_cautious_decay_f32(int64_t n, float *param, const float *grad, float *square_avg, float *grad_avg,
                                               float *momentum_buffer, int64_t updates, const lrk_rmsprop_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->alpha,
                             options->eps, options->momentum, momentum_buffer != NULL, grad_avg != NULL,
                             options->eps_inside, options->lr_inside};
    return STEP(rmsprop_cautious_decay, LRK_F32, &inputs, .states = {square_avg, grad_avg, momentum_buffer});
}

lrk_status lrk_step_rmsprop_cautious_decay_f64(int64_t n, double *param, const double *grad, double *square_avg,
                                               double *grad_avg, double *momentum_buffer, int64_t updates,
                                               const lrk_rmsprop_options *options)
{
    const double inputs[] = {options->lr, options->weight_decay, options->decoupled, options->maximize, options->alpha,
                             options->eps, options->momentum, momentum_buffer != NULL, grad_avg != NULL,
                             options->eps_inside, options->lr_inside};
    return STEP(rmsprop_cautious_decay, LRK_F64, &inputs, .states = {square_avg, grad_avg, momentum_buffer});
}

lrk_status lrk_step_adagrad_f32(int64_t n, float *param, const float *grad, float *sum, int64_t updates,
                                const lrk_adagrad_options *options)
{
    return STEP(adagrad, LRK_F32, options, .states = {sum});
}

lrk_status lrk_step_adagrad_f64(int64_t n, double *param, const double *grad, double *sum, int64_t updates,
                                const lrk_adagrad_options *options)
{
    return STEP(adagrad, LRK_F64, options, .states = {sum});
}

lrk_status lrk_step_adagrad_cautious_decay_f32(int64_t n, float *param, const float *grad, float *sum, int64_t updates,
                                               const lrk_adagrad_options *options)
{
    return STEP(adagrad_cautious_decay, LRK_F32, options, .states = {sum});
}

lrk_status lrk_step_adagrad_cautious_decay_f64(int64_t n, double *param, const double *grad, double *sum, int64_t updates,
                                               const lrk_adagrad_options *options)
{
    return STEP(adagrad_cautious_decay, LRK_F64, options, .states = {sum});
}

lrk_status lrk_step_stable_adamw_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                     int64_t updates, const lrk_stable_adamw_options *options)
{
    return STEP(stable_adamw, LRK_F32, options, .states = {exp_avg, exp_avg_sq});
}

lrk_status lrk_step_stable_adamw_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                     int64_t updates, const lrk_stable_adamw_options *options)
{
    return STEP(stable_adamw, LRK_F64, options, .states = {exp_avg, exp_avg_sq});
}
