"""A rule as C functions of one array, for programs of one's own: what `rule.c_source()` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrkern.rules.c_text import conditions_text, field, measure_text, scalar_states_text, scalars_text, update_text
from lrkern.rules.lowering import Parts

if TYPE_CHECKING:
    from lrkern.rules.rule import Rule


def _words(kind: str, of_builtin: str) -> dict[str, str]:
    """What the words of elements are in C."""
    names = {"FMA": "fma", "SQRT": "sqrt", "ABS": "fabs"}
    suffix = "f32" if kind == "float" else "f64"
    own = {word: f"lrk_{word.lower()}{'' if suffix == 'f64' else '_f32'}" for word in ("MINIMUM", "MAXIMUM")}
    return {word: f"__builtin_{name}{of_builtin}" for word, name in names.items()} | own


_TYPES = {
    "float32": ("float", "f32", _words("float", "f")),
    "float64": ("double", "f64", _words("double", "")),
}


def _struct(name: str, fields: list[str]) -> list[str]:
    # C has no empty structs.
    return ["typedef struct {", *(f"    double {one};" for one in fields or ["unused"]), f"}} {name};"]


def _element(parts: Parts, rule: str, suffix: str, name: str, body: list[str]) -> list[str]:
    """A loop over elements."""
    states = [f"s{k}" for k in range(len(parts.states))]
    writes = name == "update"
    written = "T" if writes else "const T"
    arrays = [f"{written} *param", "const T *grad", *(f"{written} *state{k}" for k in range(len(states)))]
    last = f"const {rule}_inputs *h", "const lrk_rule_tensor *t"
    lines = [
        f"void {rule}_{name}_{suffix}({', '.join(['int64_t size', *arrays, *([] if writes else ['T *out']), *last])})",
        "{",
        f"    {rule}_coefs in_double;",
        f"    {rule}_scalars(h, t, &in_double);",
        f"    {rule}_coefs_{suffix} coefs, *const c = &coefs;",
        *(f"    coefs.{field(one)} = (T)in_double.{field(one)};" for one, _ in parts.coefs),
        "    (void)c;",
        *(f"    {one}" for one in conditions_text(parts, body)),
        "    for (int64_t i = 0; i < size; i++) {",
        "        T p = param[i];",
        "        const T g = grad[i];",
        *(f"        T {one} = state{k}[i];" for k, one in enumerate(states)),
        *([] if writes else ["        T m;"]),
        f"        (void)p, (void)g{''.join(f', (void){one}' for one in states)};",
        *(f"        {one}" for one in body),
    ]
    if writes:
        lines += ["        param[i] = p;", *(f"        state{k}[i] = {one};" for k, one in enumerate(states))]
    else:
        lines.append("        out[i] = m;")
    return [*lines, "    }", "}"]


def _scalar_states(parts: Parts, rule: str) -> list[str]:
    """The function that computes the new scalar states."""
    if not parts.scalar_states:
        return []
    return [
        f"/* The new {', '.join(parts.scalar_states)}: t->states of the next update. */",
        f"void {rule}_scalar_states(const {rule}_inputs *h, const lrk_rule_tensor *t, double *z)",
        "{",
        "    (void)h;",
        *(f"    {one}" for one in scalar_states_text(parts)),
        "}",
        "",
    ]


def c_source(rule: Rule, variant: str, dtype: str) -> str:
    """The text: structs of inputs and scalars, and functions over arrays of `dtype`, "float32" or "float64"."""
    parts, name = rule.parts(variant), variant if len(rule.variants) > 1 else rule.name
    kind, suffix, words = _TYPES[dtype]
    coefs = [field(name) for name, _ in parts.coefs]
    states = "".join(f", state{k}: {state}" for k, state in enumerate(parts.states))
    lines = [
        f"/* The rule {name}{states}. Written by lrkern.",
        "   Compile with -ffp-contract=off and the folder of lrkern.get_include(). Flags are 0 or 1. */",
        '#include "lrkern_rule.h"',
        "",
        *_struct(f"{name}_inputs", [field(one.name) for one in parts.hypers]),
        "",
        *_struct(f"{name}_coefs", coefs),
        "",
        f"static void {name}_scalars(const {name}_inputs *h, const lrk_rule_tensor *t, {name}_coefs *c)",
        "{",
        "    (void)h, (void)t, (void)c;",
        *(f"    {one}" for one in scalars_text(parts)),
        "}",
        "",
        *_scalar_states(parts, name),
        f"#define T {kind}",
        *(f"#define {word} {meaning}" for word, meaning in words.items()),
        "",
        "typedef struct {",
        *(f"    T {one};" for one in coefs or ["unused"]),
        f"}} {name}_coefs_{suffix};",
        "",
        *_element(parts, name, suffix, "update", update_text(parts)),
    ]
    if parts.measured is not None:
        lines.append(f"/* out: the elements whose {'sum' if parts.measures_sum else 'norm'} is t->measured of the update. */")
        lines += ["", *_element(parts, name, suffix, "measure", measure_text(parts))]
    return "\n".join([*lines, "", *(f"#undef {word}" for word in ("T", *words)), ""])
