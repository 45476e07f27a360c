/* The work of a step in pieces for the threads: each is cut into blocks, or is one call of the rule if that is all. */
#include "runtime/policy.h"
#include "runtime/threads.h"
#include "steps/parts.h"

/* From this many elements on, aligned vector code is so much faster that the elements before the first cache line get a
   separate call. */
enum { ALIGN_FROM = 512 };

/* The arrays of a small tensor are prefetched so many tensors before it is updated. 2, 4 and 8 were measured to be alike. */
enum { AHEAD = 4 };

/* Elements from `from` to the next start of a cache line. */
static int64_t to_line(const lrk_step_tensor *tensor, int64_t from)
{
    const int64_t item = lrk_storage_bytes((lrk_storage)tensor->type[LRK_PARAM]);
    return (int64_t)(-(uintptr_t)lrk_step_at(tensor, LRK_PARAM, from) % LRK_CACHE_LINE) / item;
}

/* The number of the block of norms that begins at an element. */
static int64_t number_of(const lrk_step_job *j, const lrk_step_tensor *tensor, int64_t row, int64_t begin)
{
    const int64_t first = j->list->blocks[tensor - j->list->tensors];
    if (!lrk_step_by_rows(tensor))
        return first + begin / LRK_NORM_BLOCK;
    return first + row * lrk_step_blocks_in(tensor->width) + begin % tensor->width / LRK_NORM_BLOCK;
}

/* Elements [from, to) of a tensor block by block; `first`: the index of its first element, `row`: as in `block`. */
static void run_blocks(const lrk_step_job *j, lrk_step_workspace *w, const lrk_step_tensor *tensor, const void *coefs,
                       int64_t row, int64_t from, int64_t to)
{
    const lrk_storage type = lrk_step_computed_in(tensor);
    lrk_step_block b = {
        .tensor = tensor,
        .kernels = j->kernels->computed[type],
        .type = type,
        .row = row,
        .param = lrk_step_kept_param(j, tensor, type),
        .states = lrk_step_kept_states(j, tensor, type),
    };
    const bool norms = j->options->norms;
    const int64_t length = norms ? LRK_NORM_BLOCK : BLOCK;
    const int64_t head = norms || to - from < ALIGN_FROM ? 0 : to_line(tensor, from);
    for (b.begin = from; b.begin < to; b.begin += b.size) {
        b.size = b.begin == from && head > 0 ? head : length;
        b.size = b.size < to - b.begin ? b.size : to - b.begin;
        /* The keys of random bits depend on the upper half of an element's index. */
        const int64_t same_half = (INT64_C(1) << 32) - (b.begin & UINT32_MAX);
        b.size = b.size < same_half ? b.size : same_half;
        b.ahead = tensor->sparse == NULL && b.begin + b.size < to ? length : 0;
        b.number = norms ? number_of(j, tensor, row, b.begin) : 0;
        lrk_step_run_block(j, w, &b, coefs);
    }
}

/* The states from an element on. */
static inline void states_at(const lrk_step_tensor *tensor, int64_t element, void *out[LRK_MAX_STATES])
{
    for (int s = 0; s < LRK_MAX_STATES; s++)
        out[s] = element == 0 ? tensor->data[LRK_STATE + s] : lrk_step_at(tensor, LRK_STATE + s, element);
}

/* Only the rule, directly on the arrays. Inlined: for small tensors the call would take as long as the rule. */
static inline __attribute__((always_inline)) void run_bare(const lrk_step_job *j, const lrk_step_tensor *tensor,
                                                           const void *coefs, int64_t from, int64_t to)
{
    const lrk_step_block b = {
        .kernels = j->kernels->computed[tensor->type[LRK_PARAM]],
        .type = (lrk_storage)tensor->type[LRK_PARAM],
        .size = to - from,
        .ahead = to - from > BLOCK ? BLOCK : 0,
    };
    void *states[LRK_MAX_STATES];
    states_at(tensor, from, states);
    lrk_step_update_by(j->list->groups[tensor->group].rule, &b, lrk_step_at(tensor, LRK_PARAM, from), NULL,
                       lrk_step_at(tensor, LRK_GRAD, from), states, coefs, NULL);
}

/* Elements [from, to) of all that the step updates. */
static void run_range(const lrk_step_job *j, lrk_step_workspace *w, const lrk_step_tensor *tensor, int64_t from, int64_t to)
{
    const bool sparse = tensor->sparse != NULL;
    const bool bare = j->bare || (!j->options->zero_grad && !j->options->norms && !lrk_step_prepares(j, tensor));
    if (bare && tensor->plain && !sparse && tensor->type[LRK_GRAD] == tensor->type[LRK_PARAM]) {
        const void *const coefs = lrk_step_coefs_of(j, w, tensor);
        const int64_t head = to - from < ALIGN_FROM ? 0 : to_line(tensor, from);
        if (head > 0)
            run_bare(j, tensor, coefs, from, from + head);
        run_bare(j, tensor, coefs, from + head, to);
        return;
    }
    if (!sparse && tensor->row_lrs == NULL) {
        run_blocks(j, w, tensor, lrk_step_coefs_of(j, w, tensor), 0, from, to);
        return;
    }
    for (int64_t next; from < to; from = next) {
        const int64_t k = from / tensor->width, row = sparse ? tensor->sparse->index[k] : k;
        const int64_t shift = (row - k) * tensor->width;
        next = (k + 1) * tensor->width < to ? (k + 1) * tensor->width : to;
        const void *const coefs =
            tensor->row_lrs == NULL ? lrk_step_coefs_of(j, w, tensor) : lrk_step_coefs_of_row(j, w, tensor, row);
        run_blocks(j, w, tensor, coefs, k, from + shift, next + shift);
    }
}

/* The element of a tensor at which work is divided after `work` bytes: at the start of a cache line if possible, so that
   two threads never write to the same line, and vector loads do not cross lines; with norms, at the start of a block. */
static int64_t cut(const lrk_step_tensor *tensor, int64_t work, bool norms)
{
    const int64_t item = lrk_storage_bytes((lrk_storage)tensor->type[LRK_PARAM]), active = lrk_step_active(tensor);
    if (work <= 0)
        return 0;
    if (work >= active * item)
        return active;
    const int64_t bytes = work - (int64_t)(((uintptr_t)tensor->data[LRK_PARAM] + (uintptr_t)work) % LRK_CACHE_LINE);
    const int64_t element = bytes <= 0 ? 0 : bytes / item;
    if (!norms)
        return element;
    return element - (lrk_step_by_rows(tensor) ? element % tensor->width : element) % LRK_NORM_BLOCK;
}

int64_t lrk_step_range_at(const int64_t *starts, int64_t count, int64_t position)
{
    int64_t low = 0, high = count;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (starts[middle] <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Prefetches the arrays of a small tensor: the parameter, the gradient, and up to two states. */
static inline __attribute__((always_inline)) void prefetch(const lrk_step_tensor *tensor)
{
    enum { LINES = 4 };
    const int64_t bytes = tensor->size * lrk_storage_bytes((lrk_storage)tensor->type[LRK_PARAM]);
    if (bytes > LINES * LRK_CACHE_LINE)
        return;
    for (int role = LRK_PARAM; role < LRK_STATE + 2; role++) {
        const char *const data = tensor->data[role];
        for (int64_t at = 0; data != NULL && at < bytes; at += LRK_CACHE_LINE)
            __builtin_prefetch(data + at);
    }
}

static void run_piece(void *ctx, int64_t index)
{
    const lrk_step_job *const j = ctx;
    const lrk_step_list *const list = j->list;
    const int64_t begin = index * j->piece;
    const int64_t left = list->starts[list->count] - begin;
    const int64_t end = begin + (left < j->piece ? left : j->piece);
    const bool norms = j->options->norms;
    lrk_step_workspace w;
    w.tensor = NULL;
    w.cleared = 0;
    for (int64_t i = lrk_step_range_at(list->starts, list->count, begin); i < list->count && list->starts[i] < end; i++) {
        const lrk_step_tensor *const tensor = &list->tensors[i];
        if (i + AHEAD < list->count)
            prefetch(&tensor[AHEAD]);
        if (tensor->data[LRK_GRAD] == NULL)
            continue;
        /* Most tensors of a list of small ones are within a piece. */
        const int64_t from = begin <= list->starts[i] ? 0 : cut(tensor, begin - list->starts[i], norms);
        const int64_t to = end >= list->starts[i + 1] ? lrk_step_active(tensor) : cut(tensor, end - list->starts[i], norms);
        if (from < to)
            run_range(j, &w, tensor, from, to);
    }
}

/* The number of states of the rule that has the most of them. */
static int64_t most_states(const lrk_step_list *list)
{
    int64_t most = 0;
    for (int64_t g = 0; g < list->n_groups; g++) {
        const int64_t states = lrk_rule_states(list->groups[g].rule);
        most = states > most ? states : most;
    }
    return most;
}

void lrk_step_run_pieces(lrk_step_job *j)
{
    const int64_t total = j->list->starts[j->list->count];
    if (total == 0)
        return;
    const uint32_t work = 1 + 2 * (uint32_t)j->list->groups[0].rule + j->bare;
    const int64_t traffic = lrk_step_traffic(total, most_states(j->list));
    const lrk_sharing how = lrk_sharing_for(LRK_WORK_STEP, lrk_step_kind(j->list, work), traffic);
    j->piece = total;
    if (how.threads > 1) {
        j->piece = total / ((int64_t)how.threads * LRK_PIECES_PER_THREAD);
        j->piece = j->piece < LRK_STEP_MIN_PIECE   ? LRK_STEP_MIN_PIECE
                   : j->piece > LRK_STEP_MAX_PIECE ? LRK_STEP_MAX_PIECE
                                                   : j->piece;
    }
    lrk_parallel(&how, (total - 1) / j->piece + 1, run_piece, j);
}
