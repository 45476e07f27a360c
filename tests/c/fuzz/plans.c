/* Schedules: every way to a value gives the same bits, on every ISA and by any number of threads, and the right ones.
 *
 * An input is a job (which steps, how much is compiled) and an expression. The table that lrk_fill writes without a plan is
 * what all else is compared with: float32, plans and parts of plans, slices, rows, lookups; where no terms cancel, also the
 * expression's own value. */
#include <math.h>

#include "expression.h"
#include "harness.h"
#include "lrkern_plan.h"
#include "record.h"
#include "report.h"

/* Steps of a small table and of a large one, which is enough for two threads; steps that are compiled one by one. */
enum { SMALL = 250, LARGE = 17000, SINGLE = 12, FAR = 6 };

/* Pieces: up to a single step; of a large table. */
enum { NEAR = 300, LARGE_PIECES = 500 };

typedef struct job {
    int64_t start, n, horizon, max_pieces, ahead, cut, far[FAR];
    double between; /* a step */
    bool large;
} job;

typedef struct input {
    fuzz_bytes bytes; /* of the expression */
    job job;
} input;

static job decode_job(fuzz_bytes *bytes)
{
    job j = {.large = fuzz_pick(bytes, 256) == 137};
    j.n = j.large ? LARGE + fuzz_pick(bytes, 256) : fuzz_integer(bytes, 0, SMALL);
    j.start = fuzz_chance(bytes, 2) ? fuzz_integer(bytes, 0, LRK_MAX_STEP - j.n) : 0;
    j.horizon = fuzz_integer(bytes, 0, LRK_MAX_STEP + 1);
    j.max_pieces = fuzz_pick(bytes, 4) * 64;
    j.ahead = fuzz_pick(bytes, 256);
    j.cut = j.n == 0 ? 0 : fuzz_integer(bytes, 0, j.n);
    for (int i = 0; i < FAR; i++)
        j.far[i] = fuzz_integer(bytes, 0, LRK_MAX_STEP);
    j.between = fuzz_between(bytes, 5e-324, (double)LRK_MAX_STEP);
    return j;
}

static void say_job(const job *j)
{
    fuzz_say(true, "table of %lld steps from %lld; plan to %lld, pieces <= %lld, %lld ahead; cut at %lld", (long long)j->n,
             (long long)j->start, (long long)j->horizon, (long long)j->max_pieces, (long long)j->ahead, (long long)j->cut);
    fuzz_say(true, "single steps %lld %lld %lld %lld %lld %lld, and %.17g", (long long)j->far[0], (long long)j->far[1],
             (long long)j->far[2], (long long)j->far[3], (long long)j->far[4], (long long)j->far[5], j->between);
}

/* ---- What is compared */

/* A table of which the steps before `good` have values; at `good` the first one is beyond float64, if good < n. */
typedef struct table {
    double *values;
    int64_t good;
} table;

static void same(const char *what, int64_t step, double value, double expected)
{
    FUZZ_CHECK(fuzz_bits(value) == fuzz_bits(expected), "%s at %lld is %.17g (%a), the table has %.17g (%a)", what,
               (long long)step, value, value, expected, expected);
}

/* Distance between neighbouring numbers is 1; infinity is next to the largest. */
static uint64_t steps_apart(double a, double b)
{
    int64_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    x = x < 0 ? INT64_MIN - x : x;
    y = y < 0 ? INT64_MIN - y : y;
    return x > y ? (uint64_t)x - (uint64_t)y : (uint64_t)y - (uint64_t)x;
}

static void check_status(const char *what, lrk_status status)
{
    FUZZ_CHECK(status == LRK_OK || status == LRK_ERROR_OVERFLOW, "%s: status %d", what, (int)status);
}

static table fill(const lrk_expr *e, const lrk_plan *plan, int64_t start, int64_t n, const char *what)
{
    table t = {.values = fuzz_room((size_t)n * sizeof(double)), .good = n};
    int64_t overflow_at = -1;
    const lrk_status status = lrk_fill(e, plan, start, n, t.values, LRK_FLOAT64, &overflow_at);
    check_status(what, status);
    if (status == LRK_ERROR_OVERFLOW) {
        FUZZ_CHECK(overflow_at >= start && overflow_at < start + n, "%s: overflow at %lld", what, (long long)overflow_at);
        t.good = overflow_at - start;
    }
    return t;
}

/* `part` is of steps from start + at on. */
static void same_table(const char *what, const job *j, const table *part, int64_t at, int64_t n, const table *whole)
{
    const int64_t good = whole->good - at < 0 ? 0 : whole->good - at < n ? whole->good - at : n;
    if (whole->good >= at) /* else what is beyond float64 lies before the part */
        FUZZ_CHECK(part->good == good, "%s: overflow at %lld, in the table at %lld", what,
                   (long long)(j->start + at + part->good), (long long)(j->start + at + good));
    for (int64_t i = 0; i < good; i++)
        same(what, j->start + at + i, part->values[i], whole->values[at + i]);
}

static void check_f32(const lrk_expr *e, const lrk_plan *plan, const job *j, const table *whole)
{
    float *const values = fuzz_room((size_t)j->n * sizeof *values);
    int64_t overflow_at;
    check_status("float32", lrk_fill(e, plan, j->start, j->n, values, LRK_FLOAT32, &overflow_at));
    for (int64_t i = 0; i < whole->good; i++)
        FUZZ_CHECK(fuzz_bits_f32(values[i]) == fuzz_bits_f32((float)whole->values[i]),
                   "float32 at %lld is %.9g, the table has %.17g", (long long)(j->start + i), (double)values[i],
                   whole->values[i]);
    free(values);
}

static void check_slices(const lrk_expr *e, const lrk_plan *plan, const job *j, const table *whole)
{
    const table head = fill(e, plan, j->start, j->cut, "slice"),
                tail = fill(e, plan, j->start + j->cut, j->n - j->cut, "slice");
    same_table("slice", j, &head, 0, j->cut, whole);
    same_table("slice", j, &tail, j->cut, j->n - j->cut, whole);
    free(head.values);
    free(tail.values);
}

static void check_rows(lrk_expr *e, const job *j, const table *whole)
{
    lrk_expr *const other = lrk_constant(1, 1), *const rows[] = {e, other, e};
    double *const values = fuzz_room((size_t)(3 * j->n) * sizeof *values);
    int64_t row = -1, at = -1;
    const lrk_status status = lrk_fill_rows(rows, 3, j->start, j->n, values, LRK_FLOAT64, &row, &at);
    check_status("rows", status);
    FUZZ_CHECK((status == LRK_OK) == (whole->good == j->n), "rows: status %d", (int)status);
    if (status == LRK_ERROR_OVERFLOW)
        FUZZ_CHECK(row == 0 && at == j->start + whole->good, "rows: overflow in row %lld at %lld", (long long)row,
                   (long long)at);
    for (int64_t i = 0; i < j->n; i++)
        same("row of ones", j->start + i, values[j->n + i], 1);
    for (int64_t i = 0; i < whole->good; i++) {
        same("row", j->start + i, values[i], whole->values[i]);
        same("last row", j->start + i, values[2 * j->n + i], whole->values[i]);
    }
    lrk_expr_release(other);
    free(values);
}

/* `most` steps, up and down, so that pieces change. */
static void check_lookup(const lrk_expr *e, const lrk_plan *plan, const job *j, const table *whole, int64_t most)
{
    const int64_t stride = whole->good / most + 1, n = (whole->good + stride - 1) / stride;
    int64_t *const steps = fuzz_room((size_t)n * sizeof *steps), overflow_at;
    double *const values = fuzz_room((size_t)n * sizeof *values);
    for (int64_t i = 0; i < n; i++)
        steps[i] = j->start + (i % 2 == 0 ? i : n - 1 - i / 2) * stride;
    const lrk_status status = lrk_lookup(e, plan, steps, n, values, &overflow_at);
    FUZZ_CHECK(status == LRK_OK, "lookup: status %d at %lld", (int)status, (long long)overflow_at);
    for (int64_t i = 0; i < n; i++)
        same("lookup", steps[i], values[i], whole->values[steps[i] - j->start]);
    free(steps);
    free(values);
}

/* The plan's own functions agree with each other, and with the table. */
static void check_plan(const char *what, const lrk_plan *plan, int64_t first, const job *j, const table *whole)
{
    for (int64_t i = 0; i < j->n; i++) {
        const int64_t t = j->start + i;
        if (t < first)
            continue;
        const double value = lrk_plan_value(plan, t);
        same("lrk_plan_at", t, lrk_plan_at(plan, t), value);
        FUZZ_CHECK(lrk_plan_covers(plan, t) == !isnan(value), "%s: the plan covers %lld or does not, and has %.17g", what,
                   (long long)t, value);
        if (i < whole->good && !isnan(value))
            same(what, t, value, whole->values[i]);
        FUZZ_CHECK(i < whole->good || !isfinite(value) || i > whole->good, "%s: %.17g at %lld, where the table overflows", what,
                   value, (long long)t);
    }
}

/* Each step's value next to the exact one, where there are no larger terms that cancel. */
static void check_values(const fuzz_node *node, const job *j, const table *whole)
{
    for (int64_t i = 0; i < j->n && i <= whole->good; i += 1 + j->n / SMALL) {
        double exact;
        const lrk_status status = lrk_expr_value(node->e, (double)(j->start + i), &exact);
        FUZZ_CHECK(!isnan(exact) || status == LRK_ERROR_OVERFLOW, "lrk_expr_value is NaN at %lld", (long long)(j->start + i));
        check_status("value", status);
        if (i == whole->good) {
            FUZZ_CHECK(node->cancels || isnan(exact) || steps_apart(fabs(exact), HUGE_VAL) <= 1,
                       "overflow at %lld, where the value is %.17g", (long long)(j->start + i), exact);
        } else {
            const double value = whole->values[i];
            FUZZ_CHECK(isfinite(value), "the table has %g at %lld", value, (long long)(j->start + i));
            FUZZ_CHECK(node->cancels || steps_apart(value, exact) <= 1, "the table has %.17g at %lld, the value is %.17g",
                       value, (long long)(j->start + i), exact);
        }
    }
}

static void note_plan(fuzz_record *record, const lrk_plan *plan)
{
    fuzz_note(record, "plan's end", 0, (uint64_t)plan->end);
    fuzz_note(record, "plan's tail_start", 0, (uint64_t)plan->tail_start);
    fuzz_note(record, "plan's period", 0, (uint64_t)plan->period);
    fuzz_note(record, "plan's overflow_at", 0, (uint64_t)plan->overflow_at);
    for (int64_t i = 0; i < plan->n_pieces; i++) {
        const lrk_piece *const piece = &plan->pieces[i];
        fuzz_note(record, "piece's begin", i, (uint64_t)piece->begin);
        fuzz_note(record, "piece's center", i, (uint64_t)piece->center);
        fuzz_note_double(record, "piece's scale", i, piece->scale);
        for (int k = 0; k < 12; k++)
            fuzz_note_double(record, "piece's coefficient", 12 * i + k, piece->c[k]);
        fuzz_note_double(record, "piece's unscale", i, piece->unscale);
    }
}

/* Where the segment of step t begins, and whether so few pieces lie between that a fuzzer has time for them: a single value is
 * compiled from there, and may take 2^16 of them. Behind a step that has no value every one is a piece, until all is well. */
static bool is_near(const lrk_expr *e, int64_t t, int64_t *begin)
{
    int64_t end;
    double value;
    lrk_plan plan;
    lrk_expr_segment(e, t, begin, &end);
    FUZZ_CHECK(0 <= *begin && *begin <= t && t < end, "segment [%lld, %lld) of step %lld", (long long)*begin, (long long)end,
               (long long)t);
    FUZZ_CHECK(lrk_plan_compile_part(e, *begin, t + 1, NEAR, &plan) == LRK_OK, "no part");
    const bool few = plan.n_pieces < NEAR, walks_all = plan.overflow_at < 0 || t - plan.overflow_at < NEAR;
    lrk_plan_free(&plan);
    return few && (walks_all || lrk_expr_value(e, (double)t, &value) == LRK_ERROR_OVERFLOW);
}

/* A large table of very many pieces takes a hundred times as long as all else, and is checked as a small one is. */
static void shorten(const lrk_expr *e, job *j)
{
    lrk_plan plan;
    FUZZ_CHECK(lrk_plan_compile_part(e, j->start, j->start + j->n, LARGE_PIECES, &plan) == LRK_OK, "no part");
    if (j->large && plan.n_pieces == LARGE_PIECES) {
        j->large = false;
        j->n = SMALL;
        j->cut = j->cut < SMALL ? j->cut : SMALL;
    }
    lrk_plan_free(&plan);
}

static void note_far(fuzz_record *record, const lrk_expr *e, const lrk_plan *plan, const job *j)
{
    for (int i = 0; i < FAR; i++) {
        double value = 0, planned = 0;
        int64_t overflow_at, begin;
        if (!is_near(e, j->far[i], &begin))
            continue;
        const lrk_status status = lrk_lookup(e, NULL, &j->far[i], 1, &value, &overflow_at);
        const lrk_status with_plan = lrk_lookup(e, plan, &j->far[i], 1, &planned, &overflow_at);
        check_status("far lookup", status);
        FUZZ_CHECK(status == with_plan, "lookup at %lld: status %d, with a plan %d", (long long)j->far[i], (int)status,
                   (int)with_plan);
        if (status == LRK_OK)
            same("lookup with a plan", j->far[i], planned, value);
        fuzz_note(record, "status of a far lookup", j->far[i], (uint64_t)status);
        fuzz_note_double(record, "far lookup", j->far[i], status == LRK_OK ? value : 0);
        fuzz_note(record, "segment's begin", j->far[i], (uint64_t)begin);
    }
    double value;
    fuzz_note(record, "status between steps", 0, (uint64_t)lrk_expr_value(e, j->between, &value));
    fuzz_note_double(record, "value between steps", 0, value);
}

static void observe(const void *context, fuzz_record *record)
{
    const input *const in = context;
    job own = in->job;
    const job *const j = &own;
    fuzz_bytes bytes = in->bytes;
    const fuzz_node node = fuzz_expression(&bytes, false);
    int64_t begin;
    if (!is_near(node.e, own.start, &begin))
        own.start = begin;
    shorten(node.e, &own);
    const table whole = fill(node.e, NULL, j->start, j->n, "table");
    for (int64_t i = 0; i < whole.good; i++)
        fuzz_note_double(record, "table", j->start + i, whole.values[i]);
    fuzz_note(record, "steps before overflow", j->start, (uint64_t)whole.good);
    check_f32(node.e, NULL, j, &whole);
    check_slices(node.e, NULL, j, &whole);
    check_rows(node.e, j, &whole);
    check_values(&node, j, &whole);
    check_lookup(node.e, NULL, j, &whole, SINGLE);

    lrk_plan plan;
    FUZZ_CHECK(lrk_plan_compile(node.e, j->horizon, j->max_pieces, j->ahead, &plan) == LRK_OK, "no plan");
    note_plan(record, &plan);
    const table planned = fill(node.e, &plan, j->start, j->n, "table of a plan");
    same_table("table of a plan", j, &planned, 0, j->n, &whole);
    free(planned.values);
    check_f32(node.e, &plan, j, &whole);
    check_slices(node.e, &plan, j, &whole);
    /* Steps that the plan does not cover are compiled one by one. */
    const bool many = j->large && lrk_plan_covers(&plan, j->start) && lrk_plan_covers(&plan, j->start + j->n - 1);
    check_lookup(node.e, &plan, j, &whole, many ? LARGE : SINGLE);
    check_plan("plan", &plan, 0, j, &whole);
    note_far(record, node.e, &plan, j);
    lrk_plan_free(&plan);

    FUZZ_CHECK(lrk_plan_compile_part(node.e, j->start + j->cut, j->start + j->n, j->max_pieces, &plan) == LRK_OK, "no part");
    note_plan(record, &plan);
    if (plan.n_pieces > 0)
        check_plan("part of a plan", &plan, j->start + j->cut, j, &whole);
    lrk_plan_free(&plan);
    free(whole.values);
    lrk_expr_release(node.e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {.bytes = {data, size}};
    in.job = decode_job(&in.bytes);
    if (fuzz_prints()) {
        fuzz_bytes bytes = in.bytes;
        say_job(&in.job);
        lrk_expr_release(fuzz_expression(&bytes, true).e);
    }
    fuzz_on_all(observe, &in, in.job.large);
    return 0;
}
