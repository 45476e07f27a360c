#define _GNU_SOURCE
#include "runtime/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "runtime/clock.h"
#include "runtime/fpenv.h"
#include "runtime/pools.h"

/* The tasks of one participant's share that have not been started, on cache lines of its own. Each participant starts with
   its own share, so that repeated jobs find their data in the same core's cache, and then helps the others. */
typedef struct share {
    _Alignas(128) _Atomic int64_t next;
    int64_t end;
} share;

/* The current job. Its fields are written by the holder of `busy`, only while no other participant is at work. */
static struct job {
    atomic_bool busy; /* held by the thread whose job runs */
    void (*task)(void *ctx, int64_t index);
    void *ctx;
    int n_shares;
    bool timed; /* the CPU time that the tasks take, on all threads, in nanoseconds, is added up in `alone` */
    _Atomic int64_t alone;
    share shares[LRK_MAX_THREADS]; /* share 0 is the caller's */
} job;

/* The CPU time of the calling thread. */
static int64_t cpu_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void lrk_take_tasks(int self)
{
    const int64_t begin = job.timed ? cpu_time() : 0;
    for (int turn = 0; turn < job.n_shares; turn++) {
        share *const from = &job.shares[(self + turn) % job.n_shares];
        /* Reading first keeps the counters of finished shares from being written, and from overflowing. */
        while (atomic_load_explicit(&from->next, memory_order_relaxed) < from->end) {
            const int64_t index = atomic_fetch_add_explicit(&from->next, 1, memory_order_relaxed);
            if (index < from->end)
                job.task(job.ctx, index);
        }
    }
    if (job.timed)
        atomic_fetch_add_explicit(&job.alone, cpu_time() - begin, memory_order_relaxed);
}

/* After a fork only the forking thread exists: the child starts without pools, whatever the state of the parent's. */
static void forget(void)
{
    lrk_workers_forget();
    lrk_openmp_forget();
    atomic_store(&job.busy, false);
}

static void install_fork_handler(void)
{
    pthread_atfork(lrk_openmp_before_fork, lrk_openmp_after_fork, forget);
}

void lrk_handle_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_fork_handler);
}

int lrk_job_threads(void)
{
    const int threads = lrk_get_threads();
    if (threads == 1)
        return 1;
    const int limit = lrk_openmp_limit();
    return threads < limit ? threads : limit;
}

const char *lrk_active_pool(void)
{
    const char *const file = lrk_openmp_file();
    return file == NULL ? "own" : file;
}

static void run_serially(const lrk_sharing *how, int64_t n_tasks, void (*task)(void *ctx, int64_t index), void *ctx)
{
    const int64_t begin = how->measured != NULL ? cpu_time() : 0;
    for (int64_t index = 0; index < n_tasks; index++)
        task(ctx, index);
    if (how->measured != NULL)
        lrk_sharing_took(how, cpu_time() - begin);
}

void lrk_parallel(const lrk_sharing *how, int64_t n_tasks, void (*task)(void *ctx, int64_t index), void *ctx)
{
    if (n_tasks <= 0)
        return;
    LRK_FP_DEFAULT_HERE;
    const int threads = how->threads;
    if (threads == 1 || n_tasks == 1 || atomic_exchange_explicit(&job.busy, true, memory_order_acquire)) {
        run_serially(how, n_tasks, task, ctx);
        return;
    }
    lrk_handle_forks();

    job.task = task;
    job.ctx = ctx;
    job.n_shares = n_tasks < threads ? (int)n_tasks : threads;
    const int64_t each = n_tasks / job.n_shares, more = n_tasks % job.n_shares;
    for (int64_t i = 0, next = 0; i < job.n_shares; i++) {
        atomic_store_explicit(&job.shares[i].next, next, memory_order_relaxed);
        next += each + (i < more);
        job.shares[i].end = next;
    }
    const bool judged = lrk_openmp_judges();
    job.timed = judged || how->measured != NULL;
    job.alone = 0;
    const int64_t begin = judged ? lrk_clock() : 0;
    const bool region = lrk_openmp_run(job.n_shares);
    if (!region)
        lrk_workers_run(threads);
    if (judged)
        lrk_openmp_judge(region, lrk_clock() - begin, job.alone);
    if (how->measured != NULL)
        lrk_sharing_took(how, job.alone);
    atomic_store_explicit(&job.busy, false, memory_order_release);
}
