#include "step_job.h"

#include <float.h>
#include <math.h>

#include "report.h"

const char *const fuzz_role_names[LRK_N_ROLES] = {"param",   "grad",      "state 0",   "state 1",   "state 2", "state 3",
                                                  "state 4", "average 0", "average 1", "average 2", "copy",    "remainder"};
const char *const fuzz_storage_names[LRK_N_STORAGES] = {
    [LRK_F32] = "float32", [LRK_F64] = "float64", [LRK_BF16] = "bfloat16", [LRK_F16] = "float16"};

/* ---- Numbers: of one array all are of one sort, each made of the array's seed and its place. */

typedef enum sort { ORDINARY, ZERO, WIDE, TINY, SPECIAL, ANY_BITS, N_SORTS } sort;
static const char *const sort_names[N_SORTS] = {"ordinary", "zeros", "wide", "tiny", "special", "any bits"};

static uint64_t random_bits(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static double random_number(sort kind, uint64_t *state)
{
    static const double special[] = {INFINITY, -INFINITY, NAN, 0.0, -0.0, FLT_MAX, FLT_MIN, 0x1p-149, DBL_MAX, 5e-324, 1.0};
    const uint64_t bits = random_bits(state);
    const double mantissa = (double)(int64_t)bits * 0x1p-63;
    const uint64_t more = random_bits(state) >> 20;
    switch (kind) {
    case ZERO:
        return 0;
    case WIDE:
        return ldexp(mantissa, (int)(more % 250) - 125);
    case TINY:
        return ldexp(mantissa, -(int)(more % 40) - 120);
    case SPECIAL:
        return more % 8 == 0 ? special[bits % (sizeof special / sizeof *special)] : mantissa;
    default:
        return mantissa;
    }
}

static uint16_t to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(isnan(value) ? 0x7FC0 : bits >> 16);
}

/* Towards 0; what float16 does not reach is infinite or 0. */
static uint16_t to_f16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    const uint32_t half = isnan(value)             ? 0x7E00
                          : magnitude < 0x38800000 ? 0
                          : magnitude > 0x477FFFFF ? 0x7C00
                                                   : (magnitude - 0x38000000) >> 13;
    return (uint16_t)(sign | half);
}

static void put(fuzz_array *array, int64_t index, double value)
{
    const float single = (float)value;
    const uint16_t half = array->type == LRK_BF16 ? to_bf16(single) : to_f16(single);
    const int64_t bytes = lrk_storage_bytes((lrk_storage)array->type);
    const void *const source = bytes == 8 ? (const void *)&value : bytes == 4 ? (const void *)&single : &half;
    memcpy(array->data + index * bytes, source, (size_t)bytes);
}

uint64_t fuzz_element(const fuzz_array *array, int64_t index)
{
    static const uint64_t infinity[LRK_N_STORAGES] = {
        [LRK_F32] = 0x7F800000, [LRK_F64] = UINT64_C(0x7FF0000000000000), [LRK_BF16] = 0x7F80, [LRK_F16] = 0x7C00};
    const int64_t bytes = lrk_storage_bytes((lrk_storage)array->type);
    uint64_t bits = 0;
    memcpy(&bits, array->data + index * bytes, (size_t)bytes);
    const uint64_t sign = UINT64_C(1) << (8 * bytes - 1);
    return (bits & ~sign) > infinity[array->type] ? UINT64_MAX : bits;
}

static fuzz_array new_array(fuzz_bytes *bytes, int64_t size, int type, bool positive, const char *name, bool prints)
{
    const size_t offset = (size_t)fuzz_pick(bytes, 9), room = (size_t)(size * lrk_storage_bytes((lrk_storage)type));
    const sort kind = (sort)fuzz_pick(bytes, N_SORTS);
    const uint64_t seed = fuzz_raw(bytes, 2) + 1;
    uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15);
    fuzz_array array = {.memory = fuzz_room(offset + room), .size = size, .type = type};
    array.data = array.memory + offset;
    memset(array.memory, 0xA5, offset);
    for (int64_t i = 0; i < size && kind != ANY_BITS; i++) {
        const double value = random_number(kind, &state);
        put(&array, i, positive ? fabs(value) : value);
    }
    for (size_t i = 0; i < room && kind == ANY_BITS; i++)
        array.data[i] = (unsigned char)(random_bits(&state) >> 32);
    fuzz_say(prints, "    %s: %s, %zu bytes off, %s numbers from %llu on", name, fuzz_storage_names[type], offset,
             sort_names[kind], (unsigned long long)seed);
    return array;
}

static void add(fuzz_step_job *job, int i, int role, int type, fuzz_bytes *bytes, bool prints)
{
    lrk_step_tensor *const tensor = &job->list.tensors[i];
    const bool positive = role >= LRK_STATE && role < LRK_EMA && !fuzz_chance(bytes, 8);
    job->tensors[i].arrays[role] = new_array(bytes, tensor->size, type, positive, fuzz_role_names[role], prints);
    tensor->data[role] = job->tensors[i].arrays[role].data;
    tensor->type[role] = (uint8_t)type;
}

/* ---- Groups */

static double any_input(fuzz_bytes *bytes, const char *name)
{
    if (strncmp(name, "beta", 4) == 0 || strcmp(name, "alpha") == 0 || strcmp(name, "momentum") == 0)
        return fuzz_chance(bytes, 8) ? 0 : fuzz_chance(bytes, 4) ? fuzz_between(bytes, 5e-324, 1 - 0x1p-53) : 0.9;
    if (strcmp(name, "dampening") == 0)
        return fuzz_chance(bytes, 4) ? fuzz_between(bytes, 5e-324, 1) : 0;
    if (strcmp(name, "lr") == 0)
        return fuzz_chance(bytes, 4) ? fuzz_number(bytes) : 0.1;
    static const char *const numbers[] = {"weight_decay", "eps", "lr_decay", "trust", "pull"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(name, numbers[i]) == 0)
            return fuzz_chance(bytes, 3) ? 0 : fuzz_chance(bytes, 3) ? fuzz_positive(bytes) : 0.01;
    return fuzz_pick(bytes, 2); /* a flag */
}

static void make_group(lrk_step_group *group, fuzz_bytes *bytes, bool prints)
{
    group->rule = fuzz_pick(bytes, LRK_N_RULES);
    for (int k = 0; k < LRK_MAX_AVERAGES; k++)
        group->ema[k] = fuzz_chance(bytes, 4) ? fuzz_between(bytes, 5e-324, 1 - 0x1p-53) : 0.9;
    char names[256], text[512] = "", *rest = NULL;
    size_t used = 0;
    snprintf(names, sizeof names, "%s", lrk_rule_inputs(group->rule));
    int place = 0;
    for (char *name = strtok_r(names, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest), place++) {
        group->inputs[place] = any_input(bytes, name);
        if (group->rule == LRK_RULE_lamb && strcmp(name, "weight_decay") == 0)
            group->inputs[place] = 0;
        used += (size_t)snprintf(text + used, sizeof text - used, " %s=%.17g", name, group->inputs[place]);
    }
    fuzz_say(prints, "group: %s%s ema=%.17g, %.17g, %.17g", lrk_rule_name(group->rule), text, group->ema[0], group->ema[1],
             group->ema[2]);
}

static bool wants_state(const lrk_step_group *group, int state)
{
    const char *const asks[] = {NULL, "centered", "with_momentum"};
    if (state >= lrk_rule_states(group->rule))
        return false;
    return group->rule != LRK_RULE_rmsprop || state == 0 || group->inputs[lrk_rule_input(group->rule, asks[state])] != 0;
}

/* ---- Tensors */

/* A gradient of some rows, ascending, of which some come more than once. */
static void make_sparse(fuzz_step_job *job, int i, fuzz_bytes *bytes, bool prints)
{
    lrk_step_tensor *const tensor = &job->list.tensors[i];
    fuzz_tensor *const own = &job->tensors[i];
    const int64_t rows = tensor->size / tensor->width, count = fuzz_integer(bytes, 0, rows < 9 ? rows : 9);
    const int64_t extra = count == 0 ? 0 : fuzz_pick(bytes, 4), all = count + extra;
    own->rows = fuzz_room((size_t)(count + count + 1 + all) * sizeof *own->rows);
    int64_t *const index = own->rows, *const begin = index + count, *const order = begin + count + 1;
    for (int64_t k = 0; k < count; k++)
        index[k] = k * rows / count;
    for (int64_t k = 0; k <= count; k++)
        begin[k] = k == 0 ? 0 : k + extra;
    for (int64_t k = 0; k < all; k++)
        order[k] = all - 1 - k;
    own->sparse = (lrk_step_sparse){.count = count, .index = index, .begin = begin, .order = order};
    tensor->sparse = &own->sparse;
    fuzz_say(prints, "    gradient of %lld of %lld rows, %lld of them more than once", (long long)count, (long long)rows,
             (long long)extra);
}

static void make_tensor(fuzz_step_job *job, int i, fuzz_bytes *bytes, bool prints)
{
    static const int64_t sizes[] = {3,  1,   0,   7,   15,  16,  17,   31,   33,   63,  64,
                                    65, 127, 129, 511, 512, 513, 1023, 1024, 1025, 2100};
    lrk_step_tensor *const tensor = &job->list.tensors[i];
    fuzz_tensor *const own = &job->tensors[i];
    tensor->group = fuzz_pick(bytes, (int)job->list.n_groups);
    const lrk_step_group *const group = &job->list.groups[tensor->group];
    const int stored = fuzz_pick(bytes, LRK_N_STORAGES), computed = stored == LRK_F64 ? LRK_F64 : LRK_F32;
    tensor->size = job->large ? 40000 + 64 * fuzz_pick(bytes, 256) : sizes[fuzz_pick(bytes, sizeof sizes / sizeof *sizes)];
    tensor->width = tensor->size > 0 ? tensor->size : 1;
    job->list.updates[i] = fuzz_integer(bytes, 0, INT64_C(1) << 53);
    const bool by_rows = !job->large && !job->plain && fuzz_chance(bytes, 3);
    if (by_rows) {
        tensor->width = fuzz_integer(bytes, 1, 40);
        tensor->size = tensor->width * fuzz_integer(bytes, 1, 9);
    }
    fuzz_say(prints, "tensor of group %d: %lld elements in rows of %lld, %lld updates", tensor->group, (long long)tensor->size,
             (long long)tensor->width, (long long)job->list.updates[i]);
    add(job, i, LRK_PARAM, stored, bytes, prints);
    const int other = fuzz_pick(bytes, 8);
    for (int s = 0; s < LRK_MAX_STATES; s++)
        if (wants_state(group, s))
            add(job, i, LRK_STATE + s, other < LRK_N_STORAGES ? other : computed, bytes, prints);
    for (int k = 0; !job->plain && k < LRK_MAX_AVERAGES && fuzz_chance(bytes, 4); k++)
        add(job, i, LRK_EMA + k, computed, bytes, prints);
    if (!job->plain && fuzz_chance(bytes, 4))
        add(job, i, LRK_COPY, fuzz_pick(bytes, LRK_N_STORAGES), bytes, prints);
    if (job->options.rounding == LRK_SPLIT && stored == LRK_BF16) {
        add(job, i, LRK_REMAINDER, LRK_BF16, bytes, prints);
    }
    if (by_rows && strncmp(lrk_rule_name(group->rule), "sgd", 3) == 0 && fuzz_chance(bytes, 2)) {
        const int64_t rows = tensor->size / tensor->width;
        own->row_lrs = fuzz_room((size_t)rows * sizeof(double));
        for (int64_t k = 0; k < rows; k++)
            own->row_lrs[k] = fuzz_chance(bytes, 4) ? fuzz_number(bytes) : 0.1 * (double)k;
        tensor->row_lrs = own->row_lrs;
        fuzz_say(prints, "    a learning rate for each row");
    }
    own->has_gradient = !fuzz_chance(bytes, 8);
    int64_t elements = tensor->size;
    if (by_rows && own->has_gradient && !lrk_rule_measures(group->rule, group->inputs) && fuzz_chance(bytes, 2)) {
        make_sparse(job, i, bytes, prints);
        elements = own->sparse.begin[own->sparse.count] * tensor->width;
    }
    const int type = fuzz_chance(bytes, 3) ? fuzz_pick(bytes, LRK_N_STORAGES) : stored;
    own->arrays[LRK_GRAD] = new_array(bytes, elements, type, false, own->has_gradient ? "grad" : "unused grad", prints);
    tensor->type[LRK_GRAD] = (uint8_t)type;
}

/* ---- The job */

static lrk_step_options make_options(fuzz_bytes *bytes, bool plain)
{
    lrk_step_options options = lrk_step_defaults();
    options.rounding = (lrk_rounding)fuzz_pick(bytes, 3);
    options.seed = fuzz_raw(bytes, 8);
    options.step = (uint64_t)fuzz_integer(bytes, 0, INT64_C(1) << 53);
    if (plain)
        return options;
    options.grad_scale = fuzz_chance(bytes, 2) ? fuzz_between(bytes, 0x1p-1022, DBL_MAX) : 1;
    options.clip_norm = fuzz_chance(bytes, 2) ? fuzz_positive(bytes) : HUGE_VAL;
    options.clip_value = fuzz_chance(bytes, 2) ? fuzz_positive(bytes) : HUGE_VAL;
    options.skip_norm = fuzz_chance(bytes, 4) ? fuzz_positive(bytes) : HUGE_VAL;
    options.skip_nonfinite = fuzz_chance(bytes, 2);
    options.zero_grad = fuzz_chance(bytes, 4);
    options.ema_every = 1 + fuzz_pick(bytes, 3);
    options.norms = fuzz_chance(bytes, 4);
    options.clip_per = (lrk_clip_per)fuzz_pick(bytes, 3);
    options.error_if_nonfinite = !options.skip_nonfinite && fuzz_chance(bytes, 3);
    return options;
}

void fuzz_step_job_make(fuzz_step_job *job, fuzz_bytes *bytes, bool prints)
{
    *job = (fuzz_step_job){.large = fuzz_pick(bytes, 256) == 137, .plain = fuzz_chance(bytes, 3)};
    job->options = make_options(bytes, job->plain);
    job->steps = job->large ? 1 : 1 + fuzz_pick(bytes, 3);
    const int tensors = job->large ? 2 : fuzz_pick(bytes, FUZZ_TENSORS + 1), groups = 1 + fuzz_pick(bytes, FUZZ_GROUPS);
    FUZZ_CHECK(lrk_step_list_init(&job->list, tensors, groups) == LRK_OK, "no memory");
    fuzz_say(
        prints,
        "%d steps of %d tensors: grad_scale %.17g, clip_norm %.17g per %d, clip_value %.17g, skip_norm %.17g, "
        "skip_nonfinite %d, error_if_nonfinite %d, zero_grad %d, norms %d, ema_every %d, rounding %d, seed %llu, step %llu",
        job->steps, tensors, job->options.grad_scale, job->options.clip_norm, (int)job->options.clip_per,
        job->options.clip_value, job->options.skip_norm, job->options.skip_nonfinite, job->options.error_if_nonfinite,
        job->options.zero_grad, job->options.norms, (int)job->options.ema_every, (int)job->options.rounding,
        (unsigned long long)job->options.seed, (unsigned long long)job->options.step);
    for (int g = 0; g < groups; g++) {
        make_group(&job->list.groups[g], bytes, prints);
        if (job->options.clip_per == LRK_CLIP_GROUP)
            job->list.groups[g].clips_with = fuzz_pick(bytes, groups);
    }
    for (int i = 0; i < tensors; i++)
        make_tensor(job, i, bytes, prints);
}

void fuzz_step_job_gradients(fuzz_step_job *job)
{
    for (int64_t i = 0; i < job->list.count; i++)
        job->list.tensors[i].data[LRK_GRAD] = job->tensors[i].has_gradient ? job->tensors[i].arrays[LRK_GRAD].data : NULL;
    lrk_step_list_balance(&job->list);
}

void fuzz_step_job_free(fuzz_step_job *job)
{
    for (int64_t i = 0; i < job->list.count; i++) {
        for (int role = 0; role < LRK_N_ROLES; role++)
            free(job->tensors[i].arrays[role].memory);
        free(job->tensors[i].rows);
        free(job->tensors[i].row_lrs);
    }
    lrk_step_list_free(&job->list);
}
