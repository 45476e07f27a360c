"""States: round trips, torch's own both ways, files, schedules that travel, copies, a resume in another process."""

from __future__ import annotations

import copy
import gc
import pickle
import re
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
import training  # noqa: E402
from training import give_gradients, little, same_bits, through_a_file  # noqa: E402

pytestmark = pytest.mark.peers

TWINS = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    ("SGD", {"lr": 0.1}),
    ("Adam", {}),
    ("AdamW", {"amsgrad": True}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adagrad", {"initial_accumulator_value": 0.1}),
    ("Adadelta", {}),
    ("Adamax", {}),
    ("RAdam", {}),
    ("Rprop", {}),
]
OTHERS = [name for name in lt.__all__ if name in dir(lk) and name not in dir(torch.optim)]


def make(module, name, model, **options):
    if name == "LARS":
        options = {"lr": 0.1, **options}
    return getattr(module, name)(model.parameters(), **options)


def steps(model, opt, begin, count):
    for step in range(begin, begin + count):
        give_gradients(model, step)
        opt.step()


def close(a, b):
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert float(((p - q).abs() / q.abs().max()).detach().max()) < 1e-12


@pytest.mark.parametrize(("name", "options"), TWINS)
@pytest.mark.parametrize("ours_first", [True, False])
def test_a_state_continues_in_the_other_library(name, options, ours_first):
    model, other = little(torch.float64), little(torch.float64)
    first, second = (lt, torch.optim) if ours_first else (torch.optim, lt)
    opt = make(first, name, model, **options)
    steps(model, opt, 0, 7)
    reference, whole = little(torch.float64), None
    whole = make(torch.optim, name, reference, **options)
    steps(reference, whole, 0, 7)
    other.load_state_dict(model.state_dict())
    again = make(second, name, other, **{**options, "lr": 0.77})  # the state's lr counts
    again.load_state_dict(through_a_file(opt.state_dict()))
    steps(other, again, 7, 7)
    steps(reference, whole, 7, 7)
    close(other, reference)
    if not ours_first and name != "SGD":  # torch's SGD does not count
        assert again.count == 14


@pytest.mark.parametrize(("name", "options"), [*TWINS, *((name, {}) for name in OTHERS)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_round_trip_changes_no_bit(name, options, dtype):
    dtype = getattr(torch, dtype)
    model, other = little(dtype), little(dtype)
    shared = {"ema": 0.9, "rounding": "split" if dtype is torch.bfloat16 else "nearest", "seed": 7}
    opt = make(lt, name, model, **options, **shared)
    steps(model, opt, 0, 5)
    other.load_state_dict(model.state_dict())
    again = make(lt, name, other, **options, **shared)
    again.load_state_dict(through_a_file(opt.state_dict()))
    for own, one in zip(opt.state_dict()["state"].values(), again.state_dict()["state"].values(), strict=True):
        assert own.keys() == one.keys()
        assert all(same_bits(own[key], one[key]) for key in own)
    steps(model, opt, 5, 5)
    steps(other, again, 5, 5)
    assert all(same_bits(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True))
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert all(same_bits(opt.state[p][key], again.state[q][key]) for key in opt.state[p])
    assert again.count == opt.count == 10


def test_states_of_bfloat16_parameters_stay_float32():
    model = little(torch.bfloat16)
    opt = lt.AdamW(model.parameters())
    steps(model, opt, 0, 3)
    again = lt.AdamW(model.parameters())
    again.load_state_dict(opt.state_dict())
    for state in (opt.state, again.state):
        assert {one["exp_avg"].dtype for one in state.values()} == {torch.float32}
    theirs = torch.optim.AdamW(model.parameters())
    theirs.load_state_dict(opt.state_dict())
    assert {one["exp_avg"].dtype for one in theirs.state.values()} == {torch.bfloat16}


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_continue_on_their_own(how):
    model = little()
    opt = lt.AdamW(model.parameters(), lr=lk.cosine(0.1, 0.0, 20), clip_norm=1.0)
    steps(model, opt, 0, 4)
    both = (model, opt)
    other, again = copy.deepcopy(both) if how == "deepcopy" else pickle.loads(pickle.dumps(both))
    assert again.count == 4
    steps(model, opt, 4, 4)
    before = [p.clone() for p in other.parameters()]
    steps(other, again, 4, 4)
    assert all(same_bits(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True))
    assert any((p != q).any() for p, q in zip(before, other.parameters(), strict=True))
    assert again.param_groups[0]["lr"] == opt.param_groups[0]["lr"] == lk.cosine(0.1, 0.0, 20)(8)


def test_the_schedule_travels_as_text_and_is_taken_up():
    model = little()
    opt = lt.AdamW(model.parameters(), lr=lk.cosine(0.1, 0.0, 20), betas=(lk.linear(0.5, 0.9, 9), 0.99))
    steps(model, opt, 0, 6)
    state = through_a_file(opt.state_dict())
    assert state["param_groups"][0]["schedules"] == {"lr": "cosine(0.1, 0.0, 20)", "beta1": "linear(0.5, 0.9, 9)"}
    again = lt.AdamW(model.parameters(), lr=0.5)
    again.load_state_dict(state)
    assert again.param_groups[0]["lr"] == lk.cosine(0.1, 0.0, 20)(6)
    steps(model, again, 6, 1)
    assert again.param_groups[0]["lr"] == lk.cosine(0.1, 0.0, 20)(7)
    assert again.param_groups[0]["betas"] == (lk.linear(0.5, 0.9, 9)(7), 0.99)
    same = lt.AdamW(model.parameters(), lr=lk.cosine(0.1, 0.0, 20))
    same.load_state_dict(state)  # no warning


def test_another_schedule_is_reported():
    model = little()
    opt = lt.SGD(model.parameters(), lr=lk.cosine(0.1, 0.0, 20))
    steps(model, opt, 0, 6)
    again = lt.SGD(model.parameters(), lr=lk.cosine(0.1, 0.0, 40))
    with pytest.warns(UserWarning, match=r"SGD.load_state_dict: lr of param_groups\[0\] continues with another schedule"):
        again.load_state_dict(opt.state_dict())
    assert again.param_groups[0]["lr"] == lk.cosine(0.1, 0.0, 40)(6)


def half(step):
    return 0.5


def state_of(lr, *, module=lt, scheduled=False, **options):
    """A state after 4 steps; its scheduler, if it has one, is torch's."""
    model = little()
    opt = module.AdamW(model.parameters(), lr=lr, **options)
    if scheduled:
        torch.optim.lr_scheduler.LambdaLR(opt, lambda step: 1.0)
    steps(model, opt, 0, 4)
    return opt.state_dict()


COSINE = lk.cosine(0.1, 0.0, 100)
DIFFERENT = {
    "a schedule and a function": (lambda: state_of(COSINE), {"lr": half}, f"lr of .*: at step 4: 0.5 instead of {COSINE(4)}"),
    "a function and another": (lambda: state_of(lambda step: 0.25), {"lr": half}, "lr of .*: at step 4: 0.5 instead of 0.25"),
    "a number and a function": (lambda: state_of(0.25), {"lr": half}, "lr of .*: at step 4: 0.5 instead of 0.25"),
    "a number and a schedule": (
        lambda: state_of(0.1),
        {"lr": lk.linear(5.0, 0.0, 10)},
        "lr of .*: at step 4: 3.0 instead of 0.1",
    ),
    "a number that differs later": (
        lambda: state_of(0.1),
        {"lr": lk.piecewise([0.1, 0.2], [9])},
        "values differ from step 9 on",
    ),
    "a number of torch": (
        lambda: state_of(0.1, module=torch.optim),
        {"lr": lk.piecewise([0.1, 0.2], [9])},
        "values differ from step 9 on",
    ),
    "a tensor of torch": (
        lambda: state_of(torch.tensor(0.25), module=torch.optim),
        {"lr": half},
        "at step 4: 0.5 instead of 0.25",
    ),
    "a value of torch's scheduler": (
        lambda: state_of(0.25, module=torch.optim, scheduled=True),
        {"lr": COSINE},
        f"lr of .*: at step 4: {COSINE(4)} instead of 0.25",
    ),
    "a part of a tuple": (
        lambda: state_of(0.1),
        {"lr": 0.1, "beta1": lk.linear(0.5, 0.9, 9)},
        "beta1 of .*: at step 4: .* instead of 0.9",
    ),
    "not a number": (lambda: state_of(lambda step: 0.5 if step < 4 else float("nan")), {"lr": half}, "0.5 instead of nan"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_any_other_schedule_is_reported(case):
    state, options, message = DIFFERENT[case]
    again = lt.AdamW(little().parameters(), **options)
    match = r"AdamW.load_state_dict: .* continues with another schedule than in the state: "
    with pytest.warns(UserWarning, match=match) as caught:
        again.load_state_dict(state())
    [one] = caught
    assert re.search(message, str(one.message))
    assert one.filename == __file__


SAME = {
    "a function": (lambda: state_of(half), {"lr": half}),
    "a function like a schedule": (lambda: state_of(COSINE), {"lr": lambda step: COSINE(step)}),
    "a constant": (lambda: state_of(0.25), {"lr": lk.constant(0.25)}),
    "the value of torch's scheduler at the step": (
        lambda: state_of(COSINE(4), module=torch.optim, scheduled=True),
        {"lr": COSINE},
    ),
    "a single precision tensor": (
        lambda: state_of(torch.tensor(0.1), module=torch.optim, scheduled=True),
        {"lr": lk.piecewise([0.1, 0.2], [9])},
    ),
    "no such option": (lambda: state_of(0.1, module=torch.optim), {"lr": 0.1, "grokfast_lamb": lk.linear(0.0, 2.0, 9)}),
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_schedule_is_not_reported(case):
    state, options = SAME[case]
    again = lt.AdamW(little().parameters(), **options)
    again.load_state_dict(state())
    assert again.count == 4


def test_a_schedule_of_a_group_over_a_number_is_reported():
    params = [*little().parameters()]
    state = lt.AdamW([{"params": params, "ema": 0.5}]).state_dict()
    again = lt.AdamW([{"params": params, "ema": lk.linear(0.25, 0.5, 9)}])
    with pytest.warns(UserWarning, match=r"ema of param_groups\[0\] continues with another .* at step 0: 0.25 instead of 0.5"):
        again.load_state_dict(state)


def test_bad_states_change_nothing():
    model = little()
    opt = lt.SGD(model.parameters(), lr=lk.cosine(0.1, 0.0, 20), momentum=0.9)
    steps(model, opt, 0, 2)
    state = copy.deepcopy(opt.state_dict())
    state["param_groups"][0]["schedules"]["lr"] = "cosine(0.1"
    with pytest.raises(ValueError, match=r"SGD.load_state_dict: the schedule of lr of param_groups\[0\] cannot be read"):
        opt.load_state_dict(state)
    with pytest.raises(ValueError, match="different number of parameter groups"):
        opt.load_state_dict({"state": {}, "param_groups": []})
    assert opt.count == 2
    steps(model, opt, 2, 1)
    assert opt.count == 3


@pytest.mark.parametrize("bad", [-1.0, float("nan")])
def test_a_good_state_mends_a_bad_value(bad):
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1, momentum=0.9)
    steps(model, opt, 0, 2)
    state = copy.deepcopy(opt.state_dict())
    opt.param_groups[0]["lr"] = bad
    with pytest.raises(ValueError, match="lr must be"):
        opt.step()
    opt.load_state_dict(state)
    assert opt.param_groups[0]["lr"] == 0.1
    steps(model, opt, 2, 1)
    assert opt.count == 3


@pytest.mark.parametrize(
    ("place", "changes", "message"),
    [
        (0, {"lr": -1.0}, r"param_groups\[0\]: lr must be a finite number >= 0 .*; got -1.0"),
        (1, {"lr": float("nan")}, r"param_groups\[1\]: lr must be a finite number >= 0 .*; got nan"),
        (1, {"differentiable": True}, r"param_groups\[1\]: differentiable must be False, because .*; got True"),
        (1, {"betas": (0.9, 1.0)}, r"param_groups\[1\]: beta2 must be"),
        (1, {"betas": (0.9,)}, r"param_groups\[1\]: betas must be a tuple of 2"),
        (1, {"ema": 2.0}, r"param_groups\[1\]: ema must be"),
        (0, {"options": {"clip_norm": -1.0}}, r"param_groups\[0\]: clip_norm must be"),
    ],
)
def test_a_bad_value_in_a_state_changes_nothing(place, changes, message):
    model = little()
    groups = [{"params": [*model[0].parameters()]}, {"params": [*model[2].parameters()]}]
    opt = lt.AdamW(groups, lr=0.5)
    steps(model, opt, 0, 2)
    state, before = copy.deepcopy(opt.state_dict()), copy.deepcopy(opt.state_dict())
    steps(model, opt, 2, 1)
    state["param_groups"][place].update(changes)
    with pytest.raises(ValueError, match=f"^AdamW.load_state_dict, {message}"):
        opt.load_state_dict(state)
    assert (opt.count, [group["lr"] for group in opt.param_groups]) == (3, [0.5, 0.5])
    steps(model, opt, 3, 1)
    opt.load_state_dict(before)
    assert opt.count == 2


def test_a_value_in_a_state_is_free_where_the_own_schedule_stays():
    model = little()
    state = lt.SGD(model.parameters(), lr=lambda step: float("nan")).state_dict()
    opt = lt.SGD(model.parameters(), lr=lk.constant(0.5))
    with pytest.warns(UserWarning, match="at step 0: 0.5 instead of nan"):
        opt.load_state_dict(state)
    assert opt.param_groups[0]["lr"] == 0.5


def test_a_state_of_another_shape_is_named():
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1, momentum=0.9)
    steps(model, opt, 0, 2)
    state = copy.deepcopy(opt.state_dict())
    state["state"][1]["momentum_buffer"] = torch.zeros(2, 2)
    again = lt.SGD(little().parameters(), lr=0.1, momentum=0.9)
    with pytest.raises(ValueError, match=r"SGD.*: state 'momentum_buffer' of params\[1\] must have shape \(6,\)"):
        again.load_state_dict(state)


def test_hooks_of_states_run():
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1, momentum=0.9)
    steps(model, opt, 0, 2)
    opt.register_state_dict_post_hook(lambda _, state: {**state, "mark": 1})
    assert opt.state_dict()["mark"] == 1
    calls = []
    again = lt.SGD(little().parameters(), lr=0.1, momentum=0.9)
    again.register_load_state_dict_pre_hook(
        lambda _, state: calls.append("pre") or {**state, "param_groups": state["param_groups"]}
    )
    again.register_load_state_dict_post_hook(lambda _: calls.append("post"))
    again.load_state_dict(opt.state_dict())
    assert calls == ["pre", "post"]
    assert again.count == 2


def test_hooks_after_loading_see_the_state_and_may_change_it():
    """As with torch's optimizer: what a hook writes counts."""
    states = []
    for module in (lt, torch.optim):
        model = little(torch.float64)
        opt = module.Adam(model.parameters())
        for step in range(3):
            give_gradients(model, step)
            opt.step()
        weight = model[0].weight
        seen = []

        def halve(loaded, weight=weight, seen=seen):
            own = loaded.state[weight]
            seen.append(int(own["step"]))
            own["exp_avg"] = own["exp_avg"] * 0.5

        handle = opt.register_load_state_dict_post_hook(halve)
        before = opt.state[weight]["exp_avg"].clone()
        opt.load_state_dict(opt.state_dict())
        assert seen == [3]
        assert same_bits(opt.state[weight]["exp_avg"], before * 0.5)
        handle.remove()
        opt.load_state_dict(opt.state_dict())
        assert seen == [3]
        if module is lt:
            opt.register_load_state_dict_post_hook(lambda loaded, seen=seen: seen.append(loaded.count))
            opt.load_state_dict(opt.state_dict())
            assert seen == [3, 3]
        give_gradients(model, 3)
        opt.step()
        states.append(weight.detach())
    torch.testing.assert_close(*states, rtol=1e-13, atol=1e-15)


def test_a_cleared_state_begins_again():
    model, other = little(), little()
    opt, fresh = lt.AdamW(model.parameters()), lt.AdamW(other.parameters())
    steps(model, opt, 0, 3)
    other.load_state_dict(model.state_dict())
    opt.state.clear()
    steps(model, opt, 3, 2)
    steps(other, fresh, 3, 2)
    assert all(same_bits(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True))


def test_an_optimizer_that_is_dropped_frees_its_memory():
    model = little()
    opt = lt.AdamW(model.parameters(), lr=lk.cosine(0.1, 0.0, 20))
    steps(model, opt, 0, 2)
    seen = weakref.ref(opt), weakref.ref(opt._bound)
    gc.collect()
    gc.disable()
    try:
        del opt
        assert [one() for one in seen] == [None, None]
    finally:
        gc.enable()


RESUMED = """
import sys
sys.path.insert(0, {folder!r})
import torch, training, lrkern as lk, lrkern.torch as lt
torch.manual_seed(0)
model, data = training.Attention(), training.sequences()
opt = lt.AdamW(model.parameters(), lr=lk.cosine(1e-2, 0.0, 40).warmup(4), clip_norm=1.0, ema=0.9)
saved = torch.load({path!r}, weights_only=True)
model.load_state_dict(saved["model"])
opt.load_state_dict(saved["optimizer"])
losses = training.train(model, opt, data, 12, begin=12)
torch.save({{"model": model.state_dict(), "optimizer": opt.state_dict(), "losses": losses}}, {path!r})
"""


def test_a_resume_in_a_fresh_process_is_equal_to_the_bit(tmp_path):
    path = str(tmp_path / "run.pt")
    torch.manual_seed(0)
    model, data = training.Attention(), training.sequences()
    opt = lt.AdamW(model.parameters(), lr=lk.cosine(1e-2, 0.0, 40).warmup(4), clip_norm=1.0, ema=0.9)
    training.train(model, opt, data, 12)
    torch.save({"model": model.state_dict(), "optimizer": opt.state_dict()}, path)
    losses = training.train(model, opt, data, 12, begin=12)
    program = RESUMED.format(folder=str(Path(__file__).parent), path=path)
    subprocess.run([sys.executable, "-c", program], check=True)
    found = torch.load(path, weights_only=True)
    assert found["losses"] == losses
    assert all(same_bits(a, b) for a, b in zip(model.state_dict().values(), found["model"].values(), strict=True))
    for own, one in zip(opt.state_dict()["state"].values(), found["optimizer"]["state"].values(), strict=True):
        assert all(same_bits(own[key], one[key]) for key in own)


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("wanted", ["meta", "default"])
def test_a_default_device_changes_nothing(backend, wanted):
    model, other = little(), little()
    opt = lt.AdamW(model.parameters(), ema=0.5, backend=backend)
    again = lt.AdamW(other.parameters(), ema=0.5, backend=backend)
    steps(model, opt, 0, 2)
    before = torch.get_default_dtype()
    try:
        if wanted == "default":
            torch.set_default_device("meta")
            torch.set_default_dtype(torch.float16)
        with torch.device("meta"):
            again.load_state_dict(opt.state_dict())
            again.state[next(other.parameters())]["exp_avg"] = [[0.5] * 4] * 6
            again.set("lr", 0.25)
            for param in other.parameters():
                param.grad = torch.zeros_like(param)
            again.step()
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(before)
    assert again.count == 3
    found = again.state[next(other.parameters())]["exp_avg"]
    torch.testing.assert_close(found, torch.full((6, 4), 0.45))
