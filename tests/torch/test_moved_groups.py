"""Groups that are removed, reordered, replaced and appended in `param_groups` keep what is theirs."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from training import same_bits  # noqa: E402

pytestmark = pytest.mark.peers

SCHEDULES = [lk.linear(0.5, 0.0, 8), lambda step: 0.25 / (step + 1), lk.constant(0.125), 0.75]


def made(n=4):
    params = [torch.nn.Parameter(torch.ones(2)) for _ in range(n)]
    groups = [{"params": [one], "lr": lr} for one, lr in zip(params, SCHEDULES, strict=False)]
    return params, lt.SGD(groups, lr=1.0, momentum=lk.constant(0.5))


def rate(k, step):
    return SCHEDULES[k](step) if callable(SCHEDULES[k]) else SCHEDULES[k]


def step(opt, params):
    for one in params:
        one.grad = torch.ones_like(one)
    opt.step()


def popped(opt):
    opt.param_groups.pop(0)


def removed(opt):
    del opt.param_groups[1]


def reversed_(opt):
    opt.param_groups.reverse()


def assigned(opt):
    opt.param_groups = opt.param_groups[2:]


def replaced(opt):
    opt.param_groups[:] = [{**group} for group in opt.param_groups]


def replaced_and_reversed(opt):
    opt.param_groups = [{**group} for group in reversed(opt.param_groups)]


def moved_to_the_end(opt):
    opt.param_groups.append(opt.param_groups.pop(0))


CHANGES = [popped, removed, reversed_, assigned, replaced, replaced_and_reversed, moved_to_the_end]
THEN = {
    "a step": lambda opt: None,
    "a state": lambda opt: opt.state_dict(),
    "a group more": lambda opt: opt.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]}),
    "an option set": lambda opt: opt.set("weight_decay", 0.0),
    "a look": lambda opt: opt.has_schedule(0, "lr"),
}


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("then", THEN)
@pytest.mark.parametrize("change", CHANGES)
def test_groups_keep_their_schedules(change, then, steps):
    params, opt = made()
    plain = [torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0, momentum=0.5) for _ in params]

    def step_plain(there):
        for k in there:
            [group] = plain[k].param_groups
            group["lr"] = rate(k, opt.count)
            step(plain[k], group["params"])

    def there():
        return [k for k, one in enumerate(params) if any(one is group["params"][0] for group in opt.param_groups)]

    for n in range(4):
        if n == steps:
            change(opt)
            if then == "a state" and steps and len(there()) < 4:
                continue  # torch has no number for states of other parameters
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                THEN[then](opt)
        step_plain(there())
        step(opt, [params[k] for k in there()])
    for k in there():
        assert same_bits(params[k], plain[k].param_groups[0]["params"][0])
        [group] = [group for group in opt.param_groups if group["params"][0] is params[k]]
        assert group["lr"] == rate(k, opt.count)
        texts = {"lr": repr(SCHEDULES[k])} if k in (0, 2) else {}
        assert group["schedules"] == {**texts, "momentum": "constant(0.5)"}


def test_a_value_written_to_a_group_moves_with_it():
    params, opt = made()
    opt.param_groups[2]["lr"] = 0.5
    opt.param_groups.pop(0)
    with pytest.warns(UserWarning, match=r"lr of param_groups\[1\] is a schedule"):
        step(opt, params)
    assert params[2].tolist() == [0.5] * 2
    assert opt.param_groups[1]["lr"] == 0.125


@pytest.mark.parametrize("steps", [0, 1])
def test_a_dict_appended_is_a_group(steps):
    params, opt = made(2)
    for _ in range(steps):
        step(opt, params)
    new = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    opt.param_groups.append({"params": [new[0]]})
    own = {"params": new[1], "lr": lk.linear(0.5, 0.0, 8), "momentum": 0.0}
    opt.param_groups.insert(0, own)
    step(opt, [*params, *new])
    assert new[0].tolist() == [0.0] * 2  # lr=1.0 is that of the optimizer
    assert new[1].tolist() == [1.0 - lk.linear(0.5, 0.0, 8)(steps)] * 2
    assert opt.param_groups[0] is own
    assert (own["lr"], own["count"]) == (lk.linear(0.5, 0.0, 8)(steps + 1), steps + 1)
    assert [len(group["params"]) for group in opt.param_groups] == [1] * 4
    again = lt.SGD([{"params": group["params"]} for group in opt.param_groups])
    again.load_state_dict(opt.state_dict())
    assert [group["schedules"] for group in again.param_groups[::3]] == [
        {"lr": "linear(0.5, 0.0, 8)"},
        {"momentum": "constant(0.5)"},
    ]


@pytest.mark.parametrize(
    ("group", "error", "message"),
    [
        ({"params": [], "lr": -1.0}, ValueError, "lr must be"),
        ({"params": [], "lrr": 1.0, "beta1": 0.5, "clip_norm": 1.0}, TypeError, "SGD.param_groups: clip_norm must be the same"),
        ({"lr": 1.0}, ValueError, "SGD.param_groups: a group must have params; got lr"),
        (3, TypeError, "param_group must be a dict"),
    ],
)
def test_an_invalid_one_is_refused_until_it_is_gone(group, error, message):
    params, opt = made(2)
    step(opt, params)
    before = dict(group) if isinstance(group, dict) else group
    opt.param_groups.insert(0, group)
    for look in (lambda: step(opt, params), opt.state_dict, lambda: opt.add_param_group({"params": []})):
        with pytest.raises(error, match=message):
            look()
    assert opt.param_groups[0] == before
    assert len(opt.param_groups) == 3
    del opt.param_groups[0]
    step(opt, params)
    assert opt.count == 2


def test_a_group_taken_out_keeps_its_schedule_for_later():
    params, opt = made()
    step(opt, params)
    group = opt.param_groups.pop(0)
    step(opt, params[1:])
    opt.add_param_group(group)
    assert opt.param_groups[3]["lr"] == rate(0, 2)
    group = opt.param_groups.pop()
    step(opt, params[1:])
    opt.param_groups.append({**group, "lr": 0.3})  # no longer the schedule's value
    step(opt, params)
    assert opt.param_groups[3]["lr"] == 0.3
    assert opt.param_groups[3]["schedules"] == {"momentum": "constant(0.5)"}


def test_with_attach():
    params, opt = made()
    opt.attach()

    def backward():
        sum([one.sum() for one in params]).backward()

    backward()
    opt.step()
    before = [one.detach().clone() for one in params]
    opt.param_groups.pop(0)
    opt.param_groups.reverse()
    backward()
    opt.step()
    assert same_bits(params[0], before[0])
    assert params[0].grad is not None  # nobody has stepped it
    for k in (1, 2, 3):
        assert same_bits(params[k], before[k] - 1.5 * rate(k, 1))
        assert params[k].grad is None


@pytest.mark.parametrize("name", ["copy_to", "decay_mask"])
def test_options_by_the_order_of_parameters_want_it_kept(name):
    params = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    values = {"copy_to": [torch.zeros(2), torch.zeros(2)], "decay_mask": [[True], [False]]}[name]
    opt = lt.SGD([{"params": [one]} for one in params], lr=0.5, **{name: values})
    step(opt, params)
    opt.param_groups.reverse()
    with pytest.raises(ValueError, match=f"SGD.param_groups: groups must stay in their order, by which {name} goes"):
        step(opt, params)
    opt.param_groups.reverse()
    step(opt, params)
    assert params[0].tolist() == [0.0] * 2


def test_no_groups():
    params, opt = made(2)
    step(opt, params)
    opt.param_groups.clear()
    with pytest.raises(ValueError, match="SGD: param_groups must have at least one group; got none"):
        opt.step()
    opt.state.clear()
    assert opt.state_dict() == {"state": {}, "param_groups": []}
    opt.load_state_dict(opt.state_dict())
    opt.add_param_group({"params": params, "lr": lk.constant(0.5), "momentum": 0.0})
    before = params[0].detach().clone()
    step(opt, params)
    assert same_bits(params[0], before - 0.5)
