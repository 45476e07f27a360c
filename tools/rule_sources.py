"""Writes what C, Cython and Numba have of the optimizers' rules, from their formulas in lrkern/optimizers.

    src_c/steps/generated_rules.def             the rules, for the kernels
    src_c/lrkern_optimizers.h                   options and functions of one array: the public header
    src_c/steps/generated_functions.c           these functions
    lrkern/binding/generated_declarations.pxi   these functions for Cython, and so for Numba
    lrkern/numba/generated_steps.py             lrkern's step functions, for functions that Numba compiles

python tools/rule_sources.py            writes the files
python tools/rule_sources.py --check    names those that are not what would be written; exits with 1 if there are any
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import numba_steps
from python_defaults import examples, learn_rules

from lrkern.rules.c_interface import cython_declarations, declarations, definitions
from lrkern.rules.c_text import entries
from lrkern.rules.one_array import all_functions
from lrkern.rules.rule import Rule, own_rules

ROOT = Path(__file__).resolve().parents[1]
HEADER = "lrkern_optimizers.h"
WRITTEN = "Written by tools/rule_sources.py from the formulas in lrkern/optimizers: change those, then run `make rules`."

HEAD_OF_RULES = f"""\
/* clang-format off */
/* {WRITTEN}

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

TAIL_OF_RULES = """
#undef LRK_FAMILY
#undef LRK_RULE
#undef LRK_RARE_RULE
#undef LRK_SPARE_RULE
#undef LRK_SCALAR_STATES
#undef LRK_MEASURE
#undef LRK_SPARE_MEASURE
"""

HEAD_OF_HEADER = f"""\
/* Optimizer steps of one array: for each rule a struct of its options, and functions for float and double. lrkern_steps.h has
 * lists of tensors; docs/steps.md defines the arithmetic; lrkern.h describes conventions of the whole interface.
 *
 * n elements of `param` and of the states are updated, `grad` is read. `updates` is the number of updates before this one. Some
 * rules also have numbers of the tensor, a double each, which are states, too. Before the first update states must be 0, except
 * as stated. A state may be NULL where stated. Nothing that is written may overlap anything else.
 * Returns LRK_OK, LRK_ERROR_OVERLAP, or, where stated, LRK_ERROR_MEMORY; after an error nothing has been written.
 *
 * The members of a struct are the rule's inputs, in their order; omitted ones are 0. What many rules have:
 *
 *     weight_decay     is added to the gradient, or, if decoupled is 1, shrinks the parameter
 *     maximize         1: ascend the gradient
 *     eps_inside       1: eps is added to what the root is taken of, not to the root
 *     lr_inside        1: the momentum buffer holds steps, not gradients
 *     cautious_decay   1: decoupled weight decay only of elements that it moves in the direction of the step; some rules have a
 *                      function ..._cautious_decay instead
 *     cautious         1: elements do not move where direction and gradient differ in sign: functions ..._cautious
 *     grokfast         1: grokfast_lamb times an average of gradients, grad_ema, is added to each gradient: ..._grokfast
 *
 * A line such as "lrkern.AdamW(params): {{...}}" shows the options of that optimizer of Python without further arguments.
 *
 * {WRITTEN} */
#ifndef LRKERN_OPTIMIZERS_H
#define LRKERN_OPTIMIZERS_H

#include "lrkern.h"

#ifdef __cplusplus
extern "C" {{
#endif
"""

TAIL_OF_HEADER = """
#ifdef __cplusplus
}
#endif

#endif
"""

HEAD_OF_FUNCTIONS = f"""\
/* clang-format off */
/* Steps of one array, of every rule: see one.c.
 * {WRITTEN} */
#include "steps/steps.h"

#define STEP(rule_, type_, inputs_, ...) \\
    lrk_step_one(&(lrk_one_array){{.rule = LRK_RULE_##rule_, \\
                                  .type = type_, \\
                                  .size = n, \\
                                  .param = param, \\
                                  .grad = grad, \\
                                  .updates = updates, \\
                                  .inputs = (inputs_), \\
                                  .inputs_size = sizeof *(inputs_), \\
                                  __VA_ARGS__}})
"""


def place(rule: Rule) -> tuple[str, int]:
    """Where a rule is defined."""
    return rule.function.__module__, rule.function.__code__.co_firstlineno


def texts() -> dict[Path, str]:
    """The files."""
    learn_rules()
    rules = dict(sorted(own_rules().items(), key=lambda item: place(item[1])))
    functions = all_functions(rules)
    in_c = "".join(entries(rule, variant) for variant, rule in rules.items())
    return {
        ROOT / "src_c/steps/generated_rules.def": HEAD_OF_RULES + in_c + TAIL_OF_RULES,
        ROOT / "src_c" / HEADER: HEAD_OF_HEADER + declarations(functions, examples()) + TAIL_OF_HEADER,
        ROOT / "src_c/steps/generated_functions.c": HEAD_OF_FUNCTIONS + definitions(functions),
        ROOT / "lrkern/binding/generated_declarations.pxi": f"# {WRITTEN}\n\n" + cython_declarations(functions, HEADER),
        ROOT / "lrkern/numba/generated_steps.py": numba_steps.text(textwrap.fill(WRITTEN, 128)),
    }


def main(arguments: list[str]) -> int:
    """Write or check the files."""
    outdated = [file for file, text in texts().items() if not file.exists() or file.read_text() != text]
    if "--check" in arguments:
        for file in outdated:
            print(f"{file.relative_to(ROOT)} differs from the formulas: run `make rules`", file=sys.stderr)
        return int(bool(outdated))
    for file, text in texts().items():
        if file in outdated:  # a newer file would be compiled again
            file.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
