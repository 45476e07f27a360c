/* Optimizer steps of one array: for each rule a struct of its options, and functions for float and double. lrkern_steps.h has
 * lists of tensors; docs/steps.md defines the arithmetic; lrkern.h describes conventions of the whole interface.
 *
 * n elements of `param` and of the states are updated, `grad` is read. `updates` is the number of updates before this one. Some
 * rules also have numbers of the tensor, a double each, which are states, too. Before the first update states must be 0, except
 * as stated. A state may be NULL where stated. Nothing that is written may overlap anything else.
 * Returns LRK_OK, LRK_ERROR_OVERLAP, or, where stated, LRK_ERROR_MEMORY; after an error nothing has been written.
 *
 * The members of a struct are the rule's inputs, in their order; omitted ones are 0. What many rules have:
 *
 *     weight_decay     is added to the gradient, or, if decoupled is 1, shrinks the parameter
 *     maximize         1: ascend the gradient
 *     eps_inside       1: eps is added to what the root is taken of, not to the root
 *     lr_inside        1: the momentum buffer holds steps, not gradients
 *     cautious_decay   1: decoupled weight decay only of elements that it moves in the direction of the step; some rules have a
 *                      function ..._cautious_decay instead
 *     cautious         1: elements do not move where direction and gradient differ in sign: functions ..._cautious
 *     grokfast         1: grokfast_lamb times an average of gradients, grad_ema, is added to each gradient: ..._grokfast
 *
 * A line such as "lrkern.AdamW(params): {...}" shows the options of that optimizer of Python without further arguments.
 *
 * Written by tools/rule_sources.py from the formulas in lrkern/optimizers: change those, then run `make rules`. */
#ifndef LRKERN_OPTIMIZERS_H
#define LRKERN_OPTIMIZERS_H

#include "lrkern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* adadelta: Adadelta. From lrkern/optimizers/adadelta.py.
 * Flags, 0 or 1: decoupled, maximize.
 * lrkern.Adadelta(params): {.lr = 1, .rho = 0.9, .eps = 1e-06} */
typedef struct lrk_adadelta_options {
    double lr, weight_decay, decoupled, maximize, rho, eps;
} lrk_adadelta_options;

LRK_API lrk_status lrk_step_adadelta_f32(int64_t n, float *param, const float *grad, float *square_avg, float *acc_delta,
                                         int64_t updates, const lrk_adadelta_options *options);
LRK_API lrk_status lrk_step_adadelta_f64(int64_t n, double *param, const double *grad, double *square_avg, double *acc_delta,
                                         int64_t updates, const lrk_adadelta_options *options);

/* The same rule where cautious_decay is 1. */
LRK_API lrk_status lrk_step_adadelta_cautious_decay_f32(int64_t n, float *param, const float *grad, float *square_avg,
                                                        float *acc_delta, int64_t updates, const lrk_adadelta_options *options);
LRK_API lrk_status lrk_step_adadelta_cautious_decay_f64(int64_t n, double *param, const double *grad, double *square_avg,
                                                        double *acc_delta, int64_t updates,
                                                        const lrk_adadelta_options *options);

/* adam: Adam, AdamW and AMSGrad; eps_hat: eps is added before the bias correction; decay_after: decay comes after it;
 *     of_corrected: AMSGrad takes the maximum after it. From lrkern/optimizers/adam.py.
 * Flags, 0 or 1: decoupled, maximize, eps_inside, eps_hat, decay_after, cautious_decay, of_corrected.
 * lrkern.Adam(params): {.lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-08}
 * lrkern.AdamW(params): {.lr = 0.001, .weight_decay = 0.01, .decoupled = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-08}
 * max_exp_avg_sq may be NULL: amsgrad is 0 then, else 1.
 * It ignores grokfast_alpha, grokfast_lamb. */
typedef struct lrk_adam_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, eps_inside, eps_hat, decay_after, cautious_decay;
    double of_corrected, grokfast_alpha, grokfast_lamb;
} lrk_adam_options;

LRK_API lrk_status lrk_step_adam_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                     float *max_exp_avg_sq, int64_t updates, const lrk_adam_options *options);
LRK_API lrk_status lrk_step_adam_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                     double *max_exp_avg_sq, int64_t updates, const lrk_adam_options *options);

/* The same rule where cautious is 1.
 * max_exp_avg_sq may be NULL: amsgrad is 0 then, else 1.
 * It ignores grokfast_alpha, grokfast_lamb.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_adam_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                              float *max_exp_avg_sq, int64_t updates, const lrk_adam_options *options);
LRK_API lrk_status lrk_step_adam_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                              double *max_exp_avg_sq, int64_t updates, const lrk_adam_options *options);

/* The same rule where grokfast is 1.
 * max_exp_avg_sq may be NULL: amsgrad is 0 then, else 1. */
LRK_API lrk_status lrk_step_adam_grokfast_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                              float *max_exp_avg_sq, float *grad_ema, int64_t updates,
                                              const lrk_adam_options *options);
LRK_API lrk_status lrk_step_adam_grokfast_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                              double *max_exp_avg_sq, double *grad_ema, int64_t updates,
                                              const lrk_adam_options *options);

/* The same rule where cautious is 1 and grokfast is 1.
 * max_exp_avg_sq may be NULL: amsgrad is 0 then, else 1.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_adam_grokfast_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg,
                                                       float *exp_avg_sq, float *max_exp_avg_sq, float *grad_ema,
                                                       int64_t updates, const lrk_adam_options *options);
LRK_API lrk_status lrk_step_adam_grokfast_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg,
                                                       double *exp_avg_sq, double *max_exp_avg_sq, double *grad_ema,
                                                       int64_t updates, const lrk_adam_options *options);

/* adabelief: AdaBelief. From lrkern/optimizers/adam_relatives.py.
 * Flags, 0 or 1: decoupled, maximize, cautious_decay.
 * lrkern.AdaBelief(params): {.lr = 0.001, .decoupled = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-16}
 * max_exp_avg_var may be NULL: amsgrad is 0 then, else 1. */
typedef struct lrk_adabelief_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, cautious_decay;
} lrk_adabelief_options;

LRK_API lrk_status lrk_step_adabelief_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_var,
                                          float *max_exp_avg_var, int64_t updates, const lrk_adabelief_options *options);
LRK_API lrk_status lrk_step_adabelief_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_var,
                                          double *max_exp_avg_var, int64_t updates, const lrk_adabelief_options *options);

/* The same rule where cautious is 1.
 * max_exp_avg_var may be NULL: amsgrad is 0 then, else 1.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_adabelief_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg,
                                                   float *exp_avg_var, float *max_exp_avg_var, int64_t updates,
                                                   const lrk_adabelief_options *options);
LRK_API lrk_status lrk_step_adabelief_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg,
                                                   double *exp_avg_var, double *max_exp_avg_var, int64_t updates,
                                                   const lrk_adabelief_options *options);

/* adamax: Adamax. From lrkern/optimizers/adam_relatives.py.
 * Flags, 0 or 1: decoupled, maximize, cautious_decay.
 * lrkern.Adamax(params): {.lr = 0.002, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-08} */
typedef struct lrk_adamax_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, cautious_decay;
} lrk_adamax_options;

LRK_API lrk_status lrk_step_adamax_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_inf,
                                       int64_t updates, const lrk_adamax_options *options);
LRK_API lrk_status lrk_step_adamax_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_inf,
                                       int64_t updates, const lrk_adamax_options *options);

/* The same rule where cautious is 1.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_adamax_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_inf,
                                                int64_t updates, const lrk_adamax_options *options);
LRK_API lrk_status lrk_step_adamax_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_inf,
                                                int64_t updates, const lrk_adamax_options *options);

/* radam: RAdam. From lrkern/optimizers/adam_relatives.py.
 * Flags, 0 or 1: decoupled, maximize, cautious_decay.
 * lrkern.RAdam(params): {.lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-08} */
typedef struct lrk_radam_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, cautious_decay;
} lrk_radam_options;

LRK_API lrk_status lrk_step_radam_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                      int64_t updates, const lrk_radam_options *options);
LRK_API lrk_status lrk_step_radam_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                      int64_t updates, const lrk_radam_options *options);

/* The same rule where cautious is 1.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_radam_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                               int64_t updates, const lrk_radam_options *options);
LRK_API lrk_status lrk_step_radam_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg,
                                               double *exp_avg_sq, int64_t updates, const lrk_radam_options *options);

/* laprop: LaProp. From lrkern/optimizers/adam_relatives.py.
 * Flags, 0 or 1: decoupled, maximize, cautious_decay.
 * lrkern.LaProp(params): {.lr = 0.0004, .decoupled = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-15}
 * max_exp_avg_sq may be NULL: amsgrad is 0 then, else 1. */
typedef struct lrk_laprop_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, cautious_decay;
} lrk_laprop_options;

LRK_API lrk_status lrk_step_laprop_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                       float *max_exp_avg_sq, int64_t updates, const lrk_laprop_options *options);
LRK_API lrk_status lrk_step_laprop_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                       double *max_exp_avg_sq, int64_t updates, const lrk_laprop_options *options);

/* The same rule where cautious is 1.
 * max_exp_avg_sq may be NULL: amsgrad is 0 then, else 1.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_laprop_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                                float *max_exp_avg_sq, int64_t updates, const lrk_laprop_options *options);
LRK_API lrk_status lrk_step_laprop_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg,
                                                double *exp_avg_sq, double *max_exp_avg_sq, int64_t updates,
                                                const lrk_laprop_options *options);

/* adopt: ADOPT. From lrkern/optimizers/adam_relatives.py.
 * Flags, 0 or 1: decoupled, maximize, cautious_decay.
 * lrkern.ADOPT(params): {.lr = 0.001, .beta1 = 0.9, .beta2 = 0.9999, .eps = 1e-06}
 * Before the first update these may hold anything: exp_avg_sq. */
typedef struct lrk_adopt_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, cautious_decay;
} lrk_adopt_options;

LRK_API lrk_status lrk_step_adopt_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                      int64_t updates, const lrk_adopt_options *options);
LRK_API lrk_status lrk_step_adopt_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                      int64_t updates, const lrk_adopt_options *options);

/* The same rule where cautious is 1.
 * Before the first update these may hold anything: exp_avg_sq.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_adopt_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                               int64_t updates, const lrk_adopt_options *options);
LRK_API lrk_status lrk_step_adopt_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg,
                                               double *exp_avg_sq, int64_t updates, const lrk_adopt_options *options);

/* asgd: ASGD. From lrkern/optimizers/asgd.py.
 * Flags, 0 or 1: decoupled, maximize.
 * lrkern.ASGD(params): {.lr = 0.01, .lambd = 0.0001, .alpha = 0.75, .t0 = 1000000}
 * Before the first update these may hold anything: average, eta, mu.
 * Numbers of the tensor: eta, mu. */
typedef struct lrk_asgd_options {
    double lr, weight_decay, decoupled, maximize, lambd, alpha, t0;
} lrk_asgd_options;

LRK_API lrk_status lrk_step_asgd_f32(int64_t n, float *param, const float *grad, float *average, double *eta, double *mu,
                                     int64_t updates, const lrk_asgd_options *options);
LRK_API lrk_status lrk_step_asgd_f64(int64_t n, double *param, const double *grad, double *average, double *eta, double *mu,
                                     int64_t updates, const lrk_asgd_options *options);

/* The same rule where cautious_decay is 1.
 * Before the first update these may hold anything: average, eta, mu.
 * Numbers of the tensor: eta, mu. */
LRK_API lrk_status lrk_step_asgd_cautious_decay_f32(int64_t n, float *param, const float *grad, float *average, double *eta,
                                                    double *mu, int64_t updates, const lrk_asgd_options *options);
LRK_API lrk_status lrk_step_asgd_cautious_decay_f64(int64_t n, double *param, const double *grad, double *average, double *eta,
                                                    double *mu, int64_t updates, const lrk_asgd_options *options);

/* lars: LARS; joint: the norm is of the gradient with weight decay; lr_inside: 0 for LARC; trust_clip: the ratio is
 *     min(ratio / lr, 1); unadapted: it is 1. From lrkern/optimizers/layerwise.py.
 * Flags, 0 or 1: decoupled, maximize, nesterov, joint, lr_inside, trust_clip, unadapted.
 * lrkern.LARS(params, lr): {.momentum = 0.9, .trust = 0.001, .lr_inside = 1}
 * Before the first update momentum_buffer may hold anything if lr_inside is 0.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
typedef struct lrk_lars_options {
    double lr, weight_decay, decoupled, maximize, momentum, nesterov, trust, eps, joint, lr_inside, trust_clip, unadapted;
} lrk_lars_options;

LRK_API lrk_status lrk_step_lars_f32(int64_t n, float *param, const float *grad, float *momentum_buffer, int64_t updates,
                                     const lrk_lars_options *options);
LRK_API lrk_status lrk_step_lars_f64(int64_t n, double *param, const double *grad, double *momentum_buffer, int64_t updates,
                                     const lrk_lars_options *options);

/* lamb: LAMB; pull: the weight decay, a part of the direction whose norm is taken, or, if decoupled, a factor of the
 *     parameter before its norm is taken; unadapted: the ratio of norms is 1. From lrkern/optimizers/layerwise.py.
 * Flags, 0 or 1: decoupled, maximize, bias_correction, unadapted.
 * lrkern.LAMB(params): {.lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-06, .bias_correction = 1}
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
typedef struct lrk_lamb_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, pull, bias_correction, unadapted;
} lrk_lamb_options;

LRK_API lrk_status lrk_step_lamb_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                     int64_t updates, const lrk_lamb_options *options);
LRK_API lrk_status lrk_step_lamb_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                     int64_t updates, const lrk_lamb_options *options);

/* mars: MARS-AdamW. From lrkern/optimizers/mars.py.
 * Flags, 0 or 1: decoupled, maximize, cautious_decay.
 * lrkern.MARS(params): {.lr = 0.003, .decoupled = 1, .beta1 = 0.95, .beta2 = 0.99, .eps = 1e-08, .gamma = 0.025}
 * max_exp_avg_sq may be NULL: amsgrad is 0 then, else 1.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
typedef struct lrk_mars_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, gamma, cautious_decay;
} lrk_mars_options;

LRK_API lrk_status lrk_step_mars_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                     float *last_grad, float *max_exp_avg_sq, int64_t updates, const lrk_mars_options *options);
LRK_API lrk_status lrk_step_mars_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                     double *last_grad, double *max_exp_avg_sq, int64_t updates,
                                     const lrk_mars_options *options);

/* sgd: SGD; lr_inside: the buffer contains lr; zero_start: it starts at 0, not with the gradient. From
 *     lrkern/optimizers/momentum.py.
 * Flags, 0 or 1: decoupled, maximize, nesterov, lr_inside, zero_start, cautious_decay.
 * lrkern.SGD(params, lr): {}
 * momentum_buffer may be NULL: with_momentum is 0 then, else 1.
 * Before the first update momentum_buffer may hold anything if zero_start is 0.
 * It ignores cautious_decay, grokfast_alpha, grokfast_lamb. */
typedef struct lrk_sgd_options {
    double lr, weight_decay, decoupled, maximize, momentum, dampening, nesterov, lr_inside, zero_start, cautious_decay;
    double grokfast_alpha, grokfast_lamb;
} lrk_sgd_options;

LRK_API lrk_status lrk_step_sgd_f32(int64_t n, float *param, const float *grad, float *momentum_buffer, int64_t updates,
                                    const lrk_sgd_options *options);
LRK_API lrk_status lrk_step_sgd_f64(int64_t n, double *param, const double *grad, double *momentum_buffer, int64_t updates,
                                    const lrk_sgd_options *options);

/* The same rule where with_momentum is 1 and cautious is 1.
 * Before the first update momentum_buffer may hold anything if zero_start is 0.
 * It ignores cautious_decay, grokfast_alpha, grokfast_lamb.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_sgd_momentum_cautious_f32(int64_t n, float *param, const float *grad, float *momentum_buffer,
                                                      int64_t updates, const lrk_sgd_options *options);
LRK_API lrk_status lrk_step_sgd_momentum_cautious_f64(int64_t n, double *param, const double *grad, double *momentum_buffer,
                                                      int64_t updates, const lrk_sgd_options *options);

/* The same rule where cautious_decay is 1.
 * momentum_buffer may be NULL: with_momentum is 0 then, else 1.
 * Before the first update momentum_buffer may hold anything if zero_start is 0.
 * It ignores cautious_decay, grokfast_alpha, grokfast_lamb. */
LRK_API lrk_status lrk_step_sgd_cautious_decay_f32(int64_t n, float *param, const float *grad, float *momentum_buffer,
                                                   int64_t updates, const lrk_sgd_options *options);
LRK_API lrk_status lrk_step_sgd_cautious_decay_f64(int64_t n, double *param, const double *grad, double *momentum_buffer,
                                                   int64_t updates, const lrk_sgd_options *options);

/* The same rule where grokfast is 1.
 * momentum_buffer may be NULL: with_momentum is 0 then, else 1.
 * Before the first update momentum_buffer may hold anything if zero_start is 0. */
LRK_API lrk_status lrk_step_sgd_grokfast_f32(int64_t n, float *param, const float *grad, float *momentum_buffer,
                                             float *grad_ema, int64_t updates, const lrk_sgd_options *options);
LRK_API lrk_status lrk_step_sgd_grokfast_f64(int64_t n, double *param, const double *grad, double *momentum_buffer,
                                             double *grad_ema, int64_t updates, const lrk_sgd_options *options);

/* The same rule where with_momentum is 1 and cautious is 1 and grokfast is 1.
 * Before the first update momentum_buffer may hold anything if zero_start is 0.
 * It ignores cautious_decay.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_sgd_grokfast_cautious_f32(int64_t n, float *param, const float *grad, float *momentum_buffer,
                                                      float *grad_ema, int64_t updates, const lrk_sgd_options *options);
LRK_API lrk_status lrk_step_sgd_grokfast_cautious_f64(int64_t n, double *param, const double *grad, double *momentum_buffer,
                                                      double *grad_ema, int64_t updates, const lrk_sgd_options *options);

/* lion: Lion. From lrkern/optimizers/momentum.py.
 * Flags, 0 or 1: decoupled, maximize, cautious_decay.
 * lrkern.Lion(params): {.lr = 0.0001, .decoupled = 1, .beta1 = 0.9, .beta2 = 0.99} */
typedef struct lrk_lion_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, cautious_decay;
} lrk_lion_options;

LRK_API lrk_status lrk_step_lion_f32(int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates,
                                     const lrk_lion_options *options);
LRK_API lrk_status lrk_step_lion_f64(int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates,
                                     const lrk_lion_options *options);

/* The same rule where cautious is 1.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_lion_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates,
                                              const lrk_lion_options *options);
LRK_API lrk_status lrk_step_lion_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates,
                                              const lrk_lion_options *options);

/* ademamix: AdEMAMix. From lrkern/optimizers/more_averages.py.
 * Flags, 0 or 1: decoupled, maximize, cautious_decay.
 * lrkern.AdEMAMix(params): {.lr = 0.001, .decoupled = 1, .beta1 = 0.9, .beta2 = 0.999, .beta3 = 0.9999, .alpha = 5, .eps =
 *     1e-08} */
typedef struct lrk_ademamix_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, beta3, alpha, eps, cautious_decay;
} lrk_ademamix_options;

LRK_API lrk_status lrk_step_ademamix_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_slow,
                                         float *exp_avg_sq, int64_t updates, const lrk_ademamix_options *options);
LRK_API lrk_status lrk_step_ademamix_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_slow,
                                         double *exp_avg_sq, int64_t updates, const lrk_ademamix_options *options);

/* The same rule where cautious is 1.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_ademamix_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg,
                                                  float *exp_avg_slow, float *exp_avg_sq, int64_t updates,
                                                  const lrk_ademamix_options *options);
LRK_API lrk_status lrk_step_ademamix_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg,
                                                  double *exp_avg_slow, double *exp_avg_sq, int64_t updates,
                                                  const lrk_ademamix_options *options);

/* adan: Adan. From lrkern/optimizers/more_averages.py.
 * Flags, 0 or 1: decoupled, maximize, proximal, cautious_decay.
 * lrkern.Adan(params): {.lr = 0.001, .decoupled = 1, .beta1 = 0.98, .beta2 = 0.92, .beta3 = 0.99, .eps = 1e-08, .proximal =
 *     1}
 * Before the first update these may hold anything: previous. */
typedef struct lrk_adan_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, beta3, eps, proximal, cautious_decay;
} lrk_adan_options;

LRK_API lrk_status lrk_step_adan_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_diff,
                                     float *exp_avg_sq, float *previous, int64_t updates, const lrk_adan_options *options);
LRK_API lrk_status lrk_step_adan_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_diff,
                                     double *exp_avg_sq, double *previous, int64_t updates, const lrk_adan_options *options);

/* The same rule where cautious is 1.
 * Before the first update these may hold anything: previous.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_adan_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_diff,
                                              float *exp_avg_sq, float *previous, int64_t updates,
                                              const lrk_adan_options *options);
LRK_API lrk_status lrk_step_adan_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg,
                                              double *exp_avg_diff, double *exp_avg_sq, double *previous, int64_t updates,
                                              const lrk_adan_options *options);

/* nadam: NAdam. From lrkern/optimizers/nadam.py.
 * Flags, 0 or 1: decoupled, maximize, cautious_decay.
 * lrkern.NAdam(params): {.lr = 0.002, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-08, .momentum_decay = 0.004}
 * Before the first update these may hold anything: mu_product.
 * Numbers of the tensor: mu_product. */
typedef struct lrk_nadam_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, momentum_decay, cautious_decay;
} lrk_nadam_options;

LRK_API lrk_status lrk_step_nadam_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                      double *mu_product, int64_t updates, const lrk_nadam_options *options);
LRK_API lrk_status lrk_step_nadam_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                      double *mu_product, int64_t updates, const lrk_nadam_options *options);

/* The same rule where cautious is 1.
 * Before the first update these may hold anything: mu_product.
 * Numbers of the tensor: mu_product.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_nadam_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                               double *mu_product, int64_t updates, const lrk_nadam_options *options);
LRK_API lrk_status lrk_step_nadam_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg,
                                               double *exp_avg_sq, double *mu_product, int64_t updates,
                                               const lrk_nadam_options *options);

/* novograd: NovoGrad. From lrkern/optimizers/novograd.py.
 * Flags, 0 or 1: decoupled, maximize, grad_averaging, cautious_decay.
 * lrkern.NovoGrad(params): {.lr = 0.001, .beta1 = 0.95, .beta2 = 0.98, .eps = 1e-08}
 * Before the first update these may hold anything: square.
 * Numbers of the tensor: square.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
typedef struct lrk_novograd_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, grad_averaging, cautious_decay;
} lrk_novograd_options;

LRK_API lrk_status lrk_step_novograd_f32(int64_t n, float *param, const float *grad, float *exp_avg, double *square,
                                         int64_t updates, const lrk_novograd_options *options);
LRK_API lrk_status lrk_step_novograd_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *square,
                                         int64_t updates, const lrk_novograd_options *options);

/* schedule_free_sgd: Schedule-free SGD. From lrkern/optimizers/schedule_free.py.
 * Flags, 0 or 1: decoupled, maximize.
 * lrkern.ScheduleFreeSGD(params): {.lr = 1, .beta = 0.9, .lr_power = 2}
 * Before the first update these may hold anything: base, average.
 * Numbers of the tensor: lr_max, weight_sum. */
typedef struct lrk_schedule_free_sgd_options {
    double lr, weight_decay, decoupled, maximize, beta, r, lr_power;
} lrk_schedule_free_sgd_options;

LRK_API lrk_status lrk_step_schedule_free_sgd_f32(int64_t n, float *param, const float *grad, float *base, float *average,
                                                  double *lr_max, double *weight_sum, int64_t updates,
                                                  const lrk_schedule_free_sgd_options *options);
LRK_API lrk_status lrk_step_schedule_free_sgd_f64(int64_t n, double *param, const double *grad, double *base, double *average,
                                                  double *lr_max, double *weight_sum, int64_t updates,
                                                  const lrk_schedule_free_sgd_options *options);

/* The same rule where cautious_decay is 1.
 * Before the first update these may hold anything: base, average.
 * Numbers of the tensor: lr_max, weight_sum. */
LRK_API lrk_status lrk_step_schedule_free_sgd_cautious_decay_f32(int64_t n, float *param, const float *grad, float *base,
                                                                 float *average, double *lr_max, double *weight_sum,
                                                                 int64_t updates, const lrk_schedule_free_sgd_options *options);
LRK_API lrk_status lrk_step_schedule_free_sgd_cautious_decay_f64(int64_t n, double *param, const double *grad, double *base,
                                                                 double *average, double *lr_max, double *weight_sum,
                                                                 int64_t updates, const lrk_schedule_free_sgd_options *options);

/* schedule_free_adamw: Schedule-free AdamW. From lrkern/optimizers/schedule_free.py.
 * Flags, 0 or 1: decoupled, maximize.
 * lrkern.ScheduleFreeAdamW(params): {.lr = 0.0025, .decoupled = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-08, .lr_power =
 *     2}
 * Before the first update these may hold anything: base, average.
 * Numbers of the tensor: lr_max, weight_sum. */
typedef struct lrk_schedule_free_adamw_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, r, lr_power;
} lrk_schedule_free_adamw_options;

LRK_API lrk_status lrk_step_schedule_free_adamw_f32(int64_t n, float *param, const float *grad, float *base, float *average,
                                                    float *exp_avg_sq, double *lr_max, double *weight_sum, int64_t updates,
                                                    const lrk_schedule_free_adamw_options *options);
LRK_API lrk_status lrk_step_schedule_free_adamw_f64(int64_t n, double *param, const double *grad, double *base, double *average,
                                                    double *exp_avg_sq, double *lr_max, double *weight_sum, int64_t updates,
                                                    const lrk_schedule_free_adamw_options *options);

/* The same rule where cautious_decay is 1.
 * Before the first update these may hold anything: base, average.
 * Numbers of the tensor: lr_max, weight_sum. */
LRK_API lrk_status lrk_step_schedule_free_adamw_cautious_decay_f32(int64_t n, float *param, const float *grad, float *base,
                                                                   float *average, float *exp_avg_sq, double *lr_max,
                                                                   double *weight_sum, int64_t updates,
                                                                   const lrk_schedule_free_adamw_options *options);
LRK_API lrk_status lrk_step_schedule_free_adamw_cautious_decay_f64(int64_t n, double *param, const double *grad, double *base,
                                                                   double *average, double *exp_avg_sq, double *lr_max,
                                                                   double *weight_sum, int64_t updates,
                                                                   const lrk_schedule_free_adamw_options *options);

/* schedule_free_radam: Schedule-free RAdam. From lrkern/optimizers/schedule_free.py.
 * Flags, 0 or 1: decoupled, maximize, silent.
 * lrkern.ScheduleFreeRAdam(params): {.lr = 0.0025, .decoupled = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-08, .lr_power =
 *     2, .silent = 1}
 * Before the first update these may hold anything: base, average.
 * Numbers of the tensor: lr_max, weight_sum. */
typedef struct lrk_schedule_free_radam_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, r, lr_power, silent;
} lrk_schedule_free_radam_options;

LRK_API lrk_status lrk_step_schedule_free_radam_f32(int64_t n, float *param, const float *grad, float *base, float *average,
                                                    float *exp_avg_sq, double *lr_max, double *weight_sum, int64_t updates,
                                                    const lrk_schedule_free_radam_options *options);
LRK_API lrk_status lrk_step_schedule_free_radam_f64(int64_t n, double *param, const double *grad, double *base, double *average,
                                                    double *exp_avg_sq, double *lr_max, double *weight_sum, int64_t updates,
                                                    const lrk_schedule_free_radam_options *options);

/* The same rule where cautious_decay is 1.
 * Before the first update these may hold anything: base, average.
 * Numbers of the tensor: lr_max, weight_sum. */
LRK_API lrk_status lrk_step_schedule_free_radam_cautious_decay_f32(int64_t n, float *param, const float *grad, float *base,
                                                                   float *average, float *exp_avg_sq, double *lr_max,
                                                                   double *weight_sum, int64_t updates,
                                                                   const lrk_schedule_free_radam_options *options);
LRK_API lrk_status lrk_step_schedule_free_radam_cautious_decay_f64(int64_t n, double *param, const double *grad, double *base,
                                                                   double *average, double *exp_avg_sq, double *lr_max,
                                                                   double *weight_sum, int64_t updates,
                                                                   const lrk_schedule_free_radam_options *options);

/* signum: Signum and Tiger. From lrkern/optimizers/signs.py.
 * Flags, 0 or 1: decoupled, maximize, nesterov, cautious_decay.
 * lrkern.Signum(params): {.lr = 0.0001, .decoupled = 1, .beta = 0.9}
 * lrkern.Tiger(params): {.lr = 0.001, .weight_decay = 0.01, .decoupled = 1, .beta = 0.965} */
typedef struct lrk_signum_options {
    double lr, weight_decay, decoupled, maximize, beta, nesterov, cautious_decay;
} lrk_signum_options;

LRK_API lrk_status lrk_step_signum_f32(int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates,
                                       const lrk_signum_options *options);
LRK_API lrk_status lrk_step_signum_f64(int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates,
                                       const lrk_signum_options *options);

/* The same rule where cautious is 1.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_signum_cautious_f32(int64_t n, float *param, const float *grad, float *exp_avg, int64_t updates,
                                                const lrk_signum_options *options);
LRK_API lrk_status lrk_step_signum_cautious_f64(int64_t n, double *param, const double *grad, double *exp_avg, int64_t updates,
                                                const lrk_signum_options *options);

/* rprop: Rprop. From lrkern/optimizers/signs.py.
 * Flags, 0 or 1: decoupled, maximize.
 * lrkern.Rprop(params): {.lr = 0.01, .eta_minus = 0.5, .eta_plus = 1.2, .step_min = 1e-06, .step_max = 50}
 * Before the first update these may hold anything: step_size. */
typedef struct lrk_rprop_options {
    double lr, weight_decay, decoupled, maximize, eta_minus, eta_plus, step_min, step_max;
} lrk_rprop_options;

LRK_API lrk_status lrk_step_rprop_f32(int64_t n, float *param, const float *grad, float *previous, float *step_size,
                                      int64_t updates, const lrk_rprop_options *options);
LRK_API lrk_status lrk_step_rprop_f64(int64_t n, double *param, const double *grad, double *previous, double *step_size,
                                      int64_t updates, const lrk_rprop_options *options);

/* rmsprop: RMSprop; lr_inside: the buffer contains lr. From lrkern/optimizers/squares.py.
 * Flags, 0 or 1: decoupled, maximize, eps_inside, lr_inside.
 * lrkern.RMSprop(params): {.lr = 0.01, .alpha = 0.99, .eps = 1e-08}
 * grad_avg may be NULL: centered is 0 then, else 1, whatever the options say.
 * momentum_buffer may be NULL: with_momentum is 0 then, else 1, whatever the options say. */
typedef struct lrk_rmsprop_options {
    double lr, weight_decay, decoupled, maximize, alpha, eps, momentum, with_momentum, centered, eps_inside, lr_inside;
} lrk_rmsprop_options;

LRK_API lrk_status lrk_step_rmsprop_f32(int64_t n, float *param, const float *grad, float *square_avg, float *grad_avg,
                                        float *momentum_buffer, int64_t updates, const lrk_rmsprop_options *options);
LRK_API lrk_status lrk_step_rmsprop_f64(int64_t n, double *param, const double *grad, double *square_avg, double *grad_avg,
                                        double *momentum_buffer, int64_t updates, const lrk_rmsprop_options *options);

/* The same rule where cautious is 1.
 * grad_avg may be NULL: centered is 0 then, else 1, whatever the options say.
 * momentum_buffer may be NULL: with_momentum is 0 then, else 1, whatever the options say.
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
LRK_API lrk_status lrk_step_rmsprop_cautious_f32(int64_t n, float *param, const float *grad, float *square_avg, float *grad_avg,
                                                 float *momentum_buffer, int64_t updates, const lrk_rmsprop_options *options);
LRK_API lrk_status lrk_step_rmsprop_cautious_f64(int64_t n, double *param, const double *grad, double *square_avg,
                                                 double *grad_avg, double *momentum_buffer, int64_t updates,
                                                 const lrk_rmsprop_options *options);

/* The same rule where cautious_decay is 1.
 * grad_avg may be NULL: centered is 0 then, else 1, whatever the options say.
 * momentum_buffer may be NULL: with_momentum is 0 then, else 1, whatever the options say. */
LRK_API lrk_status lrk_step_rmsprop_cautious_decay_f32(int64_t n, float *param, const float *grad, float *square_avg,
                                                       float *grad_avg, float *momentum_buffer, int64_t updates,
                                                       const lrk_rmsprop_options *options);
LRK_API lrk_status lrk_step_rmsprop_cautious_decay_f64(int64_t n, double *param, const double *grad, double *square_avg,
                                                       double *grad_avg, double *momentum_buffer, int64_t updates,
                                                       const lrk_rmsprop_options *options);

/* adagrad: Adagrad. From lrkern/optimizers/squares.py.
 * Flags, 0 or 1: decoupled, maximize, eps_inside.
 * lrkern.Adagrad(params): {.lr = 0.01, .eps = 1e-10} */
typedef struct lrk_adagrad_options {
    double lr, weight_decay, decoupled, maximize, eps, lr_decay, eps_inside;
} lrk_adagrad_options;

LRK_API lrk_status lrk_step_adagrad_f32(int64_t n, float *param, const float *grad, float *sum, int64_t updates,
                                        const lrk_adagrad_options *options);
LRK_API lrk_status lrk_step_adagrad_f64(int64_t n, double *param, const double *grad, double *sum, int64_t updates,
                                        const lrk_adagrad_options *options);

/* The same rule where cautious_decay is 1. */
LRK_API lrk_status lrk_step_adagrad_cautious_decay_f32(int64_t n, float *param, const float *grad, float *sum, int64_t updates,
                                                       const lrk_adagrad_options *options);
LRK_API lrk_status lrk_step_adagrad_cautious_decay_f64(int64_t n, double *param, const double *grad, double *sum,
                                                       int64_t updates, const lrk_adagrad_options *options);

/* stable_adamw: StableAdamW. From lrkern/optimizers/stable_adamw.py.
 * Flags, 0 or 1: decoupled, maximize, cautious_decay.
 * lrkern.StableAdamW(params): {.lr = 0.001, .weight_decay = 0.01, .decoupled = 1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-08}
 * It looks at the whole array first: LRK_ERROR_MEMORY is possible. */
typedef struct lrk_stable_adamw_options {
    double lr, weight_decay, decoupled, maximize, beta1, beta2, eps, cautious_decay;
} lrk_stable_adamw_options;

LRK_API lrk_status lrk_step_stable_adamw_f32(int64_t n, float *param, const float *grad, float *exp_avg, float *exp_avg_sq,
                                             int64_t updates, const lrk_stable_adamw_options *options);
LRK_API lrk_status lrk_step_stable_adamw_f64(int64_t n, double *param, const double *grad, double *exp_avg, double *exp_avg_sq,
                                             int64_t updates, const lrk_stable_adamw_options *options);

#ifdef __cplusplus
}
#endif

#endif
