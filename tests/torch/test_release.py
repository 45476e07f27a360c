"""Gradient release: parameters stepped from the backward pass, to the same bits as all together."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
import training  # noqa: E402
import two_processes  # noqa: E402
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
    with pytest.raises(ValueError, match=r"SGD.attach: fused must not be False, because a GradScaler does not show .*; got F"):
        lt.SGD(model.parameters(), fused=False).attach(model)
    opt.attach(model)
    with pytest.raises(RuntimeError, match=r"SGD.attach: call remove\(\)"):
        opt.attach(model)
    model(torch.ones(1, 4)).sum().backward()
    with pytest.raises(RuntimeError, match=r"SGD.step must be called after each backward"):
        model(torch.ones(1, 4)).sum().backward()


@pytest.mark.parametrize("way", ["step", "unscale", "closure"])
def test_a_scaler_is_refused(way):
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1)
    handle = opt.attach(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)

    def backward():
        scaler.scale(model(torch.ones(1, 4)).sum()).backward()

    if way == "closure":
        scaler.scale(torch.ones(()))
    else:
        backward()
    if way == "unscale":
        scaler.unscale_(opt)
    stepped = 0 if way == "closure" else 4
    before = [one.detach().clone() for one in model.parameters()]
    match = f"SGD.attach: GradScaler cannot be used with it.*; {stepped} parameters have been stepped with gradients times its"
    with pytest.raises(RuntimeError, match=match):
        scaler.step(opt, *([backward] if way == "closure" else []))
    if way != "closure":
        with pytest.raises(RuntimeError, match="must be called after each backward"):
            backward()
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), before, strict=True))
    handle.remove()
    assert not hasattr(opt, "grad_scale")  # else the next step would divide by the square of the scale
    assert not hasattr(opt, "found_inf")
    opt.zero_grad()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    backward()
    scaler.step(opt)
    other = copy.deepcopy(model)
    other.load_state_dict(dict(zip(model.state_dict(), before, strict=True)))
    plain = torch.optim.SGD(other.parameters(), lr=0.1)
    other(torch.ones(1, 4)).sum().backward()
    plain.step()
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_groups_may_be_removed_and_parameters_moved():
    found = []
    for release in (False, True):
        a, b, c = (torch.nn.Parameter(torch.full((3,), float(k))) for k in range(3))
        opt = lt.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}, {"params": [c]}], lr=0.1, momentum=0.9)
        if release:
            opt.attach()
        for step in range(4):
            if step == 2:
                opt.param_groups.pop(0)
                c.data = c.data.clone()
            for one in (a, b, c)[step > 2 :]:
                one.grad = None
            (a.sum() + 2.0 * b.sum() + 3.0 * c.sum()).backward()
            opt.step()
        assert a.grad.tolist() == [2.0] * 3
        found.append([a, b, c])
    assert all(same_bits(p, q) for p, q in zip(*found, strict=True))


def test_a_state_loaded_after_a_backward_pass():
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1, momentum=0.9)
    opt.attach()
    state = copy.deepcopy(opt.state_dict())
    model(torch.ones(3, 4)).sum().backward()
    opt.load_state_dict(state)
    model(torch.ones(3, 4)).sum().backward()
    opt.step()
    assert opt.count == 1
    assert [one["step"].item() for one in opt.state.values()] == [1.0] * 4


def test_a_backward_pass_that_failed_is_ended_by_a_step():
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1)
    opt.attach()

    def fail(*_):
        raise KeyError("stopped")

    hook = model[1].register_full_backward_hook(fail)
    with pytest.raises(KeyError):
        model(torch.ones(3, 4)).sum().backward()
    hook.remove()
    with pytest.raises(RuntimeError, match=r"After a backward pass that failed, step\(\) ends the step that has begun"):
        model(torch.ones(3, 4)).sum().backward()
    opt.step()
    model(torch.ones(3, 4)).sum().backward()
    opt.step()
    assert opt.count == 2


PROCESSES = """
import os, sys
import torch, torch.distributed.fsdp, training, two_processes, lrkern.torch as lt
rank = int(os.environ["RANK"])
torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=rank, world_size=2)
x = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))[rank]
alone = training.little()
lt.SGD(alone.parameters(), lr=0.1).attach(alone)  # no gradients that others need
(alone(x) ** 2).mean().backward()
for when in ("before", "after"):
    model = training.little()
    before = [one.detach().clone() for one in model.parameters()]
    opt = lt.SGD(model.parameters(), lr=0.1)
    try:
        if when == "after":
            opt.attach(model)
        wrapped = torch.nn.parallel.DistributedDataParallel(model)
        if when == "before":
            opt.attach(model)
        (wrapped(x) ** 2).mean().backward()
    except RuntimeError as error:
        assert str(error).startswith("SGD.attach: DistributedDataParallel cannot be used with it"), error
    else:
        raise AssertionError(when)
    assert all(map(torch.equal, model.parameters(), before))
torch.distributed.barrier()
if hasattr(torch.distributed.fsdp, "fully_shard"):
    found = []
    for release in (False, True):
        model = training.little()
        torch.distributed.fsdp.fully_shard(model, mesh=torch.distributed.device_mesh.init_device_mesh("cpu", (2,)))
        opt = lt.AdamW(model.parameters(), lr=0.1)
        if release:
            opt.attach()
        for step in range(3):
            opt.zero_grad()
            (model(x) ** 2).mean().backward()
            assert all((one.grad is None) == release for one in model.parameters())
            opt.step()
        found.append([one.to_local().detach() for one in model.parameters()])
    assert all(map(torch.equal, *found))
two_processes.leave()
"""


def test_means_over_processes(tmp_path):
    """DistributedDataParallel takes them after its parameters' hooks, `fully_shard` before."""
    if not torch.distributed.is_available():
        pytest.skip("torch without distributed")
    two_processes.run(PROCESSES, str(tmp_path / "store"))
