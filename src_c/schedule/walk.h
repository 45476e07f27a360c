/* Walking along the steps of an expression, piece by piece: what plans are made of, and tables that have none. */
#ifndef LRK_WALK_H
#define LRK_WALK_H

#include "schedule/compiler_kernels.h"
#include "lrkern_plan.h"

/* A walk along the steps. Where values repeat, the pieces of all cycles are those of the first one, moved, as a plan has them: so
 * a step has the same piece whatever leads to it. */
typedef struct {
    const lrk_expr *e;
    lrk_walker w;      /* along steps of the first cycle */
    lrk_plan rule;     /* how values repeat; no pieces */
    int64_t moved;     /* by so many steps pieces are moved from there */
    int64_t cycle_end; /* where the cycle begins again */
} lrk_walk;

static inline lrk_piece lrk_constant_piece(double value, int64_t t)
{
    return (lrk_piece){.begin = t, .center = t, .scale = 1.0, .c = {value}, .unscale = 1.0};
}

/* Begins a walk at a step. */
void lrk_walk_from(lrk_walk *k, const lrk_expr *e, int64_t t);

/* The piece that covers t, the step that the walk began with or the end of the piece before. Where that fails, *end is behind
 * a step at which it does, t or a later one before which there are no values. */
lrk_status lrk_walk_piece(lrk_walk *k, int64_t t, lrk_piece *piece, int64_t *end);

#endif
