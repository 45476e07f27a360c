"""`parse` and text that is hostile, broken or large: the right error, quickly, and nothing is called."""

from __future__ import annotations

import inspect
import sys
import time

import numpy as np
import pytest
from refusal import PATIENCE

import lrkern as lk
from lrkern import _core

HOSTILE = {
    "empty": "",
    "blank": "   \n",
    "no call": "cosine",
    "a string": "'cosine(0.1, 0.0, 10)'",
    "nothing": "None",
    "a list": "[constant(1.0)]",
    "a tuple": "constant(1.0), constant(2.0)",
    "two lines": "constant(1.0)\nconstant(2.0)",
    "a statement": "x = constant(1.0)",
    "an import": "import os",
    "dunder import": "__import__('os').system('true')",
    "eval": "eval('1')",
    "open": "open('/etc/passwd')",
    "print": "print(1)",
    "exec": "exec('x = 1')",
    "getattr": "getattr(constant(1.0), 'table')",
    "unknown curve": "cosinus(0.1, 0.0, 10)",
    "a class": "Schedule()",
    "parse in parse": "parse('constant(1.0)')",
    "tables": "tables([constant(1.0)], 10)",
    "set_threads": "set_threads(1)",
    "use_isa": "use_isa('scalar')",
    "info": "info()",
    "SGD": "SGD([], 0.1)",
    "attribute": "constant(1.0).steps",
    "class attribute": "constant(1.0).__class__",
    "mro": "constant(1.0).__class__.__mro__[1].__subclasses__()",
    "dunder call": "constant(1.0).__reduce__()",
    "method off the list": "constant(1.0).table(10)",
    "plan": "constant(1.0).plan()",
    "plot": "constant(1.0).plot()",
    "private": "constant(1.0)._plan",
    "calling a schedule": "constant(1.0)(3)",
    "attribute of a name": "os.system('true')",
    "attribute of a number": "(1.0).hex()",
    "attribute of a string": "'a'.upper()",
    "lambda": "(lambda: constant(1.0))()",
    "lambda argument": "from_function(lambda t: t, 10)",
    "from_function": "from_function(float, 10)",
    "list comprehension": "join([constant(1.0) for _ in range(10)], [])",
    "generator": "from_table(x for x in [1.0])",
    "dict": "constant({})",
    "set": "constant({1.0})",
    "f-string": "constant(f'{1}')",
    "walrus": "constant(x := 1.0)",
    "conditional": "constant(1.0) if 1 else constant(2.0)",
    "boolean": "constant(1.0) or constant(2.0)",
    "comparison": "constant(1.0) < constant(2.0)",
    "subscript": "[constant(1.0)][0]",
    "slice": "from_table([1.0, 2.0][0:1])",
    "star": "constant(*[1.0])",
    "double star": "constant(**{'value': 1.0})",
    "star in a list": "from_table([*[1.0]])",
    "await": "await constant(1.0)",
    "yield": "(yield)",
    "power": "constant(9**9**9)",
    "shift": "constant(1 << 10**9)",
    "string times number": "constant('a' * 10**9)",
    "list times number": "from_table([1.0] * 10**9)",
    "modulo": "constant(1.0) % 3",
    "floor division": "constant(1.0) // 3",
    "matrix product": "constant(1.0) @ constant(1.0)",
    "invert": "~constant(1.0)",
    "not": "not constant(1.0)",
    "huge int": "constant(" + "9" * 100_000 + ")",
    "huge int steps": "linear(0.1, 0.0, " + "9" * 4000 + ")",
    "overflowing float": "constant(1e999)",
    "minus overflowing float": "constant(-1e999)",
    "nan by name": "constant(nan)",
    "inf by name": "constant(inf)",
    "complex": "constant(1j)",
    "bool": "constant(True)",
    "bytes": "constant(b'1')",
    "ellipsis": "constant(...)",
    "string argument": "constant('1.0')",
    "wrong count": "cosine(0.1, 0.0, 2.5)",
    "negative count": "cosine(0.1, 0.0, -3)",
    "too many": "constant(1.0, 2.0)",
    "too few": "cosine(0.1)",
    "unknown keyword": "constant(val=1.0)",
    "same keyword twice": "constant(value=1.0, value=2.0)",
    "positional and keyword": "constant(1.0, value=2.0)",
    "dunder keyword": "constant(1.0, __class__=3)",
    "self keyword": "constant(1.0).shift(self=3, n=1)",
    "nul": "constant(1.0)\0",
    "open bracket": "constant(1.0",
    "garbage": "!!$%&",
    "surrogate": "constant(1.0)\ud800",
    "look-alike letters": "c\u043enstant(1.0)",
    "comment and newline": "constant(1.0) # fine?\n, 3",
    "deep brackets": "(" * 10_000 + "constant(1.0)" + ")" * 10_000,
    "deep minus": "-" * 10_000 + "constant(1.0)",
    "deep calls": "join([" * 5_000 + "constant(1.0)" + "], [])" * 5_000,
    "deep lists": "from_table(" + "[" * 5_000 + "]" * 5_000 + ")",
    "long chain": "constant(1.0)" + ".shift(1)" * 50_000,
    "long sum": "constant(1.0)" + " + constant(1.0)" * 100_000,
    "megabytes of blanks": " " * 5_000_000 + "constant(1.0)",
    "megabytes of digits": "constant(0." + "1" * 5_000_000 + ")",
    "megabytes of name": "a" * 5_000_000,
    "megabytes of list": "from_table([" + "1.0," * 1_500_000 + "'x'])",
    "megabytes of brackets": "(" * 3_000_000,
    "megabytes of garbage": "\0\n'\"" * 1_000_000,
    "megabytes of unclosed string": "'" + "a" * 5_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text(name):
    text = HOSTILE[name]
    allowed = (ValueError, TypeError)
    begin = time.perf_counter()
    with pytest.raises(allowed) as caught:
        lk.parse(text)
    assert time.perf_counter() - begin < 2 * PATIENCE
    assert type(caught.value) in allowed, repr(caught.value)
    assert len(str(caught.value)) < 1000


def test_parse_calls_nothing_it_does_not_know():
    """Not even a name that looks like a curve but was put into the package from outside."""
    called = []
    lk.wicked = lambda *arguments: called.append(arguments)
    try:
        with pytest.raises(ValueError, match="wicked"):
            lk.parse("wicked(1)")
    finally:
        del lk.wicked
    assert not called


@pytest.mark.parametrize("node", [None, 3, lk.constant(1.0)])
def test_nodes_are_nodes(node):
    """The compiled part takes nothing else for one, and makes none by itself."""
    good = lk.constant(1.0).node
    for call in (
        lambda: _core.add(good, node),
        lambda: _core.multiply(node, good),
        lambda: _core.ramp("fall", 1.0, 1.0, 3, good, 0, node, 0),
        lambda: _core.clip(node, 0.0, 1.0),
        lambda: _core.shift(node, 1),
        lambda: _core.stretch(node, 2.0),
        lambda: _core.staircase(node, 2),
        lambda: _core.join([good, node], [3]),
        lambda: _core.repeat(node, 3, 3, 1.0),
        lambda: _core.restarts(node, 3, 2.0, 1.0, 0.0),
        lambda: _core.fill_rows([node] if node is None else [3], np.empty((1, 3)), 0),
        lambda: type(good)(),
    ):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cosine(0.1)", "parse: cosine: missing a required "),
        ("constant(val=1.0)", "parse: constant: "),
        ("constant(1.0, 2.0)", "parse: constant: too many positional arguments"),
        ("constant(1.0).warmup()", "parse: warmup: missing a required "),
        ("constant(1.0).clip(1, 2, 3)", "parse: clip: too many positional arguments"),
        ("constant(1.0).shift(n=1, self=2)", "parse: shift: multiple values for argument 'self'"),
        ("join([constant(1.0)])", "parse: join: missing a required "),
        ("not 1", "parse: not 1 is not allowed (column 1)"),
        ("constant(1.0) % 3", "parse: constant(1.0) % 3 is not allowed (column 1)"),
        ("constant(b'1')", "parse: b'1' is not allowed (column 10)"),
        ("constant(" + "x if 1 else " * 20 + "1)", "parse: x if 1 else x if 1 else x if 1 "),
        ("-" * 100_000 + "1", "parse: the expression is nested too deep to be read"),
        ("-" * 600 + "constant(1.0)", "parse: the expression may be nested 200 levels deep at most"),
        ("constant(1.0)" + ".warmup(1)" * 390, "parse: the expression may be nested 200 levels deep at most"),
        ("constant(1.0)" + ".warmup(1)" * 150, "schedule: expressions may be nested 100 deep at most; got 101"),
    ],
    ids=lambda text: text[:40],
)
def test_parse_tells_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=r"^") as caught:
        lk.parse(text)
    assert str(caught.value).startswith(message)


def test_parse_tells_when_the_stack_is_full():
    def with_frames(n):
        return with_frames(n - 1) if n else lk.parse("constant(1.0)" + ".warmup(1)" * 90)

    with pytest.raises(ValueError, match=r"^parse: the expression is nested too deep to be read$"):
        with_frames(sys.getrecursionlimit() - len(inspect.stack()) - 60)


def test_parse_errors_name_the_offender():
    for text, word in [("cosinus(0.1, 0.0, 10)", "cosinus"), ("constant(1.0).table(3)", "table")]:
        with pytest.raises(ValueError, match=word):
            lk.parse(text)


def test_parse_reads_plain_variations():
    """Blanks, keywords, order of keywords, signs, underscores, exponents, brackets: the same schedule."""
    expected = lk.cosine(0.1, -1e-3, 1000)
    for text in (
        "cosine(0.1, -0.001, 1000)",
        "  cosine( 0.1,-1e-3 ,1_000 )  ",
        "cosine(steps=1000, end=-1e-3, start=+0.1)",
        "(cosine(0.1,\n -1e-3, 1000))",
        "cosine(.1, -1e-3, 0x3e8)",
    ):
        assert lk.parse(text) == expected, text
    assert lk.parse("2 * constant(1.0) + 0.5") == 2 * lk.constant(1.0) + 0.5


def test_a_large_honest_table_is_read():
    values = [1.0 / (i + 1) for i in range(20_000)]
    schedule = lk.from_table(values)
    assert lk.parse(repr(schedule)) == schedule
