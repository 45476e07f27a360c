"""Rules of the user's own as machine code, registered in the C library: `known_to_c`.

LLVM compiles a rule within 20 ms (`llvm_text`), less than a cache on disk would save. Numba brings LLVM along, as llvmlite;
nothing else of it is needed.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from lrkern import _core
from lrkern._optional import require
from lrkern.rules.llvm_text import llvm_text

if TYPE_CHECKING:
    from lrkern.rules.lowering import Parts

_lock = threading.Lock()
_kept: list[Any] = []
"""What owns the code, which the C library uses until the process ends."""


def known_to_c(where: str, name: str, parts: Parts) -> None:
    """Compile a rule and register it under this name, if that has not been done.

    Raises:
        ImportError: LLVM is missing.
    """
    if _core.knows_rule(name):
        return
    llvm = require("llvmlite.binding", install="'lrkern[numba]'", what=f"{where}: a rule of your own")
    with _lock:
        if not _core.knows_rule(name):
            _register(llvm, name, parts)


def _register(llvm: Any, name: str, parts: Parts) -> None:
    functions = ["update_f32", "update_f64"]
    functions += ["scalars"] if parts.coefs else []
    functions += ["new_scalar_states"] if parts.scalar_states else []
    functions += ["measure_f32", "measure_f64"] if parts.needs_norms else []
    engine = _compiled(llvm, llvm_text(parts, typed_pointers=llvm.llvm_version_info[0] < 17))
    _kept.append(engine)
    _core.register_rule(
        name,
        [one.name for one in parts.hypers],
        len(parts.states),
        len(parts.scalar_states),
        len(parts.coefs),
        ("sum" if parts.measures_sum else "norm") if parts.needs_norms else None,
        {one: engine.get_function_address(one) for one in functions},
    )


def _compiled(llvm: Any, text: str) -> Any:
    """An engine with the code of a module, for this processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for name, address in _core.RULE_WORDS.items():
        llvm.add_symbol(name, address)
    module = llvm.parse_assembly(text)
    module.verify()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True
    )
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine
