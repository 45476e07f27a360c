"""Torch's own tensors as parameters and gradients. The values of rules are compared in test_optimizers_peer.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lrkern as lk

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_tensors_are_stepped_in_place(dtype: Any) -> None:
    tensors = [torch.nn.Parameter(torch.ones(5, 3, dtype=dtype)), torch.ones(7, dtype=dtype)]
    grads = [torch.ones(5, 3, dtype=dtype), torch.full((7,), 2.0, dtype=dtype)]
    opt = lk.SGD(tensors, 0.5, momentum=0.5, zero_grad=True)
    opt.step(grads)
    assert (tensors[0] == 0.5).all()
    assert (tensors[1] == 0.0).all()
    assert not any(one.any() for one in grads)


@pytest.mark.parametrize("shape", [(), (0,), (1, 7, 1), (3, 4, 5)], ids=str)
def test_layouts(shape: tuple[int, ...]) -> None:
    p = torch.ones(shape, requires_grad=True)
    turned = p.detach().permute(list(range(p.ndim))[::-1])
    for param in (p, turned):
        lk.SGD([param], 0.25).step([torch.ones_like(param)])
        lk.sgd_step(param, torch.ones_like(param).detach().numpy(), lr=0.25)
    assert (p == 0).all()
    assert p.requires_grad


def test_channels_last() -> None:
    p = torch.ones(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    g = torch.arange(120.0).reshape(2, 3, 4, 5)
    with pytest.raises(ValueError, match=r"SGD: grads\[0\] must have the memory order of params\[0\]"):
        lk.SGD([p], 1.0).step([g])
    lk.SGD([p], 1.0).step([g.contiguous(memory_format=torch.channels_last)])
    assert torch.equal(p, 1 - g)


def test_rows() -> None:
    p = torch.ones(4, 2, dtype=torch.bfloat16)
    lk.SGD([p], 0.5).step([(torch.tensor([2, 0, 2]), torch.ones(3, 2, dtype=torch.bfloat16))])
    assert p.tolist() == [[0.5, 0.5], [1, 1], [0, 0], [1, 1]]


FLOATS = r"^SGD: params\[0\] must be an array of float64, .* in the CPU's memory; got Tensor of torch"


@pytest.mark.parametrize(
    ("tensor", "error", "message"),
    [
        (torch.ones(3, dtype=torch.int32), TypeError, r"params\[0\] must be float64, .* or float16; got int32 \(3,\)"),
        (torch.ones(3, dtype=torch.bool), TypeError, FLOATS + ".bool on cpu$"),
        (torch.ones(3, dtype=torch.complex64), TypeError, FLOATS + ".complex64 on cpu$"),
        (torch.ones(3, dtype=torch.float8_e4m3fn), TypeError, FLOATS + ".float8_e4m3fn on cpu$"),
        (torch.ones(6, device="meta"), TypeError, FLOATS + ".float32 on meta: "),
        (torch.ones(6).to_sparse(), TypeError, FLOATS + ".float32 on cpu, torch.sparse_coo$"),
        (torch.ones(6)[::2], ValueError, r"SGD: params\[0\] must be contiguous; got float32 \(3,\) with strides \(8,\)"),
        (torch.ones(3, 1).expand(3, 4), ValueError, r"SGD: params\[0\] must be contiguous"),
        (torch.imag(torch.ones(1, dtype=torch.complex64).conj()), TypeError, "opposite sign: use resolve_neg"),
    ],
)
def test_tensors_that_cannot_be(tensor: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lk.SGD([tensor], 0.1)


def test_fused_bfloat16_differs_by_a_rounding() -> None:
    """A list of bfloat16 tensors with a float32 momentum is stepped as float32 would be, then rounded."""
    p = torch.linspace(-2, 2, 1001, dtype=torch.bfloat16)
    reference, g = p.float(), torch.linspace(1, 3, 1001, dtype=torch.bfloat16)
    lk.SGD([p], 0.1, momentum=0.9).step([g])
    lk.SGD([reference], 0.1, momentum=0.9).step([g])
    assert torch.equal(p, reference.bfloat16())


@pytest.mark.parametrize("weight_decay", [1e-5, 1e-2, 1.0, 100.0, 500.0])
def test_decoupled_decay_differs_by_two_units_in_a_step(weight_decay: float) -> None:
    """torch rounds 1 - lr weight_decay, and its product with the parameter, before it subtracts the step."""
    rng, n, lr = np.random.default_rng(1), 100_000, 1e-3
    p = (rng.standard_normal(n) * 2.0 ** rng.integers(-8, 4, n)).astype("f4")
    g, m = (rng.standard_normal(n).astype("f4") for _ in range(2))
    v = (4 * m * m + rng.random(n)).astype("f4")
    p[np.abs(p) < 4 * lr] = 1.0
    theirs = torch.nn.Parameter(torch.from_numpy(p.copy()))
    theirs.grad = torch.from_numpy(g)
    optimizer = torch.optim.AdamW([theirs], lr=lr, weight_decay=weight_decay)
    optimizer.state[theirs] = {
        "step": torch.tensor(1.0), "exp_avg": torch.from_numpy(m.copy()), "exp_avg_sq": torch.from_numpy(v.copy())
    }  # fmt: skip
    optimizer.step()
    ours = p.copy()
    lk.adamw_step(ours, g, m.copy(), v.copy(), count=1, lr=lr, weight_decay=weight_decay)
    distance = np.abs(ours.astype(float) - theirs.detach().numpy()) / np.spacing(np.maximum(np.abs(p), np.abs(ours)))
    assert 0 < np.max(distance) <= 2


def test_parameters_as_torch_has_them(tmp_path):
    """Generators, lists and dicts of modules; numbers in tensors; sparse gradients, which are told what to become."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    again = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    named = dict(model.named_parameters())
    model(torch.ones(4, 3)).square().sum().backward()
    grads = {name: one.grad for name, one in named.items()}
    opt = lk.AdamW(named, torch.tensor(0.1), beta1=torch.tensor([0.8]), decay_mask=lambda name, one: one.ndim > 1)
    opt.step(grads, grad_scale=torch.tensor(2.0))
    opt.save(tmp_path / "file", parameters=True)
    lk.AdamW(dict(reversed(list(again.named_parameters()))), 0.5).load(tmp_path / "file", parameters=True)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)

    for params in (
        model.parameters(),
        (one for one in model.parameters() if one.requires_grad),
        torch.nn.ParameterList(model.parameters()),
    ):
        lk.SGD(params, 0.1).step(one.grad for one in model.parameters())
    container = torch.nn.ParameterDict({"w": torch.nn.Parameter(torch.ones(2))})
    lk.SGD(container, 0.5).step({"w": torch.ones(2)})
    assert container["w"].tolist() == [0.5, 0.5]
    with pytest.raises(TypeError, match=r"got names along with them: pass dict\(\.\.\.\)"):
        lk.SGD(model.named_parameters(), 0.1)
    with pytest.raises(ValueError, match="has there been a backward pass"):
        lk.SGD(again.parameters(), 0.1).bind(one.grad for one in again.parameters())

    table = torch.nn.Embedding(5, 2, sparse=True)
    table(torch.tensor([1, 3, 1])).sum().backward()
    grad, before = table.weight.grad, table.weight.detach().clone()
    opt = lk.SGD([table.weight], 1.0)
    with pytest.raises(TypeError, match=r"a pair \(indices, values\); got a tensor of torch.sparse_coo: pass grad = grad.coal"):
        opt.step([grad])
    grad = grad.coalesce()
    opt.step([(grad.indices()[0], grad.values())])
    assert torch.equal(table.weight.detach(), before - grad.to_dense())
