"""A rule as C: the entries of src_c/steps/generated_rules.def."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lrkern.rules.lowering import Parts, is_norm_of_param
from lrkern.rules.program import FLAG, SCALAR, WHOLE, Node, bare
from lrkern.rules.text import HIGHEST, SELECT, SYMBOLS, UNARY, ElementWriter, Writer, local_name

if TYPE_CHECKING:
    from lrkern.rules.rule import Rule

_KEYWORDS = frozenset({
    "alignas", "alignof", "asm", "auto", "bool", "break", "case", "char", "const", "constexpr", "continue", "default", "do",
    "double", "else", "enum", "extern", "false", "float", "for", "goto", "if", "inline", "int", "long", "nullptr", "register",
    "restrict", "return", "short", "signed", "sizeof", "static", "static_assert", "struct", "switch", "thread_local", "true",
    "typedef", "typeof", "typeof_unqual", "union", "unsigned", "void", "volatile", "while", "unix", "linux", "T", "FMA", "SQRT",
    "ABS", "MINIMUM", "MAXIMUM", "SIGN", "ISFINITE",
})  # fmt: skip
"""Words of C, and macros of compilers and of lrkern_rule.h."""
_RESERVED = re.compile(r"lrk_|LRK_|__|(U?INT|SIZE|PTRDIFF|WCHAR|WINT|SIG_ATOMIC).*_(MAX|MIN|WIDTH|C)$|.*_t$")
"""Names of lrkern_rule.h, of compilers and of <stdint.h>."""
_TAKEN = _KEYWORDS | {
    "p", "g", "c", "h", "i", "m", "n", "t", "z", "s0", "s1", "s2", "s3", "s4", "size", "ahead", "group", "param",
    "remainder", "grad", "coefs", "random", "norms", "ps", "gs", "rs", "ms", "out", "scalars", "halves",
}  # fmt: skip


WIDTH = 124  # of lines


def _local(name: str) -> str:
    return f"{name}_" if _RESERVED.match(name) else local_name(name, _TAKEN)


def field(name: str) -> str:
    """The name of a number or coef in structs: with _ after it if C has another meaning for it."""
    return f"{name}_" if _RESERVED.match(name) else local_name(name, _KEYWORDS)


class _Scalars(Writer):
    """Expressions on scalars, in float64."""

    truth = "false", "true"

    def __init__(self, scalar_states: tuple[str, ...]) -> None:
        self.scalar_states = scalar_states

    def leaf(self, node: Node) -> tuple[str, float]:
        match node.op:
            case "constant":
                return repr(node.value), UNARY if node.value < 0 else HIGHEST
            case "input" if node.value == "n":
                return "t->n", HIGHEST
            case "input" if node.value in self.scalar_states:
                return f"t->states[{self.scalar_states.index(node.value)}]", HIGHEST
            case "input" if node.kind == FLAG:
                return f"h->{field(node.value)} != 0", 4
            case "input":
                return f"h->{field(node.value)}", HIGHEST
            case "name":
                return _local(node.value), HIGHEST
            case "not":
                return f"!{self.write(node.args[0], HIGHEST)}", UNARY
            case "norm" | "sum":
                return "t->norm" if is_norm_of_param(node) else "t->measured", HIGHEST
            case "size":
                return "t->size", HIGHEST
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
        return _selection(self, test, a, b)


class _Elements(ElementWriter):
    """Expressions on elements, in T."""

    truth, coefs, negation = ("false", "true"), "c->", ("!", UNARY)

    def local(self, name: str) -> str:
        return _local(name)

    def coef(self, node: Node) -> str:
        return f"{self.coefs}{field(self.parts.coef_of(node))}"

    def constant(self, value: float) -> tuple[str, float]:
        return f"(T){value!r}", UNARY

    def call(self, node: Node) -> tuple[str, float]:
        return f"{node.op.upper()}({', '.join(self.write(one) for one in node.args)})", HIGHEST

    def select(self, test: Node, a: Node, b: Node) -> str:
        return _selection(self, test, a, b)


def _selection(writer: Writer, test: Node, a: Node, b: Node) -> str:
    return f"{writer.write(test, 1)} ? {writer.write(a, 1)} : {writer.write(b, SELECT)}"


def _statement(kind: str, name: str, value: str) -> str:
    return f"const {kind} {_local(name)} = {value};"


def scalars_text(parts: Parts) -> list[str]:
    """The statements that compute the coefs."""
    writer = _Scalars(parts.scalar_states)
    lines = _named_scalars(writer, parts.scalars)
    for name, node in parts.coefs:
        lines.append(f"c->{field(name)} = {writer.real(node, 0) if node.kind != FLAG else writer.write(node)};")
    return lines


def _named_scalars(writer: _Scalars, names: Sequence[Node]) -> list[str]:
    kinds = {FLAG: "bool", WHOLE: "int64_t"}
    return [_statement(kinds.get(one.kind, "double"), one.value, writer.write(one.args[0])) for one in names]


def scalar_states_text(parts: Parts) -> list[str]:
    """The statements that assign the new scalar states to z[0] and so on."""
    writer = _Scalars(parts.scalar_states)
    lines = _named_scalars(writer, parts.scalars_of_states)
    return [*lines, *(f"z[{k}] = {writer.real(node, 0)};" for k, node in enumerate(parts.new_scalar_states))]


def update_text(parts: Parts) -> list[str]:
    """The statements that update one element."""
    writer = _Elements(parts)
    lines = [_statement("T", one.value, writer.write(one.args[0])) for one in parts.elements]
    results = []
    for name, node in [*((f"s{k}", one) for k, one in enumerate(parts.new_states)), ("p", parts.param)]:
        value = writer.write(node)
        # States are written one after the other, so that what comes from another one is read before.
        is_state = node.op == "input" and (node.value in parts.states or node.value == "p") and value != name
        if node.of_elements and name != "p" and (is_state or node.op not in ("name", "input")):
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


def conditions_text(parts: Parts, body: Sequence[str]) -> list[str]:
    """The statements that decide the conditions on scalars that `body` tests."""
    return [f"const bool {name} = {test};" for name, test in _Elements(parts).conditions_in(body)]


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
    conditions = _Elements(parts).conditions_in(update)
    when = " | ".join(f"({text} ? {1 << k}u : 0u)" for k, (_, text) in enumerate(conditions)) or "0u"
    cases = [sum(1 << k for k, (name, _) in enumerate(conditions) if name in case) for case in rule.cases(variant)]
    tests = [f"const bool {name} = (when & {1 << k}u) != 0;" for k, (name, _) in enumerate(conditions)]
    kind = "SPARE_" if variant in rule.spare else "RARE_" if variant in rule.rare else ""
    inputs, coefs = [f"H({one.name})" for one in parts.hypers], [f"C({name})" for name, _ in parts.coefs]
    head = f"/* ---- {variant}: `{rule.name}` in {rule.function.__module__.replace('.', '/')}.py"
    states = "".join(f", s{k} is {state}" for k, state in enumerate(parts.states))
    states += "".join(f", t->states[{k}] is {state}" for k, state in enumerate(parts.scalar_states))
    text = f"""
{head}{states} */

LRK_FAMILY({variant},
    {_joined(inputs, "    ")},
    {_joined(coefs, "    ")}, {{
{_block(scalars_text(parts))}}})

LRK_{kind}RULE({variant}, {len(parts.states)},
    {when},
    {_joined([f"CASE({variant}, {one}u)" for one in dict.fromkeys(cases)] if conditions else [], "    ")}, {{
{_block([*tests, *update])}}})
"""
    if parts.scalar_states:
        text += f"""
LRK_SCALAR_STATES({variant}, {len(parts.scalar_states)}, {{
{_block(scalar_states_text(parts))}}})
"""
    if parts.measured is not None:
        measure, of = measure_text(parts), "LRK_SUM" if parts.measures_sum else "LRK_NORM"
        text += f"""
LRK_{"SPARE_" if variant in rule.spare else ""}MEASURE({variant}, {len(parts.states)}, {of}, {{
{_block([*conditions_text(parts, measure), *measure])}}})
"""
    return text
