"""The page "From PyTorch", the examples of docstrings, and the example program."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import pages  # noqa: E402

import lrkern.torch  # noqa: E402

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "from_pytorch.md"
pytestmark = [pytest.mark.peers, pytest.mark.skipif(not PAGE.exists(), reason="needs the source checkout")]


def test_the_page_runs_and_comments_tell_what_is_printed(tmp_path, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.chdir(tmp_path)
    assert pages.run(PAGE, "python torch") > 10


def test_the_tour_of_the_readme_begins_with_torch():
    readme = ROOT / "README.md"
    assert pages.run(readme, "python torch") == 1
    assert re.search(r"^```(.*)\n", readme.read_text(), re.M)[1] == "python torch"


def test_examples_of_docstrings():
    modules = [one.name for one in pkgutil.iter_modules(lrkern.torch.__path__, "lrkern.torch.")]
    attempted = 0
    for name in modules:
        found = doctest.testmod(importlib.import_module(name))
        assert found.failed == 0
        attempted += found.attempted
    assert attempted > 5


def test_the_example_has_the_same_losses_both_ways(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib").use("Agg")
    spec = importlib.util.spec_from_file_location("torch_warmup_decay", ROOT / "examples" / "torch_warmup_decay.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example, "EPOCHS", 4)
    picture = tmp_path / "picture.png"
    monkeypatch.setattr(sys, "argv", ["torch_warmup_decay.py", str(picture)])
    found = {}
    compare = example.compare
    monkeypatch.setattr(example, "compare", lambda: found.update(compare()) or found)
    example.main()
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert picture.stat().st_size > 10_000
    for by_hand, ours in found.values():
        assert by_hand.rates == pytest.approx(ours.rates, rel=1e-13, abs=1e-16)
        assert by_hand.losses == pytest.approx(ours.losses, rel=1e-12)
        assert by_hand.accuracies == ours.accuracies
        assert ours.accuracies[-1] > 0.95
        assert ours.losses[-1] < ours.losses[0] / 10


def test_without_torch_an_error_says_what_to_install():
    import subprocess

    program = (
        "import sys; sys.modules['torch'] = None\ntry:\n    import lrkern.torch\nexcept ImportError as error:\n    print(error)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "lrkern.torch needs torch: pip install 'lrkern[torch]'"
