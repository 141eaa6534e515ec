"""Read heads of messages with llhttp, and hold its readings against the bytes.

llhttp is strict about what most attacks need, and lenient in a few places: it takes `HTTP/2.0` and
`RTSP/1.0` for versions, several spaces for one, a status `099`. So the first line is compared with what it
should be, byte for byte. Where a message ends llhttp's wrapper does not tell, so it is given heads only, cut
at their blank line; bodies are read by `chunks`, or counted.

Scope: bytes to names and values. What they mean is judged by `framing`.
"""

from __future__ import annotations

from typing import Final

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
    HttpResponseParser,
)

from sidecar.proxy.head import RequestHead, ResponseHead

HEAD_END: Final = b"\r\n\r\n"
_VERSIONS: Final = {b"HTTP/1.1": (1, 1), b"HTTP/1.0": (1, 0)}
# Everything a field may hold; what is left of a sound head without it is the ends of its lines.
_TEXT: Final = bytes({0x09, *range(0x20, 0x7F), *range(0x80, 0x100)})
_LINE_ENDS: Final = tuple(b"\r\n" * count for count in range(1024))


class MalformedHeadError(ValueError):
    """The bytes are no head of HTTP/1; they are not in the message."""

    def __init__(self) -> None:
        super().__init__("malformed head")


class UnknownMethodError(MalformedHeadError):
    """The bytes may be a head, with a method that llhttp does not know."""


class RawRequest:
    """A request's head as it was read: `names` and `values` belong together by position."""

    __slots__ = ("method", "names", "target", "values", "version")

    def __init__(
        self, method: bytes, target: bytes, version: tuple[int, int], names: list[bytes], values: list[bytes]
    ) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.names = tuple(names)
        self.values = values

    def head(self) -> RequestHead:
        return RequestHead(
            method=self.method.decode("ascii"),
            target=self.target,
            version=self.version,
            fields=tuple(zip(self.names, self.values, strict=True)),
        )


class RawResponse:
    """A response's head as it was read."""

    __slots__ = ("names", "reason", "status", "values", "version")

    def __init__(
        self, status: int, reason: bytes, version: tuple[int, int], names: list[bytes], values: list[bytes]
    ) -> None:
        self.status = status
        self.reason = reason
        self.version = version
        self.names = tuple(names)
        self.values = values

    def head(self) -> ResponseHead:
        return ResponseHead(
            status=self.status,
            reason=self.reason,
            version=self.version,
            fields=tuple(zip(self.names, self.values, strict=True)),
        )


class RequestParser:
    """Reads the heads of one connection, one after the other; each is fed whole or in pieces.

    A head that a body or another protocol follows leaves llhttp waiting for that; `renew_after_body` is to be
    called before the next head.
    """

    __slots__ = ("_is_done", "_is_whole", "_names", "_parser", "_target", "_values")

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self._parser: HttpRequestParser | None = None
        self._clear()

    def renew_after_body(self) -> None:
        if not self._is_done:
            self.renew()

    def _clear(self) -> None:
        self._is_whole = False
        self._is_done = False
        self._target = b""
        self._names: list[bytes] = []
        self._values: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        """Read a piece; raises `MalformedHeadError` where it cannot become a head any more."""
        if self._parser is None:
            self._parser = HttpRequestParser(self)
        try:
            self._parser.feed_data(piece)
        except HttpParserUpgrade:
            # The head is whole, and the parser waits for another protocol.
            self._is_done = False
        except HttpParserInvalidMethodError:
            raise UnknownMethodError from None
        except HttpParserError:
            raise MalformedHeadError from None

    def finish(self, head: bytes) -> RawRequest:
        """Return the head whose bytes, all of which were fed, are `head`."""
        if not self._is_whole or self._parser is None:
            raise MalformedHeadError
        method: bytes = self._parser.get_method()
        line = head[: head.index(b"\r\n")]
        version = _VERSIONS.get(line[-8:])
        if (
            version is None
            or line[:-8] != b"%b %b " % (method, self._target)
            or head.translate(None, _TEXT) != _line_ends(len(self._names) + 2)
        ):
            raise MalformedHeadError
        raw = RawRequest(method, self._target, version, self._names, self._values)
        is_done = self._is_done
        self._clear()
        self._is_done = is_done
        return raw

    def on_url(self, url: bytes) -> None:
        self._is_done = False
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._names.append(name)
        self._values.append(value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        self._is_whole = True

    def on_message_complete(self) -> None:
        self._is_done = True


class ResponseParser:
    """Reads the heads of one connection; see `RequestParser`, and `renew` before each but the first."""

    __slots__ = ("_is_whole", "_names", "_parser", "_values")

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self._parser: HttpResponseParser | None = None
        self._clear()

    def _clear(self) -> None:
        self._is_whole = False
        self._names: list[bytes] = []
        self._values: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        """Read a piece; raises `MalformedHeadError` where it cannot become a head any more."""
        if self._parser is None:
            self._parser = HttpResponseParser(self)
        try:
            self._parser.feed_data(piece)
        except (HttpParserError, HttpParserUpgrade):
            # After a 101 llhttp stops, with one error or another; the head is whole then.
            if not self._is_whole:
                raise MalformedHeadError from None

    def finish(self, head: bytes) -> RawResponse:
        """Return the head whose bytes, all of which were fed, are `head`."""
        line = head[: head.index(b"\r\n")]
        version = _VERSIONS.get(line[:8])
        code = line[8:13]
        # RFC 9112 §4 asks for a space before an empty reason, which many servers leave out.
        if len(code) == 4:
            code += b" "
        if (
            not self._is_whole
            or version is None
            or not (code[1:4].isdigit() and code[:1] == code[4:] == b" ")
            or head.translate(None, _TEXT) != _line_ends(len(self._names) + 2)
        ):
            raise MalformedHeadError
        raw = RawResponse(int(code[1:4]), line[13:], version, self._names, self._values)
        self._clear()
        return raw

    def on_header(self, name: bytes, value: bytes) -> None:
        self._names.append(name)
        self._values.append(value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        self._is_whole = True


def _line_ends(count: int) -> bytes:
    return _LINE_ENDS[count] if count < len(_LINE_ENDS) else b"\r\n" * count
