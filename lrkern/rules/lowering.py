"""Divides a rule into what is computed once per step, in float64, and what is computed for each element, in T.

A *coef* is the largest scalar part of an expression on elements: it is computed in float64 and rounded once to T. A condition
on scalars that selects between elements compares coefs, in T, or, if it has a name, is decided in float64. It is the same for
all elements, and kernels evaluate it once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from operator import eq, ge, gt, le, lt, ne

from lrkern.rules.errors import RuleError
from lrkern.rules.program import FLAG, SCALAR, WHOLE, Hyper, Node, Program, bare

_SYMBOLS = {
    "add": "plus", "sub": "minus", "mul": "times", "div": "over", "neg": "minus", "lt": "below", "le": "at_most",
    "gt": "above", "ge": "at_least", "eq": "is", "ne": "is_not",
}  # fmt: skip
_COMPARISONS: dict[str, Callable[..., bool]] = {"lt": lt, "le": le, "gt": gt, "ge": ge, "eq": eq, "ne": ne}
MEASURES = ("norm", "sum")
"""Operations that need a pass over the tensor."""
LONGEST = 28  # characters of a name that is made from an expression


@dataclass(frozen=True)
class Parts:
    """A rule, divided. Lists of names are in the order of their assignments, without those that are not needed."""

    name: str
    states: tuple[str, ...]
    """Those that the rule uses, in order."""
    hypers: tuple[Hyper, ...]
    """The inputs of a step, in order."""
    scalars: tuple[Node, ...]
    """Named scalars."""
    coefs: tuple[tuple[str, Node], ...]
    conditions: tuple[tuple[str, Node], ...]
    """Named conditions on scalars that the elements need."""
    elements: tuple[Node, ...]
    """Named elements of the update."""
    param: Node
    new_states: tuple[Node, ...]
    scalar_states: tuple[str, ...]
    new_scalar_states: tuple[Node, ...]
    scalars_of_states: tuple[Node, ...]
    """Named scalars that the new scalar states need."""
    measured: Node | None
    """The elements whose norm or sum the rule needs, besides the norm of the parameter."""
    measured_elements: tuple[Node, ...]
    measures_sum: bool
    """Whether it needs their sum, not their norm."""

    @property
    def needs_norms(self) -> bool:
        """Whether the rule needs a pass over the tensor before the update."""
        return self.measured is not None

    def coef_of(self, node: Node) -> str:
        """The coef that a scalar within an expression on elements is."""
        return next(name for name, one in self.coefs if one.key == node.key)

    def condition_of(self, node: Node) -> str:
        """The name of a condition on scalars within an expression on elements."""
        return next(name for name, one in self.conditions if one.key == node.key)


def fixed(program: Program, flags: Mapping[str, bool], without: Collection[str] = ()) -> Program:
    """The program with some flags set, and without what they exclude, the arguments in `without` included."""
    done: dict[int, Node] = {}

    def visit(node: Node) -> Node:
        if id(node) not in done:
            done[id(node)] = _rebuilt(node, visit, flags)
        return done[id(node)]

    names = [visit(one) for one in program.names]  # in order, so that no chain of them is too long for a recursive function
    param, new_states = visit(program.param), [visit(one) for one in program.new_states]
    new_scalars = [visit(one) for one in program.new_scalar_states]
    kept = [k for k, one in enumerate(new_states) if not _is_input(one, program.states[k])]
    roots = (param, *(new_states[k] for k in kept), *new_scalars)
    used = {one.value for one in reachable(*roots) if one.op == "input"}
    # Without flags to fix there is one variant, and a step hands over all its states.
    kept = [k for k, state in enumerate(program.states) if not flags or k in kept or state in used]
    return replace(
        program,
        states=tuple(program.states[k] for k in kept),
        hypers=tuple(one for one in program.hypers if one.name not in flags and one.name not in without),
        param=param,
        new_states=tuple(new_states[k] for k in kept),
        new_scalar_states=tuple(new_scalars),
        names=tuple({id(one): one for one in names if one.op == "name"}.values()),
    )


def _is_input(node: Node, name: str) -> bool:
    return bare(node).op == "input" and bare(node).value == name


def _rebuilt(node: Node, visit: Callable[[Node], Node], flags: Mapping[str, bool]) -> Node:
    if node.op == "input" and node.value in flags:
        value = bool(flags[node.value])
        return Node("constant", node.kind, (), value if node.kind == FLAG else int(value))  # "n": True is the first update
    args = tuple(visit(one) for one in node.args)
    known = [bare(one).value if bare(one).op == "constant" else None for one in args]
    match node.op:
        case "name" if bare(args[0]).op in ("constant", "input"):
            return bare(args[0])
        case "name" if args[0].op == "name":  # two names of one value
            return args[0]
        case "select" if known[0] is not None:
            return args[1] if known[0] else args[2]
        case "not" if known[0] is not None:
            return Node("constant", FLAG, (), not known[0])
        case "and" | "or" if known[0] is not None or known[1] is not None:
            first = 0 if known[0] is not None else 1
            decides = known[first] == (node.op == "or")
            return args[first] if decides else args[1 - first]
        case op if op in _COMPARISONS and None not in known:
            return Node("constant", FLAG, (), _COMPARISONS[op](*known))
    return node if all(a is b for a, b in zip(args, node.args, strict=True)) else replace(node, args=args)


def reachable(*roots: Node) -> Iterable[Node]:
    """Nodes and what they are made of, each once, before its arguments."""
    found: dict[int, Node] = {}
    left = [*reversed(roots)]
    while left:
        node = left.pop()
        if id(node) not in found:
            found[id(node)] = node
            left.extend(reversed(node.args))
    return found.values()


def _all_of(program: Program) -> Iterable[Node]:
    return reachable(program.param, *program.new_states, *program.new_scalar_states)


class _Names:
    """Names for coefs and conditions: each once, made from the expressions."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken)

    def of(self, node: Node, stem: str) -> str:
        words = _in_words(node).strip("_")
        words = words if words.isidentifier() else stem
        name = words if len(words) <= LONGEST else stem
        k = 1
        while name in self.taken:
            k += 1
            name = f"{words if len(words) <= LONGEST else stem}{k}"
        self.taken.add(name)
        return name


def _in_words(node: Node) -> str:
    match node.op:
        case "name" | "input":
            return str(node.value)
        case "constant":
            return "one" if node.value == 1 else str(node.value).replace(".", "_").replace("-", "minus_").replace("+", "")
        case "neg" | "not":
            return f"{'minus' if node.op == 'neg' else 'not'}_{_in_words(node.args[0])}"
        case op if op in _SYMBOLS:
            return f"{_in_words(node.args[0])}_{_SYMBOLS[op]}_{_in_words(node.args[1])}"
    return f"{node.op}_{'_'.join(_in_words(one) for one in node.args)}"


def divided(program: Program) -> Parts:
    """The parts of a program."""
    norms = _measures_of(program)
    measured = norms[0].args[0] if norms else None
    if measured is None:
        # A pass that measures computes the norm of the parameter, too.
        measured = next((one.args[0] for one in _all_of(program) if is_norm_of_param(one)), None)
    roots = [program.param, *program.new_states]
    of_elements = {str(one.value) for one in program.names if one.of_elements}
    names = _Names([*(str(one.value) for one in program.names), *(one.name for one in program.hypers), *program.scalar_states])
    coefs: dict[object, tuple[str, Node]] = {}
    conditions: dict[object, tuple[str, Node]] = {}
    seen: set[int] = set()

    def name_of(node: Node, stem: str, taken: Collection[str]) -> str:
        own = str(node.value) if node.op in ("name", "input") else "_"
        # Names of fields begin with no _; a name within a part may be that of a number of the rule.
        return names.of(node, stem) if own.startswith("_") or own in taken else own

    def note_scalar(node: Node) -> None:
        inner = bare(node)
        if inner.op != "constant" and node.key not in coefs:
            coefs[node.key] = name_of(node, f"coef{len(coefs) + 1}", [name for name, _ in coefs.values()]), node

    def note_condition(node: Node) -> None:
        if node.key not in conditions:
            conditions[node.key] = name_of(node, f"condition{len(conditions) + 1}", of_elements), node
        if node.op in ("name", "input"):  # decided in float64
            note_scalar(node)
        else:
            note_leaves(node)

    def note_leaves(node: Node) -> None:
        if node.kind in (SCALAR, WHOLE) or node.op in ("name", "input"):
            note_scalar(node)
            return
        for one in node.args:
            note_leaves(one)

    left = [*reversed([*roots, *([measured] if measured is not None else [])])]
    while left:  # each node before its arguments
        node = left.pop()
        if node.kind == FLAG and node.op == "constant":
            continue
        if node.kind == FLAG:
            note_condition(node)
        elif not node.of_elements:
            note_scalar(node)
        elif id(node) not in seen:
            seen.add(id(node))
            left.extend(reversed(node.args))
    needed = {id(one) for one in reachable(*(node for _, node in coefs.values()))}
    lasting = {id(one) for one in reachable(*program.new_scalar_states)}
    in_update = {id(one) for one in reachable(*roots)}
    in_measure = {id(one) for one in reachable(measured)} if measured is not None else set()
    return Parts(
        program.name,
        program.states,
        program.hypers,
        tuple(one for one in program.names if not one.of_elements and id(one) in needed),
        tuple(coefs.values()),
        tuple(conditions.values()),
        tuple(one for one in program.names if one.of_elements and id(one) in in_update),
        program.param,
        program.new_states,
        program.scalar_states,
        program.new_scalar_states,
        tuple(one for one in program.names if not one.of_elements and id(one) in lasting),
        measured,
        tuple(one for one in program.names if one.of_elements and id(one) in in_measure),
        bool(norms) and norms[0].op == "sum",
    )


def is_norm_of_param(node: Node) -> bool:
    """Whether a node is norm(p), p the parameter before the step."""
    return node.op == "norm" and _is_input(node.args[0], "p")


def _measures_of(program: Program) -> list[Node]:
    """The norms and sums other than the norm of the parameter: at most one."""
    found: dict[object, Node] = {}
    for one in _all_of(program):
        if one.op in MEASURES and not is_norm_of_param(one):
            found[one.key] = one
    if len(found) > 1:
        wanted = "at most one norm, mean or count is possible besides the norm of the parameter"
        raise RuleError(f"rule {program.name}: {wanted}; got {len(found)}")
    for one in found.values():
        if any(inner.op in MEASURES for inner in reachable(one.args[0])):
            raise RuleError(f"rule {program.name}: takes a norm, mean or count of something that depends on another one")
    return list(found.values())


def uses(program: Program, name: str) -> bool:
    """Whether an input has an effect."""
    return depends((program.param, *program.new_states, *program.new_scalar_states), name)


def depends(roots: Iterable[Node], name: str) -> bool:
    """Whether an input has an effect on one of these."""
    return any(one.op == "input" and one.value == name for one in reachable(*roots))


def needs_measure(node: Node) -> bool:
    """Whether a value depends on a norm, mean or count."""
    return any(one.op in MEASURES for one in reachable(node))
