"""How a listener receives: what its connections share, how long they may take, and how a head is read.

Scope: bytes to heads, and limits. A connection's life is `caller`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Protocol

from sidecar.errors import BadRequestError, HeadTooLargeError, MethodNotAllowedError
from sidecar.proxy.incoming import problem_bytes
from sidecar.proxy.parsing import HEAD_END, MalformedHeadError, RequestParser, UnknownMethodError
from sidecar.telemetry.context import new_request_id

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sidecar.errors import SidecarError
    from sidecar.proxy.deadlines import Deadlines
    from sidecar.proxy.incoming import BodyLimits, Incoming
    from sidecar.proxy.parsing import RawRequest
    from sidecar.web.strict_handler import HeadLimits

KEEPALIVE_TIMEOUT: Final = 75.0
"""Seconds an idle connection is kept: nginx's keepalive_timeout."""
LINGER: Final = 2.0
"""Seconds for a caller to take our last answer while its unread bytes are thrown away (RFC 9112 §9.6)."""
STALL_TIMEOUT: Final = 900.0
"""Seconds for which a caller may take nothing of an answer: as long as a provider may be silent."""
WRITE_BYTES: Final = 32 * 1024
"""What waits for a slow caller before the provider is held back; one read more may follow."""
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ ")


class State(Enum):
    """What a caller's connection is there for just now."""

    READY = auto()  # for the first byte of a head, or the next one
    SERVING = auto()  # a request whose further bytes, if any, wait
    BODY = auto()  # of the request being served
    TUNNEL = auto()  # other people's protocol
    ENDING = auto()  # what we had to say is said; what comes is thrown away
    CLOSED = auto()


class Open(Protocol):
    """A connection that is open, as its listener sees it."""

    transport: asyncio.Transport

    def stop(self) -> None:
        """End at once if nothing is being served."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """What the connections of one listener share; `open` are the connections there are, `most` their bound.

    `serve` takes each request, `count` the code of each refusal that never was a request.
    """

    serve: Callable[[Incoming], None]
    heads: HeadLimits
    bodies: BodyLimits
    deadlines: Deadlines
    count: Callable[[str], None]
    is_local: bool
    open: set[Open]
    most: int

    def refusal(self, error: SidecarError) -> bytes:
        """Count what is no request, and return the answer to it."""
        self.count(error.code)
        return problem_bytes(error, request_id=new_request_id())


class HeadReader:
    """Finds the heads of one connection's requests in its bytes, each looked at once."""

    __slots__ = ("_limit", "_parser", "_seen")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parser = RequestParser()
        self._seen = 0

    @property
    def has_begun(self) -> bool:
        return self._seen > 0

    def read(self, waiting: bytes) -> tuple[RawRequest | None, bytes]:
        """Return the head at the beginning of `waiting`, if it is there whole, and what is left to wait.

        Raises `BadRequestError`, `MethodNotAllowedError` and `HeadTooLargeError`.
        """
        if not self._seen and waiting[0] in b"\r\n":
            # RFC 9112 §2.2: empty lines before a request are a habit of old clients.
            waiting = waiting.lstrip(b"\r\n")
            if not waiting:
                return None, b""
        end = waiting.find(HEAD_END, max(self._seen - 3, 0), self._limit)
        try:
            if end < 0:
                self._parser.feed(waiting[self._seen :])
                self._seen = len(waiting)
                self._check_size()
                return None, waiting
            end += len(HEAD_END)
            head = waiting[:end]
            self._parser.feed(head[self._seen :] if self._seen else head)
            raw = self._parser.finish(head)
        except UnknownMethodError:
            if _METHOD.match(waiting):
                raise MethodNotAllowedError("The method is not known here.", status=501) from None
            raise BadRequestError("The request's head is malformed (RFC 9112).") from None
        except MalformedHeadError:
            raise BadRequestError("The request's head is malformed (RFC 9112).") from None
        self._seen = 0
        return raw, waiting[end:]

    def skip_body(self) -> None:
        """Take note that the last request is over, and whatever followed its head was read by others."""
        self._parser.renew_after_body()

    def close(self) -> None:
        """Let the parser go, which holds on to us."""
        self._parser.renew()

    def _check_size(self) -> None:
        if self._seen >= self._limit:
            raise HeadTooLargeError(f"A request head may have {self._limit} bytes.")
