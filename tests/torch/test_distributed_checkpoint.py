"""`torch.distributed.checkpoint`: it makes states by a step with a rate of 0, which must change nothing."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
dcp = pytest.importorskip("torch.distributed.checkpoint")
state_dicts = pytest.importorskip("torch.distributed.checkpoint.state_dict")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from training import give_gradients, little, same_bits  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:torch.distributed is disabled")]

RATES = {
    "number": lambda: 0.125,
    "schedule": lambda: lk.linear(0.125, 0.0, 20),
    "function": lambda: lambda step: 0.125 / (step + 1),
    "tensor": lambda: torch.tensor(0.125),
}
KINDS = ["AdamW", "SGD"]


def made(kind, rate, model):
    return getattr(lt, kind)(model.parameters(), lr=RATES[rate](), weight_decay=0.25)


def steps(model, opt, begin, count):
    for step in range(begin, begin + count):
        give_gradients(model, step)
        opt.step()
    opt.zero_grad()


def bits(model):
    return [one.detach().clone() for one in model.parameters()]


def assert_same_bits(model, before):
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), before, strict=True))


def expecting(rate):
    """The rate of 0 is written over a schedule, which is told."""
    if rate in ("schedule", "function"):
        return pytest.warns(UserWarning, match="is a schedule; the value written there holds for one step")
    return warnings.catch_warnings()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", RATES)
def test_a_state_is_taken_of_a_new_optimizer(rate, kind):
    model = little()
    before = bits(model)
    opt = made(kind, rate, model)
    with expecting(rate):
        state = state_dicts.get_optimizer_state_dict(model, opt)
    assert_same_bits(model, before)
    assert opt.count == 1
    theirs = torch.optim.AdamW(model.parameters())
    expected = state_dicts.get_optimizer_state_dict(model, theirs)["state"]
    assert {key: one["step"] for key, one in state["state"].items()} == {key: one["step"] for key, one in expected.items()}


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("begun", [False, True])
def test_a_resume_is_equal_to_the_bit(rate, kind, flat, begun, tmp_path):
    options = state_dicts.StateDictOptions(flatten_optimizer_state_dict=flat)
    model, other = little(), little()
    opt, again = made(kind, rate, model), made(kind, rate, other)
    steps(model, opt, 0, 3)
    if begun:
        steps(other, again, 7, 2)
    before = bits(model)
    saved = {"model": model.state_dict(), "opt": state_dicts.get_optimizer_state_dict(model, opt, options=options)}
    assert_same_bits(model, before)
    dcp.save(saved, checkpoint_id=tmp_path)
    with expecting(rate) if not begun else warnings.catch_warnings():
        found = {"model": other.state_dict(), "opt": state_dicts.get_optimizer_state_dict(other, again, options=options)}
    dcp.load(found, checkpoint_id=tmp_path)
    other.load_state_dict(found["model"])
    state_dicts.set_optimizer_state_dict(other, again, found["opt"], options=options)
    assert_same_bits(other, before)
    assert again.count == opt.count == 3
    steps(model, opt, 3, 3)
    steps(other, again, 3, 3)
    assert_same_bits(other, bits(model))
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert opt.state[a].keys() == again.state[b].keys()
        assert all(same_bits(opt.state[a][key], again.state[b][key]) for key in opt.state[a])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", RATES)
def test_a_state_is_set_to_a_new_optimizer(rate, kind):
    model, other = little(), little()
    opt, again = made(kind, rate, model), made(kind, rate, other)
    steps(model, opt, 0, 3)
    before = bits(model)
    other.load_state_dict(model.state_dict())
    state = state_dicts.get_optimizer_state_dict(model, opt)
    with expecting(rate):
        state_dicts.set_optimizer_state_dict(other, again, state)
    assert_same_bits(other, before)
    assert again.count == 3
    assert float(again.param_groups[0]["lr"]) == float(opt.param_groups[0]["lr"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps(model, opt, 3, 3)
        steps(other, again, 3, 3)
    assert_same_bits(other, bits(model))
