"""Saving and loading the state of optimizers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar

from lrkern import _checks, _core
from lrkern.backends import Backend
from lrkern.optimizers import arrays as _arrays
from lrkern.optimizers.arranged import Arranged
from lrkern.optimizers.limits import Limits
from lrkern.optimizers.options import Group, Options, RuleOptions

if TYPE_CHECKING:
    from lrkern.backends.engine import Engine
    from lrkern.optimizers.resume import Saved, Unloaded


_MORE = _core.AVERAGES[1:]
"""Kinds of arrays that a state may have or not."""

_RECENT = "recent_norms"
"""Of a state: the norms of the last steps, for `skip_sigma`."""

_SCALARS = "scalars"
"""Of a state: by name, the scalar states of each parameter, for rules that have some."""


class Resumable:
    """The part of an optimizer that saves and loads its state."""

    _rule: ClassVar[RuleOptions]
    _name: str
    _arranged: Arranged
    _kept: dict[str, list[Any]]
    _tensors: Engine
    _backend: Backend
    _halves: bool
    _steps_before: int
    _count_before: int
    _limits: Limits

    if TYPE_CHECKING:

        @property
        def count(self) -> int: ...
        @property
        def skipped(self) -> int: ...
        def _refuse_if_averaged(self, where: str) -> None: ...
        def _change(self, changes: list[tuple[Group, Options]], limits: Limits | None = None) -> None: ...

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{self._name}: an optimizer cannot be pickled or copied, because it updates arrays of the caller: "
            "create another one and pass state_dict() to its load_state_dict()"
        )

    def state_dict(self) -> dict[str, Any]:
        """The state needed to resume, apart from parameters and arguments: copies, safe to pickle.

        Raises:
            RuntimeError: the optimizer is in use by another thread.
        """
        return self._tensors.alone(self._copy_state)

    def _copy_state(self) -> dict[str, Any]:
        unflatten, copy = self._arranged.structure.unflatten, self._backend.arrays.copy
        copies = {
            f"{kind}s": unflatten([None if one is None else copy(one) for one in arrays])
            if any(one is not None for one in arrays)
            else None
            for kind, arrays in self._kept.items()
        }
        updates = unflatten(self._tensors.get_updates())
        plain = {"optimizer": self._name, "count": self.count, "skipped": self.skipped, **self._recent()}
        scalars = {name: unflatten(values) for name, values in self._scalars().items()}
        return {**plain, "updates": updates, **({_SCALARS: scalars} if scalars else {}), **copies}

    def _scalars(self) -> dict[str, list[float]]:
        """The scalar states of all parameters, by name."""
        found = self._tensors.get_scalar_states() if self._rule.scalars else []
        return {name: [own[k] for own in found] for k, name in enumerate(self._rule.scalars)}

    def _recent(self) -> dict[str, list[float]]:
        recent = self._tensors.get_recent()
        return {_RECENT: recent} if recent else {}

    def load_state_dict(self, state: Mapping[str, Any], *, strict: bool = True) -> Unloaded:
        """Resume from the result of `state_dict`, on an optimizer created with matching parameters and options.

        Arrays are matched to parameters by key in a dict, in any order, or by index in a list. If the state has no averages
        (`ema`), they start from the current parameters.

        Args:
            state: the result of `state_dict`.
            strict: False loads what matches and leaves the rest unchanged. If one state of a parameter does not match, the
                parameter keeps all its states and its number of updates.

        Returns:
            Lists of names of what was not loaded: `missing` in the state, `unknown` to the optimizer, `misshapen` (of another
            dtype or shape), `left` (matching, but others of the same parameter do not). They are empty if `strict`.

        Raises:
            TypeError, ValueError: `state` is not such a state; or, if `strict`, something is missing, unknown or misshapen,
                which the error names. Nothing has changed.
            RuntimeError: the optimizer is in use by another thread.

        Example:
            >>> import numpy as np, lrkern as lk
            >>> state = lk.SGD({"w": np.ones(2), "old": np.ones(1)}, lr=0.1, momentum=0.9).state_dict()
            >>> opt = lk.SGD({"new": np.ones(3), "w": np.ones(2)}, lr=0.1, momentum=0.9)
            >>> opt.load_state_dict(state, strict=False)
            Unloaded(missing=["params['new']"], unknown=["params['old']"], misshapen=[], left=[])
        """
        from lrkern.optimizers.resume import Saved, by_place

        where = f"{self._name}.load_state_dict"
        own, optional = [kind for kind in self._kept if kind not in _MORE], [kind for kind in _MORE if f"{kind}s" in state]
        needed = {"optimizer", "count", "skipped", "updates", *(f"{kind}s" for kind in own)}
        needed |= {_SCALARS} if self._rule.scalars else set()
        # A state from before a rule had this one: no harm where it is not used.
        unused = {f"{kind}s" for kind in own if not any(one is not None for one in self._kept[kind])}
        given = set(state) - {_RECENT, *(f"{kind}s" for kind in _MORE)} if isinstance(state, Mapping) else set()
        if not needed - unused <= given <= needed:
            raise ValueError(f"{where}: state must be what state_dict returned; got {_checks.describe(state)}")
        arrays = {
            kind: {place: one for place, one in by_place(where, f"{kind}s", found).items() if one is not None}
            for kind in own + optional
            if (found := state.get(f"{kind}s")) is not None
        }
        count, skipped = (self._count_of(where, state, key) for key in ("count", "skipped"))
        scalars = state.get(_SCALARS, {})
        if not isinstance(scalars, Mapping):
            raise TypeError(f"{where}: {_SCALARS} must be a dict; got {_checks.describe(scalars)}")
        saved = Saved(count, skipped, by_place(where, "updates", state["updates"]), arrays, recent=state.get(_RECENT, []))
        saved.scalars = {name: by_place(where, _checks.cut(str(name)), found) for name, found in scalars.items()}
        return self._load(where, saved, strict)

    def _count_of(self, where: str, state: Mapping[str, Any], key: str) -> int:
        other = state.get("optimizer")
        if other != self._name:
            other = _checks.cut(other) if isinstance(other, str) else _checks.describe(other)
            raise ValueError(f"{where}: the state must be of {self._name}; got one of {other}")
        return _checks.count(where, key, state.get(key))

    def _load(self, where: str, saved: Saved, strict: bool) -> Unloaded:
        from lrkern.optimizers.resume import Kept, fit, norms

        self._refuse_if_averaged(where)
        strict = _checks.flag(where, "strict", strict)
        recent = norms(where, _RECENT, saved.recent)
        own = self._arranged
        updates = [0] * len(own.params) if strict else self._tensors.get_updates()
        kept = Kept(own.structure.label, own.places(), self._kept, self._rule.states, own.params, updates, self._scalars())
        loaded = fit(where, kept, saved, strict)
        changes = self._changes(where, saved.hypers, loaded.unloaded, strict)
        limits = self._limits.changed(where, saved.of_all) if saved.of_all else None
        if loaded.begun:
            loaded.pairs.extend(self._tensors.alone(partial(self._begun, loaded.begun, loaded.pairs)))
        scalars = list(zip(*loaded.scalars.values(), strict=True))
        self._tensors.restore(loaded.updates, saved.count, saved.skipped, loaded.pairs, recent, scalars)
        self._steps_before, self._count_before = saved.count + saved.skipped, saved.count
        if own.has_copies:
            self._tensors.alone(self._tensors.write_copies)
        if changes or limits is not None:
            self._change(changes, limits)
        return loaded.unloaded

    def _begun(self, begun: list[tuple[str, int]], pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        """The averages that start now, each with the parameter it starts from: a loaded or a current one."""
        of_params = {id(own): one for own, one in pairs}
        arrays = self._backend.arrays

        def first(index: int) -> Any:
            param = self._arranged.params[index]
            if id(param) in of_params:
                return _arrays.in_computed_type(of_params[id(param)], self._halves)
            return arrays.in_cpu_memory(arrays.in_computed_type(param, self._halves))

        return self._tensors.held(lambda: [(self._kept[kind][i], first(i)) for kind, i in begun])

    # ------------------------------------------------------------------------------------------------------------ files

    def save(self, path: str | PathLike[str], *, parameters: bool = False) -> None:
        """Write the state to a safetensors file, atomically: at any time the old file or the new one is complete.

        The file is first written to the same directory as `.lrkern-save-...`. If the process is killed, the next save there
        removes such leftovers.

        Args:
            path: path of the file.
            parameters: True writes a checkpoint with everything needed to resume: also the parameters, the hyper-parameters of
                each group and limits of norms, schedules included. Functions other than a `Schedule` cannot be saved; `load`
                then keeps the optimizer's own. With False, save the parameters separately.

        Raises:
            OSError: the file cannot be written, or the path is a directory, a device or a FIFO.
            RuntimeError: the optimizer is in use by another thread. A step raises it as well while another thread saves.

        Example:
            >>> import numpy as np, lrkern as lk, tempfile, os
            >>> params = {"w": np.ones(3)}
            >>> opt = lk.AdamW(params, lr=lk.cosine(0.1, 0.0, 1000).warmup(10))
            >>> opt.step({"w": np.ones(3)})
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     opt.save(os.path.join(folder, "run"), parameters=True)
            ...     other = {"w": np.zeros(3)}
            ...     again = lk.AdamW(other, lr=0.5)
            ...     _ = again.load(os.path.join(folder, "run"), parameters=True)
            >>> (other["w"] == params["w"]).all(), again.count, again.lr == opt.lr
            (np.True_, 1, True)
        """
        parameters = _checks.flag(f"{self._name}.save", "parameters", parameters)
        if parameters:
            self._refuse_if_averaged(f"{self._name}.save")
        self._tensors.alone(partial(self._tensors.held, partial(self._save, path, parameters)))

    def _save(self, path: str | PathLike[str], parameters: bool) -> None:
        from lrkern.optimizers import checkpoint as _checkpoint
        from lrkern.optimizers import safetensors_file

        kinds = {**self._kept, "param": self._arranged.params} if parameters else self._kept
        in_cpu_memory = self._backend.arrays.in_cpu_memory
        arrays = {
            f"{kind}/{i}": in_cpu_memory(one) for kind, kept in kinds.items() for i, one in enumerate(kept) if one is not None
        }
        plain = {
            "optimizer": self._name,
            "count": self.count,
            "skipped": self.skipped,
            **self._recent(),
            "updates": self._tensors.get_updates(),
            **({_SCALARS: self._scalars()} if self._rule.scalars else {}),
            "labels": [f"params{place}" for place in self._arranged.places()],
        }
        if parameters:
            groups = [self._arranged.groups[part[0]] for part in self._arranged.parts]
            plain["groups"] = [_checkpoint.hypers(group, f"lr/{g}", arrays) for g, group in enumerate(groups)]
            for name, value in self._limits.values.items():
                plain |= _checkpoint.plain_value(name, value)
        safetensors_file.save(f"{self._name}.save", path, arrays, plain)

    def load(self, path: str | PathLike[str], *, parameters: bool = False, strict: bool = True) -> Unloaded:
        """Resume from a file that `save` wrote, on an optimizer created with matching parameters and options.

        Needs the package safetensors.

        Args:
            path: path of the file.
            parameters: True also loads the parameters and hyper-parameters; ValueError if the file has none.
            strict: False loads what matches, as in `load_state_dict`.

        Returns:
            What was not loaded, as in `load_state_dict`.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is damaged or was not written by `save`; or, if `strict`, something in it is missing, unknown
                or misshapen, which the error names. Nothing has changed.
        """
        from lrkern.optimizers import checkpoint as _checkpoint
        from lrkern.optimizers import safetensors_file
        from lrkern.optimizers.resume import Saved

        where = f"{self._name}.load"
        parameters = _checks.flag(where, "parameters", parameters)
        strict = _checks.flag(where, "strict", strict)
        arrays, plain = safetensors_file.load(where, path)
        try:
            count, skipped = (self._count_of(where, plain, key) for key in ("count", "skipped"))
            updates, found = _checkpoint.placed(where, path, arrays, plain)
            saved = Saved(count, skipped, updates, found, recent=plain.get(_RECENT, []))
            saved.scalars = _checkpoint.scalars(updates, plain.get(_SCALARS, {}))
            if parameters:
                _checkpoint.add_parameters(where, path, saved, plain)
            return self._load(where, saved, strict)
        except TypeError as error:
            raise ValueError(str(error)) from None

    def _changes(
        self, where: str, hypers: list[dict[str, Any]] | None, unloaded: Unloaded, strict: bool
    ) -> list[tuple[Group, Options]]:
        """All groups, with the hyper-parameters that were saved."""
        if hypers is None:
            return []
        parts = self._arranged.parts
        if len(hypers) != len(parts):
            if strict:
                raise ValueError(f"{where}: the checkpoint must have {len(parts)} groups; got one with {len(hypers)}")
            unloaded.missing.extend(f"groups[{g}]" for g in range(len(hypers), len(parts)))
            unloaded.unknown.extend(f"groups[{g}]" for g in range(len(parts), len(hypers)))
        changes = []
        for part, values in zip(parts, hypers, strict=False):
            for group in [self._arranged.groups[g] for g in part]:
                options = group.options
                for name, value in values.items():
                    options = group.changed(where, name, value, options)
                changes.append((group, options))
        return changes
