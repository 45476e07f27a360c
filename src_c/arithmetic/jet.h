/* Taylor jets: the first coefficients of a function of v around v = 0, |v| <= 1, times 2^e.
 *
 * The constant and the linear coefficient are double-double, the rest doubles: a piece of a plan is short enough that they
 * matter by 1/64 of the value at most. The exponent keeps values away from under- and overflow: 1e300, and factors
 * that only their product brings back.
 * Where a sum cancelled, `scale` is what the larger of its terms has at least for any |v| <= 1 (to a factor of 2; else 0), and
 * `size` what it has at v = 0, which is what the digits of c0 are digits of; in units of 2^e as well.
 */
#ifndef LRK_JET_H
#define LRK_JET_H

#include <stdint.h>

#include "arithmetic/dd.h"

enum { JET = 12 }; /* coefficients 0 .. 11: degree 9 of a piece, and two to estimate what is cut off */

typedef struct {
    dd c0, c1;
    double c[JET]; /* from index 2 */
    double scale, size;
    int64_t e;
} jet;

/* A double-double with an exponent of its own. */
typedef struct {
    dd v;
    int64_t e;
} xdd;

#endif
