#if !defined(__AVX2__) || !defined(__FMA__) || defined(__AVX512F__)
#error "this file is for AVX2 with FMA: -mavx2 -mfma"
#endif
#define LRK_ISA avx2
#define LRK_SIMD_AVX2
#include "isa/all.inc"
