/* The exact sum of doubles: a fixed-point number as wide as float64's range, so that the order and grouping of the terms
   do not matter. */
#ifndef LRK_EXACT_SUM_H
#define LRK_EXACT_SUM_H

#include <stdint.h>

/* Digit k has the weight 2^(32 k - 1074). Digits have 31 spare bits for carries: enough for 2^31 terms. */
enum { LRK_SUM_DIGITS = 68 };

typedef struct lrk_exact_sum {
    int64_t digits[LRK_SUM_DIGITS];
    double special; /* the sum of the infinities and NaNs among the terms */
} lrk_exact_sum;

void lrk_sum_add(lrk_exact_sum *sum, double term);

/* Rounded once to nearest, ties to even. */
double lrk_sum_round(const lrk_exact_sum *sum);

#endif
