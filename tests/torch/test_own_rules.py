"""Rules of one's own in torch: `rule_optimizer`."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

import ulp  # noqa: E402
import user_rules  # noqa: E402

import lrkern as lk  # noqa: E402
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
