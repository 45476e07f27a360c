"""A rule as Python over whole arrays: one text for `jax.numpy` and for plain torch operations.

The formula is that of the kernels, the bits are not: fma(a, b, c) is a * b + c, and a norm is a reduction of the library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lrkern.rules.lowering import Parts, is_norm_of_param, needs_measure, reachable
from lrkern.rules.program import ELEMENT, FLAG, WHOLE, Node
from lrkern.rules.reader import named
from lrkern.rules.text import HIGHEST, LOWEST, SELECT, SYMBOLS, UNARY, ElementWriter, Writer, local_name

# Operators for numbers and arrays alike; they bind more strongly than comparisons.
_SYMBOLS = {**SYMBOLS, "or": ("|", 4.6), "and": ("&", 4.8)}
_TAKEN = frozenset({
    "p", "g", "c", "h", "n", "s0", "s1", "s2", "s3", "s4", "z0", "z1", "norm_p", "norm_m", "sqrt", "abs", "sign", "minimum",
    "maximum", "isfinite", "norm", "total", "size_of", "power", "one_minus_power", "divide", "where", "opposite", "number",
    "rounded",
})  # fmt: skip


def _local(name: str) -> str:
    return local_name(name, _TAKEN)


class _Arrays(Writer):
    symbols = _SYMBOLS
    decided = False
    """Whether conditions on scalars other than norms are those of Python, which computes one branch only."""

    def spell(self, node: Node) -> tuple[str, float]:
        match node.op:
            case "select" if self.is_written(node):
                test, yes, no = self.branches(node)
                if self.decided and node.args[0].kind == FLAG and not needs_measure(node.args[0]):
                    return f"{yes} if {test} else {no}", SELECT
                return f"where({test}, {yes}, {no})", HIGHEST
            case "not" if self.is_written(node):
                return f"opposite({self.write(node.args[0])})", HIGHEST
            case "fma" if self.is_written(node):
                a, b, c = node.args
                return super().spell(Node("add", node.kind, (Node("mul", node.kind, (a, b)), c)))
        return super().spell(node)

    def is_written(self, node: Node) -> bool:
        """Whether the operation itself is written here."""
        return True

    def branches(self, node: Node) -> list[str]:
        """The arguments of a selection."""
        return [self.write(one, 1) for one in node.args]

    def call(self, node: Node) -> tuple[str, float]:
        """A word."""
        return f"{node.op}({', '.join(self.write(one) for one in node.args)})", HIGHEST


class _Scalars(_Arrays):
    """Expressions on scalars: Python's numbers, or arrays of no dimension."""

    def __init__(self, scalar_states: tuple[str, ...]) -> None:
        self.scalar_states = scalar_states

    def spell(self, node: Node) -> tuple[str, float]:
        # Python's division by zero is an error, also where its result is not used.
        return self.call(Node("divide", node.kind, node.args)) if node.op == "div" else super().spell(node)

    def leaf(self, node: Node) -> tuple[str, float]:
        match node.op:
            case "constant":
                return repr(node.value), UNARY if node.value < 0 else HIGHEST
            case "input" if node.value in self.scalar_states:
                return f"z{self.scalar_states.index(node.value)}", HIGHEST
            case "input":
                return "n" if node.value == "n" else f"h.{node.value}", HIGHEST
            case "name":
                return _local(node.value), HIGHEST
            case "norm" | "sum":
                return "norm_p" if is_norm_of_param(node) else "norm_m", HIGHEST
            case "size":
                return "size_of(p)", HIGHEST
            case "real_power":
                return self.call(Node("power", node.kind, node.args))
        return self.call(node)


class _Elements(_Arrays, ElementWriter):
    """Expressions on arrays."""

    coefs, taken = "c.", _TAKEN

    def is_written(self, node: Node) -> bool:
        return node.of_elements or self.is_defined(node)

    def constant(self, value: float) -> tuple[str, float]:
        return repr(value), UNARY if value < 0 else HIGHEST

    def branches(self, node: Node) -> list[str]:
        if node.kind != ELEMENT:  # conditions
            return super().branches(node)
        test, *values = node.args
        return [self.write(test, 1), *(self.array(one, 1) for one in values)]

    def array(self, node: Node, above: float = LOWEST) -> str:
        """A value that must be an array like the parameter."""
        text = self.write(node, above)
        return text if node.of_elements else f"number({text}, p)"


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


class _Body:
    """The statements of the function."""

    def __init__(self, parts: Parts, decided: bool) -> None:
        self.elements, scalars = _Elements(parts), _Scalars(parts.scalar_states)
        self.elements.decided = scalars.decided = decided
        self.lines: list[str] = []
        names = [*parts.scalars, *(one for one in parts.scalars_of_states if one not in parts.scalars)]
        self.scalars = [(_local(one.value), scalars.write(one.args[0])) for one in names]
        self.scalar_states = [scalars.write(one) for one in parts.new_scalar_states]
        self.coefs = [(name, scalars.write(node)) for name, node in parts.coefs]
        self.written: set[str] = set()

    def assign(self, name: str, value: str) -> None:
        """`name = value`, once."""
        if name not in self.written:
            self.written.add(name)
            self.lines.append(f"{name} = {value}")

    def compute_scalars(self, without: set[str]) -> None:
        """The scalars and coefs that need none of some names."""
        for name, value in self.scalars:
            if _words(value) & without:
                without = without | {name}
            else:
                self.assign(name, value)
        ready = [f"{name}={value}" for name, value in self.coefs if not _words(value) & without]
        self.lines.append(f"c = rounded({', '.join(['p', *ready])})")

    def compute_elements(self, names: Sequence[Node], results: Sequence[Node]) -> list[str]:
        """The named elements; returns the results."""
        found = [(_local(one.value), self.elements.write(one.args[0])) for one in names]
        values = [self.elements.array(one) for one in results]
        for name, value in self.elements.conditions_in([*(value for _, value in found), *values]):
            self.assign(name, value)
        for name, value in found:
            self.assign(name, value)
        return values


_ZERO = Node("constant", WHOLE, (), 0)


def with_difference(parts: Parts) -> Parts:
    """The rule with the difference of the new parameter and the old one instead of the new one.

    The old one is not added in the first place where it is the last term of a sum.
    """
    known: dict[int, Node] = {}
    all_names = (*parts.scalars, *parts.scalars_of_states, *parts.measured_elements, *parts.elements)
    names = {str(one.value): one for one in all_names}
    for one in parts.elements:  # in order, and each is written once, however often it is used
        made = _difference(one.args[0], known)
        if made.op == "sub" and made.args[0] is one.args[0]:
            made = _minus_param(one)
        elif made.args:
            made = named(names, f"{one.value}_less_p", made)
        known[id(one)] = made
    param = _difference(parts.param, known)
    used = {id(one) for one in reachable(param)}
    made_names = [one for one in known.values() if one.op == "name" and id(one) in used]
    return replace(parts, param=param, elements=(*parts.elements, *made_names))


def _minus_param(node: Node) -> Node:
    return Node("sub", ELEMENT, (node, Node("input", ELEMENT, (), "p")))


def _difference(node: Node, known: Mapping[int, Node]) -> Node:
    """An expression minus the parameter."""
    match node.op, node.args:
        case "name", _ if id(node) in known:  # not one of scalars
            return known[id(node)]
        case "input", () if node.value == "p":
            return _ZERO
        case "select", (test, a, b):
            return Node("select", node.kind, (test, _difference(a, known), _difference(b, known)))
        case "fma", (a, b, c):
            product, rest = Node("mul", node.kind, (a, b)), _difference(c, known)
            return product if rest is _ZERO else Node("add", node.kind, (product, rest))
        case "sub", (a, b):
            rest = _difference(a, known)
            return Node("neg", node.kind, (b,)) if rest is _ZERO else Node("sub", node.kind, (rest, b))
    return _minus_param(node)


def text_of(parts: Parts, *, decided: bool, differs: bool = False) -> str:
    """The source of `update(h, n, p, g, s0, ..., z0, ...)`, which returns the new (p, s0, ..., z0, ...): arrays, scalar states.

    `decided`: h and n are numbers of Python, which decide at once which branch is computed; else they may be traced.
    `differs`: instead of the new parameter, its difference from the old one.
    """
    if differs:
        parts = with_difference(parts)
    body = _Body(parts, decided)
    of_scalars = [*(value for _, value in [*body.scalars, *body.coefs]), *body.scalar_states]
    if any("norm_p" in _words(value) for value in of_scalars):
        body.assign("norm_p", "norm(p)")
    if parts.measured is not None:
        body.compute_scalars({"norm_m"})
        [measured] = body.compute_elements(parts.measured_elements, [parts.measured])
        body.assign("norm_m", f"{'total' if parts.measures_sum else 'norm'}({measured})")
    body.compute_scalars(set())
    values = body.compute_elements(parts.elements, [parts.param, *parts.new_states])
    values += body.scalar_states
    states = "".join(f", s{k}" for k in range(len(parts.states))) + "".join(f", z{k}" for k in range(len(parts.scalar_states)))
    lines = [*body.lines, f"return {values[0]}," if len(values) == 1 else f"return {', '.join(values)}"]
    return f"def update(h, n, p, g{states}):\n" + "".join(f"    {one}\n" for one in lines)
