/* Optimizer steps: lists of tensors give the same bits on every ISA and by any number of threads; a list of one is the same as the
 * function for one array; skipped steps change nothing; arrays that overlap are found. */
#include <math.h>

#include "harness.h"
#include "record.h"
#include "report.h"
#include "step_job.h"

enum { TOGETHER = 32 }; /* elements of an array that are compared as one */

/* ---- One array at a time */

/* Whether a function for one array can do it. */
static bool is_single(const fuzz_step_job *job, int64_t i)
{
    const lrk_step_tensor *const tensor = &job->list.tensors[i];
    const int type = tensor->type[LRK_PARAM];
    bool single = (type == LRK_F32 || type == LRK_F64) && job->tensors[i].has_gradient;
    for (int role = 0; role < LRK_EMA; role++)
        single = single && (job->tensors[i].arrays[role].memory == NULL || job->tensors[i].arrays[role].type == type);
    return job->plain && single;
}

/* All steps of one tensor by its function, on the job's own arrays. */
static void run_single(fuzz_step_job *job, int64_t i)
{
    const lrk_step_tensor *const tensor = &job->list.tensors[i];
    const lrk_step_group *const group = &job->list.groups[tensor->group];
    lrk_one_array one = {.rule = group->rule,
                         .type = (lrk_storage)tensor->type[LRK_PARAM],
                         .size = tensor->size,
                         .param = job->tensors[i].arrays[LRK_PARAM].data,
                         .grad = job->tensors[i].arrays[LRK_GRAD].data,
                         .inputs = group->inputs,
                         .inputs_size = sizeof group->inputs};
    double numbers[LRK_MAX_SCALAR_STATES];
    for (int k = 0; k < LRK_MAX_STATES; k++) {
        const fuzz_array *const state = &job->tensors[i].arrays[LRK_STATE + k];
        one.states[k] = state->memory == NULL ? NULL : state->data;
    }
    for (int k = 0; k < lrk_rule_scalar_states(group->rule); k++) {
        numbers[k] = tensor->scalar_states[k];
        one.scalar_states[k] = &numbers[k];
    }
    for (int step = 0; step < job->steps; step++) {
        one.updates = job->list.updates[i] + step;
        const lrk_status status = lrk_step_one(&one);
        FUZZ_CHECK(status == LRK_OK, "the function for one array: status %d", (int)status);
    }
}

/* ---- Lists */

static void same_arrays(const fuzz_step_job *job, const fuzz_step_job *other, int64_t i, const char *what)
{
    for (int role = 0; role < LRK_N_ROLES; role++) {
        const fuzz_array *const a = &job->tensors[i].arrays[role], *const b = &other->tensors[i].arrays[role];
        for (int64_t k = 0; k < a->size && a->memory != NULL; k++)
            FUZZ_CHECK(fuzz_element(a, k) == fuzz_element(b, k), "%s: tensor %lld, %s [%lld] is 0x%llx, in the list 0x%llx",
                       what, (long long)i, fuzz_role_names[role], (long long)k, (unsigned long long)fuzz_element(b, k),
                       (unsigned long long)fuzz_element(a, k));
    }
}

static void note_arrays(const fuzz_step_job *job, fuzz_record *record)
{
    for (int64_t i = 0; i < job->list.count; i++) {
        fuzz_note(record, "updates", i, (uint64_t)job->list.updates[i]);
        for (int role = 0; role < LRK_N_ROLES; role++) {
            const fuzz_array *const array = &job->tensors[i].arrays[role];
            for (const unsigned char *pad = array->memory; pad != array->data; pad++)
                FUZZ_CHECK(*pad == 0xA5, "tensor %lld, %s: written before its begin", (long long)i, fuzz_role_names[role]);
            if (array->memory == NULL)
                continue;
            for (int64_t from = 0; from < array->size; from += TOGETHER) {
                uint64_t hash = FUZZ_HASH;
                for (int64_t k = from; k < from + TOGETHER && k < array->size; k++)
                    hash = fuzz_hash(hash, fuzz_element(array, k));
                fuzz_note(record, fuzz_role_names[role], from, hash);
            }
        }
    }
}

static bool overlap(const unsigned char *a, int64_t a_bytes, const unsigned char *b, int64_t b_bytes)
{
    return a_bytes > 0 && b_bytes > 0 && a < b + b_bytes && b < a + a_bytes;
}

static int64_t bytes_of(const lrk_step_tensor *tensor, int role)
{
    return tensor->data[role] == NULL || role == LRK_GRAD ? 0 : lrk_step_bytes(tensor, role);
}

/* Whether two written arrays of the list overlap. */
static bool any_overlap(const lrk_step_list *list)
{
    const int64_t all = list->count * LRK_N_ROLES;
    for (int64_t a = 0; a < all; a++)
        for (int64_t b = a + 1; b < all; b++) {
            const lrk_step_tensor *const x = &list->tensors[a / LRK_N_ROLES], *const y = &list->tensors[b / LRK_N_ROLES];
            const int i = (int)(a % LRK_N_ROLES), k = (int)(b % LRK_N_ROLES);
            if (overlap(x->data[i], bytes_of(x, i), y->data[k], bytes_of(y, k)))
                return true;
        }
    return false;
}

/* lrk_step_list_find_overlap sees what lies on a written array, at and around its ends. */
static void check_hits(const lrk_step_list *list)
{
    for (int64_t i = 0; i < list->count; i++) {
        const lrk_step_tensor *const tensor = &list->tensors[i];
        for (int role = 0; role < LRK_N_ROLES; role++) {
            const int64_t bytes = bytes_of(tensor, role);
            const char *const data = tensor->data[role];
            if (bytes == 0)
                continue;
            FUZZ_CHECK(lrk_step_list_find_overlap(list, data, 1) == i &&
                           lrk_step_list_find_overlap(list, data + bytes - 1, 9) == i &&
                           lrk_step_list_find_overlap(list, data, 0) == -1,
                       "tensor %lld, %s: not hit, or hit by nothing", (long long)i, fuzz_role_names[role]);
        }
    }
}

/* One more job of the same bytes. */
static void make(fuzz_step_job *job, const fuzz_bytes *given, fuzz_bytes *rest, bool prints)
{
    *rest = *given;
    fuzz_step_job_make(job, rest, prints);
}

/* A step is refused if and only if some gradient is not finite, which is still there to be found. */
static void check_nonfinite(const lrk_step_list *list, const lrk_step_options *options, const lrk_step_result *result,
                            fuzz_record *record)
{
    bool any = false;
    for (int64_t i = 0; i < list->count; i++) {
        double value;
        const int64_t element = lrk_step_nonfinite(list, i, &value);
        fuzz_note(record, "not finite", i, (uint64_t)element);
        any |= element >= 0;
    }
    FUZZ_CHECK(result->refused == (options->error_if_nonfinite && any), "not finite: %d, refused: %d", any, result->refused);
}

static void run_list(fuzz_step_job *job, fuzz_record *record)
{
    fuzz_step_job_gradients(job);
    for (int step = 0; step < job->steps; step++, job->options.step++) {
        const lrk_step_result result = lrk_step_run(&job->list, &job->options);
        FUZZ_CHECK(result.isa == lrk_active_isa(), "another ISA ran");
        fuzz_note(record, "skipped", step, result.skipped);
        fuzz_note(record, "refused", step, result.refused);
        check_nonfinite(&job->list, &job->options, &result, record);
        fuzz_note_double(record, "grad_norm", step, result.grad_norm);
        for (int64_t i = 0; job->options.norms && !result.skipped && !result.refused && i < job->list.count; i++) {
            fuzz_note_double(record, "norm of gradient", i, job->list.lengths[i].grad);
            fuzz_note_double(record, "norm of parameter", i, job->list.lengths[i].param);
            fuzz_note_double(record, "norm of update", i, job->list.lengths[i].update);
        }
        note_arrays(job, record);
    }
}

static void observe(const void *context, fuzz_record *record)
{
    const fuzz_bytes *const given = context;
    fuzz_bytes rest;
    fuzz_step_job job;
    int64_t other;
    make(&job, given, &rest, false);
    const int64_t clash = lrk_step_list_finalize(&job.list, &other);
    FUZZ_CHECK(clash == -1, "seal: tensors %lld and %lld overlap", (long long)clash, (long long)other);
    check_hits(&job.list);
    run_list(&job, record);
    for (int64_t i = 0; i < job.list.count; i++)
        if (is_single(&job, i)) {
            fuzz_step_job single;
            make(&single, given, &rest, false);
            run_single(&single, i);
            same_arrays(&job, &single, i, "one array");
            fuzz_step_job_free(&single);
        }
    fuzz_step_job_free(&job);
}

/* A list with one array moved onto another, or next to it: nothing runs, it is only looked at. */
static void check_overlap(const fuzz_bytes *given)
{
    fuzz_bytes rest;
    fuzz_step_job job;
    int64_t other;
    make(&job, given, &rest, false);
    if (job.list.count > 0) {
        lrk_step_tensor *const moved = &job.list.tensors[fuzz_pick(&rest, (int)job.list.count)];
        const lrk_step_tensor *const onto = &job.list.tensors[fuzz_pick(&rest, (int)job.list.count)];
        const int role = fuzz_pick(&rest, LRK_N_ROLES), from = fuzz_pick(&rest, LRK_N_ROLES);
        if (bytes_of(moved, from) > 0 && bytes_of(onto, role) > 0) {
            const int64_t place = fuzz_integer(&rest, 0, 2 * bytes_of(onto, role)) - bytes_of(onto, role) / 2;
            moved->data[from] = (void *)((uintptr_t)onto->data[role] + (uintptr_t)place);
        }
        const bool expected = any_overlap(&job.list), found = lrk_step_list_finalize(&job.list, &other) >= 0;
        FUZZ_CHECK(found == expected, "seal: arrays overlap: %d, found: %d", expected, found);
    }
    fuzz_step_job_free(&job);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const fuzz_bytes given = {data, size};
    fuzz_bytes rest;
    fuzz_step_job job;
    make(&job, &given, &rest, fuzz_prints());
    const bool large = job.large;
    fuzz_step_job_free(&job);
    check_overlap(&given);
    fuzz_on_all(observe, &given, large);
    return 0;
}
