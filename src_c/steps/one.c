/* A step of one array: a list of one tensor, on the stack. The functions for each rule are in generated_functions.c. */
#include <stdlib.h>
#include <string.h>

#include "steps/steps.h"

static bool overlap(const void *a, int64_t a_bytes, const void *b, int64_t b_bytes)
{
    const uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return a_bytes > 0 && b_bytes > 0 && x < y + (uintptr_t)b_bytes && y < x + (uintptr_t)a_bytes;
}

/* Whether the caller's numbers of the tensor overlap an array of the list, the gradient or each other. */
static bool numbers_overlap(const lrk_one_array *one, const lrk_step_list *list, int64_t bytes_of_grad)
{
    const int64_t bytes = sizeof(double);
    for (int k = 0; k < LRK_MAX_SCALAR_STATES; k++) {
        const double *const number = one->scalar_states[k];
        if (number == NULL)
            continue;
        if (lrk_step_list_find_overlap(list, number, bytes) >= 0 || overlap(number, bytes, one->grad, bytes_of_grad))
            return true;
        for (int i = 0; i < k; i++)
            if (overlap(number, bytes, one->scalar_states[i], bytes))
                return true;
    }
    return false;
}

lrk_status lrk_step_one(const lrk_one_array *one)
{
    lrk_step_tensor tensor = {.size = one->size};
    lrk_step_group group = {.rule = one->rule};
    int64_t updates = one->updates, starts[2], blocks[2], other;
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
    memcpy(group.inputs, one->inputs, one->inputs_size);
    tensor.data[LRK_PARAM] = one->param;
    for (int k = 0; k < LRK_MAX_STATES; k++)
        tensor.data[LRK_STATE + k] = one->states[k];
    for (int role = 0; role < LRK_EMA; role++)
        tensor.type[role] = (uint8_t)one->type;
    for (int k = 0; k < LRK_MAX_SCALAR_STATES; k++) /* memcpy: of any alignment */
        if (one->scalar_states[k] != NULL)
            memcpy(&tensor.scalar_states[k], one->scalar_states[k], sizeof(double));
    const int64_t bytes = lrk_step_bytes(&tensor, LRK_GRAD);
    if (lrk_step_list_finalize(&list, &other) >= 0 || lrk_step_list_find_overlap(&list, one->grad, bytes) >= 0 ||
        numbers_overlap(one, &list, bytes))
        return LRK_ERROR_OVERLAP;
    /* Only read: zero_grad is off. NULL would mean no update, but an empty array may be there. */
    tensor.data[LRK_GRAD] = one->size == 0 ? &tensor : (void *)(uintptr_t)one->grad;
    const lrk_step_options plain = lrk_step_defaults();
    const lrk_step_result result = lrk_step_run(&list, &plain);
    free(list.sums);
    if (result.isa == NULL)
        return LRK_ERROR_MEMORY;
    for (int k = 0; k < LRK_MAX_SCALAR_STATES; k++)
        if (one->scalar_states[k] != NULL)
            memcpy(one->scalar_states[k], &tensor.scalar_states[k], sizeof(double));
    return LRK_OK;
}
