"""Tensors of all kinds: gradients and parameters that are missing, moved, sparse, strided, complex, empty, converted."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern.torch as lt  # noqa: E402
from lrkern.torch import memory  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from training import give_gradients, little, same_bits  # noqa: E402

pytestmark = pytest.mark.peers

DTYPES = ["float64", "float32", "bfloat16", "float16"]


@pytest.fixture(params=["exchange", "numpy"])
def reader(request, monkeypatch):
    """Both ways to read tensors."""
    if request.param == "numpy":
        monkeypatch.setattr(memory, "_reader", memory._SlowReader)
    elif isinstance(memory._reader(), memory._SlowReader):
        pytest.skip("this version of torch has no exchange API")
    return request.param


def parameters(shapes, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in shapes]


def both(make, grads, steps=3, **options):
    """The parameters after steps with gradients as they are, and with contiguous copies of them."""
    results = []
    for contiguous in (False, True):
        params = make()
        opt = lt.AdamW(params, lr=0.1, **options)
        assert opt.backend == options.get("backend", "c")
        for _ in range(steps):
            for param, grad in zip(params, grads, strict=True):
                if contiguous and grad is not None:
                    grad = torch.empty_like(param).copy_(grad)
                param.grad = grad
            opt.step()
        results.append(params)
    for a, b, start in zip(*results, make(), strict=True):
        assert same_bits(a, b)
        assert a.numel() == 0 or (a != start).any()
    return results[0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_empty_scalar_and_large_tensors(reader, dtype):
    dtype = getattr(torch, dtype)
    shapes = [(), (1,), (0,), (3, 0, 2), (7,), (64,), (1000, 130), (2, 3, 4)]
    grads = [torch.randn(shape, generator=torch.Generator().manual_seed(2)).to(dtype) for shape in shapes]
    both(lambda: parameters(shapes, dtype), grads)


def test_tensors_without_elements_are_found_in_place(reader):
    params = parameters([(0,), (3,), ()])
    opt = lt.SGD(params, lr=0.1)
    bound = set()
    for _ in range(3):
        for param in params:
            param.grad = torch.ones_like(param)
        opt.step()
        bound.add(opt._bound)
    assert len(bound) == 1


def test_mixtures_of_dtypes(reader):
    shapes = [(5,), (6,), (7,)]

    def make():
        return [p.to(d) if d is torch.float32 else torch.nn.Parameter(p.detach().to(d)) for p, d in
                zip(parameters(shapes), (torch.float32, torch.bfloat16, torch.float64), strict=True)]  # fmt: skip

    both(make, [torch.ones(5), torch.ones(6, dtype=torch.bfloat16), torch.ones(7, dtype=torch.float64)])


@pytest.mark.parametrize("backend", ["c", "numba"])
def test_strided_expanded_and_negated_gradients(reader, backend):
    if backend == "numba":
        pytest.importorskip("numba")
    shapes = [(4, 6), (4, 6), (3,), (5, 2), (1,), ()]
    grads = [
        torch.randn(6, 4).T,
        torch.ones(()).expand(4, 6),
        torch.randn(6)[::2],
        torch.randn(5, 4)[:, 1:3],
        torch.randn(1, dtype=torch.complex64).conj().imag,
        torch.randn((), dtype=torch.complex64).conj().imag,
    ]
    assert all(one.is_neg() for one in grads[-2:])
    both(lambda: parameters(shapes), grads, **({"backend": backend} if backend != "c" else {}))


def test_channels_last(reader):
    def make(layout):
        return lambda: [torch.nn.Parameter(parameters([(4, 3, 2, 2)])[0].detach().contiguous(memory_format=layout))]

    grad = torch.randn(4, 3, 2, 2)
    results = []
    for of_param in (torch.contiguous_format, torch.channels_last):
        for of_grad in (torch.contiguous_format, torch.channels_last):
            [param] = both(make(of_param), [grad.contiguous(memory_format=of_grad)])
            assert param.is_contiguous(memory_format=of_param)
            results.append(param)
    assert all(same_bits(one, results[0]) for one in results)


def test_zero_grad_sets_the_gradients_of_the_user_to_zero(reader):
    params = parameters([(4, 6), (3,)])
    params[0].grad, params[1].grad = torch.ones(()).expand(4, 6), torch.ones(3)
    own = params[1].grad
    lt.SGD(params, lr=0.1, zero_grad=True).step()
    assert [one.grad.abs().sum().item() for one in params] == [0.0, 0.0]
    assert params[1].grad is own


@pytest.mark.parametrize("coalesced", [True, False])
def test_zero_grad_clears_gradients_of_rows(reader, coalesced):
    """Rows that were cleared are not among those of the next backward pass, either: they would be stepped again."""
    rows = torch.nn.Embedding(5, 2, sparse=True)
    before = rows.weight.detach().clone()
    opt = lt.SGD(rows.parameters(), lr=1.0, momentum=0.5, zero_grad=True)
    for step in range(3):
        rows(torch.tensor([step, step])).sum().backward()
        if coalesced:
            rows.weight.grad = rows.weight.grad.coalesce()
        opt.step()
        assert rows.weight.grad.is_sparse
        assert rows.weight.grad._nnz() == 0
    assert (before - rows.weight)[:, 0].tolist() == pytest.approx([2.0, 2.0, 2.0, 0.0, 0.0])


@pytest.mark.parametrize("how", ["skip_nonfinite", "scaler"])
def test_zero_grad_clears_what_is_not_finite(reader, how):
    rows = torch.nn.Embedding(5, 2, sparse=True)
    wide = torch.nn.Parameter(torch.ones(3, dtype=torch.complex64))
    opt = lt.SGD([rows.weight, wide], lr=1.0, zero_grad=True, **({how: True} if how == "skip_nonfinite" else {}))
    for bad in (True, False):
        (rows(torch.tensor([1, 1])).sum() * (torch.inf if bad else 1.0)).backward()
        wide.grad = torch.ones((), dtype=torch.complex64).expand(3)
        if how == "scaler":
            opt.found_inf = torch.tensor(float(bad))
        before = rows.weight.detach().clone()
        opt.step()
    assert (opt.count, opt.skipped) == (1, 1)
    assert (before - rows.weight)[:, 0].tolist() == pytest.approx([0.0, 2.0, 0.0, 0.0, 0.0])
    assert wide.grad.tolist() == [0.0] * 3


class OfAnotherClass(torch.Tensor):
    """A tensor that torch has to read."""


@pytest.mark.parametrize("backend", ["c", "torch"])
@pytest.mark.parametrize("kind", ["complex", "subclass"])
@pytest.mark.parametrize("change", ["same", "transposed", "expanded", "conj", "neg"])
def test_zero_grad_clears_gradients_of_other_tensors(reader, kind, change, backend):
    dtype = torch.complex64 if kind == "complex" else torch.float32
    param = torch.nn.Parameter(torch.ones(2, 3, dtype=dtype))
    if kind == "subclass":
        param = torch.ones(2, 3).as_subclass(OfAnotherClass).requires_grad_()
    grad = {
        "same": lambda: torch.ones(2, 3, dtype=dtype),
        "transposed": lambda: torch.ones(3, 2, dtype=dtype).T,
        "expanded": lambda: torch.ones((), dtype=dtype).expand(2, 3),
        "conj": lambda: torch.ones(2, 3, dtype=dtype).conj(),
        "neg": lambda: torch.ones(2, 3, dtype=dtype)._neg_view(),
    }[change]()
    opt = lt.SGD([param], lr=1.0, zero_grad=True, **({} if backend == "c" else {"backend": backend}))
    param.grad = grad if kind == "complex" else grad.as_subclass(OfAnotherClass)
    own, expected = param.grad, 2.0 if change == "neg" else 0.0
    for _ in range(2):  # the second step changes nothing
        opt.step()
        assert (param.detach() == expected).all()
        assert (param.grad == 0).all()
    assert (param.grad is own) == (change != "expanded")


def test_missing_gradients_change_nothing(reader):
    params = parameters([(3,), (4,)])
    before = params[1].detach().clone()
    opt = lt.AdamW(params)
    params[0].grad = torch.ones(3)
    opt.step()
    opt.step()
    assert same_bits(params[1], before)
    assert params[1] not in opt.state
    assert opt.state[params[0]]["step"] == 2
    params[1].grad = torch.ones(4)
    opt.step()
    assert [opt.state[one]["step"].item() for one in params] == [3, 1]
    assert opt.count == 3


def test_sparse_gradients(reader):
    rows = torch.nn.Embedding(10, 3, sparse=True)
    dense = torch.nn.Embedding(10, 3)
    dense.load_state_dict(rows.state_dict())
    opts = [lt.SGD(one.parameters(), lr=0.1) for one in (rows, dense)]
    for step in range(3):
        for one, opt in zip((rows, dense), opts, strict=True):
            opt.zero_grad()
            (one(torch.tensor([1, 4, 4, step])) ** 2).sum().backward()
            opt.step()
    torch.testing.assert_close(rows.weight, dense.weight)
    assert rows.weight.grad.is_sparse


def test_sparse_gradients_that_cannot_be_used_are_refused(reader):
    [param] = parameters([(4, 3)])
    param.grad = torch.eye(4, 3).to_sparse()
    with pytest.raises(
        ValueError, match=r"AdamW.step: the gradient of params\[0\] must have 1 sparse dimension, or be dense; got one with 2"
    ):
        lt.AdamW([param]).step()
    param.grad = torch.eye(4, 3).to_sparse(1)
    with pytest.raises(TypeError, match=r"LAMB: grads\[0\] must be an array: LAMB needs dense gradients"):
        lt.LAMB([param]).step()
    assert same_bits(param, parameters([(4, 3)])[0])


def test_complex_parameters(reader):
    start = torch.randn(5, dtype=torch.complex64)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    opts = lt.Adam([ours], lr=0.1), torch.optim.Adam([theirs], lr=0.1)
    for step in range(4):
        for param, opt in zip((ours, theirs), opts, strict=True):
            grad = torch.randn(5, dtype=torch.complex64, generator=torch.Generator().manual_seed(step)).conj()
            param.grad = grad if param is ours else grad.resolve_conj()
            opt.step()
    torch.testing.assert_close(ours, theirs)
    assert (ours != start).all()
    assert opts[0].state[ours]["exp_avg"].dtype is torch.complex64
    other = torch.optim.Adam([theirs])
    other.load_state_dict(opts[0].state_dict())
    again = lt.Adam([ours])
    again.load_state_dict(opts[1].state_dict())
    ours.grad = torch.ones(5, dtype=torch.complex64)
    again.step()


@pytest.mark.parametrize("shape", [(0,), (2, 0), (), (3,)])
@pytest.mark.parametrize("options", [{}, {"state_dtype": "bfloat16"}], ids=["complex", "pairs"])
def test_states_of_complex_parameters(shape, options):
    """Also of empty ones, and in bfloat16, in which torch has no complex numbers: there they are pairs of real ones."""
    one, other = [torch.nn.Parameter(torch.ones(shape, dtype=torch.complex64)) for _ in range(2)]
    went, resumed = lt.Adam([one], lr=0.1, **options), lt.Adam([other], lr=0.1, **options)
    for step in range(3):
        for param in (one, other):
            param.grad = torch.full(shape, 1.0 - step * 1j, dtype=torch.complex64)
        went.step()
        resumed.step()
        state = resumed.state[other]["exp_avg"]
        assert state.shape == (other.shape if state.is_complex() else (*other.shape, 2))
        assert state.is_complex() == (not options)
        again = lt.Adam([other], lr=0.1)
        again.load_state_dict(resumed.state_dict())
        resumed = again
    assert one.equal(other)
    assert resumed.count == 3


@pytest.mark.parametrize(
    ("param", "message"),
    [
        (torch.zeros(4, 4)[:, :2], r"params\[0\] must be contiguous"),
        (
            torch.zeros(3, dtype=torch.int32),
            r"params\[0\] must be a dense tensor of float64, float32, bfloat16 or float16; got int32",
        ),
        (torch.zeros(()).expand(4), r"params\[0\] must be contiguous"),
        (torch.zeros(3, device="meta"), "params must have memory; got tensors on meta"),
    ],
)
def test_parameters_that_cannot_be_stepped_are_named(reader, param, message):
    opt = lt.SGD([param.requires_grad_(param.is_floating_point())], lr=0.1)
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=f"SGD: {message}"):
        opt.step()


def test_several_kinds_of_devices_are_refused():
    opt = lt.SGD([torch.zeros(2, requires_grad=True), torch.zeros(2, device="meta", requires_grad=True)], lr=0.1)
    with pytest.raises(ValueError, match="SGD: params must all be on one kind of device; got cpu and meta"):
        opt.step()


def test_groups_may_be_empty_but_not_all_of_them():
    model = little()
    opt = lt.SGD([{"params": []}, {"params": model.parameters()}], lr=0.1)
    give_gradients(model, 0)
    opt.step()
    assert opt.count == 1
    assert not same_bits(model[0].weight, little()[0].weight)
    with pytest.raises(ValueError, match="SGD: params must have at least one tensor; got empty groups"):
        lt.SGD([{"params": []}], lr=0.1).step()


def test_parameters_in_other_memory_are_followed(reader):
    models = [little(), little()]
    opts = [lt.AdamW(model.parameters()) for model in models]
    for step in range(6):
        for k, (model, opt) in enumerate(zip(models, opts, strict=True)):
            if k and step == 3:
                for param in model.parameters():
                    param.data = param.data.clone()
            give_gradients(model, step)
            opt.step()
    assert all(same_bits(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))


@pytest.mark.parametrize("convert", ["double", "bfloat16"])
def test_converted_parameters_are_named(reader, convert):
    model = little()
    opt = lt.AdamW(model.named_parameters())
    getattr(model, convert)()  # before the first step: no states yet
    give_gradients(model, 0)
    opt.step()
    model.float()
    give_gradients(model, 1)
    before = [one.detach().clone() for one in model.parameters()]
    message = (
        r"AdamW.step: params\[0\] \(0.weight\) must stay (float64|bfloat16) \(6, 4\) on cpu, as its states are; got float32"
    )
    with pytest.raises(ValueError, match=message):
        opt.step()
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), before, strict=True))


def three_with_gradients():
    params = [torch.nn.Parameter(torch.ones(4)) for _ in range(3)]
    for param in params:
        param.grad = torch.ones(4)
    opt = lt.SGD(params, lr=0.5)
    opt.step()
    return params, opt


@pytest.mark.parametrize("change", ["move", "remove"])
def test_code_of_a_mode_cannot_change_parameters_that_have_been_read(change):
    params, opt = three_with_gradients()
    old = params[0].data  # kept, so that a step there is no crash

    class Changing(torch.overrides.TorchFunctionMode):
        read = 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            self.read += getattr(function, "__name__", "") == "__get__"
            if self.read == 3 and change == "move":
                params[0].data = params[0].data.clone()
            elif self.read == 1 and change == "remove":
                opt.param_groups[0]["params"].clear()
            return function(*args, **(kwargs or {}))

    with Changing():
        opt.step()
    assert old.tolist() == [0.0] * 4
    assert [param.tolist() for param in params] == [[0.0] * 4] * 3


@pytest.mark.parametrize("does", ["move a parameter", "step"])
def test_code_of_a_gradient_runs_before_parameters_are_used(does):
    params, opt = three_with_gradients()
    errors, old = [], params[0].data

    class Running(torch.Tensor):
        is_quiet = True

        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            if cls.is_quiet:
                pass
            elif does == "step":
                with pytest.raises(RuntimeError, match="code called by a step") as error:
                    opt.step()
                errors.append(error)
            elif params[0].data_ptr() == old.data_ptr():
                params[0].data = params[0].data.clone()
            return super().__torch_function__(function, types, args, kwargs or {})

    for param in params[1:]:
        param.grad = torch.ones(4).as_subclass(Running)
    Running.is_quiet = False
    opt.step()
    Running.is_quiet = True
    assert [param.tolist() for param in params] == [[0.0] * 4] * 3
    assert old.tolist() == [0.5 if does == "move a parameter" else 0.0] * 4
    assert bool(errors) == (does == "step")


def test_replaced_parameters_are_noticed():
    model = little()
    opt = lt.SGD(model.named_parameters(), lr=0.1)
    model.load_state_dict({key: one.clone() for key, one in model.state_dict().items()}, assign=True)
    give_gradients(model, 0)
    opt.step()
    opt.step()
    with pytest.warns(UserWarning, match=r"SGD.step: no parameter had a gradient in 3 steps, params\[0\] \(0.weight\)"):
        opt.step()


def test_a_backward_through_changed_parameters_raises():
    weight = torch.randn(3, 3, requires_grad=True)
    other = torch.randn(3, 3, requires_grad=True)
    opt = lt.SGD([weight, other], lr=0.1)
    loss = (torch.ones(2, 3, requires_grad=True) @ weight).sum()
    weight.grad = torch.ones(3, 3)
    versions = weight._version, other._version
    opt.step()
    assert (weight._version > versions[0], other._version) == (True, versions[1])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_backward_through_changed_copies_raises():
    """The weights that a forward pass used are those of copy_to, as in training with masters of float32."""
    model, narrow = little(), little(torch.bfloat16)
    opt = lt.SGD(model.parameters(), lr=0.1, copy_to=[*narrow.parameters()])
    loss = narrow(torch.ones(1, 4, dtype=torch.bfloat16, requires_grad=True)).sum()
    give_gradients(model, 0)
    opt.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_parameters_of_one_memory_are_refused():
    base = torch.zeros(6)
    opt = lt.SGD([base[:4].requires_grad_(), base[2:].detach().requires_grad_()], lr=0.1)
    with pytest.raises(ValueError, match=r"SGD: params\[0\] and params\[1\] must not share memory"):
        opt.step()


def test_subclasses_of_tensors_are_read_by_torch(reader):
    class Own(torch.Tensor):
        pass

    plain = torch.nn.Parameter(torch.ones(4))
    own = torch.ones(4).as_subclass(Own).requires_grad_()
    for one in (plain, own):
        opt = lt.AdamW([one], lr=0.1)
        one.grad = torch.full((4,), 0.5)
        opt.step()
        opt.step()
    assert plain.tolist() == own.as_subclass(torch.Tensor).tolist() != [1.0] * 4


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("what", ["params[0]", "gradient of params[0]"])
@pytest.mark.parametrize("before", [0, 1])
def test_freed_memory_is_named(backend, what, before):
    param = torch.nn.Parameter(torch.ones(3))
    opt = lt.SGD([param], lr=0.1, momentum=0.9, backend=backend)
    param.grad = torch.ones(3)
    for _ in range(before):
        opt.step()
    freed = param if what == "params[0]" else param.grad
    values = freed.detach().clone()
    size = freed.untyped_storage().nbytes()
    freed.untyped_storage().resize_(0)
    match = f"^SGD(.step)?: {re.escape(what)} must have memory; got a tensor without \\(freed, or torch's zeros\\)$"
    with pytest.raises(ValueError, match=match):
        opt.step()
    freed.untyped_storage().resize_(size)
    freed.detach().copy_(values)
    opt.step()
    assert opt.count == before + 1
