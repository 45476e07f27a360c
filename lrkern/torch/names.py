"""The options of an optimizer under torch's names: pairs such as `betas`, torch's order, and the signature made of them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from lrkern.optimizers.base import DEFAULTS, Optimizer
from lrkern.optimizers.option_names import unknown_option

# Tuples of torch -> the options that they hold, as many of them as an optimizer has.
PACKED = {
    "betas": ("beta1", "beta2", "beta3"),
    "etas": ("eta_minus", "eta_plus"),
    "step_sizes": ("step_min", "step_max"),
}
# Option or state -> its name in those optimizers of torch that have it.
_IN_TORCH = {
    "decoupled": "decoupled_weight_decay",
    "initial_accumulator": "initial_accumulator_value",
}
_STATES_IN_TORCH = {"previous": "prev", "average": "ax"}

FLAGS: Mapping[str, Any] = {"foreach": None, "fused": None, "capturable": False, "differentiable": False}
"""Options of torch's optimizers that choose between its implementations, with their defaults."""


@dataclass(frozen=True)
class Option:
    """An option as it stands in `param_groups`."""

    name: str
    parts: tuple[str, ...]
    """The names of lrkern's optimizer: several for a tuple."""
    default: Any

    @property
    def is_tuple(self) -> bool:
        """Whether its value is a tuple."""
        return self.name in PACKED

    def of_parts(self, values: Mapping[str, Any]) -> Any:
        """The value made of those of the parts."""
        return tuple([values[part] for part in self.parts]) if self.is_tuple else values[self.parts[0]]


class Names:
    """The names of one optimizer of lrkern."""

    def __init__(self, core: type[Optimizer]) -> None:
        self.core = core

    @cached_property
    def twin(self) -> type[torch.optim.Optimizer] | None:
        """torch's optimizer of the same name."""
        found = getattr(torch.optim, self.core.__name__, None)
        ours = (self.core.__module__ or "").partition(".")[0] == "lrkern"  # None in code that `exec` runs
        return found if ours and isinstance(found, type) and issubclass(found, torch.optim.Optimizer) else None

    @cached_property
    def _of_twin(self) -> Mapping[str, inspect.Parameter]:
        if self.twin is None:
            return {}
        _, _, *rest = inspect.signature(self.twin.__init__).parameters.values()
        return {one.name: one for one in rest}

    @cached_property
    def options(self) -> dict[str, Option]:
        """All options that groups may have, by torch's names; an option without a default has none here either."""
        _, *own = inspect.signature(self.core).parameters.values()
        defaults = {one.name: one.default for one in own if one.name not in DEFAULTS and one.kind is not one.VAR_KEYWORD}
        found: dict[str, Option] = {}
        packed = {}
        for name, parts in PACKED.items():
            have = tuple(part for part in parts if part in defaults)
            if len(have) > 1:
                packed.update(dict.fromkeys(have, (name, have)))
        for part, default in defaults.items():
            if part in packed:
                name, parts = packed[part]
                found.setdefault(name, Option(name, parts, tuple(defaults[one] for one in parts)))
                continue
            name = _IN_TORCH.get(part, part)
            name = name if name in self._of_twin else part
            if default is inspect.Parameter.empty and name in self._of_twin:
                default = self._of_twin[name].default
            found[name] = Option(name, (part,), default)
        return found

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """Options of torch's optimizer that have one value here: Adam's decay is coupled, AdamW's is not."""
        known = "decoupled_weight_decay" in inspect.signature(torch.optim.Adam.__init__).parameters  # torch 2.7 or newer
        if self.twin is None or not known or not issubclass(self.twin, torch.optim.Adam):
            return {}
        return {"decoupled_weight_decay": bool(self.core._rule.fixed["decoupled"])}

    @cached_property
    def option_of(self) -> dict[str, Option]:
        """lrkern's name -> the option that it is, or is a part of."""
        return {part: option for option in self.options.values() for part in option.parts}

    @cached_property
    def states(self) -> dict[str, str]:
        """lrkern's name of a state -> its name in `state`."""
        return {one: _STATES_IN_TORCH.get(one, one) if self.twin else one for one in self.core._rule.states}

    @property
    def averages(self) -> str:
        """The name in `state` of the average that the rule itself keeps, or ""."""
        return self.states.get(self.core._rule.averages, "")

    @cached_property
    def signature(self) -> inspect.Signature:
        """The signature of the adapter: torch's arguments in torch's order, then lrkern's."""
        positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
        found = {"params": inspect.Parameter("params", positional)}
        for name, one in self._of_twin.items():
            if name in self.options:
                found[name] = inspect.Parameter(name, one.kind, default=self.options[name].default)
            elif name in FLAGS:
                found[name] = inspect.Parameter(name, one.kind, default=FLAGS[name])
            elif name in self.fixed:
                found[name] = inspect.Parameter(name, one.kind, default=self.fixed[name])
        of_lion = {"lr": positional, "betas": positional}  # the order of most optimizers that torch has not
        for name, option in self.options.items():
            kind = inspect.Parameter.KEYWORD_ONLY if self.twin else of_lion.get(name, inspect.Parameter.KEYWORD_ONLY)
            found.setdefault(name, inspect.Parameter(name, kind, default=option.default))
        for name, default in {**FLAGS, **DEFAULTS}.items():
            found.setdefault(name, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
        return inspect.Signature(sorted(found.values(), key=lambda one: one.kind))

    def unpacked(self, where: str, given: Mapping[str, Any], of: str) -> dict[str, Any]:
        """Options under either name, as lrkern's options."""
        result: dict[str, Any] = {}
        for name, value in given.items():
            option = self.options.get(name)
            if option is None and name in self.option_of:
                result[name] = value
            elif option is None:
                raise unknown_option(where, name, of, list(self.signature.parameters)[1:])
            elif option.is_tuple:
                result |= zip(option.parts, self._members(where, option, value), strict=True)
            else:
                result[option.parts[0]] = value
        return result

    @staticmethod
    def _members(where: str, option: Option, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, tuple | list) or len(value) != len(option.parts):
            wanted = f"must be a tuple of {len(option.parts)}: {', '.join(option.parts)}"
            raise ValueError(f"{where}: {option.name} {wanted}; got {value!r}")
        return tuple(value)
