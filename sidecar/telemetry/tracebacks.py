"""Write an exception down without repeating what it was raised about.

`json.JSONDecodeError`, `ValueError`, `ssl.SSLError`: the message of an exception that is not ours is made
from the input that caused it, and our input is other people's tokens. So a foreign exception is written as
its type and where it happened, an `OSError` with the name of its number; ours carry messages meant for
everybody to read (`sidecar.errors`).

Scope: pure text from an exception. Source lines are the program's, and contain no values.
"""

from __future__ import annotations

import errno
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN_PACKAGE = "sidecar"
CAUSED = "The exception above was the direct cause of this one:"
DURING = "While the exception above was being handled:"


def describe(exc: BaseException) -> str:
    """Return `exc`, its causes and its parts, each with its traceback; messages only where they are ours."""
    return "\n".join(_lines(exc, seen=set()))


def _lines(exc: BaseException, *, seen: set[int]) -> Iterator[str]:
    seen.add(id(exc))
    origin = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    if origin is not None and id(origin) not in seen:
        yield from _lines(origin, seen=seen)
        yield CAUSED if exc.__cause__ else DURING
    for entry in traceback.format_tb(exc.__traceback__):
        yield entry.rstrip("\n")
    yield headline(exc)
    if isinstance(exc, BaseExceptionGroup):
        for part in exc.exceptions:
            if id(part) not in seen:
                yield from (f"  | {line}" for text in _lines(part, seen=seen) for line in text.split("\n"))


def headline(exc: BaseException) -> str:
    """Return one line: the type, and what may be said beside it."""
    kind = type(exc)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__.split(".")[0] == OWN_PACKAGE:
        return f"{name}: {exc}"
    number = errno.errorcode.get(exc.errno or 0) if isinstance(exc, OSError) else None
    return f"{name} [{number}]" if number else name
