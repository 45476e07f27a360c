/* Optimizer steps of a list of tensors, with gradient clipping, averages and so on. lrkern_optimizers.h, which this includes, has
 * those of one array. docs/steps.md defines the arithmetic; lrkern.h describes conventions of the whole interface (errors,
 * ownership, threads, ABI).
 *
 * Rules have names: those of the functions in lrkern_optimizers.h, and of the variants that a function chooses by a missing
 * state (sgd_momentum, amsgrad, amsgrad_cautious, adabelief_amsgrad, ...). Each has inputs (its hyper-parameters, as doubles,
 * flags as 0 or 1), which lrk_rule_inputs names, and states (arrays like the parameter). */
#ifndef LRKERN_STEPS_H
#define LRKERN_STEPS_H

#include <stdbool.h>

#include "lrkern.h"
#include "lrkern_optimizers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Rules by name */

typedef int lrk_rule;

#define LRK_MAX_STATES 5
#define LRK_MAX_SCALAR_STATES 2
#define LRK_MAX_AVERAGES 3
#define LRK_MAX_INPUTS 16

/* The rule of that name; -1 if there is none. Numbers may change between versions, names do not. */
LRK_API lrk_rule lrk_rule_find(const char *name);

/* Index of an input among the rule's inputs, by name; -1 if it has none of that name. */
LRK_API int lrk_rule_input(lrk_rule rule, const char *name);

/* Names of a rule and of its inputs, the latter separated by spaces; number of states that it may have. */
LRK_API const char *lrk_rule_name(lrk_rule rule);
LRK_API const char *lrk_rule_inputs(lrk_rule rule);
LRK_API int lrk_rule_states(lrk_rule rule);

/* Number of a rule's scalar states: numbers that each tensor keeps from one update to the next. */
LRK_API int lrk_rule_scalar_states(lrk_rule rule);

/* ---- Lists of tensors
 *
 * lrk_step_list_init; fill in tensors, except gradients, and groups; lrk_step_list_finalize; then for each step set gradients
 * and call lrk_step_run; at the end lrk_step_list_free, which frees none of your arrays. One thread at a time may use a
 * list. */

/* Storage types of elements. Float64 parameters are computed in float64, all others in float32. */
typedef enum lrk_storage { LRK_F32, LRK_F64, LRK_BF16, LRK_F16, LRK_N_STORAGES } lrk_storage;

/* LRK_SPLIT: bfloat16 parameters have 16 more bits in the array LRK_REMAINDER; together they are float32. */
typedef enum lrk_rounding { LRK_NEAREST, LRK_STOCHASTIC, LRK_SPLIT } lrk_rounding;

/* The scope of the norm that clip_norm bounds: the whole list, each group or each tensor. */
typedef enum lrk_clip_per { LRK_CLIP_LIST, LRK_CLIP_GROUP, LRK_CLIP_TENSOR } lrk_clip_per;

/* The arrays of a tensor. */
typedef enum lrk_step_role {
    LRK_PARAM,
    LRK_GRAD,
    LRK_STATE, /* and the next four: the rule's states, in its order */
    LRK_EMA = 7, /* and the next two: averages of the parameter, in the type that it is computed in; begin as copies of it */
    LRK_COPY = 10, /* each step writes the parameter to it, in its own type */
    LRK_REMAINDER, /* int16, 0 at the start; its type is LRK_BF16 */
    LRK_N_ROLES
} lrk_step_role;

/* A gradient with only some of the rows: the gradient of the parameter's row `index[k]` is the sum of its rows
 * order[begin[k]], ..., order[begin[k + 1] - 1], in this order. */
typedef struct lrk_step_sparse {
    int64_t count;
    const int64_t *index, *begin, *order;
} lrk_step_sparse;

/* Of a parameter, and of what the rule measures: a norm or a sum. */
typedef struct lrk_step_norms {
    double p, m;
} lrk_step_norms;

/* Norms of a tensor's gradient, divided by grad_scale; of its parameter before the step; of the change of the parameter. */
typedef struct lrk_step_lengths {
    double grad, param, update;
} lrk_step_lengths;

/* One tensor: `size` elements each, of any alignment. Nothing that is written may overlap anything else. */
typedef struct lrk_step_tensor {
    void *data[LRK_N_ROLES]; /* NULL: none; a tensor without a gradient is skipped */
    int64_t size;
    uint8_t type[LRK_N_ROLES]; /* lrk_storage */
    int32_t group;
    bool plain; /* set by lrk_step_list_finalize: stored as it is computed, and nothing but states to keep */
    const double *row_lrs; /* one learning rate for each row, or NULL */
    const lrk_step_sparse *sparse; /* NULL: the gradient is dense */
    int64_t width; /* elements of a row, if row_lrs or sparse is set */
    lrk_step_norms norms; /* set during a step, for rules that need them */
    double scalar_states[LRK_MAX_SCALAR_STATES]; /* of rules that have some: 0 before the first update; steps change them */
} lrk_step_tensor;

/* What the tensors of a group share. */
typedef struct lrk_step_group {
    lrk_rule rule;
    double inputs[LRK_MAX_INPUTS]; /* in the rule's order: the first is lr; may be changed before each step */
    double ema[LRK_MAX_AVERAGES]; /* decays of the averages */
    bool measures; /* set while a step runs: the rule needs norms */
    int32_t clips_with; /* under LRK_CLIP_GROUP: the group in whose norm the gradients of this one are; at first itself */
} lrk_step_group;

/* Gradients that have a norm together. */
typedef struct lrk_step_clip {
    double square; /* the sum of the squares of their elements */
    double norm, factor; /* what the elements are multiplied by */
    bool finite;
} lrk_step_clip;

/* An address range that a step writes to. */
typedef struct lrk_step_span {
    uintptr_t begin, end;
    int64_t tensor;
} lrk_step_span;

/* You fill in tensors, groups, updates and, if needed, recent; the rest belongs to the library. */
typedef struct lrk_step_list {
    lrk_step_tensor *tensors;
    int64_t *updates; /* number of updates of each tensor so far */
    int64_t count;
    lrk_step_group *groups;
    int64_t n_groups;
    int64_t *starts; /* tensor i takes up [starts[i], starts[i+1]) of the work that threads share */
    int64_t *blocks; /* the same for the blocks of norms; set during a step */
    double *sums; /* sums of squares of these blocks */
    lrk_step_lengths *lengths; /* with options.norms: of each tensor at the last step done; -1 without a gradient */
    int64_t room; /* capacity of sums */
    double *recent; /* yours, for skip_sigma: room for skip_window norms of steps done; number k is at k % skip_window */
    int64_t recent_count; /* the number of norms there have been */
    lrk_step_clip *clips; /* of the whole list, and after it of each group or tensor, as clip_per says */
    lrk_step_span *written; /* ascending and disjoint */
    int64_t n_written;
} lrk_step_list;

/* Options of a step outside the rule: start from lrk_step_defaults. */
typedef struct lrk_step_options {
    double grad_scale; /* gradients are divided by it */
    double clip_norm, clip_value; /* infinity: off */
    double skip_norm; /* a step whose norm is above does nothing, but zeroes gradients as zero_grad says; infinity: off */
    double
        skip_sigma; /* the same for a norm that is so many standard deviations above the mean of the last ones; needs recent */
    int64_t skip_window; /* the number of norms that these are of; no step is skipped before so many are known */
    lrk_clip_per clip_per;
    bool skip_nonfinite; /* a step whose gradients are not all finite does nothing, but zeroes them as zero_grad says */
    bool error_if_nonfinite; /* such a step does nothing at all: result.refused */
    bool zero_grad;
    bool norms; /* whether norms of each tensor are computed */
    lrk_rounding rounding; /* of parameters in 16 bits */
    lrk_rounding state_rounding; /* of states in 16 bits: to nearest, or stochastically */
    int64_t ema_every; /* averages change at the steps `step` with step + 1 divisible by this: 1 for each one */
    uint64_t seed;
    uint64_t step; /* number of the step, from 0; for stochastic rounding, it must differ at each step */
} lrk_step_options;

/* No options; states are rounded stochastically. */
LRK_API lrk_step_options lrk_step_defaults(void);

typedef struct lrk_step_result {
    const char *isa; /* whose kernels ran; NULL: memory ran out, and nothing has been done */
    bool skipped, refused;
    double grad_norm; /* of the whole list; NaN if it was not needed */
} lrk_step_result;

/* Makes a list of `count` tensors and `n_groups` groups, all zero except for clips_with. */
LRK_API lrk_status lrk_step_list_init(lrk_step_list *list, int64_t count, int64_t n_groups);
LRK_API void lrk_step_list_free(lrk_step_list *list);

/* Prepares a list whose tensors are complete except for gradients. Returns -1, or the index of a tensor with a written array
 * that overlaps one of tensor *other: then the list cannot be used. */
LRK_API int64_t lrk_step_list_finalize(lrk_step_list *list, int64_t *other);

/* -1, or the index of a tensor with a written array that overlaps these bytes, for example a gradient's. */
LRK_API int64_t lrk_step_list_find_overlap(const lrk_step_list *list, const void *address, int64_t bytes);

/* Redistributes the work: needed after gradients became sparse or dense. */
LRK_API void lrk_step_list_balance(lrk_step_list *list);

/* Writes each LRK_COPY from its parameter, as a step does: for parameters changed outside of steps. */
LRK_API void lrk_step_copy(lrk_step_list *list);

/* One step of all tensors that have a gradient, whose counts of updates go up by one; of none if it is skipped. */
LRK_API lrk_step_result lrk_step_run(lrk_step_list *list, const lrk_step_options *options);

/* The index of the first element of a tensor's parameter whose gradient is not finite in the type of its computations (rows of
 * the same index summed), and its *value; -1 if there is none. For gradients that a step has refused. */
LRK_API int64_t lrk_step_nonfinite(const lrk_step_list *list, int64_t tensor, double *value);

/* ---- Rules of one's own
 *
 * A rule that has been registered is like any other: groups of lists use it by its number, with clipping, averages, narrow
 * types and so on. Its functions are called from any thread, and write nothing but their results. T is float or double; arrays
 * of T need not be aligned to their elements, and do not overlap. With the words of lrkern_rule.h and its flags, results are the
 * same on every machine. */

struct lrk_rule_tensor; /* what scalars depend on besides the inputs: see lrkern_rule.h */

/* Computes scalars in float64 from the inputs of a group: the coefs, once for each update of a tensor, or the scalar states after
 * that update. */
typedef void lrk_own_scalars(const double *inputs, const struct lrk_rule_tensor *tensor, double *out);

/* Updates `size` elements. coefs: the scalars of the update, each rounded to T. The next elements to be updated are `ahead` of
 * these, for kernels that prefetch. */
typedef void lrk_own_update(int64_t size, int64_t ahead, void *param, const void *grad, void *const *states, const void *coefs);

/* Writes what the rule measures of `size` elements to `out`, in T. */
typedef void lrk_own_measure(int64_t size, int64_t ahead, const void *param, const void *grad, void *const *states,
                             const void *coefs, void *out);

/* What tensor->measured is of the elements that `measure` has written: see lrk_rule_tensor. */
typedef enum lrk_measured { LRK_MEASURES_NOTHING, LRK_MEASURES_NORM, LRK_MEASURES_SUM } lrk_measured;

#define LRK_MAX_COEFS 24

typedef struct lrk_own_rule {
    const char *name; /* one that no other rule has */
    const char *inputs; /* their names, in order, with a space between them; lr is the one that row_lrs replace */
    int states, scalar_states, coefs; /* how many there are */
    lrk_measured measured;
    lrk_own_scalars *scalars; /* may be NULL without coefs */
    lrk_own_scalars *new_scalar_states; /* may be NULL without scalar states */
    lrk_own_update *update[2]; /* for T = float at LRK_F32, double at LRK_F64 */
    lrk_own_measure *measure[2]; /* may be NULL for a rule that measures nothing */
} lrk_own_rule;

/* Registers a rule for the rest of the process, from any thread. The struct and its texts are copied. Returns its number, or
 * LRK_ERROR_ARGUMENT: a name is missing, known or not a word, a count is beyond the limits above, a function is NULL; or
 * LRK_ERROR_MEMORY: also if there are 16384 rules. */
LRK_API lrk_rule lrk_rule_register(const lrk_own_rule *rule);

#ifdef __cplusplus
}
#endif

#endif
