#include "steps.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "threads.h"

/* Work is measured in bytes of parameters. Each tensor also costs about what this many of them do. */
enum { TENSOR_COST = 64 };

/* Less than this is done by the calling thread alone: it would be finished before another one is at work. */
enum { SERIAL_BELOW = 256 << 10 };

/* Work is handed out in pieces: several per thread, so that one that comes late costs little, and none so
   small that handing out shows. */
enum { PIECES_PER_THREAD = 8, MIN_PIECE = 32 << 10, MAX_PIECE = 1 << 20 };

enum { CACHE_LINE = 64 };

/* From this many elements on, vector code is so much faster within cache lines that the elements before the first
   line get a call of their own. */
enum { ALIGN_FROM = 512 };

static const int64_t item_sizes[LRK_N_DTYPES] = {[LRK_FLOAT32] = sizeof(float), [LRK_FLOAT64] = sizeof(double)};

/* A family's scalars are doubles and nothing else, so they can be rounded as an array. */
#define C(name) +1
#define LRK_COEFS(family, fields) \
    _Static_assert(sizeof(lrk_##family##_coefs) == (0 fields) * sizeof(double) && (0 fields) <= LRK_MAX_COEFS, \
                   "scalars of " #family);
#define LRK_RULE(rule, family, states, ...) \
    _Static_assert((states) <= LRK_MAX_STATES, "states of " #rule); \
    enum { LRK_COEFS_OF_##rule = sizeof(lrk_##family##_coefs) / sizeof(double) };
#include "rules.def"
#undef C
#undef LRK_COEFS
#undef LRK_RULE

#define LRK_COEFS(family, fields)
#define LRK_RULE(rule, ...) [LRK_RULE_##rule] = LRK_COEFS_OF_##rule,
static const int coef_counts[LRK_N_RULES] = {
#include "rules.def"
};
#undef LRK_COEFS
#undef LRK_RULE

int lrk_step_list_init(lrk_step_list *list, int64_t count)
{
    const size_t room = (size_t)count + 1;
    *list = (lrk_step_list){
        .tensors = calloc(room, sizeof *list->tensors),
        .count = count,
        .starts = calloc(room, sizeof *list->starts),
        .written = calloc(room * (1 + LRK_MAX_STATES), sizeof *list->written),
    };
    if (list->tensors != NULL && list->starts != NULL && list->written != NULL)
        return 0;
    lrk_step_list_free(list);
    return -1;
}

void lrk_step_list_free(lrk_step_list *list)
{
    free(list->tensors);
    free(list->starts);
    free(list->written);
    *list = (lrk_step_list){0};
}

int64_t lrk_step_bytes(const lrk_step_tensor *tensor)
{
    return tensor->size * item_sizes[tensor->dtype];
}

static void add_written(lrk_step_list *list, const void *address, int64_t tensor)
{
    const int64_t bytes = lrk_step_bytes(&list->tensors[tensor]);
    const uintptr_t begin = (uintptr_t)address;
    if (address != NULL && bytes > 0)
        list->written[list->n_written++] = (lrk_step_span){begin, begin + (uintptr_t)bytes, tensor};
}

static int compare_spans(const void *a, const void *b)
{
    const uintptr_t x = ((const lrk_step_span *)a)->begin, y = ((const lrk_step_span *)b)->begin;
    return (x > y) - (x < y);
}

int64_t lrk_step_list_seal(lrk_step_list *list, int64_t *other)
{
    int64_t total = 0;
    list->n_written = 0;
    for (int64_t i = 0; i < list->count; i++) {
        list->starts[i] = total;
        total += lrk_step_bytes(&list->tensors[i]) + TENSOR_COST;
        add_written(list, list->tensors[i].param, i);
        for (int s = 0; s < LRK_MAX_STATES; s++)
            add_written(list, list->tensors[i].states[s], i);
    }
    list->starts[list->count] = total;

    /* In ascending order, spans are apart if and only if neighbours are. */
    qsort(list->written, (size_t)list->n_written, sizeof *list->written, compare_spans);
    for (int64_t i = 1; i < list->n_written; i++)
        if (list->written[i].begin < list->written[i - 1].end) {
            *other = list->written[i - 1].tensor;
            return list->written[i].tensor;
        }
    return -1;
}

int64_t lrk_step_list_hit(const lrk_step_list *list, const void *address, int64_t bytes)
{
    const uintptr_t begin = (uintptr_t)address;
    int64_t low = 0, high = list->n_written; /* the first span that ends after `begin` */
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (list->written[middle].end <= begin)
            low = middle + 1;
        else
            high = middle;
    }
    const bool hit = bytes > 0 && low < list->n_written && list->written[low].begin < begin + (uintptr_t)bytes;
    return hit ? list->written[low].tensor : -1;
}

/* Running */

typedef struct job {
    const lrk_step_list *list;
    lrk_step_kernel *const *kernels; /* per dtype */
    int64_t piece;
    double f64[LRK_MAX_COEFS];
    float f32[LRK_MAX_COEFS];
} job;

/* The element of a tensor at which the work is cut in two after `work` of it: at the start of a cache line where the
   array allows it, so that two threads never write to the same line, and vector loads stay within lines. */
static int64_t cut(const lrk_step_tensor *tensor, int64_t work)
{
    if (work <= 0)
        return 0;
    if (work >= lrk_step_bytes(tensor))
        return tensor->size;
    const int64_t bytes = work - (int64_t)(((uintptr_t)tensor->param + (uintptr_t)work) % CACHE_LINE);
    return bytes <= 0 ? 0 : bytes / item_sizes[tensor->dtype];
}

/* Elements from `from` to the next start of a cache line. */
static int64_t to_line(const lrk_step_tensor *tensor, int64_t from)
{
    const int64_t item = item_sizes[tensor->dtype];
    return (int64_t)(-((uintptr_t)tensor->param + (uintptr_t)(from * item)) % CACHE_LINE) / item;
}

/* The last tensor that starts at or before `position`. */
static int64_t tensor_at(const lrk_step_list *list, int64_t position)
{
    int64_t low = 0, high = list->count;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (list->starts[middle] <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void run(lrk_step_kernel *kernel, const lrk_step_tensor *tensor, int64_t from, int64_t to, const void *coefs)
{
    const int64_t skip = from * item_sizes[tensor->dtype];
    void *states[LRK_MAX_STATES];
    for (int s = 0; s < LRK_MAX_STATES; s++)
        states[s] = tensor->states[s] == NULL ? NULL : (char *)tensor->states[s] + skip;
    kernel(to - from, tensor->first, (char *)tensor->param + skip, (const char *)tensor->grad + skip, states[0], states[1],
           coefs);
}

static void run_piece(void *ctx, int64_t index)
{
    const job *j = ctx;
    const lrk_step_list *list = j->list;
    const void *const coefs[LRK_N_DTYPES] = {[LRK_FLOAT32] = j->f32, [LRK_FLOAT64] = j->f64};
    const int64_t begin = index * j->piece;
    const int64_t left = list->starts[list->count] - begin;
    const int64_t end = begin + (left < j->piece ? left : j->piece);
    for (int64_t i = tensor_at(list, begin); i < list->count && list->starts[i] < end; i++) {
        const lrk_step_tensor *tensor = &list->tensors[i];
        const int64_t from = cut(tensor, begin - list->starts[i]), to = cut(tensor, end - list->starts[i]);
        if (from >= to || tensor->grad == NULL)
            continue;
        const int64_t head = to - from < ALIGN_FROM ? 0 : to_line(tensor, from);
        if (head > 0)
            run(j->kernels[tensor->dtype], tensor, from, from + head, coefs[tensor->dtype]);
        run(j->kernels[tensor->dtype], tensor, from + head, to, coefs[tensor->dtype]);
    }
}

const char *lrk_step_run(const lrk_step_list *list, lrk_rule rule, const void *coefs)
{
    const lrk_kernels *kernels = lrk_active();
    const int64_t total = list->starts[list->count];
    if (total == 0)
        return kernels->isa;

    job j = {.list = list, .kernels = kernels->steps->update[rule]};
    memcpy(j.f64, coefs, (size_t)coef_counts[rule] * sizeof *j.f64);
    for (int i = 0; i < coef_counts[rule]; i++)
        j.f32[i] = (float)j.f64[i];

    j.piece = total;
    const int64_t threads = total < SERIAL_BELOW ? 1 : lrk_get_threads();
    if (threads > 1) {
        j.piece = total / (threads * PIECES_PER_THREAD);
        j.piece = j.piece < MIN_PIECE ? MIN_PIECE : j.piece > MAX_PIECE ? MAX_PIECE : j.piece;
    }
    lrk_parallel((total - 1) / j.piece + 1, run_piece, &j);
    return kernels->isa;
}

/* Coefficients */

lrk_sgd_coefs lrk_sgd_coefficients(double lr, double momentum, double dampening, double weight_decay, bool nesterov,
                                   bool decoupled, bool maximize)
{
    return (lrk_sgd_coefs){
        .sign = maximize ? -1 : 1,
        .decay = decoupled ? 0 : weight_decay,
        .keep = decoupled ? 1 - lr * weight_decay : 1,
        .lr = lr,
        .momentum = momentum,
        .fresh = 1 - dampening,
        .nesterov = nesterov,
    };
}
