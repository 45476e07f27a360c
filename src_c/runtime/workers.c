/* The library's own threads: one pool per process, created by the first job that needs it, and again in a forked child. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include "lrkern.h"
#include "runtime/clock.h"
#include "runtime/fpenv.h"
#include "runtime/pools.h"

/* Expressions are walked recursively; some systems' default stack is too small for the deepest. */
enum { STACK_BYTES = 4 << 20 };

/* How long a thread spins for work before it sleeps. Waking a sleeper costs 5 to 50 us, so closely spaced jobs should find
   the workers awake; spinning longer would take CPU time from other processes. */
enum { SPIN_NANOSECONDS = 20000 };

/* `gate`: whether workers may enter the job, and how many are inside. The job changes only while the gate is shut and no
   worker is inside. A worker that wakes late finds it shut and returns, so a job never waits for a sleeper. */
enum { GATE_OPEN = 1, GATE_WORKER = 2 };

static struct pool {
    _Alignas(128) _Atomic uint32_t gate;
    _Alignas(128) _Atomic uint32_t jobs; /* job counter; a change wakes the workers */
    _Atomic int sleepers;
    _Atomic int keep; /* workers with an index >= this one exit */
    /* The workers, owned by the thread whose job runs */
    _Atomic int n_workers;
    pthread_t workers[LRK_MAX_THREADS];
    pthread_mutex_t mutex;
    pthread_cond_t wake;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

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

/* Joins the current job, if there is one. */
static void enter(int self)
{
    uint32_t gate = atomic_load_explicit(&pool.gate, memory_order_relaxed);
    do {
        if (!(gate & GATE_OPEN))
            return;
    } while (!atomic_compare_exchange_weak_explicit(&pool.gate, &gate, gate + GATE_WORKER, memory_order_acquire,
                                                    memory_order_relaxed));
    lrk_take_tasks(self);
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

void lrk_workers_forget(void)
{
    pool.n_workers = 0;
    atomic_store(&pool.gate, 0);
    atomic_store(&pool.sleepers, 0);
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_cond_init(&pool.wake, NULL);
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

bool lrk_workers_awake(void)
{
    return pool.n_workers > 0 && atomic_load_explicit(&pool.sleepers, memory_order_relaxed) == 0;
}

void lrk_workers_run(int threads)
{
    if (pool.n_workers != threads - 1)
        resize(threads - 1);
    atomic_store_explicit(&pool.gate, GATE_OPEN, memory_order_release);
    announce();
    lrk_take_tasks(0);
    atomic_fetch_and_explicit(&pool.gate, ~(uint32_t)GATE_OPEN, memory_order_relaxed);
    /* All tasks have been started: at most one task per worker is unfinished, so spinning is short. */
    for (int spins = 0; atomic_load_explicit(&pool.gate, memory_order_acquire) != 0; spins++)
        linger(spins);
}
