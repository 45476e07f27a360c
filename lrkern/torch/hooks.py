"""Hooks and the profiler around a step, which torch puts around the steps of every optimizer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import profiler
from torch.optim import Optimizer, optimizer

from lrkern.torch.wrappers import itself

_HOOKS_OF_ALL = optimizer._global_optimizer_pre_hooks, optimizer._global_optimizer_post_hooks


def steps_with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """The method `step` of an optimizer with what torch would put around it, but only where there is a hook or a profiler.

    torch opens a range for the profiler at each step, also where none is on. After a backward pass, when the caches have other
    things, that takes longer than to step 1000 small tensors. Like torch, it is no part of a compiled graph.
    """
    hooked = Optimizer.profile_hook_step(step)

    @functools.wraps(step)
    def outer(self: Any, *args: Any, **kwargs: Any) -> Any:
        self = itself(self)
        if type(self).step is own and _has_hooks(self):
            return hooked(self, *args, **kwargs)
        return step(self, *args, **kwargs)  # torch has put its hooks around the `step` of a subclass

    own: Any = torch._disable_dynamo(outer)
    own.hooked = True  # so that torch leaves it as it is
    return own  # type: ignore[no-any-return]


def _has_hooks(opt: Any) -> bool:
    """Whether something is to be called around a step of an optimizer, or a profiler of torch is on."""
    return bool(
        opt._optimizer_step_pre_hooks
        or opt._optimizer_step_post_hooks
        or any(_HOOKS_OF_ALL)
        or profiler._is_profiler_enabled
        or torch.autograd._profiler_enabled()
    )
