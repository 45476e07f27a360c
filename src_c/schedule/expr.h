/* A node of an expression. Its evaluation is in expr_eval.inc. */
#ifndef LRK_EXPR_H
#define LRK_EXPR_H

#include <stdatomic.h>

#include "schedule/compiler_kernels.h"

typedef enum {
    LRK_KIND_CONSTANT,
    LRK_KIND_RAMP,
    LRK_KIND_POWER_LAW,
    LRK_KIND_EXPONENTIAL,
    LRK_KIND_LINE,
    LRK_KIND_TABLE,
    LRK_KIND_NOISE,
    LRK_KIND_SUM,
    LRK_KIND_PRODUCT,
    LRK_KIND_QUOTIENT,
    LRK_KIND_POWER,
    LRK_KIND_CLIP,
    LRK_KIND_SHIFT,
    LRK_KIND_STRETCH,
    LRK_KIND_COMPOSITION,
    LRK_KIND_STAIRCASE,
    LRK_KIND_FRACTAL,
    LRK_KIND_JOIN,
    LRK_KIND_REPEAT,
    LRK_KIND_RESTARTS
} lrk_kind;

/* Powers of a growth, enough to reach every cycle up to the latest time that is counted, 2^62. */
enum { LRK_CYCLE_BITS = 62 };

/* Lengths of runs of 2^j restart cycles, in periods: S(2^j) = 1 + g + ... + g^(2^j - 1), and g^(2^j). */
typedef struct {
    int bits;
    dd length[LRK_CYCLE_BITS], power[LRK_CYCLE_BITS];
    dd limit; /* total length when growth < 1, in steps */
} lrk_cycles;

struct lrk_expr {
    atomic_int references;
    uint64_t id; /* unique */
    lrk_kind kind;
    int monotone; /* within each of its segments */
    int straight; /* within each of its segments: a straight line; 2: constant */
    int64_t size;
    double fastest; /* most steps of local time, anywhere inside, that one step of this node takes */
    int64_t n_parts;
    lrk_expr **parts;
    int repeats; /* from tail_start on with `period` (0: constant, between steps as well) */
    int64_t tail_start, period;

    lrk_shape shape;
    int rises, falls;    /* one end of a ramp is so small that the weight of the other one counts to its last digit */
    lrk_noise_kind noise;
    uint64_t seed;       /* of noise */
    int64_t n;           /* steps, by, every, period, number of values, divisor of a stretch */
    int64_t times;       /* of a repeat; warm-up of each cycle of restarts; of a composition: whether its clock is sound */
    int partial;         /* it may be undefined somewhere: it contains a quotient or a power */
    int clocked;         /* it contains a composition */
    double a, b;         /* of a shape; power of a power law, of a gain; low and high; factor; growth; limit */
    xdd value, end;      /* constant, start, scale; end of a ramp, slope of a line, rest of restarts; of
                          * a power law its value at 0, where the base is below what a double-double holds */
    dd offset, slope;    /* base of a power law */
    dd inverse;          /* of the steps of a ramp */
    dd log_rate;         /* of an exponential per step, of a gain per cycle, of a ramp along one as a whole */
    int64_t n_boundaries;
    double *boundaries;  /* of a join; of a table: where its value changes */
    int late;            /* of a repeat and a staircase: a multiple of n belongs to what ends there */
    unsigned char *after; /* of a join: whether a boundary itself still belongs to the earlier part */
    double *values;      /* of a table */
    int64_t n_cached;    /* of a repeat of a short period: its part's values at steps 0, 1, ... */
    xdd *cached;
    lrk_cycles *cycles;  /* of restarts */
};

static inline void lrk_ramp_between(lrk_expr *ramp, xdd start, xdd end)
{
    ramp->value = start;
    ramp->end = end;
    ramp->rises = start.e < end.e - 8;
    ramp->falls = end.e < start.e - 8;
    ramp->partial = start.v.hi != start.v.hi || end.v.hi != end.v.hi;
}

#endif
