"""What functions of users may return: numbers of Python and NumPy, and arrays and tensors of one element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lrkern as lk
from lrkern import dialects


class Tensor:
    """What is asked of an array of another library that has no `item`, as TensorFlow's."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.array, dtype)


class Refusing:
    """A tensor whose `item` raises what torch's does for more than one element."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def item(self) -> Any:
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")


KINDS: dict[str, Callable[[float], Any]] = {
    "array": np.array,
    "one element": lambda x: np.array([x]),
    "one element of two axes": lambda x: np.array([[x]]),
    "float32 array": lambda x: np.array(x, "f4"),
    "float32": np.float32,
    "float64": np.float64,
    "big-endian": lambda x: np.array(x, ">f8"),
    "tensor": Tensor,
    "tensor of one element": lambda x: Tensor([x]),
}
BAD: dict[str, Any] = {
    "two": np.array([0.5, 0.5]),
    "none": np.array([]),
    "tensor of two": Tensor([0.5, 0.5]),
    "refusing": Refusing(),
    "bool": np.array(True),
    "complex": np.array(0.5j),
    "text": np.array("0.5"),
    "object": np.array(None),
    "list": [0.5],
}
TAKERS: dict[str, Callable[[Callable[[Any], Any]], lk.Schedule]] = {
    "from_function": lambda f: lk.from_function(f, 5),
    "torch.LambdaLR": lambda f: dialects.torch.LambdaLR(0.1, f, 5),
    "torch.MultiplicativeLR": lambda f: dialects.torch.MultiplicativeLR(0.1, f, 5),
    "torch.CyclicLR": lambda f: dialects.torch.CyclicLR(0.1, 1.0, 3, scale_fn=f, steps=5),
    "torch.CyclicLR, iterations": lambda f: dialects.torch.CyclicLR(0.1, 1.0, 3, scale_fn=f, scale_mode="iterations", steps=5),
    "timm.WSDLRScheduler": lambda f: dialects.timm.WSDLRScheduler(1.0, 9, 4, decay_fn=f),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("kind", KINDS)
def test_values_of_one_element_are_numbers(taker: str, kind: str) -> None:
    make, wrap = TAKERS[taker], KINDS[kind]
    assert make(lambda t: wrap(2.0 ** -round(4 * t))) == make(lambda t: 2.0 ** -round(4 * t))


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("kind", BAD)
def test_everything_else_is_refused(taker: str, kind: str) -> None:
    with pytest.raises(TypeError, match=r"\(\S+\) must be a finite number"):
        TAKERS[taker](lambda t: BAD[kind])


@pytest.mark.parametrize("bad", [np.array(np.nan), np.array([np.inf]), Tensor(np.nan)])
def test_numbers_that_are_not_finite(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^from_function: f\(0\) must be a finite number; got "):
        lk.from_function(lambda t: bad, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_rates_that_optimizers_ask_for(kind: str) -> None:
    params = [[np.ones(3)], [np.ones(3)]]
    for one, rate in zip(params, (lambda t: KINDS[kind](2.0**-t), lambda t: 2.0**-t), strict=True):
        optimizer = lk.SGD(one, lr=rate, momentum=lambda t: KINDS[kind](0.5), ema=lambda t: KINDS[kind](0.25))
        for _ in range(3):
            optimizer.step([np.full(3, 0.5)])
    assert params[0][0].tolist() == params[1][0].tolist() != [1.0] * 3
