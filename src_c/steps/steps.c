/* One step of a list: norms where something asks for them, then block after block through the pipeline of docs/steps.md. */
#include "steps/steps.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "isa/dispatch.h"
#include "arithmetic/exact_sum.h"
#include "runtime/fpenv.h"
#include "runtime/random.h"
#include "runtime/threads.h"

/* Less than this many bytes of parameters is done by the calling thread alone: it would be finished before another one is at
   work. */
enum { SERIAL_BELOW = 256 << 10 };

/* Work is handed out in pieces: several per thread, so that one that comes late costs little, and none so
   small that handing out shows. */
enum { PIECES_PER_THREAD = 8, MIN_PIECE = 32 << 10, MAX_PIECE = 1 << 20 };

/* From this many elements on, vector code is so much faster within cache lines that the elements before the first
   line get a call of their own. */
enum { ALIGN_FROM = 512 };

/* Elements that go through the pipeline together: few enough for two threads that share a core's innermost cache. */
enum { BLOCK = 512 };

/* Norms of float64 beyond these lose digits to overflow and underflow of squares, and are taken of scaled elements. */
static const double TINY_SUM = 0x1p-900, SCALE = 0x1p600;

typedef struct job {
    lrk_step_list *list;
    const lrk_step_options *options;
    const lrk_step_kernels *kernels;
    int64_t piece;
    double factor; /* of gradients */
    double scale; /* of what a norm is taken of */
    bool prepares; /* gradients are not used as they are */
    bool bare; /* nothing but the rule */
} job;

/* One element of staging memory is as large as any. The rest keeps buffers from falling on the same cache sets. */
typedef struct buffer {
    _Alignas(64) char bytes[LRK_NORM_BLOCK * sizeof(double) + 3 * LRK_CACHE_LINE];
} buffer;

/* What a thread needs for a piece. */
typedef struct workspace {
    const lrk_step_tensor *tensor; /* that the scalars are for, and all others of its group with as many updates */
    int64_t updates;
    double f64[LRK_MAX_COEFS];
    float f32[LRK_MAX_COEFS];
    buffer param, grad, term, states[LRK_MAX_STATES];
    bool cleared; /* states, as scratch memory for those that a rule could have, but has not */
} workspace;

static void *at(const lrk_step_tensor *tensor, int role, int64_t element)
{
    char *const data = tensor->data[role];
    return data == NULL ? NULL : data + element * lrk_storage_bytes((lrk_storage)tensor->type[role]);
}

/* ---- Scalars */

static const void *compute_coefs(workspace *w, const lrk_step_tensor *tensor, lrk_rule rule, const double *inputs)
{
    const int count = lrk_rule_scalars(rule, inputs, w->updates + 1, &tensor->norms, w->f64);
    for (int i = 0; i < count; i++)
        w->f32[i] = (float)w->f64[i];
    return lrk_step_computed_in(tensor) == LRK_F64 ? (const void *)w->f64 : w->f32;
}

static const void *coefs_of(const job *j, workspace *w, const lrk_step_tensor *tensor)
{
    const lrk_step_group *const group = &j->list->groups[tensor->group];
    const int64_t updates = j->list->updates[tensor - j->list->tensors];
    const bool same = w->tensor != NULL && w->tensor->group == tensor->group && w->updates == updates;
    if (same && (!group->measures || w->tensor == tensor))
        return lrk_step_computed_in(tensor) == LRK_F64 ? (const void *)w->f64 : w->f32;
    w->tensor = tensor;
    w->updates = updates;
    return compute_coefs(w, tensor, group->rule, group->inputs);
}

static const void *coefs_of_row(const job *j, workspace *w, const lrk_step_tensor *tensor, int64_t row)
{
    const lrk_step_group *const group = &j->list->groups[tensor->group];
    double inputs[LRK_MAX_INPUTS];
    memcpy(inputs, group->inputs, sizeof inputs);
    inputs[LRK_INPUT_LR] = tensor->row_lrs[row];
    w->tensor = NULL;
    w->updates = j->list->updates[tensor - j->list->tensors];
    return compute_coefs(w, tensor, group->rule, inputs);
}

/* ---- A block */

/* Elements [begin, begin + size) of a tensor; within its row number `row` of the step, where the gradient is sparse. */
typedef struct block {
    const lrk_step_tensor *tensor;
    const lrk_step_computed *kernels;
    lrk_storage type;
    int64_t begin, size, row;
    lrk_step_kept param, states;
    int64_t ahead; /* elements from here to those that come next, or 0: they are asked for early */
} block;

/* How a kernel finds what is kept like this. */
static lrk_step_kept as_found(lrk_step_kept kept)
{
    return kept == LRK_STAGED ? LRK_IN_T : kept;
}

static lrk_step_kept kept_param(const job *j, const lrk_step_tensor *tensor, lrk_storage computed)
{
    if (tensor->type[LRK_PARAM] == (int)computed)
        return LRK_IN_T;
    /* Averages and copies are made of the parameter in T. */
    if (tensor->data[LRK_EMA] != NULL || tensor->data[LRK_COPY] != NULL || j->options->rounding == LRK_STOCHASTIC)
        return LRK_STAGED;
    if (tensor->data[LRK_REMAINDER] != NULL)
        return LRK_IN_SPLIT;
    return tensor->type[LRK_PARAM] == LRK_BF16 ? LRK_IN_BF16 : LRK_STAGED;
}

static lrk_step_kept kept_states(const job *j, const lrk_step_tensor *tensor, lrk_storage computed)
{
    bool in_t = true, in_bf16 = j->options->state_rounding == LRK_STOCHASTIC;
    for (int role = LRK_STATE; role < LRK_STATE + LRK_MAX_STATES; role++) {
        in_t = in_t && (tensor->data[role] == NULL || tensor->type[role] == (int)computed);
        in_bf16 = in_bf16 && (tensor->data[role] == NULL || tensor->type[role] == LRK_BF16);
    }
    return in_t ? LRK_IN_T : in_bf16 && computed == LRK_F32 ? LRK_IN_BF16 : LRK_STAGED;
}

/* The sum of a row's gradients, in w->grad. */
static void *sum_rows(const block *b, workspace *w)
{
    const lrk_step_sparse *const sparse = b->tensor->sparse;
    const int64_t width = b->tensor->width, column = b->begin % width;
    lrk_step_load *const load = b->kernels->load[b->tensor->type[LRK_GRAD]];
    const int64_t first = sparse->begin[b->row];
    load(b->size, 0, at(b->tensor, LRK_GRAD, sparse->order[first] * width + column), w->grad.bytes);
    for (int64_t i = first + 1; i < sparse->begin[b->row + 1]; i++) {
        load(b->size, 0, at(b->tensor, LRK_GRAD, sparse->order[i] * width + column), w->term.bytes);
        b->kernels->add(b->size, w->grad.bytes, w->term.bytes);
    }
    return w->grad.bytes;
}

/* The gradient in T, as it is stored. */
static const void *raw_gradient(const block *b, workspace *w)
{
    const int type = b->tensor->type[LRK_GRAD];
    if (b->tensor->sparse != NULL)
        return sum_rows(b, w);
    if (type == (int)b->type)
        return at(b->tensor, LRK_GRAD, b->begin);
    b->kernels->load[type](b->size, b->ahead, at(b->tensor, LRK_GRAD, b->begin), w->grad.bytes);
    return w->grad.bytes;
}

/* The gradient in T, scaled and clipped. */
static const void *gradient(const job *j, const block *b, workspace *w)
{
    const double limit = j->options->clip_value;
    if (!j->prepares)
        return raw_gradient(b, w);
    if (b->tensor->sparse == NULL) {
        lrk_step_prepare *const prepare = b->kernels->prepare[b->tensor->type[LRK_GRAD]];
        prepare(b->size, b->ahead, at(b->tensor, LRK_GRAD, b->begin), w->grad.bytes, j->factor, limit);
        return w->grad.bytes;
    }
    b->kernels->prepare[b->type](b->size, 0, sum_rows(b, w), w->term.bytes, j->factor, limit);
    return w->term.bytes;
}

/* The parameter, in T if it is staged. */
static void *parameter(const job *j, const block *b, workspace *w)
{
    void *const stored = at(b->tensor, LRK_PARAM, b->begin);
    if (b->param != LRK_STAGED)
        return stored;
    if (b->tensor->data[LRK_REMAINDER] != NULL)
        j->kernels->load_split(b->size, b->ahead, stored, at(b->tensor, LRK_REMAINDER, b->begin), w->param.bytes);
    else
        b->kernels->load[b->tensor->type[LRK_PARAM]](b->size, b->ahead, stored, w->param.bytes);
    return w->param.bytes;
}

/* The states, in T if they are staged; scratch memory for those that there are not. */
static void load_states(const block *b, workspace *w, void *out[LRK_MAX_STATES])
{
    for (int s = 0; s < LRK_MAX_STATES; s++) {
        void *const stored = at(b->tensor, LRK_STATE + s, b->begin);
        out[s] = stored != NULL && b->states != LRK_STAGED ? stored : w->states[s].bytes;
        if (stored == NULL && !w->cleared)
            memset(w->states[s].bytes, 0, sizeof w->states[s].bytes);
        if (stored != NULL && b->states == LRK_STAGED)
            b->kernels->load[b->tensor->type[LRK_STATE + s]](b->size, b->ahead, stored, w->states[s].bytes);
    }
    w->cleared = true;
}

static lrk_step_random random_of(const job *j, int64_t begin, uint64_t stream)
{
    const uint64_t place = (stream << 32) + ((uint64_t)begin >> 32);
    const uint64_t key = lrk_random_word(j->options->seed, j->options->step, place);
    return (lrk_step_random){(uint32_t)key, (uint32_t)(key >> 32), (uint32_t)begin};
}

/* Streams of random bits: of parameters, and of the first state. */
enum { PARAM_STREAM = 0, STATE_STREAM = 1 };

/* Writes back what lies in staging memory. */
static void store(const job *j, const block *b, int role, const void *values, lrk_rounding rounding, uint64_t stream)
{
    const int type = b->tensor->type[role];
    void *const out = at(b->tensor, role, b->begin);
    if (out == NULL)
        return;
    if (rounding == LRK_STOCHASTIC && b->kernels->store_random[type] != NULL)
        b->kernels->store_random[type](b->size, values, out, random_of(j, b->begin, stream));
    else
        b->kernels->store[type](b->size, 0, values, out);
}

static void zero_gradient(const block *b)
{
    const lrk_step_sparse *const sparse = b->tensor->sparse;
    const size_t bytes = (size_t)(b->size * lrk_storage_bytes((lrk_storage)b->tensor->type[LRK_GRAD]));
    if (sparse == NULL) {
        memset(at(b->tensor, LRK_GRAD, b->begin), 0, bytes);
        return;
    }
    const int64_t width = b->tensor->width, column = b->begin % width;
    for (int64_t i = sparse->begin[b->row]; i < sparse->begin[b->row + 1]; i++)
        memset(at(b->tensor, LRK_GRAD, sparse->order[i] * width + column), 0, bytes);
}

static void run_block(const job *j, workspace *w, const block *b, const void *coefs)
{
    const lrk_step_tensor *const tensor = b->tensor;
    const lrk_step_group *const group = &j->list->groups[tensor->group];
    const void *const grad = gradient(j, b, w);
    void *const param = parameter(j, b, w), *const remainder = at(tensor, LRK_REMAINDER, b->begin), *states[LRK_MAX_STATES];
    load_states(b, w, states);
    lrk_step_random random[LRK_MAX_STATES] = {0};
    for (int s = 0; b->states == LRK_IN_BF16 && s < LRK_MAX_STATES; s++)
        random[s] = random_of(j, b->begin, STATE_STREAM + (uint64_t)s);
    lrk_step_update *const update = b->kernels->update[as_found(b->param)][as_found(b->states)][group->rule];
    update(b->size, b->ahead, param, remainder, grad, states[0], states[1], states[2], coefs, random);
    if (tensor->data[LRK_EMA] != NULL)
        b->kernels->average(b->size, b->ahead, at(tensor, LRK_EMA, b->begin), param, 1 - group->ema);
    if (tensor->data[LRK_COPY] != NULL)
        b->kernels->store[tensor->type[LRK_COPY]](b->size, b->ahead, param, at(tensor, LRK_COPY, b->begin));
    if (b->param == LRK_STAGED && remainder != NULL)
        j->kernels->store_split(b->size, param, at(tensor, LRK_PARAM, b->begin), remainder);
    else if (b->param == LRK_STAGED)
        store(j, b, LRK_PARAM, param, j->options->rounding, PARAM_STREAM);
    for (int s = 0; b->states == LRK_STAGED && s < LRK_MAX_STATES; s++)
        store(j, b, LRK_STATE + s, states[s], j->options->state_rounding, STATE_STREAM + (uint64_t)s);
    if (j->options->zero_grad)
        zero_gradient(b);
}

/* ---- A piece of the list's work */

/* Elements from `from` to the next start of a cache line. */
static int64_t to_line(const lrk_step_tensor *tensor, int64_t from)
{
    const int64_t item = lrk_storage_bytes((lrk_storage)tensor->type[LRK_PARAM]);
    return (int64_t)(-(uintptr_t)at(tensor, LRK_PARAM, from) % LRK_CACHE_LINE) / item;
}

/* Elements [from, to) of a tensor block by block; `first` is the number of the first one's element, `row` as in `block`. */
static void run_blocks(const job *j, workspace *w, const lrk_step_tensor *tensor, const void *coefs, int64_t row, int64_t from,
                       int64_t to)
{
    const lrk_storage type = lrk_step_computed_in(tensor);
    block b = {
        .tensor = tensor,
        .kernels = j->kernels->computed[type],
        .type = type,
        .row = row,
        .param = kept_param(j, tensor, type),
        .states = kept_states(j, tensor, type),
    };
    const int64_t head = to - from < ALIGN_FROM ? 0 : to_line(tensor, from);
    for (b.begin = from; b.begin < to; b.begin += b.size) {
        b.size = b.begin == from && head > 0 ? head : BLOCK;
        b.size = b.size < to - b.begin ? b.size : to - b.begin;
        /* The keys of random bits change where the upper half of an element's number does. */
        const int64_t same_half = (INT64_C(1) << 32) - (b.begin & UINT32_MAX);
        b.size = b.size < same_half ? b.size : same_half;
        b.ahead = tensor->sparse == NULL && b.begin + b.size < to ? BLOCK : 0;
        run_block(j, w, &b, coefs);
    }
}

/* The rule alone, on the arrays themselves. */
static void run_bare(const job *j, const lrk_step_tensor *tensor, const void *coefs, int64_t from, int64_t to)
{
    lrk_step_update *const *const rules = j->kernels->computed[tensor->type[LRK_PARAM]]->update[LRK_IN_T][LRK_IN_T];
    const int64_t ahead = to - from > BLOCK ? BLOCK : 0;
    rules[j->list->groups[tensor->group].rule](to - from, ahead, at(tensor, LRK_PARAM, from), NULL, at(tensor, LRK_GRAD, from),
                                               at(tensor, LRK_STATE, from), at(tensor, LRK_STATE + 1, from),
                                               at(tensor, LRK_STATE + 2, from), coefs, NULL);
}

/* Elements [from, to) of those that the step works on. */
static void run_range(const job *j, workspace *w, const lrk_step_tensor *tensor, int64_t from, int64_t to)
{
    const bool sparse = tensor->sparse != NULL;
    if (j->bare && tensor->plain && !sparse && tensor->type[LRK_GRAD] == tensor->type[LRK_PARAM]) {
        const void *const coefs = coefs_of(j, w, tensor);
        const int64_t head = to - from < ALIGN_FROM ? 0 : to_line(tensor, from);
        if (head > 0)
            run_bare(j, tensor, coefs, from, from + head);
        run_bare(j, tensor, coefs, from + head, to);
        return;
    }
    if (!sparse && tensor->row_lrs == NULL) {
        run_blocks(j, w, tensor, coefs_of(j, w, tensor), 0, from, to);
        return;
    }
    for (int64_t next; from < to; from = next) {
        const int64_t k = from / tensor->width, row = sparse ? tensor->sparse->index[k] : k;
        const int64_t shift = (row - k) * tensor->width;
        next = (k + 1) * tensor->width < to ? (k + 1) * tensor->width : to;
        const void *const coefs = tensor->row_lrs == NULL ? coefs_of(j, w, tensor) : coefs_of_row(j, w, tensor, row);
        run_blocks(j, w, tensor, coefs, k, from + shift, next + shift);
    }
}

/* The element of a tensor at which the work is cut in two after `work` of it: at the start of a cache line where the
   array allows it, so that two threads never write to the same line, and vector loads stay within lines. */
static int64_t cut(const lrk_step_tensor *tensor, int64_t work)
{
    const int64_t item = lrk_storage_bytes((lrk_storage)tensor->type[LRK_PARAM]), active = lrk_step_active(tensor);
    if (work <= 0)
        return 0;
    if (work >= active * item)
        return active;
    const int64_t bytes = work - (int64_t)(((uintptr_t)tensor->data[LRK_PARAM] + (uintptr_t)work) % LRK_CACHE_LINE);
    return bytes <= 0 ? 0 : bytes / item;
}

/* The last of `count` ranges [starts[i], starts[i + 1]) that starts at or before `position`. */
static int64_t range_at(const int64_t *starts, int64_t count, int64_t position)
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

static void run_piece(void *ctx, int64_t index)
{
    const job *const j = ctx;
    const lrk_step_list *const list = j->list;
    const int64_t begin = index * j->piece;
    const int64_t left = list->starts[list->count] - begin;
    const int64_t end = begin + (left < j->piece ? left : j->piece);
    workspace w;
    w.tensor = NULL;
    w.cleared = false;
    for (int64_t i = range_at(list->starts, list->count, begin); i < list->count && list->starts[i] < end; i++) {
        const lrk_step_tensor *const tensor = &list->tensors[i];
        const int64_t from = cut(tensor, begin - list->starts[i]), to = cut(tensor, end - list->starts[i]);
        if (from < to && tensor->data[LRK_GRAD] != NULL)
            run_range(j, &w, tensor, from, to);
    }
}

static void run_pieces(job *j)
{
    const int64_t total = j->list->starts[j->list->count];
    const int64_t threads = total < SERIAL_BELOW ? 1 : lrk_get_threads();
    if (total == 0)
        return;
    j->piece = total;
    if (threads > 1) {
        j->piece = total / (threads * PIECES_PER_THREAD);
        j->piece = j->piece < MIN_PIECE ? MIN_PIECE : j->piece > MAX_PIECE ? MAX_PIECE : j->piece;
    }
    lrk_parallel((total - 1) / j->piece + 1, run_piece, j);
}

/* ---- Norms */

/* Blocks of a norm that a thread takes at a time. */
enum { BLOCKS_PER_PIECE = 64 };

/* Blocks per row of a sparse gradient, or of the whole tensor. */
static int64_t blocks_per_row(const lrk_step_tensor *tensor)
{
    return ((tensor->sparse == NULL ? tensor->size : tensor->width) + LRK_NORM_BLOCK - 1) / LRK_NORM_BLOCK;
}

/* Block number `index` of a tensor. */
static block norm_block(const job *j, const lrk_step_tensor *tensor, int64_t index)
{
    const lrk_storage type = lrk_step_computed_in(tensor);
    const bool sparse = tensor->sparse != NULL;
    const int64_t per_row = blocks_per_row(tensor), row = index / per_row, column = index % per_row * LRK_NORM_BLOCK;
    const int64_t width = sparse ? tensor->width : tensor->size;
    return (block){
        .tensor = tensor,
        .kernels = j->kernels->computed[type],
        .type = type,
        .begin = (sparse ? tensor->sparse->index[row] * width : 0) + column,
        .size = width - column < LRK_NORM_BLOCK ? width - column : LRK_NORM_BLOCK,
        .row = row,
        .param = tensor->type[LRK_PARAM] == (int)type ? LRK_IN_T : LRK_STAGED,
        .states = LRK_STAGED, /* what measures change is thrown away */
        .ahead = sparse || column + LRK_NORM_BLOCK >= width ? 0 : LRK_NORM_BLOCK,
    };
}

/* Calls visit(j, w, b, k) for a piece of all blocks, k their numbers in the whole list. */
static void visit_blocks(const job *j, int64_t piece, void (*visit)(const job *j, workspace *w, const block *b, int64_t k))
{
    const lrk_step_list *const list = j->list;
    const int64_t total = list->blocks[list->count];
    const int64_t end = (piece + 1) * BLOCKS_PER_PIECE < total ? (piece + 1) * BLOCKS_PER_PIECE : total;
    workspace w;
    w.tensor = NULL;
    w.cleared = false;
    int64_t k = piece * BLOCKS_PER_PIECE;
    for (int64_t i = range_at(list->blocks, list->count, k); k < end; i++)
        for (; k < end && k < list->blocks[i + 1]; k++) {
            const block b = norm_block(j, &list->tensors[i], k - list->blocks[i]);
            visit(j, &w, &b, k);
        }
}

static void sum_gradient(const job *j, workspace *w, const block *b, int64_t k)
{
    j->list->sums[k] = b->kernels->norm(b->size, b->ahead, raw_gradient(b, w), j->scale);
}

static void sum_gradients(void *ctx, int64_t piece)
{
    visit_blocks(ctx, piece, sum_gradient);
}

static void sum_measured(const job *j, workspace *w, const block *b, int64_t k)
{
    const lrk_step_tensor *const tensor = b->tensor;
    lrk_step_measure *const measure = b->kernels->measure[j->list->groups[tensor->group].rule];
    if (measure == NULL)
        return;
    const void *const grad = gradient(j, b, w), *const param = parameter(j, b, w), *const coefs = coefs_of(j, w, tensor);
    void *states[LRK_MAX_STATES];
    load_states(b, w, states);
    measure(b->size, b->ahead, param, grad, states[0], states[1], states[2], coefs, w->term.bytes);
    j->list->sums[2 * k] = b->kernels->norm(b->size, 0, param, 1);
    j->list->sums[2 * k + 1] = b->kernels->norm(b->size, 0, w->term.bytes, 1);
}

static void sum_measures(void *ctx, int64_t piece)
{
    visit_blocks(ctx, piece, sum_measured);
}

/* Cuts all gradients into blocks, with room for two sums each. False without memory. */
static bool make_blocks(lrk_step_list *list)
{
    int64_t total = 0;
    for (int64_t i = 0; i < list->count; i++) {
        const lrk_step_tensor *const tensor = &list->tensors[i];
        list->blocks[i] = total;
        if (tensor->data[LRK_GRAD] != NULL)
            total += blocks_per_row(tensor) * (tensor->sparse == NULL ? 1 : tensor->sparse->count);
    }
    list->blocks[list->count] = total;
    if (list->sums != NULL && 2 * total <= list->room)
        return true;
    free(list->sums);
    list->sums = malloc(((size_t)total * 2 + 1) * sizeof *list->sums); /* never NULL, which nothing may be added to */
    list->room = list->sums == NULL ? 0 : 2 * total;
    return list->sums != NULL;
}

static void run_norms(job *j, void (*task)(void *ctx, int64_t piece))
{
    lrk_parallel((j->list->blocks[j->list->count] + BLOCKS_PER_PIECE - 1) / BLOCKS_PER_PIECE, task, j);
}

/* The exact sum of every `stride`-th of these from sums[first] on, `count` of them, rounded once. Where nothing is to be added there
 * may be no array. */
static double total_of(const double *sums, int64_t first, int64_t count, int64_t stride)
{
    lrk_exact_sum total = {0};
    for (int64_t k = 0; k < count; k++)
        lrk_sum_add(&total, sums[first + k * stride]);
    return lrk_sum_round(&total);
}

/* The sum of the squares of all gradients, each multiplied by `scale`. */
static double square_of_gradients(job *j, double scale)
{
    j->scale = scale;
    run_norms(j, sum_gradients);
    return total_of(j->list->sums, 0, j->list->blocks[j->list->count], 1);
}

/* The norm of all gradients, as they are stored. *finite: whether each of them is. */
static double raw_norm(job *j, bool *finite)
{
    bool doubles = false;
    for (int64_t i = 0; i < j->list->count; i++)
        doubles |= j->list->tensors[i].data[LRK_GRAD] != NULL && j->list->tensors[i].type[LRK_PARAM] == LRK_F64;
    double scale = 1, square = square_of_gradients(j, scale);
    if (doubles && (square == HUGE_VAL || square < TINY_SUM)) {
        scale = square < TINY_SUM ? SCALE : 1 / SCALE;
        square = square_of_gradients(j, scale);
    }
    *finite = square < HUGE_VAL;
    return __builtin_sqrt(square) / scale;
}

/* Sets the norms of tensors whose rules ask for them. */
static void measure(job *j)
{
    lrk_step_list *const list = j->list;
    for (int64_t i = 0; i < list->count; i++) /* what is measured depends on no norm, least of all on that of the step before */
        list->tensors[i].norms = (lrk_step_norms){1, 1};
    run_norms(j, sum_measures);
    for (int64_t i = 0; i < list->count; i++)
        if (list->groups[list->tensors[i].group].measures) {
            const int64_t first = list->blocks[i], count = list->blocks[i + 1] - first;
            list->tensors[i].norms.p = __builtin_sqrt(total_of(list->sums, 2 * first, count, 2));
            list->tensors[i].norms.m = __builtin_sqrt(total_of(list->sums, 2 * first + 1, count, 2));
        }
}

/* ---- A step */

/* Gradients to zero, and nothing else. */
static void zero_gradients(const lrk_step_list *list)
{
    for (int64_t i = 0; i < list->count; i++) {
        const lrk_step_tensor *const tensor = &list->tensors[i];
        const lrk_step_sparse *const sparse = tensor->sparse;
        const int64_t count = sparse == NULL ? tensor->size : sparse->begin[sparse->count] * tensor->width;
        if (tensor->data[LRK_GRAD] != NULL)
            memset(tensor->data[LRK_GRAD], 0, (size_t)(count * lrk_storage_bytes((lrk_storage)tensor->type[LRK_GRAD])));
    }
}

static bool any_measures(const lrk_step_list *list)
{
    for (int64_t g = 0; g < list->n_groups; g++)
        if (list->groups[g].measures)
            return true;
    return false;
}

static void copy_tensor(void *ctx, int64_t index)
{
    const job *const j = ctx;
    const lrk_step_tensor *const tensor = &j->list->tensors[index];
    const lrk_storage type = lrk_step_computed_in(tensor);
    workspace w;
    block b = {
        .tensor = tensor,
        .kernels = j->kernels->computed[type],
        .type = type,
        .param = tensor->type[LRK_PARAM] == (int)type ? LRK_IN_T : LRK_STAGED,
    };
    if (tensor->data[LRK_COPY] == NULL)
        return;
    for (; b.begin < tensor->size; b.begin += b.size) {
        b.size = tensor->size - b.begin < BLOCK ? tensor->size - b.begin : BLOCK;
        b.kernels->store[tensor->type[LRK_COPY]](b.size, 0, parameter(j, &b, &w), at(tensor, LRK_COPY, b.begin));
    }
}

void lrk_step_copy(lrk_step_list *list)
{
    job j = {.list = list, .kernels = lrk_active()->steps};
    lrk_parallel(list->count, copy_tensor, &j);
}

lrk_step_result lrk_step_run(lrk_step_list *list, const lrk_step_options *options)
{
    LRK_FP_DEFAULT_HERE;
    const lrk_kernels *const active = lrk_active();
    const bool clips = options->clip_norm < HUGE_VAL, measures = any_measures(list);
    lrk_step_result result = {.isa = active->isa, .grad_norm = NAN};
    job j = {.list = list, .options = options, .kernels = active->steps, .factor = 1 / options->grad_scale};
    if ((clips || options->skip_nonfinite || measures) && !make_blocks(list))
        return (lrk_step_result){0};
    if (clips || options->skip_nonfinite) {
        bool finite;
        const double raw = raw_norm(&j, &finite);
        result.grad_norm = raw / options->grad_scale;
        if (options->skip_nonfinite && !finite) {
            result.skipped = true;
            if (options->zero_grad)
                zero_gradients(list);
            return result;
        }
        if (clips && !(result.grad_norm <= options->clip_norm))
            j.factor = options->clip_norm / raw;
    }
    j.prepares = j.factor != 1 || options->clip_value < HUGE_VAL;
    j.bare = !j.prepares && !options->zero_grad;
    if (measures)
        measure(&j);
    run_pieces(&j);
    for (int64_t i = 0; i < list->count; i++)
        list->updates[i] += list->tensors[i].data[LRK_GRAD] != NULL;
    return result;
}
