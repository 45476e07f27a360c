"""Rules of one's own in torch, and options of the pipeline that the adapter hands on."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llvmlite")

import ulp  # noqa: E402
import user_rules  # noqa: E402

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402
from lrkern.torch import rule_optimizer  # noqa: E402

pytestmark = pytest.mark.peers


def test_a_rule_steps_tensors_as_arrays():
    for rule in (user_rules.signum, user_rules.adam):
        made = rule_optimizer(rule)
        rng = np.random.default_rng(1)
        arrays = [rng.standard_normal(shape).astype(np.float32) for shape in ((4, 3), (5,))]
        tensors = [torch.nn.Parameter(torch.from_numpy(one.copy())) for one in arrays]
        opt = made(tensors, lr=lk.linear(0.5, 0.0, 8), weight_decay=0.1)
        own = rule.Optimizer(arrays, lr=lk.linear(0.5, 0.0, 8), weight_decay=0.1)
        for _ in range(3):
            grads = [rng.standard_normal(one.shape).astype(np.float32) for one in arrays]
            for tensor, grad in zip(tensors, grads, strict=True):
                tensor.grad = torch.from_numpy(grad.copy())
            opt.step()
            own.step(grads)
        for tensor, array in zip(tensors, arrays, strict=True):
            ulp.assert_same_bits(tensor.detach().numpy(), array, rule.name)
        state = opt.state_dict()["state"][0]
        assert set(rule.states) <= set(state)
        assert isinstance(opt, torch.optim.Optimizer)
        assert opt.param_groups[0]["lr"] == lk.linear(0.5, 0.0, 8)(3)  # of the next step, as `opt.lr`
        assert opt.backend == "c"


def stepped(opt, param, grads):
    for grad in grads:
        param.grad = torch.tensor(grad)
        opt.step()


def test_several_averages():
    grads = [[0.5, -1.0], [0.25, 2.0], [1.0, 1.0]]
    param, array = torch.nn.Parameter(torch.zeros(2)), np.zeros(2, np.float32)
    opt, own = lt.SGD([param], lr=0.5, ema=(0.5, 0.75)), lk.SGD([array], lr=0.5, ema=(0.5, 0.75))
    stepped(opt, param, grads)
    for grad in grads:
        own.step([np.array(grad, np.float32)])
    state = opt.state_dict()["state"][0]
    for name, average in zip(("ema", "second_ema"), own.ema_params, strict=True):
        ulp.assert_same_bits(state[name].numpy(), average[0], name)


def test_grokfast_in_torch():
    """Bits, state dict and a resumed run."""
    rng = np.random.default_rng(4)
    start = rng.standard_normal((5, 3)).astype(np.float32)
    grads = [rng.standard_normal((5, 3)).astype(np.float32) for _ in range(6)]
    options = {"lr": 0.01, "grokfast_lamb": 2.0, "grokfast_alpha": 0.9}
    array, param = start.copy(), torch.nn.Parameter(torch.from_numpy(start.copy()))
    own, opt = lk.AdamW([array], **options), lt.AdamW([param], **options)
    for grad in grads[:3]:
        own.step([grad])
    stepped(opt, param, grads[:3])
    ulp.assert_same_bits(param.detach().numpy(), array, "parameters")
    ulp.assert_same_bits(opt.state_dict()["state"][0]["grad_ema"].numpy(), own.state_dict()["grad_emas"][0], "grad_ema")
    assert opt.param_groups[0]["grokfast_lamb"] == 2.0
    again = torch.nn.Parameter(param.detach().clone())
    resumed = lt.AdamW([again], **options)
    resumed.load_state_dict(opt.state_dict())
    stepped(opt, param, grads[3:])
    stepped(resumed, again, grads[3:])
    assert torch.equal(param.detach(), again.detach())


def test_recent_norms_survive_what_is_skipped_and_rebound():
    for between in ("found_inf", "add_group"):
        param = torch.nn.Parameter(torch.zeros(1))
        opt = lt.SGD([param], lr=0.5, skip_sigma=3.0, skip_window=4)
        stepped(opt, param, [[1.0], [2.0], [1.0], [2.0]])
        if between == "found_inf":
            opt.found_inf = torch.tensor(1.0)
            opt.step()
            del opt.found_inf
        else:
            opt.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]})
        before, skipped = param.detach().clone(), opt.skipped
        stepped(opt, param, [[1000.0]])
        assert torch.equal(param.detach(), before), between
        assert opt.skipped == skipped + 1


@pytest.mark.parametrize("options", [{"skip_norm": 1.0}, {"skip_sigma": 3.0}, {"norms": True}])
def test_gradient_release_refuses_what_needs_all_gradients(options):
    opt = lt.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5, **options)
    with pytest.raises(ValueError, match=rf"attach: {next(iter(options))} must be off"):
        opt.attach()
