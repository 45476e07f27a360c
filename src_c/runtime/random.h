/* Stateless random numbers: 64 bits for a seed, a step and a position; see docs/steps.md. */
#ifndef LRK_RANDOM_H
#define LRK_RANDOM_H

#include <stdint.h>

static inline uint64_t lrk_mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static inline uint64_t lrk_random_word(uint64_t seed, uint64_t step, uint64_t place)
{
    return lrk_mix(lrk_mix(lrk_mix(seed + UINT64_C(0x9E3779B97F4A7C15)) + step) + place);
}

#endif
