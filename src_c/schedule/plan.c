/* Plans and the filling of arrays: the jobs of lrkern.h, cut into tasks for the thread pool. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "isa/dispatch.h"
#include "schedule/expr.h"
#include "runtime/fpenv.h"
#include "runtime/policy.h"
#include "runtime/stores.h"
#include "runtime/threads.h"

enum {
    STAGE = 1024,             /* elements staged in L1 if pieces are too short to be streamed separately */
    STAGE_SHORTEST = 256,     /* pieces of at least this many steps are streamed directly */
    CYCLE_BUFFER = 4096       /* elements of a short cycle that is filled once and copied */
};

static size_t size_of(lrk_dtype dtype)
{
    return dtype == LRK_FLOAT64 ? 8 : 4;
}

lrk_status lrk_expr_value(const lrk_expr *e, double t, double *value)
{
    LRK_FP_DEFAULT_HERE;
    const lrk_compiler_kernels *compiler = lrk_active()->compiler;
    *value = compiler->round(compiler->value_at(e, dd_of(t)));
    return !__builtin_isfinite(*value) ? LRK_ERROR_OVERFLOW : LRK_OK;
}

lrk_status lrk_expr_beginning(const lrk_expr *e, int64_t t, double *value)
{
    LRK_FP_DEFAULT_HERE;
    const lrk_compiler_kernels *compiler = lrk_active()->compiler;
    *value = compiler->round(compiler->beginning_at(e, dd_of_int(t)));
    return __builtin_isfinite(*value) ? LRK_OK : LRK_ERROR_OVERFLOW;
}

int lrk_clock_follow(const lrk_expr *clock, int64_t *at)
{
    LRK_FP_DEFAULT_HERE;
    return lrk_active()->compiler->follow_clock(clock, at);
}

int64_t lrk_clock_arrival(const lrk_expr *clock, int64_t time)
{
    LRK_FP_DEFAULT_HERE;
    return lrk_active()->compiler->clock_arrival(clock, time);
}

void lrk_expr_segment(const lrk_expr *e, int64_t t, int64_t *begin, int64_t *end)
{
    LRK_FP_DEFAULT_HERE;
    lrk_walker w;
    lrk_active()->compiler->start(&w, e, t);
    *begin = w.t;
    *end = w.segment_end;
}

/* The piece that covers t; w->t is at t or before. Where that fails, so does the value at t, or at w->t - 1 after it. */
static lrk_status piece_at(lrk_walker *w, const lrk_expr *e, int64_t t, lrk_piece *piece)
{
    const lrk_compiler_kernels *compiler = lrk_active()->compiler;
    for (;;) {
        if (w->by_step && w->t < t)
            w->t = t < w->segment_end ? t : w->segment_end;
        const lrk_status status = compiler->next(w, piece);
        if (w->t > t)
            return status;
        /* Beyond float64 already: most often so is t, and the steps between need not be walked. */
        if (status != LRK_OK && !__builtin_isfinite(compiler->round(compiler->value_at(e, dd_of_int(t)))))
            return status;
    }
}

/* A walk along the steps. Where values repeat, the pieces of all cycles are those of the first one, moved, as a plan has them: so
 * a step has the same piece whatever leads to it. */
typedef struct {
    const lrk_expr *e;
    lrk_walker w;      /* along steps of the first cycle */
    lrk_plan rule;     /* how values repeat; no pieces */
    int64_t moved;     /* by so many steps pieces are moved from there */
    int64_t cycle_end; /* where the cycle begins again */
} walk;

/* How values repeat: tail_start and period of a plan, without its pieces. */
static lrk_plan repetition(const lrk_expr *e)
{
    lrk_plan rule = {.overflow_at = -1};
    if (e->repeats && e->tail_start <= LRK_MAX_STEP - e->period) {
        rule.tail_start = e->tail_start;
        rule.period = e->period == 0 ? 1 : e->period;
    }
    return rule;
}

static void walk_from(walk *k, const lrk_expr *e, int64_t t)
{
    k->e = e;
    k->rule = repetition(e);
    const int64_t first = lrk_plan_reduce(&k->rule, t);
    lrk_active()->compiler->start(&k->w, e, first);
    k->moved = t - first;
    k->cycle_end = k->rule.period == 0 ? INT64_MAX : k->moved + k->rule.tail_start + k->rule.period;
}

static lrk_piece constant_piece(double value, int64_t t)
{
    return (lrk_piece){.begin = t, .center = t, .scale = 1.0, .c = {value}, .unscale = 1.0};
}

/* The piece that covers t, the step that the walk began with or the end of the piece before. Where that fails, *end is behind
 * a step at which it does, t or a later one before which there are no values. */
static lrk_status walk_piece(walk *k, int64_t t, lrk_piece *piece, int64_t *end)
{
    if (t >= k->cycle_end)
        walk_from(k, k->e, t);
    const lrk_status status = piece_at(&k->w, k->e, t - k->moved, piece);
    *end = k->w.t + k->moved;
    if (status != LRK_OK)
        return status;
    if (k->rule.period == 1 && t > k->rule.tail_start) {
        *piece = constant_piece(lrk_active()->plan->point(piece, k->rule.tail_start), t);
        *end = k->cycle_end = LRK_MAX_STEP + 1;
        return LRK_OK;
    }
    piece->begin += k->moved;
    piece->center += k->moved;
    return LRK_OK;
}

/* Pieces from the one that covers `start` on, until the next would begin at `whole` or beyond; at `horizon` already where that
 * would take more than `ahead` of them. */
static lrk_status compile_pieces(const lrk_expr *e, int64_t start, int64_t horizon, int64_t whole, int64_t max_pieces,
                                 int64_t ahead, lrk_plan *plan)
{
    walk k;
    walk_from(&k, e, start);
    int64_t capacity = 0, t = start;
    while (t < whole && plan->n_pieces < max_pieces && (t < horizon || plan->n_pieces < ahead)) {
        if (plan->n_pieces == capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            lrk_piece *grown = realloc(plan->pieces, (size_t)capacity * sizeof *grown);
            if (!grown) {
                lrk_plan_free(plan);
                return LRK_ERROR_MEMORY;
            }
            plan->pieces = grown;
        }
        int64_t end;
        if (walk_piece(&k, t, plan->pieces + plan->n_pieces, &end) != LRK_OK) {
            plan->overflow_at = end > t ? end - 1 : t;
            break;
        }
        plan->n_pieces++;
        t = end < k.cycle_end ? end : k.cycle_end;
    }
    plan->end = plan->overflow_at >= 0 ? plan->overflow_at : t;
    return LRK_OK;
}

lrk_status lrk_plan_compile(const lrk_expr *e, int64_t horizon, int64_t max_pieces, int64_t ahead, lrk_plan *plan)
{
    LRK_FP_DEFAULT_HERE;
    *plan = (lrk_plan){.overflow_at = -1};
    const lrk_plan rule = repetition(e);
    const int64_t whole = rule.period == 0 ? horizon : rule.tail_start + rule.period;
    const lrk_status status = compile_pieces(e, 0, horizon, whole, max_pieces, ahead, plan);
    if (status == LRK_OK && plan->overflow_at < 0 && plan->end >= whole) {
        plan->tail_start = rule.tail_start;
        plan->period = rule.period;
    }
    return status;
}

lrk_status lrk_plan_compile_part(const lrk_expr *e, int64_t start, int64_t horizon, int64_t max_pieces, lrk_plan *plan)
{
    LRK_FP_DEFAULT_HERE;
    *plan = (lrk_plan){.overflow_at = -1};
    return compile_pieces(e, start, horizon, horizon, max_pieces, 0, plan);
}

double lrk_plan_value(const lrk_plan *plan, int64_t t)
{
    LRK_FP_DEFAULT_HERE;
    const int64_t reduced = lrk_plan_reduce(plan, t);
    if (reduced < 0 || reduced >= plan->end)
        return __builtin_nan("");
    return lrk_active()->plan->point(plan->pieces + lrk_plan_find(plan, reduced), reduced);
}

int lrk_needs_plan(const lrk_expr *e)
{
    return e->kind != LRK_KIND_TABLE;
}

void lrk_plan_free(lrk_plan *plan)
{
    free(plan->pieces);
    *plan = (lrk_plan){.overflow_at = -1};
}

/* The destination of values: the output itself or, if it is streamed, a buffer in L1 for short runs. */
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

/* Steps from t on lie in the plan's repeating part. */
static void put_periodic(sink *s, const lrk_plan *plan, int64_t t, int64_t n)
{
    const int64_t period = plan->period, last = plan->tail_start + period;
    if (period == 1) {
        const lrk_piece piece = constant_piece(lrk_plan_value(plan, plan->tail_start), t);
        sink_put(s, &piece, t, n);
        return;
    }
    if (period > CYCLE_BUFFER / 2 || n < 2 * period) {
        while (n > 0) {
            const int64_t first = lrk_plan_reduce(plan, t);
            const int64_t m = last - first < n ? last - first : n;
            put_planned(s, plan, first, m);
            t += m;
            n -= m;
        }
        return;
    }
    /* Short cycles: one after the other into a buffer, from step t's place in the cycle on, then copied. */
    sink_flush(s);
    char buffer[CYCLE_BUFFER * 8];
    const int64_t phase = lrk_plan_reduce(plan, t);
    sink whole = *s; /* small compared to the work */
    whole.stream = 0;
    whole.out = buffer;
    put_planned(&whole, plan, phase, last - phase);
    if (phase > plan->tail_start)
        put_planned(&whole, plan, plan->tail_start, phase - plan->tail_start);
    const size_t cycle = (size_t)period * s->size;
    size_t filled = cycle;
    while (filled + cycle <= sizeof buffer / 8 * s->size) {
        memcpy(buffer + filled, buffer, cycle);
        filled += cycle;
    }
    for (size_t left = (size_t)n * s->size; left > 0;) {
        const size_t m = left < filled ? left : filled;
        if (s->stream)
            s->kernels->stream_copy(s->out, buffer, m);
        else
            memcpy(s->out, buffer, m);
        s->out += m;
        left -= m;
    }
}

/* Steps [t, t + n), compiled as needed. */
static lrk_status put_walked(sink *s, const lrk_expr *e, int64_t t, int64_t n, int64_t *overflow_at)
{
    walk k;
    walk_from(&k, e, t);
    while (n > 0) {
        lrk_piece piece;
        int64_t end;
        const lrk_status status = walk_piece(&k, t, &piece, &end);
        if (status != LRK_OK) {
            *overflow_at = t;
            return status;
        }
        end = end < k.cycle_end ? end : k.cycle_end;
        const int64_t m = end - t < n ? end - t : n;
        sink_put(s, &piece, t, m);
        t += m;
        n -= m;
    }
    return LRK_OK;
}

/* Steps [t, t + n) of a table: a plan would have a piece for each of its values. */
static void put_table(sink *s, const lrk_expr *e, int64_t t, int64_t n)
{
    int64_t m = e->n - t < n ? e->n - t : n;
    if (m > 0 && s->size == 8) {
        const size_t bytes = (size_t)m * 8;
        if (s->stream)
            s->kernels->stream_copy(s->out, e->values + t, bytes);
        else
            memcpy(s->out, e->values + t, bytes);
        s->out += bytes;
    } else if (m > 0) {
        for (int64_t i = 0; i < m; i++, s->out += sizeof(float)) {
            const float value = (float)e->values[t + i];
            memcpy(s->out, &value, sizeof value);
        }
    }
    m = m > 0 ? m : 0;
    const lrk_piece last = constant_piece(e->values[e->n - 1], t + m);
    if (n > m)
        sink_put(s, &last, t + m, n - m);
}

static lrk_status put(sink *s, const lrk_expr *e, const lrk_plan *plan, int64_t t, int64_t n, int64_t *overflow_at)
{
    lrk_status status = LRK_OK;
    if (e->kind == LRK_KIND_TABLE) {
        put_table(s, e, t, n);
        sink_flush(s);
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

static lrk_status run_fill(fill_job *job)
{
    const int64_t total = job->n_rows * job->n;
    if (total == 0)
        return LRK_OK;
    atomic_init(&job->overflow, INT64_MAX);
    const int threads = total < LRK_FILL_SERIAL_BELOW ? 1 : lrk_get_threads();
    job->stores = lrk_stores_for(threads, total * (int64_t)size_of(job->dtype));
    if (job->stores == LRK_STORES_UNKNOWN && job->n_rows > 1)
        job->stores = LRK_STORES_STREAM; /* rows of different cost cannot be compared */
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
    lrk_parallel(row_groups * job->tasks_per_row, fill_task, job);
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
    job.share = n < LRK_FILL_SERIAL_BELOW ? n : LRK_FILL_MIN_TASK / 4;
    if (n > 0)
        lrk_parallel((n + job.share - 1) / job.share, lookup_task, &job);
    *overflow_at = atomic_load(&job.overflow);
    return *overflow_at == INT64_MAX ? LRK_OK : LRK_ERROR_OVERFLOW;
}
