#if !defined(__AVX512F__) || !defined(__AVX512DQ__) || !defined(__AVX512VL__) || !defined(__AVX512BW__)
#error "this file is for AVX-512: -mavx512f -mavx512dq -mavx512vl -mavx512bw"
#endif
#define LRK_ISA avx512
#define LRK_SIMD_AVX512
/* The compiler of plans is mostly chains of scalar operations; vectorizing its few loops with wide vectors made it a fifth
 * slower. */
#define LRK_COMPILER lrk_compiler_avx2
#include "isa/all.inc"
