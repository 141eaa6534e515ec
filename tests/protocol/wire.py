"""A second opinion on HTTP/1.1: read messages off raw bytes as strictly as RFC 9112 writes them.

What the proxy lets through is judged here, so nothing of the proxy is used: a fault that both sides share
would be found by nobody. Whatever a lenient reader might take in another way is an error.

Scope: pure. Sockets are `exchanges`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Field = tuple[bytes, bytes]

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.1")
_STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
WITHOUT_BODY = frozenset({b"204", b"304"})


class NotHttpError(ValueError):
    """These bytes are no HTTP/1.1 message, or one that two readers could read differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One whole message; `start` are the three parts of its first line, `end` is where the next begins."""

    start: tuple[bytes, ...]
    fields: list[Field]
    body: bytes
    trailers: list[Field]
    end: int

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all fields called `name` (lower-case)."""
        return [value for field, value in self.fields if field.lower() == name]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    data: bytes
    trailers: list[Field]
    end: int


def request_at(data: bytes, at: int = 0) -> Message | None:
    """Return the request that begins at `at`, nothing while it is incomplete."""
    head = _head_at(data, at)
    if head is None:
        return None
    lines, begin = head
    match = _REQUEST_LINE.fullmatch(lines[0])
    if not match:
        raise NotHttpError(lines[0])
    fields = _fields(lines[1:])
    if len(_values(fields, b"host")) != 1:
        raise NotHttpError("not exactly one Host")
    kind, length = _framing(fields)
    body = _body_at(data, begin, kind=kind or "length", length=length)
    if body is None:
        return None
    start = (match[1], match[2], b"HTTP/1.1")
    return Message(start=start, fields=fields, body=body.data, trailers=body.trailers, end=body.end)


def answer_at(data: bytes, at: int = 0, *, method: bytes = b"GET", has_ended: bool = False) -> Message | None:
    """Return the answer that begins at `at`, nothing while it is incomplete.

    `has_ended` says that the connection was closed in good order, which ends a body without a length.
    """
    head = _head_at(data, at)
    if head is None:
        return None
    lines, begin = head
    match = _STATUS_LINE.fullmatch(lines[0])
    if not match:
        raise NotHttpError(lines[0])
    fields = _fields(lines[1:])
    kind, length = _framing(fields)
    if match[2].startswith(b"1") or match[2] in WITHOUT_BODY or method == b"HEAD":
        body: _Body | None = _Body(data=b"", trailers=[], end=begin)
    elif not kind:
        body = _Body(data=data[begin:], trailers=[], end=len(data)) if has_ended else None
    else:
        body = _body_at(data, begin, kind=kind, length=length)
    if body is None:
        return None
    start = (match[1], match[2], match[3])
    return Message(start=start, fields=fields, body=body.data, trailers=body.trailers, end=body.end)


def _head_at(data: bytes, at: int) -> tuple[list[bytes], int] | None:
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        return None
    lines = bytes(data[at:end]).split(b"\r\n")
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise NotHttpError("a bare CR or LF in the head")
    return lines, end + 4


def _fields(lines: list[bytes]) -> list[Field]:
    matches = [_FIELD.fullmatch(line) for line in lines]
    if not all(matches):
        raise NotHttpError("a malformed field")
    return [(match[1], match[2]) for match in matches if match]


def _values(fields: list[Field], name: bytes) -> list[bytes]:
    return [value for field, value in fields if field.lower() == name]


def _framing(fields: list[Field]) -> tuple[str, int]:
    codings, lengths = _values(fields, b"transfer-encoding"), _values(fields, b"content-length")
    if len(codings) + len(lengths) > 1:
        raise NotHttpError("framed more than once")
    if codings:
        if codings[0].lower() != b"chunked":
            raise NotHttpError("an odd transfer coding")
        return "chunked", 0
    if not lengths:
        return "", 0
    if not _LENGTH.fullmatch(lengths[0]):
        raise NotHttpError("an odd length")
    return "length", int(lengths[0])


def _body_at(data: bytes, at: int, *, kind: str, length: int) -> _Body | None:
    if kind == "chunked":
        return _chunked_at(data, at)
    if len(data) - at < length:
        return None
    return _Body(data=bytes(data[at : at + length]), trailers=[], end=at + length)


def _chunked_at(data: bytes, at: int) -> _Body | None:
    body = b""
    while (end := data.find(b"\r\n", at)) >= 0:
        match = _CHUNK_SIZE.fullmatch(data, at, end)
        if not match:
            raise NotHttpError("an odd chunk size")
        size, at = int(match[1], 16), end + 2
        if not size:
            return _trailers_at(data, at, body)
        if len(data) < at + size + 2:
            return None
        if data[at + size : at + size + 2] != b"\r\n":
            raise NotHttpError("a chunk that does not end where it should")
        body, at = body + data[at : at + size], at + size + 2
    return None


def _trailers_at(data: bytes, at: int, body: bytes) -> _Body | None:
    if data[at : at + 2] == b"\r\n":
        return _Body(data=body, trailers=[], end=at + 2)
    head = _head_at(data, at)
    return None if head is None else _Body(data=body, trailers=_fields(head[0]), end=head[1])
