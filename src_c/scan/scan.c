#include "scan/scan.h"

#include <stdbool.h>
#include <string.h>

#include "isa/dispatch.h"
#include "runtime/fpenv.h"
#include "runtime/policy.h"
#include "runtime/threads.h"

enum { LANES = LRK_SCAN_LANES, BLOCK = LRK_SCAN_BLOCK };

/* The kernels' vectors must not straddle cache lines, which would be three times slower. */
enum { CACHE_LINE = 64 };
#define LINE _Alignas(CACHE_LINE)

typedef struct job {
    const lrk_scan *scan;
    lrk_scan_kernel *advance;
    int64_t groups; /* of LANES runs each */
    int64_t groups_per_task;
} job;

static const char *row(const lrk_scan_rows *rows, int64_t run)
{
    return (const char *)rows->data + run * rows->pitch;
}

/* Two runs at a time: half as many stores. */
typedef double pair __attribute__((vector_size(16)));

#define GATHER(type) \
    for (int lane = 0; lane < lanes; lane += 2) { \
        const type *a = (const void *)row(rows, first + lane); \
        const type *b = (const void *)row(rows, first + (lane + 1 < lanes ? lane + 1 : lane)); \
        for (int64_t t = begin; t < steps; t++) \
            *(pair *)(void *)&block[t * LANES + lane] = (pair){(double)a[from + t], (double)b[from + t]} * sign; \
    }

/* block[t][lane] = sign rows[first + lane][from + t]; 0 before the beginning of a row. */
static void gather(const lrk_scan_rows *rows, double sign, int64_t first, int lanes, int64_t from, int64_t steps,
                   double *restrict block)
{
    const int64_t begin = from < 0 ? (-from < steps ? -from : steps) : 0;
    memset(block, 0, (size_t)(begin * LANES) * sizeof *block);
    if (rows->dtype == LRK_FLOAT32) {
        GATHER(float)
    } else {
        GATHER(double)
    }
}

/* The inverse. A last run or step without a partner is handled alone. */
static void scatter(const double *restrict block, int lanes, int64_t steps, double *restrict lr, int64_t pitch)
{
    const int64_t even_steps = steps / 2 * 2;
    for (int lane = 0; lane < lanes; lane += 2) {
        double *restrict a = (double *)(void *)((char *)lr + lane * pitch);
        double *restrict b = (double *)(void *)((char *)a + pitch);
        const double *from = block + lane;
        const bool both = lane + 1 < lanes;
        for (int64_t t = 0; t < even_steps; t += 2, from += 2 * LANES) {
            const pair now = *(const pair *)(const void *)from, next = *(const pair *)(const void *)(from + LANES);
            const pair of_a = {now[0], next[0]}, of_b = {now[1], next[1]};
            memcpy(a + t, &of_a, sizeof of_a);
            if (both)
                memcpy(b + t, &of_b, sizeof of_b);
        }
        if (even_steps < steps) {
            a[even_steps] = from[0];
            if (both)
                b[even_steps] = from[1];
        }
    }
}

/* Prefetches the next block: hardware prefetchers do not follow that many rows with such short pieces of each. */
static void fetch_next(const void *data, int64_t pitch, int lanes, int64_t bytes)
{
    for (int lane = 0; lane < lanes; lane++)
        for (int64_t at = 0; at < bytes; at += CACHE_LINE)
            __builtin_prefetch((const char *)data + lane * pitch + at);
}

/* Lanes beyond the last run compute on zeros; their results are ignored. */
static void advance_group(const job *j, int64_t group)
{
    const lrk_scan *scan = j->scan;
    const int64_t first = group * LANES;
    const int lanes = scan->runs - first < LANES ? (int)(scan->runs - first) : LANES;
    LINE union {
        lrk_scan_params named;
        double rows[LRK_N_SCAN_PARAMS][LANES];
    } params = {0};
    LINE union {
        lrk_scan_state named;
        double rows[LRK_N_SCAN_STATE][LANES];
    } state = {0};
    for (int i = 0; i < LRK_N_SCAN_PARAMS; i++)
        for (int lane = 0; lane < lanes; lane++)
            params.rows[i][lane] = scan->params[i][(first + lane) * scan->params_step[i]];
    for (int i = 0; i < LRK_N_SCAN_STATE; i++)
        memcpy(state.rows[i], scan->state[i] + first, (size_t)lanes * sizeof(double));

    const int64_t item = scan->metrics.dtype == LRK_FLOAT32 ? sizeof(float) : sizeof(double);
    LINE double metrics[BLOCK * LANES] = {0}, lr[BLOCK * LANES];
    LINE double delayed[BLOCK * LANES] = {0};
    for (int64_t from = 0; from < scan->steps; from += BLOCK) {
        const int64_t steps = scan->steps - from < BLOCK ? scan->steps - from : BLOCK;
        double *out = (double *)(void *)((char *)scan->lr + first * scan->lr_pitch) + from;
        fetch_next(row(&scan->metrics, first) + (from + BLOCK) * item, scan->metrics.pitch, lanes, BLOCK * item);
        fetch_next(out + BLOCK, scan->lr_pitch, lanes, BLOCK * (int64_t)sizeof *out);
        gather(&scan->metrics, scan->sign, first, lanes, from, steps, metrics);
        if (scan->rule == LRK_SCAN_greedy_smooth)
            gather(&scan->delayed, scan->sign, first, lanes, from - scan->delay, steps, delayed);
        j->advance(steps, &params.named, &state.named, metrics, delayed, lr);
        scatter(lr, lanes, steps, out, scan->lr_pitch);
    }
    for (int i = 0; i < LRK_N_SCAN_STATE; i++)
        memcpy(scan->state[i] + first, state.rows[i], (size_t)lanes * sizeof(double));
}

static void advance_task(void *ctx, int64_t index)
{
    const job *j = ctx;
    const int64_t begin = index * j->groups_per_task, left = j->groups - begin;
    const int64_t end = begin + (left < j->groups_per_task ? left : j->groups_per_task);
    for (int64_t group = begin; group < end; group++)
        advance_group(j, group);
}

const char *lrk_scan_run(const lrk_scan *scan)
{
    LRK_FP_DEFAULT_HERE;
    const lrk_kernels *kernels = lrk_active();
    if (scan->runs == 0 || scan->steps == 0)
        return kernels->isa;
    job j = {
        .scan = scan,
        .advance = kernels->scan->advance[scan->rule],
        .groups = (scan->runs - 1) / LANES + 1,
        .groups_per_task = LRK_SCAN_MIN_TASK / LANES / scan->steps + 1,
    };
    const lrk_sharing how = lrk_sharing_for(LRK_WORK_SCAN, 1 + (uint32_t)scan->rule, scan->runs * scan->steps);
    lrk_parallel(&how, (j.groups - 1) / j.groups_per_task + 1, advance_task, &j);
    return kernels->isa;
}

/* loss_driven */

typedef struct loss_driven_job {
    int64_t runs, steps, runs_per_task;
    lrk_scan_rows losses;
    const double *tables;
    const int64_t *table_of;
    double *lr;
    int64_t lr_pitch;
    lrk_loss_driven_kernel *kernel;
} loss_driven_job;

static void loss_driven_task(void *ctx, int64_t index)
{
    const loss_driven_job *j = ctx;
    const int64_t begin = index * j->runs_per_task, left = j->runs - begin;
    const int64_t end = begin + (left < j->runs_per_task ? left : j->runs_per_task);
    for (int64_t run = begin; run < end; run++)
        j->kernel(j->steps, row(&j->losses, run), j->tables + j->table_of[run] * j->steps,
                  (double *)(void *)((char *)j->lr + run * j->lr_pitch));
}

const char *lrk_loss_driven_run(int64_t runs, int64_t steps, lrk_scan_rows losses, const double *tables,
                                const int64_t *table_of, double *lr, int64_t lr_pitch)
{
    LRK_FP_DEFAULT_HERE;
    const lrk_kernels *kernels = lrk_active();
    if (runs == 0 || steps == 0)
        return kernels->isa;
    loss_driven_job j = {
        .runs = runs,
        .steps = steps,
        .runs_per_task = LRK_SCAN_MIN_TASK / steps + 1,
        .losses = losses,
        .tables = tables,
        .table_of = table_of,
        .lr = lr,
        .lr_pitch = lr_pitch,
        .kernel = kernels->scan->loss_driven[losses.dtype],
    };
    const lrk_sharing how = lrk_sharing_for(LRK_WORK_SCAN, 0, runs * steps);
    lrk_parallel(&how, (runs - 1) / j.runs_per_task + 1, loss_driven_task, &j);
    return kernels->isa;
}
