/* A rule of one's own in C: Signum (arXiv 1802.04434), stepped like the rules of the library, here with clipping.
 *
 *     cc -ffp-contract=off -I$(python -c "import lrkern; print(lrkern.get_include())") own_rule.c -llrkern -lm -pthread
 */
#include <stdio.h>
#include <stdlib.h>

#include "lrkern_rule.h"
#include "lrkern_steps.h"

enum { SIZE = 4, STEPS = 10 };

/* The inputs, and the scalars that the loops use, in the orders of `rule` below. */
enum { LR, BETA, INPUTS };
enum { MINUS_LR, BETA_OF_ELEMENTS, ONE_MINUS_BETA, COEFS };

static void scalars(const double *inputs, const lrk_rule_tensor *tensor, double *coefs)
{
    (void)tensor; /* the number of the update, norms, scalar states */
    coefs[MINUS_LR] = -inputs[LR];
    coefs[BETA_OF_ELEMENTS] = inputs[BETA];
    coefs[ONE_MINUS_BETA] = 1 - inputs[BETA];
}

/* The loop for one type. Each operation is rounded once: a product and a sum are fused only by fma. */
#define UPDATE(name, T, FMA) \
    static void name(int64_t size, int64_t ahead, void *param, const void *grad, void *const *states, const void *coefs) \
    { \
        T *const p = param, *const momentum = states[0]; \
        const T *const g = grad, *const c = coefs; \
        (void)ahead; \
        for (int64_t i = 0; i < size; i++) { \
            momentum[i] = FMA(c[BETA_OF_ELEMENTS], momentum[i], c[ONE_MINUS_BETA] * g[i]); \
            p[i] = FMA(c[MINUS_LR], SIGN(momentum[i]), p[i]); \
        } \
    }

#define T float
UPDATE(update_f32, float, __builtin_fmaf)
#undef T
#define T double
UPDATE(update_f64, double, __builtin_fma)
#undef T

int main(void)
{
    const lrk_own_rule rule = {
        .name = "own_signum",
        .inputs = "lr beta",
        .states = 1,
        .coefs = COEFS,
        .scalars = scalars,
        .update = {[LRK_F32] = update_f32, [LRK_F64] = update_f64},
    };
    const lrk_rule signum = lrk_rule_register(&rule);
    if (signum < 0) {
        fprintf(stderr, "lrk_rule_register: %s\n", lrk_status_text((lrk_status)signum));
        return 1;
    }

    float param[SIZE] = {1, -2, 0.5f, 0}, grad[SIZE], momentum[SIZE] = {0};
    lrk_step_list list;
    lrk_step_options options = lrk_step_defaults();
    options.clip_norm = 1;
    if (lrk_step_list_init(&list, 1, 1) != LRK_OK)
        return 1;
    list.groups[0].rule = signum;
    list.groups[0].inputs[LR] = 0.125;
    list.groups[0].inputs[BETA] = 0.9;
    list.tensors[0].data[LRK_PARAM] = param;
    list.tensors[0].data[LRK_GRAD] = grad;
    list.tensors[0].data[LRK_STATE] = momentum;
    list.tensors[0].size = SIZE; /* all float32: the type is LRK_F32, 0 */
    int64_t other;
    if (lrk_step_list_finalize(&list, &other) >= 0)
        return 1;
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < SIZE; i++)
            grad[i] = 2 * param[i] - 0.5f;
        options.step = (uint64_t)step;
        if (lrk_step_run(&list, &options).isa == NULL)
            return 1;
    }
    lrk_step_list_free(&list);
    for (int i = 0; i < SIZE; i++)
        printf("%a %a\n", (double)param[i], (double)momentum[i]);
    return 0;
}
