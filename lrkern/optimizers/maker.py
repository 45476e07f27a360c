"""How an optimizer is put together: its groups, the arrays it keeps for each parameter, and the engine that steps them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lrkern import _checks, _core
from lrkern.backends import Backend
from lrkern.backends.engine import StepTensors
from lrkern.optimizers.arranged import Arranged
from lrkern.optimizers.options import OF_GROUPS, Form, Group, Options, RuleOptions
from lrkern.optimizers.shared import Checked

if TYPE_CHECKING:
    from lrkern.backends.engine import Engine


@dataclass(frozen=True)
class Maker:
    """Makes the parts of one optimizer, also those of groups that are added later."""

    name: str
    backend: Backend
    rule: RuleOptions
    initial: Mapping[str, float]
    """The initial values of states that do not start at 0."""
    options: Options
    """The rule's options, for groups that have none of their own."""
    shared: Checked

    def as_arrays(self, where: str, kind: str, label: Callable[[str, int], str], values: Iterable[Any]) -> list[Any]:
        """Values of the user as arrays of the backend, which steps write."""
        as_array = self.backend.arrays.as_array
        return [as_array(where, label(kind, i), one, written=True) for i, one in enumerate(values)]

    def groups(self, own: list[Options], shared: Mapping[str, Any], *, masked: bool) -> tuple[list[Group], list[list[int]]]:
        """Groups, and the indices of those that each user group has; if parameters are `masked`, a second one without decay."""
        groups: list[Group] = []
        parts: list[list[int]] = []
        for one in own:
            options = {**self.options, **{name: value for name, value in one.items() if name not in OF_GROUPS}}
            parts.append([])
            for decays in (True, False) if masked else (True,):
                parts[-1].append(len(groups))
                ema, decay = one.get("ema", shared.get("ema")), one.get("decay", shared.get("decay", "coupled"))
                groups.append(Group(self.name, self.rule, options, ema, decays=decays, decay=decay))
                self._check_state_dtype(groups[-1].form)
        return groups, parts

    def _check_state_dtype(self, form: Form) -> None:
        dtype = self.shared.state_dtype
        word = "" if dtype is None else "bfloat16" if dtype == np.uint16 else dtype.name
        if word in form.unfit:
            raise ValueError(f"{self.name}: state_dtype must not be {word!r}, {form.unfit[word]}")

    def engine(self, arranged: Arranged, kept: Mapping[str, list[Any]]) -> tuple[dict[str, list[Any]], Engine]:
        """The arrays kept for each parameter, those in `kept` reused, and the engine that steps them."""
        if self.rule.prepare_c is not None and self.backend.StepList is _core.StepList:
            self.rule.prepare_c(self.name)
        arrays, label, params = self.backend.arrays, arranged.structure.label, arranged.params
        variants, halves = [group.form.variant for group in arranged.groups], self.shared.halves
        # Before arrays are made like invalid ones.
        made_of = StepTensors(self.name, label, params, variants, arranged.group_of, {}, halves=halves)
        made_of = made_of._replace(clips_with=[part[0] for part in arranged.parts for _ in part])
        self.backend.StepList(made_of)

        groups = [arranged.groups[g] for g in arranged.group_of]
        old = len(kept.get("remainder", ()))
        pairs = list(zip(params, groups, strict=True))[old:]
        states = {state: [self._state(state, param, group) for param, group in pairs] for state in self.rule.states}
        most = max((len(group.decays_of_averages) for group in arranged.groups), default=0)
        others = {
            kind: [
                arrays.in_computed_type(param, halves) if k < len(group.decays_of_averages) else None for param, group in pairs
            ]
            for k, kind in enumerate(_core.AVERAGES[: max(1, most)])
        }
        others["remainder"] = [
            arrays.zeros_like(param, np.int16) if self.shared.splits and arrays.is_bfloat16(param, halves) else None
            for param, _ in pairs
        ]
        states, others = (
            {kind: [*kept.get(kind, [None] * old), *made] for kind, made in some.items()} for some in (states, others)
        )
        tensors = self.backend.StepList(
            made_of._replace(
                states=states,
                others=others | {"copy_to": arranged.copies},
                row_lrs=[self._row_lrs(label("param", i), params[i], group) for i, group in enumerate(groups)],
                as_gradient=partial(arrays.as_gradient, all(one.form.takes_rows for one in arranged.groups), halves),
                owns_states=True,
            )
        )
        tensors.set_options(self.shared.steps)
        return states | others, tensors

    def _state(self, state: str, param: Any, group: Group) -> Any:
        if state not in group.form.states:
            return None
        arrays = self.backend.arrays
        array = arrays.zeros_like(param, self.shared.state_dtype or arrays.computed_in(param))
        if self.initial.get(state):
            arrays.fill(array, self.initial[state], self.shared.halves)
        return array

    def _row_lrs(self, label: str, param: Any, group: Group) -> Any:
        lrs = group.options.get("lr")
        if not isinstance(lrs, np.ndarray):
            return None
        if param.ndim == 0:
            raise ValueError(f"{self.name}: lr must be one number, because {label} has no rows; got {_checks.describe(lrs)}")
        if len(param) != len(lrs):
            wanted = f"one number, or {len(param)} numbers, one per row of {label}"
            raise ValueError(f"{self.name}: lr must be {wanted}; got {len(lrs)}")
        if not param.flags.c_contiguous:
            wanted = f"C-contiguous, because each of its rows has its own lr; got strides {param.strides}"
            raise ValueError(f"{self.name}: {label} must be {wanted}")
        return lrs
