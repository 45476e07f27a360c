/* The thread pool: one per process, created by the first job that needs it, and again in a forked child. */
#ifndef LRK_THREADS_H
#define LRK_THREADS_H

#include "lrkern.h"

/* Runs task(ctx, 0 .. n_tasks-1), each index once, and returns when all are done. The caller works too. Tasks may run in any
   order and concurrently; they must not block. Runs serially in the caller if only one thread is requested, inside a task,
   and while another thread's job holds the pool. Tasks see the default floating-point mode. */
void lrk_parallel(int64_t n_tasks, void (*task)(void *ctx, int64_t index), void *ctx);

/* NULL, or the name of an lrkern environment variable whose value is not in 1 .. LRK_MAX_THREADS. */
const char *lrk_threads_bad_variable(void);

#endif
