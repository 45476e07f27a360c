"""No public name goes, comes or changes its arguments unnoticed."""

from __future__ import annotations

import pytest

pytest.importorskip("numba")

import public_api


def test_public_names_and_arguments_are_those_on_record() -> None:
    found = public_api.lines()
    known = public_api.GOLDEN.read_text().splitlines()
    assert len(found) > 500
    gone, new = [line for line in known if line not in found], [line for line in found if line not in known]
    assert (gone, new) == ([], []), "a wanted change? `python tests/support/public_api.py --write`"
