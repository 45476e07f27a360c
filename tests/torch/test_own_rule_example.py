"""examples/own_rule.py with torch: it trains a network, and steps as torch's operations do, eager and compiled."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("numba")
pytest.importorskip("sklearn")

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_rule.py"
pytestmark = [pytest.mark.peers, pytest.mark.skipif(not EXAMPLE.exists(), reason="needs the source checkout")]


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("own_rule", EXAMPLE)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_it_trains_a_network_of_torch(example):
    assert example.digits_in_torch(torch) > 0.95


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_the_contestants_do_the_same(example, capsys):
    found = example.race(torch, tensors=4, rounds=3)
    assert list(found) == ["lrkern", "torch, eager", "torch.compile"]
    assert "cannot run" not in capsys.readouterr().out
    _, own = found["lrkern"]
    torch.manual_seed(0)
    for time, params in found.values():
        assert 0 < time < 10
        for param, other in zip(params, own, strict=True):
            assert float((param - other).abs().max()) < 1e-5  # of ten steps of 1e-3
            assert float((param - torch.randn(64, 64)).abs().max()) > 5e-3
        torch.manual_seed(0)


def test_without_a_compiler_it_says_so(example, capsys, monkeypatch):
    def refuse(function):
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", lambda function: lambda *_: refuse(function))
    assert list(example.race(torch, tensors=2, rounds=1)) == ["lrkern", "torch, eager"]
    assert "torch.compile cannot run: no C++ compiler" in capsys.readouterr().out
