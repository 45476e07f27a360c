/* Prints one hash of many steps: every rule, storage, option of the pipeline, sizes around vector widths, rows, threads.
   Built without Python, by any compiler for any machine, it must print the same, and the sanitizers must see nothing wrong:
   see test_native_steps.py. Kernels come from steps.inc as the compiler's flags allow.

       steps             the hash
       steps together    the same from several threads at once, and from forks unless `no-fork` follows
*/
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "isa/dispatch.h"
#include "runtime/threads.h"

#define NATIVE(stem) stem##_native
#define LRK_NAME(stem) NATIVE(stem)
#include "steps/steps.inc"

static const lrk_kernels kernels = {.isa = "native", .steps = &lrk_step_table};

const lrk_kernels *lrk_active(void)
{
    return &kernels;
}

/* ---- Random numbers. Every case has a state of its own, so that cases can run at once. */

typedef struct run {
    uint64_t random, hash;
} run;

static uint64_t random_bits(run *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    return r->random ^= r->random << 17;
}

static int64_t below(run *r, int64_t limit)
{
    return (int64_t)(random_bits(r) >> 1) % limit;
}

static bool coin(run *r)
{
    return random_bits(r) >> 40 & 1;
}

/* Numbers of all sizes that float32 has, where `wide`; some zeros. */
static double random_number(run *r, bool wide)
{
    const int exponent = wide ? (int)below(r, 300) - 160 : (int)below(r, 20) - 10;
    const double mantissa = (double)(int64_t)random_bits(r);
    return below(r, 50) == 0 ? 0.0 : ldexp(mantissa, exponent - 63);
}

/* ---- Arrays, exactly as long as they have to be, that start at any address */

static void put(char *array, int type, int64_t i, double number)
{
    const float single = (float)number;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    const uint32_t magnitude = bits & UINT32_C(0x7FFFFFFF), sign = bits >> 16 & 0x8000;
    /* Towards 0, in float16's range. */
    const uint32_t half = magnitude < 0x38800000 ? 0 : magnitude > 0x477FE000 ? 0x7BFF : (magnitude - 0x38000000) >> 13;
    const uint16_t brain = (uint16_t)(bits >> 16), small = (uint16_t)(sign | half);
    const void *const source = type == LRK_F64    ? (const void *)&number
                               : type == LRK_F32  ? (const void *)&single
                               : type == LRK_BF16 ? (const void *)&brain
                                                  : (const void *)&small;
    const int64_t bytes = lrk_storage_bytes((lrk_storage)type);
    memcpy(array + i * bytes, source, (size_t)bytes);
}

/* The bits of an element, with one pattern for all NaNs. */
static uint64_t get(const char *array, int type, int64_t i)
{
    static const uint64_t infinity[] = {
        [LRK_F32] = UINT64_C(0x7F800000),
        [LRK_F64] = UINT64_C(0x7FF0000000000000),
        [LRK_BF16] = 0x7F80,
        [LRK_F16] = 0x7C00,
    };
    const int64_t bytes = lrk_storage_bytes((lrk_storage)type);
    uint64_t bits = 0;
    for (int64_t k = 0; k < bytes; k++)
        bits |= (uint64_t)(unsigned char)array[i * bytes + k] << 8 * k;
    const uint64_t sign = UINT64_C(1) << (8 * bytes - 1);
    return (bits & ~sign) > infinity[type] ? ~UINT64_C(0) : bits;
}

typedef struct array {
    char *memory, *data;
    int64_t size;
    int type;
} array;

static void *room(size_t bytes)
{
    void *const memory = malloc(bytes);
    if (memory == NULL)
        abort();
    return memory;
}

static array new_array(run *r, int type, int64_t size, bool wide)
{
    array a = {.size = size, .type = type};
    const size_t offset = (size_t)below(r, 9);
    a.memory = room((size_t)(size * lrk_storage_bytes((lrk_storage)type)) + offset);
    a.data = a.memory + offset;
    for (int64_t i = 0; i < size; i++)
        put(a.data, type, i, random_number(r, wide));
    return a;
}

static void add_to_hash(run *r, const array *a)
{
    for (int64_t i = 0; i < a->size; i++)
        r->hash = (r->hash ^ get(a->data, a->type, i)) * UINT64_C(1099511628211);
    free(a->memory);
}

/* ---- A case: a list of tensors that takes three steps */

enum { TENSORS = 4, GROUPS = 3, STEPS = 3 };

typedef struct tensor {
    array arrays[LRK_N_ROLES];
    lrk_step_sparse sparse;
    int64_t *rows;
    double *row_lrs;
} tensor;

static lrk_storage any_type(run *r)
{
    return (lrk_storage)below(r, LRK_N_STORAGES);
}

/* Numbers for what rules have by these names; flags for all else. */
static void fill_inputs(run *r, lrk_step_group *group)
{
    static const struct {
        const char *name;
        double value;
    } numbers[] = {{"lr", 0.1}, {"momentum", 0.9}, {"dampening", 0.3}, {"beta1", 0.9},    {"beta2", 0.99},       {"alpha", 0.9},
                   {"eps", 0},  {"trust", 0.1},    {"pull", 0.01},     {"lr_decay", 0.1}, {"weight_decay", 0.01}};
    char names[256];
    snprintf(names, sizeof names, "%s", lrk_rule_inputs(group->rule));
    int k = 0;
    char *rest = NULL;
    for (char *name = strtok_r(names, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest), k++) {
        group->inputs[k] = coin(r);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            if (strcmp(name, numbers[i].name) == 0)
                group->inputs[k] = numbers[i].value * (k == 0 || coin(r)) + (strcmp(name, "eps") == 0 ? 1e-3 : 0);
    }
}

static void add(lrk_step_tensor *t, tensor *own, run *r, int role, int type, bool wide)
{
    own->arrays[role] = new_array(r, type, t->size, wide);
    t->data[role] = own->arrays[role].data;
    t->type[role] = (uint8_t)type;
}

/* A gradient of some rows, a few of them more than once. */
static void add_rows(lrk_step_tensor *t, tensor *own, run *r)
{
    const int64_t rows = t->size / t->width, count = 1 + below(r, rows), extra = below(r, 4), k = count + extra;
    own->rows = room((size_t)(3 * k + 2) * sizeof *own->rows);
    int64_t *const index = own->rows, *const begin = index + count, *const order = begin + count + 1;
    for (int64_t i = 0; i < count; i++)
        index[i] = i * rows / count;
    for (int64_t i = 0; i <= count; i++)
        begin[i] = i == 0 ? 0 : i + extra;
    for (int64_t i = 0; i < k; i++)
        order[i] = k - 1 - i;
    own->sparse = (lrk_step_sparse){.count = count, .index = index, .begin = begin, .order = order};
    own->arrays[LRK_GRAD] = new_array(r, own->arrays[LRK_GRAD].type, k * t->width, false);
    t->sparse = &own->sparse;
}

/* Whether a rule may ask for norms. */
static bool asks_for_norms(lrk_rule rule)
{
    static const double none[LRK_MAX_INPUTS] = {0};
    return lrk_rule_measures(rule, none);
}

static void add_number(run *r, double x)
{
    uint64_t bits = 0;
    if (x == x)
        memcpy(&bits, &x, sizeof bits);
    r->hash = (r->hash ^ bits) * UINT64_C(1099511628211);
}

/* Where gradients are not finite: somewhere, if a step was skipped or refused; nowhere, if it asked and was not. */
static void add_nonfinite(run *r, const lrk_step_list *list, const lrk_step_options *options, const lrk_step_result *result)
{
    bool any = false;
    for (int64_t t = 0; t < TENSORS; t++) {
        double value = 0;
        const int64_t element = lrk_step_nonfinite(list, t, &value);
        any |= element >= 0;
        r->hash = (r->hash ^ (uint64_t)element ^ (uint64_t)(value > 0)) * UINT64_C(1099511628211);
    }
    const bool asks = options->skip_nonfinite || options->error_if_nonfinite;
    const bool is_long = result->grad_norm > options->skip_norm;
    if (is_long && !result->refused && !result->skipped)
        abort();
    if (asks && !is_long && !(options->skip_sigma < HUGE_VAL) && !(options->zero_grad && result->skipped) &&
        any != (result->skipped || result->refused))
        abort();
    if (result->refused != (options->error_if_nonfinite && any))
        abort();
}

static void run_case(run *r, lrk_rule rule, lrk_storage type, int64_t largest)
{
    const lrk_storage state = any_type(r);
    const bool wide = below(r, 4) == 0, rows = !asks_for_norms(rule) && below(r, 3) == 0;
    lrk_step_options options = {
        .grad_scale = coin(r) ? 1 : 3,
        .clip_norm = coin(r) ? 0.5 : HUGE_VAL,
        .clip_value = coin(r) ? 0.25 : HUGE_VAL,
        .skip_norm = below(r, 4) == 0 ? 20 : HUGE_VAL,
        .clip_per = (lrk_clip_per)below(r, 3),
        .skip_nonfinite = coin(r),
        .zero_grad = below(r, 4) == 0,
        .norms = below(r, 3) == 0,
        .skip_sigma = below(r, 3) == 0 ? 0.5 : HUGE_VAL,
        .skip_window = 2,
        .rounding = (lrk_rounding)below(r, 3),
        .state_rounding = coin(r) ? LRK_NEAREST : LRK_STOCHASTIC,
        .ema_every = 1 + below(r, 2),
        .seed = random_bits(r),
    };
    options.error_if_nonfinite = !options.skip_nonfinite && coin(r);
    const bool ema = below(r, 3) == 0, copies = below(r, 3) == 0;
    lrk_step_list list;
    if (lrk_step_list_init(&list, TENSORS, GROUPS) < 0)
        abort();
    for (int g = 0; g < GROUPS; g++) {
        list.groups[g].rule = rule;
        list.groups[g].ema[0] = 0.9;
        list.groups[g].ema[1] = 0.5;
        list.groups[g].ema[2] = 0.125;
        fill_inputs(r, &list.groups[g]);
    }
    list.groups[GROUPS - 1].clips_with = coin(r) ? 0 : GROUPS - 1;
    tensor own[TENSORS] = {0};
    for (int t = 0; t < TENSORS; t++) {
        lrk_step_tensor *const one = &list.tensors[t];
        one->group = (int32_t)below(r, GROUPS);
        one->width = 1 + below(r, 40);
        one->size = t == 1 ? 0 : t == 2 ? largest : one->width * (1 + below(r, 9));
        one->width = t == 2 ? largest : one->width;
        const lrk_storage stored = t == 3 ? any_type(r) : type, computed = stored == LRK_F64 ? LRK_F64 : LRK_F32;
        add(one, &own[t], r, LRK_PARAM, stored, wide);
        for (int s = 0; s < lrk_rule_states(rule); s++) {
            add(one, &own[t], r, LRK_STATE + s, coin(r) ? computed : state, false);
            for (int64_t i = 0; i < one->size; i++) /* squares are among them */
                put(own[t].arrays[LRK_STATE + s].data, one->type[LRK_STATE + s], i, fabs(random_number(r, false)));
        }
        for (int k = 0; ema && k < 1 + t % LRK_MAX_AVERAGES; k++)
            add(one, &own[t], r, LRK_EMA + k, computed, false);
        if (copies)
            add(one, &own[t], r, LRK_COPY, any_type(r), false);
        if (options.rounding == LRK_SPLIT && stored == LRK_BF16) {
            add(one, &own[t], r, LRK_REMAINDER, LRK_BF16, false);
            memset(own[t].arrays[LRK_REMAINDER].data, 0, (size_t)one->size * 2);
        }
        list.updates[t] = below(r, 3);
        if (strncmp(lrk_rule_name(rule), "sgd", 3) == 0 && t == 0 && coin(r)) {
            const int64_t count = one->size / one->width;
            own[t].row_lrs = room((size_t)count * sizeof(double));
            for (int64_t i = 0; i < count; i++)
                own[t].row_lrs[i] = 0.1 * (double)below(r, 4);
            one->row_lrs = own[t].row_lrs;
        }
    }
    double recent[2] = {0};
    list.recent = recent;
    int64_t other;
    if (lrk_step_list_finalize(&list, &other) >= 0)
        abort();
    for (int t = 0; t < TENSORS; t++) {
        lrk_step_tensor *const one = &list.tensors[t];
        array *const grad = &own[t].arrays[LRK_GRAD];
        grad->type = t == 3 ? any_type(r) : coin(r) ? one->type[LRK_PARAM] : any_type(r);
        if (rows && one->size > 0 && t != 2)
            add_rows(one, &own[t], r);
        else
            *grad = new_array(r, grad->type, one->size, false);
        one->data[LRK_GRAD] = below(r, 8) == 0 ? NULL : grad->data;
        one->type[LRK_GRAD] = (uint8_t)grad->type;
    }
    if (below(r, 4) == 0)
        put(own[0].arrays[LRK_GRAD].data, own[0].arrays[LRK_GRAD].type, 0, 1e300);
    lrk_step_list_balance(&list);
    for (options.step = 0; options.step < STEPS; options.step++) {
        const lrk_step_result result = lrk_step_run(&list, &options);
        if (result.isa == NULL)
            abort();
        r->hash += result.skipped;
        add_nonfinite(r, &list, &options, &result);
        for (int t = 0; options.norms && t < TENSORS; t++) {
            const lrk_step_lengths *const found = &list.lengths[t];
            add_number(r, found->grad);
            add_number(r, found->param);
            add_number(r, found->update);
        }
    }
    add_number(r, recent[0]);
    add_number(r, recent[1]);
    for (int t = 0; t < TENSORS; t++) {
        for (int role = 0; role < LRK_N_ROLES; role++)
            add_to_hash(r, &own[t].arrays[role]);
        free(own[t].rows);
        free(own[t].row_lrs);
    }
    lrk_step_list_free(&list);
}

/* Without a gradient, or without a tensor, there is no block to measure. */
static void run_nothing(void)
{
    for (int64_t count = 0; count < 2; count++)
        for (lrk_rule rule = 0; rule < LRK_N_RULES; rule++) {
            lrk_step_list list;
            int64_t other;
            lrk_step_options options = lrk_step_defaults();
            options.clip_norm = 1;
            if (lrk_step_list_init(&list, count, 1) < 0)
                abort();
            list.groups[0].rule = rule;
            if (lrk_step_list_finalize(&list, &other) >= 0 || lrk_step_run(&list, &options).grad_norm != 0)
                abort();
            lrk_step_list_free(&list);
        }
}

/* ---- All cases */

enum { CASES = 12, PARTS = LRK_N_RULES * LRK_N_STORAGES };

static const int64_t sizes[] = {0, 1, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 511, 513, 1023, 1025, 2500};

/* Those of one rule and storage. */
static uint64_t run_part(int64_t part)
{
    run r = {.random = UINT64_C(88172645463325252) + (uint64_t)part * 2, .hash = UINT64_C(1469598103934665603)};
    const lrk_rule rule = (lrk_rule)(part / LRK_N_STORAGES);
    const lrk_storage type = (lrk_storage)(part % LRK_N_STORAGES);
    for (int k = 0; k < CASES; k++)
        run_case(&r, rule, type, sizes[below(&r, sizeof sizes / sizeof *sizes)]);
    run_case(&r, rule, type, 66000 + 64 * part); /* enough for several threads, where elements have 4 bytes */
    return r.hash;
}

static uint64_t serial(void)
{
    uint64_t hash = 0;
    run_nothing();
    for (int64_t part = 0; part < PARTS; part++) {
        lrk_set_threads(1 + (int)(part % 8));
        hash += run_part(part);
    }
    return hash;
}

static _Atomic uint64_t total;
static _Atomic int64_t next_part;

static void *take_parts(void *unused)
{
    for (int64_t part; (part = next_part++) < PARTS;) {
        lrk_set_threads(1 + (int)(part % 5));
        total += run_part(part);
    }
    return unused;
}

static uint64_t at_once(void)
{
    pthread_t callers[4];
    total = 0;
    next_part = 0;
    for (int i = 0; i < 4; i++)
        if (pthread_create(&callers[i], NULL, take_parts, NULL) != 0)
            abort();
    for (int i = 0; i < 4; i++)
        pthread_join(callers[i], NULL);
    return total;
}

/* Whether a child has the same bits, in a pool of its own. */
static bool same_in_a_child(int64_t part)
{
    const uint64_t expected = run_part(part);
    const pid_t child = fork();
    if (child == 0)
        _exit(run_part(part) == expected ? 0 : 1);
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    const bool together = argc > 1;
    (void)argv;
    const uint64_t hash = together ? at_once() : serial();
    lrk_set_threads(4);
    if (together && argc < 3)
        for (int64_t part = 0; part < PARTS; part += 5)
            if (!same_in_a_child(part)) {
                fprintf(stderr, "another result in a child, part %d\n", (int)part);
                return 1;
            }
    printf("%016llx\n", (unsigned long long)hash);
    return 0;
}
