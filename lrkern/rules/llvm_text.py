"""A rule as LLVM's assembly, which is compiled within milliseconds: the functions that `lrk_rule_register` in C takes.

Loops are vectors of `LINE` bytes, and one element at a time at the end. Each operation is written out, and none has fast-math
flags, so that LLVM rounds it by itself: bits are those of the C code. Addresses are integers, because different versions of
LLVM spell pointers differently. Conditions that are the same for all elements are branches, which skip what is not needed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lrkern import _core
from lrkern.rules.lowering import Parts, is_norm_of_param
from lrkern.rules.program import FLAG, WHOLE, Node, bare

LINE = 64
"""Bytes of a vector: of a cache line, and of the widest registers."""

BITS = {"float": 32, "double": 64}
_COMPARISONS = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_OF_WHOLE = {"lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge", "eq": "eq", "ne": "ne"}
_ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_POWERS = {
    "power": ("lrk_own_power", "i64"),
    "one_minus_power": ("lrk_own_one_minus_power", "i64"),
    "real_power": ("lrk_own_real_power", "double"),
}


@dataclass(frozen=True)
class Dialect:
    """What versions of LLVM spell differently."""

    typed_pointers: bool

    def pointer_to(self, kind: str) -> str:
        """The type of the address of something."""
        return f"{kind}*" if self.typed_pointers else "ptr"


class _Function:
    """The lines of a function, as they are written."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect, self.lines, self.count, self.block = dialect, list[str](), 0, "entry"
        self.declared = set[str]()

    def put(self, text: str) -> str:
        """Add an instruction with a result."""
        self.count += 1
        self.lines.append(f"  %v{self.count} = {text}")
        return f"%v{self.count}"

    def do(self, text: str) -> None:
        """Add an instruction without one."""
        self.lines.append(f"  {text}")

    def label(self, stem: str) -> str:
        """A name for a block."""
        self.count += 1
        return f"{stem}{self.count}"

    def begin(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")
        self.block = label

    def call(self, name: str, result: str, *arguments: tuple[str, str]) -> str:
        """Call a function: (type, value) of each argument."""
        self.declared.add(f"declare {result} @{name}({', '.join(kind for kind, _ in arguments)})")
        return self.put(f"call {result} @{name}({', '.join(f'{kind} {value}' for kind, value in arguments)})")

    def pointer(self, address: str, kind: str) -> str:
        """An address as a pointer."""
        return self.put(f"inttoptr i64 {address} to {self.dialect.pointer_to(kind)}")

    def load(self, kind: str, address: str, offset: int | str = 0) -> str:
        """What lies at an address."""
        at = self.put(f"add i64 {address}, {offset}") if offset != 0 else address
        return self.put(f"load {kind}, {self.dialect.pointer_to(kind)} {self.pointer(at, kind)}, align 1")

    def store(self, kind: str, value: str, address: str, offset: int | str = 0) -> None:
        """Write to an address."""
        at = self.put(f"add i64 {address}, {offset}") if offset != 0 else address
        self.do(f"store {kind} {value}, {self.dialect.pointer_to(kind)} {self.pointer(at, kind)}, align 1")

    def prefetch(self, address: str) -> None:
        """Ask for a cache line, which need not exist."""
        kind, name = self.dialect.pointer_to("i8"), "p0i8" if self.dialect.typed_pointers else "p0"
        self.declared.add(f"declare void @llvm.prefetch.{name}({kind}, i32, i32, i32)")
        self.do(f"call void @llvm.prefetch.{name}({kind} {self.pointer(address, 'i8')}, i32 1, i32 3, i32 1)")

    def chosen(self, test: str, kind: str, a: Callable[[], str], b: Callable[[], str]) -> str:
        """`a` if the condition, an i1, holds, else `b`; only that one is computed."""
        labels = [self.label("then"), self.label("else")]
        end, found = self.label("end"), []
        self.do(f"br i1 {test}, label %{labels[0]}, label %{labels[1]}")
        for label, side in zip(labels, (a, b), strict=True):
            self.begin(label)
            value = side()
            found.append(f"[{value}, %{self.block}]")
            self.do(f"br label %{end}")
        self.begin(end)
        return self.put(f"phi {kind} {', '.join(found)}")

    def text(self, name: str, arguments: str) -> str:
        """The whole function."""
        return "\n".join([f"define void @{name}({arguments}) {{", "entry:", *self.lines, "  ret void", "}", ""])


def _number(value: float, kind: str) -> str:
    """A constant, rounded once to its type."""
    with np.errstate(over="ignore"):
        rounded = float(np.float32(value)) if kind == "float" else float(value)
    return f"0x{struct.unpack('<Q', struct.pack('<d', rounded))[0]:016X}"


class _Values:
    """Writes the instructions for values. Named ones are computed once, where they are defined."""

    def __init__(self, function: _Function, kind: str, lanes: int) -> None:
        self.f, self.kind, self.lanes = function, kind, lanes
        self.named: dict[str, str] = {}

    def of(self, kind: str) -> str:
        """A vector type, or the scalar itself."""
        return f"<{self.lanes} x {kind}>" if self.lanes > 1 else kind

    @property
    def type(self) -> str:
        """The type of numbers."""
        return self.of(self.kind)

    def suffix(self) -> str:
        """The name of the type in those of LLVM's functions."""
        return f"{f'v{self.lanes}' if self.lanes > 1 else ''}f{BITS[self.kind]}"

    def spread(self, kind: str, value: str) -> str:
        """A scalar in all lanes."""
        if self.lanes == 1:
            return value
        first = self.f.put(f"insertelement {self.of(kind)} undef, {kind} {value}, i32 0")
        return self.f.put(f"shufflevector {self.of(kind)} {first}, {self.of(kind)} undef, <{self.lanes} x i32> zeroinitializer")

    def constant(self, value: float) -> str:
        """A number in all lanes."""
        one = _number(value, self.kind)
        return one if self.lanes == 1 else f"<{', '.join([f'{self.kind} {one}'] * self.lanes)}>"

    def compare(self, op: str, a: str, b: str) -> str:
        """A comparison of numbers."""
        return self.f.put(f"fcmp {_COMPARISONS[op]} {self.type} {a}, {b}")

    def select(self, test: str, a: str, b: str, kind: str = "") -> str:
        """One of two values that are known."""
        kind = self.of(kind or self.kind)
        return self.f.put(f"select {self.of('i1')} {test}, {kind} {a}, {kind} {b}")

    def word(self, op: str, args: list[str]) -> str:
        """An operation on numbers, in all lanes."""
        a = args[0]
        match op:
            case "add" | "sub" | "mul" | "div":
                return self.f.put(f"{_ARITHMETIC[op]} {self.type} {a}, {args[1]}")
            case "neg":
                return self.f.put(f"fneg {self.type} {a}")
            case "fma" | "sqrt" | "abs":
                name = f"llvm.{'fabs' if op == 'abs' else op}.{self.suffix()}"
                return self.f.call(name, self.type, *((self.type, one) for one in args))
            case "sign":
                zero = self.constant(0.0)
                below = self.select(self.compare("lt", a, zero), self.constant(-1.0), a)
                return self.select(self.compare("gt", a, zero), self.constant(1.0), below)
            case "minimum" | "maximum":
                first = self.compare("le" if op == "minimum" else "ge", a, args[1])
                either = self.f.put(f"or {self.of('i1')} {first}, {self.compare('ne', a, a)}")
                return self.select(either, a, args[1])
            case "isfinite":
                return self.compare("eq", self.f.put(f"fsub {self.type} {a}, {a}"), self.constant(0.0))
        raise AssertionError(op)


class _Scalars(_Values):
    """Scalars in float64, integers, and conditions on them."""

    def __init__(self, function: _Function, parts: Parts) -> None:
        super().__init__(function, "double", 1)
        self.parts = parts

    def kind_of(self, node: Node) -> str:
        return {FLAG: "i1", WHOLE: "i64"}.get(node.kind, "double")

    def name(self, names: tuple[Node, ...]) -> None:
        """Compute named values."""
        for one in names:
            self.named[one.value] = self.value(one.args[0])

    def real(self, node: Node) -> str:
        """A number as a float64."""
        if node.kind != WHOLE:
            return self.value(node)
        if bare(node).op == "constant":
            return self.constant(float(bare(node).value))
        return self.f.put(f"sitofp i64 {self.value(node)} to double")

    def value(self, node: Node) -> str:
        """A value in its own type."""
        whole = node.kind == WHOLE
        match node.op:
            case "constant" if node.kind == FLAG:
                return "true" if node.value else "false"
            case "constant":
                return str(node.value) if whole else self.constant(node.value)
            case "name":
                return self.named[node.value]
            case "input":
                return self.input(node)
            case "norm" | "sum":
                return self.member("double", "norm" if is_norm_of_param(node) else "measured")
            case "size":
                return self.member("double", "size")
            case "not":
                return self.f.put(f"xor i1 {self.value(node.args[0])}, true")
            case "select":
                test, a, b = node.args
                side = self.real if node.kind not in (FLAG, WHOLE) else self.value
                return self.f.chosen(self.value(test), self.kind_of(node), lambda: side(a), lambda: side(b))
            case "and":
                first, second = node.args
                return self.f.chosen(self.value(first), "i1", lambda: self.value(second), lambda: "false")
            case "or":
                first, second = node.args
                return self.f.chosen(self.value(first), "i1", lambda: "true", lambda: self.value(second))
            case "power" | "one_minus_power" | "real_power":
                name, kind = _POWERS[node.op]
                base, exponent = node.args
                found = self.value(exponent) if kind == "i64" else self.real(exponent)
                return self.f.call(name, "double", ("double", self.real(base)), (kind, found))
        if node.op in _COMPARISONS and all(one.kind == WHOLE for one in node.args):
            left, right = (self.value(one) for one in node.args)
            return self.f.put(f"icmp {_OF_WHOLE[node.op]} i64 {left}, {right}")
        if node.op in _COMPARISONS:
            return self.compare(node.op, *(self.real(one) for one in node.args))
        if whole and node.op == "neg":
            return self.f.put(f"sub i64 0, {self.value(node.args[0])}")
        if whole and node.op in _ARITHMETIC:
            left, right = (self.value(one) for one in node.args)
            return self.f.put(f"{node.op} i64 {left}, {right}")
        found = self.word(node.op, [self.real(one) for one in node.args])
        return self.f.put(f"fptosi double {found} to i64") if whole else found

    def member(self, kind: str, name: str, index: int = 0) -> str:
        """A member of the lrk_rule_tensor; an element of one that is an array."""
        return self.f.load(kind, "%t", _core.RULE_TENSOR[name] + 8 * index)

    def input(self, node: Node) -> str:
        """n, a scalar state, a number or a flag."""
        if node.value == "n":
            return self.member("i64", "n")
        if node.value in self.parts.scalar_states:
            return self.member("double", "states", self.parts.scalar_states.index(node.value))
        place = [one.name for one in self.parts.hypers].index(node.value)
        found = self.f.load("double", "%h", 8 * place)
        return self.compare("ne", found, self.constant(0.0)) if node.kind == FLAG else found


class _Coefs:
    """The coefs in T, and the conditions on them, before the loop."""

    def __init__(self, function: _Function, parts: Parts, kind: str) -> None:
        self.f, self.parts = function, parts
        self.values = _Values(function, kind, 1)
        item = BITS[kind] // 8
        self.coefs = {name: function.load(kind, "%c", k * item) for k, (name, _) in enumerate(parts.coefs)}
        self.conditions = {name: self.condition(node) for name, node in parts.conditions}

    def number(self, node: Node) -> str:
        """A scalar."""
        if bare(node).op == "constant":
            return self.values.constant(float(bare(node).value))
        return self.coefs[self.parts.coef_of(node)]

    def condition(self, node: Node) -> str:
        """A condition on scalars, decided in T, or by its name in float64."""
        if node.op in ("name", "input"):
            return self.values.compare("ne", self.coefs[self.parts.coef_of(node)], self.values.constant(0.0))
        match node.op:
            case "constant":
                return "true" if node.value else "false"
            case "not":
                return self.f.put(f"xor i1 {self.condition(node.args[0])}, true")
            case "and" | "or":
                a, b = (self.condition(one) for one in node.args)
                return self.f.put(f"{node.op} i1 {a}, {b}")
            case "select":
                test, a, b = (self.condition(one) for one in node.args)
                return self.f.put(f"select i1 {test}, i1 {a}, i1 {b}")
            case "isfinite":
                return self.values.word("isfinite", [self.number(node.args[0])])
        return self.values.compare(node.op, *(self.number(one) for one in node.args))


class _Elements(_Values):
    """Elements in T, as many as there are lanes."""

    def __init__(self, function: _Function, coefs: _Coefs, lanes: int) -> None:
        super().__init__(function, coefs.values.kind, lanes)
        self.parts, self.conditions = coefs.parts, coefs.conditions
        self.coefs = {name: self.spread(self.kind, one) for name, one in coefs.coefs.items()}
        self.inputs: dict[str, str] = {}

    def name(self, names: tuple[Node, ...]) -> None:
        """Compute named values."""
        self.named = {}
        for one in names:
            self.named[one.value] = self.value(one.args[0])

    def value(self, node: Node) -> str:
        """Numbers, or for a condition an i1 in each lane."""
        if node.kind == FLAG:
            return self.spread("i1", self.uniform(node))
        if not node.of_elements:
            constant = bare(node).op == "constant"
            return self.constant(float(bare(node).value)) if constant else self.coefs[self.parts.coef_of(node)]
        match node.op:
            case "input":
                return self.inputs[node.value]
            case "name":
                return self.named[node.value]
            case "select":
                test, a, b = node.args
                kind = "i1" if node.kind not in ("element",) else self.kind
                if test.kind == FLAG:
                    return self.f.chosen(self.uniform(test), self.of(kind), lambda: self.value(a), lambda: self.value(b))
                return self.select(self.value(test), self.value(a), self.value(b), kind)
            case "not":
                ones = "true" if self.lanes == 1 else f"<{', '.join(['i1 true'] * self.lanes)}>"
                return self.f.put(f"xor {self.of('i1')} {self.value(node.args[0])}, {ones}")
            case "and" | "or":
                first, second = (self.value(one) for one in node.args)
                return self.f.put(f"{node.op} {self.of('i1')} {first}, {second}")
        args = [self.value(one) for one in node.args]
        return self.compare(node.op, *args) if node.op in _COMPARISONS else self.word(node.op, args)

    def uniform(self, node: Node) -> str:
        """A condition that is the same for all elements."""
        if node.op == "constant":
            return "true" if node.value else "false"
        return self.conditions[self.parts.condition_of(node)]


def _loop(f: _Function, elements: _Elements, begin: str, end: str, body: Callable[[str], None]) -> None:
    """`body(offset in bytes)` for every `lanes` elements from `begin` to `end`."""
    before, again, after = f.block, f.label("loop"), f.label("after")
    next_label, place = f.label("next"), f"%i{f.count}"
    more = f.put(f"icmp slt i64 {begin}, {end}")
    f.do(f"br i1 {more}, label %{again}, label %{after}")
    f.begin(again)
    f.do(f"{place} = phi i64 [{begin}, %{before}], [{place}next, %{next_label}]")
    body(f.put(f"mul i64 {place}, {BITS[elements.kind] // 8}"))
    f.do(f"br label %{next_label}")
    f.begin(next_label)
    f.do(f"{place}next = add i64 {place}, {elements.lanes}")
    f.do(f"br i1 {f.put(f'icmp slt i64 {place}next, {end}')}, label %{again}, label %{after}")
    f.begin(after)


def _of_elements(dialect: Dialect, parts: Parts, kind: str, measures: bool) -> tuple[str, set[str]]:
    """`lrk_own_update`, or `lrk_own_measure`."""
    f, item = _Function(dialect), BITS[kind] // 8
    coefs = _Coefs(f, parts, kind)
    kept = [f.load("i64", "%s", 8 * k) for k in range(len(parts.states))]
    written = ["%o"] if measures else ["%p", *kept]
    read = ["%p", "%g", *kept]
    lanes = LINE // item
    whole = f.put(f"and i64 %size, {-lanes}")
    ahead = f.put(f"mul i64 %ahead, {item}")

    for count, begin, end in ((lanes, "0", whole), (1, whole, "%size")):
        elements = _Elements(f, coefs, count)

        def body(offset: str, elements: _Elements = elements, count: int = count) -> None:
            if count > 1:
                further = f.put(f"add i64 {offset}, {ahead}")
                for one in dict.fromkeys([*read, *([] if measures else written)]):
                    f.prefetch(f.put(f"add i64 {one}, {further}"))
            for name, one in zip(("p", "g", *parts.states), read, strict=True):
                elements.inputs[name] = f.load(elements.type, one, offset)
            elements.name(parts.measured_elements if measures else parts.elements)
            assert parts.measured is not None or not measures
            results = (parts.measured,) if measures else (parts.param, *parts.new_states)
            found = [elements.value(one) for one in results if one is not None]
            for value, one in zip(found, written, strict=True):
                f.store(elements.type, value, one, offset)

        _loop(f, elements, begin, end, body)
    arguments = "i64 %size, i64 %ahead, i64 %p, i64 %g, i64 %s, i64 %c"
    name = f"{'measure' if measures else 'update'}_f{BITS[kind]}"
    return f.text(name, f"{arguments}, i64 %o" if measures else arguments), f.declared


def _of_scalars(dialect: Dialect, parts: Parts, name: str) -> tuple[str, set[str]]:
    """`lrk_own_scalars`: the coefs, or the new scalar states."""
    f = _Function(dialect)
    scalars, of_states = _Scalars(f, parts), name == "new_scalar_states"
    scalars.name(parts.scalars_of_states if of_states else parts.scalars)
    nodes = parts.new_scalar_states if of_states else tuple(node for _, node in parts.coefs)
    found = []
    for node in nodes:
        value = scalars.value(node) if node.kind == FLAG else scalars.real(node)
        found.append(f.put(f"uitofp i1 {value} to double") if node.kind == FLAG else value)
    for k, value in enumerate(found):
        f.store("double", value, "%o", 8 * k)
    return f.text(name, "i64 %h, i64 %t, i64 %o"), f.declared


def llvm_text(parts: Parts, typed_pointers: bool = False) -> str:
    """The module: `scalars`, `update_f32`, `update_f64`; where the rule has them, `new_scalar_states`, `measure_f32`, ..."""
    dialect = Dialect(typed_pointers)
    made = [_of_scalars(dialect, parts, "scalars")] if parts.coefs else []
    if parts.scalar_states:
        made.append(_of_scalars(dialect, parts, "new_scalar_states"))
    for kind in BITS:
        made.append(_of_elements(dialect, parts, kind, measures=False))
        if parts.measured is not None:
            made.append(_of_elements(dialect, parts, kind, measures=True))
    declared = sorted(set[str]().union(*(names for _, names in made)))
    return "\n".join([*declared, "", *(text for text, _ in made)])
