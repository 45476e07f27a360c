"""What optimizers save, and how they go on from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar

from lrkern import _checks
from lrkern.backends import Backend
from lrkern.optimizers import arrays as _arrays
from lrkern.optimizers.arranged import Arranged
from lrkern.optimizers.options import Group, Limit, Options, Rule

if TYPE_CHECKING:
    from lrkern.backends.engine import Engine
    from lrkern.optimizers.resume import Saved, Unloaded


class Resumable:
    """The part of an optimizer that saves and loads."""

    _rule: ClassVar[Rule]
    _name: str
    _arranged: Arranged
    _kept: dict[str, list[Any]]
    _tensors: Engine
    _backend: Backend
    _halves: bool
    _steps_before: int
    _limit: Limit

    if TYPE_CHECKING:

        @property
        def count(self) -> int: ...
        @property
        def skipped(self) -> int: ...
        def _change(self, changes: list[tuple[Group, Options]], limit: Limit | None = None) -> None: ...

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{self._name}: an optimizer cannot be pickled or copied, as it steps arrays that are not its own: "
            "make another one and give its load_state_dict() what state_dict() gives"
        )

    def state_dict(self) -> dict[str, Any]:
        """What a run needs to go on from here, apart from the parameters and the arguments: copies, safe to pickle.

        Raises:
            RuntimeError: another thread is in the middle of a step.
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
        return {"optimizer": self._name, "count": self.count, "skipped": self.skipped, "updates": updates, **copies}

    def load_state_dict(self, state: Mapping[str, Any], *, strict: bool = True) -> Unloaded:
        """Go on from what `state_dict` gave, on an optimizer made with like parameters and options.

        What belongs to which parameter follows from its key in a dict, in any order, or its place in a list. Averages
        (`ema`) begin here, as the parameters are now, where the state was taken without any.

        Args:
            state: what `state_dict` gave.
            strict: False loads what fits and leaves the rest as it is. A parameter of which one array that its rule needs
                does not fit keeps all of those, and its number of updates.

        Returns:
            What was not loaded, lists of names: `missing` in the state, `unknown` here, `misshapen` (of another dtype or
            shape), `left` (they fit, but others of the same parameter do not). Empty lists, if `strict`.

        Raises:
            TypeError, ValueError: it is no such state; or, if `strict`, something is missing, unknown or misshapen, which is
                named. Nothing has changed then.
            RuntimeError: another thread is in the middle of a step.

        Example:
            >>> import numpy as np, lrkern as lk
            >>> state = lk.SGD({"w": np.ones(2), "old": np.ones(1)}, lr=0.1, momentum=0.9).state_dict()
            >>> opt = lk.SGD({"new": np.ones(3), "w": np.ones(2)}, lr=0.1, momentum=0.9)
            >>> opt.load_state_dict(state, strict=False)
            Unloaded(missing=["params['new']"], unknown=["params['old']"], misshapen=[], left=[])
        """
        from lrkern.optimizers.resume import Saved, by_place

        where = f"{self._name}.load_state_dict"
        kinds = [f"{kind}s" for kind in self._kept]
        if not isinstance(state, Mapping) or set(state) != {"optimizer", "count", "skipped", "updates", *kinds}:
            raise ValueError(f"{where}: state must be what state_dict gave; got {_checks.describe(state)}")
        arrays = {
            kind: {place: one for place, one in by_place(where, f"{kind}s", found).items() if one is not None}
            for kind in self._kept
            if (found := state[f"{kind}s"]) is not None
        }
        count, skipped = (self._count_of(where, state, key) for key in ("count", "skipped"))
        return self._load(where, Saved(count, skipped, by_place(where, "updates", state["updates"]), arrays), strict)

    def _count_of(self, where: str, state: Mapping[str, Any], key: str) -> int:
        other = state.get("optimizer")
        if other != self._name:
            other = _checks.cut(other) if isinstance(other, str) else _checks.describe(other)
            raise ValueError(f"{where}: the state must be of {self._name}; got one of {other}")
        return _checks.count(where, key, state.get(key))

    def _load(self, where: str, saved: Saved, strict: bool) -> Unloaded:
        from lrkern.optimizers.resume import Kept, fit

        strict = _checks.flag(where, "strict", strict)
        own = self._arranged
        updates = [0] * len(own.params) if strict else self._tensors.get_updates()
        kept = Kept(own.structure.label, own.places(), self._kept, self._rule.states, own.params, updates)
        loaded = fit(where, kept, saved, strict)
        changes = self._changes(where, saved.hypers, loaded.unloaded, strict)
        limit = Limit(where, saved.of_all["clip_norm"]) if "clip_norm" in saved.of_all else None
        if loaded.begun:
            loaded.pairs.extend(self._tensors.alone(partial(self._begun, loaded.begun, loaded.pairs)))
        self._tensors.restore(loaded.updates, saved.count, saved.skipped, loaded.pairs)
        self._steps_before = saved.count + saved.skipped
        if own.has_copies:
            self._tensors.alone(self._tensors.write_copies)
        if changes or limit is not None:
            self._change(changes, limit)
        return loaded.unloaded

    def _begun(self, begun: list[int], pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        """Averages that begin, and the parameters that they begin with: those that are loaded, or those that are here."""
        of_params = {id(own): one for own, one in pairs}
        arrays = self._backend.arrays

        def first(index: int) -> Any:
            param = self._arranged.params[index]
            if id(param) in of_params:
                return _arrays.in_computed_type(of_params[id(param)], self._halves)
            return arrays.in_cpu_memory(arrays.in_computed_type(param, self._halves))

        return self._tensors.held(lambda: [(self._kept["ema_param"][i], first(i)) for i in begun])

    # ------------------------------------------------------------------------------------------------------------ files

    def save(self, path: str | PathLike[str], *, parameters: bool = False) -> None:
        """Write what `state_dict` gives to a safetensors file: the old file or the new one is there, whatever happens.

        The file is written beside its place under another name, `.lrkern-save-...`; what a killed process leaves of that the
        next save there removes.

        Args:
            path: of the file.
            parameters: True writes a checkpoint, all that a run goes on from: the parameters as well, the
                hyper-parameters of each group and `clip_norm`, schedules included. Functions that are no `Schedule` it cannot
                hold: there `load` keeps what the optimizer was made with. Without it, save parameters along with the file.

        Raises:
            OSError: the file cannot be written, or the path is a directory, a device or a FIFO.
            RuntimeError: another thread is in the middle of a step; a step raises it while another thread saves.

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
        self._tensors.alone(partial(self._tensors.held, partial(self._save, path, parameters)))

    def _save(self, path: str | PathLike[str], parameters: bool) -> None:
        from lrkern.optimizers import checkpoint as _checkpoint
        from lrkern.optimizers import state_files

        kinds = {**self._kept, "param": self._arranged.params} if parameters else self._kept
        in_cpu_memory = self._backend.arrays.in_cpu_memory
        arrays = {
            f"{kind}/{i}": in_cpu_memory(one) for kind, kept in kinds.items() for i, one in enumerate(kept) if one is not None
        }
        plain = {
            "optimizer": self._name,
            "count": self.count,
            "skipped": self.skipped,
            "updates": self._tensors.get_updates(),
            "labels": [f"params{place}" for place in self._arranged.places()],
        }
        if parameters:
            groups = [self._arranged.groups[part[0]] for part in self._arranged.parts]
            plain["groups"] = [_checkpoint.hypers(group, f"lr/{g}", arrays) for g, group in enumerate(groups)]
            plain |= _checkpoint.plain_value("clip_norm", self._limit.value)
        state_files.save(f"{self._name}.save", path, arrays, plain)

    def load(self, path: str | PathLike[str], *, parameters: bool = False, strict: bool = True) -> Unloaded:
        """Go on from what `save` wrote, on an optimizer made with like parameters and options.

        Needs the package safetensors.

        Args:
            path: of the file.
            parameters: True loads the parameters and hyper-parameters, too, from a file that has them (else a ValueError).
            strict: False loads what fits, as in `load_state_dict`.

        Returns:
            What was not loaded, as `load_state_dict` does.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is damaged, or not such a file; or, if `strict`, something in it is missing, unknown or misshapen,
                which is named. Nothing has changed then.
        """
        from lrkern.optimizers import checkpoint as _checkpoint
        from lrkern.optimizers import state_files
        from lrkern.optimizers.resume import Saved

        where = f"{self._name}.load"
        parameters = _checks.flag(where, "parameters", parameters)
        strict = _checks.flag(where, "strict", strict)
        arrays, plain = state_files.load(where, path)
        try:
            count, skipped = (self._count_of(where, plain, key) for key in ("count", "skipped"))
            updates, found = _checkpoint.placed(where, path, arrays, plain)
            saved = Saved(count, skipped, updates, found)
            if parameters:
                _checkpoint.add_parameters(where, path, saved, plain)
            return self._load(where, saved, strict)
        except TypeError as error:
            raise ValueError(str(error)) from None

    def _changes(
        self, where: str, hypers: list[dict[str, Any]] | None, unloaded: Unloaded, strict: bool
    ) -> list[tuple[Group, Options]]:
        """The hyper-parameters of all groups, changed to those that were saved."""
        if hypers is None:
            return []
        parts = self._arranged.parts
        if len(hypers) != len(parts):
            if strict:
                raise ValueError(f"{where}: the checkpoint must be of {len(parts)} groups; got one of {len(hypers)}")
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
