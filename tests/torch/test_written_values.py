"""What is written over a hyper-parameter of a group counts, whenever it is written."""

from __future__ import annotations

import copy
import pickle
import sys
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from training import same_bits, through_a_file  # noqa: E402

pytestmark = pytest.mark.peers


def made(lr, **options):
    param = torch.nn.Parameter(torch.ones(2))
    return param, lt.SGD([param], lr=lr, **options)


def step(opt, times=1):
    for _ in range(times):
        for group in opt.param_groups:
            for param in group["params"]:
                param.grad = torch.ones_like(param)
        opt.step()


BEFORE = {
    "the first step": lambda opt: None,
    "the first step, seen": lambda opt: opt.backend and None,
    "a state is loaded": lambda opt: opt.load_state_dict(opt.state_dict()),
}
AFTER = {
    "nothing": lambda opt: opt,
    "a group is added": lambda opt: opt.add_param_group({"params": [torch.nn.Parameter(torch.zeros(2))]}) or opt,
    "the state is cleared": lambda opt: opt.state.clear() or opt,
    "a parameter moves": lambda opt: [setattr(one, "data", one.data.clone()) for one in opt.param_groups[0]["params"]] and opt,
    "it is copied": copy.deepcopy,
    "it is pickled": lambda opt: pickle.loads(pickle.dumps(opt)),
    "another option is set": lambda opt: opt.set("weight_decay", lk.constant(0.0)) or opt,
    "its state is taken": lambda opt: opt.state_dict() and opt,
}


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("after", AFTER)
def test_a_number_over_a_schedule_holds_for_one_step(steps, before, after):
    _, opt = made(lk.constant(0.125))
    step(opt, steps)
    BEFORE[before](opt)
    opt.param_groups[0]["lr"] = 0.5
    opt = AFTER[after](opt)
    [param] = opt.param_groups[0]["params"]
    begin = param[0].item()
    with pytest.warns(UserWarning, match=r"SGD.step: lr of param_groups\[0\] is a schedule") as caught:
        step(opt)
    assert caught[0].filename == __file__
    assert param.tolist() == [begin - 0.5] * 2
    assert opt.param_groups[0]["lr"] == 0.125
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(opt)
    assert param.tolist() == [begin - 0.625] * 2


def test_nothing_written_is_no_change():
    _, opt = made(lk.linear(0.5, 0.0, 8), momentum=lk.linear(0.0, 0.5, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for change in [*BEFORE.values(), *AFTER.values()]:
            for _ in range(2):
                opt.param_groups[0]["lr"] = torch.tensor(opt.param_groups[0]["lr"], dtype=torch.float64)
                opt = change(opt) or opt
                step(opt)
            assert opt.param_groups[0]["lr"] == lk.linear(0.5, 0.0, 8)(opt.count)


@pytest.mark.parametrize("member", [0, 1])
def test_members_of_tuples_are_schedules_of_their_own(member):
    params = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    betas = [lk.constant(0.5), 0.75]
    opt = lt.AdamW([params[0]], betas=tuple(betas))
    plain = lt.AdamW([params[1]], betas=(0.5, 0.75))
    written = [0.5, 0.75]
    written[member] = 0.25
    opt.param_groups[0]["betas"] = plain.param_groups[0]["betas"] = tuple(written)
    with pytest.warns(UserWarning, match="beta1") if member == 0 else warnings.catch_warnings():
        step(opt)
    step(plain)
    if member == 0:
        plain.param_groups[0]["betas"] = (0.5, 0.75)
    step(opt)
    step(plain)
    assert same_bits(*params)


@pytest.mark.parametrize("steps", [0, 1])
def test_values_within_lists_and_tensors_of_tuples_count(steps):
    params = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
    beta = torch.tensor(0.5)
    listed, tensors, plain = [
        lt.AdamW([one], betas=betas) for one, betas in zip(params, ([0.5, 0.75], (beta, 0.75), (0.5, 0.75)), strict=True)
    ]
    for opt in (listed, tensors, plain):
        step(opt, steps)
    listed.param_groups[0]["betas"][0] = 0.25
    beta.fill_(0.25)
    plain.param_groups[0]["betas"] = (0.25, 0.75)
    for opt in (listed, tensors, plain):
        step(opt, 2)
    assert same_bits(params[0], params[2])
    assert same_bits(params[1], params[2])


@pytest.mark.parametrize("steps", [0, 2])
def test_a_mask_may_be_changed_in_place_and_an_average_begun(steps):
    params = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    opt = lt.SGD([{"params": params, "decay_mask": [True, False]}], lr=0.5, weight_decay=0.5)
    for _ in range(steps + 1):
        if opt.count == steps:
            opt.param_groups[0]["decay_mask"][1] = True
            opt.param_groups[0]["ema"] = 0.5
        for param in params:
            param.grad = torch.zeros(2)
        opt.step()
    assert params[1].tolist() == [0.75] * 2
    assert "ema" in opt.state[params[0]]
    del opt.param_groups[0]["ema"]
    step(opt)
    assert "ema" not in opt.state_dict()["param_groups"][0]


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("after", AFTER)
def test_a_schedule_written_over_a_number_counts(steps, after):
    lr = lk.linear(0.5, 0.0, 8)
    _, opt = made(0.125)
    step(opt, steps)
    opt.param_groups[0]["lr"] = lr
    opt = AFTER[after](opt)
    [param] = opt.param_groups[0]["params"]
    for _ in range(3):
        begin, rate = param[0].item(), lr(opt.count)
        step(opt)
        assert param.tolist() == [begin - rate] * 2
        assert opt.param_groups[0]["lr"] == lr(opt.count)
    state = through_a_file(opt.state_dict())
    assert state["param_groups"][0]["schedules"]["lr"] == repr(lr)


def test_a_schedule_written_before_a_state_is_taken_or_loaded():
    _, opt = made(0.125)
    opt.param_groups[0]["lr"] = lk.linear(0.5, 0.0, 8)
    state = through_a_file(opt.state_dict())
    assert (state["param_groups"][0]["lr"], state["param_groups"][0]["schedules"]) == (0.5, {"lr": "linear(0.5, 0.0, 8)"})
    _, opt = made(0.125)
    opt.param_groups[0]["lr"] = lk.constant(0.25)
    with pytest.warns(UserWarning, match="lr of param_groups.* continues with another schedule"):
        opt.load_state_dict(state)
    assert opt.param_groups[0]["lr"] == 0.25


def test_with_attach():
    param, opt = made(lk.constant(0.125))
    opt.attach()

    def backward():
        (param * torch.ones(2)).sum().backward()

    opt.param_groups[0]["lr"] = 0.5
    with pytest.warns(UserWarning, match="one step"):
        backward()
    assert param.tolist() == [0.5] * 2
    opt.param_groups[0]["lr"] = 0.25  # the parameter has been stepped: it is for the next step
    opt.step()
    assert opt.param_groups[0]["lr"] == 0.25
    with pytest.warns(UserWarning, match="one step"):
        backward()
    opt.step()
    assert param.tolist() == [0.25] * 2
    backward()
    opt.step()
    assert param.tolist() == [0.125] * 2
