"""The reference and lrkern's optimizers side by side, step by step."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import reference_steps as reference
from reference_steps import Array
from step_arrays import assert_same_bits, bits

import lrkern as lk


def defaults(name: str) -> dict[str, Any]:
    """The options that a class has besides the common ones, with their defaults."""
    parameters = inspect.signature(getattr(lk, name).__init__).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}


def flat_list(value: Any) -> list[Any]:
    return [leaf for one in value for leaf in flat_list(one)] if isinstance(value, list) else [value]


def copied(params: Sequence[Any]) -> list[Any]:
    """Copies of parameters, or of groups of them, with the same memory order."""
    return [
        {**one, "params": copied(one["params"])} if isinstance(one, dict) else None if one is None else one.copy(order="K")
        for one in params
    ]


def arrays_in(params: Sequence[Any]) -> list[Array]:
    return [leaf for one in params for leaf in (one["params"] if isinstance(one, dict) else [one])]


class Pair:
    """The reference, and lrkern's optimizer once per ISA, all doing the same steps."""

    def __init__(self, name: str, params: Sequence[Any], copy_to: Sequence[Any] | None = None, **options: Any) -> None:
        self.name, self.params = name, params
        self.expected = reference.Optimizer(name, params, copy_to=copy_to, **defaults(name) | options)
        self.found: list[tuple[str, list[Any], list[Any] | None, Any]] = []
        for isa in lk.isas():
            own, copies = copied(params), None if copy_to is None else copied(copy_to)
            given = None if copies is None else self.nested(copies)
            self.found.append((isa, own, copies, getattr(lk, name)(own, copy_to=given, **options)))

    def load(self, count: int, updates: int, fill: Sequence[Array] | None = None) -> None:
        """Continue at a later step, with states filled from `fill`, if given, as far as each array's size allows."""
        self.expected.count = count
        for tensor in self.expected.tensors:
            tensor.updates = updates
            for (name, state), content in zip(tensor.states.items(), fill or [], strict=False):
                tensor.states[name] = content[: state.size].astype(state.dtype)
        for _, _, _, opt in self.found:
            state = opt.state_dict()
            state["count"], state["updates"] = count, [updates] * len(self.expected.tensors)
            for name in self.expected.tensors[0].states:
                state[f"{name}s"] = [
                    tensor.states[name].reshape(param.shape)
                    for tensor, param in zip(self.expected.tensors, self.params, strict=True)
                ]
            opt.load_state_dict(state)

    def nested(self, grads: Sequence[Any]) -> list[Any]:
        """A flat list in the structure of the parameters."""
        if not any(isinstance(one, dict) for one in self.params):
            return list(grads)
        left = iter(grads)
        return [[next(left) for _ in group["params"]] for group in self.params]

    def step(self, grads: Sequence[Any], grad_scale: float = 1.0) -> None:
        """One step of each, with its own copy of the gradients (also pairs of indices and values)."""

        def own() -> list[Any]:
            return [(one[0], one[1].copy()) if isinstance(one, tuple) else copied([one])[0] for one in grads]

        expected = own()
        self.expected.step(expected, grad_scale)
        for isa, _, _, opt in self.found:
            given = own()
            with lk.use_isa(isa):
                opt.step(self.nested(given), grad_scale=grad_scale)
            for i, (one, other) in enumerate(zip(given, expected, strict=True)):
                if one is not None:
                    assert_same_bits(reference.stored_values(one), reference.stored_values(other), f"{isa}: grads[{i}]")

    def compare(self) -> None:
        for isa, params, copies, opt in self.found:
            state = opt.state_dict()
            assert (opt.count, opt.skipped) == (self.expected.count, self.expected.skipped), isa
            if self.expected.grad_norm is not None:
                assert_same_bits(np.array(opt.grad_norm), np.array(self.expected.grad_norm), f"{isa}: grad_norm")
            if opt.norms is not None:
                for i, (one, tensor) in enumerate(zip(flat_list(opt.norms), self.expected.tensors, strict=True)):
                    assert (one is None) == (tensor.norms is None), f"{isa}: norms[{i}]"
                    if one is not None:
                        assert_same_bits(np.array(one), np.array(tensor.norms), f"{isa}: norms[{i}]")
            assert flat_list(state["updates"]) == [one.updates for one in self.expected.tensors]
            for i, (tensor, param) in enumerate(zip(self.expected.tensors, arrays_in(params), strict=True)):
                assert_same_bits(param, tensor.param, f"{isa}: params[{i}]")
                kinds = ("ema_param", "second_ema_param", "third_ema_param")
                kept = {**tensor.states, **dict(zip(kinds, tensor.emas, strict=False)), "remainder": tensor.remainder}
                for kind, array in kept.items():
                    if array is not None:
                        assert_same_bits(flat_list(state[f"{kind}s"])[i], array, f"{isa}: {kind}s[{i}]")
                if copies is not None and tensor.copy is not None:
                    assert_same_bits(copies[i], tensor.copy, f"{isa}: copy_to[{i}]")

    def run(self, steps: Sequence[Sequence[Any]], scale: float = 1.0) -> None:
        """Steps, the results of the last compared."""
        for grads in steps:
            self.step(grads, scale)
        self.compare()

    def assert_moved(self, least: float = 0.8) -> None:
        """Check that most parameters have changed, or, for narrow storage, the parameters or the states."""
        tensors = self.expected.tensors
        pairs = list(zip(tensors, arrays_in(self.params), strict=True))
        moved = [bits(tensor.param) != bits(param) for tensor, param in pairs]
        if any(tensor.param.itemsize == 2 for tensor in tensors):
            for tensor, changed in zip(tensors, moved, strict=True):
                for kept in (tensor.remainder, *tensor.states.values()):
                    if kept is not None:
                        changed |= kept != 0
        assert np.mean(np.concatenate(moved)) >= least, "the steps have changed almost nothing"
