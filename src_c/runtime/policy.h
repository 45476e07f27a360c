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

/* How a job is shared. How long jobs take is measured while the program runs. */
typedef struct lrk_estimate lrk_estimate;
typedef struct {
    int threads; /* the number of threads that it should use */
    lrk_work work;
    int64_t amount;
    lrk_estimate *measured; /* NULL: how long this job takes is of no interest */
} lrk_sharing;

/* For a job of the calling thread. `kind`: any number that is equal for jobs of this work whose time for an amount is about the
   same. */
lrk_sharing lrk_sharing_for(lrk_work work, uint32_t kind, int64_t amount);

/* Notes the CPU time that a measured job took on all its threads, in nanoseconds. */
void lrk_sharing_took(const lrk_sharing *how, int64_t alone);

/* Whether a job is worth waking threads for, if more than one may be used: by a first estimate. For pools other than those of
   runtime/. */
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
