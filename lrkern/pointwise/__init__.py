"""One element at a time: functions that Numba compiles for the CPU and for CUDA, the twins of those in src_c."""
