"""A rule as C: the entries of src_c/steps/rules.def."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lrkern.rules.lowering import Parts, is_norm_of_param
from lrkern.rules.program import FLAG, SCALAR, WHOLE, Node, bare
from lrkern.rules.rule import Rule
from lrkern.rules.text import HIGHEST, SYMBOLS, UNARY, Writer

_TAKEN = {
    "p", "g", "c", "h", "i", "m", "n", "T", "s0", "s1", "s2", "s3", "s4", "size", "ahead", "group", "param", "remainder",
    "grad", "coefs", "random", "norms", "ps", "gs", "rs", "ms", "out", "scalars", "halves", "int", "double", "float",
}  # fmt: skip


WIDTH = 124  # of lines


def _local(name: str) -> str:
    return f"{name}_" if name in _TAKEN else name


def _literal(value: float) -> str:
    return repr(value)


class _Scalars(Writer):
    """Expressions on scalars, in float64."""

    def leaf(self, node: Node) -> tuple[str, float]:
        match node.op:
            case "constant":
                return _literal(node.value), UNARY if node.value < 0 else HIGHEST
            case "input" if node.value == "n":
                return "n", HIGHEST
            case "input" if node.kind == FLAG:
                return f"h->{node.value} != 0", 4
            case "input":
                return f"h->{node.value}", HIGHEST
            case "name":
                return _local(node.value), HIGHEST
            case "not":
                return f"!{self.write(node.args[0], HIGHEST)}", UNARY
            case "norm":
                return "norms->p" if is_norm_of_param(node) else "norms->m", HIGHEST
            case "power" | "one_minus_power":
                name = "lrk_whole_power" if node.op == "power" else "lrk_one_minus_power"
                return f"{name}({self.write(node.args[0])}, {self.write(node.args[1])})", HIGHEST
        name = {"fma": "__builtin_fma", "abs": "__builtin_fabs"}.get(node.op, f"lrk_{node.op}")
        return f"{name}({', '.join(self.real(one, 0) for one in node.args)})", HIGHEST

    def spell(self, node: Node) -> tuple[str, float]:
        if node.kind == SCALAR and node.op in SYMBOLS and SYMBOLS[node.op][1] > 4:
            symbol, strength = SYMBOLS[node.op]
            return f"{self.real(node.args[0], strength)} {symbol} {self.real(node.args[1], strength + 0.5)}", strength
        return super().spell(node)

    def real(self, node: Node, above: float) -> str:
        """An operand as a float64."""
        if node.kind == WHOLE and bare(node).op != "constant":
            return f"(double){self.write(node, HIGHEST)}"
        return self.write(node, above)

    def select(self, test: Node, a: Node, b: Node) -> str:
        return f"{self.write(test, 1)} ? {self.write(a, 1)} : {self.write(b, 0.5)}"


class _Elements(Writer):
    """Expressions on elements, in T."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def spell(self, node: Node) -> tuple[str, float]:
        if node.of_elements:
            return super().spell(node)
        if node.kind == FLAG:
            return _local(self.parts.condition_of(node)), HIGHEST
        if bare(node).op == "constant":
            value = bare(node).value
            return f"(T){_literal(value)}", UNARY
        return f"c->{self.parts.coef_of(node)}", HIGHEST

    def leaf(self, node: Node) -> tuple[str, float]:
        match node.op:
            case "input" if node.value in self.parts.states:
                return f"s{self.parts.states.index(node.value)}", HIGHEST
            case "input":
                return str(node.value), HIGHEST
            case "name":
                return _local(node.value), HIGHEST
            case "not":
                return f"!{self.write(node.args[0], HIGHEST)}", UNARY
        return f"{node.op.upper()}({', '.join(self.write(one) for one in node.args)})", HIGHEST

    def select(self, test: Node, a: Node, b: Node) -> str:
        return f"{self.write(test, 1)} ? {self.write(a, 1)} : {self.write(b, 0.5)}"


class _Conditions(_Elements):
    """Conditions on coefs, in T."""

    def spell(self, node: Node) -> tuple[str, float]:
        if node.kind == FLAG and node.op in ("name", "input"):
            return f"c->{self.parts.coef_of(node)} != 0", 4
        if node.kind == FLAG:
            return Writer.spell(self, node)
        return super().spell(node)


def _statement(kind: str, name: str, value: str) -> str:
    return f"const {kind} {_local(name)} = {value};"


def scalars_text(parts: Parts) -> list[str]:
    """The statements that compute the coefs."""
    writer = _Scalars()
    lines = []
    for one in parts.scalars:
        kind = {FLAG: "bool", WHOLE: "int64_t"}.get(one.kind, "double")
        lines.append(_statement(kind, one.value, writer.write(one.args[0])))
    for name, node in parts.coefs:
        lines.append(f"c->{name} = {writer.real(node, 0) if node.kind != FLAG else writer.write(node)};")
    return lines


def update_text(parts: Parts) -> list[str]:
    """The statements that update one element."""
    writer = _Elements(parts)
    lines = [_statement("T", one.value, writer.write(one.args[0])) for one in parts.elements]
    results = []
    for name, node in [*((f"s{k}", one) for k, one in enumerate(parts.new_states)), ("p", parts.param)]:
        value = writer.write(node)
        if node.of_elements and node.op not in ("name", "input") and name != "p":
            lines.append(_statement("T", f"new_{name}", value))
            value = f"new_{name}"
        if value != name:
            results.append((name, value))
    # The parameter is computed first, because it may depend on the states before the step.
    if results and results[-1][0] == "p" and len(results) > 1:
        lines.append(_statement("T", "new_p", results[-1][1]))
        results[-1] = ("p", "new_p")
    return [*lines, *(f"{name} = {value};" for name, value in results)]


def measure_text(parts: Parts) -> list[str]:
    """The statements that assign the measured element to m."""
    assert parts.measured is not None
    writer = _Elements(parts)
    lines = [_statement("T", one.value, writer.write(one.args[0])) for one in parts.measured_elements]
    return [*lines, f"m = {writer.write(parts.measured)};"]


def _conditions_in(parts: Parts, lines: Sequence[str]) -> list[tuple[str, str]]:
    """The conditions that some statements use: their names, and how they follow from the coefs."""
    writer = _Conditions(parts)
    words = set(re.findall(r"\w+", " ".join(lines)))
    return [(_local(name), writer.write(node)) for name, node in parts.conditions if _local(name) in words]


def _joined(items: Sequence[str], indent: str) -> str:
    """Items in lines."""
    lines, line = [], ""
    for one in items:
        if line and len(indent) + len(line) + 1 + len(one) > WIDTH:
            lines.append(line)
            line = ""
        line = f"{line} {one}" if line else one
    return f"\n{indent}".join([*lines, line])


def _block(lines: Sequence[str]) -> str:
    return "".join(f"    {one}\n" for one in lines)


def entries(rule: Rule, variant: str) -> str:
    """The entries of a rule's variant."""
    parts = rule.parts(variant)
    update = update_text(parts)
    conditions = _conditions_in(parts, update)
    when = " | ".join(f"({text} ? {1 << k}u : 0u)" for k, (_, text) in enumerate(conditions)) or "0u"
    cases = [sum(1 << k for k, (name, _) in enumerate(conditions) if name in case) for case in rule.cases(variant)]
    tests = [f"const bool {name} = (when & {1 << k}u) != 0;" for k, (name, _) in enumerate(conditions)]
    inputs, coefs = [f"H({one.name})" for one in parts.hypers], [f"C({name})" for name, _ in parts.coefs]
    head = f"/* ---- {variant}: `{rule.name}` in {rule.function.__module__.replace('.', '/')}.py"
    states = "".join(f", s{k} is {state}" for k, state in enumerate(parts.states))
    text = f"""
{head}{states} */

LRK_FAMILY({variant},
    {_joined(inputs, "    ")},
    {_joined(coefs, "    ")}, {{
{_block(scalars_text(parts))}}})

LRK_RULE({variant}, {len(parts.states)},
    {when},
    {_joined([f"CASE({variant}, {one}u)" for one in dict.fromkeys(cases)] if conditions else [], "    ")}, {{
{_block([*tests, *update])}}})
"""
    if parts.measured is None:
        return text
    measure = measure_text(parts)
    own = [f"const bool {name} = {test};" for name, test in _conditions_in(parts, measure)]
    return f"""{text}
LRK_MEASURE({variant}, {len(parts.states)}, {{
{_block([*own, *measure])}}})
"""
