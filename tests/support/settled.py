"""For modules that collect garbage in every test: what is there before is left out of it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def settled() -> Iterator[None]:
    """A full collection walks through thousands of collected tests, and all that Numba has compiled, for seconds."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
