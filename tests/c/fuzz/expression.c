#include "expression.h"

#include <math.h>

#include "report.h"

/* Bounds of what the Python layer grants, and of what a fuzzer has time for. */
#define MAX_FASTEST 0x1p100
enum { MAX_NODES = 32, MAX_DEPTH = 12, MAX_SIZE = 200, MAX_PARTS = 4, MAX_VALUES = 16 };

/* No node begins its parts where there are MAX_NODES; those that have begun end with one for each part, and themselves. */
enum { ROOM = MAX_NODES + (MAX_DEPTH + 1) * (MAX_PARTS + 2) };

typedef struct builder {
    fuzz_bytes *bytes;
    bool prints;
    fuzz_node nodes[ROOM]; /* all that have been made, each with a reference */
    int count;
} builder;

static fuzz_node make(builder *b, int depth);

/* ---- Small things */

static int sign_of(double value)
{
    return value < 0 ? -1 : 1;
}

static int both(int a, int b)
{
    return a == b ? a : 0;
}

static int64_t any_length(builder *b, int64_t low)
{
    return fuzz_integer(b->bytes, low, LRK_MAX_STEP);
}

/* Keeps a new node. `text` follows "n<number> = _core.". */
__attribute__((format(printf, 3, 4))) static fuzz_node keep(builder *b, fuzz_node node, const char *text, ...)
{
    FUZZ_CHECK(node.e != NULL, "a constructor returned NULL");
    FUZZ_CHECK(b->count < ROOM, "more nodes than there is room for");
    node.number = b->count;
    b->nodes[b->count++] = node;
    if (b->prints) {
        va_list arguments;
        va_start(arguments, text);
        printf("n%d = _core.", node.number);
        vprintf(text, arguments);
        va_end(arguments);
        putchar('\n');
        fflush(stdout);
    }
    return node;
}

/* ---- Leaves */

static fuzz_node constant(builder *b, double value, double denominator)
{
    return keep(b, (fuzz_node){.e = lrk_constant(value, denominator), .sign = sign_of(value)}, "constant(%.17g, %.17g)", value,
                denominator);
}

static fuzz_node power_law(builder *b)
{
    const double scale = fuzz_number(b->bytes), offset = fuzz_positive(b->bytes), unit = fuzz_positive(b->bytes);
    const double slope = fuzz_chance(b->bytes, 4) ? 0 : fuzz_positive(b->bytes);
    const double most = slope == 0 ? 1e3 : 1e6, size = fuzz_between(b->bytes, 5e-324, most);
    const double power = fuzz_chance(b->bytes, 8) ? 1 : fuzz_chance(b->bytes, 8) ? 0 : -size;
    return keep(b, (fuzz_node){.e = lrk_power_law(scale, offset, slope, unit, power), .sign = sign_of(scale)},
                "power_law(%.17g, %.17g, %.17g, %.17g, %.17g)", scale, offset, slope, unit, power);
}

static fuzz_node exponential(builder *b)
{
    const double scale = fuzz_number(b->bytes), rate = fuzz_positive(b->bytes), every = fuzz_positive(b->bytes);
    return keep(b, (fuzz_node){.e = lrk_exponential(scale, rate, every), .sign = sign_of(scale)},
                "exponential(%.17g, %.17g, %.17g)", scale, rate, every);
}

static fuzz_node line(builder *b)
{
    const double start = fuzz_number(b->bytes), slope = fuzz_number(b->bytes), every = fuzz_positive(b->bytes);
    const int sign = both(sign_of(start), sign_of(slope));
    return keep(b, (fuzz_node){.e = lrk_line(start, slope, every), .sign = sign, .cancels = sign == 0},
                "line(%.17g, %.17g, %.17g)", start, slope, every);
}

static fuzz_node table(builder *b)
{
    double values[MAX_VALUES];
    char text[MAX_VALUES * 32] = "";
    const int n = 1 + fuzz_pick(b->bytes, MAX_VALUES);
    int sign = 0;
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        values[i] = i > 0 && fuzz_chance(b->bytes, 2) ? values[i - 1] : fuzz_number(b->bytes);
        sign = i == 0 ? sign_of(values[i]) : both(sign, sign_of(values[i]));
        used += (size_t)snprintf(text + used, sizeof text - used, "%.17g, ", values[i]);
    }
    return keep(b, (fuzz_node){.e = lrk_table(values, n), .sign = sign}, "table([%s])", text);
}

static fuzz_node noise(builder *b)
{
    const bool normal = fuzz_pick(b->bytes, 2);
    const double scale = fuzz_number(b->bytes);
    const double limit = normal && fuzz_chance(b->bytes, 2) ? fuzz_between(b->bytes, 0.1, HUGE_VAL) : HUGE_VAL;
    const uint64_t seed = (uint64_t)fuzz_integer(b->bytes, 0, INT64_MAX);
    return keep(b, (fuzz_node){.e = lrk_noise(normal ? LRK_NOISE_NORMAL : LRK_NOISE_UNIFORM, scale, limit, seed)},
                "noise('%s', %.17g, %g, %llu)", normal ? "normal" : "uniform", scale, limit, (unsigned long long)seed);
}

/* ---- Ramps */

static const struct {
    lrk_shape shape;
    const char *name;
    bool positive; /* asks for ends above 0 */
} shapes[] = {
    {LRK_SHAPE_FALL, "fall", false},
    {LRK_SHAPE_COSINE, "cosine", false},
    {LRK_SHAPE_RISE, "rise", false},
    {LRK_SHAPE_REX, "rex", false},
    {LRK_SHAPE_LOGISTIC, "logistic", false},
    {LRK_SHAPE_GEOMETRIC, "geometric", true},
    {LRK_SHAPE_MIRROR_COSINE, "mirror_cosine", false},
    {LRK_SHAPE_HARMONIC, "harmonic", true},
    {LRK_SHAPE_HARMONIC_COSINE, "harmonic_cosine", true},
    {LRK_SHAPE_EXPONENTIAL, "exponential", false},
    {LRK_SHAPE_LOGARITHMIC, "logarithmic", false},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes, SHAPE_FALL = 0 };

static double bend(builder *b)
{
    return fuzz_chance(b->bytes, 2) ? fuzz_between(b->bytes, 1e-3, 1e3) : 1;
}

/* What a ramp takes from a step can be had, and is > 0. */
static bool is_positive_at(const fuzz_node *node, int64_t step)
{
    double value;
    return lrk_expr_beginning(node->e, step, &value) == LRK_OK && value > 0;
}

static fuzz_node ramp(builder *b, int depth, int64_t least_steps)
{
    int kind = fuzz_pick(b->bytes, N_SHAPES);
    double x = 0, y = 0;
    if (shapes[kind].shape == LRK_SHAPE_FALL) {
        x = fuzz_chance(b->bytes, 2) ? fuzz_positive(b->bytes) : 1;
        y = bend(b);
    } else if (shapes[kind].shape == LRK_SHAPE_COSINE) {
        x = bend(b);
        y = bend(b);
    } else if (shapes[kind].shape == LRK_SHAPE_RISE) {
        x = fuzz_between(b->bytes, 1e-3, 1e3);
    } else if (shapes[kind].shape == LRK_SHAPE_EXPONENTIAL) {
        x = fuzz_between(b->bytes, 1e-100, 1e100);
        x = x == 1 ? 0.5 : x;
    } else if (shapes[kind].shape == LRK_SHAPE_LOGISTIC) {
        x = fuzz_between(b->bytes, 5e-324, 1e6);
        y = fuzz_between(b->bytes, 5e-324, 1e6);
        x = fuzz_chance(b->bytes, 4) ? x : -x;
        if (!(x < y)) {
            x = -7;
            y = 3;
        }
    } else if (shapes[kind].shape == LRK_SHAPE_REX) {
        x = fuzz_chance(b->bytes, 2) ? 0.5 : fuzz_between(b->bytes, 1e-300, nextafter(1, 0));
        x = fuzz_chance(b->bytes, 4) ? -1e6 * x : x;
    }
    const int64_t steps = any_length(b, least_steps);
    const bool numbers = depth >= MAX_DEPTH || !fuzz_chance(b->bytes, 3);
    const fuzz_node start = numbers ? constant(b, fuzz_number(b->bytes), 1) : make(b, depth + 1);
    const fuzz_node end = numbers ? constant(b, fuzz_number(b->bytes), 1) : make(b, depth + 1);
    const int64_t start_at = numbers ? 0 : any_length(b, 0), end_at = numbers ? 0 : any_length(b, 0);
    if (shapes[kind].positive && !(is_positive_at(&start, start_at) && is_positive_at(&end, end_at))) {
        kind = SHAPE_FALL;
        x = y = 1;
    }
    const int sign = shapes[kind].positive ? 1 : both(start.sign, end.sign);
    const fuzz_node node = {.e = lrk_ramp(shapes[kind].shape, x, y, steps, start.e, start_at, end.e, end_at),
                            .sign = sign,
                            .cancels = start.cancels || end.cancels || sign == 0,
                            .steps = steps};
    return keep(b, node, "ramp('%s', %.17g, %.17g, %lld, n%d, %lld, n%d, %lld)", shapes[kind].name, x, y, (long long)steps,
                start.number, (long long)start_at, end.number, (long long)end_at);
}

static fuzz_node restarts(builder *b, int depth)
{
    const fuzz_node of = ramp(b, depth + 1, 1);
    const int way = fuzz_pick(b->bytes, 4);
    double growth = way == 0 ? 1 : way == 1 ? 2 : fuzz_positive(b->bytes);
    growth = growth != 1 && fabs(growth - 1) < 1e-9 ? 1 + 1e-9 : growth;
    const double gain = fuzz_chance(b->bytes, 2) ? fuzz_positive(b->bytes) : 1;
    double rest;
    if (lrk_expr_value(of.e, (double)of.steps, &rest) != LRK_OK)
        rest = 0; /* Python would refuse it */
    fuzz_node node = {.e = NULL, .sign = both(of.sign, sign_of(rest)), .cancels = of.cancels};
    if (growth < 1 || !fuzz_chance(b->bytes, 3)) {
        node.e = lrk_restarts(of.e, growth, gain, rest, NULL);
        return keep(b, node, "restarts(n%d, %.17g, %.17g, %.17g)", of.number, growth, gain, rest);
    }
    const fuzz_node from = constant(b, fuzz_number(b->bytes), 1);
    const int64_t warmup = any_length(b, 1);
    const fuzz_node rise = keep(b, (fuzz_node){.e = lrk_ramp(LRK_SHAPE_FALL, 1, 1, warmup, from.e, 0, of.e, 0)},
                                "ramp('fall', 1.0, 1.0, %lld, n%d, 0, n%d, 0)", (long long)warmup, from.number, of.number);
    node.e = lrk_restarts(of.e, growth, gain, rest, rise.e);
    node.sign = both(node.sign, from.sign);
    node.cancels = node.cancels || node.sign == 0;
    return keep(b, node, "restarts(n%d, %.17g, %.17g, %.17g, n%d)", of.number, growth, gain, rest, rise.number);
}

/* ---- What is made of others */

static fuzz_node sum_of(builder *b, int depth)
{
    const fuzz_node x = make(b, depth + 1), y = make(b, depth + 1);
    const int sign = both(x.sign, y.sign);
    const fuzz_node node = {.e = lrk_sum(x.e, y.e), .sign = sign, .cancels = x.cancels || y.cancels || sign == 0};
    return keep(b, node, "add(n%d, n%d)", x.number, y.number);
}

static fuzz_node product_of(builder *b, int depth)
{
    const fuzz_node x = make(b, depth + 1), y = make(b, depth + 1);
    const fuzz_node node = {.e = lrk_product(x.e, y.e), .sign = x.sign * y.sign, .cancels = x.cancels || y.cancels};
    return keep(b, node, "multiply(n%d, n%d)", x.number, y.number);
}

static fuzz_node clip(builder *b, int depth)
{
    const fuzz_node x = make(b, depth + 1);
    double low = fuzz_chance(b->bytes, 3) ? -HUGE_VAL : fuzz_number(b->bytes);
    double high = fuzz_chance(b->bytes, 3) ? HUGE_VAL : fuzz_number(b->bytes);
    if (low > high) {
        const double swap = low;
        low = high;
        high = swap;
    }
    const int sign = low >= 0 ? 1 : high <= 0 ? -1 : x.sign;
    return keep(b, (fuzz_node){.e = lrk_clip(x.e, low, high), .sign = sign, .cancels = x.cancels}, "clip(n%d, %.17g, %.17g)",
                x.number, low, high);
}

static fuzz_node shift(builder *b, int depth)
{
    const fuzz_node x = make(b, depth + 1);
    const int64_t by = fuzz_chance(b->bytes, 2) ? -any_length(b, 0) : any_length(b, 0);
    return keep(b, (fuzz_node){.e = lrk_shift(x.e, by), .sign = x.sign, .cancels = x.cancels}, "shift(n%d, %lld)", x.number,
                (long long)by);
}

static fuzz_node stretch(builder *b, int depth)
{
    const fuzz_node x = make(b, depth + 1);
    const double factor = fmin(fuzz_positive(b->bytes), 0x1p60); /* times below 2^-800 lose digits: docs/plans.md */
    const int64_t divisor = fuzz_chance(b->bytes, 2) ? any_length(b, 1) | 1 : 1;
    lrk_expr *const e = lrk_stretch(x.e, factor, divisor);
    if (!(lrk_expr_fastest(e) <= MAX_FASTEST)) {
        lrk_expr_release(e);
        return x;
    }
    return keep(b, (fuzz_node){.e = e, .sign = x.sign, .cancels = x.cancels}, "stretch(n%d, %.17g, %lld)", x.number, factor,
                (long long)divisor);
}

static fuzz_node staircase(builder *b, int depth)
{
    const fuzz_node x = make(b, depth + 1);
    const int64_t every = any_length(b, 1);
    const int late = fuzz_chance(b->bytes, 4);
    return keep(b, (fuzz_node){.e = lrk_staircase(x.e, every, late), .sign = x.sign, .cancels = x.cancels},
                "staircase(n%d, %lld, %d)", x.number, (long long)every, late);
}

static fuzz_node fractal(builder *b, int depth)
{
    const fuzz_node x = make(b, depth + 1);
    const int bits = fuzz_pick(b->bytes, 54);
    return keep(b, (fuzz_node){.e = lrk_fractal(x.e, bits), .sign = x.sign, .cancels = x.cancels}, "fractal(n%d, %d)", x.number,
                bits);
}

static fuzz_node join(builder *b, int depth)
{
    lrk_expr *parts[MAX_PARTS];
    double boundaries[MAX_PARTS];
    unsigned char after[MAX_PARTS] = {0};
    const int side = fuzz_chance(b->bytes, 4);
    char names[MAX_PARTS * 8] = "", at[MAX_PARTS * 24] = "";
    size_t names_used = 0, at_used = 0;
    const int n = 1 + fuzz_pick(b->bytes, MAX_PARTS);
    fuzz_node node = {.sign = 2};
    for (int i = 0; i < n; i++) {
        const fuzz_node part = make(b, depth + 1);
        parts[i] = part.e;
        node.sign = i == 0 ? part.sign : both(node.sign, part.sign);
        node.cancels = node.cancels || part.cancels;
        names_used += (size_t)snprintf(names + names_used, sizeof names - names_used, "n%d, ", part.number);
    }
    for (int i = 0; i + 1 < n; i++) {
        boundaries[i] = (double)any_length(b, i == 0 ? 0 : (int64_t)ceil(boundaries[i - 1]));
        if (fuzz_chance(b->bytes, 4) && boundaries[i] < 0x1p52)
            boundaries[i] += 0.5;
        after[i] = (unsigned char)side;
        at_used += (size_t)snprintf(at + at_used, sizeof at - at_used, "%.17g, ", boundaries[i]);
    }
    node.e = lrk_join(parts, boundaries, after, n);
    return keep(b, node, "join([%s], [%s], [%d] * %d)", names, at, side, n - 1);
}

static fuzz_node repeat(builder *b, int depth)
{
    const fuzz_node x = make(b, depth + 1);
    const int64_t period = any_length(b, 1), times = fuzz_chance(b->bytes, 2) ? any_length(b, 1) : INT64_MAX;
    const double gain = fuzz_chance(b->bytes, 2) ? fuzz_positive(b->bytes) : 1;
    const int late = fuzz_chance(b->bytes, 4);
    return keep(b, (fuzz_node){.e = lrk_repeat(x.e, period, times, gain, 1, late), .sign = x.sign, .cancels = x.cancels},
                "repeat(n%d, %lld, %lld, %.17g, 1.0, %d)", x.number, (long long)period, (long long)times, gain, late);
}

static fuzz_node quotient_of(builder *b, int depth)
{
    const fuzz_node x = make(b, depth + 1), y = make(b, depth + 1);
    const fuzz_node node = {.e = lrk_quotient(x.e, y.e), .sign = x.sign * y.sign, .cancels = x.cancels || y.cancels};
    return keep(b, node, "divide(n%d, n%d)", x.number, y.number);
}

static fuzz_node power_of(builder *b, int depth)
{
    static const double powers[] = {-1, 0.5, -0.5, 2, 3, 1, 0, -2};
    const fuzz_node x = make(b, depth + 1);
    double power = powers[fuzz_pick(b->bytes, 8)];
    if (fuzz_chance(b->bytes, 3))
        power *= fuzz_between(b->bytes, 1e-3, 300);
    const fuzz_node node = {.e = lrk_power(x.e, power), .sign = x.sign > 0, .cancels = x.cancels};
    return keep(b, node, "power(n%d, %.17g)", x.number, power);
}

/* Whether a clock's times are so small that a double-double holds few of their digits: see Schedule.of. */
static bool hardly_moves(const fuzz_node *clock)
{
    double time;
    return clock->e != NULL && lrk_expr_value(clock->e, 1.0, &time) == LRK_OK && time > 0.0 && time < 0x1p-990;
}

/* Along a straight line, most of the time; else along whatever there is. */
static fuzz_node composition(builder *b, int depth)
{
    const fuzz_node x = make(b, depth + 1);
    fuzz_node clock;
    if (fuzz_chance(b->bytes, 4)) {
        clock = make(b, depth + 1);
    } else {
        const double start = (double)any_length(b, 0), slope = fuzz_positive(b->bytes), every = (double)any_length(b, 1);
        clock = keep(b, (fuzz_node){.e = lrk_line(start, slope, every), .sign = 1}, "line(%.17g, %.17g, %.17g)", start, slope,
                     every);
    }
    const bool cancels = x.cancels || clock.cancels || hardly_moves(&clock);
    const fuzz_node node = {.e = lrk_composition(x.e, clock.e), .sign = x.sign, .cancels = cancels};
    return keep(b, node, "composition(n%d, n%d)", x.number, clock.number);
}

/* One that is there already: parts may be shared. */
static fuzz_node shared(builder *b)
{
    return b->count == 0 ? constant(b, 1, 1) : b->nodes[fuzz_pick(b->bytes, b->count)];
}

static fuzz_node leaf(builder *b)
{
    switch (fuzz_pick(b->bytes, 8)) {
    case 0:
        return constant(b, fuzz_number(b->bytes), 1);
    case 1:
        return power_law(b);
    case 2:
        return exponential(b);
    case 3:
        return line(b);
    case 4:
        return table(b);
    case 5:
        return noise(b);
    case 6: {
        const double value = fuzz_number(b->bytes);
        return constant(b, value, fuzz_positive(b->bytes));
    }
    default:
        return shared(b);
    }
}

static fuzz_node made_of_others(builder *b, int depth)
{
    switch (fuzz_pick(b->bytes, 15)) {
    case 0:
        return ramp(b, depth, 0);
    case 1:
        return clip(b, depth);
    case 2:
        return repeat(b, depth);
    case 3:
        return restarts(b, depth);
    case 4:
        return sum_of(b, depth);
    case 5:
        return product_of(b, depth);
    case 6:
        return shift(b, depth);
    case 7:
        return stretch(b, depth);
    case 8:
        return staircase(b, depth);
    case 9:
        return join(b, depth);
    case 10:
        return fractal(b, depth);
    case 12:
        return quotient_of(b, depth);
    case 13:
        return power_of(b, depth);
    case 14:
        return composition(b, depth);
    default:
        return ramp(b, MAX_DEPTH, 0);
    }
}

static fuzz_node make(builder *b, int depth)
{
    if (depth >= MAX_DEPTH || b->count >= MAX_NODES || b->bytes->left == 0)
        return constant(b, fuzz_number(b->bytes), 1);
    const fuzz_node node = fuzz_chance(b->bytes, 3) ? leaf(b) : made_of_others(b, depth);
    return lrk_expr_size(node.e) <= MAX_SIZE ? node : constant(b, 1, 1);
}

fuzz_node fuzz_expression(fuzz_bytes *bytes, bool prints)
{
    builder b = {.bytes = bytes, .prints = prints};
    fuzz_say(prints, "from lrkern import _core; from math import inf");
    const fuzz_node root = make(&b, 0);
    lrk_expr_retain(root.e);
    for (int i = 0; i < b.count; i++)
        lrk_expr_release(b.nodes[i].e);
    fuzz_say(prints, "the schedule is n%d", root.number);
    return root;
}
