/* What libFuzzer calls with each input, and what each harness defines. */
#ifndef LRK_FUZZ_HARNESS_H
#define LRK_FUZZ_HARNESS_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
