/* One step of a list: norms if needed, then all blocks through the pipeline of docs/steps.md. */
#include <string.h>

#include "runtime/fpenv.h"
#include "runtime/policy.h"
#include "runtime/threads.h"
#include "steps/parts.h"

/* Only sets gradients to zero. */
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

/* Whether any group needs norms; also sets this for each group. */
static bool find_measures(const lrk_step_list *list)
{
    bool any = false;
    for (int64_t g = 0; g < list->n_groups; g++) {
        lrk_step_group *const group = &list->groups[g];
        any |= group->measures = lrk_rule_measures(group->rule, group->inputs);
    }
    return any;
}

static void copy_tensor(void *ctx, int64_t index)
{
    const lrk_step_job *const j = ctx;
    const lrk_step_tensor *const tensor = &j->list->tensors[index];
    const lrk_storage type = lrk_step_computed_in(tensor);
    lrk_step_workspace w;
    lrk_step_block b = {
        .tensor = tensor,
        .kernels = j->kernels->computed[type],
        .type = type,
        .param = tensor->type[LRK_PARAM] == (int)type ? LRK_IN_T : LRK_STAGED,
    };
    if (tensor->data[LRK_COPY] == NULL)
        return;
    for (; b.begin < tensor->size; b.begin += b.size) {
        b.size = tensor->size - b.begin < BLOCK ? tensor->size - b.begin : BLOCK;
        b.kernels->store[tensor->type[LRK_COPY]](b.size, 0, lrk_step_parameter(j, &b, &w),
                                                 lrk_step_at(tensor, LRK_COPY, b.begin));
    }
}

void lrk_step_copy(lrk_step_list *list)
{
    lrk_step_job j = {.list = list, .kernels = lrk_active()->steps};
    const int64_t bytes = list->starts[list->count];
    const lrk_sharing how = lrk_sharing_for(LRK_WORK_STEP, lrk_step_kind(list, 0), lrk_step_traffic(bytes, 0));
    lrk_parallel(&how, list->count, copy_tensor, &j);
}

/* The factors of gradients. */
static void set_factors(const lrk_step_job *j, bool clips)
{
    const double grad_scale = j->options->grad_scale, limit = j->options->clip_norm;
    for (int64_t c = 0; c < lrk_step_count_clips(j); c++) {
        lrk_step_clip *const clip = &j->list->clips[c];
        clip->factor = clips && !(clip->norm / grad_scale <= limit) ? limit / clip->norm : 1 / grad_scale;
    }
}

/* Whether norms of steps are remembered. */
static bool remembers(const lrk_step_list *list, const lrk_step_options *options)
{
    return options->skip_sigma < HUGE_VAL && list->recent != NULL;
}

/* Whether a norm is far above the mean of the last ones. Sums begin at the oldest, so that the bits depend on nothing else. */
static bool is_spike(const lrk_step_list *list, const lrk_step_options *options, double grad_norm)
{
    const int64_t count = options->skip_window;
    if (!remembers(list, options) || list->recent_count < count)
        return false;
    double sum = 0, squares = 0;
    for (int64_t k = 0; k < count; k++)
        sum = sum + list->recent[(list->recent_count + k) % count];
    const double mean = sum / (double)count;
    for (int64_t k = 0; k < count; k++) {
        const double off = list->recent[(list->recent_count + k) % count] - mean;
        squares = squares + off * off;
    }
    return grad_norm > __builtin_fma(options->skip_sigma, __builtin_sqrt(squares / (double)count), mean);
}

/* Whether a step with these gradients does nothing. A NaN is not above a limit. */
static bool is_skipped(const lrk_step_list *list, const lrk_step_options *options, double grad_norm)
{
    return (options->skip_nonfinite && !list->clips[0].finite) || grad_norm > options->skip_norm ||
           is_spike(list, options, grad_norm);
}

/* Counts an update of each tensor that has a gradient, after its scalar states. */
static void count_updates(lrk_step_list *list)
{
    const lrk_step_tensor *last = NULL;
    double before[LRK_MAX_SCALAR_STATES]; /* the states of `last` before this update, which others may share */
    int64_t n = 0;
    int32_t of = -1;
    bool keeps = false;
    for (int64_t i = 0; i < list->count; i++) {
        lrk_step_tensor *const tensor = &list->tensors[i];
        const lrk_step_group *const group = &list->groups[tensor->group];
        if (tensor->data[LRK_GRAD] == NULL)
            continue;
        if (tensor->group != of) {
            of = tensor->group;
            keeps = lrk_rule_scalar_states(group->rule) > 0;
        }
        if (keeps) {
            const bool same = last != NULL && last->group == tensor->group && n == list->updates[i] && !group->measures &&
                              memcmp(before, tensor->scalar_states, sizeof before) == 0;
            memcpy(before, tensor->scalar_states, sizeof before);
            const lrk_rule_tensor facts = lrk_step_facts_of(tensor, list->updates[i]);
            if (same)
                memcpy(tensor->scalar_states, last->scalar_states, sizeof before);
            else
                lrk_rule_new_scalar_states(group->rule, group->inputs, &facts, tensor->scalar_states);
            last = tensor;
            n = list->updates[i];
        }
        list->updates[i]++;
    }
}

lrk_step_result lrk_step_run(lrk_step_list *list, const lrk_step_options *options)
{
    LRK_FP_DEFAULT_HERE;
    const lrk_kernels *const active = lrk_active();
    const bool clips = options->clip_norm < HUGE_VAL, measures = find_measures(list);
    const bool skips = options->skip_nonfinite || options->skip_norm < HUGE_VAL || remembers(list, options);
    const bool wants_norm = clips || skips || options->error_if_nonfinite;
    lrk_step_result result = {.isa = active->isa, .grad_norm = NAN};
    lrk_step_job j = {
        .list = list,
        .options = options,
        .kernels = active->steps,
        .per = clips ? options->clip_per : LRK_CLIP_LIST,
        .averages = options->ema_every <= 1 || (options->step + 1) % (uint64_t)options->ema_every == 0,
    };
    if ((wants_norm || measures) && !lrk_step_make_blocks(list, false))
        return (lrk_step_result){0};
    if (wants_norm) {
        if (!lrk_step_take_norms(&j))
            return (lrk_step_result){0};
        result.grad_norm = list->clips[0].norm / options->grad_scale;
        result.refused = options->error_if_nonfinite && !list->clips[0].finite;
        result.skipped = !result.refused && is_skipped(list, options, result.grad_norm);
        if (result.skipped && options->zero_grad)
            zero_gradients(list);
        if (result.skipped || result.refused)
            return result;
    }
    set_factors(&j, clips);
    j.bare = j.per == LRK_CLIP_LIST && !options->zero_grad && !options->norms && options->clip_value == HUGE_VAL &&
             list->clips[0].factor == 1;
    if (measures)
        lrk_step_measure_all(&j);
    if (options->norms && !lrk_step_make_blocks(list, true))
        return (lrk_step_result){0};
    lrk_step_run_pieces(&j);
    if (options->norms)
        lrk_step_note_lengths(&j);
    count_updates(list);
    if (remembers(list, options) && result.grad_norm < HUGE_VAL)
        list->recent[list->recent_count++ % options->skip_window] = result.grad_norm;
    return result;
}
