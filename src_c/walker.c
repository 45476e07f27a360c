/* How long a piece may be. A piece is the Taylor polynomial around its centre, two terms beyond its degree folded back
 * into it (Chebyshev economisation), and is as long as its error allows:
 *   cut-off      <= 2^-59 of the value                                       0.016 ULP
 *   rounding     five operations on terms <= 1/64 of the value           5/64 = 0.078 ULP
 *   last addition                                                              0.5 ULP
 * together <= 0.6 ULP. The linear term may be up to half the constant: s = fma(c1, u, c0) has its rounding error computed.
 * Next to zeros and singularities pieces shrink to single steps, which are exact but for one rounding.
 */
#include "walker.h"

#include <math.h>

enum {
    SHORT_PIECE = 4096, /* longer ones have degree 7: evaluation costs less, and there are few of them */
    UNSCALE_DIGITS = 500
};

#define CUT_OFF 0x1p-59
#define TAIL_SHARE 64.0
#define CANCELLED 0x1p-20  /* of the larger term of a sum: errors are measured against that much at least */
#define SMALLEST_PLAIN -900 /* binary exponent of values below which pieces are scaled */
#define VANISHED -1080      /* ... below which a value rounds to zero */

void lrk_walker_start(lrk_walker *w, const lrk_expr *e, int64_t t)
{
    dd low, high;
    lrk_expr_segment(e, dd_of_int(t), &low, &high);
    int64_t begin = low.hi <= 0.0 ? 0 : lrk_time_ceil(low);
    int64_t end = lrk_time_ceil(high);
    w->e = e;
    w->t = begin < t ? begin : t;
    w->segment_end = end > t ? end : t + 1;
    w->guess = w->segment_end - w->t;
}

/* About x^(1/n) for x > 0, within 10 %; arithmetic only, so the same everywhere. */
static double rough_root(double x, int n)
{
    int k;
    double m = __builtin_frexp(x, &k);
    double log2_x = (double)(k - 1) + (2.0 * m - 1.0);
    double y = log2_x / n;
    double whole = __builtin_floor(y);
    return __builtin_ldexp(1.0 + (y - whole), (int)whole);
}

typedef struct {
    double term[JET]; /* |c_k| reach^k */
    double tail;      /* sum of those from k = 2 */
    double least;     /* lower bound of |value|, or what errors are measured against */
} extent;

static void measure(const jet *j, double reach, extent *x)
{
    double power = reach;
    x->term[0] = dd_abs(j->c0);
    x->term[1] = dd_abs(j->c1) * reach;
    x->tail = 0.0;
    for (int k = 2; k < JET; k++) {
        power *= reach;
        x->term[k] = __builtin_fabs(j->c[k]) * power;
        x->tail += x->term[k];
    }
    x->least = __builtin_fmax(x->term[0] - x->term[1] - x->tail, j->scale * CANCELLED);
}

/* What degree + 1, degree + 2, ... leave after economisation of two of them. */
static double cut_off(const extent *x, int degree)
{
    const double *a = x->term;
    double last = a[10] + a[11], before = a[8] + a[9];
    double ratio = before > 0.0 ? last / before : 1.0; /* of terms two orders apart */
    double beyond = last * __builtin_fmin(1.0, 2.0 * ratio);
    if (degree == 9)
        return a[10] / 512.0 + a[11] / 1024.0 + beyond;
    return a[8] / 128.0 + a[9] / 256.0 + last + beyond;
}

/* > 1: the piece may be longer by about that factor; <= 1: it is too long. */
static double slack(const jet *j, double reach, int degree)
{
    extent x;
    measure(j, reach, &x);
    if (x.term[1] == 0.0 && x.tail == 0.0)
        return 8.0;
    double least = x.least > 0.0 ? x.least : 0.25 * x.term[0];
    if (!(least > 0.0))
        return 0.25;
    double factor = 8.0;
    if (x.term[1] > 0.0)
        factor = __builtin_fmin(factor, 0.5 * __builtin_fmax(x.term[0], least) / x.term[1]);
    if (x.tail > 0.0)
        factor = __builtin_fmin(factor, __builtin_sqrt(least / (TAIL_SHARE * x.tail)));
    double cut = cut_off(&x, degree);
    if (cut > 0.0) {
        double room = least * CUT_OFF / cut;
        double root = rough_root(room, degree + 1);
        /* The root is rough; the decision is not. */
        factor = __builtin_fmin(factor, room >= 1.0 ? __builtin_fmax(root, 1.0) : __builtin_fmin(root, 0.98));
    }
    return x.least > 0.0 ? factor : __builtin_fmin(factor, 0.7);
}

static int degree_of(int64_t n)
{
    return n > SHORT_PIECE ? 7 : 9;
}

/* Folds the terms degree + 1 and degree + 2 into the lower ones: x^n - T_n(x)/2^(n-1) on |x| <= reach. */
static void economise(jet *j, double reach, int degree)
{
    double r2 = reach * reach, r4 = r2 * r2, r8 = r4 * r4;
    double even, odd;
    if (degree == 9) {
        even = j->c[10] / 512.0;
        j->c[8] += even * 1280.0 * r2;
        j->c[6] -= even * 1120.0 * r4;
        j->c[4] += even * 400.0 * r4 * r2;
        j->c[2] -= even * 50.0 * r8;
        j->c0 = dd_add_d(j->c0, even * r8 * r2);
        odd = j->c[11] / 1024.0;
        j->c[9] += odd * 2816.0 * r2;
        j->c[7] -= odd * 2816.0 * r4;
        j->c[5] += odd * 1232.0 * r4 * r2;
        j->c[3] -= odd * 220.0 * r8;
        j->c1 = dd_add_d(j->c1, odd * 11.0 * r8 * r2);
    } else {
        even = j->c[8] / 128.0;
        j->c[6] += even * 256.0 * r2;
        j->c[4] -= even * 160.0 * r4;
        j->c[2] += even * 32.0 * r4 * r2;
        j->c0 = dd_add_d(j->c0, -even * r8);
        odd = j->c[9] / 256.0;
        j->c[7] += odd * 576.0 * r2;
        j->c[5] -= odd * 432.0 * r4;
        j->c[3] += odd * 120.0 * r4 * r2;
        j->c1 = dd_add_d(j->c1, -odd * 9.0 * r8);
        j->c[8] = j->c[9] = 0.0;
    }
}

/* x 2^e in two steps, neither of which leaves the range of doubles before the result does; -0 becomes 0. */
typedef struct {
    double first, second;
} power_of_two;

static double scaled(double x, power_of_two p)
{
    return x * p.first * p.second + 0.0;
}

typedef enum { FITS, TOO_LONG, OVERFLOWS } fit;

/* The piece's numbers from its jet; its range of values decides about scaling. */
static fit write_piece(const jet *j, double reach, int64_t n, lrk_piece *piece)
{
    double low, high;
    lrk_jet_bounds(j, reach, &low, &high);
    int top, bottom;
    (void)__builtin_frexp(high, &top);
    (void)__builtin_frexp(low > 0.0 ? low : j->scale * CANCELLED, &bottom);
    top += j->e;
    bottom += j->e;
    if (top > 1023) {
        if (n > 1)
            return TOO_LONG;
        if (isinf(lrk_xdd_round((xdd){j->c0, j->e})))
            return OVERFLOWS;
    }
    int shift = j->e;
    piece->magic = 0.0;
    piece->unscale = 1.0;
    if (high > 0.0 && (low > 0.0 || j->scale > 0.0 || n == 1) && bottom < SMALLEST_PLAIN) {
        shift += UNSCALE_DIGITS;
        piece->unscale = dd_pow2(-UNSCALE_DIGITS);
        if (top <= -1022) /* all denormal: adding the magic number rounds to a multiple of 2^-1074 */
            piece->magic = __builtin_copysign(dd_pow2(-1022 + UNSCALE_DIGITS), j->c0.hi);
        else if (bottom <= -1022 && n > 1)
            return TOO_LONG;
    }
    if (shift < -2000)
        shift = -2000; /* all of it vanishes */
    const power_of_two p = {dd_pow2(shift / 2), dd_pow2(shift - shift / 2)};
    double *c = piece->c;
    c[0] = scaled(j->c0.hi, p);
    c[1] = scaled(j->c1.hi, p);
    c[2] = scaled(j->c0.lo, p);
    c[3] = scaled(j->c1.lo, p);
    for (int k = 2; k <= 9; k++)
        c[k + 2] = scaled(j->c[k], p);
    return FITS;
}

/* All of n steps from t round to zero: a decay that ran out. */
static int vanished(const lrk_expr *e, int64_t t, int64_t n)
{
    const int64_t at[3] = {t, t + (n - 1) / 2, t + n - 1};
    for (int i = 0; i < 3; i++) {
        jet j;
        lrk_expr_jet(e, dd_of_int(at[i]), dd_of(0.0), 0.0, &j);
        int k;
        (void)__builtin_frexp(j.c0.hi, &k);
        if (j.c0.hi != 0.0 && k + j.e > VANISHED)
            return 0;
    }
    return 1;
}

static void write_zero(lrk_piece *piece)
{
    for (int k = 0; k < 12; k++)
        piece->c[k] = 0.0;
    piece->magic = 0.0;
    piece->unscale = 1.0;
    piece->scale = 1.0;
}

/* The centre's value says whether it is worth asking `vanished`. */
static int seems_vanished(const jet *j)
{
    int k;
    (void)__builtin_frexp(j->c0.hi, &k);
    return j->c0.hi != 0.0 && k + j->e <= VANISHED;
}

/* Tries n steps from t. Gives the factor by which the length may change; below 1 the piece was not written. */
static double try_piece(const lrk_expr *e, int64_t t, int64_t n, lrk_piece *piece, int *overflows)
{
    const int64_t half = (n - 1) / 2, right = n - 1 - half; /* half or half + 1 */
    const int k = right <= 1 ? 0 : 64 - __builtin_clzll((unsigned long long)(right - 1));
    const double reach = (double)right * dd_pow2(-k);
    const dd slope = dd_of(n == 1 ? 0.0 : dd_pow2(k));
    jet j;
    if (lrk_expr_jet(e, dd_of_int(t + half), slope, reach, &j) == LRK_NOT_SMOOTH)
        return 0.5;
    piece->begin = t;
    piece->center = t + half;
    piece->scale = dd_pow2(-k);
    const int degree = degree_of(n);
    const double factor = n == 1 ? 2.0 : slack(&j, reach, degree);
    if (factor < 1.0) {
        if (seems_vanished(&j) && vanished(e, t, n)) {
            write_zero(piece);
            return 8.0;
        }
        return factor;
    }
    if (n > 1)
        economise(&j, reach, degree);
    const fit f = write_piece(&j, reach, n, piece);
    *overflows = f == OVERFLOWS;
    return f == FITS ? factor : 0.5;
}

lrk_status lrk_walker_next(lrk_walker *w, lrk_piece *piece)
{
    const int64_t t = w->t;
    if (t >= w->segment_end)
        lrk_walker_start(w, w->e, t);
    int64_t n = w->segment_end - t;
    if (n > w->guess)
        n = w->guess;
    for (;;) {
        int overflows = 0;
        const double factor = try_piece(w->e, t, n, piece, &overflows);
        if (overflows)
            return LRK_ERROR_OVERFLOW;
        if (factor >= 1.0) {
            const double longer = (double)n * __builtin_fmax(0.95 * factor, 1.0);
            w->guess = longer < LRK_NEVER ? (int64_t)longer + 1 : INT64_MAX;
            w->t = t + n;
            return LRK_OK;
        }
        double shorter = (double)n * __builtin_fmin(0.9 * factor, 0.8);
        if (n > SHORT_PIECE && shorter < SHORT_PIECE)
            shorter = SHORT_PIECE; /* of another degree: it may fit */
        n = shorter < 1.0 ? 1 : (int64_t)shorter;
    }
}
