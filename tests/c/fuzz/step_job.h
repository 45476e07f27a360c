/* A list of tensors with groups, options and numbers, from a fuzzer's bytes. */
#ifndef LRK_FUZZ_STEP_JOB_H
#define LRK_FUZZ_STEP_JOB_H

#include "decode.h"
#include "steps/steps.h"

enum { FUZZ_TENSORS = 4, FUZZ_GROUPS = 2 };

/* An array exactly as long as it has to be, at any address. */
typedef struct fuzz_array {
    unsigned char *memory, *data;
    int64_t size;
    int type;
} fuzz_array;

typedef struct fuzz_tensor {
    fuzz_array arrays[LRK_N_ROLES]; /* .memory NULL: there is none */
    lrk_step_sparse sparse;
    int64_t *rows; /* what `sparse` points into */
    double *row_lrs;
    bool has_gradient;
} fuzz_tensor;

typedef struct fuzz_step_job {
    lrk_step_list list; /* filled in, but for gradients, and not sealed */
    fuzz_tensor tensors[FUZZ_TENSORS];
    lrk_step_options options;
    int steps;
    bool plain; /* nothing around the rules */
    bool large; /* enough for several threads */
} fuzz_step_job;

/* Balance by fuzz_step_job_free. */
void fuzz_step_job_make(fuzz_step_job *job, fuzz_bytes *bytes, bool prints);
void fuzz_step_job_free(fuzz_step_job *job);

/* Gives the tensors their gradients: after the list has been sealed. */
void fuzz_step_job_gradients(fuzz_step_job *job);

/* The bits of an element, with one pattern for all NaNs. */
uint64_t fuzz_element(const fuzz_array *array, int64_t index);

/* Of the roles, and of storages. */
extern const char *const fuzz_role_names[LRK_N_ROLES];
extern const char *const fuzz_storage_names[LRK_N_STORAGES];

#endif
