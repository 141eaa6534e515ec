"""Heads of HTTP messages as they stood on the wire: bytes, in order, repetitions included.

What a framework offers as headers has been decoded, folded into a mapping and titled; a proxy that is
"unchanged" in its promises cannot work on that. So every rule of the data plane reads and gives these.

Scope: values and the few questions all rules ask of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

Field = tuple[bytes, bytes]
"""Name and value, the optional white space around the value removed (RFC 9110 §5.5)."""
Fields = tuple[Field, ...]

TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 §5.6.2."""
FIELD_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
"""RFC 9110 §5.5: no control character but the tab; obs-text is passed on as it is."""


class BodyKind(StrEnum):
    """How the end of a body is found (RFC 9112 §6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until_close"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """A request line and its fields; `target` is exactly what stood between the two spaces."""

    method: str
    target: bytes
    version: tuple[int, int] = (1, 1)
    fields: Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """A status line and its fields."""

    status: int
    reason: bytes
    version: tuple[int, int] = (1, 1)
    fields: Fields


def values_of(fields: Fields, name: bytes) -> list[bytes]:
    """Return the values of all fields called `name` (lower-case), in order."""
    return [value for field, value in fields if field.lower() == name]


def members_of(fields: Fields, name: bytes) -> list[bytes]:
    """Return the members of a comma-separated list field, lower-cased (RFC 9110 §5.6.1)."""
    joined = b",".join(values_of(fields, name))
    return [member for part in joined.split(b",") if (member := part.strip(b" \t").lower())]


def family(name: bytes) -> bytes:
    """Return `name` as a CGI-like server reads it: in any case, and `_` is `-` (RFC 3875 §4.1.18)."""
    return name.lower().replace(b"_", b"-")


def lines_of(start: bytes, fields: Iterable[Field]) -> bytes:
    """Return the head as it goes on the wire."""
    return b"".join((start, b"\r\n", *(b"%b: %b\r\n" % field for field in fields), b"\r\n"))
