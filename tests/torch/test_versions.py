"""Versions of torch whose functions take less than those of the newest."""

from __future__ import annotations

import importlib

import pytest

torch = pytest.importorskip("torch")

import lrkern.torch as lt  # noqa: E402
from lrkern.torch import adapter, versions  # noqa: E402

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("error", [RuntimeError, TypeError])
def test_version_counters_one_by_one(monkeypatch, error):
    """As in torch 2.4, which refuses lists with a RuntimeError."""
    own, calls = torch.autograd.graph.increment_version, []

    def of_one(tensor):
        if not isinstance(tensor, torch.Tensor):
            raise error("increment_version expect a Tensor as input")
        calls.append(tensor)
        own(tensor)

    with monkeypatch.context() as patched:
        patched.setattr(torch.autograd.graph, "increment_version", of_one)
        importlib.reload(versions)
        patched.setattr(adapter, "increment_version", versions.increment_version)
        params = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
        for one in params:
            one.grad = torch.ones(3)
        before = [one._version for one in params]
        lt.SGD(params, lr=0.5).step()
        assert [one._version for one in params] == [version + 1 for version in before]
        assert len(calls) == 2
    importlib.reload(versions)


SKIPS = {
    "skip_nonfinite": ({"skip_nonfinite": True}, float("inf")),
    "skip_norm": ({"skip_norm": 10.0}, 100.0),
    "skip_sigma": ({"skip_sigma": 2.0, "skip_window": 4}, 100.0),
    "found_inf": ({}, 1.0),
}


@pytest.mark.parametrize("zero_grad", [False, True])
@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("name", SKIPS)
def test_a_skipped_step_has_written_to_no_parameter(name, backend, zero_grad):
    options, spike = SKIPS[name]
    params = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    opt = lt.SGD(params, lr=0.125, zero_grad=zero_grad, backend=backend, **options)
    for k in range(6):
        for one in params:
            one.grad = torch.ones(3) + k / 8
        opt.step()
    grads = [torch.full((3,), spike) for _ in params]
    for one, grad in zip(params, grads, strict=True):
        one.grad = grad
    of_grads = (grads[0] * torch.ones(3, requires_grad=True)).sum()
    loss = sum([(one * one).sum() for one in params])
    if name == "found_inf":
        opt.found_inf = torch.tensor(1.0)
    before = opt.skipped
    opt.step()
    assert opt.skipped == before + 1
    if zero_grad:
        assert grads[0].tolist() == [0.0] * 3
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            of_grads.backward()
    else:
        of_grads.backward()
    loss.backward()


@pytest.mark.parametrize("backend", [None, "torch"])
def test_a_step_has_written_to_parameters_and_with_zero_grad_to_gradients(backend):
    for zero_grad in (False, True):
        param, grad = torch.nn.Parameter(torch.ones(3)), torch.ones(3)
        param.grad = grad
        of_grad = (grad * torch.ones(3, requires_grad=True)).sum()
        loss = (param * param).sum()
        lt.SGD([param], lr=0.125, zero_grad=zero_grad, backend=backend).step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()
        if zero_grad:
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                of_grad.backward()
        else:
            of_grad.backward()
