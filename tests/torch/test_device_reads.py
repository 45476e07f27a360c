"""How often a step reads the device: each read waits for it. The engine is that of plain operations, as if far away."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402
from lrkern.torch import operations  # noqa: E402
from lrkern.torch.operations.engine import StepList  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from training import give_gradients, little, same_bits  # noqa: E402

pytestmark = pytest.mark.peers


class Far:
    """An engine whose numbers are on a device."""

    reads = 0

    def __init__(self, tensors):
        self._engine = StepList(tensors)

    def __getattr__(self, name):
        Far.reads += name in ("count", "skipped", "get_updates", "get_recent", "get_scalar_states")
        return getattr(self._engine, name)


@pytest.fixture
def far(monkeypatch):
    monkeypatch.setattr(operations, "BACKEND", operations.BACKEND._replace(StepList=Far, on_device=True))


def reads_of(run):
    before = Far.reads
    run()
    return Far.reads - before


def given(model, seed, *, bad=False, missing=False):
    give_gradients(model, seed)
    if bad:
        model[0].weight.grad[0] = torch.inf
    if missing:
        model[2].bias.grad = None


@pytest.mark.parametrize(
    ("options", "reads"),
    [
        ({}, 0),
        ({"lr": lk.linear(0.1, 0.0, 9), "ema": 0.5, "clip_norm": 1.0, "zero_grad": True}, 0),
        ({"skip_nonfinite": True}, 1),
        ({"skip_norm": 1e9}, 1),
    ],
)
def test_a_step_reads_the_device_only_where_it_may_be_skipped(far, options, reads):
    model = little()
    opt = lt.AdamW(model.parameters(), backend="torch", **options)
    for step in range(6):
        given(model, step, bad=step == 2 and "skip_nonfinite" in options, missing=step in (0, 4))
        if step:
            assert reads_of(opt.step) == reads
        else:
            opt.step()
        assert reads_of(lambda: (opt.count, opt.skipped)) == 0
        engine = opt._bound.core._tensors._engine
        assert (opt.count, opt.skipped) == (engine.count, engine.skipped)
        steps = [int(opt.state[param]["step"]) if param in opt.state else 0 for param in model.parameters()]
        assert steps == engine.get_updates()
        assert opt.param_groups[0]["count"] == opt.count
    assert (opt.count, opt.skipped) == ((5, 1) if "skip_nonfinite" in options else (6, 0))


def test_after_an_error_the_device_is_read(far):
    model = little()
    opt = lt.AdamW(model.parameters(), backend="torch")
    given(model, 0)
    opt.step()
    engine = opt._bound.core._tensors._engine
    run = engine.run
    for after in (False, True):

        def fails(*args, after=after):
            if after:
                run(*args)
            raise KeyboardInterrupt

        engine.run = fails
        with pytest.raises(KeyboardInterrupt):
            opt.step()
        assert opt.count == engine.count == 1 + after
    engine.run = run
    opt.step()
    assert opt.count == engine.count == 3


@pytest.mark.parametrize("backend", ["c", "torch"])
def test_a_scaler_that_skips_leaves_scalar_states(backend):
    model, other = little(), little()
    for one in (model, other):
        opt = lt.NAdam(one.parameters(), lr=0.1, **({} if backend == "c" else {"backend": backend}))
        for step in range(3):
            given(one, step)
            opt.step()
            if one is model:
                opt.found_inf = torch.tensor(1.0)
                opt.step()
                del opt.found_inf
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_graph_cannot_capture_a_step(monkeypatch):
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1)
    given(model, 0)
    opt.step()
    before = [one.detach().clone() for one in model.parameters()]
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    opt._bound._is_cuda = True  # there is no device here
    with pytest.raises(RuntimeError, match=r"SGD.step: it must not be captured in a CUDA graph, because it counts"):
        opt.step()
    assert opt.count == 1
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), before, strict=True))
