"""Errors about unknown options: they list the options and suggest the one that was probably meant."""

from __future__ import annotations

from collections.abc import Collection

from lrkern._checks import cut, describe

# Name in other libraries -> name in lrkern.
_ALIASES = {
    "betas": ("beta1", "beta2"),
    "b1": ("beta1",),
    "b2": ("beta2",),
    "beta_1": ("beta1",),
    "beta_2": ("beta2",),
    "rho": ("alpha",),
    "decay_rate": ("alpha",),
    "epsilon": ("eps",),
    "learning_rate": ("lr",),
    "step_size": ("lr",),
    "wd": ("weight_decay",),
    "weight_decay_rate": ("weight_decay",),
    "decay": ("weight_decay",),
    "l2": ("weight_decay",),
    "mask": ("decay_mask",),
    "no_decay": ("decay_mask",),
    "exclude_from_weight_decay": ("decay_mask",),
    "mu": ("momentum",),
    "use_nesterov": ("nesterov",),
    "initial_accumulator_value": ("initial_accumulator",),
    "trust_coefficient": ("trust",),
    "trust_coef": ("trust",),
    "always_adapt": ("adapt",),
    "exclude_from_layer_adaptation": ("adapt",),
    "trust_ratio_mask": ("adapt",),
    "clip": ("clip_norm",),
    "max_norm": ("clip_norm",),
    "max_grad_norm": ("clip_norm",),
    "clipnorm": ("clip_norm",),
    "global_clipnorm": ("clip_norm",),
    "grad_clip": ("clip_norm", "clip_value"),
    "gradient_clipping": ("clip_norm", "clip_value"),
    "clipvalue": ("clip_value",),
    "raise_if_nonfinite": ("error_if_nonfinite",),
    "use_ema": ("ema",),
    "ema_decay": ("ema",),
    "ema_momentum": ("ema",),
    "dtype": ("state_dtype",),
    "set_to_none": ("zero_grad",),
    "stochastic_rounding": ("rounding",),
    "caution": ("cautious",),
    "weight_decouple": ("decoupled",),
    "decoupled_decay": ("decoupled",),
    "decoupled_weight_decay": ("decoupled",),
    "decouple_lr": ("decay",),
    "weight_lr_power": ("lr_power",),
    "silent_sgd_phase": ("silent",),
    "device": ("backend",),
}
_LONGEST = 100  # length of names for which suggestions are made
_NEEDLESS = ("foreach", "fused", "capturable", "differentiable", "jit_compile")


def unknown_option(where: str, name: object, of: str, options: Collection[str]) -> TypeError:
    """The error for an unknown option of `of`.

    >>> unknown_option("AdamW", "betas", "AdamW", ["lr", "beta1", "beta2"])
    TypeError('AdamW: unknown option betas: use beta1, beta2; the options of AdamW are lr, beta1, beta2')
    """
    word = cut(name) if isinstance(name, str) else describe(name)
    return TypeError(f"{where}: unknown option {word}{hint(name, options)}; the options of {of} are {', '.join(options)}")


def hint(name: object, options: Collection[str]) -> str:
    """A suggestion of what a name probably means, for the middle of an error message; or ""."""
    if not isinstance(name, str) or len(name) > _LONGEST:
        return ""
    if name in _NEEDLESS:
        return ": omit it"
    import difflib  # importing it takes half as long as importing lrkern

    known = [one for one in _ALIASES.get(name.lower(), ()) if one in options]
    meant = known or difflib.get_close_matches(name.lower(), options, 1, 0.75)
    return f": use {', '.join(meant)}" if meant else ""
