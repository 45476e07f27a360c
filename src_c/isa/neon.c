#if !defined(__ARM_NEON) || !defined(__ARM_FEATURE_FMA)
#error "this file is for NEON with FMA: AArch64"
#endif
#define LRK_ISA neon
#define LRK_SIMD_NEON
#include "isa/all.inc"
