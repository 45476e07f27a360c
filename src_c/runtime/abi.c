/* The ABI version, and checks of what must not change without it. */
#include <stddef.h>

#include "lrkern_steps.h"

int lrk_abi_version(void)
{
    return LRK_ABI_VERSION;
}

const char *lrk_status_text(lrk_status status)
{
    switch (status) {
    case LRK_OK:
        return "no error";
    case LRK_ERROR_MEMORY:
        return "out of memory";
    case LRK_ERROR_OVERFLOW:
        return "a value is beyond the range of float64";
    case LRK_ERROR_OVERLAP:
        return "an array that is written overlaps another";
    case LRK_ERROR_ARGUMENT:
        return "an argument is invalid";
    }
    return "unknown status";
}

/* A change to one of these requires a new LRK_ABI_VERSION. */
_Static_assert(LRK_ABI_VERSION == 6, "the sizes below are those of version 6");
_Static_assert(sizeof(lrk_status) == 4 && sizeof(lrk_shape) == 4 && sizeof(lrk_dtype) == 4, "enums");
_Static_assert(LRK_SHAPE_GEOMETRIC == 5 && LRK_FLOAT32 == 1 && LRK_N_STORAGES == 4 && LRK_SPLIT == 2 && LRK_CLIP_TENSOR == 2,
               "constants");
_Static_assert(sizeof(void *) != 8 || sizeof(lrk_piece) == 136, "lrk_piece");
_Static_assert(sizeof(void *) != 8 || sizeof(lrk_plan) == 48, "lrk_plan");
_Static_assert(LRK_N_ROLES == 12 && LRK_EMA == LRK_STATE + LRK_MAX_STATES && LRK_COPY == LRK_EMA + LRK_MAX_AVERAGES &&
                   LRK_MAX_INPUTS == 16,
               "arrays of a tensor");
_Static_assert(sizeof(void *) != 8 || sizeof(lrk_step_tensor) == 184, "lrk_step_tensor");
_Static_assert(sizeof(void *) != 8 || sizeof(lrk_step_group) == 168, "lrk_step_group");
_Static_assert(sizeof(void *) != 8 || sizeof(lrk_step_list) == 120, "lrk_step_list");
_Static_assert(sizeof(void *) != 8 || sizeof(lrk_step_options) == 88, "lrk_step_options");
_Static_assert(sizeof(void *) != 8 || sizeof(lrk_step_result) == 24, "lrk_step_result");
