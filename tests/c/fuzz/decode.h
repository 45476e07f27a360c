/* A fuzzer's bytes as choices and numbers. Where the bytes end, all choices are 0: every input is complete. */
#ifndef LRK_FUZZ_DECODE_H
#define LRK_FUZZ_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fuzz_bytes {
    const uint8_t *next;
    size_t left;
} fuzz_bytes;

/* The number of these bytes: up to 8, the lowest first. */
uint64_t fuzz_raw(fuzz_bytes *bytes, int count);

/* 0 ... below - 1, below <= 256, from one byte. */
int fuzz_pick(fuzz_bytes *bytes, int below);

/* True once in `in` choices. */
bool fuzz_chance(fuzz_bytes *bytes, int in);

/* Any finite number: most often one of those that people write, or one from the ends of the range. */
double fuzz_number(fuzz_bytes *bytes);

/* One > 0. */
double fuzz_positive(fuzz_bytes *bytes);

/* One with low <= value <= high, low > 0. */
double fuzz_between(fuzz_bytes *bytes, double low, double high);

/* low <= value <= high: small ones, powers of 2 and their neighbours, any. */
int64_t fuzz_integer(fuzz_bytes *bytes, int64_t low, int64_t high);

#endif
