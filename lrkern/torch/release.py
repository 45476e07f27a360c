"""Gradient release: each parameter is stepped as soon as its gradient is complete, and the gradient is freed."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lrkern.torch.alive import alive
from lrkern.torch.versions import increment_version

if TYPE_CHECKING:
    from lrkern.torch.adapter import Adapter
    from lrkern.torch.bound import Bound


class Release:
    """Steps parameters from hooks of autograd; `finish` ends a step. Made by `Adapter.attach`."""

    def __init__(self, owner: Adapter, params: list[Tensor]) -> None:
        self.owner, self.where = owner, f"{type(owner).__name__}.attach"
        self._refuse()
        own = set(owner.core_params())
        self.params = [param for param in params if param in own]
        if not self.params:
            raise ValueError(f"{self.where}: model must have parameters of this optimizer; got none")
        self._refuse_means()
        self.done: set[Tensor] = set()
        self._bound: weakref.ref[Bound] | None = None
        self._places: dict[Tensor, int] = {}
        self._has_begun = False
        self._hooks = [param.register_post_accumulate_grad_hook(self.one) for param in self.params if param.requires_grad]

    def _refuse(self) -> None:
        shared = self.owner.shared
        if shared.get("clip_norm") is not None and shared.get("clip_per") != "tensor":
            got = shared.get("clip_per", "list")
            raise ValueError(
                f"{self.where}: clip_norm needs clip_per='tensor', because the norm of all gradients is not known when the "
                f"first one is used; got {got!r}"
            )
        for name in ("skip_nonfinite", "error_if_nonfinite", "skip_norm", "skip_sigma", "norms"):
            if shared.get(name):
                wanted = "must be off, because other parameters have been stepped before all gradients are known"
                raise ValueError(f"{self.where}: {name} {wanted}; got {shared[name]!r}")
        if self.owner.defaults.get("fused") is False:
            wanted = "must not be False, because a GradScaler does not show itself to such an optimizer"
            raise ValueError(f"{self.where}: fused {wanted}; got False")
        if self.owner.backend != "c":
            raise ValueError(f"{self.where}: parameters must be stepped in C; got backend {self.owner.backend!r}")

    def _refuse_means(self) -> None:
        """Raise if gradients become means over processes, after they have been used here."""
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return
        own = set(self.params)
        gc.collect()  # a wrapper that has been dropped is no obstacle
        for one in alive(torch.nn.parallel.DistributedDataParallel):
            if one.process_group.size() > 1 and not own.isdisjoint(one.parameters()):
                raise RuntimeError(
                    f"{self.where}: DistributedDataParallel cannot be used with it, because it takes means of gradients after "
                    "they have been used: each process would have another model"
                )

    def refuse_scaler(self) -> None:
        """Raise if a GradScaler has called the step: it says so only after the backward pass."""
        found = [self.owner.__dict__.pop(name, None) for name in ("grad_scale", "found_inf")]  # it leaves them after an error
        if any(one is not None for one in found):
            raise RuntimeError(
                f"{self.where}: GradScaler cannot be used with it, because it looks at gradients after they have been used; "
                f"{len(self.done)} parameters have been stepped with gradients times its scale: make model and optimizer again"
            )

    @torch._disable_dynamo
    def one(self, param: Tensor) -> None:
        """Step one parameter and free its gradient."""
        owner = self.owner
        owner.refuse_averaged()
        self.refuse_scaler()
        if not self._has_begun:
            self._refuse_means()  # the model may have been wrapped after `attach`
            self._has_begun = True
        if param in self.done:
            raise RuntimeError(
                f"{self.where}: {type(owner).__name__}.step must be called after each backward; a gradient came twice, and "
                "gradients cannot be accumulated with attach. After a backward pass that failed, step() ends the step that has "
                "begun: zero_grad() cannot take back what was stepped"
            )
        bound = owner.begin_one(first=not self.done)
        i = self._place(bound, param)
        if i is None:  # its group has been removed
            return
        if not bound.read_one(i):
            bound = owner.bind_again()
            bound.read_one(i)
        self.done.add(param)
        bound.step_one(i)
        increment_version([param])
        param.grad = None

    def _place(self, bound: Bound, param: Tensor) -> int | None:
        if self._bound is None or self._bound() is not bound:
            self._bound = weakref.ref(bound)
            self._places = {one: i for i, one in enumerate(bound.params)}
        return self._places.get(param)

    def finish(self) -> set[Tensor]:
        """End the step; returns the parameters that were stepped."""
        done, self.done = self.done, set()
        return done

    def remove(self) -> None:
        """Remove the hooks: from the next step on, all parameters are stepped together."""
        for one in self._hooks:
            one.remove()
        self._hooks = []
        if self.owner._release is self:
            self.owner._release = None
