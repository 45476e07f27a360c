/* Taylor jets: the first coefficients of a function of v around v = 0, |v| <= 1, times 2^e.
 *
 * The constant and the linear coefficient are double-double, the rest doubles: pieces of a plan are short enough that the rest
 * contributes at most 1/64 of the value. The exponent prevents underflow and overflow of intermediate values, such as huge
 * factors whose product is moderate.
 * If a sum cancelled, `scale` is a lower bound of its larger term for all |v| <= 1 (to a factor of 2; else 0), and `size` is
 * that term at v = 0, to which the precision of c0 is relative; both in units of 2^e.
 */
#ifndef LRK_JET_H
#define LRK_JET_H

#include <stdint.h>

#include "arithmetic/dd.h"

enum { JET = 12 }; /* coefficients 0 .. 11: degree 9 of a piece, and two more to estimate the truncation error */

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
