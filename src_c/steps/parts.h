/* The interfaces between the parts of a step. */
#ifndef LRK_STEP_PARTS_H
#define LRK_STEP_PARTS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "isa/dispatch.h"
#include "steps/steps.h"

/* Elements per block of the pipeline: few enough for two threads that share a core's innermost cache. */
enum { BLOCK = 512 };

typedef struct lrk_step_job {
    lrk_step_list *list;
    const lrk_step_options *options;
    const lrk_step_kernels *kernels;
    int64_t piece;
    lrk_clip_per per; /* which gradients share a factor */
    double scale; /* of the elements of norms */
    bool averages; /* whether averages change */
    bool bare; /* whether the step is only the rule, on gradients as they are */
} lrk_step_job;

/* A number for jobs on a list whose bytes take about the same time each: of the same `work`, on tensors of the same type and, on
   average, of the same size within a factor of two. */
static inline uint32_t lrk_step_kind(const lrk_step_list *list, uint32_t work)
{
    if (list->count == 0)
        return 0;
    const uint64_t bytes = (uint64_t)(list->starts[list->count] / list->count) | 1;
    const uint32_t size = 63 - (uint32_t)__builtin_clzll((unsigned long long)bytes);
    return (work * LRK_N_STORAGES + (uint32_t)list->tensors[0].type[LRK_PARAM]) * 64 + size;
}

/* An element of staging memory has the largest size. The padding keeps buffers from mapping to the same cache sets. */
typedef struct lrk_step_buffer {
    _Alignas(64) char bytes[LRK_NORM_BLOCK * sizeof(double) + 3 * LRK_CACHE_LINE];
} lrk_step_buffer;

/* The workspace of a thread. */
typedef struct lrk_step_workspace {
    const lrk_step_tensor *tensor; /* whose scalars these are; also for others of its group with as many updates */
    int64_t updates;
    bool shares; /* whether these scalars depend on nothing else, such as norms or scalar states */
    double f64[LRK_MAX_COEFS];
    float f32[LRK_MAX_COEFS];
    lrk_step_buffer param, grad, term, before, states[LRK_MAX_STATES];
    unsigned cleared; /* bit s: scratch memory for a missing state s has been cleared */
} lrk_step_workspace;

/* Elements [begin, begin + size) of a tensor; if the gradient is sparse, within its `row`-th row of the step. */
typedef struct lrk_step_block {
    const lrk_step_tensor *tensor;
    const lrk_step_computed *kernels;
    lrk_storage type;
    int64_t begin, size, row;
    lrk_step_kept param, states;
    int64_t ahead; /* prefetch distance in elements, or 0 */
    int64_t number; /* with options.norms: its number among the blocks of norms */
} lrk_step_block;

static inline void *lrk_step_at(const lrk_step_tensor *tensor, int role, int64_t element)
{
    char *const data = tensor->data[role];
    return data == NULL ? NULL : data + element * lrk_storage_bytes((lrk_storage)tensor->type[role]);
}

/* The index in list->clips of the factor of a tensor's gradients. */
static inline int64_t lrk_step_clip_of(const lrk_step_job *j, const lrk_step_tensor *tensor)
{
    if (j->per == LRK_CLIP_LIST)
        return 0;
    return 1 + (j->per == LRK_CLIP_GROUP ? j->list->groups[tensor->group].clips_with : tensor - j->list->tensors);
}

/* The factor of a tensor's gradients. */
static inline double lrk_step_factor_of(const lrk_step_job *j, const lrk_step_tensor *tensor)
{
    return j->list->clips[lrk_step_clip_of(j, tensor)].factor;
}

/* What the scalars of a tensor's rule depend on, after so many updates. */
static inline lrk_rule_tensor lrk_step_facts_of(const lrk_step_tensor *tensor, int64_t updates)
{
    return (lrk_rule_tensor){
        .n = updates + 1,
        .norm = tensor->norms.p,
        .measured = tensor->norms.m,
        .size = (double)tensor->size,
        .states = {tensor->scalar_states[0], tensor->scalar_states[1]},
    };
}

/* Whether two tensors have the same scalar states. */
static inline bool lrk_step_has_same_states(const lrk_step_tensor *a, const lrk_step_tensor *b)
{
    return memcmp(a->scalar_states, b->scalar_states, sizeof a->scalar_states) == 0;
}

/* Whether gradients are scaled or clipped. */
static inline bool lrk_step_prepares(const lrk_step_job *j, const lrk_step_tensor *tensor)
{
    return j->options->clip_value < HUGE_VAL || lrk_step_factor_of(j, tensor) != 1;
}

/* Updates elements by a rule's kernel for this storage, or by the function of a registered rule. */
static inline void lrk_step_update_by(lrk_rule rule, const lrk_step_block *b, void *param, void *remainder, const void *grad,
                                      void *const *states, const void *coefs, const lrk_step_random *random)
{
    const lrk_own_rule *const own = lrk_own_rule_of(rule);
    if (own != NULL) {
        own->update[b->type](b->size, b->ahead, param, grad, states, coefs);
        return;
    }
    const lrk_step_kept in = b->param == LRK_STAGED ? LRK_IN_T : b->param;
    const lrk_step_kept kept = b->states == LRK_STAGED ? LRK_IN_T : b->states;
    b->kernels->update[in][kept][rule](b->size, b->ahead, param, remainder, grad, states[0], states[1], states[2], states[3],
                                       states[4], coefs, random);
}

/* ---- pipeline.c: scalars, and a block through the pipeline */

/* Whether the scalars in `w` are those of the tensor's group after so many updates. */
static inline bool lrk_step_has_coefs_of(const lrk_step_workspace *w, const lrk_step_tensor *tensor, int64_t updates)
{
    return w->tensor != NULL && w->tensor->group == tensor->group && w->updates == updates;
}
/* lrk_step_coefs_of, where they may depend on the tensor. */
const void *lrk_step_own_coefs_of(const lrk_step_job *j, lrk_step_workspace *w, const lrk_step_tensor *tensor);
/* The scalars of a tensor at this update, in T; cached in `w`. */
static inline const void *lrk_step_coefs_of(const lrk_step_job *j, lrk_step_workspace *w, const lrk_step_tensor *tensor)
{
    if (lrk_step_has_coefs_of(w, tensor, j->list->updates[tensor - j->list->tensors]) && w->shares)
        return lrk_step_computed_in(tensor) == LRK_F64 ? (const void *)w->f64 : w->f32;
    return lrk_step_own_coefs_of(j, w, tensor);
}
/* The scalars of a row with its own learning rate. */
const void *lrk_step_coefs_of_row(const lrk_step_job *j, lrk_step_workspace *w, const lrk_step_tensor *tensor, int64_t row);

lrk_step_kept lrk_step_kept_param(const lrk_step_job *j, const lrk_step_tensor *tensor, lrk_storage computed);
lrk_step_kept lrk_step_kept_states(const lrk_step_job *j, const lrk_step_tensor *tensor, lrk_storage computed);
/* The gradient in T, unscaled. */
const void *lrk_step_raw_gradient(const lrk_step_block *b, lrk_step_workspace *w);
/* The gradient in T, scaled and clipped. */
const void *lrk_step_gradient(const lrk_step_job *j, const lrk_step_block *b, lrk_step_workspace *w);
/* The parameter, in T if it is staged. */
void *lrk_step_parameter(const lrk_step_job *j, const lrk_step_block *b, lrk_step_workspace *w);
/* The states, in T if they are staged; scratch memory for missing ones of the rule. */
void lrk_step_load_states(const lrk_step_job *j, const lrk_step_block *b, lrk_step_workspace *w, void *out[LRK_MAX_STATES]);
void lrk_step_run_block(const lrk_step_job *j, lrk_step_workspace *w, const lrk_step_block *b, const void *coefs);

/* ---- pieces.c: all blocks, over threads */

/* The last of `count` ranges [starts[i], starts[i + 1]) that starts at or before `position`. */
int64_t lrk_step_range_at(const int64_t *starts, int64_t count, int64_t position);
void lrk_step_run_pieces(lrk_step_job *j);

/* ---- norms.c */

/* Whether the rows of a tensor are cut into blocks of their own where norms are taken in the pass of the step. */
static inline bool lrk_step_by_rows(const lrk_step_tensor *tensor)
{
    return tensor->sparse != NULL || tensor->row_lrs != NULL;
}
/* The blocks of `size` elements. */
static inline int64_t lrk_step_blocks_in(int64_t size)
{
    return (size + LRK_NORM_BLOCK - 1) / LRK_NORM_BLOCK;
}
/* Cuts all gradients into blocks, with room for three sums each. `in_step`: as for norms taken in the pass of the step. False
   without memory. */
bool lrk_step_make_blocks(lrk_step_list *list, bool in_step);
/* Notes the norms whose sums the pass of the step has left. */
void lrk_step_note_lengths(const lrk_step_job *j);
/* The number of used entries of list->clips. */
int64_t lrk_step_count_clips(const lrk_step_job *j);
/* The norm of all unscaled gradients, and those that clip_per needs. False without memory. */
bool lrk_step_take_norms(lrk_step_job *j);
/* Computes the norms of tensors whose rules need them. */
void lrk_step_measure_all(lrk_step_job *j);

#endif
