"""Read HTTP/1.1 requests exactly as they stand on the wire.

A test of a proxy asks about the very bytes: the order and spelling of fields, a field that came twice, the
target before anybody decoded it. Frameworks tidy these up, so the boxes read requests themselves.

Scope: requests (RFC 9112), heads up to `HEAD_BYTES`; bodies stream and are hashed as they pass.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable

Fields = tuple[tuple[str, str], ...]

# Four times what proxies and servers commonly accept (nginx 32 KiB, llhttp 80 KiB): a box is never the limit.
HEAD_BYTES: Final = 256 * 1024
BLOCK_BYTES: Final = 64 * 1024
# Enough of a body to assert on a form or a JSON document; the rest is only counted and hashed.
KEPT_BYTES: Final = 8 * 1024


class MalformedRequestError(Exception):
    """What arrived is no HTTP/1.1 request."""


class Body:
    """A request's body: an asynchronous iterator of blocks that counts and hashes what passes.

    `start` is the first 8 KiB. `is_complete` says whether the end was reached; an upload that broke off
    never is. `trailers` are known once it is.
    """

    __slots__ = (
        "_before_reading",
        "_digest",
        "_left",
        "_reader",
        "is_complete",
        "length",
        "start",
        "trailers",
    )

    def __init__(
        self, reader: asyncio.StreamReader, *, length: int | None, before_reading: Callable[[], None]
    ) -> None:
        self._reader = reader
        self._left = length
        self._before_reading: Callable[[], None] | None = before_reading
        self._digest = hashlib.sha256()
        self.length = 0
        self.start = b""
        self.trailers: Fields = ()
        self.is_complete = length == 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    async def read(self) -> bytes:
        """Take the whole body and return its first 8 KiB."""
        async for _ in self:
            pass
        return self.start

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.is_complete:
            return
        if self._before_reading is not None:
            self._before_reading()
            self._before_reading = None
        async for block in self._chunked() if self._left is None else self._counted(self._left):
            self._passed(block)
            yield block
        self.is_complete = True

    def _passed(self, block: bytes) -> None:
        self._digest.update(block)
        self.length += len(block)
        if len(self.start) < KEPT_BYTES:
            self.start += block[: KEPT_BYTES - len(self.start)]

    async def _counted(self, left: int) -> AsyncIterator[bytes]:
        while left:
            block = await self._reader.read(min(left, BLOCK_BYTES))
            if not block:
                raise ConnectionResetError("the request's body broke off")
            left -= len(block)
            self._left = left
            yield block

    async def _chunked(self) -> AsyncIterator[bytes]:
        while size := await self._chunk_size():
            async for block in self._exactly(size):
                yield block
            if await self._reader.readexactly(2) != b"\r\n":
                raise MalformedRequestError("a chunk is longer than it said")
        self.trailers = fields_of(await self._trailer_section())

    async def _chunk_size(self) -> int:
        line = await self._reader.readuntil(b"\r\n")
        try:
            return int(line.split(b";", 1)[0].strip(), 16)
        except ValueError as exc:
            raise MalformedRequestError("a chunk without a size") from exc

    async def _exactly(self, size: int) -> AsyncIterator[bytes]:
        while size:
            block = await self._reader.read(min(size, BLOCK_BYTES))
            if not block:
                raise ConnectionResetError("the request's body broke off")
            size -= len(block)
            yield block

    async def _trailer_section(self) -> list[bytes]:
        lines: list[bytes] = []
        while (line := await self._reader.readuntil(b"\r\n")) != b"\r\n":
            lines.append(line[:-2])
        return lines


class Request:
    """One request: `method`, raw `target`, `version`, `headers` in order as sent, `body`.

    `user` and `account` say whose live access token it carried, once a provider looked.
    """

    __slots__ = ("account", "body", "headers", "method", "target", "user", "version")

    def __init__(self, method: str, target: str, version: str, *, headers: Fields, body: Body) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers
        self.body = body
        self.user: str | None = None
        self.account: str | None = None

    def __repr__(self) -> str:
        return f"<{self.method} {self.path}>"

    @property
    def path(self) -> str:
        return self.target.split("?", 1)[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def keeps_connection(self) -> bool:
        wanted = (self.header("connection") or "").lower()
        return self.version == "HTTP/1.1" and "close" not in wanted

    def header(self, name: str) -> str | None:
        """Return the first field of that name, in any case, or nothing."""
        return next(iter(self.header_values(name)), None)

    def header_values(self, name: str) -> list[str]:
        return [value for field, value in self.headers if field.lower() == name.lower()]


async def read_request(reader: asyncio.StreamReader, *, on_expect: Callable[[], None]) -> Request:
    """Return the next request; `on_expect` is called before the body of one with `Expect: 100-continue`.

    Raises `IncompleteReadError` where the connection ended, `MalformedRequestError` for anything else.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    parts = first.decode("latin-1").split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/"):
        raise MalformedRequestError("no request line")
    headers = fields_of(lines)
    expects = any(name.lower() == "expect" and value.lower() == "100-continue" for name, value in headers)
    body = Body(reader, length=_body_length(headers), before_reading=on_expect if expects else _nothing)
    return Request(parts[0], parts[1], parts[2], headers=headers, body=body)


def fields_of(lines: list[bytes]) -> Fields:
    """Split field lines; only the optional white space around a value (RFC 9110 §5.5) is removed."""
    fields: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise MalformedRequestError("a field without a colon")
        fields.append((name, value.strip(" \t")))
    return tuple(fields)


def _body_length(headers: Fields) -> int | None:
    """Return the length, 0 where there is no body, nothing for chunked (RFC 9112 §6.3)."""
    found = {name.lower(): value for name, value in headers}
    if "transfer-encoding" in found:
        return None
    try:
        return int(found.get("content-length", "0"))
    except ValueError as exc:
        raise MalformedRequestError("a Content-Length that is no number") from exc


def _nothing() -> None: ...
