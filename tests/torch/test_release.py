"""Gradient release: parameters stepped from the backward pass, to the same bits as all together."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
import training  # noqa: E402
from training import little, same_bits  # noqa: E402

pytestmark = pytest.mark.peers

OPTIONS = [
    {},
    {"lr": lk.cosine(1e-2, 0.0, 20), "ema": 0.9},
    {"clip_norm": 0.1, "clip_per": "tensor"},
    {"rounding": "stochastic", "seed": 5},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", ["convolutional", "attention"])
def test_bits_and_states_are_those_of_all_together(options, kind):
    found = []
    for release in (False, True):
        torch.manual_seed(0)
        model = training.convolutional() if kind == "convolutional" else training.Attention()
        data = training.images() if kind == "convolutional" else training.sequences()
        if options.get("rounding"):
            model.bfloat16()
        opt = lt.AdamW(model.parameters(), **options)
        handle = opt.attach(model) if release else None
        losses = training.train(model, opt, data, 10)
        if handle is not None:
            assert all(one.grad is None for one in model.parameters())
            handle.remove()
        losses += training.train(model, opt, data, 3)
        found.append((model, opt, losses))
    (model, opt, losses), (other, again, others) = found
    assert losses == others
    assert opt.count == again.count == 13
    assert opt.param_groups[0]["lr"] == again.param_groups[0]["lr"]
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert same_bits(p, q)
        assert all(same_bits(opt.state[p][key], again.state[q][key]) for key in opt.state[p])


def test_gradients_are_freed_during_the_backward_pass():
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1)
    opt.attach(model[2])  # the others are stepped by `step`
    before = [one.detach().clone() for one in model.parameters()]
    model(torch.ones(1, 4)).sum().backward()
    assert [one.grad is None for one in model.parameters()] == [False, False, True, True]
    changed = [not same_bits(a, b) for a, b in zip(model.parameters(), before, strict=True)]
    assert changed == [False, False, True, True]
    opt.step()
    assert all(not same_bits(a, b) for a, b in zip(model.parameters(), before, strict=True))
    assert (opt.count, [one["step"].item() for one in opt.state.values()]) == (1, [1, 1, 1, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip_norm": 1.0}, "SGD.attach: clip_norm needs clip_per='tensor', because the norm of all gradients is not known"),
        ({"skip_nonfinite": True}, "SGD.attach: skip_nonfinite must be off, because other parameters have been stepped"),
        ({"error_if_nonfinite": True}, "SGD.attach: error_if_nonfinite must be off"),
    ],
)
def test_options_that_need_all_gradients_are_refused(options, message):
    model = little()
    with pytest.raises(ValueError, match=message):
        lt.SGD(model.parameters(), lr=0.1, **options).attach(model)


def test_misuse_is_refused():
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"SGD.attach: model must have parameters of this optimizer; got none"):
        opt.attach(torch.nn.Linear(2, 2))
    opt.attach(model)
    with pytest.raises(RuntimeError, match=r"SGD.attach: call remove\(\)"):
        opt.attach(model)
    model(torch.ones(1, 4)).sum().backward()
    with pytest.raises(RuntimeError, match=r"SGD.step must be called after each backward"):
        model(torch.ones(1, 4)).sum().backward()
