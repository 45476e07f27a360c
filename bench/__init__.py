"""What measures a checkout: pytest's entry to the rows of `lrkern.bench`, kept results, the GPU, convergence."""
