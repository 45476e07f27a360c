"""Tensors of torch, JAX and optax as numbers: what functions return, what states come back as."""

from typing import Any

import numpy as np
import pytest

import lrkern as lk
from lrkern import dialects

torch = pytest.importorskip("torch")
optax = pytest.importorskip("optax")

pytestmark = pytest.mark.peers


def test_functions_of_other_libraries() -> None:
    cosine = optax.cosine_decay_schedule(0.1, 10)
    assert lk.from_function(cosine, 11).args[0] == tuple(float(cosine(t)) for t in range(11))
    for half in (torch.tensor(0.5), torch.tensor([0.5], requires_grad=True), torch.tensor(0.5, dtype=torch.bfloat16)):
        for make in (lk.from_function, lambda f, n: dialects.torch.LambdaLR(1.0, f, n)):
            assert make(lambda t, half=half: half**t, 3).args[0] == (1.0, 0.5, 0.25)
    with pytest.raises(TypeError, match=r"^from_function: f\(0\) must be a finite number; got tensor"):
        lk.from_function(lambda t: torch.ones(2), 3)


def as_tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_tensors(one) for name, one in value.items()}
    if value is None or isinstance(value, str):
        return value
    number = [float(one) for one in value] if isinstance(value, list) else value
    return torch.from_numpy(np.array(number))


@pytest.mark.parametrize(
    "make",
    [
        lambda: lk.Plateau(0.1, patience=0),
        lambda: lk.Plateau([0.1, 0.2], patience=0, schedule=lk.cosine(0.1, 0.0, 9).warmup(2)),
        lambda: lk.LossDriven(0.1, 0.5),
    ],
)
def test_torch_loads_the_states_that_it_saved(make: Any, tmp_path: Any) -> None:
    one = make()
    for metric in (1.0, 2.0):
        one.update(np.full(np.shape(one.lr), metric) if np.shape(one.lr) else metric)
    torch.save(one.state_dict(), tmp_path / "state.pt")
    for state in (torch.load(tmp_path / "state.pt"), as_tensors(one.state_dict())):
        other = make()
        other.load_state_dict(state)
        assert other.state_dict() == one.state_dict()
