"""Expressions as text, with only the parentheses that are needed: what the texts in C and in Python have in common."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from lrkern.rules.lowering import Parts
from lrkern.rules.program import FLAG, Node, bare

SYMBOLS: dict[str, tuple[str, float]] = {
    "or": ("||", 1), "and": ("&&", 2), "lt": ("<", 4), "le": ("<=", 4), "gt": (">", 4), "ge": (">=", 4), "eq": ("==", 4),
    "ne": ("!=", 4), "add": ("+", 5), "sub": ("-", 5), "mul": ("*", 6), "div": ("/", 6),
}  # fmt: skip
"""Operation -> its symbol, and how strongly it binds."""
LOWEST, SELECT, NOT, UNARY, HIGHEST = 0, 0.5, 3, 7, 9


def local_name(name: str, taken: Collection[str]) -> str:
    """The name of a local variable where these names mean something else: with _ after it, as those that already end so."""
    return f"{name}_" if name.rstrip("_") in taken else name


class Writer:
    """Writes expressions. Subclasses say how leaves, calls and selections are spelled."""

    symbols = SYMBOLS
    truth = "False", "True"
    """What the constants are called."""

    def write(self, node: Node, above: float = LOWEST) -> str:
        """The text of a node inside an operation that binds as strongly as `above`."""
        text, strength = self.spell(node)
        return text if strength >= above else f"({text})"

    def spell(self, node: Node) -> tuple[str, float]:
        """The text of a node, and how strongly it binds."""
        if node.op in self.symbols:
            symbol, strength = self.symbols[node.op]
            # Operations of equal rank associate to the left; comparisons do not associate.
            left = strength + (strength == 4)
            return f"{self.write(node.args[0], left)} {symbol} {self.write(node.args[1], strength + 0.5)}", strength
        if node.op == "constant" and node.kind == FLAG:
            return self.truth[bool(node.value)], HIGHEST
        if node.op == "neg":
            return f"-{self.write(node.args[0], UNARY + 0.5)}", UNARY
        if node.op == "select":
            return self.select(*node.args), SELECT
        return self.leaf(node)

    def leaf(self, node: Node) -> tuple[str, float]:
        """A name, number or call."""
        raise NotImplementedError

    def select(self, test: Node, a: Node, b: Node) -> str:
        """`a` if the condition holds, else `b`."""
        raise NotImplementedError


class ElementWriter(Writer):
    """Writes expressions on elements, in T. A condition on scalars is a local variable, or, `defining`, follows from coefs."""

    coefs: str
    """What stands before the name of a coef."""
    negation: tuple[str, float]
    taken: Collection[str]
    """Names that mean something else in the generated code."""

    def __init__(self, parts: Parts, defining: bool = False) -> None:
        self.parts, self.defining = parts, defining

    def is_defined(self, node: Node) -> bool:
        """Whether a condition on scalars is written out here: it has no name of the rule's own."""
        return self.defining and node.kind == FLAG and node.op not in ("name", "input")

    def local(self, name: str) -> str:
        """The name of a local variable."""
        return local_name(name, self.taken)

    def coef(self, node: Node) -> str:
        """A scalar: one of the coefs."""
        return f"{self.coefs}{self.parts.coef_of(node)}"

    def constant(self, value: float) -> tuple[str, float]:
        """A number next to elements."""
        raise NotImplementedError

    def call(self, node: Node) -> tuple[str, float]:
        """A word."""
        raise NotImplementedError

    def spell(self, node: Node) -> tuple[str, float]:
        if node.of_elements or self.is_defined(node) or (node.kind == FLAG and node.op == "constant"):
            return super().spell(node)
        if node.kind == FLAG and self.defining:
            return f"{self.coef(node)} != 0", SYMBOLS["ne"][1]
        if node.kind == FLAG:
            return self.local(self.parts.condition_of(node)), HIGHEST
        if bare(node).op == "constant":
            return self.constant(bare(node).value)
        return self.coef(node), HIGHEST

    def leaf(self, node: Node) -> tuple[str, float]:
        match node.op:
            case "input" if node.value in self.parts.states:
                return f"s{self.parts.states.index(node.value)}", HIGHEST
            case "input":
                return str(node.value), HIGHEST
            case "name":
                return self.local(node.value), HIGHEST
            case "not":
                symbol, strength = self.negation
                return f"{symbol}{self.write(node.args[0], HIGHEST)}", strength
        return self.call(node)

    def conditions_in(self, lines: Sequence[str]) -> list[tuple[str, str]]:
        """The conditions that some statements use: their names, and how they follow from the coefs."""
        writer, words = type(self)(self.parts, defining=True), set(re.findall(r"\w+", " ".join(lines)))
        found = ((self.local(name), node) for name, node in self.parts.conditions)
        return [(name, writer.write(node)) for name, node in found if name in words]
