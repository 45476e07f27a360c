/* A block of a tensor through the pipeline of docs/steps.md: gradient, rule, average, copy, zero. */
#include <string.h>

#include "runtime/random.h"
#include "steps/parts.h"

/* ---- Scalars */

static const void *compute_coefs(lrk_step_workspace *w, const lrk_step_tensor *tensor, lrk_rule rule, const double *inputs)
{
    const lrk_rule_tensor facts = lrk_step_facts_of(tensor, w->updates);
    const int count = lrk_rule_scalars(rule, inputs, &facts, w->f64);
    for (int i = 0; i < count; i++)
        w->f32[i] = (float)w->f64[i];
    return lrk_step_computed_in(tensor) == LRK_F64 ? (const void *)w->f64 : w->f32;
}

const void *lrk_step_own_coefs_of(const lrk_step_job *j, lrk_step_workspace *w, const lrk_step_tensor *tensor)
{
    const lrk_step_group *const group = &j->list->groups[tensor->group];
    const int64_t updates = j->list->updates[tensor - j->list->tensors];
    if (lrk_step_has_coefs_of(w, tensor, updates) &&
        (w->tensor == tensor || (!group->measures && lrk_step_has_same_states(w->tensor, tensor))))
        return lrk_step_computed_in(tensor) == LRK_F64 ? (const void *)w->f64 : w->f32;
    w->tensor = tensor;
    w->updates = updates;
    w->shares = !group->measures && lrk_rule_scalar_states(group->rule) == 0;
    return compute_coefs(w, tensor, group->rule, group->inputs);
}

const void *lrk_step_coefs_of_row(const lrk_step_job *j, lrk_step_workspace *w, const lrk_step_tensor *tensor, int64_t row)
{
    const lrk_step_group *const group = &j->list->groups[tensor->group];
    double inputs[LRK_MAX_INPUTS];
    memcpy(inputs, group->inputs, sizeof inputs);
    const int place = group->rule < LRK_N_RULES ? (int)LRK_INPUT_LR : lrk_rule_input(group->rule, "lr");
    if (place >= 0)
        inputs[place] = tensor->row_lrs[row];
    w->tensor = NULL;
    w->updates = j->list->updates[tensor - j->list->tensors];
    return compute_coefs(w, tensor, group->rule, inputs);
}

/* ---- A block */

/* Whether a tensor's rule has a kernel for this storage: rare rules and registered ones do not. */
static bool has_kernel(const lrk_step_job *j, const lrk_step_tensor *tensor, lrk_storage computed, lrk_step_kept param,
                       lrk_step_kept states)
{
    const lrk_rule rule = j->list->groups[tensor->group].rule;
    return rule < LRK_N_RULES && j->kernels->computed[computed]->update[param][states][rule] != NULL;
}

lrk_step_kept lrk_step_kept_param(const lrk_step_job *j, const lrk_step_tensor *tensor, lrk_storage computed)
{
    if (tensor->type[LRK_PARAM] == (int)computed)
        return LRK_IN_T;
    /* Averages, copies and norms are computed from the parameter in T. */
    if ((j->averages && tensor->data[LRK_EMA] != NULL) || tensor->data[LRK_COPY] != NULL || j->options->norms ||
        j->options->rounding == LRK_STOCHASTIC)
        return LRK_STAGED;
    const lrk_step_kept kept = tensor->data[LRK_REMAINDER] != NULL   ? LRK_IN_SPLIT
                               : tensor->type[LRK_PARAM] == LRK_BF16 ? LRK_IN_BF16
                                                                     : LRK_STAGED;
    return kept != LRK_STAGED && has_kernel(j, tensor, computed, kept, LRK_IN_T) ? kept : LRK_STAGED;
}

lrk_step_kept lrk_step_kept_states(const lrk_step_job *j, const lrk_step_tensor *tensor, lrk_storage computed)
{
    bool in_t = true, in_bf16 = j->options->state_rounding == LRK_STOCHASTIC;
    for (int role = LRK_STATE; role < LRK_STATE + LRK_MAX_STATES; role++) {
        in_t = in_t && (tensor->data[role] == NULL || tensor->type[role] == (int)computed);
        in_bf16 = in_bf16 && (tensor->data[role] == NULL || tensor->type[role] == LRK_BF16);
    }
    if (in_t)
        return LRK_IN_T;
    in_bf16 = in_bf16 && computed == LRK_F32 && has_kernel(j, tensor, computed, LRK_IN_T, LRK_IN_BF16);
    return in_bf16 ? LRK_IN_BF16 : LRK_STAGED;
}

/* The sum of a row's gradients, in w->grad. */
static void *sum_rows(const lrk_step_block *b, lrk_step_workspace *w)
{
    const lrk_step_sparse *const sparse = b->tensor->sparse;
    const int64_t width = b->tensor->width, column = b->begin % width;
    lrk_step_load *const load = b->kernels->load[b->tensor->type[LRK_GRAD]];
    const int64_t first = sparse->begin[b->row];
    load(b->size, 0, lrk_step_at(b->tensor, LRK_GRAD, sparse->order[first] * width + column), w->grad.bytes);
    for (int64_t i = first + 1; i < sparse->begin[b->row + 1]; i++) {
        load(b->size, 0, lrk_step_at(b->tensor, LRK_GRAD, sparse->order[i] * width + column), w->term.bytes);
        b->kernels->add(b->size, w->grad.bytes, w->term.bytes);
    }
    return w->grad.bytes;
}

const void *lrk_step_raw_gradient(const lrk_step_block *b, lrk_step_workspace *w)
{
    const int type = b->tensor->type[LRK_GRAD];
    if (b->tensor->sparse != NULL)
        return sum_rows(b, w);
    if (type == (int)b->type)
        return lrk_step_at(b->tensor, LRK_GRAD, b->begin);
    b->kernels->load[type](b->size, b->ahead, lrk_step_at(b->tensor, LRK_GRAD, b->begin), w->grad.bytes);
    return w->grad.bytes;
}

const void *lrk_step_gradient(const lrk_step_job *j, const lrk_step_block *b, lrk_step_workspace *w)
{
    const double limit = j->options->clip_value, factor = lrk_step_factor_of(j, b->tensor);
    if (!lrk_step_prepares(j, b->tensor))
        return lrk_step_raw_gradient(b, w);
    if (b->tensor->sparse == NULL) {
        lrk_step_prepare *const prepare = b->kernels->prepare[b->tensor->type[LRK_GRAD]];
        prepare(b->size, b->ahead, lrk_step_at(b->tensor, LRK_GRAD, b->begin), w->grad.bytes, factor, limit);
        return w->grad.bytes;
    }
    b->kernels->prepare[b->type](b->size, 0, sum_rows(b, w), w->term.bytes, factor, limit);
    return w->term.bytes;
}

void *lrk_step_parameter(const lrk_step_job *j, const lrk_step_block *b, lrk_step_workspace *w)
{
    void *const stored = lrk_step_at(b->tensor, LRK_PARAM, b->begin);
    if (b->param != LRK_STAGED)
        return stored;
    if (b->tensor->data[LRK_REMAINDER] != NULL)
        j->kernels->load_split(b->size, b->ahead, stored, lrk_step_at(b->tensor, LRK_REMAINDER, b->begin), w->param.bytes);
    else
        b->kernels->load[b->tensor->type[LRK_PARAM]](b->size, b->ahead, stored, w->param.bytes);
    return w->param.bytes;
}

void lrk_step_load_states(const lrk_step_job *j, const lrk_step_block *b, lrk_step_workspace *w, void *out[LRK_MAX_STATES])
{
    const int states = lrk_rule_states(j->list->groups[b->tensor->group].rule);
    for (int s = 0; s < LRK_MAX_STATES; s++) {
        void *const stored = lrk_step_at(b->tensor, LRK_STATE + s, b->begin);
        out[s] = stored;
        if (stored != NULL && b->states != LRK_STAGED)
            continue;
        if (stored != NULL)
            b->kernels->load[b->tensor->type[LRK_STATE + s]](b->size, b->ahead, stored, w->states[s].bytes);
        else if (s >= states)
            continue;
        else if (!(w->cleared >> s & 1)) {
            memset(w->states[s].bytes, 0, sizeof w->states[s].bytes);
            w->cleared |= 1u << s; /* once: the rule may write there, but does not depend on it */
        }
        out[s] = w->states[s].bytes;
    }
}

static lrk_step_random random_of(const lrk_step_job *j, int64_t begin, uint64_t stream)
{
    const uint64_t place = (stream << 32) + ((uint64_t)begin >> 32);
    const uint64_t key = lrk_random_word(j->options->seed, j->options->step, place);
    return (lrk_step_random){(uint32_t)key, (uint32_t)(key >> 32), (uint32_t)begin};
}

/* Streams of random bits: of parameters, and of the first state. */
enum { PARAM_STREAM = 0, STATE_STREAM = 1 };

/* Writes staged arrays back. */
static void store(const lrk_step_job *j, const lrk_step_block *b, int role, const void *values, lrk_rounding rounding,
                  uint64_t stream)
{
    const int type = b->tensor->type[role];
    void *const out = lrk_step_at(b->tensor, role, b->begin);
    if (out == NULL)
        return;
    if (rounding == LRK_STOCHASTIC && b->kernels->store_random[type] != NULL)
        b->kernels->store_random[type](b->size, values, out, random_of(j, b->begin, stream));
    else
        b->kernels->store[type](b->size, 0, values, out);
}

static void zero_gradient(const lrk_step_block *b)
{
    const lrk_step_sparse *const sparse = b->tensor->sparse;
    const size_t bytes = (size_t)(b->size * lrk_storage_bytes((lrk_storage)b->tensor->type[LRK_GRAD]));
    if (sparse == NULL) {
        memset(lrk_step_at(b->tensor, LRK_GRAD, b->begin), 0, bytes);
        return;
    }
    const int64_t width = b->tensor->width, column = b->begin % width;
    for (int64_t i = sparse->begin[b->row]; i < sparse->begin[b->row + 1]; i++)
        memset(lrk_step_at(b->tensor, LRK_GRAD, sparse->order[i] * width + column), 0, bytes);
}

/* Sums for the norms of the gradient and of the parameter, of which a copy is kept. */
static void measure_before(const lrk_step_job *j, const lrk_step_block *b, lrk_step_workspace *w, const void *param)
{
    double *const sums = &j->list->sums[3 * b->number];
    sums[0] = b->kernels->norm(b->size, b->ahead, lrk_step_raw_gradient(b, w), 1);
    sums[1] = b->kernels->norm(b->size, b->ahead, param, 1);
    memcpy(w->before.bytes, param, (size_t)(b->size * lrk_storage_bytes(b->type)));
}

/* The sum for the norm of the update. */
static void measure_after(const lrk_step_job *j, const lrk_step_block *b, lrk_step_workspace *w, const void *param)
{
    b->kernels->subtract_from(b->size, w->before.bytes, param);
    j->list->sums[3 * b->number + 2] = b->kernels->norm(b->size, 0, w->before.bytes, 1);
}

void lrk_step_run_block(const lrk_step_job *j, lrk_step_workspace *w, const lrk_step_block *b, const void *coefs)
{
    const lrk_step_tensor *const tensor = b->tensor;
    const lrk_step_group *const group = &j->list->groups[tensor->group];
    void *const param = lrk_step_parameter(j, b, w), *const remainder = lrk_step_at(tensor, LRK_REMAINDER, b->begin),
                *states[LRK_MAX_STATES];
    if (j->options->norms)
        measure_before(j, b, w, param);
    const void *const grad = lrk_step_gradient(j, b, w);
    lrk_step_load_states(j, b, w, states);
    lrk_step_random random[LRK_MAX_STATES] = {0};
    for (int s = 0; b->states == LRK_IN_BF16 && s < LRK_MAX_STATES; s++)
        random[s] = random_of(j, b->begin, STATE_STREAM + (uint64_t)s);
    lrk_step_update_by(group->rule, b, param, remainder, grad, states, coefs, random);
    if (j->options->norms)
        measure_after(j, b, w, param);
    for (int k = 0; j->averages && k < LRK_MAX_AVERAGES && tensor->data[LRK_EMA + k] != NULL; k++)
        b->kernels->average(b->size, b->ahead, lrk_step_at(tensor, LRK_EMA + k, b->begin), param, 1 - group->ema[k]);
    if (tensor->data[LRK_COPY] != NULL)
        b->kernels->store[tensor->type[LRK_COPY]](b->size, b->ahead, param, lrk_step_at(tensor, LRK_COPY, b->begin));
    if (b->param == LRK_STAGED && remainder != NULL)
        j->kernels->store_split(b->size, param, lrk_step_at(tensor, LRK_PARAM, b->begin), remainder);
    else if (b->param == LRK_STAGED)
        store(j, b, LRK_PARAM, param, j->options->rounding, PARAM_STREAM);
    for (int s = 0; b->states == LRK_STAGED && s < LRK_MAX_STATES; s++)
        store(j, b, LRK_STATE + s, states[s], j->options->state_rounding, STATE_STREAM + (uint64_t)s);
    if (j->options->zero_grad)
        zero_gradient(b);
}
