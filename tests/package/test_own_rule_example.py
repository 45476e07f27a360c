"""examples/own_rule.py runs and learns."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")
pytest.importorskip("sklearn")

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_rule.py"


@pytest.mark.skipif(not EXAMPLE.exists(), reason="needs the source checkout")
def test_the_example_learns(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE)])
    monkeypatch.setitem(sys.modules, "torch", None)  # tests/torch has that part, which compiles for a minute
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert left.value.code == 0
    printed = capsys.readouterr().out
    assert "p = p - (lr weight_decay p + lr (|u| sign(g)))" in printed
    assert "digits: 9" in printed
    assert "torch is not installed" in printed
