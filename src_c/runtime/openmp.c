/* Jobs on the threads of an OpenMP runtime that others have brought into the process. Its threads spin for a while after their
 * work: they are awake, and keep the CPUs from workers of another pool. */
#define _GNU_SOURCE
#include "runtime/pools.h"

#include "lrkern.h"

#if defined(__linux__)

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/fpenv.h"
#include "runtime/threads.h"

/* Weak: a static program may have none of them, nor does it have libraries to look for. */
#pragma weak dlsym
#pragma weak dladdr

/* The stack that a thread must have for tasks: expressions are walked recursively. (The deepest were seen to take a quarter of
   it.) Users can give OpenMP's threads less, by OMP_STACKSIZE. */
enum { STACK_NEEDED = 512 << 10 };

/* Functions of the runtimes of GCC, LLVM and Intel. GCC's compiled code calls the first one, which the others have for it. */
typedef struct runtime {
    void (*parallel)(void (*region)(void *), void *data, unsigned threads, unsigned flags); /* 0 threads: as many as usual */
    int (*max_threads)(void); /* that a region of the calling thread would have */
    int (*in_parallel)(void);
    int (*thread_number)(void); /* in the team of a region: 0 is the thread that began it */
    const char *file;
} runtime;

/* Each is written once, before it becomes `current`. */
enum { MAX_RUNTIMES = 8 };
static runtime runtimes[MAX_RUNTIMES];
static int n_runtimes;
static const runtime *_Atomic current;

static _Atomic unsigned long long loads_seen; /* libraries loaded so far, at the last search */
static atomic_bool searching;

/* Every thread that begins parallel regions gets a team of its own, so only one does: the first. 0: none yet. */
static _Atomic uintptr_t owner;
static pthread_key_t owner_key;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;

/* A forked child has none of the runtime's threads, which GCC's does not notice: it would wait for them forever. */
static atomic_bool forked;

/* Held while the list of loaded libraries is walked, and by forks: the walk holds a lock of the C library, which does not free it
   in a forked child if another thread held it. */
static pthread_mutex_t walking = PTHREAD_MUTEX_INITIALIZER;

void lrk_openmp_before_fork(void)
{
    pthread_mutex_lock(&walking);
}

void lrk_openmp_after_fork(void)
{
    pthread_mutex_unlock(&walking);
}

void lrk_openmp_forget(void)
{
    pthread_mutex_unlock(&walking);
    atomic_store(&forked, true);
    atomic_store(&searching, false);
}

static void walk_libraries(int (*note)(struct dl_phdr_info *info, size_t size, void *ctx), void *ctx)
{
    pthread_mutex_lock(&walking);
    dl_iterate_phdr(note, ctx);
    pthread_mutex_unlock(&walking);
}

/* Whether this process is a forked one that has not executed another program, by the kernel's flags of it: the fork may have
   been before this library was loaded. */
static bool is_forked(void)
{
    enum { FORKED = 0x40 }; /* PF_FORKNOEXEC */
    char text[512];
    unsigned flags = 0;
    FILE *const file = fopen("/proc/self/stat", "re");
    if (file == NULL)
        return false;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *const name_end = strrchr(text, ')');
    return name_end != NULL && sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) == 1 && (flags & FORKED) != 0;
}

static void disown(void *key)
{
    uintptr_t mine = (uintptr_t)key;
    atomic_compare_exchange_strong(&owner, &mine, 0);
}

static void prepare(void)
{
    lrk_handle_forks(); /* before looking: no fork escapes both */
    if (pthread_key_create(&owner_key, disown) != 0 || is_forked())
        atomic_store(&forked, true);
}

/* Whether the calling thread is the one that begins parallel regions; it becomes that one if there is none. */
static bool owns(void)
{
    static _Thread_local char here;
    const uintptr_t me = (uintptr_t)&here;
    uintptr_t found = atomic_load_explicit(&owner, memory_order_relaxed);
    if (found == me)
        return true;
    if (found != 0 || pthread_setspecific(owner_key, (void *)me) != 0)
        return false;
    return atomic_compare_exchange_strong(&owner, &found, me);
}

/* Looks up a function by name; memcpy since C has no conversion of the address of an object to that of a function. */
static bool find(void *library, const char *name, void *function)
{
    void *const address = dlsym(library, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

/* Makes the runtime in a loaded file the current one; it stays loaded from now on. False if it has not all functions. */
static bool adopt(const char *file)
{
    runtime found = {0};
    for (int i = 0; i < n_runtimes; i++)
        if (strcmp(runtimes[i].file, file) == 0) {
            atomic_store(&current, &runtimes[i]);
            return true;
        }
    /* Not called by name, of which linkers of static programs warn. */
    void *(*open)(const char *file, int how);
    void *const library = find(RTLD_DEFAULT, "dlopen", &open) ? open(file, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    if (library == NULL)
        return false;
    if (n_runtimes < MAX_RUNTIMES && find(library, "GOMP_parallel", &found.parallel) &&
        find(library, "omp_get_max_threads", &found.max_threads) && find(library, "omp_in_parallel", &found.in_parallel) &&
        find(library, "omp_get_thread_num", &found.thread_number) && (found.file = strdup(file)) != NULL) {
        runtimes[n_runtimes] = found;
        atomic_store(&current, &runtimes[n_runtimes++]);
        return true;
    }
    return false;
}

/* Files whose names are those of OpenMP runtimes. They cannot be opened during the iteration, which locks the loader. */
typedef struct {
    int count;
    char *files[MAX_RUNTIMES];
} candidates;

static int note_candidate(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    candidates *const found = ctx;
    const char *const slash = strrchr(info->dlpi_name, '/');
    const char *const name = slash == NULL ? info->dlpi_name : slash + 1;
    if (found->count < MAX_RUNTIMES &&
        (strncmp(name, "libgomp", 7) == 0 || strncmp(name, "libomp", 6) == 0 || strncmp(name, "libiomp", 7) == 0)) {
        char *const copy = strdup(info->dlpi_name);
        if (copy != NULL)
            found->files[found->count++] = copy;
    }
    return 0;
}

/* Chooses the runtime whose functions are visible to all libraries, which programs that use OpenMP and torch bring; else the
   one loaded first. */
static void search(void)
{
    Dl_info where;
    void *const visible = dlsym(RTLD_DEFAULT, "GOMP_parallel");
    if (visible != NULL && dladdr(visible, &where) != 0 && adopt(where.dli_fname))
        return;
    candidates found = {0};
    walk_libraries(note_candidate, &found);
    bool done = false;
    for (int i = 0; i < found.count; i++) {
        done = done || adopt(found.files[i]);
        free(found.files[i]);
    }
}

static int note_loads(struct dl_phdr_info *info, size_t size, void *loads)
{
    if (size >= offsetof(struct dl_phdr_info, dlpi_adds) + sizeof info->dlpi_adds)
        *(unsigned long long *)loads = info->dlpi_adds;
    return 1; /* no more of them */
}

/* The runtime in use; NULL: none. Searches again only if libraries have been loaded since the last time. */
static const runtime *look(void)
{
    unsigned long long loads = 0;
    if (lrk_pool_wanted() == LRK_POOL_OWN || dlsym == NULL || dladdr == NULL)
        return NULL;
    const runtime *const known = atomic_load_explicit(&current, memory_order_acquire);
    if (known != NULL && atomic_load_explicit(&forked, memory_order_relaxed))
        return known; /* which only limits the number of threads; other libraries' walks may have been interrupted */
    lrk_handle_forks();
    walk_libraries(note_loads, &loads);
    if (loads != atomic_load_explicit(&loads_seen, memory_order_relaxed) && !atomic_exchange(&searching, true)) {
        search();
        atomic_store(&loads_seen, loads);
        atomic_store(&searching, false);
    }
    return atomic_load_explicit(&current, memory_order_acquire);
}

/* The runtime whose threads do the jobs of the calling thread; NULL: none. */
static const runtime *serving(void)
{
    const runtime *const found = look();
    if (found == NULL)
        return NULL;
    pthread_once(&prepared, prepare);
    return !atomic_load_explicit(&forked, memory_order_relaxed) && owns() ? found : NULL;
}

int lrk_openmp_limit(void)
{
    const runtime *const found = look();
    if (found == NULL)
        return LRK_MAX_THREADS;
    const int limit = found->in_parallel() ? 1 : found->max_threads();
    return limit < 1 ? 1 : limit;
}

const char *lrk_openmp_file(void)
{
    const runtime *const found = serving();
    return found == NULL ? NULL : found->file;
}

/* Whether the calling thread has enough stack for tasks. */
static bool has_stack(void)
{
    static _Thread_local enum { UNKNOWN, YES, NO } known;
    if (known == UNKNOWN) {
        pthread_attr_t attributes;
        void *lowest = NULL;
        size_t size = 0;
        if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
            pthread_attr_getstack(&attributes, &lowest, &size);
            pthread_attr_destroy(&attributes);
        }
        known = (uintptr_t)&attributes - (uintptr_t)lowest >= STACK_NEEDED ? YES : NO;
    }
    return known == YES;
}

typedef struct {
    const runtime *by;
    int threads;
} team;

/* What each thread of a team does. */
static void take_part(void *ctx)
{
    const team *const mine = ctx;
    const int self = mine->by->thread_number();
    if (self >= mine->threads || (self > 0 && !has_stack()))
        return;
    LRK_FP_DEFAULT_HERE;
    lrk_take_tasks(self);
}

/* What the last jobs took, and what they would take on one thread, in nanoseconds. */
typedef struct {
    double took, alone;
} record;

static void note(record *of, int64_t took, int64_t alone)
{
    enum { JOBS = 16 };
    of->took += (double)took - of->took / JOBS;
    of->alone += (double)alone - of->alone / JOBS;
}

/* A region ends when all threads of its team have come, also those that were asleep or had to wait for a CPU: it can take
   longer than the job on one thread, by 0.1 ms, or by 10 ms on a busy machine. Once the last regions, four at least, have
   together taken longer than jobs of the library's own threads do, in proportion, and by a half, the next jobs go to those:
   the more, the longer the last region took, and twice as many each time, until four regions are good again. (By a half: own
   threads, too, share their CPUs with those of the runtime, and most regions are much faster than their mean.) Until own
   threads have had a job, they are thought to take two thirds of the time of one thread. Only the owner uses these. */
enum { JOBS_PER_LOSS = 4, LONGEST_REST = 1024, TRIAL = 4 };
static int rest, next_rest = JOBS_PER_LOSS;
static int trial = TRIAL; /* regions still to come before the next judgement */
static record regions, own = {2, 3};

bool lrk_openmp_judges(void)
{
    return lrk_pool_wanted() == LRK_POOL_AUTO && serving() != NULL;
}

void lrk_openmp_judge(bool region, int64_t took, int64_t alone)
{
    note(region ? &regions : &own, took, alone);
    if (!region || (trial > 0 && --trial > 0))
        return;
    if (regions.took * own.alone <= 1.5 * regions.alone * own.took) {
        next_rest = JOBS_PER_LOSS;
        return;
    }
    const int64_t times = alone > 0 ? took / alone + 1 : 1;
    rest = times < LONGEST_REST / next_rest ? (int)times * next_rest : LONGEST_REST;
    next_rest = next_rest < LONGEST_REST ? 2 * next_rest : LONGEST_REST;
    regions = (record){0};
    trial = TRIAL;
}

bool lrk_openmp_ready(void)
{
    if (serving() == NULL)
        return false;
    if (rest > 0)
        rest--;
    return rest == 0;
}

bool lrk_openmp_run(int threads)
{
    team mine = {.by = serving(), .threads = threads};
    if (mine.by == NULL || rest > 0)
        return false;
    /* Always the usual number of threads: with a smaller one, GCC's runtime ends the others and starts them again later. */
    mine.by->parallel(take_part, &mine, 0, 0);
    return true;
}

#else

void lrk_openmp_before_fork(void)
{
}

void lrk_openmp_after_fork(void)
{
}

void lrk_openmp_forget(void)
{
}

int lrk_openmp_limit(void)
{
    return LRK_MAX_THREADS;
}

bool lrk_openmp_ready(void)
{
    return false;
}

const char *lrk_openmp_file(void)
{
    return NULL;
}

bool lrk_openmp_judges(void)
{
    return false;
}

void lrk_openmp_judge(bool region, int64_t took, int64_t alone)
{
    (void)region, (void)took, (void)alone;
}

bool lrk_openmp_run(int threads)
{
    (void)threads;
    return false;
}

#endif
