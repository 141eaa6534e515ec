"""Read the fields of a request one by one, and say what is wrong without repeating it.

A message that quotes what it refuses prints a token that stood in the wrong field. So a message names the
field and what is accepted, and nothing of what was sent.

Scope: pure checks of single values. What they make together is `imports` and `listing`.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

from sidecar.errors import BadRequestError
from sidecar.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# RFC 6749 appendix A.12 allows the space as well, but at the end of a field value it would be lost.
TOKEN: Final = re.compile(r"[\x21-\x7e]+")
TOKEN_CHARS: Final = 16 * 1024
"""The longest tokens known are Microsoft's, below 8 KiB; request heads end at 32 KiB."""
# RFC 6749 §3.3.
SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
# The year 5138; an instant in milliseconds is always later.
LATEST_INSTANT: Final = 1e11


def refuse_unknown(names: Iterable[str], known: Sequence[str]) -> None:
    """Raise `BadRequestError` where one of `names` is not among `known`."""
    unknown = next((name for name in names if name not in known), None)
    if unknown is None:
        return
    close = difflib.get_close_matches(unknown.lower(), known, n=1)
    advice = f"Did you mean `{close[0]}`? " if close else ""
    raise BadRequestError(f"There is an unknown field. {advice}Known are: {', '.join(known)}.")


def text(fields: Mapping[str, object], name: str, *, longest: int) -> str:
    """Return the text in `name`; empty where it is absent, which is the same."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest or CONTROL.search(value):
        raise BadRequestError(
            f"`{name}` must be a text of at most {longest} characters without control characters."
        )
    return value


def token(fields: Mapping[str, object], name: str) -> Secret | None:
    """Return the token in `name`; it will stand in a header field, so it must fit in one."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > TOKEN_CHARS or not TOKEN.fullmatch(value):
        raise BadRequestError(
            f"`{name}` must be a text of 1 to {TOKEN_CHARS} visible ASCII characters without spaces."
        )
    return Secret(value)


def instant(fields: Mapping[str, object], name: str) -> float | None:
    """Return the epoch seconds in `name`."""
    value = fields.get(name)
    if value is None:
        return None
    # Not a number and infinity fail the comparison.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST_INSTANT:
        raise BadRequestError(f"`{name}` must be a number of seconds since 1970 (not milliseconds).")
    return float(value)


def scopes(fields: Mapping[str, object], name: str) -> frozenset[str] | None:
    """Return the scopes in `name`, a list or one text with spaces between them; none where absent."""
    value = fields.get(name)
    if value is None:
        return None
    parts = value.split() if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(s, str) and SCOPE.fullmatch(s) for s in parts):
        raise BadRequestError(f"`{name}` must be a list of scopes, or one text with spaces between them.")
    return frozenset(parts)


def count(fields: Mapping[str, object], name: str, *, default: int, most: int) -> int:
    """Return the number that stands as text in `name`, from 1 to `most`."""
    value = fields.get(name, str(default))
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,6}", value) or not 1 <= int(value) <= most:
        raise BadRequestError(f"`{name}` must be a number from 1 to {most}.")
    return int(value)
