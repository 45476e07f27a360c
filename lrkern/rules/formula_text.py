"""A rule as the formula that documentation prints: what `rule.formula()` returns."""

from __future__ import annotations

from lrkern.rules.lowering import Parts
from lrkern.rules.program import Node, bare
from lrkern.rules.text import HIGHEST, SELECT, SYMBOLS, UNARY, Writer

_PRODUCT, _POWER = 6, 8
_SYMBOLS = {**SYMBOLS, "and": ("and", 2), "or": ("or", 1), "eq": ("=", 4)}


class _Formula(Writer):
    """Expressions as mathematics: products without a sign, |x|, x^n; words that C needs are written out."""

    symbols = _SYMBOLS

    def spell(self, node: Node) -> tuple[str, float]:
        match node.op:
            case "mul" if bare(node.args[0]) is bare(node.args[1]) and node.args[0] is node.args[1]:
                return f"{self.write(node.args[0], _POWER + 0.5)}^2", _POWER
            case "mul" if node.args[0].op == "mul" and node.args[0].args[1] is node.args[1]:
                a, b = node.args[0].args
                return f"{self.write(a, _PRODUCT)} {self.write(b, _POWER + 0.5)}^2", _PRODUCT
            case "mul":
                a, b = node.args
                if bare(a).op == "constant" and bare(a).value == -1:
                    return f"-{self.write(b, UNARY)}", UNARY
                return f"{self.write(a, _PRODUCT)} {self.write(b, _PRODUCT + 0.5)}", _PRODUCT
            case "fma":
                a, b, c = node.args
                product, _ = self.spell(Node("mul", node.kind, (a, b)))
                return f"{product} + {self.write(c, 5)}", 5
            case "power" | "real_power":
                return f"{self.write(node.args[0], _POWER + 0.5)}^{self.write(node.args[1], HIGHEST)}", _POWER
            case "one_minus_power":
                return f"1 - {self.write(node.args[0], _POWER + 0.5)}^{self.write(node.args[1], HIGHEST)}", 5
            case "div" if node.args[1].op == "size":
                return f"mean({self.write(_counted(node.args[0].args[0]))})", HIGHEST
            case "sum":
                return f"count({self.write(_counted(node.args[0]))})", HIGHEST
            case "abs" | "norm":
                bars = "|" if node.op == "abs" else "||"
                return f"{bars}{self.write(node.args[0])}{bars}", HIGHEST
        return super().spell(node)

    def select(self, test: Node, a: Node, b: Node) -> str:
        return f"{self.write(a, 1)} if {self.write(test, 1)}, else {self.write(b, SELECT)}"

    def leaf(self, node: Node) -> tuple[str, float]:
        match node.op:
            case "constant":
                return f"{node.value:g}" if isinstance(node.value, float) else str(node.value), HIGHEST
            case "input" | "name":
                return str(node.value), HIGHEST
            case "not":
                return f"not {self.write(node.args[0], HIGHEST)}", 3
        return f"{node.op}({', '.join(self.write(one) for one in node.args)})", HIGHEST


def _counted(node: Node) -> Node:
    """A condition itself, instead of the numbers 1 and 0 that are added up."""
    if node.op == "select" and [bare(one).value for one in node.args[1:] if bare(one).op == "constant"] == [1, 0]:
        return node.args[0]
    return node


def formula_text(parts: Parts) -> str:
    """A line for each value that has a name, then the new states and the new parameter p."""
    writer = _Formula()
    named = [*parts.scalars, *(one for one in parts.scalars_of_states if one not in parts.scalars), *parts.elements]
    named += [one for one in parts.measured_elements if one not in parts.elements]
    lines = [f"{one.value} = {writer.write(one.args[0])}" for one in named]
    states = [
        *zip(parts.scalar_states, parts.new_scalar_states, strict=True),
        *zip(parts.states, parts.new_states, strict=True),
    ]
    for name, node in (*states, ("p", parts.param)):
        text = writer.write(node)
        if text != name:
            lines.append(f"{name} = {text}")
    return "\n".join(lines)
