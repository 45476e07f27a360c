"""Schedules as hyper-parameters, `Scheduler` over any optimizer, and `from_torch`."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
L = pytest.importorskip("torch.optim.lr_scheduler")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from training import give_gradients, little, same_bits  # noqa: E402

pytestmark = pytest.mark.peers


def test_current_values_stand_in_the_groups():
    model = little()
    lr, beta, decay = lk.cosine(0.1, 0.0, 10).warmup(3), lk.linear(0.5, 0.9, 8), lk.constant(0.1)
    groups = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.5, "weight_decay": decay}]
    opt = lt.AdamW(groups, lr=lr, betas=(beta, 0.99))
    for step in range(12):
        first, second = opt.param_groups
        assert (first["lr"], second["lr"]) == (lr(step), 0.5)
        assert first["betas"] == second["betas"] == (beta(step), 0.99)
        assert (first["weight_decay"], second["weight_decay"]) == (0.01, 0.1)
        assert opt.count == first["count"] == step
        give_gradients(model, step)
        opt.step()


def test_steps_with_a_schedule_are_those_with_its_values():
    models = [little(), little()]
    lr, momentum = lk.cosine(0.1, 0.0, 10), lk.linear(0.5, 0.9, 8)
    opt, plain = lt.SGD(models[0].parameters(), lr=lr, momentum=momentum), lt.SGD(models[1].parameters(), lr=0.1, momentum=0.5)
    for step in range(10):
        plain.param_groups[0].update(lr=lr(step), momentum=momentum(step))
        for model, one in zip(models, (opt, plain), strict=True):
            give_gradients(model, step)
            one.step()
    assert all(same_bits(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))


def test_functions_are_schedules():
    model = little()
    values = [0.1, 0.2]
    opt = lt.SGD(model.parameters(), lr=lambda step: values[step])
    for step in range(2):
        assert opt.param_groups[0]["lr"] == values[step]
        give_gradients(model, step)
        opt.step()
    with pytest.raises(IndexError):
        opt.step()
    assert "schedules" not in opt.param_groups[0] or opt.param_groups[0]["schedules"] == {}


def test_a_value_written_over_a_schedule_holds_for_one_step():
    model, other = little(), little()
    lr = lk.linear(0.1, 0.2, 10)
    opt, plain = lt.SGD(model.parameters(), lr=lr), lt.SGD(other.parameters(), lr=0.1)
    for step in range(5):
        for one in (model, other):
            give_gradients(one, step)
        plain.param_groups[0]["lr"] = 0.7 if step == 2 else lr(step)
        plain.step()
        if step == 2:
            opt.param_groups[0]["lr"] = 0.7
            with pytest.warns(UserWarning, match=r"SGD.step: lr of param_groups\[0\] is a schedule; the value written there"):
                opt.step()
        else:
            opt.step()
        assert opt.param_groups[0]["lr"] == lr(step + 1)
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("when", ["the step is refused", "parameters have moved"])
def test_such_a_value_holds_for_that_step_alone_whatever_happens(when):
    param = torch.nn.Parameter(torch.ones(3))
    opt = lt.SGD([param], lr=lk.constant(0.5), error_if_nonfinite=True)
    param.grad = torch.ones(3)
    opt.step()
    opt.param_groups[0]["lr"] = 0.125
    if when == "the step is refused":
        param.grad = torch.full((3,), float("inf"))
        with pytest.warns(UserWarning, match="one step") as caught, pytest.raises(ValueError, match="finite"):
            opt.step()
        assert caught[0].filename == __file__
        expected = 0.5
    else:
        param.data = param.data.clone()
        with pytest.warns(UserWarning, match="one step"):
            opt.step()
        expected = 0.375
    assert param.tolist() == [expected] * 3
    param.grad = torch.ones(3)
    opt.step()
    assert param.tolist() == [expected - 0.5] * 3


@pytest.mark.parametrize("how", ["set", "written"])
def test_schedules_can_be_given_later_and_taken_away(how):
    model, other = little(), little()
    lr = lk.linear(0.1, 0.2, 10)
    opt, plain = lt.SGD(model.parameters(), lr=0.1, momentum=0.9), lt.SGD(other.parameters(), lr=0.1, momentum=0.9)
    for step in range(8):
        if step == 3:
            if how == "set":
                opt.set("lr", lr)
                assert opt.param_groups[0]["lr"] == lr(3)
            else:
                opt.param_groups[0]["lr"] = lr
        if step == 6:
            opt.set("lr", 0.05, group=0)
        plain.param_groups[0]["lr"] = 0.1 if step < 3 else lr(step) if step < 6 else 0.05
        for one, o in ((model, opt), (other, plain)):
            give_gradients(one, step)
            o.step()
        assert opt.param_groups[0].get("schedules") == (None if not 3 <= step < 6 else {"lr": repr(lr)})
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert opt.count == 8
    with pytest.raises(ValueError, match="lr must be"):
        opt.set("lr", -1.0)
    with pytest.raises(TypeError, match=r"SGD.set: unknown option lrr"):
        opt.set("lrr", 0.1)
    assert opt.param_groups[0]["lr"] == 0.05


def test_changes_beside_an_invalid_one_are_not_lost():
    models = [little(), little()]
    optimizers = [lt.AdamW(model.parameters(), lr=0.1) for model in models]
    for step in range(3):
        for k, (model, opt) in enumerate(zip(models, optimizers, strict=True)):
            give_gradients(model, step)
            [group] = opt.param_groups
            group["lr"] = 0.1 / (step + 1)
            if k == 1 and step == 1:
                group["betas"] = (0.9,)
                with pytest.raises(ValueError, match="betas must be a tuple of 2"):
                    opt.step()
            group["betas"] = (0.9, 0.999)
            opt.step()
    assert all(map(same_bits, *(model.parameters() for model in models)))


def test_skipped_steps_do_not_move_the_schedule():
    model = little()
    opt = lt.SGD(model.parameters(), lr=lk.linear(0.1, 0.2, 10), skip_nonfinite=True)
    give_gradients(model, 0)
    next(model.parameters()).grad[0] = float("inf")
    opt.step()
    assert (opt.count, opt.skipped, opt.param_groups[0]["lr"]) == (0, 1, 0.1)


# ----------------------------------------------------------------------------------------------------------------- Scheduler


def sgd(**options):
    return torch.optim.SGD([torch.zeros(2, requires_grad=True)], **{"lr": 0.1, "momentum": 0.9, **options})


@pytest.mark.parametrize("module", [torch.optim, lt])
def test_scheduler(module):
    params = [torch.zeros(2, requires_grad=True), torch.zeros(3, requires_grad=True)]
    opt = module.AdamW([{"params": [one]} for one in params], lr=0.1)
    first, second, beta, decay = lk.cosine(0.1, 0.0, 5), lk.constant(0.5), lk.linear(0.5, 0.9, 4), lk.linear(0.1, 0.2, 5)
    scheduler = lt.Scheduler(opt, lr=[first, second], beta1=beta, weight_decay=[None, decay])
    for step in range(8):
        assert [one["lr"] for one in opt.param_groups] == scheduler.get_last_lr() == [first(step), 0.5]
        assert [one["betas"] for one in opt.param_groups] == [(beta(step), 0.999)] * 2
        assert [one["weight_decay"] for one in opt.param_groups] == [0.01, decay(step)]
        assert scheduler.state_dict() == {"last_epoch": step}
        for one in params:
            one.grad = torch.ones_like(one)
        opt.step()
        scheduler.step()


def test_groups_added_to_a_scheduler():
    decay = lk.linear(0.1, 0.2, 9)
    for lr, expected in ((lk.linear(1.0, 0.0, 4), 0.5), ([lk.linear(1.0, 0.0, 4)], 0.3)):
        opt = sgd()
        scheduler = lt.Scheduler(opt, lr=lr, weight_decay=decay)
        opt.step()
        scheduler.step()
        opt.add_param_group({"params": [torch.zeros(2, requires_grad=True)], "lr": 0.3})
        opt.step()
        scheduler.step()
        assert [one["lr"] for one in opt.param_groups] == scheduler.get_last_lr() == [0.5, expected]
        assert [one["weight_decay"] for one in opt.param_groups] == [decay(2)] * 2
        assert lt.from_torch(scheduler, group=1)(2) == expected


def test_scheduler_fills_a_tensor():
    opt = sgd(lr=torch.tensor(0.1))
    own = opt.param_groups[0]["lr"]
    scheduler = lt.Scheduler(opt, lr=lk.linear(1.0, 0.0, 4))
    opt.step()
    scheduler.step()
    assert opt.param_groups[0]["lr"] is own
    assert own.item() == 0.75


def test_scheduler_resumes_from_one_integer():
    opt = sgd()
    scheduler = lt.Scheduler(opt, lr=lk.cosine(0.1, 0.0, 20), momentum=lk.linear(0.5, 0.9, 20))
    for _ in range(7):
        opt.step()
        scheduler.step()
    again, fresh = sgd(), None
    fresh = lt.Scheduler(again, lr=lk.cosine(0.1, 0.0, 20), momentum=lk.linear(0.5, 0.9, 20))
    again.load_state_dict(opt.state_dict())
    fresh.load_state_dict(scheduler.state_dict())
    assert fresh.get_last_lr() == scheduler.get_last_lr() == [opt.param_groups[0]["lr"]] == [again.param_groups[0]["lr"]]
    for _ in range(3):
        for o, s in ((opt, scheduler), (again, fresh)):
            o.step()
            s.step()
        assert again.param_groups[0]["lr"] == opt.param_groups[0]["lr"]
        assert again.param_groups[0]["momentum"] == opt.param_groups[0]["momentum"]


def test_scheduler_within_sequential():
    opt = sgd()
    a, b = lk.linear(0.0, 1.0, 4), lk.cosine(1.0, 0.0, 6)
    parts = [lt.Scheduler(opt, lr=a, momentum=lk.constant(0.5)), lt.Scheduler(opt, lr=b)]
    whole = L.SequentialLR(opt, parts, [4])
    for step in range(10):
        assert opt.param_groups[0]["lr"] == (a(step) if step < 4 else b(step - 4))
        opt.step()
        whole.step()
    assert lt.from_torch(whole).table(10).tolist() == lk.join([a, b], [4]).table(10).tolist()


@pytest.mark.parametrize("own", [True, False])
def test_a_later_member_of_a_sequence_writes_momentum_when_it_is_made(own):
    """As torch's OneCycleLR does."""
    opt = sgd()
    first = L.ConstantLR(opt, 0.5, 3)
    later = (
        lt.Scheduler(opt, lr=0.1, momentum=lk.linear(0.5, 0.9, 9))
        if own
        else L.OneCycleLR(opt, 0.1, total_steps=9, base_momentum=0.25, max_momentum=0.5)
    )
    L.SequentialLR(opt, [first, later], [3])
    assert opt.param_groups[0]["momentum"] == 0.5
    L.SequentialLR(opt, [lt.Scheduler(opt, momentum=0.75), later], [3])
    assert opt.param_groups[0]["momentum"] == 0.75


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "Scheduler: lr or another hyper-parameter must be a schedule; got none"),
        ({"lr": "cosine"}, TypeError, "Scheduler: lr must be a schedule or a number; got 'cosine'"),
        ({"lr": [lk.constant(1.0)] * 2}, ValueError, "Scheduler: lr must be one schedule, or 1, one per group; got 2"),
        (
            {"momentun": lk.constant(1.0)},
            TypeError,
            r"Scheduler: momentun must be a key of param_groups\[0\]; got none of it: use momentum",
        ),
        ({"beta1": lk.constant(0.5)}, TypeError, r"Scheduler: beta1 must be a key of param_groups\[0\]"),
    ],
)
def test_wrong_schedules_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        lt.Scheduler(sgd(), **options)


def test_two_schedules_for_one_value_are_refused():
    opt = lt.SGD([torch.zeros(2, requires_grad=True)], lr=lk.constant(0.1))
    with pytest.raises(
        ValueError, match=r"Scheduler: lr of param_groups\[0\] must be a number; got a schedule of the optimizer's own"
    ):
        lt.Scheduler(opt, lr=lk.constant(0.2))


def test_scheduler_continues_after_a_step():
    """Also over an optimizer that had no scheduler before, which has no initial_lr."""
    opt = sgd()
    scheduler = lt.Scheduler(opt, lr=lk.linear(1.0, 0.0, 8), momentum=lk.linear(0.0, 0.5, 8), last_epoch=2)
    assert (opt.param_groups[0]["lr"], opt.param_groups[0]["momentum"]) == (0.625, 0.1875)
    opt.step()
    scheduler.step()
    assert opt.param_groups[0]["lr"] == 0.5
    with pytest.raises(ValueError, match=r"^Scheduler: last_epoch must be .*; got -2"):
        lt.Scheduler(opt, lr=0.1, last_epoch=-2)
    with pytest.raises(TypeError, match=r"^Scheduler: last_epoch must be .*; got 'three'"):
        lt.Scheduler(opt, lr=0.1, last_epoch="three")


# ---------------------------------------------------------------------------------------------------------------- from_torch

CURVES = [
    ("LambdaLR", {"lr_lambda": lambda t: 0.9**t}),
    ("MultiplicativeLR", {"lr_lambda": lambda t: 0.95}),
    ("StepLR", {"step_size": 7, "gamma": 0.3}),
    ("MultiStepLR", {"milestones": [5, 9, 9, 30], "gamma": 0.5}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 6}),
    ("LinearLR", {"start_factor": 0.1, "total_iters": 20}),
    ("ExponentialLR", {"gamma": 0.97}),
    ("PolynomialLR", {"total_iters": 33, "power": 1.5}),
    ("CosineAnnealingLR", {"T_max": 17, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": 2, "eta_min": 0.001}),
    ("CyclicLR", {"base_lr": 0.02, "max_lr": 0.3, "step_size_up": 4, "step_size_down": 7, "mode": "exp_range", "gamma": 0.99}),
    ("OneCycleLR", {"max_lr": 0.4, "total_steps": 41, "pct_start": 0.25, "three_phase": True}),
    ("OneCycleLR", {"max_lr": 0.4, "total_steps": 41, "anneal_strategy": "linear", "div_factor": 10.0}),
]


def rates(scheduler, n):
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(n):
            found.append(scheduler.optimizer.param_groups[0]["lr"])
            scheduler.optimizer.step()
            scheduler.step()
    return np.array(found)


@pytest.mark.parametrize(("name", "options"), CURVES)
@pytest.mark.parametrize("come", [0, 3])
def test_from_torch(name, options, come):
    scheduler = getattr(L, name)(sgd(), **options)
    rates(scheduler, come)  # how far it has come does not matter
    found = lt.from_torch(scheduler, steps=60 if "Lambda" in name or "Multiplicative" in name else None)
    expected = rates(getattr(L, name)(sgd(), **options), 40)
    np.testing.assert_allclose(found.table(40), expected, rtol=1e-11, atol=1e-16)
    assert len(set(expected)) > 1


def test_from_torch_of_nested_schedulers():
    for kind in (0, 1):
        if kind == 0:
            opt = sgd()
            scheduler = L.ChainedScheduler([L.ConstantLR(opt, 0.5, 4), L.ExponentialLR(opt, 0.9)])
        else:
            opt = sgd()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scheduler = L.SequentialLR(opt, [L.LinearLR(opt, 0.1, total_iters=5), L.CosineAnnealingLR(opt, 20)], [5])
        found = lt.from_torch(scheduler)
        np.testing.assert_allclose(found.table(25), rates(scheduler, 25), rtol=1e-11, atol=1e-16)


def test_from_torch_of_schedulers_nested_twice():
    opt = sgd()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inner = L.ChainedScheduler([L.StepLR(opt, 3), L.ExponentialLR(opt, 0.9)])
        scheduler = L.ChainedScheduler([inner, L.LinearLR(opt)])
    found = lt.from_torch(scheduler)  # no warning
    np.testing.assert_allclose(found.table(25), rates(scheduler, 25), rtol=1e-11, atol=1e-16)


def test_from_torch_tells_where_torch_deviates():
    for outer, inner in (("SequentialLR", "SequentialLR"), ("SequentialLR", "ChainedScheduler"), ("Chained", "SequentialLR")):
        opt = sgd()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parts = [L.ConstantLR(opt, 0.5, 3), L.ExponentialLR(opt, 0.9)]
            nested = L.SequentialLR(opt, parts, [3]) if inner == "SequentialLR" else L.ChainedScheduler(parts)
            both = [nested, L.LinearLR(opt)]
            scheduler = L.SequentialLR(opt, both, [6]) if outer == "SequentialLR" else L.ChainedScheduler(both)
        with pytest.warns(UserWarning, match=f"from_torch: torch does not step a {inner} within a {outer}"):
            found = lt.from_torch(scheduler)
        first = lt.from_torch(nested)
        if outer == "SequentialLR":
            assert found.table(6).tolist() == first.table(6).tolist()
        assert np.max(np.abs(found.table(12) - rates(scheduler, 12))) > 1e-3


def made(kind, opt):
    """A scheduler of a kind whose rates are no factor of others, or which goes on from the rate that it finds."""
    return {
        "LambdaLR": lambda: L.LambdaLR(opt, lambda t: 0.8**t),
        "MultiplicativeLR": lambda: L.MultiplicativeLR(opt, lambda t: 0.95),
        "OneCycleLR": lambda: L.OneCycleLR(opt, 0.4, total_steps=40, cycle_momentum=False),
        "CyclicLR": lambda: L.CyclicLR(opt, 0.02, 0.3, 4, cycle_momentum=False),
        "CosineAnnealingWarmRestarts": lambda: L.CosineAnnealingWarmRestarts(opt, 5),
        "CosineAnnealingLR": lambda: L.CosineAnnealingLR(opt, 17, 0.01),
        "SWALR": lambda: torch.optim.swa_utils.SWALR(opt, 0.02, anneal_epochs=6),
        "Scheduler": lambda: lt.Scheduler(opt, lr=lk.linear(0.3, 0.0, 20)),
    }[kind]()


KINDS = ["LambdaLR", "OneCycleLR", "CyclicLR", "CosineAnnealingWarmRestarts", "CosineAnnealingLR", "SWALR", "Scheduler"]


@pytest.mark.parametrize("outer", ["SequentialLR", "ChainedScheduler"])
@pytest.mark.parametrize("kind", [*KINDS, "MultiplicativeLR"])
@pytest.mark.parametrize("place", [0, 1])
def test_from_torch_is_right_or_tells(outer, kind, place):
    opt = sgd()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = L.ExponentialLR(opt, 0.9) if place else None
        inner = made(kind, opt)
        both = [other, inner] if place else [inner, L.ExponentialLR(opt, 0.9)]
        scheduler = L.SequentialLR(opt, both, [6]) if outer == "SequentialLR" else L.ChainedScheduler(both)
    told = (kind in KINDS) if outer == "ChainedScheduler" else (place == 1 and kind in ("MultiplicativeLR", "SWALR"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = lt.from_torch(scheduler, steps=40)
    match = f"from_torch: torch does not step a {kind} within a {outer} as it is defined; the schedule is the definition"
    assert [str(one.message) for one in caught] == ([match] if told else [])
    difference = np.max(np.abs(found.table(16) - rates(scheduler, 16)))
    assert difference > 1e-6 if told else difference < 1e-15


def test_from_torch_of_base_rates_that_another_has_changed():
    for begin in (lambda opt: L.LambdaLR(opt, lambda t: 0.9**t), lambda opt: L.CosineAnnealingWarmRestarts(opt, 3)):
        opt = sgd()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            both = [begin(opt), L.OneCycleLR(opt, 0.4, total_steps=30, cycle_momentum=False)]
            scheduler = L.SequentialLR(opt, both, [6])
        np.testing.assert_allclose(lt.from_torch(scheduler, steps=9).table(20), rates(scheduler, 20), rtol=1e-11, atol=1e-16)


def test_from_torch_of_a_scheduler_of_momentum_in_a_chain():
    opt = sgd()
    scheduler = L.ChainedScheduler([lt.Scheduler(opt, momentum=lk.linear(0.5, 0.9, 9)), L.ExponentialLR(opt, 0.9)])
    rates(scheduler, 3)
    found = lt.from_torch(scheduler)
    assert str(found) == str(lt.from_torch(L.ExponentialLR(sgd(), 0.9)))
    opt = sgd()
    alone = L.ChainedScheduler([lt.Scheduler(opt, momentum=0.5)])
    assert lt.from_torch(alone)(7) == opt.param_groups[0]["lr"]


def test_from_torch_refuses_schedulers_that_only_have_a_name_of_torch():
    for base in (L.LRScheduler, L.StepLR):
        other = type("StepLR", (base,), {"get_lr": lambda self: [42.0]})
        with pytest.raises(TypeError, match=r"^from_torch: scheduler must be one of torch's; got .*\(StepLR\)$"):
            lt.from_torch(other(sgd(), -1))


def test_from_torch_of_averaging():
    for strategy in ("cos", "linear"):
        scheduler = torch.optim.swa_utils.SWALR(sgd(), swa_lr=0.02, anneal_epochs=6, anneal_strategy=strategy)
        found = lt.from_torch(scheduler)
        np.testing.assert_allclose(found.table(9), rates(scheduler, 9), rtol=1e-11)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("kind", "function"),
    [("LambdaLR", lambda step: 0.9), ("MultiplicativeLR", lambda step: 0.9), ("MultiplicativeLR", lk.linear(1.0, 0.5, 9))],
)
def test_from_torch_asks_for_steps_of_functions(kind, function, nested):
    scheduler = getattr(L, kind)(torch.optim.SGD([*little().parameters()], lr=0.1), function)
    if nested:
        scheduler = L.ChainedScheduler([scheduler])
    message = f"^from_torch: steps must be the number of steps to ask its function for; got None for {kind}$"
    with pytest.raises(ValueError, match=message):
        lt.from_torch(scheduler)


def test_from_torch_needs_no_steps_of_a_schedule():
    scheduler = L.LambdaLR(torch.optim.SGD([*little().parameters()], lr=0.5), lk.cosine(1.0, 0.0, 9))
    assert lt.from_torch(scheduler).table(12).tolist() == (0.5 * lk.cosine(1.0, 0.0, 9)).table(12).tolist()


def test_from_torch_refuses_what_has_no_schedule():
    with pytest.raises(
        TypeError, match=r"from_torch: scheduler must be one of torch's; got .*ReduceLROnPlateau.*: its rate depends on losses"
    ):
        lt.from_torch(L.ReduceLROnPlateau(sgd()))
    with pytest.raises(TypeError, match="from_torch: scheduler must be one of torch's; got 3"):
        lt.from_torch(3)


NO_STEPS = {
    "ConstantLR": lambda opt: L.ConstantLR(opt, 0.3, 0),
    "LinearLR": lambda opt: L.LinearLR(opt, 0.3, 0.8, 0),
    "PolynomialLR": lambda opt: L.PolynomialLR(opt, 0),
}


@pytest.mark.parametrize("kind", NO_STEPS)
@pytest.mark.parametrize("within", ["", "ChainedScheduler", "SequentialLR"])
def test_from_torch_of_no_steps(kind, within):
    opt = sgd()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = NO_STEPS[kind](opt)
        if within == "ChainedScheduler":
            scheduler = L.ChainedScheduler([scheduler, L.ExponentialLR(opt, 0.9)])
        elif within:
            scheduler = L.SequentialLR(opt, [scheduler, L.ExponentialLR(opt, 0.9)], [6])
    np.testing.assert_allclose(lt.from_torch(scheduler).table(12), rates(scheduler, 12), rtol=1e-12)


@pytest.mark.parametrize("kind", NO_STEPS)
def test_from_torch_tells_of_no_steps_later_in_a_sequence(kind):
    opt = sgd()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = L.SequentialLR(opt, [L.ExponentialLR(opt, 0.9), NO_STEPS[kind](opt)], [6])
    with pytest.warns(UserWarning, match=f"torch does not step a {kind} within a SequentialLR as it is defined"):
        lt.from_torch(scheduler)


def test_from_torch_names_a_group_that_it_cannot_read():
    opt = sgd()
    schedulers = [L.StepLR(opt, 3), L.ChainedScheduler([L.StepLR(opt, 3)]), L.LambdaLR(opt, lk.constant(1.0))]
    own = lt.Scheduler(opt, lr=lk.constant(1.0))
    last = len(opt.param_groups) - 1
    for one in [*schedulers, own]:
        with pytest.raises(ValueError, match=f"^from_torch: group must be an integer from 0 to {last}; got 5"):
            lt.from_torch(one, group=5)
    opt.add_param_group({"params": [torch.zeros(1, requires_grad=True)]})
    match = f"^from_torch: param_groups.{last + 1}. must be there when the .* is made; got one added later: make the scheduler"
    for one in schedulers:
        with pytest.raises(ValueError, match=match):
            lt.from_torch(one, group=last + 1)
    assert lt.from_torch(own, group=last + 1) == lk.constant(1.0)
    L.StepLR(opt, 3)  # which gives the new group a base rate
    with pytest.raises(ValueError, match=match):
        lt.from_torch(schedulers[0], group=last + 1)


def test_numbers_of_numpy_are_numbers():
    opt = sgd()
    lt.Scheduler(opt, lr=np.float32(0.25), momentum=lambda t: np.float64(0.5))
    assert [type(opt.param_groups[0][name]) for name in ("lr", "momentum")] == [float, float]
    assert opt.param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lr": True}, TypeError, "lr must be a schedule or a number; got True"),
        ({"nesterov": True}, TypeError, "nesterov must be a schedule or a number; got True"),
        ({"lr": np.bool_(True)}, TypeError, "lr must be a schedule or a number; got True"),
        ({"lr": float("nan")}, ValueError, "lr must not be NaN; got nan"),
        ({"lr": 0.5, "momentum": lambda t: float("nan")}, ValueError, "momentum must not be NaN at step 0; got nan"),
        ({"momentum": 0.5, "lr": lambda t: float("nan")}, ValueError, "lr must not be NaN at step 0; got nan"),
        ({"momentum": 0.5, "lr": lambda t: True}, TypeError, "lr must be a number at step 0; got True"),
    ],
)
def test_a_scheduler_refuses_what_is_no_number(options, error, message):
    opt = sgd()
    before = [opt.param_groups[0][name] for name in ("lr", "momentum", "nesterov")]
    with pytest.raises(error, match=f"^Scheduler: {message}"):
        lt.Scheduler(opt, **options)
    assert [opt.param_groups[0][name] for name in ("lr", "momentum", "nesterov")] == before
