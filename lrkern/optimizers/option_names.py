"""What is said of an option that there is not: those that there are, and the one that was probably meant."""

from __future__ import annotations

from collections.abc import Collection

from lrkern._checks import cut, describe

# What other libraries call it -> what it is here.
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
    "device": ("backend",),
}
_LONGEST = 100  # of a name that is looked at
_NEEDLESS = ("foreach", "fused", "capturable", "differentiable", "jit_compile")


def unknown_option(where: str, name: object, of: str, options: Collection[str]) -> TypeError:
    """The error for an option that is none; `of` says of what.

    >>> unknown_option("AdamW", "betas", "AdamW", ["lr", "beta1", "beta2"])
    TypeError('AdamW: betas is no option of AdamW: use beta1, beta2; its options are lr, beta1, beta2')
    """
    word = cut(name) if isinstance(name, str) else describe(name)
    return TypeError(f"{where}: {word} is no option of {of}{hint(name, options)}; its options are {', '.join(options)}")


def hint(name: object, options: Collection[str]) -> str:
    """What was probably meant by a name, for the middle of an error message; or nothing."""
    if not isinstance(name, str) or len(name) > _LONGEST:
        return ""
    if name in _NEEDLESS:
        return ": leave it out"
    import difflib  # takes as long to import as half of lrkern

    known = [one for one in _ALIASES.get(name.lower(), ()) if one in options]
    meant = known or difflib.get_close_matches(name.lower(), options, 1, 0.75)
    return f": use {', '.join(meant)}" if meant else ""
