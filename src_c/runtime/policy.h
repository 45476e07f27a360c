/* When threads share work, and how, in one place; the engines written in Python read it from `lrkern._core`. It affects times,
   never results. */
#ifndef LRK_POLICY_H
#define LRK_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* Kinds of work, and what their amounts are numbers of. */
typedef enum {
    LRK_WORK_STEP, /* bytes that a step reads or writes, each array once */
    LRK_WORK_NORM, /* elements */
    LRK_WORK_FILL, /* elements of tables */
    LRK_WORK_LOOKUP, /* steps */
    LRK_WORK_SCAN, /* metrics of loss-driven schedules */
    LRK_N_WORKS
} lrk_work;

/* The amount of work of a step of so many bytes of parameters: the gradient is read, all others are read and written. */
static inline int64_t lrk_step_traffic(int64_t bytes, int64_t states)
{
    return bytes * (3 + 2 * states);
}

/* The number of threads that a job of the calling thread should use. */
int lrk_threads_for(lrk_work work, int64_t amount);

/* Whether a job is worth waking threads for, if more than one may be used. For pools other than those of runtime/. */
bool lrk_worth_waking(lrk_work work, int64_t amount);

enum {
    /* Pieces of work per thread: several, so that a late thread costs little. */
    LRK_PIECES_PER_THREAD = 8,

    /* Steps, in bytes of parameters. A piece is large enough that the cost of handing it out is negligible. */
    LRK_STEP_MIN_PIECE = 32 << 10,
    LRK_STEP_MAX_PIECE = 1 << 20,

    /* Norms: number of blocks that a thread takes at a time. */
    LRK_NORM_BLOCKS_PER_PIECE = 64,

    /* Tables, in elements. */
    LRK_FILL_MIN_TASK = 1 << 15,
    LRK_LOOKUP_TASK = 1 << 10,

    /* Loss-driven schedules, in metrics. */
    LRK_SCAN_MIN_TASK = 1 << 15
};

#endif
