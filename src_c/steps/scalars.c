/* The scalars of every rule, from rules.def: computed in float64, once per step. */
#include <stddef.h>
#include <string.h>

#include "steps/steps.h"

#define lrk_sqrt __builtin_sqrt

/* 1 - base^n, from the exact power but for ~2^-90 of it: by squaring in double-double arithmetic. */
static double lrk_one_minus_power(double base, int64_t n)
{
    double power = 1, power_low = 0, square = base, square_low = 0;
    for (;;) {
        if (n & 1) {
            const double high = power * square;
            const double low = __builtin_fma(power, square, -high) + (power * square_low + power_low * square);
            power = high + low;
            power_low = low - (power - high);
        }
        n >>= 1;
        if (n == 0)
            break;
        const double high = square * square;
        const double low = __builtin_fma(square, square, -high) + 2 * (square * square_low);
        square = high + low;
        square_low = low - (square - high);
    }
    const double gap = 1 - power;
    return gap + (((1 - gap) - power) - power_low);
}

/* A quotient of norms, or the largest float32 where it is beyond that: tiny gradients then stay finite. */
static double lrk_at_most_max(double quotient)
{
    return quotient > 0x1.fffffep127 ? 0x1.fffffep127 : quotient;
}

#define H(name) double name;
#define C(name) double name;
#define LRK_FAMILY(family, inputs, coefs, ...) \
    typedef struct family##_inputs { \
        inputs \
    } family##_inputs; \
    typedef struct family##_coefs { \
        coefs \
    } family##_coefs; \
    _Static_assert(sizeof(family##_inputs) <= LRK_MAX_INPUTS * sizeof(double), "inputs of " #family); \
    _Static_assert(sizeof(family##_coefs) <= LRK_MAX_COEFS * sizeof(double), "coefs of " #family); \
    static int scalars_of_##family(const double *given, int64_t n, const lrk_step_norms *norms, double *coefs_out) \
    { \
        const family##_inputs *const h = (const family##_inputs *)given; \
        family##_coefs *const c = (family##_coefs *)coefs_out; \
        (void)n, (void)norms; \
        c->sign = h->maximize != 0 ? -1 : 1; \
        c->decay = h->decoupled != 0 ? 0 : h->weight_decay; \
        c->pull = h->decoupled != 0 && h->lr != 0 ? h->weight_decay : 0; \
        __VA_ARGS__ \
        return (int)(sizeof *c / sizeof(double)); \
    }
#include "steps/rules.def"
#undef H
#undef C

#define H(name) " " #name
#define LRK_FAMILY(family, inputs, ...) static const char inputs_of_##family[] = inputs;
#include "steps/rules.def"
#undef H

typedef struct entry {
    const char *name, *inputs;
    int states;
    int (*scalars)(const double *given, int64_t n, const lrk_step_norms *norms, double *coefs);
} entry;

#define LRK_RULE(rule, family, states, ...) _Static_assert((states) <= LRK_MAX_STATES, "states of " #rule);
#include "steps/rules.def"

#define LRK_RULE(rule, family, states, ...) [LRK_RULE_##rule] = {#rule, inputs_of_##family + 1, states, scalars_of_##family},
static const entry entries[LRK_N_RULES] = {
#include "steps/rules.def"
};

#define LRK_MEASURE(rule, ...) [LRK_RULE_##rule] = true,
static const bool measures[LRK_N_RULES] = {
#include "steps/rules.def"
};

/* The options of lrkern_steps.h are the inputs of the families. */
#define H(name) offsetof(options, name) == offsetof(inputs_, name) &&
#define LRK_FAMILY(family, inputs, ...) \
    __attribute__((unused)) static void check_##family(void) \
    { \
        typedef lrk_##family##_options options; \
        typedef family##_inputs inputs_; \
        _Static_assert(inputs sizeof(options) == sizeof(inputs_), "lrkern_steps.h: lrk_" #family "_options"); \
    }
#include "steps/rules.def"
#undef H

lrk_rule lrk_rule_find(const char *name)
{
    for (int rule = 0; rule < LRK_N_RULES; rule++)
        if (strcmp(entries[rule].name, name) == 0)
            return rule;
    return -1;
}

int lrk_rule_input(lrk_rule rule, const char *name)
{
    const size_t length = strlen(name);
    int place = 0;
    for (const char *word = entries[rule].inputs; *word != '\0'; place++) {
        const size_t size = strcspn(word, " ");
        if (size == length && memcmp(word, name, size) == 0)
            return place;
        word += size + strspn(word + size, " ");
    }
    return -1;
}

const char *lrk_rule_name(lrk_rule rule)
{
    return entries[rule].name;
}

const char *lrk_rule_inputs(lrk_rule rule)
{
    return entries[rule].inputs;
}

int lrk_rule_states(lrk_rule rule)
{
    return entries[rule].states;
}

bool lrk_rule_measures(lrk_rule rule, const double *inputs)
{
    if (!measures[rule])
        return false;
    const int unadapted = lrk_rule_input(rule, "unadapted");
    return unadapted < 0 || inputs[unadapted] == 0;
}

int lrk_rule_scalars(lrk_rule rule, const double *inputs, int64_t n, const lrk_step_norms *norms, double *coefs)
{
    return entries[rule].scalars(inputs, n, norms, coefs);
}
