#define LRK_ISA neon
#define LRK_SIMD_NEON
#include "isa.inc"
