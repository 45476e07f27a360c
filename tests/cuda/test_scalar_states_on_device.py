"""Rules that keep numbers of tensors, or look at whole tensors, on a device: the bits are those of the C kernels."""

from __future__ import annotations

import numpy as np
import pytest
from device_steps import (
    CHUNK,
    MARKS,
    compare,
    in_either_order,  # noqa: F401
    make,
    on_device,
)

import lrkern as lk

pytestmark = MARKS

CASES = [
    ("NAdam", {"weight_decay": 0.1}),
    ("ASGD", {"t0": 0.0, "lambd": 0.01}),
    ("StableAdamW", {}),
    ("MARS", {}),
    ("NovoGrad", {"weight_decay": 0.1}),
    ("ScheduleFreeSGD", {"lr": lk.linear(0.1, 0.2, 3), "r": 0.5}),
    ("ScheduleFreeAdamW", {}),
    ("ScheduleFreeRAdam", {"silent": False}),
    ("AdamW", {"cautious": "update", "weight_decay": 0.1}),
    ("AdamW", {"cautious": "update", "amsgrad": True, "convention": "optax", "weight_decay": 0.1}),
    ("AdamW", {"grokfast_lamb": 2.0, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "grokfast_lamb": lk.linear(0.5, 2.0, 3), "momentum": 0.9, "cautious": "update"}),
    ("MARS", {"amsgrad": True, "cautious": "decay", "weight_decay": 0.1}),
    ("LAMB", {"convention": "keras", "weight_decay": 0.1}),
    ("Lion", {"cautious": "decay", "weight_decay": 0.1}),
]


@pytest.mark.parametrize(("name", "options"), CASES, ids=[name for name, _ in CASES])
def test_same_bits(name, options):
    rng = np.random.default_rng(1)
    sizes = [5, 0, CHUNK + 3]
    compare(name, make(rng, sizes, np.float32), [make(rng, sizes, np.float32) for _ in range(3)], **options)


@pytest.mark.parametrize("norms", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_rates_of_rows_share_a_scalar_state(norms):
    rng = np.random.default_rng(3)
    lrs = np.array([0.1, 0.2, 0.3])
    params, grads = make(rng, [(3, 5)], np.float32), [make(rng, [(3, 5)], np.float32) for _ in range(3)]
    compare("NAdam", params, grads, lr=lrs, norms=norms)


def test_scalar_states_are_part_of_the_state():
    rng = np.random.default_rng(2)
    start, grads = make(rng, [7, 3], np.float32), [make(rng, [7, 3], np.float32) for _ in range(4)]
    given = [on_device(one) for one in start]
    opt = lk.NAdam(given, 0.01)
    for grad in grads[:2]:
        opt.step([on_device(one) for one in grad])
    state = opt.state_dict()
    own = [one.copy() for one in start]
    other = lk.NAdam(own, 0.01)
    for grad in grads[:2]:
        other.step(grad)
    assert state["scalars"] == other.state_dict()["scalars"]
    again = lk.NAdam([on_device(one) for one in own], 0.01)
    again.load_state_dict(state)
    again.step([on_device(one) for one in grads[2]])
    other.step(grads[2])
    assert again.state_dict()["scalars"] == other.state_dict()["scalars"]


def test_a_skipped_step_keeps_scalar_states():
    opt = lk.NAdam([on_device(np.ones(5, np.float32))], 0.01, skip_nonfinite=True)
    opt.step([on_device(np.ones(5, np.float32))])
    before = opt.state_dict()["scalars"]
    opt.step([on_device(np.full(5, np.inf, np.float32))])
    assert opt.state_dict()["scalars"] == before
