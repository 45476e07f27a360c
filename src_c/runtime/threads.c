#define _GNU_SOURCE
#include "runtime/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/fpenv.h"

/* Expressions are walked recursively; some systems' default stack is too small for the deepest. */
enum { STACK_BYTES = 4 << 20 };

/* How long a thread spins for work before it sleeps. Waking a sleeper costs 5 to 50 us, so closely spaced jobs should find
   the workers awake; spinning longer would take CPU time from other processes. */
enum { SPIN_NANOSECONDS = 20000 };

/* The tasks of one participant's share that have not been started, on cache lines of its own. Each participant starts with
   its own share, so that repeated jobs find their data in the same core's cache, and then helps the others. */
typedef struct share {
    _Alignas(128) _Atomic int64_t next;
    int64_t end;
} share;

/* `gate`: whether workers may enter the job, and how many are inside. The job's fields are written only while the gate is
   shut and no worker is inside. A worker that wakes late finds it shut and returns, so a job never waits for a sleeper. */
enum { GATE_OPEN = 1, GATE_WORKER = 2 };

static struct pool {
    atomic_bool busy; /* held by the thread whose job runs */
    /* The job */
    void (*task)(void *ctx, int64_t index);
    void *ctx;
    int n_shares;
    share shares[LRK_MAX_THREADS]; /* share 0 is the caller's, share 1 + i worker i's */
    _Alignas(128) _Atomic uint32_t gate;
    _Alignas(128) _Atomic uint32_t jobs; /* job counter; a change wakes the workers */
    _Atomic int sleepers;
    _Atomic int keep; /* workers with an index >= this one exit */
    /* The workers, owned by the holder of `busy` */
    int n_workers;
    pthread_t workers[LRK_MAX_THREADS];
    pthread_mutex_t mutex;
    pthread_cond_t wake;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static _Atomic int n_threads; /* 0: not determined yet */
static pthread_once_t fork_handler_once = PTHREAD_ONCE_INIT;

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* One iteration of spinning. If there are more threads than CPUs, the awaited thread may need this CPU, so yield after the
   first microseconds. */
static inline void linger(int spins)
{
    if (spins < 32)
        relax();
    else
        sched_yield();
}

/* Works on the job as participant `self` until all tasks have been started. */
static void run_tasks(int self)
{
    for (int turn = 0; turn < pool.n_shares; turn++) {
        share *const from = &pool.shares[(self + turn) % pool.n_shares];
        /* Reading first keeps the counters of finished shares from being written, and from overflowing. */
        while (atomic_load_explicit(&from->next, memory_order_relaxed) < from->end) {
            const int64_t index = atomic_fetch_add_explicit(&from->next, 1, memory_order_relaxed);
            if (index < from->end)
                pool.task(pool.ctx, index);
        }
    }
}

/* Joins the current job, if there is one. */
static void enter(int self)
{
    uint32_t gate = atomic_load_explicit(&pool.gate, memory_order_relaxed);
    do {
        if (!(gate & GATE_OPEN))
            return;
    } while (!atomic_compare_exchange_weak_explicit(&pool.gate, &gate, gate + GATE_WORKER, memory_order_acquire,
                                                    memory_order_relaxed));
    run_tasks(self);
    atomic_fetch_sub_explicit(&pool.gate, GATE_WORKER, memory_order_release);
}

/* Waits until the job counter differs from `seen`. */
static uint32_t await_job(uint32_t seen)
{
    uint32_t jobs;
    const int64_t until = lrk_clock() + SPIN_NANOSECONDS;
    for (int spins = 0; spins % 16 != 0 || lrk_clock() < until; spins++) {
        if ((jobs = atomic_load_explicit(&pool.jobs, memory_order_acquire)) != seen)
            return jobs;
        linger(spins);
    }

    pthread_mutex_lock(&pool.mutex);
    atomic_fetch_add(&pool.sleepers, 1);
    while ((jobs = atomic_load(&pool.jobs)) == seen)
        pthread_cond_wait(&pool.wake, &pool.mutex);
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.mutex);
    return jobs;
}

static void *work(void *argument)
{
    const int index = (int)(intptr_t)argument;
    uint32_t seen = atomic_load(&pool.jobs);
    (void)lrk_fp_default();
    while (index < atomic_load_explicit(&pool.keep, memory_order_relaxed)) {
        enter(index + 1);
        seen = await_job(seen);
    }
    return NULL;
}

/* Announces a new job, or a smaller number of workers. */
static void announce(void)
{
    atomic_fetch_add(&pool.jobs, 1);
    if (atomic_load(&pool.sleepers) > 0) {
        /* A thread that has counted itself as asleep holds the mutex until it waits: taking it here avoids lost wakeups. */
        pthread_mutex_lock(&pool.mutex);
        pthread_mutex_unlock(&pool.mutex);
        pthread_cond_broadcast(&pool.wake);
    }
}

/* After a fork only the forking thread exists: the child starts without a pool, whatever the state of the parent's. */
static void forget_pool(void)
{
    pool.n_workers = 0;
    atomic_store(&pool.gate, 0);
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.busy, false);
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_cond_init(&pool.wake, NULL);
}

static void install_fork_handler(void)
{
    pthread_atfork(NULL, NULL, forget_pool);
}

/* Resizes the pool to `wanted` workers, or as many as the system grants. */
static void resize(int wanted)
{
    if (wanted < pool.n_workers) {
        atomic_store(&pool.keep, wanted);
        announce();
        while (pool.n_workers > wanted)
            pthread_join(pool.workers[--pool.n_workers], NULL);
        return;
    }
    pthread_once(&fork_handler_once, install_fork_handler);
    atomic_store(&pool.keep, wanted);
    /* Signals are left to the program's own threads. */
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.n_workers < wanted) {
        const int index = pool.n_workers;
        if (pthread_create(&pool.workers[index], &attributes, work, (void *)(intptr_t)index) != 0)
            break;
        pool.n_workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

void lrk_parallel(int64_t n_tasks, void (*task)(void *ctx, int64_t index), void *ctx)
{
    if (n_tasks <= 0)
        return;
    LRK_FP_DEFAULT_HERE;
    const int threads = n_tasks == 1 ? 1 : lrk_get_threads();
    if (threads == 1 || atomic_exchange_explicit(&pool.busy, true, memory_order_acquire)) {
        for (int64_t index = 0; index < n_tasks; index++)
            task(ctx, index);
        return;
    }
    if (pool.n_workers != threads - 1)
        resize(threads - 1);

    pool.task = task;
    pool.ctx = ctx;
    pool.n_shares = n_tasks < threads ? (int)n_tasks : threads;
    const int64_t each = n_tasks / pool.n_shares, more = n_tasks % pool.n_shares;
    for (int64_t i = 0, next = 0; i < pool.n_shares; i++) {
        atomic_store_explicit(&pool.shares[i].next, next, memory_order_relaxed);
        next += each + (i < more);
        pool.shares[i].end = next;
    }
    atomic_store_explicit(&pool.gate, GATE_OPEN, memory_order_release);
    announce();
    run_tasks(0);
    atomic_fetch_and_explicit(&pool.gate, ~(uint32_t)GATE_OPEN, memory_order_relaxed);
    /* All tasks have been started: at most one task per worker is unfinished, so spinning is short. */
    for (int spins = 0; atomic_load_explicit(&pool.gate, memory_order_acquire) != 0; spins++)
        linger(spins);
    atomic_store_explicit(&pool.busy, false, memory_order_release);
}

/* The first number of a list such as "4,2", a valid OMP_NUM_THREADS; 0 if it is out of range. */
static int parse_count(const char *text, bool list)
{
    char *end;
    if (text == NULL)
        return 0;
    const long value = strtol(text, &end, 10);
    while (*end == ' ')
        end++;
    const bool complete = end != text && (*end == '\0' || (list && *end == ','));
    return complete && value >= 1 && value <= LRK_MAX_THREADS ? (int)value : 0;
}

const char *lrk_threads_bad_variable(void)
{
    const char *text = getenv("LRKERN_NUM_THREADS");
    return text == NULL || *text == '\0' || parse_count(text, false) ? NULL : "LRKERN_NUM_THREADS";
}

static int cpus(void)
{
#if defined(__linux__)
    for (int limit = 1024; limit <= 1 << 20; limit *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)limit);
        if (set == NULL)
            break;
        const size_t bytes = CPU_ALLOC_SIZE((size_t)limit);
        const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count;
    }
#endif
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

int lrk_get_threads(void)
{
    int count = atomic_load_explicit(&n_threads, memory_order_relaxed);
    if (count == 0) {
        int chosen = parse_count(getenv("LRKERN_NUM_THREADS"), false);
        if (chosen == 0)
            chosen = parse_count(getenv("OMP_NUM_THREADS"), true);
        if (chosen == 0)
            chosen = cpus();
        if (chosen > LRK_MAX_THREADS)
            chosen = LRK_MAX_THREADS;
        count = atomic_compare_exchange_strong(&n_threads, &count, chosen) ? chosen : count;
    }
    return count;
}

int lrk_set_threads(int n)
{
    if (n < 1 || n > LRK_MAX_THREADS)
        return -1;
    atomic_store(&n_threads, n);
    return 0;
}
