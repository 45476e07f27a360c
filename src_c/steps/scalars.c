/* The scalars of every rule, from rules.def: computed in float64, once per step. */
#include <string.h>

#include "steps/lrkern_rule.h"
#include "steps/steps.h"

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
    static int scalars_of_##rule(const double *given, int64_t n, const lrk_step_norms *norms, double *coefs_out) \
    { \
        const rule##_inputs *const h = (const rule##_inputs *)given; \
        rule##_coefs *const c = (rule##_coefs *)coefs_out; \
        (void)n, (void)norms; \
        __VA_ARGS__ \
        return (int)(sizeof *c / sizeof(double)); \
    }
#include "steps/rules.def"
#undef H
#undef C

#define H(name) " " #name
#define LRK_FAMILY(rule, inputs, ...) static const char inputs_of_##rule[] = inputs;
#include "steps/rules.def"
#undef H

typedef struct entry {
    const char *name, *inputs;
    int states;
    int (*scalars)(const double *given, int64_t n, const lrk_step_norms *norms, double *coefs);
} entry;

#define LRK_RULE(rule, states, ...) _Static_assert((states) <= LRK_MAX_STATES, "states of " #rule);
#include "steps/rules.def"

#define LRK_RULE(rule, states, ...) [LRK_RULE_##rule] = {#rule, inputs_of_##rule + 1, states, scalars_of_##rule},
static const entry entries[LRK_N_RULES] = {
#include "steps/rules.def"
};

#define LRK_MEASURE(rule, ...) [LRK_RULE_##rule] = true,
static const bool measures[LRK_N_RULES] = {
#include "steps/rules.def"
};

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
