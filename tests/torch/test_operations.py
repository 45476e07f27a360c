"""The backend "torch", plain operations on any device: against the C kernels, on CPU tensors."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402
from lrkern import backends  # noqa: E402
from lrkern.torch import memory  # noqa: E402
from lrkern.torch.operations.norms import norm_of  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from training import give_gradients, little, same_bits  # noqa: E402

pytestmark = pytest.mark.peers

NAMES = sorted({*lt.__all__} - {"Scheduler", "from_torch", "rule_optimizer"})
BOUND = {torch.float64: 1e-12, torch.float32: 1e-6}
FLAGS = {
    "SGD": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True},
    "AdamW": {"amsgrad": True, "maximize": True},
    "Adam": {"weight_decay": 0.1, "grokfast_lamb": 2.0, "cautious": "update"},
    "AdaBelief": {"amsgrad": True},
    "LaProp": {"amsgrad": True, "cautious": "update"},
    "MARS": {"amsgrad": True, "cautious": "decay", "weight_decay": 0.1},
    "LAMB": {"weight_decay": 0.1, "convention": "keras"},
    "RMSprop": {"centered": True, "momentum": 0.9},
    "Lion": {"weight_decay": 0.1},
    "LARS": {"momentum": 0.9, "weight_decay": 0.01},
}


def needed(name):
    return {"lr": 0.1} if name == "LARS" else {}


def far(a, b) -> float:
    """The largest difference, relative to the largest element."""
    a, b = a.detach().double(), b.detach().double()
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-30))


def pair(dtype, make):
    """Two models with an optimizer each: of the C kernels, of plain operations."""
    models = [little(dtype), little(dtype)]
    return models, [make(model, backend=backend) for model, backend in zip(models, (None, "torch"), strict=True)]


def run(models, opts, steps=50, *, change=lambda step, model: None):
    for step in range(steps):
        for model, opt in zip(models, opts, strict=True):
            give_gradients(model, step)
            change(step, model)
            opt.step()


def assert_close(models, opts, bound):
    start = little(next(models[0].parameters()).dtype)
    for a, b, before in zip(*(model.parameters() for model in models), start.parameters(), strict=True):
        assert far(b, a) < bound
        assert far(a, before) > 1e-4  # it moved
    for own, other in zip(opts[0].state.values(), opts[1].state.values(), strict=True):
        assert own.keys() == other.keys()
        for key in own:
            assert own[key].dtype == other[key].dtype
            assert far(other[key], own[key]) < 10 * bound, key
    assert opts[0].count == opts[1].count
    assert opts[0].skipped == opts[1].skipped
    assert opts[1].backend == "torch"


@pytest.mark.parametrize("dtype", BOUND, ids=["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_steps_as_in_c(name, dtype):
    for options in ({}, FLAGS[name]) if name in FLAGS else ({},):
        made = pair(dtype, lambda model, options=options, **more: getattr(lt, name)(
            model.parameters(), **{**needed(name), **options, **more}))  # fmt: skip
        run(*made)
        assert_close(*made, BOUND[dtype])


def poisoned(step, model):
    """A gradient that is NaN at some steps, large at others, none at others."""
    first = next(model.parameters())
    if step in (3, 20):
        first.grad[0, 0] = float("nan")
    if step in (12, 30):
        first.grad *= 100.0
    if step % 7 == 5:
        first.grad = None


OPTIONS = {
    "clipping": {"clip_norm": 0.5, "clip_value": 0.1, "skip_nonfinite": True},
    "of groups": {"clip_norm": lk.linear(2.0, 0.5, 30), "clip_per": "group", "skip_nonfinite": True},
    "of tensors": {"clip_norm": 0.5, "clip_per": "tensor", "skip_nonfinite": True, "zero_grad": True},
    "spikes": {"skip_norm": 60.0, "skip_nonfinite": True},
    "deviations": {"skip_sigma": 4.0, "skip_window": 8, "skip_nonfinite": True},
    "averages": {"ema": (0.5, lk.linear(0.9, 0.99, 20)), "ema_every": 3, "skip_nonfinite": True},
    "masks": {"decay_mask": lambda name, one: one.ndim > 1, "skip_nonfinite": True, "norms": True},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_pipeline_is_that_of_c(options):
    def make(model, **more):
        groups = [
            {"params": model[0].parameters(), "lr": lk.cosine(0.1, 0.0, 60).warmup(5)},
            {"params": model[2].parameters(), "lr": 0.02, "betas": (lk.linear(0.5, 0.9, 9), 0.99)},
        ]
        return lt.AdamW(groups, weight_decay=0.1, **options, **more)

    models, opts = pair(torch.float64, make)
    run(models, opts, change=poisoned)
    assert_close(models, opts, 1e-12)
    assert opts[0].skipped >= 2
    assert opts[0].grad_norm == pytest.approx(opts[1].grad_norm, rel=1e-14)
    if options.get("zero_grad"):
        assert all((one.grad == 0).all() for model in models for one in model.parameters() if one.grad is not None)
    if options.get("norms"):
        for part, other in zip(opts[0].norms, opts[1].norms, strict=True):
            for own, found in zip(part, other, strict=True):
                assert (own is None) == (found is None)
                assert own is None or found == pytest.approx(own, rel=1e-12)
    if "ema" in options:
        before = [one.clone() for one in models[1].parameters()]
        with opts[0].averaged(), opts[1].averaged():
            assert all(far(b, a) < 1e-12 for a, b in zip(*(model.parameters() for model in models), strict=True))
            assert any(far(a, b) > 1e-4 for a, b in zip(before, models[1].parameters(), strict=True))
        assert all(same_bits(a, b) for a, b in zip(before, models[1].parameters(), strict=True))


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_narrow_parameters_and_states_are_rounded_to_nearest(name):
    dtype = getattr(torch, name)

    def make(model, **more):
        return lt.SGD(
            model.parameters(), lr=0.1, momentum=0.5, state_dtype="bfloat16", state_rounding="nearest",
            copy_to=[torch.zeros_like(one, dtype=torch.float16) for one in model.parameters()], **more,
        )  # fmt: skip

    models, opts = pair(dtype, make)
    for step in range(20):
        run(models, opts, 1, change=lambda _, model, step=step: give_gradients(model, step))
        # One step from the same values differs by a rounding at most.
        for a, b in zip(*(model.parameters() for model in models), strict=True):
            assert far(b, a) <= 2.0**-7
    for one in opts[1].state.values():
        assert one["momentum_buffer"].dtype is torch.bfloat16
    for own, copy in zip(models[1].parameters(), opts[1].shared["copy_to"], strict=True):
        assert far(copy, own) <= 2.0**-7


def test_the_scale_of_a_scaler_is_divided_out():
    clip_norm = lk.piecewise([1.0, 1000.0], [2])  # the third step is not clipped
    models, opts = pair(torch.float64, lambda model, **more: lt.SGD(model.parameters(), lr=0.1, clip_norm=clip_norm, **more))
    for step in range(4):
        for model, opt in zip(models, opts, strict=True):
            give_gradients(model, step)
            for param in model.parameters():
                param.grad *= 1024.0
            opt.grad_scale, opt.found_inf = torch.tensor(1024.0), torch.tensor(float(step == 1))
            opt.step()
            del opt.grad_scale, opt.found_inf
    assert_close(models, opts, 1e-12)
    assert opts[1].skipped == 1


def test_states_go_from_one_backend_to_the_other():
    models, opts = pair(torch.float64, lambda model, **more: lt.AdamW(model.parameters(), lr=0.1, ema=0.9, **more))
    run(models, opts, 5)
    crossed = [lt.AdamW(model.parameters(), lr=0.1, ema=0.9, backend=backend)
               for model, backend in zip(models, ("torch", None), strict=True)]  # fmt: skip
    for opt, state in zip(crossed, opts, strict=True):
        opt.load_state_dict(state.state_dict())
    run(models, crossed, 5)
    assert_close(models[::-1], crossed[::-1], 1e-12)


def test_a_rule_of_ones_own():
    pytest.importorskip("numba")
    import user_rules

    models, opts = pair(torch.float64, lambda model, **more: lt.rule_optimizer(user_rules.signum)(
        model.parameters(), lr=0.1, **more))  # fmt: skip
    run(models, opts)
    assert_close(models, opts, 1e-12)


def test_strided_complex_and_empty_tensors():
    def params():
        generator = torch.Generator().manual_seed(1)
        shapes = [(4, 3), (0,), (), (2, 3, 4, 5)]
        made = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
        made += [
            torch.randn(5, generator=generator, dtype=torch.complex128),
            made[0].T.clone(memory_format=torch.preserve_format),
        ]
        made[3] = made[3].to(memory_format=torch.channels_last)
        return [torch.nn.Parameter(one) for one in made]

    both = [params(), params()]
    opts = [lt.Adam(some, lr=0.1, backend=backend) for some, backend in zip(both, ("c", "torch"), strict=True)]
    for step in range(5):
        for some, opt in zip(both, opts, strict=True):
            generator = torch.Generator().manual_seed(step)
            for one in some:
                one.grad = torch.randn(one.shape, generator=generator, dtype=one.dtype)
            opt.step()
    for a, b in zip(*both, strict=True):
        a, b = (torch.view_as_real(one.detach()) if one.is_complex() else one for one in (a, b))
        assert a.numel() == 0 or far(b, a) < 1e-12
        assert a.stride() == b.stride()


def test_norms_of_float64_do_not_overflow():
    values = torch.tensor([3e200, 4e200], dtype=torch.float64)
    assert float(norm_of([values])) == pytest.approx(5e200, rel=1e-15)
    assert float(norm_of([values * 1e-200 * 1e-200, values * 0])) == pytest.approx(5e-200, rel=1e-15)
    assert float(norm_of([values, torch.tensor([float("inf")], dtype=torch.float64)])) == float("inf")
    assert float(norm_of([torch.tensor([3e30]), torch.tensor([4e30])])) == pytest.approx(5e30)


REFUSED = [
    ({"rounding": "stochastic"}, ValueError, "rounding must be 'nearest' with backend 'torch'; got 'stochastic'"),
    ({"rounding": "split"}, ValueError, "rounding must be 'nearest' with backend 'torch'; got 'split'"),
    ({"state_dtype": "bfloat16"}, ValueError, "state_rounding must be 'nearest' with backend 'torch' and states of 16 bits"),
    ({"betas": (0.9, 1.0)}, ValueError, "beta2 must be"),
]


@pytest.mark.parametrize(("options", "error", "message"), REFUSED)
def test_what_is_not_available_is_refused_when_the_optimizer_is_made(options, error, message):
    with pytest.raises(error, match=f"AdamW: {message}"):
        lt.AdamW(little().parameters(), backend="torch", **options)


def test_other_backends_are_named():
    with pytest.raises(ValueError, match=r"SGD: backend must be 'c', 'numba', 'cuda' or 'torch'; got 'fortran'"):
        lt.SGD(little().parameters(), backend="fortran")


def test_errors_of_steps():
    model = little()
    opt = lt.SGD(model.named_parameters(), lr=0.1, error_if_nonfinite=True, backend="torch")
    give_gradients(model, 0)
    model[0].weight.grad[2, 1] = float("inf")
    before = [one.detach().clone() for one in model.parameters()]
    message = r"SGD.step: grads must be finite with error_if_nonfinite; got inf in grads\['0.weight'\] at \[2, 1\]"
    with pytest.raises(ValueError, match=message):
        opt.step()
    assert all(same_bits(a, b) for a, b in zip(before, model.parameters(), strict=True))
    opt = lt.SGD(model.parameters(), lr=lambda step: -1.0, backend="torch")
    with pytest.raises(ValueError, match="SGD, step 0: lr must be"):
        opt.step()
    table = torch.nn.Embedding(5, 3, sparse=True)
    opt = lt.SGD(table.parameters(), lr=0.1, backend="torch")
    table(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(TypeError, match=r"SGD.step: the gradient of params\[0\] must be dense with backend 'torch'"):
        opt.step()
    with pytest.raises(ValueError, match=r"parameters must be stepped in C; got backend 'torch'"):
        lt.SGD(model.parameters(), lr=0.1, backend="torch").attach(model)


def test_devices_without_kernels_get_plain_operations(monkeypatch):
    def on(kind):
        return [SimpleNamespace(device=SimpleNamespace(type=kind))]

    for kind in ("mps", "xpu", "hpu", "privateuseone"):
        assert isinstance(memory.memory_of("SGD", on(kind), None), memory.AnyMemory)
        with pytest.raises(ValueError, match=f"SGD: backend must be None or 'torch' for tensors on {kind}; got 'c'"):
            memory.memory_of("SGD", on(kind), "c")
    for usable, found in ((False, memory.AnyMemory), (True, memory.CUDAMemory)):
        monkeypatch.setattr(backends, "status", lambda name, usable=usable: backends.Status(usable, ""))
        assert type(memory.memory_of("SGD", on("cuda"), None)) is found
        assert type(memory.memory_of("SGD", on("cuda"), "cuda")) is memory.CUDAMemory
        assert type(memory.memory_of("SGD", on("cuda"), "torch")) is memory.AnyMemory
    monkeypatch.setattr(torch.version, "hip", "6.0")
    assert type(memory.memory_of("SGD", on("cuda"), None)) is memory.AnyMemory
