/* The two pools of threads that jobs run on, behind lrk_parallel: the library's own workers, and those of an OpenMP runtime. */
#ifndef LRK_POOLS_H
#define LRK_POOLS_H

#include <stdbool.h>
#include <stdint.h>

/* Works on the current job as participant `self` (0: the caller) until all of its tasks have been started. A participant that
   never comes is no loss: the others take its share. */
void lrk_take_tasks(int self);

/* Runs the current job on the calling thread and up to `threads` - 1 workers. */
void lrk_workers_run(int threads);

/* The most threads that OpenMP grants to a job of the calling thread: 1 inside its parallel regions; LRK_MAX_THREADS if the
   process has no OpenMP runtime. */
int lrk_openmp_limit(void);

/* Whether all workers are awake. */
bool lrk_workers_awake(void);

/* To be called once before each job that may be worth threads: whether it would run on those of an OpenMP runtime. */
bool lrk_openmp_ready(void);

/* Runs the current job on the calling thread and up to `threads` - 1 threads of the OpenMP runtime; returns
   false, and does nothing, if it does not serve the calling thread at present. */
bool lrk_openmp_run(int threads);

/* Whether what the current job takes decides where later ones run. */
bool lrk_openmp_judges(void);

/* Notes such a job, in nanoseconds: what it took, in a parallel region or on own threads, and the CPU time of its tasks, which is
   what it would take on one thread. */
void lrk_openmp_judge(bool region, int64_t took, int64_t alone);

/* The file of the OpenMP runtime that serves the calling thread; NULL: none does. */
const char *lrk_openmp_file(void);

/* Makes sure that forks call the functions below. */
void lrk_handle_forks(void);

/* Before a fork, and after it in the parent. */
void lrk_openmp_before_fork(void);
void lrk_openmp_after_fork(void);

/* In a forked child: the pools as they are before the first job. No OpenMP runtime serves a child. */
void lrk_workers_forget(void);
void lrk_openmp_forget(void);

#endif
