# `from lrkern cimport ...`: what there is, and how to use it, is in docs/c.md.
from lrkern._core cimport *
