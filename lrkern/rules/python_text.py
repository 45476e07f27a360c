"""A rule as Python over numbers: the functions that Numba and CUDA compile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lrkern.rules.lowering import Parts, is_norm_of_param, reachable
from lrkern.rules.program import ELEMENT, FLAG, MASK, SCALAR, WHOLE, Node, bare
from lrkern.rules.reader import MAX_SCALAR_STATES, WORDS
from lrkern.rules.text import HIGHEST, NOT, SELECT, SYMBOLS, UNARY, ElementWriter, Writer, local_name

_SYMBOLS = {**SYMBOLS, "or": ("or", 1), "and": ("and", 2)}
_TAKEN = frozenset({"p", "g", "c", "h", "t", "s0", "s1", "s2", "s3", "s4", "fma", "sqrt", "number", "product"})
_FUNCTIONS = frozenset({*WORDS, "power", "one_minus_power", "real_power"})
_OF_SCALARS = frozenset({"float", "Scalars"})


def _called(nodes: Iterable[Node], kinds: Sequence[str]) -> set[str]:
    """The functions that values of some kinds call, so that no variable may have their names."""
    return {one.op for one in reachable(*nodes) if one.kind in kinds} & _FUNCTIONS


class _Python(Writer):
    symbols = _SYMBOLS

    def spell(self, node: Node) -> tuple[str, float]:
        if node.op == "mul" and node.kind != WHOLE and self.is_written(node):
            # Rounded by itself wherever it is used: CUDA would fuse it with a sum, also one in another line.
            return f"product({', '.join(self.write(self.operand(one)) for one in node.args)})", HIGHEST
        return super().spell(node)

    def operand(self, node: Node) -> Node:
        """A factor."""
        return node

    def is_written(self, node: Node) -> bool:
        """Whether the operation itself is written here."""
        return True

    def select(self, test: Node, a: Node, b: Node) -> str:
        return f"{self.write(a, 1)} if {self.write(test, 1)} else {self.write(b, SELECT)}"

    def call(self, node: Node) -> tuple[str, float]:
        """A word."""
        return f"{node.op}({', '.join(self.write(one) for one in node.args)})", HIGHEST


class _Scalars(_Python):
    def __init__(self, parts: Parts) -> None:
        self.scalar_states = parts.scalar_states
        self.taken = (
            _TAKEN
            | _OF_SCALARS
            | _called([*(node for _, node in parts.coefs), *parts.new_scalar_states], (WHOLE, SCALAR, FLAG))
        )

    def local(self, name: str) -> str:
        """The name of a local variable."""
        return local_name(name, self.taken)

    def leaf(self, node: Node) -> tuple[str, float]:
        match node.op:
            case "constant":
                return repr(node.value), UNARY if node.value < 0 else HIGHEST
            case "input" if node.value == "n":
                return "t.n", HIGHEST
            case "input" if node.value in self.scalar_states:
                return f"t.z{self.scalar_states.index(node.value)}", HIGHEST
            case "input" if node.kind == FLAG:
                return f"h.{node.value} != 0.0", 4
            case "input":
                return f"h.{node.value}", HIGHEST
            case "name":
                return self.local(node.value), HIGHEST
            case "not":
                return f"not {self.write(node.args[0], HIGHEST)}", NOT
            case "norm" | "sum":
                return "t.norm" if is_norm_of_param(node) else "t.measured", HIGHEST
            case "size":
                return "t.size", HIGHEST
        if node.op in ("power", "one_minus_power"):  # the base becomes float64, the exponent remains an integer
            base, exponent = node.args
            node = Node(node.op, node.kind, (_as_real(base), exponent))
        elif node.op != "float":
            node = Node(node.op, node.kind, tuple(_as_real(one) for one in node.args))
        return self.call(node)

    def operand(self, node: Node) -> Node:
        return _as_real(node)

    def spell(self, node: Node) -> tuple[str, float]:
        if node.kind == WHOLE or node.op not in ("add", "sub", "div", "select"):
            return super().spell(node)
        # Integers next to float64 become float64.
        args = tuple(_as_real(one) for one in node.args)
        return super().spell(Node(node.op, node.kind, args, node.value))


def _as_real(node: Node) -> Node:
    if node.kind != WHOLE:
        return node
    inner = bare(node)
    if inner.op == "constant":
        return Node("constant", "scalar", (), float(inner.value))
    return Node("float", "scalar", (node,))


class _Elements(_Python, ElementWriter):
    coefs, negation = "c.", ("not ", NOT)

    def __init__(self, parts: Parts, defining: bool = False) -> None:
        super().__init__(parts, defining)
        measured = [] if parts.measured is None else [parts.measured]
        self.taken = _TAKEN | _called([parts.param, *parts.new_states, *measured], (ELEMENT, MASK, FLAG))

    def is_written(self, node: Node) -> bool:
        return node.of_elements

    def constant(self, value: float) -> tuple[str, float]:
        return ("0" if value == 0 else f"number({float(value)!r}, p)"), HIGHEST

    def call(self, node: Node) -> tuple[str, float]:
        # An integer among arguments would make float64 of float32.
        return f"{node.op}({', '.join(self.number(one, 0) for one in node.args)})", HIGHEST

    def select(self, test: Node, a: Node, b: Node) -> str:
        if MASK in (a.kind, b.kind) or a.kind == FLAG:
            return super().select(test, a, b)
        # Both branches have the type of the elements.
        first, second = (self.number(one) for one in (a, b))
        return f"{first} if {self.write(test, 1)} else {second}"

    def number(self, node: Node, above: float = 1) -> str:
        """A branch of a selection, or an argument of a word."""
        if not node.of_elements and bare(node).op == "constant":
            return f"number({float(bare(node).value)!r}, p)"
        return self.write(node, above)


def _function(name: str, states: list[str], parts: Parts, elements: tuple[Node, ...], results: list[str]) -> list[str]:
    """The lines of a function of elements."""
    writer = _Elements(parts)
    body = [f"    {writer.local(one.value)} = {writer.write(one.args[0])}" for one in elements]
    body.append(f"    return {', '.join(results)}")
    conditions = [f"    {one} = {value}" for one, value in writer.conditions_in(body)]
    return ["", "", f"def {name}(c, p, g, {', '.join(states)}):", *conditions, *body]


def _of_scalars(name: str, scalars: _Scalars, names: tuple[Node, ...]) -> list[str]:
    """The beginning of a function of scalars."""
    return [f"def {name}(h, t):", *(f"    {scalars.local(one.value)} = {scalars.write(one.args[0])}" for one in names)]


def text_of(parts: Parts, max_states: int) -> str:
    """The source of `scalars`, `update` and, if the rule has them, `scalar_states` and `measured`: see `compiled.Family`."""
    scalars, elements = _Scalars(parts), _Elements(parts)
    lines = _of_scalars("scalars", scalars, parts.scalars)
    values = []
    for _, node in parts.coefs:
        if node.kind == FLAG:
            values.append(f"h.{bare(node).value}" if bare(node).op == "input" else f"1.0 if {scalars.write(node)} else 0.0")
        else:
            values.append(scalars.write(_as_real(node)))
    lines.append(f"    return Scalars({', '.join(values)})")
    if parts.scalar_states:
        kept = [scalars.write(_as_real(one)) for one in parts.new_scalar_states]
        kept += [f"t.z{k}" for k in range(len(kept), MAX_SCALAR_STATES)]
        lines += ["", "", *_of_scalars("scalar_states", scalars, parts.scalars_of_states), f"    return {', '.join(kept)}"]
    states = [f"s{k}" for k in range(max_states)]
    results = [elements.write(one) for one in (parts.param, *parts.new_states)]
    lines += _function("update", states, parts, parts.elements, [*results, *states[len(parts.new_states) :]])
    if parts.measured is not None:
        lines += _function("measured", states, parts, parts.measured_elements, [elements.write(parts.measured)])
    return "\n".join(lines) + "\n"
