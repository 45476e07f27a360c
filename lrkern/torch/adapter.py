"""The adapter: a `torch.optim.Optimizer` made from a class of lrkern's optimizers."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lrkern import _checks, backends
from lrkern.optimizers.base import DEFAULTS, Optimizer
from lrkern.torch.averages import BufferAverages, exchanged
from lrkern.torch.bound import AVERAGES, Bound
from lrkern.torch.construction import copies_of
from lrkern.torch.gradients import clear
from lrkern.torch.hooks import steps_with_hooks
from lrkern.torch.known_groups import Known
from lrkern.torch.names import FLAGS, Names
from lrkern.torch.param_groups import refuse
from lrkern.torch.release import Release
from lrkern.torch.replaced import Replaced
from lrkern.torch.state_dicts import StateDicts
from lrkern.torch.tensors import plain
from lrkern.torch.versions import increment_version
from lrkern.torch.watched import watched
from lrkern.torch.wrappers import itself, on_itself


class Adapter(StateDicts):
    """The base class of the optimizers of `lrkern.torch`; each is made from a class of `lrkern` by `adapter_of`."""

    def __init__(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self._itself = weakref.ref(self)
        name, names = type(self).__name__, self.names
        parts = {key: kwargs.pop(key) for key in list(kwargs) if key in names.option_of and key not in names.options}
        options = {key: value for key, value in kwargs.items() if key in names.options}
        for key in kwargs:
            if key not in names.signature.parameters:
                names.unpacked(name, {key: None}, name)  # raises
        for key in parts:
            if names.option_of[key].name in options:
                raise TypeError(f"{name}: {names.option_of[key].name} and {key} must not both be given")
        try:
            given = names.signature.bind(params, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        self.given = frozenset(key for key in kwargs if key in DEFAULTS)
        given.apply_defaults()
        flags = {**names.fixed, **{key: given.arguments[key] for key in (*FLAGS, *names.fixed) if key in given.arguments}}
        refuse(name, flags, names)
        self.shared = {key: given.arguments[key] for key, default in DEFAULTS.items() if given.arguments[key] is not default}
        if self.shared.get("backend") is not None:
            _checks.choice(name, "backend", self.shared["backend"], (*backends.NAMES, "torch"))
        self._known: list[Known] = []
        self._written: dict[int, dict[str, Any]] = {}
        self._count, self._skipped = 0, 0
        self._recent: list[float] = []
        self._bound: Bound | None = None
        self._release: Release | None = None
        self._averaging, self._replaced = False, Replaced()
        self._buffers: BufferAverages | None = None
        self._saved_buffers: dict[str, list[Tensor]] | None = None
        defaults = {key: given.arguments[key] for key in names.options}
        super().__init__(params, {**self._with_parts(name, defaults, parts), **flags})
        self.state = watched(self.state)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """As torch's; but pickle finds a class of a rule by the rule, since the name stands for that."""
        function, given, *rest = super().__reduce_ex__(protocol)
        kind = type(self)
        if kind is _made.get(self.core_class) and getattr(sys.modules.get(kind.__module__), kind.__name__, None) is not kind:
            function, given = _new, (self.core_class, kind.__module__)
        return (function, given, *rest)

    # ------------------------------------------------------------------------------------------------------------- steps

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Whether GradScaler hands over its scale instead of dividing the gradients; with `fused=False` it divides them.

        Not for a wrapper, too: what a scaler hands over would stay there.
        """
        return itself(self) is self and self.defaults.get("fused") is not False

    @steps_with_hooks
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step over all parameters that have gradients.

        Args:
            closure: computes the loss and its gradients again; called once.

        Returns:
            The closure's result; None without one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.refuse_averaged()
        if self._release is not None:
            self._release.refuse_scaler()
        found_inf = getattr(self, "found_inf", None)
        if found_inf is not None and float(found_inf) != 0.0:
            self._skip()
            return loss
        bound = self._bind()
        bound.refuse_capture()
        self._follow_buffers(bound)
        before = bound.count
        released = set() if self._release is None else self._release.finish()
        try:
            if not released:
                self._take_changes(bound)
            bound, stepped = self._step()
        finally:
            self._put_schedules_back()
        self._note_writes(stepped, is_skipped=bound.count == before)
        self._replaced.after(bound, released)
        self._after(bound, before)
        return loss

    def _note_writes(self, stepped: list[Tensor], *, is_skipped: bool) -> None:
        """Tell autograd what a step has written to: a skipped one only to gradients, with `zero_grad`."""
        written = [] if is_skipped else stepped
        if self.shared.get("zero_grad"):
            written = [*written, *[param.grad for param in stepped if param.grad is not None]]
        if written:
            increment_version(written)

    def _step(self) -> tuple[Bound, list[Tensor]]:
        """The step; returns the optimizer that did it, and the parameters that had gradients."""
        bound, scale = self._bound or self._bind(), getattr(self, "grad_scale", None)
        if scale is None:
            scale = 1.0
        elif not bound.core._backend.on_device:
            scale = float(scale)
        stepped = bound.step(scale)
        if stepped is None:
            bound = self.bind_again()
            stepped = bound.step(scale, is_new=True)
            assert stepped is not None
        return bound, stepped

    def refuse_averaged(self) -> None:
        """Raise within `averaged`."""
        if self._averaging:
            where = f"{type(self).__name__}.step"
            raise RuntimeError(f"{where}: parameters must not be their averages; got a step within averaged()")

    def _bind(self) -> Bound:
        """The bound optimizer, another one if that is needed."""
        if self._bound is None or not self._bound.is_current() or not self._bound.copies_are_there():
            self._align()
            self._remember()
            if not self.param_groups:
                raise ValueError(f"{type(self).__name__}: param_groups must have at least one group; got none")
            for g, group in enumerate(self.param_groups):
                refuse(f"{type(self).__name__}.param_groups[{g}]", group, None)
            self._bound = Bound(self)
        return self._bound

    def _look(self) -> Bound:
        """The bound optimizer for a look.

        Before the first step it is not kept: parameters may still get other values, as by `load_state_dict` of the model, and
        their averages begin with those that they have at the first step.
        """
        bound = self._bind()
        if not bound.count and not self.state:
            self._remember()
        return bound

    def _remember(self) -> None:
        """Keep the counts of a bound optimizer that is about to be replaced."""
        if self._bound is not None:
            self._count, self._skipped, self._recent = self.count, self.skipped, self.recent
            self._bound = None

    def _skip(self) -> None:
        bound = self._bind()
        if self.shared.get("zero_grad"):
            for param in bound.params:
                if param.grad is not None:
                    clear(param)
        bound.skip()

    def _after(self, bound: Bound, before: int) -> None:
        count = bound.count
        if "copy_to" in self.shared and count != before:
            increment_version([one for one in copies_of(self) if not one.is_inference()])
        self._update_buffers(bound, count)
        for known in self._known:
            known.group["count"] = count
            if known.schedules:
                self._show(known, count)

    # ----------------------------------------------------------------------------------------------------------- numbers

    @property
    @on_itself
    def count(self) -> int:
        """The number of steps done, without skipped ones: the step at which schedules are."""
        return self._count if self._bound is None else self._bound.count

    @property
    @on_itself
    def skipped(self) -> int:
        """The number of steps skipped because of their gradients."""
        return self._skipped if self._bound is None else self._bound.counts()[1]

    @property
    @on_itself
    def recent(self) -> list[float]:
        """The norms that `skip_sigma` looks at, of the last steps done, the oldest first."""
        return self._recent if self._bound is None else self._bound.core._tensors.get_recent()

    @property
    @on_itself
    def grad_norm(self) -> float | None:
        """The norm of all gradients of the last step, as `lrkern.Optimizer.grad_norm`."""
        return None if self._bound is None else self._bound.core.grad_norm

    @property
    @on_itself
    def norms(self) -> Any:
        """Norms of every parameter at the last step done, with the option `norms`, as `lrkern.Optimizer.norms`."""
        return None if self._bound is None else self._bound.core.norms

    @property
    @on_itself
    def backend(self) -> str:
        """What performs the steps: "c", "numba", "cuda", or "torch" for plain operations of torch."""
        chosen = self.shared.get("backend")
        if chosen is not None:
            return str(chosen)
        bound = self._look()
        if bound.memory.backend is not None:
            return "torch"
        return "cuda" if bound.core._backend.on_device else "c"

    # --------------------------------------------------------------------------------------------------- gradient release

    @on_itself
    def attach(self, model: torch.nn.Module | None = None) -> Release:
        """Step each parameter as soon as its gradient is complete, within the backward pass, and free the gradient.

        `step` must still be called after each backward pass: it steps what is left, and counts. States and bits are those
        without `attach`. Gradients cannot be accumulated over several backward passes, and the norm of all of them is not
        known: `clip_norm` needs `clip_per="tensor"`. A `GradScaler` and `DistributedDataParallel`, which change gradients after
        the backward pass has made them, are refused.

        Args:
            model: the module whose parameters to step so; None for all parameters of the optimizer.

        Returns:
            An object whose `remove()` ends it.

        Raises:
            ValueError: options need all gradients at once; or the module has no parameters of this optimizer.
            RuntimeError: the parameters are attached already; or DistributedDataParallel has them (also in a backward pass).
        """
        if self._release is not None:
            raise RuntimeError(f"{type(self).__name__}.attach: call remove() on what attach returned before")
        params = self.core_params() if model is None else [*model.parameters()]
        self._release = Release(self, params)
        return self._release

    def begin_one(self, *, first: bool) -> Bound:
        """The bound optimizer for a step of one parameter, the `first` of a step or not."""
        bound = self._bind()
        if first:
            self._follow_buffers(bound)
            self._take_changes(bound)
            bound = self._bind()
        return bound

    def bind_again(self) -> Bound:
        """Another bound optimizer, because a parameter has been moved."""
        self._remember()
        return self._bind()

    # ---------------------------------------------------------------------------------------------------------- averages

    @on_itself
    def average_buffers(self, model: torch.nn.Module) -> None:
        """From the next step on, average the floating-point buffers of a model, too, such as those of BatchNorm.

        Each step takes them as the forward pass has left them, with the decay of the first group that has `ema`. `averaged`
        puts the averages in their place. They are part of the state.

        Raises:
            ValueError: the optimizer keeps no averages; or a state that was loaded has averages of other buffers.
        """
        where = f"{type(self).__name__}.average_buffers"
        decays = self._decays(self._look())
        if not decays:
            raise ValueError(f"{where}: the optimizer must be made with ema; got one without")
        made = BufferAverages(model, len(decays), self.count)
        if self._saved_buffers is not None:
            made.check(where, self._saved_buffers)
            made.load(self._saved_buffers)
        self._buffers, self._saved_buffers = made, None

    @staticmethod
    def _decays(bound: Bound) -> list[Any]:
        """The decays of the first group that keeps averages: numbers or schedules."""
        groups = bound.core._arranged.groups
        return next((list(one.decays_of_averages.values()) for one in groups if one.decays_of_averages), [])

    def _follow_buffers(self, bound: Bound) -> None:
        """Look at the buffers that are averaged, before a step writes anything: it may raise."""
        if self._buffers is not None:
            self._buffers.follow(bound.where)

    def _update_buffers(self, bound: Bound, count: int) -> None:
        if self._buffers is None or count == self._buffers.count:
            return
        if count % bound.core._step_options.ema_every == 0:
            self._buffers.update([float(one(count - 1)) if callable(one) else one for one in self._decays(bound)])
        self._buffers.count = count

    @on_itself
    @contextmanager
    def averaged(self, which: int = 0, *, model: torch.nn.Module | None = None) -> Iterator[None]:
        """Within this context, parameters are their averages (option `ema`, or those of the rule), and so are buffers after
        `average_buffers`.

        Other buffers are as they are. After it, parameters have the bits they had before.

        Args:
            which: the index of the average, if `ema` is a tuple.
            model: a module whose buffers are put back after the context as well. So they may be computed again within it, for
                the averages, as `torch.optim.swa_utils.update_bn` does.

        Raises:
            ValueError: the optimizer keeps no averages, or not so many; or a parameter or buffer has another shape now.
            RuntimeError: it is used within itself; or a step is done within it.
        """
        where = f"{type(self).__name__}.averaged"
        if self._averaging:
            raise RuntimeError(f"{where}: parameters must not be their averages already; got averaged() within averaged()")
        bound = self._look()
        kinds = [name for name in AVERAGES if any(one is not None for one in bound.states.get(name, ()))]
        if not kinds and self.names.averages and self.count:
            kinds = [self.names.averages]
        if not kinds:
            wanted = "have done a step" if self.names.averages else "be made with ema"
            raise ValueError(f"{where}: the optimizer must {wanted}; got one {'before' if self.names.averages else 'without'}")
        averages = bound.states[kinds[_checks.count(where, "which", which, high=len(kinds) - 1)]]
        averaged = [i for i, one in enumerate(averages) if one is not None]
        pairs = [(plain(bound.params[i]), averages[i]) for i in averaged]
        for i, (one, average) in zip(averaged, pairs, strict=True):
            if one.shape != average.shape:
                wanted = f"must have shape {tuple(average.shape)} like its average"
                raise ValueError(f"{where}: {bound.name(i)} {wanted}; got {tuple(one.shape)}")
        if self._buffers is not None:
            pairs += self._buffers.pairs(where, which)
        self._averaging = True
        try:
            with exchanged(pairs, [] if model is None else [*model.buffers()]):
                yield
        finally:
            self._averaging = False


_made: dict[type[Optimizer], type[Adapter]] = {}


def adapter_of(core: type[Optimizer], module: str) -> type[Adapter]:
    """The adapter of a class of optimizers; always the same one."""
    if core not in _made:
        names = Names(core)
        package = (core.__module__ or "__main__").partition(".")[0]
        doc = f"`{package}.{core.__name__}` as a `torch.optim.Optimizer`.\n\n{core.__doc__ or ''}"
        own = {"core_class": core, "names": names, "__module__": module, "__doc__": doc, "__signature__": names.signature}
        _made[core] = type(core.__name__, (Adapter,), {**own, "__qualname__": core.__name__})
    return _made[core]


def _new(core: type[Optimizer], module: str) -> Adapter:
    """An adapter without a state, for pickles."""
    made = adapter_of(core, module)
    return made.__new__(made)
