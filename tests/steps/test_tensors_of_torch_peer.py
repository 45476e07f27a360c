"""Tensors of torch as gradients and parameters: read in C, with the checks and errors of all arrays."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from test_calls import calls

import lrkern as lk

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not hasattr(torch.Tensor, "__dlpack_c_exchange_api__"), reason="torch has no exchange API"),
]

SHAPES = [(), (1,), (7,), (64,), (3, 0, 2), (5, 4), (2, 3, 4)]
DTYPES = ["float64", "float32", "bfloat16", "float16"]


def tensors(dtype: str = "float32", seed: int = 0, shapes: list[tuple[int, ...]] = SHAPES) -> list[Any]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(getattr(torch, dtype)) for shape in shapes]


class Own(torch.Tensor):
    """A subclass, whose elements may lie elsewhere."""


def bits_of(tensor: Any) -> bytes:
    """The elements of a contiguous tensor."""
    raw: bytes = tensor.detach().reshape(-1).view(torch.uint8).numpy().tobytes()
    return raw


@pytest.fixture
def in_c(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Forbids torch's own way to export tensors, once it is called."""

    def forbid() -> None:
        def forbidden(*_: Any, **__: Any) -> None:
            raise AssertionError("a tensor was exported by Python")

        monkeypatch.setattr(torch.Tensor, "__dlpack__", forbidden)

    return forbid


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [torch.Tensor, torch.nn.Parameter])
def test_bits(dtype: str, kind: type, in_c: Any) -> None:
    """Those of subclasses, which are taken as arrays; gradients are read without a call of Python for each."""
    mine = [kind(one) if kind is torch.nn.Parameter else one for one in tensors(dtype)]
    other = tensors(dtype)
    opt, expected = lk.AdamW(mine, lr=0.1), lk.AdamW(other, lr=0.1)
    for seed in (1, 2):
        expected.step([one.as_subclass(Own) for one in tensors(dtype, seed)])
    in_c()
    for seed in (1, 2):
        opt.step(tensors(dtype, seed))
    for one, like, start in zip(mine, other, tensors(dtype), strict=True):
        assert bits_of(one) == bits_of(like)
        assert one.numel() == 0 or bits_of(one) != bits_of(start)


def test_calls() -> None:
    params, grads = tensors(shapes=[(8,)] * 50), tensors(shapes=[(8,)] * 50, seed=1)
    opt = lk.SGD(params, lr=0.1, momentum=0.9)
    opt.step(grads)
    assert calls(lambda: opt.step(grads)) == ["step", "flatten", "_step_flat"]
    buffer = torch.zeros(8)
    lk.sgd_step(params[0], grads[0], buffer, lr=0.1, momentum=0.9)
    assert calls(lambda: lk.sgd_step(params[0], grads[0], buffer, lr=0.1, momentum=0.9)) == ["sgd_step", "flag", "step_once"]


ONE = (4, 6)


def nested() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a prototype
        return torch.nested.nested_tensor([torch.ones(6)] * 4)


KIND = r"must be float64, float32, bfloat16 or float16 of shape \(4, 6\) like params\[0\]; got"
CPU = "must be an array of float64, float32, bfloat16 or float16 in CPU memory; got Tensor of torch"
REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "elsewhere": (lambda: torch.empty(ONE, device="meta"), TypeError, rf"{CPU}.float32 on meta"),
    "integers": (lambda: torch.ones(ONE, dtype=torch.int64), TypeError, rf"{KIND} int64 \(4, 6\)"),
    "complex": (lambda: torch.ones(ONE, dtype=torch.complex64), TypeError, rf"{CPU}.complex64 on cpu"),
    "another shape": (lambda: torch.ones(24), ValueError, rf"{KIND} float32 \(24,\)"),
    "more axes": (lambda: torch.ones(1, *ONE), ValueError, rf"{KIND} float32 \(1, 4, 6\)"),
    "another order": (lambda: torch.ones(6, 4).T, ValueError, r"must have the memory order of params\[0\]; got strides"),
    "every other": (lambda: torch.ones(4, 12)[:, ::2], ValueError, r"must be contiguous; got float32 \(4, 6\) with strides"),
    "expanded": (lambda: torch.ones(()).expand(ONE), ValueError, r"must be contiguous; got float32 \(4, 6\) with strides"),
    "sparse": (lambda: torch.ones(ONE).to_sparse(), TypeError, r"must be an array or a pair .* got a tensor of torch.sparse"),
    "zeros without memory": (lambda: torch._efficientzerotensor(ONE), TypeError, rf"{CPU}.float32 on cpu, without memory"),
    "nested": (nested, TypeError, rf"{CPU}.float32 on cpu"),
    "another layout": (lambda: torch.ones(ONE).to_mkldnn(), TypeError, rf"{CPU}.float32 on cpu, torch._mkldnn"),
    "negated": (
        lambda: torch.ones(ONE, dtype=torch.complex64).conj().imag, TypeError, "must not have its negative bit set; got such a",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, error, message = REFUSED[name]
    param, good = torch.ones(ONE), torch.ones(3)
    other = torch.ones(3)
    opt = lk.SGD([param, other], 0.1)
    with pytest.raises(error, match=rf"^SGD: grads\[0\] {message}"):
        opt.step([make(), good])
    with pytest.raises(error, match=rf"^SGD: grads\[0\] {message}"):
        opt.bind([make(), good])
    assert opt.count == 0
    assert torch.equal(param, torch.ones(ONE))
    assert torch.equal(other, torch.ones(3))


def test_one_negated_element() -> None:
    grad = torch.ones(1, dtype=torch.complex64).conj().imag
    assert grad.is_neg()
    param = torch.ones(1)
    with pytest.raises(TypeError, match=r"^SGD: grads\[0\] must not have its negative bit set"):
        lk.SGD([param], 0.1).step([grad])
    with pytest.raises(TypeError, match=r"^sgd_step: grad must not have its negative bit set"):
        lk.sgd_step(param, grad, lr=0.1)
    assert param.item() == 1.0


def test_subclasses_and_gradients_with_history() -> None:
    for grad in (torch.ones(5).as_subclass(Own), torch.ones(5, requires_grad=True), torch.ones(5, requires_grad=True) * 1):
        param = torch.ones(5)
        lk.SGD([param], 0.25).step([grad])
        assert param.tolist() == [0.75] * 5


def test_shared_memory_is_found() -> None:
    whole, grad = torch.ones(20), torch.ones(10)
    opt = lk.SGD([whole[:10], whole[10:]], 0.1)
    for bad in ([whole[10:], grad], [grad, whole[:10]], [whole[5:15], grad]):
        opt.step([grad, grad.clone()])  # the gaps that these are in are remembered
        with pytest.raises(ValueError, match=r"^SGD: params\[\d\] and grads\[\d\] must not share memory"):
            opt.step(bad)
    zeroing = lk.SGD([torch.ones(10), torch.ones(10)], 0.1, zero_grad=True)
    with pytest.raises(ValueError, match=r"^SGD: grads\[0\] and grads\[1\] must not share memory"):
        zeroing.step([grad, grad])
    zeroing.step([grad, grad.clone()])
    assert grad.sum() == 0


def test_tensors_that_get_other_memory() -> None:
    for kind in (torch.Tensor, torch.nn.Parameter):
        param = torch.ones(8) if kind is torch.Tensor else torch.nn.Parameter(torch.ones(8))
        opt = lk.SGD([param], 0.1)
        opt.step([torch.ones(8)])
        param.data = torch.ones(8)
        with pytest.raises(ValueError, match=r"^SGD: params\[0\] must stay in its memory"):
            opt.step([torch.ones(8)])
        assert param.tolist() == [1.0] * 8
        assert opt.count == 1
    grad = torch.ones(8)
    opt = lk.SGD([torch.ones(8)], 0.1)
    opt.bind([grad])
    opt.step()
    grad.resize_(100_000)
    with pytest.raises(ValueError, match=r"^SGD: grads\[0\] must stay in its memory"):
        opt.step()
    assert opt.count == 1


def test_code_of_others_that_gives_an_earlier_gradient_other_memory() -> None:
    first, other = torch.ones(8), torch.full((8,), 2.0)

    class Acting:
        def __init__(self) -> None:
            self.tensor, self.act = torch.ones(8), lambda: first.set_(other)

        def __dlpack__(self, **options: Any) -> Any:
            self.act()
            return self.tensor.__dlpack__(**options)

    params = [torch.zeros(8), torch.zeros(8)]
    acting = Acting()
    lk.SGD(params, 0.5).step([first, acting])
    assert params[0].tolist() == [-1.0] * 8, "the old memory was read"
    acting.act = lambda: first.resize_(2)
    with pytest.raises(ValueError, match=r"^SGD: grads\[0\] must "):
        lk.SGD(params, 0.5).step([first, acting])
    assert params[0].tolist() == [-1.0] * 8


def test_zeros_without_memory_in_lrkern_torch() -> None:
    import lrkern.torch as lt

    param = torch.nn.Parameter(torch.ones(8))
    param.grad = torch._efficientzerotensor(8)
    with pytest.raises(ValueError, match=r"gradient of params\[0\] must have memory; got a tensor without"):
        lt.SGD([param], lr=0.1).step()
    assert np.array_equal(param.detach().numpy(), np.ones(8))


def fake() -> Any:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch.ones(ONE)


class Described(torch.Tensor):
    """A tensor that has a shape and nothing else."""

    @staticmethod
    def __new__(cls) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, ONE, dtype=torch.float32)

    @classmethod
    def __torch_dispatch__(cls, function: Any, *rest: Any) -> Any:
        raise NotImplementedError(function)


@pytest.mark.filterwarnings("ignore:.*[Dd]ata pointer:Warning")
@pytest.mark.parametrize("make", [fake, Described, lambda: torch._efficientzerotensor(ONE)], ids=["fake", "described", "zeros"])
def test_tensors_without_memory(make: Any) -> None:
    reason = r"must be an array of .* in CPU memory; got \w+ of torch.float32 on cpu, without memory: it only stands for values"
    good = torch.ones(ONE)
    opt = lk.AdamW([good])
    with pytest.raises(TypeError, match=rf"^AdamW: grads\[0\] {reason}"):
        opt.step([make()])
    with pytest.raises(TypeError, match=rf"^AdamW: params\[0\] {reason}"):
        lk.AdamW([make()])
    with pytest.raises(TypeError, match=rf"^sgd_step: grad {reason}"):
        lk.sgd_step(good, make(), lr=0.1)
    with pytest.raises(TypeError, match=rf"^sgd_step: param {reason}"):
        lk.sgd_step(make(), good, lr=0.1)
    assert opt.count == 0
    assert torch.equal(good, torch.ones(ONE))


def test_tensors_within_transformations() -> None:
    param = torch.ones(3)

    def stepped(grad: Any) -> Any:
        lk.sgd_step(param, grad, lr=0.1)
        return grad

    with pytest.raises(TypeError, match=r"^sgd_step: grad must be an array of .* on cpu, without memory"):
        torch.func.vmap(stepped)(torch.ones(2, 3))
    assert torch.equal(param, torch.ones(3))
