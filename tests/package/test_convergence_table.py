"""bench/convergence.py: the table of every optimizer on digits in docs/implementations.md."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cases import DESCENTS

import lrkern as lk
from bench import convergence

pytestmark = pytest.mark.skipif(not convergence.PAGE.exists(), reason="needs the source checkout")


def rows() -> dict[str, list[str]]:
    """The table in the page, by name."""
    text = convergence.PAGE.read_text().partition(convergence.BEGIN)[2].partition(convergence.END)[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()[2:]]
    return {name: rest for name, *rest in cells}


def test_every_optimizer_is_there():
    assert set(convergence.OPTIMIZERS) == set(rows()) == set(DESCENTS)


@pytest.mark.parametrize("name", convergence.OPTIMIZERS)
def test_options_and_rates_are_those_of_the_script_and_the_best_is_inside(name):
    middle, options = convergence.OPTIMIZERS[name]
    shown, rates, best, loss, accuracy = rows()[name]
    assert re.findall(r"`(\w+)=([^`]+)`", shown) == [(key, str(value)) for key, value in options.items()]
    low, high = (float(rate) for rate in rates.split(" to "))
    assert (low, high) == (float(f"{0.1 * middle:.3g}"), float(f"{10 * middle:.3g}"))
    assert low < float(best) < high
    assert float(loss) < 0.2
    assert float(accuracy.removesuffix(" %")) > 95


@pytest.mark.parametrize("name", ["SGD", "AdamW", "LAMB"])
def test_the_row_is_what_training_gives(name):
    """Libraries for matrix products round in different ways, which changes the loss a little."""
    _, _, best, loss, accuracy = rows()[name]
    found = convergence.outcome(name, float(best), convergence.load_digits())
    assert found.loss == pytest.approx(float(loss), rel=0.02)
    assert 100 * found.accuracy == pytest.approx(float(accuracy.removesuffix(" %")), abs=0.3)


def test_quick_form(capsys):
    convergence.main(["--quick"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(convergence.OPTIMIZERS)
    losses = [float(line.split("|")[5]) for line in lines[2:]]
    assert losses == sorted(losses)
    assert losses[0] < 0.5 < np.log(10)


def test_a_rate_that_diverges_is_not_the_best(monkeypatch):
    monkeypatch.setattr(convergence, "train", lambda name, lr, *rest: (np.nan if lr > 0.1 else lr, 0.5))
    found = convergence.outcomes("SGD", convergence.load_digits())
    assert [one.loss for one in found] == [pytest.approx(0.03), pytest.approx(0.09), np.inf, np.inf, np.inf]


def test_writing(monkeypatch, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{convergence.BEGIN}\nold\n{convergence.END}\nafter\n")
    monkeypatch.setattr(convergence, "PAGE", page)
    monkeypatch.setattr(convergence, "table", lambda *args: "| new |")
    convergence.main(["--write"])
    assert page.read_text() == f"before\n{convergence.BEGIN}\n| new |\n{convergence.END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="needs one line"):
        convergence.main(["--write"])


def test_names_are_optimizers():
    assert all(issubclass(getattr(lk, name), lk.Optimizer) for name in convergence.OPTIMIZERS)
