"""What `lrkern.numba` is made of: loops over arrays on the CPU, around the pointwise functions that CUDA shares."""
