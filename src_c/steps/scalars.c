/* The scalars of every rule, from generated_rules.def: computed in float64, once per step. */
#include <string.h>

#include "steps/lrkern_rule.h"
#include "steps/steps.h"

/* Powers in this thread: each tensor of a list needs the same ones, where scalars are those of one tensor, as with norms; and so
   do scalars and new scalar states. The next step needs the next power, for which the squares of a base are kept. */
enum { REMEMBERED = 8, SQUARES = 40 };

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static double remembered_one_minus_power(double base, int64_t n)
{
    static _Thread_local struct {
        double base, value;
        int64_t n; /* 0: nothing is known */
        int count;
        lrk_double_double squares[SQUARES]; /* base^(2^k) */
    } seen[REMEMBERED];
    static _Thread_local unsigned oldest;
    unsigned k = 0;
    if (n <= 0 || n >> SQUARES != 0)
        return lrk_one_minus_power(base, n);
    while (k < REMEMBERED && !(same(seen[k].base, base) && seen[k].n > 0))
        k++;
    if (k == REMEMBERED) {
        k = oldest++ % REMEMBERED;
        seen[k].base = seen[k].squares[0].high = base;
        seen[k].squares[0].low = 0;
        seen[k].count = 1;
    } else if (seen[k].n == n)
        return seen[k].value;
    /* The operations of lrk_power_of, in its order. */
    for (; n >> seen[k].count != 0; seen[k].count++)
        seen[k].squares[seen[k].count] = lrk_power_square(seen[k].squares[seen[k].count - 1]);
    lrk_double_double power;
    power.high = 1, power.low = 0;
    for (uint64_t bits = (uint64_t)n; bits != 0; bits &= bits - 1)
        power = lrk_power_times(power, seen[k].squares[__builtin_ctzll(bits)]);
    seen[k].n = n;
    return seen[k].value = lrk_one_minus(power);
}

static double remembered_real_power(double base, double exponent)
{
    static _Thread_local struct {
        double base, exponent, value;
        bool known;
    } seen[REMEMBERED];
    static _Thread_local unsigned oldest;
    for (int k = 0; k < REMEMBERED; k++)
        if (seen[k].known && same(seen[k].base, base) && same(seen[k].exponent, exponent))
            return seen[k].value;
    const unsigned k = oldest++ % REMEMBERED;
    seen[k].base = base;
    seen[k].exponent = exponent;
    seen[k].known = true;
    return seen[k].value = lrk_real_power(base, exponent);
}

double lrk_own_one_minus_power(double base, int64_t n)
{
    return remembered_one_minus_power(base, n);
}

double lrk_own_real_power(double base, double exponent)
{
    return remembered_real_power(base, exponent);
}

#define lrk_real_power remembered_real_power
#define lrk_one_minus_power remembered_one_minus_power
#define H(name) double name;
#define C(name) double name;
#define LRK_FAMILY(rule, inputs, coefs, ...) \
    typedef struct rule##_inputs { \
        inputs \
    } rule##_inputs; \
    typedef struct rule##_coefs { \
        coefs \
    } rule##_coefs; \
    _Static_assert(sizeof(rule##_inputs) <= LRK_MAX_INPUTS * sizeof(double), "inputs of " #rule); \
    _Static_assert(sizeof(rule##_coefs) <= LRK_MAX_COEFS * sizeof(double), "coefs of " #rule); \
    static int scalars_of_##rule(const double *given, const lrk_rule_tensor *t, double *coefs_out) \
    { \
        const rule##_inputs *const h = (const rule##_inputs *)given; \
        rule##_coefs *const c = (rule##_coefs *)coefs_out; \
        (void)t; \
        __VA_ARGS__ \
        return (int)(sizeof *c / sizeof(double)); \
    }
#include "steps/generated_rules.def"
#undef H
#undef C

#define LRK_SCALAR_STATES(rule, count, ...) \
    _Static_assert((count) <= LRK_MAX_SCALAR_STATES, "scalar states of " #rule); \
    static void new_states_of_##rule(const double *given, const lrk_rule_tensor *t, double *z) \
    { \
        const rule##_inputs *const h = (const rule##_inputs *)given; \
        (void)h; \
        __VA_ARGS__ \
    }
#include "steps/generated_rules.def"

#undef lrk_one_minus_power
#undef lrk_real_power

#define H(name) " " #name
#define LRK_FAMILY(rule, inputs, ...) static const char inputs_of_##rule[] = inputs;
#include "steps/generated_rules.def"
#undef H

typedef struct entry {
    const char *name, *inputs;
    int states;
    int (*scalars)(const double *given, const lrk_rule_tensor *t, double *coefs);
} entry;

#define LRK_RULE(rule, states, ...) _Static_assert((states) <= LRK_MAX_STATES, "states of " #rule);
#include "steps/generated_rules.def"

#define LRK_RULE(rule, states, ...) [LRK_RULE_##rule] = {#rule, inputs_of_##rule + 1, states, scalars_of_##rule},
static const entry entries[LRK_N_RULES] = {
#include "steps/generated_rules.def"
};

enum { LRK_NORM = 1, LRK_SUM };

#define LRK_MEASURE(rule, states, of, ...) [LRK_RULE_##rule] = (of),
static const int measures[LRK_N_RULES] = {
#include "steps/generated_rules.def"
};

typedef struct scalar_states {
    int count;
    void (*compute)(const double *given, const lrk_rule_tensor *t, double *z);
} scalar_states;

#define LRK_SCALAR_STATES(rule, count, ...) [LRK_RULE_##rule] = {(count), new_states_of_##rule},
static const scalar_states kept[LRK_N_RULES] = {
#include "steps/generated_rules.def"
};

lrk_rule lrk_rule_find(const char *name)
{
    for (int rule = 0; rule < LRK_N_RULES; rule++)
        if (strcmp(entries[rule].name, name) == 0)
            return rule;
    return lrk_own_rule_find(name);
}

int lrk_rule_input(lrk_rule rule, const char *name)
{
    const size_t length = strlen(name);
    int place = 0;
    for (const char *word = lrk_rule_inputs(rule); *word != '\0'; place++) {
        const size_t size = strcspn(word, " ");
        if (size == length && memcmp(word, name, size) == 0)
            return place;
        word += size + strspn(word + size, " ");
    }
    return -1;
}

const char *lrk_rule_name(lrk_rule rule)
{
    const lrk_own_rule *const own = lrk_own_rule_of(rule);
    return own != NULL ? own->name : entries[rule].name;
}

const char *lrk_rule_inputs(lrk_rule rule)
{
    const lrk_own_rule *const own = lrk_own_rule_of(rule);
    return own != NULL ? own->inputs : entries[rule].inputs;
}

int lrk_rule_states(lrk_rule rule)
{
    const lrk_own_rule *const own = lrk_own_rule_of(rule);
    return own != NULL ? own->states : entries[rule].states;
}

bool lrk_rule_measures(lrk_rule rule, const double *inputs)
{
    const lrk_own_rule *const own = lrk_own_rule_of(rule);
    if (own != NULL)
        return own->measured != LRK_MEASURES_NOTHING;
    if (measures[rule] == 0)
        return false;
    const int unadapted = lrk_rule_input(rule, "unadapted");
    return unadapted < 0 || inputs[unadapted] == 0;
}

bool lrk_rule_sums(lrk_rule rule)
{
    const lrk_own_rule *const own = lrk_own_rule_of(rule);
    return own != NULL ? own->measured == LRK_MEASURES_SUM : measures[rule] == LRK_SUM;
}

int lrk_rule_scalars(lrk_rule rule, const double *inputs, const lrk_rule_tensor *tensor, double *coefs)
{
    const lrk_own_rule *const own = lrk_own_rule_of(rule);
    if (own == NULL)
        return entries[rule].scalars(inputs, tensor, coefs);
    if (own->coefs > 0)
        own->scalars(inputs, tensor, coefs);
    return own->coefs;
}

int lrk_rule_scalar_states(lrk_rule rule)
{
    const lrk_own_rule *const own = lrk_own_rule_of(rule);
    return own != NULL ? own->scalar_states : kept[rule].count;
}

void lrk_rule_new_scalar_states(lrk_rule rule, const double *inputs, const lrk_rule_tensor *tensor, double *states)
{
    const lrk_own_rule *const own = lrk_own_rule_of(rule);
    if (own != NULL)
        own->new_scalar_states(inputs, tensor, states);
    else
        kept[rule].compute(inputs, tensor, states);
}
