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
