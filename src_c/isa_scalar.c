#define LRK_ISA scalar
#include "isa.inc"
