/* What walker.inc gives: the compiler of plans. It is built for the scalar ISA and for those with the hardware's fma; its
 * arithmetic is the same everywhere. */
#ifndef LRK_COMPILER_KERNELS_H
#define LRK_COMPILER_KERNELS_H

#include "arithmetic/jet.h"
#include "lrkern.h"

/* Pieces depend on the beginning of their segment only, never on where a caller's range begins or ends: that is why a slice has
 * the bits of the whole. */
typedef struct {
    const lrk_expr *e;
    int64_t t; /* the next piece begins here */
    int64_t segment_end; /* no piece crosses it */
    int endless; /* the segment has no end that steps reach */
    int64_t guess; /* length to try first */
    double room; /* about the length that the last piece might have had; 0: no piece yet */
    int64_t pieces; /* of this segment so far */
    int by_step; /* every step is a piece: the segment is very short, or took very many pieces; t may be moved on */
} lrk_walker;

typedef struct lrk_compiler_kernels {
    dd (*log)(dd x, int64_t exponent);
    xdd (*sum)(xdd a, xdd b);
    xdd (*product)(xdd a, xdd b);
    xdd (*ratio)(xdd a, xdd b);
    xdd (*power)(xdd a, double power);
    xdd (*normalise)(dd v, int64_t e);
    double (*round)(xdd a);
    xdd (*value_at)(const lrk_expr *e, dd t);
    /* The same, where phases of no steps at t count with their start. */
    xdd (*beginning_at)(const lrk_expr *e, dd t);
    /* Whether a clock is made of straight lines and never goes back: 1; 0: not known; -1: it does, at step *at. */
    int (*follow_clock)(const lrk_expr *clock, int64_t *at);
    /* The first step at which a clock shows a time or more, or -1. */
    int64_t (*clock_arrival)(const lrk_expr *clock, int64_t time);
    /* Whether values repeat, given how those of its parts do: sets repeats, tail_start, period. */
    void (*find_repetition)(lrk_expr *e);
    /* At the beginning of the segment that holds step t. */
    void (*start)(lrk_walker *w, const lrk_expr *e, int64_t t);
    /* The piece from w->t on; w->t moves to its end. Overflow: the step that w->t has moved past is beyond float64. */
    lrk_status (*next)(lrk_walker *w, lrk_piece *piece);
} lrk_compiler_kernels;

#endif
