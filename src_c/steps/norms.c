/* Norms of gradients, and those that rules need: exact sums of block sums of squares. */
#include <stdlib.h>
#include <string.h>

#include "arithmetic/exact_sum.h"
#include "runtime/fpenv.h"
#include "runtime/policy.h"
#include "runtime/threads.h"
#include "steps/parts.h"

/* Beyond these limits squares of float64 overflow or lose digits, and norms are computed from scaled elements. */
static const double TINY_SUM = LRK_NORM_TINY_SUM, SCALE = LRK_NORM_SCALE;

/* Blocks per row of a sparse gradient, or of the whole tensor. */
static int64_t blocks_per_row(const lrk_step_tensor *tensor)
{
    return lrk_step_blocks_in(tensor->sparse == NULL ? tensor->size : tensor->width);
}

/* Block number `index` of a tensor. */
static lrk_step_block norm_block(const lrk_step_job *j, const lrk_step_tensor *tensor, int64_t index)
{
    const lrk_storage type = lrk_step_computed_in(tensor);
    const bool sparse = tensor->sparse != NULL;
    const int64_t per_row = blocks_per_row(tensor), row = index / per_row, column = index % per_row * LRK_NORM_BLOCK;
    const int64_t width = sparse ? tensor->width : tensor->size;
    return (lrk_step_block){
        .tensor = tensor,
        .kernels = j->kernels->computed[type],
        .type = type,
        .begin = (sparse ? tensor->sparse->index[row] * width : 0) + column,
        .size = width - column < LRK_NORM_BLOCK ? width - column : LRK_NORM_BLOCK,
        .row = row,
        .param = tensor->type[LRK_PARAM] == (int)type ? LRK_IN_T : LRK_STAGED,
        .states = LRK_STAGED, /* changes by measures are discarded */
        .ahead = sparse || column + LRK_NORM_BLOCK >= width ? 0 : LRK_NORM_BLOCK,
    };
}

/* Calls visit(j, w, b, k) for a piece of all blocks; k is the index in the whole list. */
static void visit_blocks(const lrk_step_job *j, int64_t piece,
                         void (*visit)(const lrk_step_job *j, lrk_step_workspace *w, const lrk_step_block *b, int64_t k))
{
    const lrk_step_list *const list = j->list;
    const int64_t total = list->blocks[list->count];
    const int64_t end = (piece + 1) * LRK_NORM_BLOCKS_PER_PIECE < total ? (piece + 1) * LRK_NORM_BLOCKS_PER_PIECE : total;
    lrk_step_workspace w;
    w.tensor = NULL;
    w.cleared = 0;
    int64_t k = piece * LRK_NORM_BLOCKS_PER_PIECE;
    for (int64_t i = lrk_step_range_at(list->blocks, list->count, k); k < end; i++)
        for (; k < end && k < list->blocks[i + 1]; k++) {
            const lrk_step_block b = norm_block(j, &list->tensors[i], k - list->blocks[i]);
            visit(j, &w, &b, k);
        }
}

/* Whether a norm is computed from elements multiplied by `scale`. */
static bool is_taken(const lrk_step_clip *clip, double scale)
{
    return scale == 1 || (scale > 1 ? clip->square < TINY_SUM : clip->square == HUGE_VAL);
}

static void sum_gradient(const lrk_step_job *j, lrk_step_workspace *w, const lrk_step_block *b, int64_t k)
{
    const lrk_step_clip *const clips = j->list->clips;
    if (is_taken(&clips[0], j->scale) || is_taken(&clips[lrk_step_clip_of(j, b->tensor)], j->scale))
        j->list->sums[k] = b->kernels->norm(b->size, b->ahead, lrk_step_raw_gradient(b, w), j->scale);
}

static void sum_gradients(void *ctx, int64_t piece)
{
    visit_blocks(ctx, piece, sum_gradient);
}

static void sum_measured(const lrk_step_job *j, lrk_step_workspace *w, const lrk_step_block *b, int64_t k)
{
    const lrk_step_tensor *const tensor = b->tensor;
    const lrk_step_group *const group = &j->list->groups[tensor->group];
    if (!group->measures)
        return;
    const void *const grad = lrk_step_gradient(j, b, w), *const param = lrk_step_parameter(j, b, w),
                      *const coefs = lrk_step_coefs_of(j, w, tensor);
    void *states[LRK_MAX_STATES];
    lrk_step_load_states(j, b, w, states);
    const lrk_own_rule *const own = lrk_own_rule_of(group->rule);
    if (own != NULL)
        own->measure[b->type](b->size, b->ahead, param, grad, states, coefs, w->term.bytes);
    else
        b->kernels->measure[group->rule](b->size, b->ahead, param, grad, states[0], states[1], states[2], states[3], states[4],
                                         coefs, w->term.bytes);
    j->list->sums[2 * k] = b->kernels->norm(b->size, 0, param, 1);
    j->list->sums[2 * k + 1] =
        lrk_rule_sums(group->rule) ? b->kernels->sum(b->size, w->term.bytes) : b->kernels->norm(b->size, 0, w->term.bytes, 1);
}

static void sum_measures(void *ctx, int64_t piece)
{
    visit_blocks(ctx, piece, sum_measured);
}

static int64_t rows_of(const lrk_step_tensor *tensor, bool in_step)
{
    if (tensor->sparse != NULL)
        return tensor->sparse->count;
    return in_step && tensor->row_lrs != NULL && tensor->width > 0 ? tensor->size / tensor->width : 1;
}

bool lrk_step_make_blocks(lrk_step_list *list, bool in_step)
{
    int64_t total = 0;
    for (int64_t i = 0; i < list->count; i++) {
        const lrk_step_tensor *const tensor = &list->tensors[i];
        list->blocks[i] = total;
        if (tensor->data[LRK_GRAD] != NULL)
            total += rows_of(tensor, in_step) *
                     (in_step && tensor->row_lrs != NULL ? lrk_step_blocks_in(tensor->width) : blocks_per_row(tensor));
    }
    list->blocks[list->count] = total;
    if (list->sums != NULL && 3 * total <= list->room)
        return true;
    free(list->sums);
    list->sums = malloc(((size_t)total * 3 + 1) * sizeof *list->sums); /* never NULL: pointer arithmetic on NULL is undefined */
    list->room = list->sums == NULL ? 0 : 3 * total;
    return list->sums != NULL;
}

static void run_norms(lrk_step_job *j, void (*task)(void *ctx, int64_t piece))
{
    const int64_t blocks = j->list->blocks[j->list->count];
    const lrk_sharing how = lrk_sharing_for(LRK_WORK_NORM, lrk_step_kind(j->list, 0), blocks * LRK_NORM_BLOCK);
    lrk_parallel(&how, (blocks + LRK_NORM_BLOCKS_PER_PIECE - 1) / LRK_NORM_BLOCKS_PER_PIECE, task, j);
}

/* The exact sum of `count` elements from sums[first] on, every `stride`-th one, rounded once. Without elements, there need
 * not be an array. */
static double total_of(const double *sums, int64_t first, int64_t count, int64_t stride)
{
    /* The same bits, also of zeros: one addition is rounded once. */
    if (count <= 2)
        return (count > 0 ? sums[first] : 0.0) + (count > 1 ? sums[first + stride] : 0.0) + 0.0;
    lrk_exact_sum total = {0};
    for (int64_t k = 0; k < count; k++)
        lrk_sum_add(&total, sums[first + k * stride]);
    return lrk_sum_round(&total);
}

/* Stores the sum of squares of elements that were multiplied by `scale`. */
static void note(lrk_step_clip *clip, double square, double scale)
{
    if (!is_taken(clip, scale))
        return;
    if (scale == 1)
        clip->square = square;
    clip->norm = __builtin_sqrt(square) / scale;
    clip->finite = square < HUGE_VAL;
}

/* The sums of squares of groups. False without memory. */
static bool note_groups(const lrk_step_job *j)
{
    const lrk_step_list *const list = j->list;
    lrk_exact_sum *const totals = calloc((size_t)list->n_groups + 1, sizeof *totals);
    if (totals == NULL)
        return false;
    for (int64_t i = 0; i < list->count; i++)
        for (int64_t k = list->blocks[i]; k < list->blocks[i + 1]; k++)
            lrk_sum_add(&totals[list->groups[list->tensors[i].group].clips_with], list->sums[k]);
    for (int64_t g = 0; g < list->n_groups; g++)
        note(&list->clips[1 + g], lrk_sum_round(&totals[g]), j->scale);
    free(totals);
    return true;
}

/* Computes those norms that need elements multiplied by `scale`. False without memory. */
static bool take_norms(lrk_step_job *j, double scale)
{
    const lrk_step_list *const list = j->list;
    j->scale = scale;
    run_norms(j, sum_gradients);
    note(&list->clips[0], total_of(list->sums, 0, list->blocks[list->count], 1), scale);
    for (int64_t i = 0; i < list->count && j->per == LRK_CLIP_TENSOR; i++)
        note(&list->clips[1 + i], total_of(list->sums, list->blocks[i], list->blocks[i + 1] - list->blocks[i], 1), scale);
    return j->per != LRK_CLIP_GROUP || note_groups(j);
}

int64_t lrk_step_count_clips(const lrk_step_job *j)
{
    return 1 + (j->per == LRK_CLIP_LIST ? 0 : j->per == LRK_CLIP_GROUP ? j->list->n_groups : j->list->count);
}

bool lrk_step_take_norms(lrk_step_job *j)
{
    const lrk_step_list *const list = j->list;
    bool doubles = false, tiny = false, huge = false;
    for (int64_t i = 0; i < list->count; i++)
        doubles |= list->tensors[i].data[LRK_GRAD] != NULL && list->tensors[i].type[LRK_PARAM] == LRK_F64;
    if (!take_norms(j, 1))
        return false;
    for (int64_t c = 0; c < lrk_step_count_clips(j) && doubles; c++) {
        tiny |= is_taken(&list->clips[c], SCALE);
        huge |= is_taken(&list->clips[c], 1 / SCALE);
    }
    return (!tiny || take_norms(j, SCALE)) && (!huge || take_norms(j, 1 / SCALE));
}

void lrk_step_measure_all(lrk_step_job *j)
{
    lrk_step_list *const list = j->list;
    for (int64_t i = 0; i < list->count; i++) /* measures must not depend on norms, such as those of the previous step */
        list->tensors[i].norms = (lrk_step_norms){1, 1};
    run_norms(j, sum_measures);
    for (int64_t i = 0; i < list->count; i++)
        if (list->groups[list->tensors[i].group].measures) {
            const int64_t first = list->blocks[i], count = list->blocks[i + 1] - first;
            list->tensors[i].norms.p = __builtin_sqrt(total_of(list->sums, 2 * first, count, 2));
            const double total = total_of(list->sums, 2 * first + 1, count, 2);
            const bool sums = lrk_rule_sums(list->groups[list->tensors[i].group].rule);
            list->tensors[i].norms.m = sums ? total : __builtin_sqrt(total);
        }
}

void lrk_step_note_lengths(const lrk_step_job *j)
{
    lrk_step_list *const list = j->list;
    for (int64_t i = 0; i < list->count; i++) {
        const int64_t first = 3 * list->blocks[i], count = list->blocks[i + 1] - list->blocks[i];
        const bool none = list->tensors[i].data[LRK_GRAD] == NULL;
        double norms[3];
        for (int k = 0; k < 3; k++)
            norms[k] = none ? -1 : __builtin_sqrt(total_of(list->sums, first + k, count, 3));
        norms[0] = none ? -1 : norms[0] / j->options->grad_scale;
        list->lengths[i] = (lrk_step_lengths){norms[0], norms[1], norms[2]};
    }
}

int64_t lrk_step_nonfinite(const lrk_step_list *list, int64_t index, double *value)
{
    LRK_FP_DEFAULT_HERE;
    const lrk_step_tensor *const tensor = &list->tensors[index];
    const lrk_step_job j = {.kernels = lrk_active()->steps};
    if (tensor->data[LRK_GRAD] == NULL)
        return -1;
    lrk_step_workspace w;
    const int64_t blocks = blocks_per_row(tensor) * (tensor->sparse == NULL ? 1 : tensor->sparse->count);
    for (int64_t k = 0; k < blocks; k++) {
        const lrk_step_block b = norm_block(&j, tensor, k);
        const char *const grad = lrk_step_raw_gradient(&b, &w);
        for (int64_t i = 0; i < b.size; i++) {
            float single = 0;
            if (b.type == LRK_F64) {
                memcpy(value, grad + i * (int64_t)sizeof *value, sizeof *value);
            } else {
                memcpy(&single, grad + i * (int64_t)sizeof single, sizeof single);
                *value = single;
            }
            if (!(__builtin_fabs(*value) < HUGE_VAL))
                return b.begin + i;
        }
    }
    return -1;
}
