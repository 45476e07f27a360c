"""The rules in C's public interface: structs of options, functions that update one array, and the definitions of these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lrkern.rules.filled import filled
from lrkern.rules.one_array import TYPES, OneArray

WIDTH = 128


def arguments(one: OneArray, kind: str) -> list[str]:
    """The arguments of a function whose arrays are of this type."""
    states = [f"{kind} *{state}" for state in one.states]
    scalars = [f"double *{state}" for state in one.scalar_states]
    last = ["int64_t updates", f"const lrk_{one.rule.name}_options *options"]
    return ["int64_t n", f"{kind} *param", f"const {kind} *grad", *states, *scalars, *last]


def _signature(one: OneArray, suffix: str, before: str, end: str) -> str:
    return filled(f"{before}lrk_step_{one.name}_{suffix}(", arguments(one, TYPES[suffix]), end, width=WIDTH)


def struct(one: OneArray) -> str:
    """The options of a rule: its inputs, in its order."""
    name, lines = f"lrk_{one.rule.name}_options", list[str]()
    rest = list(one.options)
    while rest:
        count = len(rest)
        while len(f"    double {', '.join(rest[:count])};") > WIDTH:
            count -= 1
        lines.append(f"    double {', '.join(rest[:count])};")
        del rest[:count]
    return "\n".join([f"typedef struct {name} {{", *lines, f"}} {name};"])


def _on(flag: str, value: bool) -> str:
    return f"{flag} is {int(value)}"


def _notes(one: OneArray) -> list[str]:
    """What the comment of a function says about its arrays."""
    notes = []
    for state, switch in one.switches.items():
        whatever = ", whatever the options say" if switch.flag in one.options else ""
        notes.append(f"{state} may be NULL: {_on(switch.flag, not switch.given)} then, else {int(switch.given)}{whatever}.")
    if always := [name for name, ways in one.free.items() if not ways]:
        notes.append(f"Before the first update these may hold anything: {', '.join(always)}.")
    for name, ways in one.free.items():
        if ways:
            where = " or ".join(_on(flag, value) for flag, value in ways)
            notes.append(f"Before the first update {name} may hold anything if {where}.")
    if one.ignored:
        notes.append(f"It ignores {', '.join(one.ignored)}.")
    if one.scalar_states:
        notes.append(f"Numbers of the tensor: {', '.join(one.scalar_states)}.")
    if any(one.rule.parts(variant).needs_norms for variant in one.variants):
        notes.append("It looks at the whole array first: LRK_ERROR_MEMORY is possible.")
    return notes


def _comment(paragraphs: Iterable[str]) -> str:
    """A comment, each paragraph in lines of its own."""
    lines = [line for text in paragraphs for line in _wrapped(text)]
    return "\n".join(["/* " + lines[0], *(f" * {line}".rstrip() for line in lines[1:])]) + " */"


def _wrapped(text: str) -> list[str]:
    lines, line = list[str](), ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > WIDTH - 6:  # room for the borders of a comment
            lines.append(line)
            line = "    " + word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def place(one: OneArray) -> str:
    """Where a rule is written."""
    return f"{one.rule.function.__module__.replace('.', '/')}.py"


def declarations(functions: Sequence[OneArray], examples: Mapping[str, Sequence[str]]) -> str:
    """Structs and functions, as the header declares them. `examples`: of each rule, lines about options in Python."""
    text = ""
    for one in functions:
        about = []
        if one.comes_first:
            about.append(" ".join(f"{one.name}: {one.rule.__doc__} From {place(one)}.".split()))
            if one.flags:
                about.append(f"Flags, 0 or 1: {', '.join(one.flags)}.")
            about += examples.get(one.rule.name, ())
        else:
            set_flags = " and ".join(_on(flag, value) for flag, value in one.set.items() if value)
            about.append(f"The same rule where {set_flags}.")
        text += "\n" + _comment([*about, *_notes(one)]) + "\n"
        if one.comes_first:
            text += struct(one) + "\n\n"
        for suffix in TYPES:
            text += _signature(one, suffix, "LRK_API lrk_status ", ");") + "\n"
    return text


def _given(state: str, given: bool) -> str:
    return f"{state} {'!=' if given else '=='} NULL"


def _call(one: OneArray, variant: str, suffix: str) -> list[str]:
    """The statements that run a variant."""
    lists = {"states": one.states_of(variant), "scalar_states": one.scalar_states}
    texts = [f".{name} = {{{', '.join(names)}}}" for name, names in lists.items() if names] or [".states = {NULL}"]
    inputs, lines = one.inputs_of(variant), list[str]()
    given = "options"
    if inputs != one.options or set(inputs) & set(one.decided):
        given = "&inputs"
        values = [_given(*one.decided[name]) if name in one.decided else f"options->{name}" for name in inputs]
        lines.append(filled("const double inputs[] = {", values, "};", width=WIDTH - 8))
    words = [variant, f"LRK_{suffix.upper()}", given, *texts]
    return [*lines, filled("return STEP(", words, ");", width=WIDTH - 8)]


def definitions(functions: Sequence[OneArray]) -> str:
    """The functions: each says which kernel it is, and what its arrays are. `STEP` is a macro of the file."""
    text = ""
    for one in functions:
        for suffix in TYPES:
            lines = list[str]()
            *some, (last, _) = one.choices
            for variant, states in some:
                call = _call(one, variant, suffix)
                test = f"if ({' && '.join(_given(state, given) for state, given in states)})"
                block = [f"    {line}" for part in call for line in part.splitlines()]
                lines += [test, *block] if len(call) == 1 else [f"{test} {{", *block, "}"]
            lines += [line for part in _call(one, last, suffix) for line in part.splitlines()]
            body = "".join(f"    {line}\n" for line in lines)
            text += f"\n{_signature(one, suffix, 'lrk_status ', ')')}\n{{\n{body}}}\n"
    return text


def cython_declarations(functions: Sequence[OneArray], header: str) -> str:
    """The structs, and the functions of `lrkern._core` that other Cython modules may cimport."""
    text = f'cdef extern from "{header}" nogil:\n'
    for one in functions:
        if one.comes_first:
            members = "\n".join(f"    {line}" for line in struct(one).splitlines()[1:-1]).replace(";", "")
            text += f"    ctypedef struct lrk_{one.rule.name}_options:\n{members}\n"
    for one in functions:
        for suffix, kind in TYPES.items():
            begin = f"cdef lrk_status lrk_step_{one.name}_{suffix}("
            every = arguments(one, kind)
            line = f"{begin}{', '.join(every)}) noexcept nogil"
            if len(line) > WIDTH:
                line = f"{begin}\n{filled('    ', every, '', width=WIDTH)}\n) noexcept nogil"
            text += f"\n{line}"
    return text + "\n"
