/* Taylor jets: the first coefficients of a function of u around u = 0, |u| <= 1, times 2^e.
 *
 * The constant and the linear coefficient are double-double, the rest doubles: a piece of a plan is short enough that they
 * matter by 1/64 of the value at most. The exponent keeps values around 1e-300 and 1e300 away from under- and overflow.
 * `scale` is the magnitude of the larger term where a sum cancelled (else 0), in units of 2^e as well.
 */
#ifndef LRK_JET_H
#define LRK_JET_H

#include "dd.h"

enum { JET = 12 }; /* coefficients 0 .. 11: degree 9 of a piece, and two to estimate what is cut off */

typedef struct {
    dd c0, c1;
    double c[JET]; /* from index 2 */
    double scale;
    int e;
} jet;

/* A double-double with an exponent of its own. */
typedef struct {
    dd v;
    int e;
} xdd;

xdd lrk_xdd(dd v, int e); /* normalised: |v| in [0.5, 1), or 0 */
xdd lrk_xdd_mul(xdd a, xdd b);
xdd lrk_xdd_div(xdd a, xdd b);

/* To the nearest double, denormals included; inf beyond the range. */
double lrk_xdd_round(xdd a);

void lrk_jet_constant(xdd value, jet *out);
void lrk_jet_add(const jet *a, const jet *b, jet *out);
void lrk_jet_mul(const jet *a, const jet *b, jet *out);
void lrk_jet_scale(jet *a, xdd by);

/* f^power of f = base + slope u, base > 0; f is given exactly enough in c0 and the ratio slope/base. */
void lrk_jet_power(dd value, int e, dd ratio, double power, jet *out);

/* value exp(rate u). */
void lrk_jet_exp(dd value, int e, dd rate, jet *out);

/* A lower bound of |jet| (0 if it may vanish) and an upper bound over |u| <= reach, in units of 2^e. */
void lrk_jet_bounds(const jet *a, double reach, double *low, double *high);

#endif
