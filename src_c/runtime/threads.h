/* Jobs whose tasks are shared by threads; see pools.h for where these come from. */
#ifndef LRK_THREADS_H
#define LRK_THREADS_H

#include <stdbool.h>

#include "lrkern.h"
#include "runtime/policy.h"

/* Runs task(ctx, 0 .. n_tasks-1), each index once, on up to how->threads threads, as lrk_sharing_for says (policy.h), and
   returns when all are done. The caller works too. Tasks may run in any order and concurrently; they must not block. Runs
   serially in the caller if that is 1, inside a task, and while another thread's job is running. Tasks see the default floating-point
   mode. */
void lrk_parallel(const lrk_sharing *how, int64_t n_tasks, void (*task)(void *ctx, int64_t index), void *ctx);

/* The number of threads that a job of the calling thread may use: lrk_get_threads(), unless the OpenMP runtime in use grants
   fewer to this thread. */
int lrk_job_threads(void);

/* NULL, or what is wrong with one of the environment variables of this library: its name, and what its value must be. */
typedef struct {
    const char *name, *rule;
} lrk_bad_variable;
const lrk_bad_variable *lrk_find_bad_variable(void);

/* What LRKERN_POOL asks for: the library's own threads; those of an OpenMP runtime, if there is one; those only while they are
   awake. */
typedef enum { LRK_POOL_AUTO, LRK_POOL_OWN, LRK_POOL_OPENMP } lrk_pool;
lrk_pool lrk_pool_wanted(void);

#endif
