/* The compiler: walks an expression piece by piece. */
#ifndef LRK_WALKER_H
#define LRK_WALKER_H

#include "expr.h"

/* Pieces depend on the beginning of their segment only, never on where a caller's range begins or ends: that is why a slice has
 * the bits of the whole. */
typedef struct {
    const lrk_expr *e;
    int64_t t;           /* the next piece begins here; what the last one ended at */
    int64_t segment_end; /* no piece crosses it */
    int64_t guess;       /* length to try first */
} lrk_walker;

/* At the beginning of the segment that holds step t. */
void lrk_walker_start(lrk_walker *w, const lrk_expr *e, int64_t t);

/* The piece from w->t on; w->t moves to its end. Overflow: the value at w->t (which stays) is beyond float64. */
lrk_status lrk_walker_next(lrk_walker *w, lrk_piece *piece);

#endif
