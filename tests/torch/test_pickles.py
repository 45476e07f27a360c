"""Pickles of optimizers, also of those of rules, whose names stand for the rules."""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402
from lrkern.rules import sign  # noqa: E402

pytestmark = pytest.mark.peers


class OwnSGD(lk.SGD):
    """The name stands for this, not for the class of `rule_optimizer`."""


@lk.rule()
def signs(p, g, *, lr):
    """A rule, likewise."""
    return p - lr * sign(g)


OfSigns = lt.rule_optimizer(signs)


class FromSigns(OfSigns):
    """Found by its own name."""


@pytest.mark.parametrize("kind", [OfSigns, FromSigns, lt.rule_optimizer(OwnSGD), lt.SGD])
def test_optimizers_are_pickled(kind):
    params = [torch.nn.Parameter(torch.ones(3))]
    opt = kind(params, lr=lk.linear(1.0, 0.0, 4), ema=0.5)
    params[0].grad = torch.ones(3)
    opt.step()
    params, twin = pickle.loads(pickle.dumps((params, opt)))
    assert type(twin) is kind
    assert twin.count == 1
    params[0].grad = torch.ones(3)
    twin.step()
    assert params[0].tolist() == [-0.75] * 3
    assert copy.deepcopy(twin).count == 2
    file = io.BytesIO()
    torch.save(opt, file)
    file.seek(0)
    assert torch.load(file, weights_only=False).count == 1


MODULE = """
import lrkern as lk, lrkern.torch as lt
from lrkern.rules import sign

@lk.rule()
def signs(p, g, *, lr):
    return p - lr * sign(g)

class Mine(lt.rule_optimizer(signs)):
    pass
"""
SAVE = """
import pickle, sys, torch, lrkern.torch as lt, own
made = []
for kind in (own.Mine, lt.rule_optimizer(own.signs)):
    param = torch.nn.Parameter(torch.ones(3))
    made.append((param, kind([param], lr=0.5)))
    param.grad = torch.ones(3)
    made[-1][1].step()
pickle.dump(made, open(sys.argv[1], "wb"))
"""
LOAD = """
import pickle, sys
for param, opt in pickle.load(open(sys.argv[1], "rb")):
    opt.step()
    assert opt.count == 2, opt.count
import lrkern.torch as lt, own
assert type(opt) is lt.rule_optimizer(own.signs)
"""


def test_another_process_reads_the_optimizer_of_a_rule(tmp_path):
    (tmp_path / "own.py").write_text(MODULE)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    for code in (SAVE, LOAD):
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "saved")], check=True, env={**os.environ, "PYTHONPATH": path}
        )
