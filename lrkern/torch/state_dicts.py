"""The state of an adapter: what pickles, copies and state dicts hold, and how training continues from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lrkern.torch.names import FLAGS
from lrkern.torch.param_groups import ParamGroups
from lrkern.torch.schedules import report, schedule_of, texts_of

if TYPE_CHECKING:
    from lrkern.torch.release import Release


class StateDicts(ParamGroups):
    """The part of an adapter that saves and loads states."""

    _count: int
    """The counts and norms while there is no bound optimizer."""
    _skipped: int
    _recent: list[float]
    _averaging: bool
    _idle: int
    _release: Release | None

    if TYPE_CHECKING:

        @property
        def skipped(self) -> int: ...
        @property
        def recent(self) -> list[float]: ...

    def __getstate__(self) -> dict[str, Any]:
        own: dict[str, Any] = {"shared": self.shared, "_live": self._live, "_count": self.count, "_skipped": self.skipped}
        own["_recent"] = self.recent
        return {**super().__getstate__(), **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._bound = None
        self._averaging, self._idle = False, 0
        self._release = self.__dict__.get("_release")
        super().__setstate__(state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state of this optimizer, or of torch's optimizer of the same name.

        Hyper-parameters are those of the state, but an optimizer made with a schedule keeps it; if the state has another one, a
        warning says what differs. Without a schedule of its own it takes the one in the state.
        """
        taken: list[dict[str, Any]] = []

        def look(_: torch.optim.Optimizer, given: dict[str, Any]) -> None:
            self._check(given)
            taken.append(given)

        handle = self.register_load_state_dict_pre_hook(look)  # runs last
        remembered = self._live, [{name: group[name] for name in self.names.options} for group in self.param_groups]
        try:
            super().load_state_dict(state_dict)
        finally:
            handle.remove()
        self._restore(taken[-1], *remembered)

    def _check(self, given: Mapping[str, Any]) -> None:
        """Raise if a state does not fit, before anything changes."""
        where = f"{type(self).__name__}.load_state_dict"
        for g, group in enumerate(given["param_groups"]):
            for part, text in group.get("schedules", {}).items():
                schedule_of(where, f"{part} of param_groups[{g}]", text)
        saved = [one for group in given["param_groups"] for one in group["params"]]
        known = {*self.names.states.values(), "ema", "remainder"}
        for i, (one, param) in enumerate(zip(saved, self.core_params(), strict=False)):
            values = given["state"].get(one)
            for name, value in values.items() if isinstance(values, Mapping) else ():
                if name in known and isinstance(value, Tensor) and value.shape != param.shape:
                    wanted = f"must have shape {tuple(param.shape)} like its parameter"
                    raise ValueError(f"{where}: state {name!r} of params[{i}] {wanted}; got {tuple(value.shape)}")

    def _restore(self, given: Mapping[str, Any], live: list[dict[str, Any]], options: list[dict[str, Any]]) -> None:
        self._take_states(given)
        where = f"{type(self).__name__}.load_state_dict"
        steps = [int(own["step"]) for own in self.state.values() if isinstance(own, dict) and own.get("step") is not None]
        counts = [int(group.get("count", 0)) for group in self.param_groups]
        self._count, self._skipped, self._bound = max([0, *steps, *counts]), 0, None
        self._live = []
        for g, group in enumerate(self.param_groups):
            for name, value in {**FLAGS, **options[g]}.items():
                group.setdefault(name, value)
            saved = group.pop("schedules", {})
            own, found = live[g], {}
            for part in {**saved, **own}:
                if part not in self.names.option_of:
                    continue
                text = saved.get(part)
                if part in own:
                    found[part] = own[part]
                    report(where, f"{part} of param_groups[{g}]", text, own[part], self._count)
                elif text is not None:
                    found[part] = schedule_of(where, f"{part} of param_groups[{g}]", text)
            self._live.append(found)
            group["count"] = self._count
            if found:
                group["schedules"] = texts_of(found)
                self._show(g, self._count)

    def _take_states(self, given: Mapping[str, Any]) -> None:
        """Take the state's tensors with the dtypes that they have: torch casts them to those of parameters."""
        saved = [one for group in given["param_groups"] for one in group["params"]]
        params = [param for group in self.param_groups for param in group["params"]]
        back = {name: own for own, name in self.names.states.items()}
        for one, param in zip(saved, params, strict=True):
            values = given["state"].get(one)
            if not isinstance(values, Mapping):
                continue
            self.state[param] = {
                name: value.detach().clone().to(param.device if name != "step" else "cpu")
                if isinstance(value, Tensor)
                else value
                for name, value in values.items()
                if value is not None or name not in back
            }
