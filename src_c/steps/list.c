/* Lists of tensors: what they write to, and how much work each is. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "steps/steps.h"

/* Work is measured in bytes of parameters. The overhead of a tensor equals about this many bytes: measured, with SGD, 15 ns on
   a fast processor and 25 on a slow one. */
enum { TENSOR_COST = 320 };

lrk_step_options lrk_step_defaults(void)
{
    return (lrk_step_options){
        .grad_scale = 1,
        .clip_norm = HUGE_VAL,
        .clip_value = HUGE_VAL,
        .skip_norm = HUGE_VAL,
        .skip_sigma = HUGE_VAL,
        .skip_window = 100,
        .ema_every = 1,
        .state_rounding = LRK_STOCHASTIC,
    };
}

lrk_status lrk_step_list_init(lrk_step_list *list, int64_t count, int64_t n_groups)
{
    const size_t room = (size_t)count + 1, clips = (size_t)(count > n_groups ? count : n_groups) + 1;
    *list = (lrk_step_list){
        .tensors = calloc(room, sizeof *list->tensors),
        .updates = calloc(room, sizeof *list->updates),
        .count = count,
        .groups = calloc((size_t)n_groups + 1, sizeof *list->groups),
        .n_groups = n_groups,
        .starts = calloc(room, sizeof *list->starts),
        .blocks = calloc(room, sizeof *list->blocks),
        .clips = calloc(clips, sizeof *list->clips),
        .lengths = calloc(room, sizeof *list->lengths),
        .written = calloc(room * LRK_MAX_WRITTEN, sizeof *list->written),
    };
    if (list->tensors == NULL || list->updates == NULL || list->groups == NULL || list->starts == NULL ||
        list->blocks == NULL || list->clips == NULL || list->lengths == NULL || list->written == NULL) {
        lrk_step_list_free(list);
        return LRK_ERROR_MEMORY;
    }
    for (int64_t g = 0; g < n_groups; g++)
        list->groups[g].clips_with = (int32_t)g;
    return LRK_OK;
}

void lrk_step_list_free(lrk_step_list *list)
{
    free(list->tensors);
    free(list->updates);
    free(list->groups);
    free(list->starts);
    free(list->blocks);
    free(list->sums);
    free(list->clips);
    free(list->lengths);
    free(list->written);
    *list = (lrk_step_list){0};
}

static int compare_spans(const void *a, const void *b)
{
    const uintptr_t x = ((const lrk_step_span *)a)->begin, y = ((const lrk_step_span *)b)->begin;
    return (x > y) - (x < y);
}

int64_t lrk_step_spans_overlap(lrk_step_span *spans, int64_t count, int64_t *other)
{
    /* In ascending order, spans are disjoint if and only if adjacent ones are. */
    qsort(spans, (size_t)count, sizeof *spans, compare_spans);
    for (int64_t i = 1; i < count; i++)
        if (spans[i].begin < spans[i - 1].end) {
            *other = spans[i - 1].tensor;
            return spans[i].tensor;
        }
    return -1;
}

/* Whether a kernel can work directly on the tensor's arrays, without averages or copies. */
static bool is_plain(const lrk_step_list *list, const lrk_step_tensor *tensor)
{
    const lrk_storage type = lrk_step_computed_in(tensor);
    const int states = lrk_rule_states(list->groups[tensor->group].rule);
    bool plain = tensor->type[LRK_PARAM] == type && tensor->row_lrs == NULL;
    for (int role = LRK_STATE; role < LRK_STATE + states; role++)
        plain = plain && tensor->data[role] != NULL && tensor->type[role] == type;
    for (int role = LRK_EMA; role < LRK_N_ROLES; role++)
        plain = plain && tensor->data[role] == NULL;
    return plain;
}

int64_t lrk_step_list_finalize(lrk_step_list *list, int64_t *other)
{
    list->n_written = 0;
    for (int64_t i = 0; i < list->count; i++) {
        lrk_step_tensor *const tensor = &list->tensors[i];
        tensor->plain = is_plain(list, tensor);
        for (int role = 0; role < LRK_N_ROLES; role++) {
            const uintptr_t begin = (uintptr_t)tensor->data[role];
            if (role != LRK_GRAD && tensor->data[role] != NULL && tensor->size > 0)
                list->written[list->n_written++] = (lrk_step_span){begin, begin + (uintptr_t)lrk_step_bytes(tensor, role), i};
        }
    }
    lrk_step_list_balance(list);
    return lrk_step_spans_overlap(list->written, list->n_written, other);
}

void lrk_step_list_balance(lrk_step_list *list)
{
    int64_t total = 0;
    for (int64_t i = 0; i < list->count; i++) {
        list->starts[i] = total;
        const lrk_step_tensor *const tensor = &list->tensors[i];
        total += lrk_step_active(tensor) * lrk_storage_bytes((lrk_storage)tensor->type[LRK_PARAM]) + TENSOR_COST;
    }
    list->starts[list->count] = total;
}

int64_t lrk_step_find_overlap_near(const lrk_step_list *list, const void *address, int64_t bytes, int64_t *gap)
{
    const lrk_step_span *const written = list->written;
    const uintptr_t begin = (uintptr_t)address, end = begin + (uintptr_t)bytes;
    int64_t low = *gap; /* the first span that ends after `begin` */
    if ((low > 0 && written[low - 1].end > begin) || (low < list->n_written && written[low].begin < end)) {
        low = 0;
        for (int64_t high = list->n_written; low < high;) {
            const int64_t middle = low + (high - low) / 2;
            if (written[middle].end <= begin)
                low = middle + 1;
            else
                high = middle;
        }
        *gap = low;
    }
    return bytes > 0 && low < list->n_written && written[low].begin < end ? written[low].tensor : -1;
}

int64_t lrk_step_list_find_overlap(const lrk_step_list *list, const void *address, int64_t bytes)
{
    int64_t gap = 0;
    return lrk_step_find_overlap_near(list, address, bytes, &gap);
}
