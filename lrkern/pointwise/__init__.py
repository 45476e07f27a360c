"""Scalar functions that Numba compiles for the CPU and for CUDA; twins of those in src_c."""
