/* The interface of walker.inc, the compiler of plans. It is built for the scalar ISA and for those with hardware fma; its
 * arithmetic is the same everywhere. */
#ifndef LRK_COMPILER_KERNELS_H
#define LRK_COMPILER_KERNELS_H

#include "arithmetic/jet.h"
#include "lrkern.h"

/* Pieces depend only on the beginning of their segment, never on the range of the caller, so that slices have the same bits as
 * the whole. */
typedef struct {
    const lrk_expr *e;
    int64_t t; /* the next piece begins here */
    int64_t segment_end; /* no piece crosses it */
    int endless; /* steps never reach the end of the segment */
    int64_t guess; /* length to try first */
    double room; /* approximate maximum length of the last piece; 0: no piece yet */
    int64_t pieces; /* of this segment so far */
    int by_step; /* pieces of one step, or of all where values are constant: the segment is very short, or took very many
                  * pieces; t may be moved on, except where values are constant */
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
    /* 1 if a clock is piecewise linear and never decreases; 0: unknown; -1: it decreases at step *at. */
    int (*follow_clock)(const lrk_expr *clock, int64_t *at);
    /* The first step at which a clock reaches a time, or -1. */
    int64_t (*clock_arrival)(const lrk_expr *clock, int64_t time);
    /* Whether values repeat, given how those of its parts do: sets repeats, tail_start, period. */
    void (*find_repetition)(lrk_expr *e);
    /* At the beginning of the segment that holds step t. */
    void (*start)(lrk_walker *w, const lrk_expr *e, int64_t t);
    /* The piece from w->t on; w->t moves to its end. Overflow: the step that w->t has moved past is beyond float64. */
    lrk_status (*next)(lrk_walker *w, lrk_piece *piece);
} lrk_compiler_kernels;

#endif
