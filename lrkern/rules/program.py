"""What a rule says, as a graph: nodes are operations on elements or scalars, in the order they were written."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
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

    key: bytes = field(init=False)
    """Equal for nodes that compute the same from the same inputs."""
    depth: int = field(init=False)
    """How many operations are nested in it; what has a name is none."""

    def __post_init__(self) -> None:
        # A digest of those of the arguments: names may share so much that what they stand for cannot be written out.
        if self.op == "name":
            key, depth = self.args[0].key, 0
        else:
            value = float(self.value) if self.op == "constant" else self.value  # 0.0 is not -0.0
            text = f"{self.op} {value!r} ".encode()
            key = blake2b(b"".join((text, *(one.key for one in self.args))), digest_size=16).digest()
            depth = 1 + max((one.depth for one in self.args), default=-1)
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "depth", depth)

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
