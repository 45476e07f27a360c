"""Writes src_c/steps/generated_rules.def, the rules of the optimizers as C, from their formulas in lrkern/optimizers.

python tools/rule_sources.py            writes the file
python tools/rule_sources.py --check    exits with 1 if the file is not what would be written
"""

from __future__ import annotations

import sys
from pathlib import Path

from lrkern.rules.c_text import entries
from lrkern.rules.rule import Rule, own_rules

FILE = Path(__file__).resolve().parents[1] / "src_c" / "steps" / "generated_rules.def"

HEAD = """\
/* clang-format off */
/* Written by tools/rule_sources.py from the formulas in lrkern/optimizers: change those, then run `make rules`.

   A file that includes this one defines the macros that it needs; the others are empty. All are undefined at the end.

   LRK_FAMILY(rule, inputs, coefs, scalars)
       The scalars of a rule. inputs, H(name) each: the inputs of a step, as doubles, in this order. coefs, C(name) each: the
       scalars used for the elements; `scalars` computes them in float64 and they are rounded once to T. It uses
           h         the inputs
           c         the coefs, to be filled in
           t         of the tensor: see lrk_rule_tensor in lrkern_rule.h

   LRK_SCALAR_STATES(rule, count, states)
       For rules with scalars that each tensor keeps: `states` assigns their new values to z[0], ..., from h and t.

   LRK_RULE(rule, states, when, cases, update)
       The update of one element. `when` has a bit for each condition that is the same for all elements. cases, CASE(rule, bits)
       each: values of `when` that occur often; kernels in them test no condition. `update` uses
           T         the type of the computation
           p         T, the parameter: read and written
           g         T, the gradient: read
           s0 ...    T, the first `states` state arrays: read and written; scratch memory if omitted
           c, when   the coefs, the conditions
           FMA, ...  each rounded once, as every other operation, so that results are the same on every machine

   LRK_RARE_RULE(rule, states, when, cases, update)
       The same for variants that are used so rarely that kernels for narrow storage would not pay: LRK_RULE by default.

   LRK_SPARE_RULE(rule, states, when, cases, update)
       The same for rare variants that are not the first of their rule, which get little code: LRK_RARE_RULE by default.

   LRK_MEASURE(rule, states, of, measure)
       For rules that need norms or sums of whole tensors: `measure` assigns the element to T m. of: LRK_NORM or LRK_SUM.

   LRK_SPARE_MEASURE(rule, states, of, measure)
       The same of an LRK_SPARE_RULE: LRK_MEASURE by default.
*/
#ifndef LRK_FAMILY
#define LRK_FAMILY(...)
#endif
#ifndef LRK_RULE
#define LRK_RULE(...)
#endif
#ifndef LRK_RARE_RULE
#define LRK_RARE_RULE(...) LRK_RULE(__VA_ARGS__)
#endif
#ifndef LRK_SPARE_RULE
#define LRK_SPARE_RULE(...) LRK_RARE_RULE(__VA_ARGS__)
#endif
#ifndef LRK_SCALAR_STATES
#define LRK_SCALAR_STATES(...)
#endif
#ifndef LRK_MEASURE
#define LRK_MEASURE(...)
#endif
#ifndef LRK_SPARE_MEASURE
#define LRK_SPARE_MEASURE(...) LRK_MEASURE(__VA_ARGS__)
#endif
"""

TAIL = """
#undef LRK_FAMILY
#undef LRK_RULE
#undef LRK_RARE_RULE
#undef LRK_SPARE_RULE
#undef LRK_SCALAR_STATES
#undef LRK_MEASURE
#undef LRK_SPARE_MEASURE
"""


def place(rule: Rule) -> tuple[str, int]:
    """Where a rule is defined."""
    return rule.function.__module__, rule.function.__code__.co_firstlineno


def text() -> str:
    """The file."""
    rules = sorted(own_rules().items(), key=lambda item: place(item[1]))
    return HEAD + "".join(entries(rule, variant) for variant, rule in rules) + TAIL


def main(arguments: list[str]) -> int:
    """Write or check the file."""
    made = text()
    if "--check" in arguments:
        return 0 if FILE.read_text() == made else 1
    FILE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
