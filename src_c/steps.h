/* Fused optimizer steps: one rule over a list of tensors, in place, in one call. */
#ifndef LRK_STEPS_H
#define LRK_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "lrkern.h"

/* LRK_RULE_<rule>, LRK_N_RULES and lrk_<family>_coefs, from rules.def. */
#define LRK_COEFS(family, fields)
#define LRK_RULE(rule, ...) LRK_RULE_##rule,
typedef enum lrk_rule {
#include "rules.def"
    LRK_N_RULES
} lrk_rule;
#undef LRK_COEFS
#undef LRK_RULE

#define C(name) double name;
#define LRK_COEFS(family, fields) \
    typedef struct lrk_##family##_coefs { \
        fields \
    } lrk_##family##_coefs;
#define LRK_RULE(...)
#include "rules.def"
#undef C
#undef LRK_COEFS
#undef LRK_RULE

enum { LRK_N_DTYPES = 2, LRK_MAX_STATES = 2, LRK_MAX_COEFS = 8 };

/* One tensor: `size` elements each, of any alignment. Nothing that is written may overlap anything else. */
typedef struct lrk_step_tensor {
    void *param;
    const void *grad; /* NULL: the step leaves this tensor alone */
    void *states[LRK_MAX_STATES];
    int64_t size;
    lrk_dtype dtype;
    int first; /* the states hold nothing yet */
} lrk_step_tensor;

/* An address range that a step writes to. */
typedef struct lrk_step_span {
    uintptr_t begin, end;
    int64_t tensor;
} lrk_step_span;

/* A list of tensors. Tensor i takes up [starts[i], starts[i+1]) of the work that threads share. */
typedef struct lrk_step_list {
    lrk_step_tensor *tensors;
    int64_t count;
    int64_t *starts;
    lrk_step_span *written; /* ascending, apart from each other */
    int64_t n_written;
} lrk_step_list;

/* Updates `size` elements. `first`: as in lrk_step_tensor. `coefs`: the family's scalars in the type it computes in. */
typedef void lrk_step_kernel(int64_t size, int first, void *restrict param, const void *restrict grad, void *restrict state0,
                             void *restrict state1, const void *restrict coefs);

/* The step kernels of one ISA. */
typedef struct lrk_step_kernels {
    lrk_step_kernel *update[LRK_N_RULES][LRK_N_DTYPES];
} lrk_step_kernels;

/* Makes a list of `count` tensors, all zero: fill in all but gradients, then seal the list. 0, or -1 without memory. */
int lrk_step_list_init(lrk_step_list *list, int64_t count);
void lrk_step_list_free(lrk_step_list *list);

/* Readies a list whose tensors have all but their gradients. Returns -1, or the index of a tensor with a written array
   that overlaps one of tensor *other: then the list cannot be used. */
int64_t lrk_step_list_seal(lrk_step_list *list, int64_t *other);

/* -1, or the index of a tensor with a written array that overlaps these bytes, a gradient's say. */
int64_t lrk_step_list_hit(const lrk_step_list *list, const void *address, int64_t bytes);

/* Bytes of each of a tensor's arrays. */
int64_t lrk_step_bytes(const lrk_step_tensor *tensor);

/* One step of all tensors that have a gradient. `coefs`: the rule's lrk_<family>_coefs. Returns the name of the ISA. */
const char *lrk_step_run(const lrk_step_list *list, lrk_rule rule, const void *coefs);

/* The scalars of SGD in torch's convention. */
lrk_sgd_coefs lrk_sgd_coefficients(double lr, double momentum, double dampening, double weight_decay, bool nesterov,
                                   bool decoupled, bool maximize);

#endif
