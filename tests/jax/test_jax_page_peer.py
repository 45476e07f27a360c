"""The page "From JAX" and the examples of `lrkern.jax` run."""

from __future__ import annotations

import doctest
from pathlib import Path

import pages
import pytest

pytest.importorskip("jax")
pytest.importorskip("optax")

from lrkern.jax import _schedules, _transform

pytestmark = pytest.mark.peers

PAGE = Path(__file__).parents[2] / "docs" / "jax.md"


@pytest.mark.skipif(not PAGE.exists(), reason="needs the source checkout")
def test_the_page():
    assert pages.run(PAGE, "python jax") > 4


@pytest.mark.parametrize("module", [_schedules, _transform])
def test_examples(module):
    found = doctest.testmod(module)
    assert found.attempted > 3
    assert found.failed == 0
