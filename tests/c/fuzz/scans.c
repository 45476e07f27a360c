/* Loss-driven schedules: scans give the same bits on every ISA, by any number of threads, in one call or two, for a run among
 * others or alone; loss_driven is its one line of definition; the parts of refine are what slow code says. */
#include <float.h>
#include <math.h>

#include "decode.h"
#include "harness.h"
#include "record.h"
#include "report.h"
#include "scan/scan.h"

enum { MAX_STEPS = 400, MAX_RUNS = 70, MANY_RUNS = 200 }; /* many runs of MAX_STEPS are enough for two threads */

static const char *const rule_names[] = {
#define X(name) #name,
    LRK_SCAN_RULES(X)
#undef X
};
static const char *const param_names[] = {
#define X(name) #name,
    LRK_SCAN_PARAMS(X)
#undef X
};

/* ---- Numbers */

static uint64_t random_bits(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* A metric: falling, of any size, or with numbers in between that are none. */
static double random_metric(int sort, int64_t t, uint64_t *state)
{
    static const double special[] = {INFINITY, -INFINITY, NAN, 0.0, -0.0, DBL_MAX, -DBL_MAX, 5e-324};
    const uint64_t bits = random_bits(state);
    const double unit = (double)(bits >> 11) * 0x1p-53;
    if (sort == 0)
        return 1 / (1 + (double)t) + unit * 0.1;
    if (sort == 1)
        return bits % 8 == 0 ? special[bits / 8 % (sizeof special / sizeof *special)] : unit;
    if (sort == 2)
        return ldexp(unit, (int)(bits % 2000) - 1000);
    return (double)(bits % 4); /* many that are equal */
}

/* ---- Plateaus */

typedef struct plateau {
    lrk_scan scan;
    void *metrics;
    double *params[LRK_N_SCAN_PARAMS], *state[LRK_N_SCAN_STATE], *lr;
    int64_t window;
    bool large;
} plateau;

/* Zero or more, as the Python layer asks. */
static double any_param(fuzz_bytes *bytes, int param, int rule)
{
    const bool positive = rule >= LRK_SCAN_optax_f32; /* factors */
    double value;
    switch (param) {
    case LRK_SCAN_PARAM_factor:
        value = fuzz_chance(bytes, 2) ? fuzz_between(bytes, positive ? 5e-324 : 0, 1 - 0x1p-53) : 0.5;
        break;
    case LRK_SCAN_PARAM_patience:
    case LRK_SCAN_PARAM_cooldown:
    case LRK_SCAN_PARAM_warmup:
    case LRK_SCAN_PARAM_reset_start:
        return (double)(fuzz_chance(bytes, 8) ? fuzz_integer(bytes, 0, LRK_MAX_STEP) : fuzz_pick(bytes, 6));
    case LRK_SCAN_PARAM_accumulate:
        return 1 + (double)fuzz_pick(bytes, 5);
    case LRK_SCAN_PARAM_slope:
        value = fuzz_chance(bytes, 4) ? fuzz_number(bytes) : 1 - 1e-4 * fuzz_pick(bytes, 3);
        break;
    default:
        value = fuzz_chance(bytes, 3) ? fabs(fuzz_number(bytes)) : param == LRK_SCAN_PARAM_start ? 0.1 : 0;
    }
    const bool single = rule == LRK_SCAN_keras_f32 || rule == LRK_SCAN_optax_f32;
    const bool rounds = rule == LRK_SCAN_keras_f32 ? param == LRK_SCAN_PARAM_start : param != LRK_SCAN_PARAM_start;
    return single && rounds ? (double)(float)value : value;
}

static void *any_metrics(fuzz_bytes *bytes, int64_t runs, int64_t steps, lrk_dtype dtype, int64_t pitch, bool prints)
{
    const int sort = fuzz_pick(bytes, 4);
    const uint64_t seed = fuzz_raw(bytes, 2) + 1;
    uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15);
    const int64_t item = dtype == LRK_FLOAT64 ? 8 : 4;
    char *const metrics = fuzz_room((size_t)(runs == 0 ? 0 : (runs - 1) * pitch + steps * item));
    for (int64_t run = 0; run < runs; run++)
        for (int64_t t = 0; t < steps; t++) {
            const double value = random_metric(sort, t, &state);
            const float single = (float)value;
            memcpy(metrics + run * pitch + t * item, item == 8 ? (const void *)&value : &single, (size_t)item);
        }
    fuzz_say(prints, "metrics: %s of sort %d from %llu on, rows %lld bytes apart", item == 8 ? "float64" : "float32", sort,
             (unsigned long long)seed, (long long)pitch);
    return metrics;
}

static void make_plateau(plateau *p, fuzz_bytes *bytes, bool prints)
{
    *p = (plateau){.large = fuzz_pick(bytes, 256) == 137};
    lrk_scan *const scan = &p->scan;
    scan->rule = (lrk_scan_rule)fuzz_pick(bytes, LRK_N_SCAN_RULES);
    scan->sign = fuzz_chance(bytes, 3) ? -1 : 1;
    scan->runs = p->large ? MANY_RUNS : fuzz_integer(bytes, 0, MAX_RUNS);
    scan->steps = p->large ? MAX_STEPS : fuzz_integer(bytes, 0, MAX_STEPS);
    p->window = 1 + fuzz_integer(bytes, 0, MAX_STEPS);
    fuzz_say(prints, "plateau: %s, sign %g, %lld runs of %lld steps, window %lld", rule_names[scan->rule], scan->sign,
             (long long)scan->runs, (long long)scan->steps, (long long)p->window);
    for (int i = 0; i < LRK_N_SCAN_PARAMS; i++) {
        const bool each = fuzz_chance(bytes, 4);
        const int64_t count = each ? scan->runs : 1;
        p->params[i] = fuzz_room((size_t)count * sizeof(double));
        for (int64_t run = 0; run < count; run++)
            p->params[i][run] = i == LRK_SCAN_PARAM_window ? (double)p->window : any_param(bytes, i, (int)scan->rule);
        scan->params[i] = p->params[i];
        scan->params_step[i] = each;
        if (count > 0)
            fuzz_say(prints, "    %s = %.17g%s", param_names[i], p->params[i][0], each ? ", ..." : "");
    }
    for (int i = 0; i < LRK_N_SCAN_STATE; i++) {
        p->state[i] = fuzz_room((size_t)scan->runs * sizeof(double));
        for (int64_t run = 0; run < scan->runs; run++) {
            const double *const start = p->params[LRK_SCAN_PARAM_start], *const resets = p->params[LRK_SCAN_PARAM_reset_start];
            p->state[i][run] = i == LRK_SCAN_STATE_lr       ? start[run * scan->params_step[LRK_SCAN_PARAM_start]]
                               : i == LRK_SCAN_STATE_scale  ? 1
                               : i == LRK_SCAN_STATE_best   ? INFINITY
                               : i == LRK_SCAN_STATE_resets ? resets[run * scan->params_step[LRK_SCAN_PARAM_reset_start]]
                                                            : 0;
        }
        scan->state[i] = p->state[i];
    }
    const lrk_dtype dtype = fuzz_pick(bytes, 2) ? LRK_FLOAT32 : LRK_FLOAT64;
    const int64_t item = dtype == LRK_FLOAT64 ? 8 : 4, pitch = (scan->steps + fuzz_pick(bytes, 5)) * item;
    p->metrics = any_metrics(bytes, scan->runs, scan->steps, dtype, pitch, prints);
    scan->metrics = scan->delayed = (lrk_scan_rows){p->metrics, pitch, dtype};
    scan->delay = p->window;
    scan->lr_pitch = (scan->steps + fuzz_pick(bytes, 3)) * 8;
    p->lr = fuzz_room((size_t)(scan->runs == 0 ? 0 : (scan->runs - 1) * scan->lr_pitch + scan->steps * 8));
    scan->lr = p->lr;
}

static void free_plateau(plateau *p)
{
    for (int i = 0; i < LRK_N_SCAN_PARAMS; i++)
        free(p->params[i]);
    for (int i = 0; i < LRK_N_SCAN_STATE; i++)
        free(p->state[i]);
    free(p->metrics);
    free(p->lr);
}

static double lr_of(const plateau *p, int64_t run, int64_t t)
{
    double value;
    memcpy(&value, (const char *)p->lr + run * p->scan.lr_pitch + t * 8, sizeof value);
    return value;
}

static void same_plateau(const char *what, const plateau *a, const plateau *b, int64_t first, int64_t last)
{
    for (int64_t run = first; run < last; run++) {
        for (int64_t t = 0; t < a->scan.steps; t++)
            FUZZ_CHECK(fuzz_bits(lr_of(a, run, t)) == fuzz_bits(lr_of(b, run, t)), "%s: run %lld at %lld: %.17g, else %.17g",
                       what, (long long)run, (long long)t, lr_of(b, run, t), lr_of(a, run, t));
        for (int i = 0; i < LRK_N_SCAN_STATE; i++)
            FUZZ_CHECK(fuzz_bits(a->state[i][run]) == fuzz_bits(b->state[i][run]), "%s: run %lld, state %d: %.17g, else %.17g",
                       what, (long long)run, i, b->state[i][run], a->state[i][run]);
    }
}

/* The first `cut` metrics of all runs in a call of their own. */
static void run_in_two(const plateau *p, int64_t cut)
{
    const int64_t item = p->scan.metrics.dtype == LRK_FLOAT64 ? 8 : 4;
    lrk_scan part = p->scan;
    part.steps = cut;
    lrk_scan_run(&part);
    part.steps = p->scan.steps - cut;
    part.metrics.data = (const char *)p->metrics + cut * item;
    part.lr = p->lr + cut;
    /* delayed[t - delay] is the metric that many steps before; of the whole, the first is `cut` before the part's first. */
    part.delayed.data = (const char *)p->metrics + (cut > p->window ? cut - p->window : 0) * item;
    part.delay = cut > p->window ? 0 : p->window - cut;
    lrk_scan_run(&part);
}

static void run_alone(const plateau *p, int64_t run)
{
    lrk_scan one = p->scan;
    one.runs = 1;
    for (int i = 0; i < LRK_N_SCAN_PARAMS; i++)
        one.params[i] += run * one.params_step[i];
    for (int i = 0; i < LRK_N_SCAN_STATE; i++)
        one.state[i] += run;
    one.metrics.data = (const char *)one.metrics.data + run * one.metrics.pitch;
    one.delayed.data = (const char *)one.delayed.data + run * one.delayed.pitch;
    one.lr = (double *)(void *)((char *)one.lr + run * one.lr_pitch);
    lrk_scan_run(&one);
}

static void observe_plateau(fuzz_bytes bytes, fuzz_record *record)
{
    plateau p, other;
    const fuzz_bytes given = bytes;
    make_plateau(&p, &bytes, false);
    FUZZ_CHECK(lrk_scan_run(&p.scan) == lrk_active_isa(), "another ISA ran");
    for (int64_t run = 0; run < p.scan.runs; run++) {
        uint64_t hash = FUZZ_HASH;
        for (int64_t t = 0; t < p.scan.steps; t++)
            hash = fuzz_hash(hash, fuzz_bits(lr_of(&p, run, t)));
        fuzz_note(record, "lr of run", run, hash);
        for (int i = 0; i < LRK_N_SCAN_STATE; i++)
            fuzz_note_double(record, "state", run * LRK_N_SCAN_STATE + i, p.state[i][run]);
    }
    const int64_t cut = fuzz_integer(&bytes, 0, p.scan.steps);
    const int64_t alone = p.scan.runs == 0 ? 0 : fuzz_integer(&bytes, 0, p.scan.runs - 1);
    fuzz_bytes again = given;
    make_plateau(&other, &again, false);
    run_in_two(&other, cut);
    same_plateau("in two calls", &p, &other, 0, p.scan.runs);
    free_plateau(&other);
    const int64_t lone[] = {alone, 0, LRK_SCAN_LANES - 1, p.scan.runs - 1};
    for (size_t i = 0; i < sizeof lone / sizeof *lone; i++) {
        if (lone[i] >= p.scan.runs || lone[i] < 0)
            continue;
        again = given;
        make_plateau(&other, &again, false);
        run_alone(&other, lone[i]);
        same_plateau("alone", &p, &other, lone[i], lone[i] + 1);
        free_plateau(&other);
    }
    free_plateau(&p);
}

/* ---- loss_driven */

static double loss_at(const lrk_scan_rows *rows, int64_t run, int64_t t)
{
    const char *const row = (const char *)rows->data + run * rows->pitch;
    return rows->dtype == LRK_FLOAT64 ? ((const double *)(const void *)row)[t] : (double)((const float *)(const void *)row)[t];
}

static void observe_loss_driven(fuzz_bytes bytes, fuzz_record *record)
{
    enum { TABLES = 3 };
    const bool large = fuzz_pick(&bytes, 256) == 137;
    const int64_t runs = large ? MANY_RUNS : fuzz_integer(&bytes, 0, MAX_RUNS);
    const int64_t steps = large ? MAX_STEPS : fuzz_integer(&bytes, 0, MAX_STEPS);
    const lrk_dtype dtype = fuzz_pick(&bytes, 2) ? LRK_FLOAT32 : LRK_FLOAT64;
    const int64_t pitch = (steps + fuzz_pick(&bytes, 5)) * (dtype == LRK_FLOAT64 ? 8 : 4),
                  lr_pitch = (steps + fuzz_pick(&bytes, 3)) * 8;
    void *const losses = any_metrics(&bytes, runs, steps, dtype, pitch, false);
    double *const tables = any_metrics(&bytes, TABLES, steps, LRK_FLOAT64, steps * 8, false);
    int64_t *const table_of = fuzz_room((size_t)runs * sizeof *table_of);
    for (int64_t run = 0; run < runs; run++)
        table_of[run] = fuzz_pick(&bytes, TABLES);
    double *const lr = fuzz_room((size_t)(runs == 0 ? 0 : (runs - 1) * lr_pitch + steps * 8));
    const lrk_scan_rows rows = {losses, pitch, dtype};
    lrk_loss_driven_run(runs, steps, rows, tables, table_of, lr, lr_pitch);
    for (int64_t run = 0; run < runs; run++)
        for (int64_t t = 0; t < steps; t++) {
            const double *const table = tables + table_of[run] * steps;
            const bool held = t > 0 && !(loss_at(&rows, run, t) < loss_at(&rows, run, t - 1));
            const double value = *(const double *)(const void *)((const char *)lr + run * lr_pitch + t * 8);
            FUZZ_CHECK(fuzz_bits(value) == fuzz_bits(table[t - held]), "loss_driven: run %lld at %lld is %.17g, not %.17g",
                       (long long)run, (long long)t, value, table[t - held]);
        }
    fuzz_note(record, "loss_driven", 0, 0); /* bit by bit as defined, on every ISA */
    free(losses);
    free(tables);
    free(table_of);
    free(lr);
}

/* ---- refine */

static int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check_medians(const double *numbers, int64_t n, int64_t reach)
{
    double *const medians = fuzz_room((size_t)n * sizeof *medians);
    double *const window = fuzz_room((size_t)(2 * reach + 1) * sizeof *window);
    FUZZ_CHECK(lrk_running_median(n, numbers, reach, medians) == 0, "no memory for medians");
    for (int64_t t = 0; t < n; t++) {
        for (int64_t k = -reach; k <= reach; k++) {
            const int64_t at = t + k;
            window[reach + k] = numbers[at < 0 ? 0 : at < n ? at : 2 * n - 2 - at];
        }
        qsort(window, (size_t)(2 * reach + 1), sizeof *window, compare_numbers);
        FUZZ_CHECK(medians[t] == window[reach], "median %lld of %lld, reach %lld, is %.17g, not %.17g", (long long)t,
                   (long long)n, (long long)reach, medians[t], window[reach]);
    }
    free(medians);
    free(window);
}

static void check_later_sums(double *weights, int64_t n)
{
    double *const out = fuzz_room((size_t)n * sizeof *out);
    lrk_times_later_sum(n, weights, out);
    long double later = 0;
    for (int64_t t = n - 1; t >= 0; later += weights[t], t--) {
        const long double exact = (long double)weights[t] * later, error = fabsl((long double)out[t] - exact);
        /* Twice a rounding of `later`, one of the product; MAX_STEPS of long double's own. */
        FUZZ_CHECK(!(exact <= DBL_MAX) || error <= exact * (0x1p-53L + 0x1p-52L) + 0x1p-1074L,
                   "later sum %lld of %lld is %.17g, not %.21Lg", (long long)t, (long long)n, out[t], exact);
    }
    lrk_times_later_sum(n, weights, weights);
    FUZZ_CHECK(memcmp(weights, out, (size_t)n * sizeof *out) == 0, "later sums in place are others");
    free(out);
}

static void observe_refine(fuzz_bytes bytes, fuzz_record *record)
{
    const int64_t n = 1 + fuzz_integer(&bytes, 0, 99), reach = fuzz_integer(&bytes, 0, n - 1);
    double *const numbers = fuzz_room((size_t)n * sizeof *numbers);
    for (int64_t t = 0; t < n; t++)
        numbers[t] = fabs(fuzz_number(&bytes));
    check_medians(numbers, n, reach);
    for (int64_t t = 0; t < n; t++) /* weights are scaled so that nothing overflows */
        numbers[t] = numbers[t] > 1 ? 1 / numbers[t] : numbers[t];
    check_later_sums(numbers, n);
    fuzz_note(record, "refine", 0, 0);
    free(numbers);
}

/* ---- */

typedef struct input {
    fuzz_bytes bytes;
    int what;
} input;

static void observe(const void *context, fuzz_record *record)
{
    const input *const in = context;
    if (in->what == 0)
        observe_loss_driven(in->bytes, record);
    else if (in->what == 1)
        observe_refine(in->bytes, record);
    else
        observe_plateau(in->bytes, record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"loss_driven", "refine"};
    input in = {.bytes = {data, size}};
    in.what = fuzz_pick(&in.bytes, 8);
    fuzz_bytes first = in.bytes;
    const bool large = fuzz_pick(&first, 256) == 137;
    if (in.what > 1 && fuzz_prints()) {
        plateau p;
        fuzz_bytes bytes = in.bytes;
        make_plateau(&p, &bytes, true);
        free_plateau(&p);
    } else if (in.what <= 1) {
        fuzz_say(fuzz_prints(), "%s", names[in.what]);
    }
    fuzz_on_all(observe, &in, large);
    return 0;
}
