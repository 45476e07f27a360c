/* Hammers the thread pool without Python; built and run by test_threads.py, also under ThreadSanitizer. Exit status 0: all well. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/threads.h"

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

enum { MAX_TASKS = 5000 };

typedef struct sheet {
    int done[MAX_TASKS]; /* plain on purpose: a task run twice at once, or not finished in time, is a race */
    _Atomic int workers;
} sheet;

static _Thread_local int inside; /* is this thread in a task? */

static void tick(void *ctx, int64_t index)
{
    sheet *s = ctx;
    s->done[index]++;
}

static void run_and_check(int64_t n)
{
    sheet *s = calloc(1, sizeof *s);
    lrk_parallel(n, tick, s);
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
    lrk_parallel(100, nest, &count);
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

/* Workers take part: a job whose tasks all wait for each other ends only if they run at the same time. */
static void meet(void *ctx, int64_t index)
{
    (void)index;
    sheet *s = ctx;
    atomic_fetch_add(&s->workers, 1);
    for (int i = 0; atomic_load(&s->workers) < 3; i++) {
        CHECK(i < 10000);
        usleep(1000);
    }
}

static void together(void)
{
    static sheet s;
    for (int i = 0; i < 20; i++) {
        lrk_set_threads(3);
        atomic_store(&s.workers, 0);
        lrk_parallel(3, meet, &s);
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
    for (int i = 0; i < 30; i++) {
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

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 20;
    alarm(120);
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
