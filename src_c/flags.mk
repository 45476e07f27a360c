# How src_c is compiled: read by Makefile here, by setup.py and by tests/c/compare.py. Lines NAME = value, one line each.

# No flag may change a bit of a result: contraction is off, so a fused multiply-add happens where the source says fma.
C_FLAGS = -O3 -std=c11 -fno-math-errno -fno-trapping-math -ffp-contract=off -fvisibility=hidden -pthread
# Only where LRKERN_WERROR is 1: other compilers warn of other things.
WARNING_FLAGS = -Wall -Wextra -Wconversion -Werror

# Functions of the library call each other, whatever else of that name is loaded.
LINK_FLAGS_Linux = -Wl,-Bsymbolic-functions

ISAS_all = scalar avx2 avx512 neon

# Per machine: the ISAs that it can have, narrowest first, and the flags of isa/<name>.c.
ISAS_x86_64 = scalar avx2 avx512
FLAGS_x86_64_scalar = -march=x86-64
FLAGS_x86_64_avx2 = -march=x86-64 -mavx2 -mfma
FLAGS_x86_64_avx512 = -march=x86-64 -mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma -mprefer-vector-width=512

ISAS_aarch64 = scalar neon
FLAGS_aarch64_scalar = -fno-tree-vectorize

ISAS_other = scalar

# The same machines under other names.
ALIAS_amd64 = x86_64
ALIAS_arm64 = aarch64
