#define LRK_ISA avx2
#define LRK_SIMD_AVX2
#include "isa.inc"
