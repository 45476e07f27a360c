/* Tables: plans and expressions evaluated at many steps, over threads, into memory. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "isa/dispatch.h"
#include "runtime/clock.h"
#include "runtime/fpenv.h"
#include "runtime/policy.h"
#include "runtime/stores.h"
#include "runtime/threads.h"
#include "schedule/expr.h"
#include "schedule/walk.h"

enum {
    STAGE = 1024,             /* elements staged in L1 where pieces are too short to stream by themselves */
    STAGE_SHORTEST = 256,     /* pieces of at least that many steps are streamed straight */
    CYCLES_COPIED = 4096,     /* steps of shorter cycles are copied several at a time */
    LONGEST_COPIED = 1 << 17, /* steps of a cycle that is copied: it stays in the caches */
    FEW_NUMBERS = 16,         /* of noise, for which a block takes longer */
    PLAIN_DIGITS = 900
};

static size_t size_of(lrk_dtype dtype)
{
    return dtype == LRK_FLOAT64 ? 8 : 4;
}

/* Where values go: straight into the output, or, when it is streamed, short runs by way of a buffer in L1. */
typedef struct {
    const lrk_plan_kernels *kernels;
    char *out;
    size_t size; /* of an element */
    int stream;
    int64_t staged;
    char stage[STAGE * 8];
} sink;

static void sink_open(sink *s, char *out, lrk_dtype dtype, int stream)
{
    s->kernels = lrk_active()->plan;
    s->out = out;
    s->size = size_of(dtype);
    s->stream = stream;
    s->staged = 0;
}

static void sink_flush(sink *s)
{
    if (s->staged == 0)
        return;
    s->kernels->stream_copy(s->out, s->stage, (size_t)s->staged * s->size);
    s->out += (size_t)s->staged * s->size;
    s->staged = 0;
}

static void sink_fill(sink *s, const lrk_piece *piece, int64_t t, int64_t n, void *out, int stream)
{
    (s->size == 8 ? s->kernels->fill_f64 : s->kernels->fill_f32)(piece, t, n, out, stream);
}

static void sink_put(sink *s, const lrk_piece *piece, int64_t t, int64_t n)
{
    if (!s->stream || (s->staged == 0 && n >= STAGE_SHORTEST)) {
        sink_fill(s, piece, t, n, s->out, s->stream);
        s->out += (size_t)n * s->size;
        return;
    }
    while (n > 0) {
        int64_t m = n < STAGE - s->staged ? n : STAGE - s->staged;
        sink_fill(s, piece, t, m, s->stage + (size_t)s->staged * s->size, 0);
        s->staged += m;
        t += m;
        n -= m;
        if (s->staged == STAGE) {
            sink_flush(s);
            if (n >= STAGE_SHORTEST) {
                sink_put(s, piece, t, n);
                return;
            }
        }
    }
}

static int64_t piece_end(const lrk_plan *plan, int64_t k)
{
    return k + 1 < plan->n_pieces ? plan->pieces[k + 1].begin : plan->end;
}

/* Steps [t, t + n) that lie in the plan as it stands (no reduction by its period). */
static void put_planned(sink *s, const lrk_plan *plan, int64_t t, int64_t n)
{
    for (int64_t k = lrk_plan_find(plan, t); n > 0; k++) {
        int64_t m = piece_end(plan, k) - t;
        if (m > n)
            m = n;
        sink_put(s, plan->pieces + k, t, m);
        t += m;
        n -= m;
    }
}

/* n more steps of cycles, of which the first lies at `first`, just before them. */
static void copy_cycles(sink *s, const char *first, int64_t period, int64_t n)
{
    const size_t enough = CYCLES_COPIED * s->size;
    size_t cycles = (size_t)period * s->size, left = (size_t)n * s->size;
    while (left > 0) {
        const size_t m = left < cycles ? left : cycles;
        if (s->stream && cycles >= enough)
            s->kernels->stream_copy(s->out, first, m);
        else
            memcpy(s->out, first, m);
        s->out += m;
        left -= m;
        if (cycles < enough)
            cycles *= 2; /* those just copied lie behind the first */
    }
}

/* Whether n steps are cycles of which all but the first are copies. */
static int worth_copying(int64_t period, int64_t n)
{
    return period > 1 && period <= LONGEST_COPIED && n / 2 >= period;
}

/* Steps [t, t + n) within the plan's repeating part. */
static void put_reduced(sink *s, const lrk_plan *plan, int64_t t, int64_t n)
{
    while (n > 0) {
        const int64_t from = lrk_plan_reduce(plan, t), left = plan->tail_start + plan->period - from;
        const int64_t m = left < n ? left : n;
        put_planned(s, plan, from, m);
        t += m;
        n -= m;
    }
}

/* Steps from t on lie in the plan's repeating part. */
static void put_periodic(sink *s, const lrk_plan *plan, int64_t t, int64_t n)
{
    if (plan->period == 1) {
        const lrk_piece piece = lrk_constant_piece(lrk_plan_value(plan, plan->tail_start), t);
        sink_put(s, &piece, t, n);
        return;
    }
    if (!worth_copying(plan->period, n)) {
        put_reduced(s, plan, t, n);
        return;
    }
    sink_flush(s);
    const char *const first = s->out;
    const int stream = s->stream;
    s->stream = 0; /* it will be read */
    put_reduced(s, plan, t, plan->period);
    s->stream = stream;
    copy_cycles(s, first, plan->period, n - plan->period);
}

/* Steps [t, t + n) of a walk that has come to t. */
static lrk_status put_walk(sink *s, lrk_walk *k, int64_t t, int64_t n, int64_t *overflow_at)
{
    while (n > 0) {
        lrk_piece piece;
        int64_t end;
        const lrk_status status = lrk_walk_piece(k, t, &piece, &end);
        if (status != LRK_OK) {
            *overflow_at = t;
            return status;
        }
        end = end < k->cycle_end ? end : k->cycle_end;
        const int64_t m = end - t < n ? end - t : n;
        sink_put(s, &piece, t, m);
        t += m;
        n -= m;
    }
    return LRK_OK;
}

/* Steps [t, t + n), compiled on the way. */
static lrk_status put_walked(sink *s, const lrk_expr *e, int64_t t, int64_t n, int64_t *overflow_at)
{
    lrk_walk k;
    lrk_walk_from(&k, e, t);
    const int64_t period = k.rule.period, before = k.rule.tail_start > t ? k.rule.tail_start - t : 0;
    if (before >= n || !worth_copying(period, n - before))
        return put_walk(s, &k, t, n, overflow_at);
    lrk_status status = put_walk(s, &k, t, before, overflow_at);
    if (status != LRK_OK)
        return status;
    sink_flush(s);
    const char *const first = s->out;
    const int stream = s->stream;
    s->stream = 0;
    lrk_walk_from(&k, e, t + before);
    status = put_walk(s, &k, t + before, period, overflow_at);
    s->stream = stream;
    if (status == LRK_OK)
        copy_cycles(s, first, period, n - before - period);
    return status;
}

/* n values that are made elsewhere. */
static void sink_copy(sink *s, const double *values, int64_t n)
{
    if (s->size == 8) {
        const size_t bytes = (size_t)n * 8;
        if (s->stream)
            s->kernels->stream_copy(s->out, values, bytes);
        else
            memcpy(s->out, values, bytes);
        s->out += bytes;
        return;
    }
    for (int64_t i = 0; i < n; i++, s->out += sizeof(float)) {
        const float value = (float)values[i];
        memcpy(s->out, &value, sizeof value);
    }
}

/* Steps [t, t + n) of a table: a plan would have a piece for each of its values. */
static void put_table(sink *s, const lrk_expr *e, int64_t t, int64_t n)
{
    int64_t m = e->n - t < n ? e->n - t : n;
    if (m > 0)
        sink_copy(s, e->values + t, m);
    m = m > 0 ? m : 0;
    const lrk_piece last = lrk_constant_piece(e->values[e->n - 1], t + m);
    if (n > m)
        sink_put(s, &last, t + m, n - m);
}

/* Whether the numbers of noise are products of two doubles that are far from the limits of float64. */
static int is_plain_noise(const lrk_expr *e)
{
    return e->kind == LRK_KIND_NOISE && e->value.e > -PLAIN_DIGITS && e->value.e < PLAIN_DIGITS;
}

static double noise_value(const lrk_expr *e, int64_t t)
{
    const lrk_compiler_kernels *compiler = lrk_active()->compiler;
    return compiler->round(compiler->value_at(e, dd_of_int(t))) + 0.0;
}

/* Steps [t, t + n) of noise, block by block. */
static void put_noise(sink *s, const lrk_expr *e, int64_t t, int64_t n)
{
    const double scale = dd_ldexp(e->value.v, e->value.e).hi;
    const lrk_noise_numbers numbers = {.kind = e->noise, .seed = e->seed, .scale = scale, .limit = e->a};
    double block[LRK_NOISE_BLOCK];
    while (n > 0) {
        const int64_t m = n < LRK_NOISE_BLOCK ? n : LRK_NOISE_BLOCK;
        const int few = m < FEW_NUMBERS, open = few || s->kernels->noise(&numbers, t, block) > 0;
        for (int64_t i = 0; i < m && open; i++)
            if (few || block[i] != block[i])
                block[i] = noise_value(e, t + i);
        sink_copy(s, block, m);
        t += m;
        n -= m;
    }
}

static lrk_status put(sink *s, const lrk_expr *e, const lrk_plan *plan, int64_t t, int64_t n, int64_t *overflow_at)
{
    lrk_status status = LRK_OK;
    if (e->kind == LRK_KIND_TABLE) {
        put_table(s, e, t, n);
        sink_flush(s);
        return LRK_OK;
    }
    if (is_plain_noise(e)) {
        put_noise(s, e, t, n);
        return LRK_OK;
    }
    if (plan && t < plan->end) {
        const int64_t covered = plan->period > 0 ? plan->tail_start + plan->period : plan->end;
        const int64_t m = covered - t < n ? covered - t : n;
        if (m > 0) {
            put_planned(s, plan, t, m);
            t += m;
            n -= m;
        }
    }
    if (n > 0 && plan && plan->period != 0)
        put_periodic(s, plan, t, n);
    else if (n > 0)
        status = put_walked(s, e, t, n, overflow_at);
    sink_flush(s);
    return status;
}

typedef struct {
    lrk_expr *const *rows;
    const lrk_plan *plan;
    int64_t n_rows, start, n, rows_per_task, columns_per_task, tasks_per_row;
    char *out;
    lrk_dtype dtype;
    lrk_stores stores;
    int64_t turn; /* tasks with one kind of store, where both are tried: all threads do the same at a time */
    lrk_stores_trial trial;
    _Atomic int64_t overflow; /* index into the output of the first overflow, or INT64_MAX */
    _Atomic int64_t overflow_at;
} fill_job;

static void note_overflow(fill_job *job, int64_t index)
{
    int64_t seen = atomic_load(&job->overflow);
    while (index < seen && !atomic_compare_exchange_weak(&job->overflow, &seen, index))
        ;
}

static void fill_task(void *context, int64_t index)
{
    fill_job *job = context;
    const int64_t first_row = index / job->tasks_per_row * job->rows_per_task;
    const int64_t column = index % job->tasks_per_row * job->columns_per_task;
    const int64_t width = job->n - column < job->columns_per_task ? job->n - column : job->columns_per_task;
    const size_t size = size_of(job->dtype);
    const int trying = job->stores == LRK_STORES_UNKNOWN;
    const int stream = trying ? (int)(index / job->turn % 2) : job->stores == LRK_STORES_STREAM;
    const int64_t begin = trying ? lrk_clock() : 0;
    for (int64_t row = first_row; row < first_row + job->rows_per_task && row < job->n_rows; row++) {
        sink s;
        int64_t at;
        sink_open(&s, job->out + ((size_t)row * (size_t)job->n + (size_t)column) * size, job->dtype, stream);
        if (put(&s, job->rows[row], job->plan, job->start + column, width, &at) != LRK_OK)
            note_overflow(job, row * job->n + (at > job->start ? at - job->start : 0));
    }
    if (trying) {
        atomic_fetch_add(&job->trial.nanoseconds[stream], lrk_clock() - begin);
        atomic_fetch_add(&job->trial.bytes[stream], width * (int64_t)size);
    }
}

/* A number for schedules whose values take about the same time each: of the same curve, and alike in `way`, 0 to 3. */
static uint32_t kind_of(const lrk_expr *e, uint32_t way)
{
    return ((uint32_t)e->kind * 64 + (uint32_t)e->shape) * 4 + way;
}

static lrk_status run_fill(fill_job *job)
{
    const int64_t total = job->n_rows * job->n;
    if (total == 0)
        return LRK_OK;
    atomic_init(&job->overflow, INT64_MAX);
    const uint32_t way = 2 * (uint32_t)(job->n_rows > 1) + (job->dtype == LRK_FLOAT32);
    const lrk_sharing how = lrk_sharing_for(LRK_WORK_FILL, kind_of(job->rows[0], way), total);
    const int threads = how.threads;
    job->stores = lrk_stores_for(threads, total * (int64_t)size_of(job->dtype));
    if (job->stores == LRK_STORES_UNKNOWN && job->n_rows > 1)
        job->stores = LRK_STORES_STREAM; /* rows of different cost say nothing */
    job->turn = 2 * threads;
    /* Several tasks a thread; of small jobs one each. */
    int64_t share = total / (threads * LRK_PIECES_PER_THREAD);
    if (share < LRK_FILL_MIN_TASK)
        share = (total + threads - 1) / threads;
    if (share < job->n) {
        job->rows_per_task = 1;
        job->columns_per_task = (share + 63) / 64 * 64;
    } else {
        job->rows_per_task = share / job->n;
        job->columns_per_task = job->n;
    }
    job->tasks_per_row = (job->n + job->columns_per_task - 1) / job->columns_per_task;
    const int64_t row_groups = (job->n_rows + job->rows_per_task - 1) / job->rows_per_task;
    const int64_t faults = job->stores == LRK_STORES_UNKNOWN ? lrk_page_faults() : 0;
    lrk_parallel(&how, row_groups * job->tasks_per_row, fill_task, job);
    if (job->stores == LRK_STORES_UNKNOWN) {
        job->trial.page_faults = lrk_page_faults() - faults;
        lrk_stores_decide(threads, &job->trial);
    }
    return atomic_load(&job->overflow) == INT64_MAX ? LRK_OK : LRK_ERROR_OVERFLOW;
}

lrk_status lrk_fill(const lrk_expr *e, const lrk_plan *plan, int64_t start, int64_t n, void *out, lrk_dtype dtype,
                    int64_t *overflow_at)
{
    lrk_expr *row = (lrk_expr *)e;
    fill_job job = {.rows = &row, .plan = plan, .n_rows = 1, .start = start, .n = n, .out = out, .dtype = dtype};
    const lrk_status status = run_fill(&job);
    if (status == LRK_ERROR_OVERFLOW)
        *overflow_at = start + atomic_load(&job.overflow);
    return status;
}

lrk_status lrk_fill_rows(lrk_expr *const *rows, int64_t n_rows, int64_t start, int64_t n, void *out, lrk_dtype dtype,
                         int64_t *overflow_row, int64_t *overflow_at)
{
    fill_job job = {.rows = rows, .n_rows = n_rows, .start = start, .n = n, .out = out, .dtype = dtype};
    const lrk_status status = run_fill(&job);
    if (status == LRK_ERROR_OVERFLOW) {
        *overflow_row = atomic_load(&job.overflow) / n;
        *overflow_at = start + atomic_load(&job.overflow) % n;
    }
    return status;
}

typedef struct {
    const lrk_expr *e;
    const lrk_plan *plan;
    const int64_t *steps;
    int64_t n, share;
    double *out;
    _Atomic int64_t overflow;
} lookup_job;

static void lookup_task(void *context, int64_t index)
{
    lookup_job *job = context;
    const lrk_plan_kernels *kernels = lrk_active()->plan;
    const lrk_plan *plan = job->plan;
    const int64_t first = index * job->share;
    const int64_t last = first + job->share < job->n ? first + job->share : job->n;
    /* Runs of steps that the plan covers go to the kernel; the others are compiled one by one. */
    for (int64_t i = first; i < last;) {
        int64_t j = i;
        while (j < last && plan && lrk_plan_reduce(plan, job->steps[j]) < plan->end)
            j++;
        if (j > i) {
            kernels->lookup(plan, job->steps + i, j - i, job->out + i);
            i = j;
            continue;
        }
        sink s;
        int64_t at;
        sink_open(&s, (char *)(job->out + i), LRK_FLOAT64, 0);
        if (put(&s, job->e, NULL, job->steps[i], 1, &at) != LRK_OK) {
            int64_t seen = atomic_load(&job->overflow);
            while (job->steps[i] < seen && !atomic_compare_exchange_weak(&job->overflow, &seen, job->steps[i]))
                ;
        }
        i++;
    }
}

lrk_status lrk_lookup(const lrk_expr *e, const lrk_plan *plan, const int64_t *steps, int64_t n, double *out,
                      int64_t *overflow_at)
{
    lookup_job job = {.e = e, .plan = plan, .steps = steps, .n = n, .out = out};
    atomic_init(&job.overflow, INT64_MAX);
    const lrk_sharing how = lrk_sharing_for(LRK_WORK_LOOKUP, kind_of(e, plan != NULL), n);
    job.share = how.threads == 1 ? n : LRK_LOOKUP_TASK;
    if (n > 0)
        lrk_parallel(&how, (n + job.share - 1) / job.share, lookup_task, &job);
    *overflow_at = atomic_load(&job.overflow);
    return *overflow_at == INT64_MAX ? LRK_OK : LRK_ERROR_OVERFLOW;
}
