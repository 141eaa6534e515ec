"""The shape our code keeps: what a file, a function and a signature may be.

A rule that is only written down is broken first where nobody looks, so these are counted.
"""

from __future__ import annotations

import ast
import io
import tokenize
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_LINES = 300
FUNCTION_LINES = 45
SUPPRESSIONS_PER_1000 = 2.0
SUPPRESSIONS = ("type: ignore", "noqa", "pragma: no")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def violations(path: Path) -> Iterator[str]:
    """Yield what is wrong with one module, a line each."""
    source = path.read_text()
    tree = ast.parse(source)
    lines = len(source.splitlines())
    if lines > FILE_LINES:
        yield f"{path.name}: {lines} lines, more than {FILE_LINES}"
    if ast.get_docstring(tree) is None:
        yield f"{path.name}: no docstring"
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield from _function_violations(path.name, node)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
            yield f"{path.name}:{node.lineno}: class {node.name} has no docstring"


def suppressions(path: Path) -> int:
    """Count the comments that silence a tool."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    return sum(t.type == tokenize.COMMENT and any(word in t.string for word in SUPPRESSIONS) for t in tokens)


def _function_violations(file: str, function: Function) -> Iterator[str]:
    lines = _code_lines(function)
    if lines > FUNCTION_LINES:
        yield f"{file}:{function.lineno}: {function.name} has {lines} lines, more than {FUNCTION_LINES}"
    arguments = function.args
    everything = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    bare = [a.arg for a in everything if a.annotation is None and a.arg not in ("self", "cls")]
    if bare:
        yield f"{file}:{function.lineno}: {function.name} has no annotation for {', '.join(bare)}"


def _code_lines(function: Function) -> int:
    """Lines from `def` to the end, without the docstring."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    if is_text and isinstance(first.value.value, str):
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total
