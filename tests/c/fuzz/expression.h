/* An expression of nodes of all kinds, within the ranges that the Python layer grants, from a fuzzer's bytes. */
#ifndef LRK_FUZZ_EXPRESSION_H
#define LRK_FUZZ_EXPRESSION_H

#include "decode.h"
#include "lrkern.h"

typedef struct fuzz_node {
    lrk_expr *e;
    int number;     /* in the order in which they are printed */
    int sign;       /* of all values: 1 is >= 0, -1 is <= 0, 0 is either */
    bool cancels;   /* terms of unlike signs are added: errors are measured by the larger one; or times have few digits */
    int64_t steps;  /* of a ramp; 0 of all else */
} fuzz_node;

/* Balance by lrk_expr_release(.e). Where `prints`, each node is printed as a line of Python that makes it: n<number> = ... */
fuzz_node fuzz_expression(fuzz_bytes *bytes, bool prints);

#endif
