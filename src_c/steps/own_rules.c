/* Rules registered by programs. They are numbered after those of the library. And what compiled rules call. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "steps/steps.h"

/* They fill up from the front and stay. A thread goes on to the next place only after it has seen what is in this one, so that
   no name is registered twice, without a lock that a fork could leave behind. */
enum { LRK_N_OWN_RULES = 1 << 14 };
static lrk_own_rule *_Atomic registered[LRK_N_OWN_RULES];

const lrk_own_rule *lrk_registered_rule(lrk_rule rule)
{
    return registered[rule - LRK_N_RULES];
}

lrk_rule lrk_own_rule_find(const char *name)
{
    for (int k = 0; k < LRK_N_OWN_RULES && registered[k] != NULL; k++)
        if (strcmp(registered[k]->name, name) == 0)
            return LRK_N_RULES + k;
    return -1;
}

/* The number of words that single spaces separate; -1 if that is not what the text consists of. */
static int count_words(const char *text)
{
    int words = 0;
    for (const char *at = text; *at != '\0'; words++) {
        const size_t size = strcspn(at, " ");
        at += size;
        if (size == 0 || (*at == ' ' && at[1] == '\0'))
            return -1;
        at += *at == ' ';
    }
    return words;
}

static bool is_valid(const lrk_own_rule *rule)
{
    if (rule == NULL || rule->name == NULL || rule->inputs == NULL || count_words(rule->name) != 1)
        return false;
    const int inputs = count_words(rule->inputs);
    const bool measures = rule->measured == LRK_MEASURES_NORM || rule->measured == LRK_MEASURES_SUM;
    return inputs >= 0 && inputs <= LRK_MAX_INPUTS && rule->states >= 0 && rule->states <= LRK_MAX_STATES &&
           rule->scalar_states >= 0 && rule->scalar_states <= LRK_MAX_SCALAR_STATES && rule->coefs >= 0 &&
           rule->coefs <= LRK_MAX_COEFS && (measures || rule->measured == LRK_MEASURES_NOTHING) &&
           (rule->scalars != NULL || rule->coefs == 0) && (rule->new_scalar_states != NULL || rule->scalar_states == 0) &&
           rule->update[LRK_F32] != NULL && rule->update[LRK_F64] != NULL &&
           (!measures || (rule->measure[LRK_F32] != NULL && rule->measure[LRK_F64] != NULL));
}

lrk_rule lrk_rule_register(const lrk_own_rule *rule)
{
    if (!is_valid(rule) || lrk_rule_find(rule->name) >= 0)
        return LRK_ERROR_ARGUMENT;
    const size_t name = strlen(rule->name) + 1, inputs = strlen(rule->inputs) + 1;
    lrk_own_rule *const own = malloc(sizeof *own + name + inputs);
    if (own == NULL)
        return LRK_ERROR_MEMORY;
    char *const texts = (char *)(own + 1);
    *own = *rule;
    own->name = memcpy(texts, rule->name, name);
    own->inputs = memcpy(texts + name, rule->inputs, inputs);
    for (int k = 0; k < LRK_N_OWN_RULES; k++) {
        lrk_own_rule *found = NULL;
        if (atomic_compare_exchange_strong(&registered[k], &found, own))
            return LRK_N_RULES + k;
        if (strcmp(found->name, own->name) == 0) { /* another thread was faster */
            free(own);
            return LRK_ERROR_ARGUMENT;
        }
    }
    free(own);
    return LRK_ERROR_MEMORY;
}

double lrk_own_power(double base, int64_t n)
{
    return lrk_whole_power(base, n);
}
