"""`ema` and `decay_mask` of single groups, through `param_groups` and states; options of all groups in states; resumes."""

from __future__ import annotations

import copy
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from training import give_gradients, little, same_bits, through_a_file  # noqa: E402

pytestmark = pytest.mark.peers


def steps(model, opt, begin, count, change=lambda step, model: None):
    for step in range(begin, begin + count):
        give_gradients(model, step)
        change(step, model)
        opt.step()


def arrays_of(model):
    return [one.detach().numpy().copy() for one in model.parameters()]


def grads_of(model):
    return [one.grad.numpy() for one in model.parameters()]


def assert_same_bits(model, other):
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


# ------------------------------------------------------------------------------------------------------------------- groups


@pytest.mark.parametrize("named", [False, True])
def test_groups_have_averages_and_masks_of_their_own(named):
    model = little()
    body, head = arrays_of(model)[:2], arrays_of(model)[2:]
    parts = [dict(one.named_parameters()).items() if named else one.parameters() for one in (model[0], model[2])]
    opt = lt.AdamW(
        [
            {"params": parts[0], "ema": 0.5, "decay_mask": lambda name, one: one.ndim > 1},
            {"params": parts[1], "ema": lk.linear(0.5, 0.9, 10)},
        ],
        lr=0.1, weight_decay=0.5, ema=0.9,
    )  # fmt: skip
    plain = lk.AdamW(
        [{"params": body, "ema": 0.5, "decay_mask": [True, False]}, {"params": head, "ema": lk.linear(0.5, 0.9, 10)}],
        lr=0.1, weight_decay=0.5,
    )  # fmt: skip
    for step in range(4):
        give_gradients(model, step)
        grads = grads_of(model)
        plain.step([grads[:2], grads[2:]])
        opt.step()
    for param, array in zip(model.parameters(), [*body, *head], strict=True):
        assert same_bits(param, torch.from_numpy(array))
    for param, average in zip(model.parameters(), [*plain.ema_params[0], *plain.ema_params[1]], strict=True):
        assert same_bits(opt.state[param]["ema"], torch.from_numpy(average))
    assert opt.param_groups[0]["decay_mask"] == [True, False]
    assert opt.param_groups[1]["ema"] == lk.linear(0.5, 0.9, 10)(4)
    assert opt.param_groups[1]["schedules"]["ema"] == "linear(0.5, 0.9, 10)"


def test_one_group_alone_and_a_group_without_an_average():
    model, other = little(), little()
    opt = lt.AdamW([{"params": model.parameters(), "ema": 0.5, "decay_mask": [True, False, True, False]}], weight_decay=0.5)
    whole = lt.AdamW(other.parameters(), weight_decay=0.5, ema=0.5, decay_mask=lambda name, one: one.ndim > 1)
    steps(model, opt, 0, 3)
    steps(other, whole, 0, 3)
    assert_same_bits(model, other)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert same_bits(opt.state[a]["ema"], whole.state[b]["ema"])
    model = little()
    opt = lt.SGD([{"params": model[0].parameters()}, {"params": model[2].parameters(), "ema": None}], lr=0.1, ema=0.9)
    steps(model, opt, 0, 2)
    assert ["ema" in opt.state[one] for one in model.parameters()] == [True, True, False, False]


def test_they_travel_in_the_state_and_may_be_written():
    def make(model, **group):
        return lt.AdamW([{"params": model[0].parameters(), **group}, {"params": model[2].parameters()}], weight_decay=0.5)

    model, other = little(), little()
    opt = make(model, ema=lk.linear(0.5, 0.9, 10), decay_mask=lambda name, one: one.ndim > 1)
    steps(model, opt, 0, 3)
    state = through_a_file(opt.state_dict())
    other.load_state_dict(model.state_dict())
    again = make(other)
    again.load_state_dict(state)
    steps(model, opt, 3, 3)
    steps(other, again, 3, 3)
    assert_same_bits(model, other)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert opt.state[a].keys() == again.state[b].keys()
        assert all(same_bits(opt.state[a][key], again.state[b][key]) for key in opt.state[a])
    assert "ema" in again.state[other[0].weight]
    for one in (opt, copy.deepcopy((other, again))[1], pickle.loads(pickle.dumps(again))):
        assert one.param_groups[0]["decay_mask"] == [True, False]
        assert one.param_groups[0]["ema"] == lk.linear(0.5, 0.9, 10)(6)
    before = opt.state[model[0].weight]["ema"].clone()
    opt.param_groups[0]["ema"], opt.param_groups[0]["decay_mask"] = 0.0, [False, False]
    again.param_groups[0]["weight_decay"] = 0.0
    steps(model, opt, 6, 1)
    steps(other, again, 6, 1)
    assert_same_bits(model[0], other[0])
    assert same_bits(opt.state[model[0].weight]["ema"], model[0].weight)
    assert not same_bits(opt.state[model[0].weight]["ema"], before)
    assert "schedules" not in opt.param_groups[0]


@pytest.mark.parametrize(
    ("group", "error", "message"),
    [
        ({"ema": 1.5}, ValueError, "ema must be"),
        (
            {"ema": (0.5, lk.linear(0.5, 0.9, 10))},
            TypeError,
            "ema of a group must be a decay, a schedule, or a tuple of decays",
        ),
        ({"decay_mask": [True]}, ValueError, "decay_mask must have 2 entries"),
        ({"decay_mask": [1.5, True]}, TypeError, r"decay_mask\[0\] must be"),
        ({"clip_norm": 1.0}, TypeError, "clip_norm must be the same for all groups"),
    ],
)
def test_wrong_ones_are_refused(group, error, message):
    model = little()
    opt = lt.AdamW(model[0].parameters())
    with pytest.raises(error, match=message):
        opt.add_param_group({"params": model[2].parameters(), **group})
    assert len(opt.param_groups) == 1


def test_a_mask_of_another_length_changes_nothing():
    model = little()
    opt = lt.AdamW([{"params": model.parameters(), "decay_mask": [True, False, True, False]}])
    state = opt.state_dict()
    state["param_groups"][0]["decay_mask"] = [True]
    with pytest.raises(ValueError, match=r"decay_mask of param_groups\[0\] must have 4 entries like params; got 1"):
        opt.load_state_dict(state)
    assert opt.param_groups[0]["decay_mask"] == [True, False, True, False]


# ------------------------------------------------------------------------------------------------------------------- states


def spiky(step, model):
    """Gradients whose norms vary, with a spike now and then."""
    for one in model.parameters():
        one.grad *= 1.0 + step % 5
        if step in (14, 21, 27):
            one.grad *= 50.0


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("backend", [None, "torch"])
def test_a_resume_with_skips_is_equal_to_the_bit(given, backend):
    options = {"skip_sigma": 2.0, "skip_window": 8, "clip_norm": lk.linear(5.0, 1.0, 30), "ema": (0.5, lk.linear(0.9, 0.99, 9))}
    model, other = little(), little()
    opt = lt.AdamW(model.parameters(), lr=lk.cosine(0.1, 0.0, 40), backend=backend, **options)
    steps(model, opt, 0, 17, spiky)
    assert opt.skipped == 1
    state = through_a_file(opt.state_dict())
    other.load_state_dict(model.state_dict())
    again = lt.AdamW(other.parameters(), lr=0.5, backend=backend, **(options if given else {}))
    again.load_state_dict(state)
    assert (again.count, again.skipped) == (opt.count, opt.skipped) == (16, 1)
    assert again.recent == opt.recent
    assert len(again.recent) == 8
    assert not {"options", "recent_norms", "skipped"} & set(again.param_groups[0])
    steps(model, opt, 17, 13, spiky)
    steps(other, again, 17, 13, spiky)
    assert_same_bits(model, other)
    assert again.skipped == opt.skipped >= 3
    first, second = opt.state_dict(), again.state_dict()
    assert first["param_groups"] == second["param_groups"]
    for own, one in zip(first["state"].values(), second["state"].values(), strict=True):
        assert {"ema", "second_ema"} < own.keys()
        assert all(same_bits(own[key], one[key]) for key in own)


def test_the_options_given_count_and_differences_are_told():
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1, clip_norm=2.0, clip_per="tensor", zero_grad=True)
    steps(model, opt, 0, 2)
    state = through_a_file(opt.state_dict())
    assert state["param_groups"][0]["options"] == {"clip_norm": 2.0, "clip_per": "tensor", "zero_grad": True}
    again = lt.SGD(model.parameters(), lr=0.1, clip_norm=0.5, clip_per="list")
    with pytest.warns(UserWarning, match="SGD.load_state_dict: clip_") as caught:
        again.load_state_dict(state)
    assert [str(one.message) for one in caught] == [
        "SGD.load_state_dict: clip_norm continues as 0.5, and is 2.0 in the state",
        "SGD.load_state_dict: clip_per continues as list, and is tensor in the state",
    ]
    assert again.shared == {"clip_norm": 0.5, "zero_grad": True}
    none = lt.SGD(model.parameters(), lr=0.1, clip_norm=None)
    with pytest.warns(UserWarning, match="clip_norm continues as None, and is 2.0 in the state"):
        copy.deepcopy(none).load_state_dict(state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        taken = lt.SGD(model.parameters(), lr=0.1)
        taken.load_state_dict(state)
    assert taken.shared == opt.shared


def test_options_that_do_not_go_together_change_nothing():
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1, error_if_nonfinite=True)
    other = lt.SGD(model.parameters(), lr=0.3, skip_nonfinite=True)
    with pytest.raises(ValueError, match="skip_nonfinite and error_if_nonfinite must not both be True"):
        other.load_state_dict(opt.state_dict())
    assert other.param_groups[0]["lr"] == 0.3
    assert other.shared == {"skip_nonfinite": True}


def test_torch_loads_such_states_and_gives_them_back():
    model = little(torch.float64)
    opt = lt.AdamW([{"params": model.parameters(), "decay_mask": lambda name, one: True}], clip_norm=1.0)
    steps(model, opt, 0, 3)
    theirs = torch.optim.AdamW(model.parameters())
    theirs.load_state_dict(through_a_file(opt.state_dict()))
    steps(model, theirs, 3, 2)
    opt.load_state_dict(through_a_file(theirs.state_dict()))
    assert opt.count == 5
    steps(model, opt, 5, 1)


def test_what_cannot_be_saved_is_left_out():
    model = little()
    copies = [torch.zeros_like(one) for one in model.parameters()]
    opt = lt.SGD(
        model.parameters(), lr=0.1, clip_norm=lambda step: 1.0, copy_to=copies, decay_mask=lambda name, one: True, backend="c",
        state_dtype=float,
    )  # fmt: skip
    steps(model, opt, 0, 2)
    assert through_a_file(opt.state_dict())["param_groups"][0]["options"] == {"state_dtype": "float64"}


@pytest.mark.parametrize("count", [0, 1])
def test_numbers_of_numpy_are_plain_in_states(count):
    models = little(), little()
    lr = float(np.float32(0.1))
    options = {"lr": np.float32(0.1), "betas": (np.float64(0.5), np.array(0.75)), "amsgrad": np.bool_(True)}
    opt = lt.AdamW(models[0].parameters(), **options)
    plain = lt.AdamW(models[1].parameters(), lr=lr, betas=(0.5, 0.75), amsgrad=True)
    for model, one in zip(models, (opt, plain), strict=True):
        steps(model, one, 0, count)
    opt.param_groups[0]["weight_decay"] = np.float64(0.25)
    plain.param_groups[0]["weight_decay"] = 0.25
    torch.optim.lr_scheduler.StepLR(opt, 10)  # keeps the rate as initial_lr
    [own] = through_a_file(opt.state_dict())["param_groups"]
    assert {type(own[key]) for key in ("lr", "initial_lr", "weight_decay", "amsgrad")} == {float, bool}
    assert [own["lr"], own["betas"], own["amsgrad"]] == [lr, (0.5, 0.75), True]
    for model, one in zip(models, (opt, plain), strict=True):
        steps(model, one, count, 2)
    assert_same_bits(*models)
