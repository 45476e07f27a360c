/* What one run of an input gave, number by number, for comparison with the run on another ISA or with other threads. */
#ifndef LRK_FUZZ_RECORD_H
#define LRK_FUZZ_RECORD_H

#include <stdint.h>

typedef struct fuzz_entry {
    const char *what;
    int64_t where;
    uint64_t bits;
} fuzz_entry;

typedef struct fuzz_record {
    fuzz_entry *entries;
    int64_t count, room;
} fuzz_record;

void fuzz_note(fuzz_record *record, const char *what, int64_t where, uint64_t bits);

/* The bits of a number, with one pattern for all NaNs: their sign and payload are not defined. */
uint64_t fuzz_bits(double value);
uint64_t fuzz_bits_f32(float value);

void fuzz_note_double(fuzz_record *record, const char *what, int64_t where, double value);

/* Many numbers as one: the hash of them all so far, which begins at FUZZ_HASH. */
#define FUZZ_HASH UINT64_C(1469598103934665603)
static inline uint64_t fuzz_hash(uint64_t hash, uint64_t bits)
{
    hash = (hash ^ bits) * UINT64_C(1099511628211);
    return hash ^ hash >> 32;
}

/* A fault, if they differ. `name`: what is special about `other`. */
void fuzz_compare(const fuzz_record *first, const fuzz_record *other, const char *name);

/* Runs observe(context, record) on each ISA, then on the widest with two threads, and compares. `threads`: whether the last run is
 * worth while. */
void fuzz_on_all(void (*observe)(const void *context, fuzz_record *record), const void *context, int threads);

#endif
