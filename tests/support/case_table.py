"""The table of schedules under test, and functions that fill it; cases.py has the entries and explains how to add one."""

from __future__ import annotations

from dataclasses import dataclass

import oracle
from oracle import Exact

MAX_ULP = 0.6
LAST_STEP = 2**53

LENGTHS = [1, 2, 3, 7, 100, 1000, 10**5, 10**6, 10**8, 10**12]
ODD_LENGTHS = [7, 1000, 10**6]
FALLS_AND_RISES = [(0.1, 0.0), (0.0, 0.1), (3e-4, 3e-5)]
BOTH_POSITIVE = [(0.1, 1e-4), (3e-5, 3e-4), (1e-300, 1e300), (1e300, 1e-300), (2.0, 1.9999999999999998), (0.1, 0.1)]
EXTREME_PAIRS = [
    (1e-300, 0.0),
    (1e300, 1e-300),
    (1e-300, 1e300),
    (1.7976931348623157e308, -1.7976931348623157e308),
    (5e-324, 0.0),
    (2.2250738585072014e-308, 1e-310),
    (1.0, -1.0),
    (-1.0, 3.0),
    (-0.1, -0.3),
    (0.1, 0.1),
    (1.0, 0.9999999999999999),
    (0.0, 0.0),
]
TAILS = ["linear", "cosine", "one_minus_sqrt", "square", "logarithmic", "mirror_cosine", "halving"]
POSITIVE_TAILS = ["exponential", "inverse_proportional"]


@dataclass(frozen=True)
class Case:
    curve: str  # the entry it belongs to
    text: str

    def builder(self, lk):
        """A function that builds the schedule from its text, through the public names."""
        code = compile(self.text, self.curve, "eval")
        return lambda: eval(code, {"__builtins__": {"float": float, "int": int, "range": range}}, vars(lk))

    def build(self, lk):
        """The schedule."""
        return self.builder(lk)()

    def exact(self) -> Exact:
        """Its exact twin."""
        return oracle.evaluate(self.text)


CASES: list[Case] = []


def add_cases(name, texts):
    """Append expressions, or lists of them, that are not in the table yet."""
    known = {case.text for case in CASES}
    flat = [t for text in texts for t in ([text] if isinstance(text, str) else text)]
    CASES.extend(Case(name, t) for t in dict.fromkeys(flat) if t not in known)


def curve(*texts):
    """Add the expressions, and the decorated function as the exact twin of the curve of that name."""

    def enter(formula):
        oracle.namespace[formula.__name__] = formula
        add_cases(formula.__name__, texts)
        return formula

    return enter


def composites(name: str, *texts):
    """Add expressions that test a method, an operator or a mixture."""
    add_cases(name, texts)


def spans(template, pairs=FALLS_AND_RISES, lengths=LENGTHS, extremes=EXTREME_PAIRS, odd=ODD_LENGTHS):
    """A curve from start to end over `steps`: the first ordinary pair at every length, other and extreme pairs at a few."""
    texts = [template.format(start=a, end=b, steps=n) for a, b in pairs[:1] for n in (0, *lengths)]
    texts += [template.format(start=a, end=b, steps=n) for a, b in pairs[1:] for n in (0, *lengths[::3])]
    return texts + [template.format(start=a, end=b, steps=n) for a, b in extremes for n in odd]


def over(template, values, **fixed):
    """One expression for each value of the free field."""
    return [template.format(value, **fixed) for value in values]
