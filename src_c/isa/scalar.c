#define LRK_ISA scalar
#define LRK_SIMD_SCALAR
#include "isa/all.inc"
