"""Reads a rule: from Python source to a `Program`. Nothing of the source is executed.

Operations of nodes: "constant", "input", "name"; "add", "sub", "mul", "div", "neg"; "power" (of a scalar, with a whole
exponent), "one_minus_power", which is 1 - power without cancellation, and "real_power", with any exponent; "fma", "sqrt",
"abs", "sign", "minimum", "maximum", "isfinite"; "lt", "le", "gt", "ge", "eq", "ne"; "and", "or", "not"; "select" (test, value
if true, value if not); of a tensor, "norm" and "sum" of its elements and "size", their number.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Protocol

from lrkern.rules.errors import RuleError
from lrkern.rules.program import ELEMENT, FLAG, MASK, SCALAR, WHOLE, Hyper, Node, Program, bare

MAX_STATES, MAX_SCALAR_STATES, MAX_HYPERS, MAX_SCALARS = 5, 2, 16, 24
"""The most states of a rule, arrays and scalars, its most numbers and flags, and the most scalars that its elements use."""

MAX_WHOLE = 2**53
"""Whole numbers of rules are smaller, so that float64 and the integers of all languages have them."""

MAX_NESTING = 64
"""The most operations within operations, as the terms of a long sum are: within the limits of recursion and of compilers."""

WORDS = {
    "fma": 3, "sqrt": 1, "abs": 1, "sign": 1, "minimum": 2, "maximum": 2, "isfinite": 1, "norm": 1, "mean": 1, "count": 1,
}  # fmt: skip
"""Words and their number of arguments."""

ALLOWED = f"assignments, one return, + - * / **, comparisons, and, or, not, x if c else y, n, {', '.join(WORDS)}"

_OPERATORS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
_COMPARISONS = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne"}


def source_of(function: Callable[..., Any]) -> ast.FunctionDef:
    """The definition of a function."""
    try:
        text, _ = inspect.getsourcelines(function)
    except (OSError, TypeError):
        name = getattr(function, "__name__", "?")
        raise RuleError(
            f"rule {name}: its source cannot be read: define it in a file or a notebook, or pass the text of the function"
        ) from None
    return definition_in(function.__name__, "".join(text))


def definition_in(name: str, text: str) -> ast.FunctionDef:
    """The only function defined in a text."""
    try:
        tree = ast.parse(textwrap.dedent(text))
    except SyntaxError as error:
        raise RuleError(f"rule {name}, line {error.lineno}: {error.msg}") from None
    except (RecursionError, MemoryError):  # of Python, beyond some thousands of terms
        raise RuleError(f"rule {name}: an expression {_TOO_DEEP}") from None
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef):
        raise RuleError(f"rule {name}: expected the text of one function")
    definition = tree.body[0]
    _check_nesting(definition.name, definition)
    return definition


_TOO_DEEP = f"nests more than {MAX_NESTING} operations, of which each term of a sum is one: give names to parts of it"


def _check_nesting(name: str, definition: ast.FunctionDef) -> None:
    """Raise for expressions that are too deep for functions that call themselves for each operation within another one."""
    left: list[tuple[ast.AST, int, int]] = [(definition, 0, definition.lineno)]
    while left:
        node, depth, line = left.pop()
        line = getattr(node, "lineno", line)
        if depth > MAX_NESTING + 1:  # names and numbers are expressions, too
            raise RuleError(f"rule {name}, line {line - definition.lineno + 1}: an expression {_TOO_DEEP}")
        # `a and b and c` is one node, and two operations.
        depth += len(node.values) - 1 if isinstance(node, ast.BoolOp) else isinstance(node, ast.expr)
        left.extend((one, depth, line) for one in ast.iter_child_nodes(node))


def function_of(text: str) -> Callable[..., Any]:
    """The function that a text defines. Running the text defines it; its body is not run."""
    definition = definition_in("text", text)
    if definition.decorator_list:
        raise RuleError(f"rule {definition.name}: must have no decorators where it is handed over as text")
    for one in (*definition.args.defaults, *definition.args.kw_defaults):
        if one is None:  # no default
            continue
        try:
            ast.literal_eval(one)
        except ValueError:
            raise RuleError(f"rule {definition.name}: `{ast.unparse(one)}` is not a number, True or False") from None
    for argument in (*definition.args.posonlyargs, *definition.args.args, *definition.args.kwonlyargs):
        argument.annotation = None
    definition.returns = None
    scope: dict[str, Any] = {}
    try:
        code = compile(ast.Module([definition], []), f"<rule {definition.name}>", "exec")
    except SyntaxError as error:  # two arguments of one name
        raise RuleError(f"rule {definition.name}: {error.msg}") from None
    exec(code, scope)
    made: Callable[..., Any] = scope[definition.name]
    return made


def named(names: dict[str, Node], name: str, value: Node) -> Node:
    """The value under a name, which gets a number if there is another value of that name."""
    unique, k = name, 1
    while unique in names:
        k += 1
        unique = f"{name}{k}"
    made = names[unique] = Node("name", value.kind, (value,), unique)
    return made


def _has_square(node: Node) -> bool:
    """Whether a square is written out in an expression."""
    if node.op == "mul" and node.args[0] is node.args[1] and node.args[0].args:
        return node.args[0].op != "name"
    return node.op != "name" and any(map(_has_square, node.args))


_RENAME = "give the value another name"


class Callee(Protocol):
    """A function of the language that a rule calls."""

    @property
    def definition(self) -> ast.FunctionDef:
        """Its source."""
        ...

    @property
    def parts(self) -> Mapping[str, Callee]:
        """The functions that it may call."""
        ...


class Reader:
    """Reads one function: a rule, or a part that a rule calls."""

    def __init__(self, rule: str, definition: ast.FunctionDef, parts: Mapping[str, Callee], names: dict[str, Node]) -> None:
        self.rule, self.definition, self.parts, self.names = rule, definition, parts, names
        self.values: dict[str, Node] = {}
        self.fixed: set[str] = set()

    def fail(self, node: ast.AST, problem: str) -> RuleError:
        """An error that names the rule, the line and its text."""
        line = getattr(node, "lineno", self.definition.lineno) - self.definition.lineno + 1
        text = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
        quoted = f" `{text if len(text) <= 60 else text[:57] + '...'}`" if text else ""
        return RuleError(f"rule {self.rule}, line {line}:{quoted} {problem}")

    def run(self, arguments: Mapping[str, Node]) -> tuple[Node, ...]:
        """The values that the function returns for these arguments."""
        self.values = dict(arguments)
        self._check_words()
        *body, last = self._statements()
        for statement in body:
            self._assign(statement)
        if not isinstance(last, ast.Return) or last.value is None:
            raise self.fail(last, "must be a return of values: a rule ends with one")
        returned = last.value.elts if isinstance(last.value, ast.Tuple) else [last.value]
        return tuple(self._whole(one) for one in returned)

    def _check_words(self) -> None:
        """Python, which runs the function for `lrkern.rules.check`, has one meaning for a name."""
        nodes = [*ast.walk(self.definition)]
        called = {one.func.id for one in nodes if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)}
        for one in nodes:
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store) and one.id in called:
                raise self.fail(one, f"is the name of a value and of a word that the rule calls: {_RENAME}")
            if isinstance(one, ast.arg) and one.arg in called:
                raise RuleError(f"rule {self.rule}: {one.arg} is an argument and a word that the rule calls: {_RENAME}")

    def _statements(self) -> list[ast.stmt]:
        body = self.definition.body
        first = body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            body = body[1:]
        if not body:
            raise self.fail(self.definition, "has no body: it must return the new parameter and states")
        return body

    def _assign(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Return):
            raise self.fail(statement, "is not the last statement: a rule has one return, at its end")
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            raise self.fail(statement, f"is not allowed: a rule consists of {ALLOWED}")
        target = statement.targets[0]
        targets = target.elts if isinstance(target, ast.Tuple) else [target]
        given = statement.value.elts if isinstance(statement.value, ast.Tuple) else [statement.value]
        if len(targets) != len(given):
            raise self.fail(statement, f"assigns {len(given)} values to {len(targets)} names")
        for one in targets:
            if not isinstance(one, ast.Name):
                raise self.fail(statement, "must assign to names")
            if one.id in self.fixed:
                raise self.fail(statement, f"overwrites {one.id}: give the new value another name")
        for one, value in zip(targets, [self._whole(value) for value in given], strict=True):
            assert isinstance(one, ast.Name)
            self.values[one.id] = self._named(one.id, value)

    def _whole(self, node: ast.expr) -> Node:
        """The value of an expression that is not within another one."""
        value = self.read(node)
        if value.depth > MAX_NESTING:
            raise self.fail(node, f"with the parts that it calls {_TOO_DEEP}")
        return value

    def _named(self, name: str, value: Node) -> Node:
        if bare(value).op in ("constant", "input"):
            return value
        return named(self.names, name, value)

    # ------------------------------------------------------------------------------------------------------ expressions

    def read(self, node: ast.expr) -> Node:
        """The value of an expression."""
        match node:
            case ast.Constant(value=bool(flag)):
                return Node("constant", FLAG, (), flag)
            case ast.Constant(value=int(whole)):
                if whole >= MAX_WHOLE:
                    raise self.fail(node, "must be below 2**53, as whole numbers are; write 1e16 for 10**16")
                return Node("constant", WHOLE, (), whole)
            case ast.Constant(value=float(real)):
                if not isfinite(real):
                    raise self.fail(node, "is beyond the largest float64: constants of rules are finite")
                return Node("constant", SCALAR, (), real)
            case ast.Name(id=name):
                if name not in self.values:
                    raise self.fail(node, f"is not known; known names are {', '.join(self.values)}")
                return self.values[name]
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self._power(node, self.number(left), right)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                return self._arithmetic(_OPERATORS[type(operator)], self.number(left), self.number(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self.number(operand)
                if value.op == "constant":
                    return Node("constant", value.kind, (), -value.value)
                return Node("neg", value.kind, (value,))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = self.condition(operand)
                return Node("not", value.kind, (value,))
            case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _COMPARISONS:
                a, b = self.number(left), self.number(right)
                return Node(_COMPARISONS[type(operator)], MASK if a.of_elements or b.of_elements else FLAG, (a, b))
            case ast.BoolOp(op=operator, values=values):
                result = self.condition(values[0])
                for one in values[1:]:
                    other = self.condition(one)
                    kind = MASK if result.of_elements or other.of_elements else FLAG
                    result = Node("and" if isinstance(operator, ast.And) else "or", kind, (result, other))
                return result
            case ast.IfExp(test=test, body=body, orelse=other):
                return self._select(node, self.condition(test), self.read(body), self.read(other))
            case ast.Call():
                return self._call(node)
        raise self.fail(node, f"is not allowed: a rule consists of {ALLOWED}")

    def number(self, node: ast.expr) -> Node:
        """A value that is a number."""
        value = self.read(node)
        if value.kind in (FLAG, MASK):
            raise self.fail(node, "is a condition where a number is needed: write `1.0 if c else 0.0`")
        return value

    def condition(self, node: ast.expr) -> Node:
        """A value that is a condition."""
        value = self.read(node)
        if value.kind not in (FLAG, MASK):
            raise self.fail(node, "is a number where a condition is needed: compare it with something")
        return value

    @staticmethod
    def _common(*values: Node) -> str:
        kinds = {one.kind for one in values}
        return ELEMENT if ELEMENT in kinds else SCALAR if SCALAR in kinds else WHOLE

    def _arithmetic(self, op: str, a: Node, b: Node) -> Node:
        kind = self._common(a, b)
        if op == "div" and kind == WHOLE:
            kind = SCALAR
        power = bare(b)
        if op == "sub" and power.op == "power" and bare(a).op == "constant" and bare(a).value == 1:
            return Node("one_minus_power", SCALAR, power.args)
        return Node(op, kind, (a, b))

    def _power(self, node: ast.BinOp, base: Node, right: ast.expr) -> Node:
        exponent = self.number(right)
        if bare(exponent).op == "constant" and bare(exponent).value == 2:
            # Squares are written as products: one within another one gets a name, or each would double the text.
            base = named(self.names, "square", base) if _has_square(base) else base
            return Node("mul", base.kind, (base, base))
        if bare(exponent).op == "constant" and bare(exponent).value == 0.5:
            return Node("sqrt", SCALAR if base.kind == WHOLE else base.kind, (base,))
        if base.of_elements or exponent.of_elements:
            raise self.fail(node, "is not allowed: of elements, `x ** 2` and `x ** 0.5` are; of scalars, all powers")
        return Node("power" if exponent.kind == WHOLE else "real_power", SCALAR, (base, exponent))

    def _select(self, node: ast.expr, test: Node, a: Node, b: Node) -> Node:
        conditions = [one.kind in (FLAG, MASK) for one in (a, b)]
        if conditions[0] != conditions[1]:
            raise self.fail(node, "chooses between a number and a condition")
        if conditions[0]:
            return Node("select", MASK if MASK in (a.kind, b.kind, test.kind) else FLAG, (test, a, b))
        return Node("select", ELEMENT if test.kind == MASK else self._common(a, b), (test, a, b))

    def _call(self, node: ast.Call) -> Node:
        if not isinstance(node.func, ast.Name) or node.keywords or any(isinstance(one, ast.Starred) for one in node.args):
            raise self.fail(node, f"is not allowed: calls are those of {', '.join(WORDS)}, without keywords")
        name = node.func.id
        if name in self.parts and name not in WORDS:
            return self._call_part(node, name)
        if name not in WORDS:
            raise self.fail(node, f"calls {name}: a rule may call {', '.join(WORDS)}")
        if len(node.args) != WORDS[name]:
            raise self.fail(node, f"has {len(node.args)} arguments; {name} takes {WORDS[name]}")
        if name in ("norm", "mean", "count"):
            return self._of_tensor(node, name, self.read(node.args[0]))
        args = tuple(self.number(one) for one in node.args)
        if name == "isfinite":
            return Node(name, MASK if args[0].of_elements else FLAG, args)
        kind = self._common(*args)
        return Node(name, SCALAR if kind == WHOLE and name in ("sqrt", "fma") else kind, args)

    def _of_tensor(self, node: ast.Call, name: str, value: Node) -> Node:
        """A scalar made of all elements of a tensor."""
        if not value.of_elements:
            raise self.fail(node, f"takes the {name} of a scalar: {name} is of elements")
        if name == "count" and value.kind != MASK:
            raise self.fail(node, "counts numbers: count is of a condition on elements")
        if name == "norm" and value.kind == MASK:
            raise self.fail(node, "takes the norm of a condition: count says how many elements fulfil it")
        if value.kind == MASK:
            value = Node("select", ELEMENT, (value, Node("constant", WHOLE, (), 1), Node("constant", WHOLE, (), 0)))
        if name == "norm":
            return Node("norm", SCALAR, (value,))
        total = Node("sum", SCALAR, (value,))
        return total if name == "count" else Node("div", SCALAR, (total, Node("size", SCALAR)))

    def _argument(self, name: str, value: Node) -> Node:
        """An argument of a part, named after it for the sake of readers of generated code."""
        return value if value.op in ("constant", "input", "name") else named(self.names, name, value)

    def _call_part(self, node: ast.Call, name: str) -> Node:
        callee = self.parts[name]
        names = [one.arg for one in callee.definition.args.args]
        if len(node.args) != len(names):
            raise self.fail(node, f"has {len(node.args)} arguments; {name} takes {len(names)}")
        inner = Reader(f"{self.rule} ({name})", callee.definition, callee.parts, self.names)
        if inner.rule.count(" (") > MAX_NESTING:
            rule = self.rule.partition(" ")[0]
            raise RuleError(f"rule {rule}: {name} calls itself, or parts nest more than {MAX_NESTING} deep")
        values = inner.run({name: self._argument(name, self.read(one)) for name, one in zip(names, node.args, strict=True)})
        if len(values) != 1:
            raise self.fail(node, f"{name} must return one value")
        return values[0]


_ROLES = {"p": "the parameter", "g": "the gradient", "n": "the number of the update"}


def read_rule(
    name: str,
    states: tuple[str, ...],
    scalar_states: tuple[str, ...],
    definition: ast.FunctionDef,
    parts: Mapping[str, Callee],
    hypers: tuple[Hyper, ...],
) -> Program:
    """The program of a rule."""
    names: dict[str, Node] = {}
    reader = Reader(name, definition, parts, names)
    arguments = [one.arg for one in definition.args.args]
    for what, most, given in (("states", MAX_STATES, states), ("scalars", MAX_SCALAR_STATES, scalar_states)):
        if len(given) > most:
            raise RuleError(f"rule {name}: at most {most} {what}; got {len(given)}")
    kept = (*states, *scalar_states)
    if len(arguments) != 2 + len(kept):
        raise RuleError(
            f"rule {name}: the arguments before * must be a parameter, a gradient and {len(kept)} states"
            f" ({', '.join(kept) or 'none'}); got {', '.join(arguments)}"
        )
    if "n" in arguments:
        raise RuleError(f"rule {name}: n is {_ROLES['n']}, not an argument: {_RENAME}")
    for given_name in (*kept, *(hyper.name for hyper in hypers)):
        if given_name in _ROLES:
            raise RuleError(f"rule {name}: {given_name} is {_ROLES[given_name]}, which has this name in formulas: {_RENAME}")
    for hyper in hypers:
        if hyper.name.startswith("_"):  # fields of tuples cannot
            raise RuleError(f"rule {name}: {hyper.name} must have a name that does not begin with _")
    if len({*kept}) < len(kept):
        raise RuleError(f"rule {name}: states must have different names; got {', '.join(kept)}")
    roles = zip(arguments, ("p", "g", *kept), strict=True)
    values = {argument: Node("input", SCALAR if role in scalar_states else ELEMENT, (), role) for argument, role in roles}
    values |= {one.name: Node("input", FLAG if one.is_flag else SCALAR, (), one.name) for one in hypers}
    values["n"] = Node("input", WHOLE, (), "n")
    reader.fixed = {arguments[1], "n", *(one.name for one in hypers)}
    returned = reader.run(values)
    if len(returned) != 1 + len(kept):
        raise RuleError(
            f"rule {name}: must return {1 + len(kept)} values, the new parameter"
            f"{''.join(', ' + one for one in kept)}; it returns {len(returned)}"
        )
    for what, one in zip(("the parameter", *kept), returned, strict=True):
        if one.kind in (FLAG, MASK):
            raise RuleError(f"rule {name}: returns a condition as {what}; a number is needed")
        if what in scalar_states and one.of_elements:
            raise RuleError(f"rule {name}: returns elements as {what}, which is a scalar of the tensor")
    new_states, new_scalars = returned[1 : 1 + len(states)], returned[1 + len(states) :]
    return Program(name, states, hypers, returned[0], new_states, scalar_states, new_scalars, tuple(names.values()))
