"""A GPU in C: translates kernels' PTX to C that executes each instruction as defined, for one thread after the other.

The code that the GPU compiler has made runs bit by bit as the PTX ISA defines it
(https://docs.nvidia.com/cuda/parallel-thread-execution), on memory whose every access is checked. Threads run until they end
or reach a barrier, in either order, and so do blocks. An unknown instruction is an error. Speed is not modelled.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
from functools import partial
from pathlib import Path

PRELUDE = r"""
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;
typedef int8_t s8; typedef int16_t s16; typedef int32_t s32; typedef int64_t s64;
typedef float f32; typedef double f64;
typedef u8 b8; typedef u16 b16; typedef u32 b32; typedef u64 b64; typedef u8 pred;

/* A register is 64 bits; these convert its lower bits to a type and back. Arithmetic in float32 makes one NaN only. */
static f32 as_f32(u64 x) { u32 low = (u32)x; f32 y; memcpy(&y, &low, 4); return y; }
static f64 as_f64(u64 x) { f64 y; memcpy(&y, &x, 8); return y; }
static u64 of_f32(f32 x) { u32 y; memcpy(&y, &x, 4); return y; }
static u64 of_f64(f64 x) { u64 y; memcpy(&y, &x, 8); return y; }
static u64 made_f32(f32 x) { return x != x ? 0x7FFFFFFF : of_f32(x); }

/* Conversions to integers saturate. */
static s64 to_s64(f64 x) { return x != x ? 0 : x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : (s64)x; }
static s32 to_s32(f64 x) { return x != x ? 0 : x >= 0x1p31 ? INT32_MAX : x <= -0x1p31 ? INT32_MIN : (s32)x; }

typedef struct { unsigned x, y, z; } dim3;

typedef void check_access(u64 address, u64 size, const char *instruction, u64 now);
static check_access *check;
static u64 now; /* the thread's block from bit 32 on, barriers met from bit 10 on, its number */

static void *global(u64 address, u64 size, const char *instruction) {
    check(address, size, instruction, now);
    return (void *)address;
}
"""

FRAME = r"""
static u8 shared[@SHARED@ + 16] __attribute__((aligned(16)));

static void *shared_at(u64 address, u64 size, const char *instruction) {
    if (address < (u64)shared || address + size > (u64)shared + @SHARED@) {
        fprintf(stderr, "emulator: %s: %d bytes at %ld, shared\n", instruction, (int)size, (s64)address - (s64)shared);
        abort();
    }
    return global(address, size, instruction);
}

typedef struct { @REGISTERS@ } Registers;
typedef struct { int resumes_at; @KEPT@ u8 local[@LOCAL@ + 16] __attribute__((aligned(16))); } Thread;

static void *local_at(const Thread *thread, u64 address, u64 size, const char *instruction) {
    if (address % size || address < (u64)thread->local || address + size > (u64)thread->local + @LOCAL@) {
        fprintf(stderr, "emulator: %s: %d bytes at %ld, local\n", instruction, (int)size, (s64)address - (s64)thread->local);
        abort();
    }
    return (void *)address;
}

/* Returns whether the thread waits at a barrier; otherwise it has ended. */
static int run(Thread *thread, dim3 tid, dim3 ntid, dim3 ctaid, dim3 nctaid, void **arguments) {
    @OWN@
    switch (thread->resumes_at) {
    case 0:
@BODY@
    }
    return 0;
}

static dim3 nth(unsigned i, dim3 of) { return (dim3){i % of.x, i / of.x % of.y, i / of.x / of.y}; }

static void launch(const unsigned *grid, const unsigned *block, void **arguments, int backwards, check_access *of_driver) {
    check = of_driver;
    dim3 nctaid = {grid[0], grid[1], grid[2]}, ntid = {block[0], block[1], block[2]};
    unsigned blocks = grid[0] * grid[1] * grid[2], threads = block[0] * block[1] * block[2];
    Thread *all = malloc(threads * sizeof *all);
    for (unsigned b = 0; b < blocks; ++b) {
        unsigned of_all = backwards ? blocks - 1 - b : b;
        dim3 ctaid = nth(of_all, nctaid);
        memset(shared, 0xA5, sizeof shared); /* kernels must not rely on zeros */
        for (unsigned i = 0; i < threads; ++i) all[i].resumes_at = 0;
        u64 barriers = 0;
        for (unsigned running = threads; running; ++barriers) {
            unsigned waiting = 0;
            for (unsigned i = 0; i < threads; ++i) {
                unsigned t = backwards ? threads - 1 - i : i;
                now = (u64)of_all << 32 | barriers << 10 | t;
                if (all[t].resumes_at >= 0 && !run(&all[t], nth(t, ntid), ntid, ctaid, nctaid, arguments))
                    all[t].resumes_at = -1;
                waiting += all[t].resumes_at >= 0;
            }
            if (waiting && waiting != threads) { fprintf(stderr, "emulator: not all threads meet at a barrier\n"); abort(); }
            running = waiting;
        }
    }
    free(all);
}

const struct { void *launch; int parameters; } kernel = {launch, @PARAMETERS@};
"""

ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "div": "/", "rem": "%", "and": "&", "or": "|", "xor": "^"}
COMPARISONS = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "lo": "<",
    "ls": "<=",
    "hi": ">",
    "hs": ">=",
}
WIDER = {"s16": "s32", "u16": "u32", "s32": "s64", "u32": "u64"}
WIDEST = {"s32": "s64", "u32": "u64", "s64": "__int128", "u64": "unsigned __int128"}


def bits_of(kind):
    """Width of a type."""
    return int(kind[1:])


class Translator:
    """Translates one kernel, instruction by instruction."""

    def __init__(self, text, name):
        self.name = name
        head, self.body = re.search(rf"\.entry {re.escape(name)}\((.*?)\)[^{{]*\{{(.*?)^\}}", text, re.S | re.M).groups()
        found = re.findall(r"\.param\s+(?:\.align\s+\d+\s+)?\.\w+\s+([\w$]+)", head)
        self.parameters = {one: i for i, one in enumerate(found)}
        self.registers = {}
        self.barriers = 0
        self.shared, self.shared_size = {}, 0
        for align, one, size in re.findall(r"\.shared\s+\.align (\d+) \.b8 ([\w$]+)\[(\d+)\];", text):
            start = -(-self.shared_size // int(align)) * int(align)
            self.shared[one], self.shared_size = start, start + int(size)

        self.local = {one: int(size) for one, size in re.findall(r"\.local\s+\.align \d+ \.b8\s+([\w$]+)\[(\d+)\];", self.body)}

    def c(self):
        """The whole text in C."""
        lines = []
        for line in re.sub(r"//.*", "", self.body).splitlines():
            line = line.strip()
            if label := re.match(r"([$\w]+):", line):
                lines.append(f"{self._label(label[1])}:;")
            elif line and not line.startswith((".reg", ".shared", ".local", ".pragma", ".loc", "{", "}")):
                lines.append(self._instruction(line.rstrip(";")))
        frame = {
            "BODY": "\n".join(lines),
            "REGISTERS": " ".join(f"u64 {one};" for one in sorted(self.registers.values())) or "u64 none;",
            "OWN": "Registers r;" if not self.barriers else "#define r thread->registers",  # gcc optimizes the former better
            "KEPT": "Registers registers;" if self.barriers else "",
            "LOCAL": str(max(self.local.values(), default=0)),
            "SHARED": str(self.shared_size),
            "PARAMETERS": str(len(self.parameters)),
        }
        return PRELUDE + re.sub(r"@(\w+)@", lambda found: frame[found[1]], FRAME)

    def _label(self, name):
        return "L" + re.sub(r"\W", "_", name)

    # ------------------------------------------------------------------------------------------------------------ operands

    def _register(self, name):
        return "r." + self.registers.setdefault(name, re.sub(r"\W", "_", name[1:]))

    def _bits(self, operand):
        """An operand as the bits that a register would hold."""
        if special := re.match(r"%(tid|ntid|ctaid|nctaid)\.([xyz])$", operand):
            return f"(u64){special[1]}.{special[2]}"
        if operand.startswith("%"):
            return self._register(operand)
        if re.match(r"0[fF][0-9A-Fa-f]{8}$", operand) or re.match(r"0[dD][0-9A-Fa-f]{16}$", operand):
            return f"(u64)0x{operand[2:]}"
        if re.match(r"-?(0x)?[0-9A-Fa-f]+U?$", operand):
            return f"(u64)({operand.rstrip('U')}LL)"
        if operand in self.shared:
            return f"(u64)(shared + {self.shared[operand]})"
        if operand in self.local and len(self.local) == 1:
            return "(u64)thread->local"
        raise NotImplementedError(f"operand {operand}")

    def _value(self, operand, kind):
        """An operand as a type."""
        bits = self._bits(operand)
        if kind == "pred":
            return f"({bits} & 1)"
        return f"as_{kind}({bits})" if kind[0] == "f" else f"({kind}){bits}"

    def _set(self, target, kind, value, made=False):
        """Into a register; `made` by arithmetic."""
        register = self._register(target)
        if kind == "f32" and made:
            return f"{register} = made_f32({value});"
        if kind[0] == "f":
            return f"{register} = of_{kind}({value});"
        if kind == "pred":
            return f"{register} = (u8)({value});"
        return f"{register} = ({kind.replace('b', 'u')})({value});"  # sign-extended to the width of the register

    def _address(self, operand):
        name, _, offset = operand.strip("[]").partition("+")
        return f"{self._bits(name)} + {offset or 0}"

    # --------------------------------------------------------------------------------------------------------- instructions

    def _instruction(self, line):
        predicate, word, rest = re.match(r"(?:@(!?%\w+)\s+)?([\w.:]+)\s*(.*)$", line).groups()
        operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^\s,{}\[\]]+", rest)
        parts = word.split(".")
        try:
            made = getattr(self, f"_{parts[0]}", partial(self._pointwise, parts[0]))(parts[1:], operands)
        except (NotImplementedError, KeyError, ValueError) as error:
            raise NotImplementedError(f"{self.name[:60]}: {line}: {error!r}") from None
        if predicate:
            condition = self._value(predicate.lstrip("!"), "pred")
            made = f"if ({'!' if predicate[0] == '!' else ''}{condition}) {{ {made} }}"
        return f"    {made} /* {line} */"

    def _pointwise(self, name, how, operands):
        """An instruction whose result depends on the operands' values only."""
        kind = how[-1]
        floating = kind[0] == "f"
        target, *sources = operands
        a, *others = (self._value(one, kind) for one in sources)
        rounding = how[:-1]
        if floating and rounding not in ([], ["rn"]):
            raise NotImplementedError(f"rounding {rounding}")
        if name in ("div", "sqrt", "rcp", "fma") and floating and rounding != ["rn"]:
            raise NotImplementedError("an approximation")
        suffix = "f" if kind == "f32" else ""
        value = {
            ("fma", 2): lambda: f"fma{suffix}({a}, {', '.join(others)})",
            ("sqrt", 0): lambda: f"sqrt{suffix}({a})",
            ("rcp", 0): lambda: f"1 / {a}",
            ("not", 0): lambda: f"!{a}" if kind == "pred" else f"~({a})",
        }.get((name, len(others)))
        if value is not None:
            return self._set(target, kind, value(), made=True)
        if name in ARITHMETIC and len(others) == 1 and (not rounding or floating):
            return self._set(target, kind, f"{a} {ARITHMETIC[name]} {others[0]}", made=True)
        raise NotImplementedError(name)

    def _mov(self, how, operands):
        target, source = operands
        (kind,) = how
        if target.startswith("{"):
            names = re.findall(r"[%\w.]+", target)
            width = bits_of(kind) // len(names)
            value = self._value(source, kind)
            return " ".join(self._set(one, f"u{width}", f"{value} >> {i * width}") for i, one in enumerate(names))
        if source.startswith("{"):
            names = re.findall(r"[%\w.]+", source)
            width = bits_of(kind) // len(names)
            packed = " | ".join(f"(u64)(u{width}){self._bits(one)} << {i * width}" for i, one in enumerate(names))
            return self._set(target, kind, packed)
        if kind[0] == "f":
            return f"{self._register(target)} = {self._bits(source)};"
        return self._set(target, kind, self._bits(source))

    def _neg(self, how, operands):
        (kind,) = how
        if kind[0] == "f":
            return f"{self._register(operands[0])} = {self._bits(operands[1])} ^ (1ull << {bits_of(kind) - 1});"
        return self._set(operands[0], kind, f"0 - {self._value(operands[1], kind)}")

    def _abs(self, how, operands):
        (kind,) = how
        if kind[0] == "f":
            return f"{self._register(operands[0])} = {self._bits(operands[1])} & ~(1ull << {bits_of(kind) - 1});"
        value = self._value(operands[1], kind)
        return self._set(operands[0], kind, f"{value} < 0 ? -{value} : {value}")

    def _mul(self, how, operands):
        kind = how[-1]
        if kind[0] == "f":
            return self._pointwise("mul", how, operands)
        (half,) = how[:-1]
        a, b = (self._value(one, kind) for one in operands[1:])
        if half == "lo":
            return self._set(operands[0], kind, f"(u64){a} * (u64){b}")
        if half == "wide":
            return self._set(operands[0], WIDER[kind], f"({WIDER[kind]}){a} * {b}")
        return self._set(operands[0], kind, f"(({WIDEST[kind]}){a} * {b}) >> {bits_of(kind)}")

    def _mad(self, how, operands):
        half, kind = how
        wider = {"lo": kind, "wide": WIDER[kind]}[half]
        a, b = (self._value(one, kind) for one in operands[1:3])
        return self._set(operands[0], wider, f"(u64)({wider}){a} * (u64)({wider}){b} + {self._value(operands[3], wider)}")

    def _minmax(self, function, sign, how, operands):
        (kind,) = how
        a, b = (self._value(one, kind) for one in operands[1:])
        if kind[0] == "f":  # of a number and NaN, the number
            return self._set(operands[0], kind, f"{function}{'f' if kind == 'f32' else ''}({a}, {b})", made=True)
        return self._set(operands[0], kind, f"{a} {sign} {b} ? {a} : {b}")

    def _min(self, how, operands):
        return self._minmax("fmin", "<", how, operands)

    def _max(self, how, operands):
        return self._minmax("fmax", ">", how, operands)

    def _shl(self, how, operands):
        (kind,) = how
        a, n = self._value(operands[1], f"u{bits_of(kind)}"), self._value(operands[2], "u32")
        return self._set(operands[0], kind, f"{n} >= {bits_of(kind)} ? 0 : {a} << {n}")

    def _shr(self, how, operands):
        (kind,) = how
        a, n = self._value(operands[1], kind.replace("b", "u")), self._value(operands[2], "u32")
        beyond = f"{a} < 0 ? -1 : 0" if kind[0] == "s" else "0"
        return self._set(operands[0], kind, f"{n} >= {bits_of(kind)} ? {beyond} : {a} >> {n}")

    def _bfi(self, how, operands):
        (kind,) = how
        new, old = (self._value(one, kind) for one in operands[1:3])
        begin, length = (f"({self._value(one, 'u32')} & 255)" for one in operands[3:])
        mask = f"(({length} >= 64 ? 0 : 1ull << {length}) - 1)"
        return self._set(operands[0], kind, f"({old} & ~({mask} << {begin})) | (({new} & {mask}) << {begin})")

    def _bfe(self, how, operands):
        (kind,) = how
        if kind[0] != "u":
            raise NotImplementedError(kind)
        a = self._value(operands[1], kind)
        begin, length = (f"({self._value(one, 'u32')} & 255)" for one in operands[2:])
        return self._set(operands[0], kind, f"({a} >> {begin}) & (({length} >= 64 ? 0 : 1ull << {length}) - 1)")

    def _clz(self, how, operands):
        (kind,) = how
        a = self._value(operands[1], f"u{bits_of(kind)}")
        return self._set(operands[0], "u32", f"{a} ? __builtin_clzll({a}) - {64 - bits_of(kind)} : {bits_of(kind)}")

    def _popc(self, how, operands):
        return self._set(operands[0], "u32", f"__builtin_popcountll({self._value(operands[1], how[0])})")

    def _selp(self, how, operands):
        target, yes, no, which = operands
        chosen = f"{self._value(which, 'pred')} ? {self._bits(yes)} : {self._bits(no)}"
        return f"{self._register(target)} = (u{bits_of(how[-1])})({chosen});"

    def _setp(self, how, operands):
        comparison, *combined, kind = how
        target, first, second, *with_this = operands
        a, b = self._value(first, kind), self._value(second, kind)
        either_nan = f"({a} != {a} || {b} != {b})"
        if comparison in ("nan", "num"):
            found = either_nan if comparison == "nan" else f"!{either_nan}"
        elif comparison in COMPARISONS:
            found = f"{a} {COMPARISONS[comparison]} {b}"
            if comparison == "ne" and kind[0] == "f":
                found = f"!{either_nan} && {found}"
        else:  # equ, neu, ltu, ...: or one of them is a NaN
            found = f"({either_nan} || {a} {COMPARISONS[comparison[:2]]} {b})"
            if kind[0] != "f" or comparison[2:] != "u":
                raise NotImplementedError(comparison)
        if combined:
            found = f"({found}) {ARITHMETIC[combined[0]]} {self._value(with_this[0], 'pred')}"
        return self._set(target, "pred", found)

    def _cvt(self, how, operands):
        *rounding, to, source = how
        value = self._value(operands[1], source)
        if to[0] == "f" and source[0] == "f":
            if rounding in (["rmi"], ["rzi"], ["rni"], ["rpi"]) and to == source:
                whole = {"rmi": "floor", "rzi": "trunc", "rni": "rint", "rpi": "ceil"}[rounding[0]]
                return self._set(operands[0], to, f"({to}){whole}({value})", made=True)
            if rounding != (["rn"] if to < source else []):
                raise NotImplementedError(rounding)
            return self._set(operands[0], to, f"({to}){value}", made=True)
        if to[0] == "f":
            if rounding != ["rn"]:
                raise NotImplementedError(rounding)
            return self._set(operands[0], to, f"({to}){value}")
        if source[0] == "f":
            whole = {"rmi": "floor", "rzi": "trunc", "rni": "rint", "rpi": "ceil"}["".join(rounding)]
            if to not in ("s32", "s64"):
                raise NotImplementedError(to)
            return self._set(operands[0], to, f"to_{to}({whole}({value}))")
        if rounding:
            raise NotImplementedError(rounding)
        return self._set(operands[0], to, value)

    def _cvta(self, how, operands):
        return f"{self._register(operands[0])} = {self._bits(operands[1])};"

    # --------------------------------------------------------------------------------------------------- memory and control

    def _accessed(self, how):
        """(function that checks the place, type, number of neighbours) of an access."""
        *qualifiers, kind = [one for one in how if one not in ("volatile", "nc", "relaxed", "gpu", "cta", "b128")]
        count = int(qualifiers.pop()[1:]) if qualifiers[-1] in ("v2", "v4") else 1
        (space,) = qualifiers
        return {"global": "global(", "shared": "shared_at(", "local": "local_at(thread, "}[space], kind, count

    def _ld(self, how, operands):
        target, place = operands
        if how[0] == "param":
            name, _, offset = place.strip("[]").partition("+")
            loaded = f"({how[1]} *)((char *)arguments[{self.parameters[name]}] + {offset or 0})"
            return self._loaded([target], how[1], loaded)
        at, kind, count = self._accessed(how)
        size = bits_of(kind) // 8 * count
        place = f'({kind} *){at}{self._address(place)}, {size}, "ld.{".".join(how)}")'
        return self._loaded(re.findall(r"[%\w.]+", target), kind, place)

    def _loaded(self, targets, kind, place):
        lines = [f"const {kind} *from = {place};"]
        lines += [self._set(one, kind, f"from[{i}]") for i, one in enumerate(targets)]
        return f"{{ {' '.join(lines)} }}"

    def _st(self, how, operands):
        place, source = operands
        at, kind, count = self._accessed(how)
        size = bits_of(kind) // 8 * count
        lines = [f'{kind} *to = ({kind} *){at}{self._address(place)}, {size}, "st.{".".join(how)}");']
        sources = source.strip("{} ").split(",")
        lines += [f"to[{i}] = {self._value(one.strip(), kind)};" for i, one in enumerate(sources)]
        return f"{{ {' '.join(lines)} }}"

    def _atom(self, how, operands):
        target, place, value = operands
        *where, what, kind = how
        if what != "add" or kind[0] == "f":
            raise NotImplementedError(what)
        at, kind, _ = self._accessed([*where, kind])
        size = bits_of(kind) // 8
        lines = [f'{kind} *to = ({kind} *){at}{self._address(place)}, {size}, "atom.{".".join(how)}");']
        if target != "_":
            lines.append(self._set(target, kind, "*to"))
        lines.append(f"*to = ({kind})(*to + {self._value(value, kind)});")
        return f"{{ {' '.join(lines)} }}"

    def _red(self, how, operands):
        return self._atom(how, ["_", *operands])

    def _bar(self, how, operands):
        if how[-1] != "sync" or operands != ["0"]:
            raise NotImplementedError(f"{how} {operands}")
        self.barriers += 1
        return f"thread->resumes_at = {self.barriers}; return 1; case {self.barriers}:;"

    def _barrier(self, how, operands):
        return self._bar(how, operands)

    def _bra(self, how, operands):
        return f"goto {self._label(operands[0])};"

    def _ret(self, how, operands):
        return "return 0;"

    def _exit(self, how, operands):
        return "return 0;"


def compiled(text, name, folder):
    """The address of a compiled kernel of a PTX text, for the fake driver; its files go to this folder."""
    source, library = (Path(folder) / f"kernel{len(list(Path(folder).iterdir()))}{suffix}" for suffix in (".c", ".so"))
    source.write_text(Translator(text, name).c())
    flags = ["-O1", "-march=native", "-ffp-contract=off", "-fwrapv", "-fno-strict-aliasing", "-w", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, source, "-o", library, "-lm"], check=True)
    return ctypes.addressof(ctypes.c_char.in_dll(ctypes.CDLL(str(library)), "kernel"))
