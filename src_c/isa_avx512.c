#define LRK_ISA avx512
#define LRK_SIMD_AVX512
#include "isa.inc"
