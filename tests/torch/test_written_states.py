"""States that users write to: single ones replaced, cleared or reset, as code for torch's optimizers does."""

from __future__ import annotations

import copy
import pickle
import sys
from collections import defaultdict
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lrkern as lk  # noqa: E402
import lrkern.torch as lt  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from training import give_gradients, little, same_bits  # noqa: E402

pytestmark = pytest.mark.peers


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert float(((a - b).abs() / b.abs().max()).detach().max()) < 1e-12


def replace(opt, param):
    opt.state[param]["exp_avg"] = torch.zeros_like(param)


def fill(opt, param):
    opt.state[param]["exp_avg"].zero_()


def update(opt, param):
    opt.state[param].update(exp_avg=torch.ones_like(param), exp_avg_sq=torch.ones_like(param))


def restart(opt, param):
    opt.state[param]["step"] = torch.tensor(0.0)


def restart_in_place(opt, param):
    opt.state[param]["step"].zero_()


def empty(opt, param):
    opt.state[param] = {}


def empty_in_place(opt, param):
    opt.state[param].clear()


def exchange(opt, param):
    own = opt.state.pop(param)
    opt.state[param] = {name: one.clone() * 0.5 if name != "step" else one for name, one in own.items()}


def clear_all(opt, param):
    opt.state.clear()


def new_dict(opt, param):
    opt.state = defaultdict(dict)


WRITES = [replace, fill, update, restart, restart_in_place, empty, empty_in_place, exchange, clear_all, new_dict]


@pytest.mark.parametrize("write", WRITES)
def test_writes_count_as_with_torch(write):
    models = [little(torch.float64), little(torch.float64)]
    opts = [module.AdamW(model.parameters(), lr=0.01) for module, model in zip((lt, torch.optim), models, strict=True)]
    for step in range(9):
        for model, opt in zip(models, opts, strict=True):
            if step in (3, 6):
                write(opt, model[0].weight)
            give_gradients(model, step)
            opt.step()
    assert_close(models[0].parameters(), models[1].parameters())
    for own, theirs in zip(opts[0].state.values(), opts[1].state.values(), strict=True):
        assert own["step"] == theirs["step"]
        assert_close([own["exp_avg"]], [theirs["exp_avg"]])
    assert opts[0].count == 9  # of the optimizer, which schedules follow


def test_numbers_of_tensors_count():
    params = [[torch.nn.Parameter(torch.ones(3, dtype=torch.float64))] for _ in range(2)]
    opts = [lt.NAdam(one) for one in params]
    for step in range(4):
        for k, [one] in enumerate(params):
            one.grad = torch.full((3,), 0.5, dtype=torch.float64)
            if k and step == 2:
                opts[k].state[one]["mu_product"].fill_(0.125)
            opts[k].step()
    assert not same_bits(params[0][0], params[1][0])
    twin = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    opt = lt.NAdam([twin])
    for step in range(4):
        twin.grad = torch.full((3,), 0.5, dtype=torch.float64)
        if step == 2:
            opt.state[twin]["mu_product"] = torch.tensor(0.125, dtype=torch.float64)
        opt.step()
    assert same_bits(twin, params[1][0])


def test_parameters_that_grow_take_their_states_along():
    """Tensors are replaced by longer and shorter ones, as in Gaussian splatting."""
    found = []
    for module in (lt, torch.optim):
        torch.manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(*shape, dtype=torch.float64)) for shape in ((5, 3), (5,))]
        opt = module.Adam([{"params": [params[0]], "lr": 0.1}, {"params": [params[1]], "lr": 0.2}])

        def steps(opt=opt):
            for _ in range(2):
                for group in opt.param_groups:
                    [param] = group["params"]
                    param.grad = torch.randn(param.shape, dtype=param.dtype)
                opt.step()

        def replaced(change, opt=opt):
            for group in opt.param_groups:
                [param] = group["params"]
                own = opt.state.pop(param)
                own |= {name: change(own[name], torch.zeros_like) for name in ("exp_avg", "exp_avg_sq")}
                group["params"][0] = torch.nn.Parameter(change(param.detach(), torch.ones_like))
                opt.state[group["params"][0]] = own

        steps()
        replaced(lambda one, like: torch.cat([one, like(one[:2])]))
        steps()
        replaced(lambda one, like: one[torch.arange(len(one)) % 3 > 0])
        steps()
        found.append([group["params"][0] for group in opt.param_groups])
    assert [len(one) for one in found[0]] == [4, 4]
    assert_close(*found)


def test_a_state_of_another_shape_is_refused_at_the_next_step():
    model = little()
    opt = lt.AdamW(model.parameters())
    give_gradients(model, 0)
    opt.step()
    good = opt.state[model[0].bias]["exp_avg"]
    opt.state[model[0].bias]["exp_avg"] = torch.zeros(5)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"AdamW.step: state 'exp_avg' of params\[1\] must have shape \(6,\)"):
            opt.step()
    opt.state[model[0].bias]["exp_avg"] = good
    opt.step()
    assert opt.count == 2


def test_states_that_leave_the_optimizer_are_plain():
    model = little()
    opt = lt.AdamW(model.parameters(), lr=lk.cosine(0.1, 0.0, 10))
    give_gradients(model, 0)
    opt.step()
    seen = []
    opt.register_state_dict_post_hook(lambda _, state: seen.append({type(one) for one in state["state"].values()}))
    states = [opt.state_dict()["state"], copy.deepcopy(opt.state), pickle.loads(pickle.dumps(opt.state))]
    assert {type(one) for state in states for one in state.values()} == {dict}
    assert seen == [{dict}]
    assert type(states[1]) is defaultdict
    opt.register_state_dict_post_hook(lambda _, state: {"wrapped": state})
    assert list(opt.state_dict()) == ["wrapped"]


def test_reading_states_does_not_cost_a_new_optimizer():
    model = little()
    opt = lt.AdamW(model.parameters())
    give_gradients(model, 0)
    opt.step()
    bound = opt._bound
    assert opt.state[model[0].weight].get("exp_avg").shape == (6, 4)
    assert [*opt.state_dict()["state"]] == [0, 1, 2, 3]
    opt.step()
    assert opt._bound is bound
