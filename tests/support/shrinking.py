"""Shrinks a failing expression: replaces it by its parts, and constants by simpler ones, while it still fails."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

PLAIN = [0, 1, -1, 2, 10, 100, 1000]


def is_schedule(node: ast.AST) -> bool:
    """A call, or an operation on a schedule (not the sign of a number, nor 2**53)."""
    if isinstance(node, ast.Call):
        return True
    if isinstance(node, ast.BinOp):
        return is_schedule(node.left) or is_schedule(node.right)
    return isinstance(node, ast.UnaryOp) and is_schedule(node.operand)


def parts(node: ast.AST) -> Iterator[ast.AST]:
    """The schedules in a schedule's arguments."""
    for child in ast.iter_child_nodes(node):
        if is_schedule(child):
            yield child
        else:
            yield from parts(child)


def number(node: ast.AST) -> float | int | None:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = number(node.operand)
        return None if inner is None else -inner
    return None


def plainer(x: float | int) -> Iterator[float | int]:
    """Replacements for a number, the simplest first."""
    if isinstance(x, int):
        yield from (n for n in PLAIN if abs(n) < abs(x) or (n >= 0 > x and abs(n) == abs(x)))
        if abs(x) > 10:
            for near in (10 ** (len(str(abs(x))) - 1), 2 ** (abs(x).bit_length() - 1), abs(x) // 2, abs(x) - 1):
                yield near if x > 0 else -near
        return
    if x not in PLAIN:
        yield from (float(n) for n in PLAIN[:4])
        yield from (y for digits in (1, 2, 3, 6) if (y := float(f"{x:.{digits}g}")) != x)
    elif x not in (0, 1):
        yield from (0.0, 1.0)


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Every (parent, field, index, child)."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, list):
                yield from ((parent, field, i, child) for i, child in enumerate(value) if isinstance(child, ast.AST))
            elif isinstance(value, ast.AST):
                yield parent, field, None, value


def replacements(node: ast.AST) -> Iterator[ast.AST]:
    if is_schedule(node):
        yield from parts(node)
        yield ast.parse("constant(1.0)", mode="eval").body
        if isinstance(node, ast.Call):
            for i in range(len(node.args), 0, -1):  # arguments that have defaults
                shorter = copy.copy(node)
                shorter.args = node.args[: i - 1]
                yield shorter
                break
        return
    x = number(node)
    if x is not None:
        yield from (ast.parse(repr(y), mode="eval").body for y in plainer(x))
    elif isinstance(node, ast.List):
        for i in range(len(node.elts)):
            yield ast.List(node.elts[:i] + node.elts[i + 1 :], node.ctx)


def candidates(text: str) -> Iterator[str]:
    """Simpler texts, the most drastic ones first."""
    tree = ast.parse(text, mode="eval")
    found = []
    for parent, field, index, child in places(tree):
        if isinstance(parent, ast.UnaryOp) and number(parent) is not None:
            continue
        for other in replacements(child):
            value = getattr(parent, field)
            if index is None:
                setattr(parent, field, other)
            else:
                value[index] = other
            found.append(ast.unparse(tree))
            if index is None:
                setattr(parent, field, child)
            else:
                value[index] = child
    return iter(sorted(dict.fromkeys(found), key=len))


def still(fails: Callable[[str], bool], text: str) -> bool:
    try:
        return fails(text)
    except Exception:  # invalid, or no longer a schedule
        return False


def shrink(text: str, fails: Callable[[str], bool], tries: int = 400) -> str:
    """The simplest text found for which `fails` still holds, within a number of tries."""
    seen = {text}
    progress = True
    while progress and tries > 0:
        progress = False
        for candidate in candidates(text):
            if candidate in seen or tries <= 0:
                continue
            seen.add(candidate)
            tries -= 1
            if still(fails, candidate):
                text, progress = candidate, True
                break
    return text
