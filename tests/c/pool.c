/* Hammers both pools of threads without Python; built and run by test_threads.py: without OpenMP, also under ThreadSanitizer,
   and with it (-fopenmp). Exit status 0: all well. */
#ifdef _OPENMP
#include <omp.h>
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/fpenv.h"
#include "runtime/threads.h"

#include "check.h"

enum { MAX_TASKS = 5000 };

typedef struct sheet {
    int done[MAX_TASKS]; /* plain on purpose: a task run twice at once, or not finished in time, is a race */
    _Atomic int workers;
} sheet;

static _Thread_local int inside; /* is this thread in a task? */

/* Whether jobs of the calling thread run on OpenMP's threads: always (1), never (0), while they are awake (-1). */
static int on_openmp(void)
{
    const char *const wanted = getenv("LRKERN_POOL");
    return strcmp(lrk_active_pool(), "own") == 0 ? 0 : wanted != NULL && strcmp(wanted, "openmp") == 0 ? 1 : -1;
}

/* Whether this is a thread of a parallel region of OpenMP. */
static int in_region(void)
{
#ifdef _OPENMP
    return omp_in_parallel();
#else
    return 0;
#endif
}

static void tick(void *ctx, int64_t index)
{
    sheet *s = ctx;
    s->done[index]++;
}

static void run_and_check(int64_t n)
{
    sheet *s = calloc(1, sizeof *s);
    lrk_parallel(&(lrk_sharing){.threads = lrk_job_threads()}, n, tick, s);
    for (int64_t i = 0; i < MAX_TASKS; i++)
        CHECK(s->done[i] == (i < n));
    free(s);
}

static const int64_t sizes[] = {0, 1, 2, 3, 7, 64, 1000, MAX_TASKS};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

static void sizes_and_threads(int rounds)
{
    static const int threads[] = {1, 2, 3, 8, 2, 33, 1, 4};
    for (int round = 0; round < rounds; round++)
        for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
            CHECK(lrk_set_threads(threads[t]) == 0 && lrk_get_threads() == threads[t]);
            for (int i = 0; i < N_SIZES; i++)
                run_and_check(sizes[i]);
        }
    CHECK(lrk_set_threads(0) == -1 && lrk_set_threads(-5) == -1 && lrk_set_threads(LRK_MAX_THREADS + 1) == -1);
    CHECK(lrk_get_threads() == 4);
}

/* Tasks that run jobs of their own. */
static void nest(void *ctx, int64_t index)
{
    (void)index;
    CHECK(!inside);
    inside = 1;
    run_and_check(50);
    inside = 0;
    atomic_fetch_add((_Atomic int *)ctx, 1);
}

static void nested(void)
{
    _Atomic int count = 0;
    lrk_parallel(&(lrk_sharing){.threads = lrk_job_threads()}, 100, nest, &count);
    CHECK(count == 100);
}

/* Several threads with jobs at once. */
static void *caller(void *rounds)
{
    for (int i = 0; i < *(int *)rounds; i++)
        run_and_check(sizes[i % N_SIZES]);
    return NULL;
}

static void *changer(void *rounds)
{
    for (int i = 0; i < *(int *)rounds; i++)
        CHECK(lrk_set_threads(1 + i % 5) == 0);
    return NULL;
}

static void callers(int rounds)
{
    pthread_t threads[5];
    for (int i = 0; i < 5; i++)
        CHECK(pthread_create(&threads[i], NULL, i == 0 ? changer : caller, &rounds) == 0);
    for (int i = 0; i < 5; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* Workers of the right pool take part: a job whose tasks all wait for each other ends only if they run at the same time. */
static _Atomic int expect_region;

static void meet(void *ctx, int64_t index)
{
    (void)index;
    sheet *s = ctx;
    CHECK(expect_region < 0 || in_region() == expect_region);
    atomic_fetch_add(&s->workers, 1);
    for (int i = 0; atomic_load(&s->workers) < 3; i++) {
        CHECK(i < 10000);
        usleep(1000);
    }
}

static void together(void)
{
    static sheet s;
    expect_region = on_openmp();
    for (int i = 0; i < 20; i++) {
        lrk_set_threads(3);
        atomic_store(&s.workers, 0);
        lrk_parallel(&(lrk_sharing){.threads = lrk_job_threads()}, 3, meet, &s);
        usleep(i % 2 ? 1000 : 0); /* the workers are asleep, or still awake */
    }
}

static void forks(void)
{
    lrk_set_threads(3);
    run_and_check(1000);
    for (int i = 0; i < 5; i++) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);
            CHECK(!on_openmp());
            together();
            run_and_check(1000);
            const pid_t grandchild = fork();
            if (grandchild == 0) {
                alarm(20);
                run_and_check(1000);
                _exit(0);
            }
            int status;
            _exit(waitpid(grandchild, &status, 0) == grandchild && status == 0 ? 0 : 1);
        }
        run_and_check(1000);
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
}

/* Fork while another thread is in the middle of jobs. */
static _Atomic int stop;

static void *busy(void *unused)
{
    (void)unused;
    while (!stop)
        run_and_check(1000);
    return NULL;
}

static void forks_while_busy(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, busy, NULL) == 0);
    for (int i = 0; i < 300; i++) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);
            run_and_check(64);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    stop = 1;
    CHECK(pthread_join(thread, NULL) == 0);
}

#ifdef _OPENMP
/* Flush denormals. */
#if defined(__x86_64__)
enum { OTHER_MODE = 0x9FC0 };
#elif defined(__aarch64__)
enum { OTHER_MODE = 1 << 24 };
#else
enum { OTHER_MODE = 0 };
#endif

static void in_default_mode(void *ctx, int64_t index)
{
    meet(ctx, index);
    CHECK(lrk_fp_default() != OTHER_MODE || OTHER_MODE == 0);
}

/* The number of threads of a region that are in the other mode. */
static int in_other_mode(void)
{
    _Atomic int count = 0;
#pragma omp parallel num_threads(3)
    {
        const uint64_t found = lrk_fp_default();
        count += found == OTHER_MODE;
        lrk_fp_restore(found);
    }
    return count;
}

/* Tasks see the default mode on OpenMP's threads, whose own modes remain (or are what the runtime makes them). */
static void modes(void)
{
    static sheet s;
    lrk_set_threads(3);
    expect_region = on_openmp();
#pragma omp parallel num_threads(3)
    lrk_fp_restore(OTHER_MODE);
    const int before = in_other_mode();
    lrk_parallel(&(lrk_sharing){.threads = lrk_job_threads()}, 3, in_default_mode, &s);
    CHECK(in_other_mode() == before);
#pragma omp parallel num_threads(3)
    lrk_fp_default();
}

/* The limit of the calling thread holds, and there is no job on several threads inside a region. */
static void limits(void)
{
    lrk_set_threads(3);
    const int usual = omp_get_max_threads(), other = lrk_job_threads();
    CHECK(other == 3 && (!on_openmp() || usual >= 3));
    omp_set_num_threads(1);
    CHECK(lrk_job_threads() == (on_openmp() ? 1 : 3));
    run_and_check(1000);
    omp_set_num_threads(2);
    CHECK(lrk_job_threads() == (on_openmp() ? 2 : 3));
    run_and_check(1000);
    omp_set_num_threads(usual);
    const int serial = on_openmp();
#pragma omp parallel
    {
        CHECK(!serial || lrk_job_threads() == 1);
        run_and_check(1000);
    }
}

static void *other_thread(void *expected)
{
    CHECK(on_openmp() == *(int *)expected);
    run_and_check(1000);
    together();
    return NULL;
}

/* One thread begins parallel regions, the first, until it ends; others use the library's own threads. */
static void owners(void)
{
    const char *const wanted = getenv("LRKERN_POOL");
    int expected = wanted == NULL || strcmp(wanted, "auto") == 0 ? -1 : strcmp(wanted, "openmp") == 0;
    const int first = expected;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, other_thread, &expected) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(on_openmp() == first);
    expected = 0;
    CHECK(pthread_create(&thread, NULL, other_thread, &expected) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(on_openmp() == first);
}
#endif

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 20;
    alarm(120);
#ifdef _OPENMP
    owners();
    modes();
    limits();
#endif
    sizes_and_threads(rounds);
    nested();
    callers(rounds * 20);
    together();
    if (argc <= 2 || strcmp(argv[2], "no-fork") != 0) {
        forks();
        forks_while_busy();
    }
    return 0;
}
