"""The description of the machine: CPU, cores, caches, versions."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

import lrkern as lk
from lrkern.bench.rivals import limits

VERSIONS = ("numpy", "numba", "torch", "optax", "jax", "pytest-benchmark")


def cpu() -> str:
    """The CPU's model name."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.processor() or platform.machine()


def caches() -> dict[str, str]:
    """Level -> size of each cache that the first core has or shares."""
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            found[f"L{level}"] = size
    return found


def memory() -> str:
    """The size of the memory."""
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):
        return ""


def versions() -> dict[str, str]:
    """The versions of the packages involved, if installed."""
    found = {"lrkern": lk.info()["version"]}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def describe() -> dict[str, Any]:
    """The whole description, in JSON types."""
    info = lk.info()
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "caches": caches(),
        "memory": memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions(),
        "isa": info["isa"],
        "isas": list(info["isas"]),
        "threads": info["threads"],
        "streaming_stores": limits.streaming_stores(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def file_name(machine: dict[str, Any]) -> str:
    """<cpu>-<isa>-<date>.json, in letters, digits and dashes."""
    words = re.sub(r"\((?:R|TM)\)|CPU|@", " ", machine["cpu"])
    name = "-".join(re.findall(r"[A-Za-z0-9.]+", f"{words} {machine['cores']} cores {machine['isa']}")).lower()
    return f"{name}-{machine['date']}.json"


def sentence(machine: dict[str, Any]) -> str:
    """A sentence that describes the machine."""
    caches = ", ".join(f"{level} {size}" for level, size in machine["caches"].items())
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores ({caches}), lrkern with {machine['threads']} threads on "
        f"{machine['isa']}; {machine['date']}; Python {machine['python']}, {versions}."
    )
