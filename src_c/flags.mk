# Compiler flags of src_c, read by Makefile here, by setup.py and by tests/c/compare.py. One `NAME = value` per line.

# No flag may change results: contraction is off, so a fused multiply-add is used only where the source says fma.
C_FLAGS = -O3 -std=c11 -fno-math-errno -fno-trapping-math -ffp-contract=off -fvisibility=hidden -pthread
# Only if LRKERN_WERROR is 1: other compilers have other warnings.
WARNING_FLAGS = -Wall -Wextra -Wconversion -Werror

# The library's functions call each other, even if others of the same name are loaded.
LINK_FLAGS_Linux = -Wl,-Bsymbolic-functions

ISAS_all = scalar avx2 avx512 neon

# Per machine: its possible ISAs, narrowest first, and the flags of isa/<name>.c.
ISAS_x86_64 = scalar avx2 avx512
FLAGS_x86_64_scalar = -march=x86-64
FLAGS_x86_64_avx2 = -march=x86-64 -mavx2 -mfma
FLAGS_x86_64_avx512 = -march=x86-64 -mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma -mprefer-vector-width=512

ISAS_aarch64 = scalar neon
FLAGS_aarch64_scalar = -fno-tree-vectorize

ISAS_other = scalar

# Other names of these machines.
ALIAS_amd64 = x86_64
ALIAS_arm64 = aarch64
