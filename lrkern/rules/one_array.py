"""The functions of C that update one array: which there are, and what their arguments are, from the formulas of rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lrkern.rules.lowering import fixed, uses

if TYPE_CHECKING:
    from lrkern.rules.rule import Rule

TYPES = {"f32": "float", "f64": "double"}
"""The suffix of a function's name -> the type of its arrays."""


@dataclass(frozen=True)
class Switch:
    """A flag that is decided by whether a state is given."""

    flag: str
    given: bool
    """The value of the flag if it is."""


@dataclass(frozen=True)
class OneArray:
    """A function, for those variants of a rule that the states which are given tell apart."""

    rule: Rule
    variants: tuple[str, ...]

    @cached_property
    def name(self) -> str:
        """As in `lrk_step_<name>_f32`: the rule's, or, where that is no variant of its own, that of its first variant."""
        return self.rule.name if self.rule.name in self.variants else self.variants[0]

    @property
    def comes_first(self) -> bool:
        """Whether it is the first function of its rule, before which the options are declared."""
        return self.variants[0] == next(iter(self.rule.variants))

    @cached_property
    def set(self) -> dict[str, bool]:
        """The flags that have the same value in all variants."""
        first, *others = (self.rule.variants[one] for one in self.variants)
        return {flag: value for flag, value in first.items() if all(one[flag] == value for one in others)}

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The states that any variant uses, in order."""
        return fixed(self.rule.program(), self.set).states

    @cached_property
    def scalar_states(self) -> tuple[str, ...]:
        """Its scalar states."""
        return self.rule.scalar_states

    @cached_property
    def options(self) -> tuple[str, ...]:
        """The members of its struct of options."""
        return tuple(one.name for one in self.rule.parts(self.variants[0]).hypers)

    @cached_property
    def flags(self) -> tuple[str, ...]:
        """Those of them that are 0 or 1, except for those that states decide."""
        decided = {one.flag for one in self.switches.values()}
        return tuple(one.name for one in self.rule.parts(self.variants[0]).hypers if one.is_flag and one.name not in decided)

    @cached_property
    def switches(self) -> dict[str, Switch]:
        """The states that may be missing."""
        return _switches(self.rule, self.set)

    @cached_property
    def derived(self) -> dict[str, tuple[str, Switch]]:
        """Members of the options that follow from a state, each with that state."""
        return {one.flag: (state, one) for state, one in self.switches.items() if one.flag in self.options}

    @cached_property
    def choices(self) -> list[tuple[str, list[tuple[str, bool]]]]:
        """The variants, each with the states that must be given (True) or missing for it; the last one is for all others."""
        found: list[tuple[str, list[tuple[str, bool]]]] = []
        for variant in self.variants:
            flags = {flag: value for flag, value in self.rule.variants[variant].items() if flag not in self.set}
            of = {one.flag: (state, one.given) for state, one in self.switches.items()}
            found.append((variant, [(of[flag][0], of[flag][1] == value) for flag, value in flags.items()]))
        return found

    def states_of(self, variant: str) -> tuple[str, ...]:
        """The states of a variant, in the order of its kernels."""
        return self.rule.parts(variant).states

    @cached_property
    def free(self) -> dict[str, tuple[tuple[str, bool], ...]]:
        """Arrays and numbers that may hold anything before the first update: always, or if one of these flags has a value."""
        found: dict[str, tuple[tuple[str, bool], ...]] = {}
        for name in (*self.states, *self.scalar_states):
            switch = self.switches.get(name)
            given = {} if switch is None else {switch.flag: switch.given}
            ways = [(flag, value) for flag in self.flags for value in (False, True)]
            if self._is_free(name, given):
                found[name] = ()
            elif free := [(flag, value) for flag, value in ways if self._is_free(name, {**given, flag: value})]:
                found[name] = tuple(free)
        return found

    def _is_free(self, name: str, flags: Mapping[str, bool]) -> bool:
        first = fixed(self.rule.program(), {**self.set, **flags, "n": 1})
        return name in (*first.states, *first.scalar_states) and not uses(first, name)


def _switches(rule: Rule, flags: Mapping[str, bool]) -> dict[str, Switch]:
    """The states that are not needed if a certain flag is off (or on): where they are missing, it is."""
    everything = fixed(rule.program(), flags).states
    found: dict[str, list[Switch]] = {}
    for one in rule.hypers:
        if one.is_flag and one.name not in flags:
            for value in (False, True):
                rest = fixed(rule.program(), {**flags, one.name: value}).states
                for state in everything:
                    if state not in rest:
                        found.setdefault(state, []).append(Switch(one.name, not value))
    # If several flags make a state useless, its absence does not say which of them is meant: then it must be given.
    return {state: found[state][0] for state in everything if len(found.get(state, ())) == 1}


def functions(rule: Rule) -> list[OneArray]:
    """The functions of a rule: variants that states do not tell apart have different ones."""
    decided = {one.flag for one in _switches(rule, {}).values()}
    groups: dict[tuple[tuple[str, bool], ...], list[str]] = {}
    for variant, flags in rule.variants.items():
        groups.setdefault(tuple((flag, value) for flag, value in flags.items() if flag not in decided), []).append(variant)
    return [OneArray(rule, tuple(variants)) for variants in groups.values()]


def all_functions(rules: Mapping[str, Rule]) -> list[OneArray]:
    """The functions of all rules, by the order of these; `rules`: by the names of their variants."""
    distinct: Iterable[Rule] = dict.fromkeys(rules.values())
    return [one for rule in distinct for one in functions(rule)]
