"""Rules: the formula of an update, its variants, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from importlib import import_module
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

    from lrkern.rules.lowering import Parts
    from lrkern.rules.program import Hyper, Program


class Part:
    """A function of the language that rules share: it is read in place where a rule calls it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.__name__, self.__doc__ = function, function.__name__, function.__doc__

    def __call__(self, *arguments: Any) -> Any:
        """Only rules and parts call it, and they are never executed."""
        raise TypeError(f"{self.__name__} is a part of rules: it can be called only within one")

    @cached_property
    def definition(self) -> ast.FunctionDef:
        """Its source."""
        from lrkern.rules.reader import source_of

        return source_of(self.function)

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that it may call."""
        return parts_of(self.function)


part = Part

COMPILE: dict[str, Callable[..., Any]] = {}
"""What makes compiled functions of a rule, filled in by `lrkern.rules.compiled`, which needs Numba."""


def parts_of(function: Callable[..., Any]) -> dict[str, Part]:
    """The parts that a function can see."""
    return {name: one for name, one in function.__globals__.items() if isinstance(one, Part)}


class Rule:
    """The update of one element, for every backend: see `lrkern.rules`."""

    def __init__(
        self,
        function: Callable[..., Any] | str,
        states: tuple[str, ...],
        *,
        scalars: tuple[str, ...] = (),
        variants: Mapping[str, Mapping[str, bool]] | None = None,
        fast: Sequence[str] = (),
        rare: Sequence[str] = (),
        slim: Sequence[str] = (),
        belonging: Mapping[str, tuple[str, ...]] | None = None,
        optional: Sequence[str] = (),
        text: str | None = None,
    ) -> None:
        if isinstance(function, str):
            from lrkern.rules.reader import function_of

            text, function = function, function_of(function)
        self.function, self.text = function, text
        self.name, self.__doc__ = function.__name__, function.__doc__
        self.states, self.scalar_states = states, scalars
        self.variants = dict(variants or {self.name: {}})
        self.fast, self.rare, self.slim = tuple(fast), tuple(rare), tuple(slim)
        self.spare = tuple(one for one in self.rare if one != next(iter(self.variants)))
        """Those of the rare variants that are not the first one."""
        self.belonging = dict(belonging or {})
        """Arguments that only variants with a flag have, by flags."""
        self.optional = tuple(optional)
        """States whose absence, in C, says that the flag is off which needs them."""

    def __repr__(self) -> str:
        return f"<rule {self.name}>"

    # Reading takes time, and most programs never need it: not even the modules are loaded before.

    @cached_property
    def hypers(self) -> tuple[Hyper, ...]:
        """Its arguments after the `*`."""
        return _hypers(self.name, self.function)

    @property
    def _definition(self) -> ast.FunctionDef:
        from lrkern.rules.reader import definition_in, source_of

        return source_of(self.function) if self.text is None else definition_in(self.name, self.text)

    @cache  # noqa: B019 (rules live as long as the program)
    def program(self) -> Program:
        """What it says."""
        from lrkern.rules.reader import read_rule

        kept = self.states, self.scalar_states
        return read_rule(self.name, *kept, self._definition, parts_of(self.function), self.hypers)

    def compiled(self, variant: str = "") -> Any:
        """The functions that Numba and CUDA compile: see `lrkern.rules.compiled.Family`. `variant`: the only one by default."""
        return COMPILE["family"](self, variant or self.name)

    @cache  # noqa: B019
    def parts(self, variant: str) -> Parts:
        """What one of its variants says, divided into scalars and elements."""
        from lrkern.rules.lowering import divided

        return divided(self.fixed(self.variants[variant]))

    def fixed(self, flags: Mapping[str, bool]) -> Program:
        """What it says where these flags are set."""
        from lrkern.rules.lowering import fixed

        without = {name for flag, names in self.belonging.items() if flags.get(flag) is False for name in names}
        return fixed(self.program(), flags, without)

    def cases(self, variant: str) -> list[set[str]]:
        """The conditions that hold in each case that has a kernel of its own."""
        if variant in self.slim:
            return []
        names = {name for name, _ in self.parts(variant).conditions}
        return [set(one.split()) & names for one in self.fast]

    def lasts(self, name: str) -> bool:
        """Whether an argument has an effect on the new scalar states, which last until the next update."""
        from lrkern.rules.lowering import depends

        return depends(self.program().new_scalar_states, name)

    def _variant(self, name: str | None) -> str:
        if name is None and len(self.variants) == 1:
            return next(iter(self.variants))
        if name not in self.variants:
            raise ValueError(f"{self.name}: variant must be one of {', '.join(self.variants)}; got {name!r}")
        return name

    def formula(self, variant: str | None = None) -> str:
        """The formula, a line for each named value, then the new states and the new parameter p.

        `variant`: one of `variants`, needed only if there are several.
        """
        from lrkern.rules.formula_text import formula_text

        return formula_text(self.parts(self._variant(variant)))

    def c_source(self, dtype: str = "float32", variant: str | None = None) -> str:
        """C code of the rule, with the bits of lrkern's kernels: functions over arrays of "float32" or "float64".

        It includes lrkern_rule.h, in the folder `lrkern.get_include()`, and must be compiled with -ffp-contract=off.
        """
        from lrkern.rules.c_source import c_source

        if dtype not in ("float32", "float64"):
            raise ValueError(f"{self.name}: dtype must be 'float32' or 'float64'; got {dtype!r}")
        return c_source(self, self._variant(variant), dtype)


def _hypers(name: str, function: Callable[..., Any]) -> tuple[Hyper, ...]:
    import inspect

    from lrkern.rules.errors import RuleError
    from lrkern.rules.program import Hyper

    found = []
    for one in inspect.signature(function).parameters.values():
        if one.kind is one.KEYWORD_ONLY:
            if not (one.default is one.empty or isinstance(one.default, bool | int | float)):
                wanted = "its default must be a number, or True or False for a flag"
                raise RuleError(f"rule {name}: {one.name}: {wanted}; got {one.default!r}")
            if isinstance(one.default, float) and not isfinite(one.default):
                raise RuleError(f"rule {name}: {one.name}: its default must be finite; got {one.default!r}")
            found.append(Hyper(one.name, one.default, isinstance(one.default, bool)))
        elif one.kind is not one.POSITIONAL_OR_KEYWORD:
            raise RuleError(f"rule {name}: *{one.name} is not allowed: arguments have names")
        elif one.default is not one.empty:
            raise RuleError(f"rule {name}: {one.name} is an element and has no default; scalars follow after a *")
    return tuple(found)


REGISTRY: dict[str, Rule] = {}
"""The rules of lrkern's optimizers that have been loaded, by the names of their variants."""

USERS: dict[str, Rule] = {}
"""The rules of the user's own, by their keys."""


def rule_of(variant: str) -> Rule:
    """The rule of an optimizer that has been made, by the name that its engine has for it."""
    return REGISTRY[variant] if variant in REGISTRY else USERS[variant]


def own_rules() -> dict[str, Rule]:
    """All rules of lrkern's optimizers, by the names of their variants."""
    import pkgutil

    package = import_module("lrkern.optimizers")  # by name: it lies above the rules
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
    return REGISTRY


_DIVIDING = ("amsgrad", "cautious")
"""Flags of which both values have a variant: AMSGrad keeps one more state, cautious updates need a pass of their own."""


def _variants(name: str, flags: Sequence[str]) -> dict[str, dict[str, bool]]:
    """The variants of a rule that has these flags."""
    found = {name: dict[str, bool]()}
    for flag in flags:
        found = {f"{one}_{flag}" if on else one: {**own, flag: on} for on in (False, True) for one, own in found.items()}
    return found


def own_rule(*states: str, **options: Any) -> Callable[[Callable[..., Any]], Rule]:
    """Decorates a rule of lrkern, which is compiled into the C library.

    `apart`: flags of which both values have a variant, besides those that always do.
    """

    def decorate(function: Callable[..., Any]) -> Rule:
        name, flags = function.__name__, function.__kwdefaults__ or {}
        given = dict(options)
        dividing = [*(one for one in _DIVIDING if one in flags), *given.pop("apart", ())]
        if dividing and "variants" not in given:
            given["variants"] = variants = _variants(name, dividing)
            rare = [one for one in variants if one != name]
            given["rare"] = [*given.get("rare", []), *rare]
            given["slim"] = [*given.get("slim", []), *(one for one in rare if one != f"{name}_cautious")]
        made = Rule(function, states, **given)
        REGISTRY.update(dict.fromkeys(made.variants, made))
        return made

    return decorate
