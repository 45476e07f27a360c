/* For `refine`: the running median, and products with the sums of later terms. */
#include <stdbool.h>
#include <stdlib.h>

#include "runtime/fpenv.h"
#include "scan/scan.h"

typedef struct ranked {
    double number;
    int64_t index;
} ranked;

static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Counts of ranks in the window, as a Fenwick tree: counts[i] covers the lowest-set-bit(i) ranks up to i. */
static void count_rank(int64_t *counts, int64_t n, int64_t rank, int64_t change)
{
    for (int64_t i = rank + 1; i <= n; i += i & -i)
        counts[i] += change;
}

/* The rank below which there are exactly `below` of the window's numbers. */
static int64_t find_rank(const int64_t *counts, int64_t n, int64_t below)
{
    int64_t at = 0, stride = 1;
    while (stride <= n / 2)
        stride *= 2;
    for (; stride > 0; stride /= 2)
        if (at + stride <= n && counts[at + stride] <= below) {
            at += stride;
            below -= counts[at];
        }
    return at;
}

int lrk_running_median(int64_t n, const double *numbers, int64_t reach, double *medians)
{
    LRK_FP_DEFAULT_HERE;
    ranked *order = malloc((size_t)n * sizeof *order);
    int64_t *rank = malloc((size_t)n * sizeof *rank), *counts = calloc((size_t)n + 1, sizeof *counts);
    const bool ready = order != NULL && rank != NULL && counts != NULL;
    if (ready) {
        for (int64_t i = 0; i < n; i++)
            order[i] = (ranked){numbers[i], i};
        qsort(order, (size_t)n, sizeof *order, compare_ranked);
        for (int64_t i = 0; i < n; i++)
            rank[order[i].index] = i;
        for (int64_t i = -reach; i < n + reach; i++) {
            const int64_t out = i - 2 * reach - 1;
            count_rank(counts, n, rank[i < 0 ? 0 : i < n ? i : 2 * n - 2 - i], 1);
            if (out >= -reach)
                count_rank(counts, n, rank[out < 0 ? 0 : out], -1);
            if (i >= reach)
                medians[i - reach] = order[find_rank(counts, n, reach)].number;
        }
    }
    free(order);
    free(rank);
    free(counts);
    return ready ? 0 : -1;
}

void lrk_times_later_sum(int64_t n, const double *weights, double *out)
{
    LRK_FP_DEFAULT_HERE;
    double high = 0, low = 0; /* weights are positive: one compensation term keeps an error of 2^-100 of the sum */
    for (int64_t i = n - 1; i >= 0; i--) {
        const double weight = weights[i], sum = high + weight, part = sum - high;
        out[i] = weight * (high + low);
        low += (high - (sum - part)) + (weight - part);
        high = sum;
    }
}
