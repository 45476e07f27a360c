/* An expression's node, and what the compiler asks of it. */
#ifndef LRK_EXPR_H
#define LRK_EXPR_H

#include <stdatomic.h>

#include "jet.h"
#include "lrkern.h"

typedef enum {
    LRK_KIND_CONSTANT,
    LRK_KIND_RAMP,
    LRK_KIND_POWER_LAW,
    LRK_KIND_EXPONENTIAL,
    LRK_KIND_TABLE,
    LRK_KIND_SUM,
    LRK_KIND_PRODUCT,
    LRK_KIND_CLIP,
    LRK_KIND_SHIFT,
    LRK_KIND_STRETCH,
    LRK_KIND_STAIRCASE,
    LRK_KIND_JOIN,
    LRK_KIND_REPEAT,
    LRK_KIND_RESTARTS
} lrk_kind;

/* Beyond this many binary digits no step exists: enough powers of a growth to reach every cycle. */
enum { LRK_CYCLE_BITS = 54 };

/* Lengths of runs of 2^j restart cycles, in periods: S(2^j) = 1 + g + ... + g^(2^j - 1), and g^(2^j). */
typedef struct {
    int bits;
    dd length[LRK_CYCLE_BITS], power[LRK_CYCLE_BITS];
    dd limit; /* total length when growth < 1, in steps */
} lrk_cycles;

struct lrk_expr {
    atomic_int references;
    lrk_kind kind;
    int depth;
    int64_t size;
    int64_t n_parts;
    lrk_expr **parts;

    lrk_shape shape;
    int64_t n;           /* steps, by, every, period, number of values */
    int64_t times;       /* of a repeat */
    double a, b;         /* of a shape; power of a power law or of a gain; low and high; factor; growth */
    xdd value, end;      /* constant, start, scale; end of a ramp, rest of restarts */
    dd offset, slope;    /* base of a power law */
    dd log_rate;         /* of an exponential per step, of a gain per cycle, of a geometric ramp as a whole */
    int64_t *boundaries; /* of a join */
    double *values;      /* of a table */
    lrk_cycles *cycles;  /* of restarts */
};

/* Local time is real: the integer step of the whole schedule seen through shifts, stretches, joins and cycles. Times that
 * differ by less than TIME_TOLERANCE (relative) are one: they come from the rounding of those maps. */
#define LRK_NEVER 0x1p62

/* The longest interval [*low, *high) around x on which the expression is one smooth formula. */
void lrk_expr_segment(const lrk_expr *e, dd x, dd *low, dd *high);

typedef enum { LRK_SMOOTH, LRK_NOT_SMOOTH } lrk_smoothness;

/* The Taylor coefficients at x in u, where local time is x + slope u and |u| <= reach; x lies in the segment meant.
 * NOT_SMOOTH: a bound of a clip is crossed on the way, so take a shorter interval. (Never at slope 0.) */
lrk_smoothness lrk_expr_jet(const lrk_expr *e, dd x, dd slope, double reach, jet *out);

/* From *start on the value repeats with *period (1: it is constant). Returns 0 where there is no such rule. */
int lrk_expr_periodic(const lrk_expr *e, int64_t *start, int64_t *period);

/* x >= y up to the tolerance of local times; the smallest integer >= x up to that tolerance. */
int lrk_time_reached(dd x, dd y);
int64_t lrk_time_ceil(dd x);

#endif
