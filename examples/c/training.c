/* A training loop in C: a line fitted by SGD, by schedule-free SGD and by AdamW, the learning rate from a schedule.
 *
 *     cc -I$(python -c "import lrkern; print(lrkern.get_include())") training.c -llrkern -lm -pthread
 */
#include <stdio.h>
#include <stdlib.h>

#include "lrkern_plan.h"
#include "lrkern_steps.h"

enum { STEPS = 60, WARMUP = 5, POINTS = 8 };

static void check(lrk_status status, const char *what)
{
    if (status == LRK_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, lrk_status_text(status));
    exit(1);
}

/* WARMUP steps from 0 to peak, then half a cosine down to 0. Whoever makes an expression releases it. */
static lrk_expr *warmup_cosine(double peak)
{
    lrk_expr *zero = lrk_constant(0, 1), *top = lrk_constant(peak, 1);
    lrk_expr *rise = lrk_ramp(LRK_SHAPE_FALL, 1, 1, WARMUP, zero, 0, top, 0);
    lrk_expr *fall = lrk_ramp(LRK_SHAPE_COSINE, 1, 1, STEPS - WARMUP, top, 0, zero, 0);
    lrk_expr *schedule = lrk_join((lrk_expr *[]){rise, fall}, (double[]){WARMUP}, NULL, 2);
    lrk_expr_release(zero);
    lrk_expr_release(top);
    lrk_expr_release(rise);
    lrk_expr_release(fall);
    return schedule;
}

/* Gradient of the mean of (p[0] + p[1] x - y)^2 / 2, where y = 1 + 3 x. */
static void gradient(const float *p, float *grad)
{
    grad[0] = grad[1] = 0;
    for (int i = 0; i < POINTS; i++) {
        const float x = (float)i / POINTS - 0.5f, error = p[0] + p[1] * x - (1 + 3 * x);
        grad[0] += error / POINTS;
        grad[1] += error * x / POINTS;
    }
}

int main(void)
{
    if (lrk_abi_version() != LRK_ABI_VERSION) {
        fprintf(stderr, "liblrkern is of version %d, its headers of version %d\n", lrk_abi_version(), LRK_ABI_VERSION);
        return 1;
    }
    lrk_expr *schedule = warmup_cosine(0.5);
    if (schedule == NULL)
        check(LRK_ERROR_MEMORY, "schedule");

    /* The whole schedule at once, and the same values one by one. */
    double table[STEPS];
    int64_t overflow_at;
    lrk_plan plan;
    check(lrk_plan_compile(schedule, STEPS, 1 << 16, 64, &plan), "lrk_plan_compile");
    check(lrk_fill(schedule, &plan, 0, STEPS, table, LRK_FLOAT64, &overflow_at), "lrk_fill");
    for (int64_t t = 0; t < STEPS; t++)
        if (lrk_plan_at(&plan, t) != table[t])
            return 1;
    for (int64_t t = 0; t < STEPS; t += 10)
        printf("lr %a\n", table[t]);

    float p[2] = {0}, grad[2], buffer[2];
    lrk_sgd_options sgd = {.momentum = 0.9};
    for (int64_t t = 0; t < STEPS; t++) {
        gradient(p, grad);
        sgd.lr = table[t];
        check(lrk_step_sgd_f32(2, p, grad, buffer, t, &sgd), "lrk_step_sgd_f32");
    }
    printf("sgd %a %a\n", p[0], p[1]);

    /* A rule that keeps two more arrays and two numbers; `average` is the result. */
    float r[2] = {0}, base[2], average[2];
    double lr_max = 0, weight_sum = 0;
    const lrk_schedule_free_sgd_options free_sgd = {.lr = 0.5, .beta = 0.9, .lr_power = 2};
    for (int64_t t = 0; t < STEPS; t++) {
        gradient(r, grad);
        check(lrk_step_schedule_free_sgd_f32(2, r, grad, base, average, &lr_max, &weight_sum, t, &free_sgd),
              "lrk_step_schedule_free_sgd_f32");
    }
    printf("schedule-free %a %a\n", average[0], average[1]);

    /* AdamW, as a list of two tensors, gradients clipped to a norm of 1. */
    float q[2] = {0}, m[2] = {0}, v[2] = {0};
    lrk_step_list list;
    int64_t other;
    check(lrk_step_list_init(&list, 2, 1), "lrk_step_list_init");
    list.groups[0].rule = lrk_rule_find("adam");
    double *const inputs = list.groups[0].inputs;
    inputs[lrk_rule_input(list.groups[0].rule, "beta1")] = 0.9;
    inputs[lrk_rule_input(list.groups[0].rule, "beta2")] = 0.99;
    inputs[lrk_rule_input(list.groups[0].rule, "eps")] = 1e-8;
    inputs[lrk_rule_input(list.groups[0].rule, "weight_decay")] = 0.01;
    inputs[lrk_rule_input(list.groups[0].rule, "decoupled")] = 1;
    for (int i = 0; i < 2; i++) { /* all of type LRK_F32, which is 0 */
        list.tensors[i].size = 1;
        list.tensors[i].data[LRK_PARAM] = &q[i];
        list.tensors[i].data[LRK_STATE] = &m[i];
        list.tensors[i].data[LRK_STATE + 1] = &v[i];
    }
    if (lrk_step_list_finalize(&list, &other) >= 0)
        check(LRK_ERROR_OVERLAP, "lrk_step_list_finalize");
    for (int i = 0; i < 2; i++)
        list.tensors[i].data[LRK_GRAD] = &grad[i];
    lrk_step_options options = lrk_step_defaults();
    options.clip_norm = 1;
    for (int64_t t = 0; t < STEPS; t++) {
        gradient(q, grad);
        inputs[0] = table[t]; /* lr is the first input of every rule */
        if (lrk_step_run(&list, &options).isa == NULL)
            check(LRK_ERROR_MEMORY, "lrk_step_run");
    }
    printf("adamw %a %a\n", q[0], q[1]);

    lrk_step_list_free(&list);
    lrk_plan_free(&plan);
    lrk_expr_release(schedule);
    return 0;
}
