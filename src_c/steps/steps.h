/* The internal interface of the steps; lrkern_steps.h is the public one. */
#ifndef LRK_STEPS_H
#define LRK_STEPS_H

#include "lrkern_steps.h"
#include "steps/lrkern_rule.h"

/* LRK_RULE_<rule> and LRK_N_RULES, from generated_rules.def. */
#define LRK_RULE(rule, ...) LRK_RULE_##rule,
enum {
#include "steps/generated_rules.def"
    LRK_N_RULES
};

enum { LRK_N_COMPUTED = 2 };

/* The index of the learning rate in the inputs of every rule of the library. */
enum { LRK_INPUT_LR = 0 };

/* Elements per block of a norm. */
enum { LRK_NORM_BLOCK = 1024, LRK_NORM_LANES = 16 };

/* Sums of squares of float64 that overflow or are below the first are recomputed with elements scaled by the second. */
#define LRK_NORM_TINY_SUM 0x1p-900
#define LRK_NORM_SCALE 0x1p600

/* Arrays of a tensor that may be written besides its gradient. */
enum { LRK_MAX_WRITTEN = LRK_N_ROLES - 1 };

/* Sorts spans. Returns -1, or the tensor of one that overlaps one of tensor *other. */
int64_t lrk_step_spans_overlap(lrk_step_span *spans, int64_t count, int64_t *other);

/* lrk_step_list_find_overlap, which is quick if the bytes are in the same gap between written arrays as the last ones: *gap,
 * at first 0. */
int64_t lrk_step_find_overlap_near(const lrk_step_list *list, const void *address, int64_t bytes, int64_t *gap);

/* Bytes per element. */
static inline int64_t lrk_storage_bytes(lrk_storage type)
{
    return type == LRK_F64 ? 8 : type == LRK_F32 ? 4 : 2;
}

static inline int64_t lrk_step_bytes(const lrk_step_tensor *tensor, int role)
{
    return tensor->size * lrk_storage_bytes((lrk_storage)tensor->type[role]);
}

/* Elements that a step updates. */
static inline int64_t lrk_step_active(const lrk_step_tensor *tensor)
{
    return tensor->sparse == NULL ? tensor->size : tensor->sparse->count * tensor->width;
}

/* The type of a tensor's computation. */
static inline lrk_storage lrk_step_computed_in(const lrk_step_tensor *tensor)
{
    return tensor->type[LRK_PARAM] == LRK_F64 ? LRK_F64 : LRK_F32;
}

/* A step of one array, as the functions of lrkern_optimizers.h are given it. */
typedef struct lrk_one_array {
    lrk_rule rule;
    lrk_storage type; /* of all arrays */
    int64_t size;
    void *param;
    const void *grad;
    void *states[LRK_MAX_STATES]; /* in the order of the rule's kernels */
    double *scalar_states[LRK_MAX_SCALAR_STATES];
    int64_t updates;
    const void *inputs; /* the rule's, in its order: doubles */
    size_t inputs_size;
} lrk_one_array;

lrk_status lrk_step_one(const lrk_one_array *one);

/* A registered rule by its number. */
const lrk_own_rule *lrk_registered_rule(lrk_rule rule);

/* The same; NULL for a rule of the library. */
static inline const lrk_own_rule *lrk_own_rule_of(lrk_rule rule)
{
    return rule < LRK_N_RULES ? NULL : lrk_registered_rule(rule);
}

/* The number of a registered rule; -1 if there is none of that name. */
lrk_rule lrk_own_rule_find(const char *name);

/* The powers of lrkern_rule.h, for rules that are compiled while the program runs. */
double lrk_own_power(double base, int64_t n);
double lrk_own_one_minus_power(double base, int64_t n);
double lrk_own_real_power(double base, double exponent);

/* Whether a rule with these inputs needs norms. */
bool lrk_rule_measures(lrk_rule rule, const double *inputs);

/* Whether it is a sum that the rule needs, besides the norm of the parameter. */
bool lrk_rule_sums(lrk_rule rule);

/* The scalars of an update of a tensor. Returns their number. */
int lrk_rule_scalars(lrk_rule rule, const double *inputs, const lrk_rule_tensor *tensor, double *coefs);

/* The scalar states after this update, for rules that have some. */
void lrk_rule_new_scalar_states(lrk_rule rule, const double *inputs, const lrk_rule_tensor *tensor, double *states);

#endif
