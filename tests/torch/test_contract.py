"""What code that takes a `torch.optim.Optimizer` relies on: signatures, groups, closures, hooks, scalers, schedulers."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
import types
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
import training  # noqa: E402
from training import give_gradients, little, same_bits  # noqa: E402

pytestmark = pytest.mark.peers

SHARED = [name for name in lt.__all__ if name in dir(torch.optim) and name != "Optimizer"]
CLASSES = [name for name in dir(lk) if isinstance(getattr(lk, name), type) and issubclass(getattr(lk, name), lk.Optimizer)]


def needed(name):
    """Arguments without a default."""
    return {"lr": 0.1} if name == "LARS" else {}


def test_every_optimizer_is_there():
    assert sorted(set(CLASSES) - {"Optimizer"}) == sorted(set(lt.__all__) - {"Scheduler", "from_torch", "rule_optimizer"})
    assert set(lt.__all__) <= set(dir(lt))
    with pytest.raises(AttributeError, match="no attribute 'Adamm'"):
        _ = lt.Adamm


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"Optimizer"}))
def test_all_of_them_train(name):
    torch.manual_seed(0)
    model, data = training.convolutional(), training.images()
    opt = getattr(lt, name)(model.parameters(), **needed(name), clip_norm=1.0, ema=0.9)
    losses = training.train(model, opt, data, 30)
    assert isinstance(opt, torch.optim.Optimizer)
    assert all(loss == loss for loss in losses)
    assert opt.count == 30
    assert losses[-1] != losses[0]
    with opt.averaged():
        pass


@pytest.mark.parametrize("name", SHARED)
def test_signatures_begin_as_those_of_torch(name):
    ours = inspect.signature(getattr(lt, name)).parameters
    _, *theirs = inspect.signature(getattr(torch.optim, name).__init__).parameters.values()
    missing = [one.name for one in theirs if one.name not in ours]
    assert missing == []
    positional = [one.name for one in theirs if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert [one for one in ours if ours[one].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD] == positional
    for one in theirs:
        if one.name in ours and one.default is not one.empty:
            assert ours[one.name].default == one.default, one.name


@pytest.mark.parametrize("name", SHARED)
def test_groups_and_states_have_the_names_of_torch(name):
    found = []
    for module in (lt, torch.optim):
        model = little()
        opt = getattr(module, name)(model.parameters(), **({"momentum": 0.9} if name == "SGD" else {}))
        give_gradients(model, 0)
        opt.step()
        found.append(opt)
    for key, value in found[1].param_groups[0].items():
        if key != "params":
            assert found[0].param_groups[0][key] == value, key
    assert {key: found[0].defaults[key] for key in found[1].defaults} == found[1].defaults
    for ours, theirs in zip(found[0].state.values(), found[1].state.values(), strict=True):
        assert {key for key, one in theirs.items() if one is not None} <= set(ours)
        for key, one in theirs.items():
            if one is not None:
                assert ours[key].shape == one.shape


ADAM_KNOWS = "decoupled_weight_decay" in inspect.signature(torch.optim.Adam.__init__).parameters


@pytest.mark.skipif(not ADAM_KNOWS, reason="this version of torch has no such option")
def test_the_decay_of_adam_is_coupled():
    model = little()
    message = r": decoupled_weight_decay must be False, that of AdamW is True; got True"
    lt.Adam(model.parameters(), decoupled_weight_decay=False)
    with pytest.raises(ValueError, match="^Adam" + message):
        lt.Adam(model.parameters(), decoupled_weight_decay=True)
    with pytest.raises(ValueError, match="^Adam.add_param_group" + message):
        lt.Adam([{"params": model.parameters(), "decoupled_weight_decay": True}])
    for module in (lt, torch.optim):
        other = module.AdamW(model.parameters(), weight_decay=0.1)
        opt = lt.Adam(model.parameters())
        with pytest.raises(ValueError, match=r"^Adam.load_state_dict, param_groups\[0\]" + message):
            opt.load_state_dict(other.state_dict())
        other.param_groups[0]["weight_decay"] = 0.0  # no decay, no difference
        opt.load_state_dict(other.state_dict())
        assert opt.param_groups[0]["decoupled_weight_decay"] is False
    opt = lt.AdamW(model.parameters())  # as torch's, which turns Adam's states into its own
    opt.load_state_dict(torch.optim.Adam(model.parameters(), weight_decay=0.1).state_dict())
    assert opt.param_groups[0]["decoupled_weight_decay"] is True


def test_names_of_either_library():
    [one, two] = (lt.AdamW(little().parameters(), **options) for options in ({"betas": (0.5, 0.999)}, {"beta1": 0.5}))
    assert one.param_groups[0]["betas"] == two.param_groups[0]["betas"] == (0.5, 0.999)
    opt = lt.AdamW([{"params": little().parameters(), "beta2": 0.7, "lr": 0.5}], eps=1e-3)
    assert {key: opt.param_groups[0][key] for key in ("betas", "lr", "eps")} == {"betas": (0.9, 0.7), "lr": 0.5, "eps": 1e-3}


REFUSED = [
    ({"lr": -1.0}, ValueError, "AdamW.*: lr must be"),
    ({"betas": (0.9, 1.0)}, ValueError, "beta2 must be"),
    ({"betas": 0.9}, ValueError, "betas must be a tuple of 2: beta1, beta2; got 0.9"),
    ({"betas": (0.9, 0.99), "beta1": 0.5}, TypeError, "AdamW: betas and beta1 must not both be given"),
    ({"weight_decy": 0.1}, TypeError, "AdamW: unknown option weight_decy: use weight_decay"),
    ({"differentiable": True}, ValueError, "AdamW: differentiable must be False"),
    ({"clip_norm": -1.0}, ValueError, "clip_norm must be"),
    ({"state_dtype": "float16"}, ValueError, "state_dtype must not be 'float16'"),
]


@pytest.mark.parametrize(("options", "error", "message"), REFUSED)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        lt.AdamW(little().parameters(), **options)


def test_differentiable_written_to_a_group_is_refused_at_the_first_step():
    opt = lt.AdamW(little().parameters())
    opt.param_groups[0]["differentiable"] = True
    with pytest.raises(ValueError, match=r"^AdamW.param_groups\[0\]: differentiable must be False, because .*; got True$"):
        opt.step()
    opt.param_groups[0]["differentiable"] = False
    opt.step()


def test_a_wrong_group_leaves_the_optimizer_as_it_was():
    model = little()
    opt = lt.AdamW(model[0].parameters())
    for group, error, message in [
        ({"params": model[2].parameters(), "lr": -1.0}, ValueError, "lr must be"),
        ({"params": [*model[0].parameters()]}, ValueError, "some parameters appear in more than one parameter group"),
        ({"params": [*model[2].parameters()], "clip_norm": 1.0}, TypeError, "clip_norm must be the same for all groups"),
    ]:
        with pytest.raises(error, match=message):
            opt.add_param_group(group)
        assert len(opt.param_groups) == 1
    give_gradients(model, 0)
    opt.step()


@pytest.mark.parametrize(
    "options", [{"foreach": True}, {"fused": True}, {"capturable": True}, {"foreach": False, "fused": None}]
)
def test_switches_between_implementations_are_accepted(options):
    opt = lt.AdamW(little().parameters(), **options)
    assert {key: opt.param_groups[0][key] for key in options} == options


def test_groups_added_later_continue_the_others():
    models = [little(torch.float64), little(torch.float64)]
    opts = [module.AdamW(model[0].parameters(), lr=0.1) for module, model in zip((lt, torch.optim), models, strict=True)]
    for step in range(10):
        for model, opt in zip(models, opts, strict=True):
            if step == 4:
                opt.add_param_group({"params": model[2].parameters(), "lr": 0.01, "name": "head"})
            give_gradients(model, step)
            opt.step()
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
    assert [one["step"].item() for one in opts[0].state.values()] == [10, 10, 6, 6]
    assert opts[0].param_groups[1]["name"] == "head"


def test_initial_values_of_groups_added_later():
    """They are one number for all groups: also after a state with another one has been loaded."""
    model, more = little(), little()
    opt = lt.Adagrad(model.parameters(), initial_accumulator_value=0.5)
    give_gradients(model, 0)
    opt.step()
    loaded = lt.Adagrad(model.parameters())
    loaded.load_state_dict(opt.state_dict())
    loaded.add_param_group({"params": [more[0].weight]})
    assert [group["initial_accumulator_value"] for group in loaded.param_groups] == [0.5, 0.5]
    more[0].weight.grad = torch.zeros_like(more[0].weight)
    loaded.step()
    assert loaded.state[more[0].weight]["sum"].eq(0.5).all()
    wrong = {"params": [more[0].bias], "initial_accumulator_value": 0.25}
    with pytest.raises(ValueError, match=r"initial_accumulator_value must be 0.5, that of the other groups; got 0.25$"):
        loaded.add_param_group(wrong)
    with pytest.raises(ValueError, match=r"initial_accumulator_value must be 0.0, that of the other groups; got 0.25$"):
        lt.Adagrad([{"params": [more[0].weight]}, wrong])
    loaded.step()
    assert len(loaded.param_groups) == 2


def test_values_written_to_groups_count():
    models = [little(torch.float64), little(torch.float64)]
    opts = [
        module.SGD(model.parameters(), lr=0.1, momentum=0.9) for module, model in zip((lt, torch.optim), models, strict=True)
    ]
    changes = {2: {"lr": 0.3}, 4: {"weight_decay": 0.1}, 5: {"momentum": 0.5}, 6: {"nesterov": True}, 7: {"maximize": True}}
    for step in range(10):
        for model, opt in zip(models, opts, strict=True):
            opt.param_groups[0].update(changes.get(step, {}))
            give_gradients(model, step)
            opt.step()
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_a_wrong_value_in_a_group_is_refused_and_can_be_mended():
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1)
    give_gradients(model, 0)
    opt.step()
    before = [one.detach().clone() for one in model.parameters()]
    opt.param_groups[0]["lr"] = float("nan")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"SGD: lr must be"):
            opt.step()
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), before, strict=True))
    opt.param_groups[0]["lr"] = 0.1
    opt.step()
    assert opt.count == 2


def test_a_learning_rate_in_a_tensor_is_read_at_each_step():
    model, other = little(), little()
    lr = torch.tensor(0.1)
    opt, plain = lt.SGD(model.parameters(), lr=lr), lt.SGD(other.parameters(), lr=float(lr))
    for step in range(4):
        if step == 2:
            lr.fill_(0.5)
            plain.param_groups[0]["lr"] = 0.5
        for one, o in ((model, opt), (other, plain)):
            give_gradients(one, step)
            o.step()
    assert opt.param_groups[0]["lr"] is lr
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_closures_and_hooks():
    model = little()
    x, y = torch.randn(5, 4), torch.randn(5, 2)
    opt = lt.SGD(model.parameters(), lr=0.1)
    calls = []
    opt.register_step_pre_hook(lambda *_: calls.append("pre"))
    opt.register_step_post_hook(lambda *_: calls.append("post"))

    def closure():
        calls.append("closure")
        opt.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        return loss

    with torch.no_grad():
        first = opt.step(closure)
    assert calls == ["pre", "closure", "post"]
    assert opt.step(closure) < first
    opt.zero_grad()
    assert all(one.grad is None for one in model.parameters())
    opt.step(closure)
    opt.zero_grad(set_to_none=False)
    assert all((one.grad == 0).all() for one in model.parameters())


def test_step_is_a_plain_method():
    opt = lt.SGD(little().parameters(), lr=0.1)
    assert isinstance(opt.step, types.MethodType)
    assert opt.step.__func__.__name__ == "step"
    wrapped = type("Wrapped" + type(opt).__name__, (type(opt),), {})  # as Lightning does
    assert isinstance(wrapped(little().parameters(), lr=0.1), lt.SGD)


@pytest.mark.parametrize("scheduler", ["StepLR", "OneCycleLR", "CosineAnnealingLR", "ReduceLROnPlateau", "CyclicLR"])
def test_schedulers_of_torch(scheduler):
    options = {
        "StepLR": {"step_size": 3, "gamma": 0.5},
        "OneCycleLR": {"max_lr": 0.3, "total_steps": 13},
        "CosineAnnealingLR": {"T_max": 9},
        "ReduceLROnPlateau": {"patience": 1},
        "CyclicLR": {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3},
    }[scheduler]
    models = [little(torch.float64), little(torch.float64)]
    opts = [
        module.SGD(model.parameters(), lr=0.1, momentum=0.9) for module, model in zip((lt, torch.optim), models, strict=True)
    ]
    made = [getattr(torch.optim.lr_scheduler, scheduler)(opt, **options) for opt in opts]
    for step in range(12):
        for model, opt, one in zip(models, opts, made, strict=True):
            give_gradients(model, step)
            opt.step()
            one.step(*([1.0] if scheduler == "ReduceLROnPlateau" else []))
        assert opts[0].param_groups[0]["lr"] == opts[1].param_groups[0]["lr"]
        assert opts[0].param_groups[0]["momentum"] == opts[1].param_groups[0]["momentum"]
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("how", ["protocol", "unscaled", "plain loop", "not fused", "not fused, unscaled"])
def test_gradient_scalers(how):
    scales, models, opts = [], [little(), little()], []
    for model in models:
        opts.append(lt.SGD(model.parameters(), lr=0.1, momentum=0.9, fused=False if "not fused" in how else None))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step in range(5):
        give_gradients(models[0], step)
        give_gradients(models[1], step)
        for param in models[1].parameters():
            param.grad *= scaler.get_scale()
        bad = step in (0, 3)  # also at the very first step
        if bad:
            next(models[1].parameters()).grad[0, 0] = float("inf")
        before = [one.detach().clone() for one in models[1].parameters()]
        if not bad:
            opts[0].step()
        scaler.scale(torch.ones(()))
        if how in ("protocol", "not fused"):
            scaler.step(opts[1])
        elif "unscaled" in how:
            scaler.unscale_(opts[1])
            scaler.step(opts[1])
        else:
            scaler.unscale_(opts[1])
            if not bad:
                opts[1].step()
        if bad:
            assert all(same_bits(a, b) for a, b in zip(models[1].parameters(), before, strict=True))
            assert step > 0 or not opts[1].state
        scaler.update()
        scales.append(scaler.get_scale())
    assert scales == [512.0, 512.0, 512.0, 256.0, 256.0]
    assert all(same_bits(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))
    assert opts[1].count == 3
    assert opts[1].skipped == (2 if how in ("protocol", "unscaled") else 0)


@pytest.mark.parametrize("again", [lambda opt: opt, copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))])
@pytest.mark.parametrize("fused", [None, True, False])
def test_scalers_divide_gradients_only_with_fused_false(again, fused):
    opt = lt.SGD(little().parameters(), lr=0.1, fused=fused)
    opt.load_state_dict(lt.SGD(little().parameters(), fused=not fused).state_dict())
    opt = again(opt)
    assert opt._step_supports_amp_scaling is (fused is not False)


def test_options_of_the_pipeline():
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.1, clip_norm=0.5, skip_nonfinite=True)
    give_gradients(model, 0)
    norm = torch.linalg.vector_norm(torch.cat([one.grad.flatten() for one in model.parameters()]))
    opt.step()
    assert opt.grad_norm == pytest.approx(norm.item())
    next(model.parameters()).grad[0, 0] = float("nan")
    before = [one.detach().clone() for one in model.parameters()]
    opt.step()
    assert (opt.count, opt.skipped) == (1, 1)
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), before, strict=True))
    refusing = lt.SGD(model.named_parameters(), lr=0.1, error_if_nonfinite=True)
    with pytest.raises(
        ValueError, match=r"SGD.step: grads must be finite with error_if_nonfinite; got nan in grads\['0.weight'\]"
    ):
        refusing.step()


def test_repr_shows_the_options_of_all_groups():
    shown = repr(lt.SGD(little().parameters(), lr=0.1, clip_norm=lk.linear(1.0, 0.0, 9), ema=0.99))
    assert shown.startswith("SGD (\nParameter Group 0\n")
    assert shown.endswith("weight_decay: 0.0\n\nAll Parameter Groups\n    clip_norm: linear(1.0, 0.0, 9)\n    ema: 0.99\n)")
    assert "All Parameter Groups" not in repr(lt.SGD(little().parameters(), lr=0.1))


def test_the_same_bits_as_the_optimizer_of_lrkern():
    for options in ({"clip_norm": 1.0, "ema": 0.9}, {"clip_value": 0.1}, {"decay_mask": lambda name, one: one.ndim > 1}):
        model = little()
        arrays = [one.detach().numpy().copy() for one in model.parameters()]
        opt, plain = lt.AdamW(model.parameters(), lr=0.01, **options), lk.AdamW(arrays, lr=0.01, **options)
        for step in range(5):
            give_gradients(model, step)
            plain.step([one.grad.numpy() for one in model.parameters()])
            opt.step()
        assert all((a.detach().numpy() == b).all() for a, b in zip(model.parameters(), arrays, strict=True))


def test_copies_in_low_precision():
    model = little()
    copies = [torch.zeros_like(one, dtype=torch.bfloat16) for one in model.parameters()]
    opt = lt.SGD(model.parameters(), lr=0.1, copy_to=copies)
    give_gradients(model, 0)
    opt.step()
    assert all(same_bits(one.to(torch.bfloat16), to) for one, to in zip(model.parameters(), copies, strict=True))


@pytest.mark.parametrize("backend", [None, "torch"])
def test_copies_may_move(backend):
    model = little()
    copies = [torch.zeros_like(one, dtype=torch.bfloat16) for one in model.parameters()]
    opt = lt.SGD(model.parameters(), lr=0.1, copy_to=copies, backend=backend)
    for step in range(3):
        give_gradients(model, step)
        opt.step()
        assert all(same_bits(one.to(torch.bfloat16), to) for one, to in zip(model.parameters(), copies, strict=True))
        for one in copies:
            one.data = torch.zeros_like(one)  # the memory of before is freed
    copies[0].data = torch.zeros(1, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match=r"^SGD: copy_to\[0\] must have shape \(6, 4\)"):
        opt.step()
    assert opt.count == 3


def test_averaged_swaps_parameters_and_leaves_buffers():
    torch.manual_seed(0)
    model, data = training.convolutional(), training.images()
    opt = lt.AdamW(model.parameters(), ema=0.9)
    training.train(model, opt, data, 5)
    parameters = [one.detach().clone() for one in model.parameters()]
    buffers = [one.clone() for one in model.buffers()]
    averages = [opt.state[one]["ema"].clone() for one in model.parameters()]
    with opt.averaged():
        assert all(same_bits(a, b) for a, b in zip(model.parameters(), averages, strict=True))
        assert all(same_bits(a, b) for a, b in zip(model.buffers(), buffers, strict=True))
        with pytest.raises(RuntimeError, match=r"AdamW.step: parameters must not be their averages"):
            opt.step()
        with pytest.raises(RuntimeError, match=r"got averaged\(\) within averaged\(\)"), opt.averaged():
            pass
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), parameters, strict=True))
    opt.step()
    with (
        pytest.raises(ValueError, match=r"AdamW.averaged: the optimizer must be made with ema"),
        lt.AdamW(model.parameters()).averaged(),
    ):
        pass


def averaged_once():
    model = torch.nn.Sequential(little(), torch.nn.BatchNorm1d(2))
    opt = lt.SGD(model.named_parameters(), lr=0.1, ema=0.5)
    opt.average_buffers(model)
    give_gradients(model, 0)
    opt.step()
    return model, opt, [one.detach().clone() for one in model.state_dict().values()]


def is_as_it_was(model, before):
    return all(same_bits(a, b) for a, b in zip(model.state_dict().values(), before, strict=True))


def test_averaged_names_a_parameter_of_another_shape():
    model, opt, before = averaged_once()
    bias = model[0][2].bias
    bias.data, old = torch.zeros(5), bias.data
    wanted = r"SGD.averaged: params\[3\] \(0.2.bias\) must have shape \(2,\) like its average; got \(5,\)"
    with pytest.raises(ValueError, match=wanted), opt.averaged():
        pass
    bias.data = old
    model[1].running_mean.resize_(3)
    with pytest.raises(ValueError, match=r"SGD.averaged: buffer '1.running_mean' must stay \(2,\)"), opt.averaged():
        pass
    model[1].running_mean.resize_(2)
    assert is_as_it_was(model, before)
    give_gradients(model, 1)
    opt.step()


@pytest.mark.parametrize("at", [0, 2, 5, 8, 11])
def test_an_error_while_averages_are_put_in_place(monkeypatch, at):
    """At any copy on the way in, as by Ctrl-C. What has been exchanged is exchanged back."""
    model, opt, before = averaged_once()
    copies = []
    copy_ = torch.Tensor.copy_

    def interrupted(self, other, *args):
        copies.append(self)
        result = copy_(self, other, *args)
        if len(copies) == at + 1:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(torch.Tensor, "copy_", interrupted)
    with pytest.raises(KeyboardInterrupt), opt.averaged(model=model):
        assert at >= 8
    assert len(copies) > at
    assert is_as_it_was(model, before)
    monkeypatch.undo()
    give_gradients(model, 1)
    opt.step()


def test_a_parameter_that_cannot_be_put_back_keeps_no_other_from_it():
    model, opt, before = averaged_once()
    weight = model[0][0].weight
    old = weight.data
    with pytest.raises(RuntimeError, match="must match the size"), opt.averaged():
        weight.data = torch.zeros(5)
    weight.data = old
    given = zip(model.state_dict().items(), before, strict=True)
    assert [name for (name, a), b in given if not same_bits(a, b)] == ["0.0.weight"]


@pytest.mark.parametrize("look", ["backend", "attach", "average_buffers", "averaged", "nothing"])
def test_averages_begin_with_the_parameters_of_the_first_step(look):
    """Whatever was asked of the optimizer before, such as before a model is loaded."""
    model = little()
    opt = lt.SGD(model.parameters(), lr=0.0, ema=0.5)
    if look == "backend":
        assert opt.backend == "c"
    elif look == "averaged":
        with opt.averaged():
            pass
    elif look != "nothing":
        getattr(opt, look)(model)
    model.load_state_dict({name: torch.full_like(one, 2.0) for name, one in model.state_dict().items()})
    model(torch.ones(1, 4)).sum().backward()
    opt.step()
    with opt.averaged():
        assert all(one.eq(2.0).all() for one in model.parameters())


def test_rule_optimizer_takes_any_class():
    class Own(lk.SGD):
        """One's own."""

    made = lt.rule_optimizer(Own)
    assert lt.rule_optimizer(types.SimpleNamespace(Optimizer=Own)) is made
    model, other = little(), little()
    for one, opt in ((model, made(model.parameters(), lr=0.1)), (other, lt.SGD(other.parameters(), lr=0.1))):
        give_gradients(one, 0)
        opt.step()
    assert all(same_bits(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    with pytest.raises(TypeError, match="rule_optimizer: rule must be a rule with an Optimizer; got str"):
        lt.rule_optimizer("sgd")


def test_a_compiled_model_is_not_compiled_again_when_the_rate_moves():
    testing = pytest.importorskip("torch._dynamo.testing")
    model = little()
    counter = testing.CompileCounter()
    compiled = torch.compile(model, backend=counter)
    opt = lt.SGD(model.parameters(), lr=lk.cosine(0.1, 0.0, 1000))
    x = torch.randn(5, 4)
    for step in range(1000):
        opt.zero_grad()
        (compiled(x) ** 2).mean().backward()
        opt.step()
        if step == 2:
            frames = counter.frame_count
    assert counter.frame_count == frames
    assert opt.count == 1000


@pytest.mark.parametrize("kind", ["convolutional", "attention"])
def test_models_train_to_the_same_loss(kind):
    losses = []
    for module in (lt, torch.optim):
        torch.manual_seed(0)
        model, data = (
            (training.convolutional(), training.images())
            if kind == "convolutional"
            else (training.Attention(), training.sequences())
        )
        model.double()
        opt = module.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
        losses.append(training.train(model, opt, data, 60))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0][-1] < losses[0][0] / 2


def test_a_tensor_of_several_elements_is_no_rate():
    match = r"lr( of param_groups\[0\])? must be a number, or a tensor of 1 element; got one of shape \(2,\)$"
    with pytest.raises(ValueError, match=f"^AdamW: {match}"):
        lt.AdamW(little().parameters(), lr=torch.tensor([0.1, 0.2]))
    opt = lt.AdamW(little().parameters())
    opt.backend  # noqa: B018
    opt.param_groups[0]["lr"] = torch.tensor([0.1, 0.2])
    with pytest.raises(ValueError, match=f"^AdamW(.step)?: {match}"):
        opt.step()
    opt.param_groups[0]["lr"] = torch.tensor([0.1])
    opt.step()
