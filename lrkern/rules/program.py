"""What a rule says, as a graph: nodes are operations on elements or scalars, in the order they were written."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

WHOLE, SCALAR, FLAG, ELEMENT, MASK = "whole", "scalar", "flag", "element", "mask"
"""Kinds of values: an integer, a float64, a condition on these; a number in T for each element, a condition on these."""

OF_ELEMENTS = (ELEMENT, MASK)


@dataclass(frozen=True, eq=False)
class Node:
    """One operation. Nodes are compared by identity; `key` compares what they compute."""

    op: str
    """One of "constant", "input", "name", and the operations: see `reader`."""
    kind: str
    args: tuple[Node, ...] = ()
    value: Any = None
    """Of a constant its value, of an input its name, of a name the name: its only argument is what it names."""

    @cached_property
    def key(self) -> Any:
        """Equal for nodes that compute the same from the same inputs."""
        if self.op == "name":
            return self.args[0].key
        return self.op, self.value, tuple(one.key for one in self.args)

    @property
    def of_elements(self) -> bool:
        """Whether it has a value for each element."""
        return self.kind in OF_ELEMENTS


def bare(node: Node) -> Node:
    """The node itself, not one of its names."""
    while node.op == "name":
        node = node.args[0]
    return node


@dataclass(frozen=True)
class Hyper:
    """A keyword-only argument of a rule: a number, or a flag."""

    name: str
    default: Any
    """`inspect.Parameter.empty` if it must be given."""
    is_flag: bool


@dataclass(frozen=True)
class Program:
    """A rule that has been read."""

    name: str
    states: tuple[str, ...]
    hypers: tuple[Hyper, ...]
    param: Node
    """The new parameter."""
    new_states: tuple[Node, ...]
    scalar_states: tuple[str, ...] = ()
    """Numbers, float64, that each tensor keeps from one update to the next."""
    new_scalar_states: tuple[Node, ...] = ()
    names: tuple[Node, ...] = field(default=())
    """All named values, in the order of their assignments."""
