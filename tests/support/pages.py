"""Code blocks of documentation pages: they run, and comments tell what comes out."""

from __future__ import annotations

import ast
import linecache
import re
from pathlib import Path
from typing import Any


def run(page: Path, language: str) -> int:
    """Run the blocks of a page in one namespace; returns their number.

    Numbers at the start of a comment after a call of print or of a schedule are the result.
    """
    namespace: dict[str, Any] = {}
    blocks = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.S | re.M)
    for k, block in enumerate(blocks):
        name = f"<{page.name}, block {k}>"
        linecache.cache[name] = len(block), None, block.splitlines(True), name  # rules are read from their source
        for statement in ast.parse(block).body:
            text = ast.get_source_segment(block, statement)
            line = block.splitlines()[statement.end_lineno - 1]
            comment = line.partition("#")[2].strip()
            if not (text.startswith("print(") and comment):
                exec(compile(ast.Module([statement], []), name, "exec"), namespace)  # decorators included
            if text.startswith("lr(") and comment:
                assert repr(eval(text, namespace)) == comment.split(",")[0]
            if text.startswith("print(") and comment:
                value = eval(f"({text.removeprefix('print(').removesuffix(')')},)", namespace)
                assert " ".join(map(str, value)) == comment
    return len(blocks)
