"""Expressions as text, with only the parentheses that are needed: what the texts in C and in Python have in common."""

from __future__ import annotations

from lrkern.rules.program import Node

SYMBOLS = {
    "or": ("||", 1), "and": ("&&", 2), "lt": ("<", 4), "le": ("<=", 4), "gt": (">", 4), "ge": (">=", 4), "eq": ("==", 4),
    "ne": ("!=", 4), "add": ("+", 5), "sub": ("-", 5), "mul": ("*", 6), "div": ("/", 6),
}  # fmt: skip
"""Operation -> its symbol, and how strongly it binds."""
LOWEST, SELECT, NOT, UNARY, HIGHEST = 0, 0.5, 3, 7, 9


class Writer:
    """Writes expressions. Subclasses say how leaves, calls and selections are spelled."""

    symbols = SYMBOLS

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
