"""Gradient release: each parameter is stepped as soon as its gradient is complete, and the gradient is freed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lrkern.torch.versions import increment_version

if TYPE_CHECKING:
    from lrkern.torch.adapter import Adapter


class Release:
    """Steps parameters from hooks of autograd; `finish` ends a step. Made by `Adapter.attach`."""

    def __init__(self, owner: Adapter, params: list[Tensor]) -> None:
        self.owner, self.where = owner, f"{type(owner).__name__}.attach"
        self._refuse()
        own = owner.core_params()
        self.index = {param: i for i, param in enumerate(own)}
        chosen = [param for param in params if param in self.index]
        if not chosen:
            raise ValueError(f"{self.where}: model must have parameters of this optimizer; got none")
        self.done: set[int] = set()
        self._hooks = [param.register_post_accumulate_grad_hook(self.one) for param in chosen if param.requires_grad]

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
        if self.owner.backend != "c":
            raise ValueError(f"{self.where}: parameters must be stepped in C; got backend {self.owner.backend!r}")

    @torch._disable_dynamo
    def one(self, param: Tensor) -> None:
        """Step one parameter and free its gradient."""
        owner = self.owner
        owner.refuse_averaged()
        if getattr(owner, "grad_scale", None) is not None:
            raise RuntimeError(
                f"{self.where}: GradScaler cannot be used with it, because gradients are used before it has seen all"
            )
        i = self.index[param]
        if i in self.done:
            raise RuntimeError(
                f"{self.where}: {type(owner).__name__}.step must be called after each backward; a gradient came twice, and "
                "gradients cannot be accumulated with attach"
            )
        bound = owner.begin_one(i, first=not self.done)
        self.done.add(i)
        bound.step_one(i)
        increment_version([param])
        param.grad = None

    def finish(self) -> bool:
        """End the step; returns whether any parameter was stepped."""
        any_done = bool(self.done)
        self.done = set()
        return any_done

    def remove(self) -> None:
        """Remove the hooks: from the next step on, all parameters are stepped together."""
        for one in self._hooks:
            one.remove()
        self._hooks = []
        if self.owner._release is self:
            self.owner._release = None
