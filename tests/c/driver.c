/* Runs src_c without Python, on any machine: reads a program, writes the bytes of what it computes. compare.py writes
 * programs, and says what the bytes must be.
 *
 *     driver --isas               the names that can be given as ISA
 *     driver ISA THREADS          program on stdin
 *
 * A program is words. Names of constructors are those of lrkern._core, in the same order of arguments; a node is known by its
 * number, counted from 0 since the last `forget`. Numbers may be hexadecimal.
 *
 *     forget
 *     constant NUMERATOR DENOMINATOR          and so on: each makes a node
 *     fill64 NODE START N                     a table; fill32 likewise
 *     values NODE N STEP...                   single values at real steps
 *     sgd64 OFFSET SIZE FIRST LR MOMENTUM DAMPENING DECAY NESTEROV DECOUPLED MAXIMIZE        and sgd32: a step on pattern(0 .. 2)
 *
 * Every job writes a frame: its status, the number of bytes, the bytes.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/dispatch.h"
#include "lrkern.h"
#include "steps/steps.h"
#include "runtime/threads.h"

/* ---- the program */

static char word[64];

static void fail(const char *what)
{
    fprintf(stderr, "driver: %s at '%s'\n", what, word);
    exit(2);
}

static bool next(void)
{
    return scanf("%63s", word) == 1;
}

static double number(void)
{
    char *end = word;
    const double value = next() ? strtod(word, &end) : 0;
    if (end == word || *end != 0)
        fail("expected a number");
    return value;
}

static int64_t integer(void)
{
    char *end = word;
    const long long value = next() ? strtoll(word, &end, 10) : 0;
    if (end == word || *end != 0)
        fail("expected an integer");
    return value;
}

static uint64_t seed(void)
{
    char *end = word;
    const unsigned long long value = next() ? strtoull(word, &end, 10) : 0;
    if (end == word || *end != 0)
        fail("expected a seed");
    return value;
}

/* Room for n things of some size; what it returns is not NULL. */
static void *room(int64_t n, size_t size)
{
    void *memory = n < 0 ? NULL : calloc((size_t)n + 1, size);
    if (memory == NULL)
        fail("no memory");
    return memory;
}

static void frame(lrk_status status, const void *bytes, int64_t size)
{
    const int64_t head[2] = {status, status == LRK_OK ? size : 0};
    fwrite(head, sizeof head, 1, stdout);
    fwrite(bytes, 1, (size_t)head[1], stdout);
}

/* ---- nodes */

static lrk_expr **nodes;
static int64_t n_nodes, nodes_room;

static lrk_expr *node(void)
{
    const int64_t index = integer();
    if (index < 0 || index >= n_nodes)
        fail("no such node");
    return nodes[index];
}

/* A node, or -1 for none. */
static lrk_expr *optional_node(void)
{
    const int64_t index = integer();
    if (index < -1 || index >= n_nodes)
        fail("no such node");
    return index < 0 ? NULL : nodes[index];
}

static void keep(lrk_expr *e)
{
    if (e == NULL)
        fail("no memory");
    if (n_nodes == nodes_room) {
        nodes_room = 2 * nodes_room + 16;
        nodes = realloc(nodes, (size_t)nodes_room * sizeof *nodes);
        if (nodes == NULL)
            fail("no memory");
    }
    nodes[n_nodes++] = e;
}

static void forget(void)
{
    while (n_nodes > 0)
        lrk_expr_release(nodes[--n_nodes]);
}

static lrk_shape shape(void)
{
    static const char *const names[] = {
        [LRK_SHAPE_FALL] = "fall",
        [LRK_SHAPE_RISE] = "rise",
        [LRK_SHAPE_COSINE] = "cosine",
        [LRK_SHAPE_REX] = "rex",
        [LRK_SHAPE_LOGISTIC] = "logistic",
        [LRK_SHAPE_GEOMETRIC] = "geometric",
        [LRK_SHAPE_MIRROR_COSINE] = "mirror_cosine",
        [LRK_SHAPE_HARMONIC] = "harmonic",
        [LRK_SHAPE_HARMONIC_COSINE] = "harmonic_cosine",
        [LRK_SHAPE_EXPONENTIAL] = "exponential",
        [LRK_SHAPE_LOGARITHMIC] = "logarithmic",
    };
    if (next())
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strcmp(word, names[i]) == 0)
                return (lrk_shape)i;
    fail("no such shape");
    return LRK_SHAPE_FALL;
}

static lrk_expr *ramp(bool between_numbers)
{
    const lrk_shape form = shape();
    const double a = number(), b = number();
    const int64_t steps = integer();
    if (!between_numbers) {
        lrk_expr *const start = node();
        const int64_t start_at = integer();
        lrk_expr *const end = node();
        return lrk_ramp(form, a, b, steps, start, start_at, end, integer());
    }
    const double start = number(), end = number();
    lrk_expr *const first = lrk_constant(start, 1), *const last = lrk_constant(end, 1);
    lrk_expr *const result = lrk_ramp(form, a, b, steps, first, 0, last, 0);
    lrk_expr_release(first);
    lrk_expr_release(last);
    return result;
}

static lrk_expr *table(void)
{
    const int64_t n = integer();
    double *const values = room(n, sizeof *values);
    for (int64_t i = 0; i < n; i++)
        values[i] = number();
    lrk_expr *const result = lrk_table(values, n);
    free(values);
    return result;
}

static lrk_expr *join(void)
{
    const int64_t n = integer();
    lrk_expr **const parts = room(n, sizeof *parts);
    double *const boundaries = room(n, sizeof *boundaries);
    unsigned char *const after = room(n, sizeof *after);
    for (int64_t i = 0; i < n; i++)
        parts[i] = node();
    for (int64_t i = 0; i + 1 < n; i++)
        boundaries[i] = number();
    for (int64_t i = 0; i + 1 < n; i++)
        after[i] = (unsigned char)integer();
    lrk_expr *const result = lrk_join(parts, boundaries, after, n);
    free(parts);
    free(boundaries);
    free(after);
    return result;
}

/* The node that the current word names. C leaves open in which order a call's arguments are read, so no call reads two. */
static lrk_expr *build(void)
{
    char name[sizeof word];
    double x[5] = {0};
    strcpy(name, word);
#define IS(text) (strcmp(name, text) == 0)
#define NUMBERS(n) \
    for (int i = 0; i < (n); i++) \
    x[i] = number()
    if (IS("ramp") || IS("ramp_between"))
        return ramp(IS("ramp_between"));
    if (IS("table"))
        return table();
    if (IS("join"))
        return join();
    if (IS("noise")) {
        const lrk_noise_kind kind = next() && strcmp(word, "uniform") == 0 ? LRK_NOISE_UNIFORM : LRK_NOISE_NORMAL;
        NUMBERS(2);
        return lrk_noise(kind, x[0], x[1], seed());
    }
    if (IS("constant")) {
        NUMBERS(2);
        return lrk_constant(x[0], x[1]);
    }
    if (IS("power_law")) {
        NUMBERS(5);
        return lrk_power_law(x[0], x[1], x[2], x[3], x[4]);
    }
    if (IS("exponential")) {
        NUMBERS(3);
        return lrk_exponential(x[0], x[1], x[2]);
    }
    if (IS("line")) {
        NUMBERS(3);
        return lrk_line(x[0], x[1], x[2]);
    }
    if (!(IS("add") || IS("multiply") || IS("divide") || IS("power") || IS("composition") || IS("clip") || IS("shift") || IS("stretch") || IS("staircase") || IS("fractal") ||
          IS("repeat") || IS("restarts")))
        fail("no such word");
    lrk_expr *const a = node();
    if (IS("add"))
        return lrk_sum(a, node());
    if (IS("multiply"))
        return lrk_product(a, node());
    if (IS("divide"))
        return lrk_quotient(a, node());
    if (IS("power")) {
        NUMBERS(1);
        return lrk_power(a, x[0]);
    }
    if (IS("composition"))
        return lrk_composition(a, node());
    if (IS("shift"))
        return lrk_shift(a, integer());
    if (IS("stretch")) {
        NUMBERS(1);
        return lrk_stretch(a, x[0], integer());
    }
    if (IS("staircase")) {
        const int64_t every = integer();
        return lrk_staircase(a, every, (int)integer());
    }
    if (IS("fractal"))
        return lrk_fractal(a, (int)integer());
    if (IS("clip")) {
        NUMBERS(2);
        return lrk_clip(a, x[0], x[1]);
    }
    if (IS("repeat")) {
        const int64_t period = integer(), times = integer();
        NUMBERS(2);
        return lrk_repeat(a, period, times, x[0], x[1], (int)integer());
    }
    NUMBERS(3);
    return lrk_restarts(a, x[0], x[1], x[2], optional_node());
#undef NUMBERS
#undef IS
}

/* ---- jobs */

/* A plan of the beginning, as the package keeps one: what is repeated later is there already. */
static lrk_status compile(const lrk_expr *e, lrk_plan *plan)
{
    *plan = (lrk_plan){0};
    const lrk_status status = lrk_plan_compile(e, 4096, 65536, 65536, plan);
    return status == LRK_ERROR_OVERFLOW ? LRK_OK : status; /* the steps before that are in the plan */
}

static void fill(lrk_dtype dtype)
{
    const size_t size = dtype == LRK_FLOAT64 ? 8 : 4;
    const lrk_expr *const e = node();
    const int64_t start = integer(), n = integer();
    int64_t overflow_at;
    void *const out = room(n, size);
    lrk_plan plan;
    lrk_status status = compile(e, &plan);
    if (status == LRK_OK)
        status = lrk_fill(e, &plan, start, n, out, dtype, &overflow_at);
    lrk_plan_free(&plan);
    frame(status, out, n * (int64_t)size);
    free(out);
}

static void values(void)
{
    const lrk_expr *const e = node();
    const int64_t n = integer();
    double *const out = room(n, sizeof *out);
    int64_t overflow_at;
    lrk_plan plan;
    lrk_status status = compile(e, &plan);
    for (int64_t i = 0; i < n; i++) {
        const double t = number();
        const int64_t whole = (int64_t)t;
        if (status == LRK_OK)
            status = t == floor(t) ? lrk_lookup(e, &plan, &whole, 1, &out[i], &overflow_at) : lrk_expr_value(e, t, &out[i]);
    }
    lrk_plan_free(&plan);
    frame(status, out, n * 8);
    free(out);
}

/* Element i of array `seed`: numbers of both signs, some tiny, some huge. compare.py has the same. */
static double pattern(uint32_t seed, int64_t i)
{
    uint32_t h = (uint32_t)i * UINT32_C(2654435761) + seed * UINT32_C(40503);
    h = (h ^ (h >> 16)) * UINT32_C(0x45d9f3b);
    h ^= h >> 16;
    return ((double)h * 0x1p-32 - 0.5) * (i % 97 == 96 ? 0x1p-130 : i % 101 == 100 ? 0x1p+100 : 1);
}

static void *patterned(uint32_t seed, int64_t n, lrk_dtype dtype)
{
    void *const array = room(n, 8);
    for (int64_t i = 0; i < n; i++) {
        if (dtype == LRK_FLOAT64)
            ((double *)array)[i] = pattern(seed, i);
        else
            ((float *)array)[i] = (float)pattern(seed, i);
    }
    return array;
}

static void sgd(lrk_dtype dtype)
{
    const int64_t size = dtype == LRK_FLOAT64 ? 8 : 4;
    const int64_t offset = integer(), n = integer();
    const bool first = integer() != 0;
    double x[7];
    for (int i = 0; i < 7; i++)
        x[i] = number();
    const bool with_momentum = x[1] != 0;
    const lrk_storage type = dtype == LRK_FLOAT64 ? LRK_F64 : LRK_F32;
    char *const param = patterned(0, n, dtype), *const grad = patterned(1, n, dtype), *const buffer = patterned(2, n, dtype);
    int64_t other;
    lrk_step_list list;
    if (lrk_step_list_init(&list, 1, 1) != 0)
        fail("no memory");
    list.tensors[0] = (lrk_step_tensor){
        .data = {[LRK_PARAM] = param + offset * size, [LRK_STATE] = with_momentum ? buffer + offset * size : NULL},
        .type = {[LRK_PARAM] = type, [LRK_GRAD] = type, [LRK_STATE] = type},
        .size = n - offset,
    };
    list.updates[0] = first ? 0 : 1;
    /* lr, weight_decay, decoupled, maximize, momentum, dampening, nesterov */
    const double inputs[] = {x[0], x[3], x[5], x[6], x[1], x[2], x[4], 0, 0};
    list.groups[0].rule = with_momentum ? LRK_RULE_sgd_momentum : LRK_RULE_sgd;
    memcpy(list.groups[0].inputs, inputs, sizeof inputs);
    if (lrk_step_list_finalize(&list, &other) != -1)
        fail("arrays overlap");
    list.tensors[0].data[LRK_GRAD] = grad + offset * size;
    const lrk_step_options plain = lrk_step_defaults();
    lrk_step_run(&list, &plain);
    lrk_step_list_free(&list);
    frame(LRK_OK, param, n * size);
    frame(LRK_OK, buffer, n * size);
    free(param);
    free(grad);
    free(buffer);
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "--isas") == 0) {
        for (int i = 0; i < lrk_isa_count(); i++)
            puts(lrk_isa_name(i));
        return 0;
    }
    if (count != 3 || lrk_use_isa(arguments[1]) != 0 || lrk_set_threads(atoi(arguments[2])) != 0) {
        fprintf(stderr, "usage: driver --isas | driver ISA THREADS <program\n");
        return 2;
    }
    while (next()) {
        if (strcmp(word, "forget") == 0)
            forget();
        else if (strcmp(word, "fill64") == 0)
            fill(LRK_FLOAT64);
        else if (strcmp(word, "fill32") == 0)
            fill(LRK_FLOAT32);
        else if (strcmp(word, "values") == 0)
            values();
        else if (strcmp(word, "sgd64") == 0)
            sgd(LRK_FLOAT64);
        else if (strcmp(word, "sgd32") == 0)
            sgd(LRK_FLOAT32);
        else
            keep(build());
    }
    forget();
    free(nodes);
    return ferror(stdin) || fflush(stdout) != 0;
}
