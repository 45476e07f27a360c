"""Rules in Python: their options, and how C's inputs are derived from these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lrkern import _checks, _core
from lrkern.optimizers.decay_relations import RELATIONS, related
from lrkern.rules.rule import rule_of

if TYPE_CHECKING:
    from lrkern.backends.engine import Engine

Options = dict[str, Any]

# Scalars are rounded to the type of the computation: this is the limit of float32.
MAX = _core.MAX_FLOAT32


nonnegative = _core.Range(0.0, MAX)
"""Checks a hyper-parameter >= 0."""

fraction = _core.Range(0.0, np.inf, below=1.0)
"""Checks a decay rate of an average: 0 <= x < 1."""

weight = _core.Range(0.0, 1.0)
"""The same if nothing is divided by 1 - x: 0 <= x <= 1."""

OF_GROUPS = ("ema", "decay", "decay_mask")
"""Options of groups that do not belong to a rule."""

OF_ALL = ("clip_norm", "skip_norm", "skip_sigma")
"""Options that `set` changes for all groups together."""

SQUARES = {"float16": "in which squares of gradients below 2e-4 are 0 and steps explode: bfloat16 holds them"}
"""Dtypes unfit for states whose square root is taken, and why."""

DIFFERENCES = {"bfloat16": "in which the difference of averages that centered divides by is lost, and steps explode"}
"""Dtypes that are also unfit if it is the root of a difference of two states."""

NARROW_AVERAGES = dict.fromkeys(("bfloat16", "float16"), "in which an average of parameters loses its small changes")
"""Dtypes unfit for averages of parameters, and why."""

BASICS = {"lr": nonnegative, "weight_decay": nonnegative}
"""Hyper-parameters of every rule."""


CAUTIOUS = ("update", "decay")
"""What the option `cautious` may be, besides False."""

GROKFAST = {"grokfast_alpha": fraction, "grokfast_lamb": nonnegative}
"""The hyper-parameters of Grokfast's average of gradients."""

OFF: Options = {"cautious": False, "grokfast_alpha": 0.98, "grokfast_lamb": 0.0}
"""Options of optimizers that functions of one array do not have."""


def own_options(scope: Mapping[str, Any]) -> Options:
    """The options of a class among the local variables at the beginning of its `__init__`."""
    return {name: value for name, value in scope.items() if name not in ("self", "params", "shared", "__class__")}


def is_on(value: Any) -> bool:
    """Whether a term is present: a schedule keeps it even while its value is 0."""
    return callable(value) or value != 0


def check_caution(where: str, options: Options) -> None:
    """Raises if no step can be cautious: without momentum each is along the gradient."""
    if options["cautious"] == "update" and not is_on(options["momentum"]):
        raise ValueError(f"{where}: cautious must not be 'update' without momentum, because every step is along the gradient")


@dataclass(frozen=True)
class Form:
    """The variant of a rule that the options select. It does not depend on the values of numbers, except for 0."""

    variant: str
    """The name of the rule in C."""
    states: tuple[str, ...]
    """The states that are kept."""
    inputs: tuple[tuple[str, str, float], ...]
    """Inputs in C's order: name; the hyper-parameter with its value, or ""; the constant value otherwise."""
    shrinks: bool
    """Whether parameters are multiplied by 1 - lr weight_decay."""
    unfit: Mapping[str, str]
    """Dtypes that states must not have, and why."""
    takes_rows: bool
    """Whether gradients may be sparse."""

    def check_shrinkage(self, where: str, lr: Any, decay: float) -> None:
        """Raises where lr weight_decay is too large; lr may be an array."""
        if self.shrinks:
            _core.check_shrinkage(where, np.max(lr, initial=0.0) if type(lr) is np.ndarray else lr, decay)


@dataclass(frozen=True)
class RuleOptions:
    """The options of one rule, or of several that are variants of each other.

    Its functions may look at a number only to see whether it is 0: see `form`.
    """

    states: tuple[str, ...]
    """In the order of the rule."""
    hypers: Mapping[str, _core.Range]
    """Options that are numbers or schedules, with the check of a number."""
    flags: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    """The rule's scalar states: numbers that each tensor keeps."""
    averages: str = ""
    """The state that is an average of the parameters, if there is one."""
    conventions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """The inputs that each value of the option `convention` sets."""
    cautious: tuple[str, ...] = ()
    """The values of the option `cautious`, if it has one: "update" is a variant `..._cautious`, "decay" one or an input."""
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Constant inputs."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Hyper-parameters whose inputs have another name."""
    variant: Callable[[Options], str] = lambda options: ""
    """The name of the rule in C."""
    kept: Callable[[Options], tuple[str, ...] | None] = lambda options: None
    """The states that the options need; None for all."""
    check: Callable[[str, Options], None] = lambda where, options: None
    """Raises if options are incompatible."""
    derived: Callable[[Options], Mapping[str, float]] = lambda options: {}
    """Inputs that depend on several options."""
    unfit: Callable[[Options], Mapping[str, str]] = lambda options: {}
    """Dtypes that its states must not have, and why."""
    takes_rows: bool = True
    """Whether gradients may be sparse: not if the rule looks at whole tensors."""
    inputs: tuple[str, ...] | None = None
    """The names of the inputs of a rule of the user's own; None for the rules of the C library."""
    prepare_c: Callable[[str], None] | None = None
    """prepare_c(where) makes such a rule known to the C library, before an engine there uses it."""
    _forms: dict[tuple[bool | str, ...] | None, Form] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def checks(self) -> dict[str, Callable[[str, str, object], Any]]:
        """The check of each option, for values other than schedules."""
        conventions, choices = list(self.conventions), dict[str, Callable[[str, str, object], Any]]()
        if conventions:
            choices["convention"] = lambda where, name, value: _checks.choice(where, name, value, conventions)
        if self.cautious:
            choices["cautious"] = partial(_cautious, self.cautious)
        return {**self.hypers, **dict.fromkeys(self.flags, _checks.flag), **choices}

    @cached_property
    def quick(self) -> _core.QuickSteps:
        """The steps of functions in C, with what they are nearly always called with."""
        return _core.QuickSteps(self.checks)

    def read(self, where: str, options: Options) -> dict[str, Any]:
        """The checked options of a group: numbers may be schedules, lr may be an array."""
        result: dict[str, Any] = {}
        for name, value in options.items():
            if name not in self.checks:
                from lrkern.optimizers.option_names import unknown_option

                raise unknown_option(where, name, "a group", [*self.checks, *OF_GROUPS])
            if name in self.hypers and callable(value):
                result[name] = value
            elif name == "lr" and name in self.hypers and _checks.is_array(value) and _checks.plain(value).ndim == 1:
                result[name] = self._lrs_of_rows(where, options, value)
            else:
                result[name] = self.checks[name](where, name, value)
        return result

    def _lrs_of_rows(self, where: str, options: Options, lrs: Any) -> Any:
        """Learning rates per row, checked. Raises if rows cannot have their own."""
        why = ""
        if not self.takes_rows:
            why = "the rule looks at whole tensors"
        elif options.get("cautious") == "update" and "update" in self.cautious:
            why = "cautious='update' looks at whole tensors"
        elif self.scalars and rule_of(self.variant(options)).lasts("lr"):
            why = f"it decides {' and '.join(self.scalars)}, which a tensor has once for all its rows"
        if why:
            raise TypeError(f"{where}: lr must be one number, not one per row, because {why}; got {_checks.describe(lrs)}")
        return _floats(where, lrs)

    def settle(self, where: str, options: Options) -> tuple[Form, Options]:
        """The form of a function's options, and the checked options: numbers, no schedules."""
        # The key contains flags and words, so those of a cached form have been checked.
        form = self._forms.get(_core.kinds_of(self.checks, options, False))
        if form is not None:
            return form, options
        checked = {name: check(where, name, options[name]) for name, check in self.checks.items()}
        return self.form(where, checked), checked

    def form(self, where: str, options: Options) -> Form:
        """The form of checked options. Raises if they are incompatible."""
        key = _core.kinds_of(self.checks, options, True)
        form = self._forms.get(key)
        if form is None:
            self.check(where, options)
            form = self._forms[key] = self._make_form(where, options)
        return form

    def _make_form(self, where: str, options: Options) -> Form:
        variant, kept, cautious = self.variant(options), self.kept(options), options.get("cautious", False)
        if cautious == "update":
            variant += "_cautious"
        elif cautious == "decay" and f"{variant}_cautious_decay" in _core.RULES:
            variant += "_cautious_decay"
        constants = {"weight_decay": 0.0, "decoupled": 0.0, "maximize": 0.0}
        constants |= {name: float(options[name]) for name in self.flags}
        constants |= self.conventions.get(options.get("convention", ""), {})
        constants |= {"cautious_decay": float(cautious == "decay"), **self.derived(options), **self.fixed}
        hypers = {self.renamed.get(name, name): name for name in self.hypers}
        names = _core.RULES[variant] if self.inputs is None else self.inputs
        inputs = tuple([(name, hypers.get(name, ""), constants.get(name, 0.0)) for name in names])
        if cautious == "decay" and not constants["decoupled"]:
            raise ValueError(f"{where}: cautious must not be 'decay', because weight decay is not decoupled here")
        pointwise = self.takes_rows and cautious != "update"
        kept = self.states if kept is None else kept
        return Form(variant, kept, inputs, constants["decoupled"] != 0, self.unfit(options), pointwise)


def _cautious(values: tuple[str, ...], where: str, name: str, value: object) -> Any:
    if value is False:
        return value
    if value is True or not isinstance(value, str):
        words = " or ".join(["False" + "".join(f", {one!r}" for one in values[:-1]), repr(values[-1])])
        raise TypeError(f"{where}: {name} must be {words}; got {_checks.describe(value)}")
    return _checks.choice(where, name, value, values)


def averages(where: str, ema: Any) -> tuple[Any, dict[str, Any]]:
    """The option `ema`, checked, and its decays by name: numbers or schedules."""
    if not isinstance(ema, tuple):
        checked = ema if ema is None or callable(ema) else weight(where, "ema", ema)
        return checked, {} if ema is None else {"ema": checked}
    most = len(_core.AVERAGES)
    if not 1 <= len(ema) <= most:
        raise ValueError(f"{where}: ema must be a decay or a tuple of 1 to {most} decays; got {_checks.describe(ema)}")
    names = [f"ema[{k}]" for k in range(len(ema))]
    found = {name: one if callable(one) else weight(where, name, one) for name, one in zip(names, ema, strict=True)}
    return tuple(found.values()), found


class Group:
    """The options of a group of parameters, and their values at each step."""

    def __init__(
        self, where: str, rule: RuleOptions, options: Options, ema: Any, *, decays: bool = True, decay: str = "coupled"
    ) -> None:
        self.where, self.rule, self.decays = where, rule, decays
        self.relation = _checks.choice(where, "decay", decay, RELATIONS)
        self.ema, self.decays_of_averages = averages(where, ema)
        self.options = rule.read(where, options)
        if not decays:
            if "weight_decay" not in rule.hypers:
                raise ValueError(f"{where}: decay_mask must be None, because the rule has no weight_decay")
            self.options["weight_decay"] = 0.0
        self.form = rule.form(where, self.options)
        if self.relation != "coupled" and not self.form.shrinks:
            wanted = "'coupled', because weight decay is not decoupled here"
            raise ValueError(f"{where}: decay must be {wanted}; got {self.relation!r}")
        self._check_shrinkage(self.options)

    def changed(self, where: str, name: str, value: Any, options: Options | None = None) -> dict[str, Any]:
        """The options (or `options`) with one value changed."""
        if not isinstance(name, str) or name not in self.rule.hypers:
            from lrkern.optimizers.option_names import hint

            names = [*self.rule.hypers, *OF_ALL]
            got = f"{_checks.describe(name)}{hint(name, names)}"
            raise TypeError(f"{where}: name must be one of {', '.join(names)}; got {got}")
        options = self.rule.read(where, {**(options or self.options), name: value})
        if not self.decays:
            options["weight_decay"] = 0.0
        rows, given = _rows(self.options), _rows(options)
        if rows != given and None not in (rows, given):
            raise ValueError(f"{where}: lr must have {rows} entries, one per row; got {given}")
        if rows != given:
            to = "from one number to one per row" if rows is None else "from one number per row to a single one"
            raise ValueError(f"{where}: lr cannot change {to}: create a new optimizer")
        if self.rule.form(where, options) != self.form:
            change = f"from {_checks.cut(str(self.options[name]))} to {_checks.cut(str(value))}"
            raise ValueError(f"{where}: {name} cannot change {change}: other states would be needed")
        if self.relation != "coupled":
            related(where, self.relation, options["lr"], options["weight_decay"])
        self._check_shrinkage(options)
        return options

    def copied_options(self) -> Options:
        """A copy of the options, arrays included."""
        return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in self.options.items()}

    def _check_shrinkage(self, options: Options) -> None:
        """Raise if lr weight_decay is too large. Schedules are checked at each step."""
        if not self.form.shrinks:
            return
        lr, decay = [0.0 if callable(options[key]) else options[key] for key in ("lr", "weight_decay")]
        self.form.check_shrinkage(self.where, lr, decay)

    def apply(self, tensors: Engine, index: int) -> None:
        """Give an engine the numbers and schedules of this group."""
        for place, (_, hyper, constant) in enumerate(self.form.inputs):
            value = self.options[hyper] if hyper else constant
            if hyper == "weight_decay" and self.relation != "coupled":
                value = related(self.where, self.relation, self.options["lr"], value)
            if callable(value):
                tensors.set_schedule(index, place, hyper, value, self.rule.hypers[hyper])
            else:
                tensors.set_input(index, place, 0.0 if isinstance(value, np.ndarray) else value)
        for k, (name, decay) in enumerate(self.decays_of_averages.items()):
            if callable(decay):
                tensors.set_schedule(index, None, name, decay, weight)
            else:
                tensors.set_ema(index, k, decay)

    def _checked(self, name: str, value: Any, count: int) -> float:
        try:
            return self.rule.hypers[name]("", name, value)
        except (TypeError, ValueError):  # name the step; building that text every time would be slow
            return self.rule.hypers[name](f"{self.where}, step {count}", name, value)

    def at(self, name: str, count: int) -> Any:
        """The value of an option at a step."""
        value = self.options[name]
        if callable(value):
            return self._checked(name, value(count), count)
        return value.copy() if isinstance(value, np.ndarray) else value  # C reads the array itself


def _floats(where: str, lrs: Any) -> Any:
    """A checked copy of learning rates per row."""
    with _core.hold(where, "lr", lrs):
        found = [nonnegative(where, f"lr[{i}]", one) for i, one in enumerate(_checks.unmasked(where, "lr", lrs))]
    return np.array(found, np.float64)


def _rows(options: Options) -> int | None:
    """The number of learning rates if there is one per row; else None."""
    lrs = options.get("lr")
    return len(lrs) if isinstance(lrs, np.ndarray) else None
