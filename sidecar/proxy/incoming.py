"""One request from a caller, and the way back to that caller.

What was promised in an answer's head is kept or the connection is cut: a caller must be able to tell an
answer that ended from one that broke. And whatever happens, a request is over exactly once.

Scope: one request; its connection is `caller`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from sidecar.proxy.bodies import check_size
from sidecar.proxy.chunks import chunk_of, last_chunk
from sidecar.proxy.head import BodyKind, lines_of
from sidecar.web.problem import problem_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sidecar.errors import SidecarError
    from sidecar.proxy.answers import AnswerHead
    from sidecar.proxy.framing import BodyFraming
    from sidecar.proxy.gate import Arrival
    from sidecar.proxy.head import Fields, RequestHead
    from sidecar.proxy.legs import CallerLine, Carrier
    from sidecar.proxy.parsing import RawRequest
    from sidecar.proxy.records import Record, Recorder

CLOSE: Final = b"Connection: close\r\n"
END: Final = b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """How long a request's body may pause, in seconds, and how large it may be, without end by default.

    The pause is counted only while we wait for the caller, never while a slow provider makes us hold back.
    """

    timeout: float = 30.0
    size_bytes: int | None = None


class Incoming:
    """A request being served.

    `carrier` is whoever has to hear of the caller, `task` what is being waited for; both are set by their
    owners. `keeps_alive` says whether the connection is to go on. `on_over` is called once, at the end.
    """

    __slots__ = (
        "_buffer",
        "_connection",
        "_head",
        "_kind",
        "arrival",
        "body",
        "carrier",
        "is_over",
        "keeps_alive",
        "on_over",
        "raw",
        "record",
        "recorder",
        "task",
    )

    record: Record
    recorder: Recorder
    on_over: Callable[[Incoming], None]

    def __init__(self, connection: CallerLine, raw: RawRequest, arrival: Arrival) -> None:
        self._connection = connection
        self._head: RequestHead | None = None
        self._kind = BodyKind.NONE
        self._buffer: list[bytes] = []
        self.raw = raw
        self.arrival = arrival
        self.body: BodyFraming | None = None
        self.carrier: Carrier | None = None
        self.task: asyncio.Task[None] | None = None
        # Until the rules have said where the request ends, nobody knows where the next one begins.
        self.keeps_alive = False
        self.is_over = False

    @property
    def connection(self) -> CallerLine:
        return self._connection

    @property
    def head(self) -> RequestHead:
        """The request's head as the rules read it."""
        if self._head is None:
            self._head = self.raw.head()
        return self._head

    def expect_body(self, body: BodyFraming) -> None:
        """Take note of the body to come; raises `BodyTooLargeError` where its length already says so."""
        self.body = body
        check_size(body.length, self._connection.most_body_bytes)

    def interim(self, head: bytes) -> None:
        """Send a 1xx answer; HTTP/1.0 knows none (RFC 9110 §15.2)."""
        if self.raw.version >= (1, 1):
            self._connection.write(head)

    def start(self, answer: AnswerHead) -> None:
        """Begin the final answer; it goes out with the next `flush`."""
        self.record.status = answer.status
        self._kind = answer.kind
        if answer.kind is BodyKind.UNTIL_CLOSE:
            self.keeps_alive = False
        self._buffer.append(answer.lines)
        self._buffer.append(END if self.keeps_alive else CLOSE + END)

    def write(self, data: bytes) -> None:
        """Add a piece of the answer's body; it goes out with the next `flush`."""
        self.record.bytes_down += len(data)
        self._buffer.append(chunk_of(data) if self._kind is BodyKind.CHUNKED else data)

    def flush(self) -> None:
        """Send what was added."""
        buffer = self._buffer
        if not buffer:
            return
        self._buffer = []
        self._connection.write(buffer[0] if len(buffer) == 1 else b"".join(buffer))

    def finish(self, trailers: Fields = ()) -> None:
        """End the answer properly."""
        if self._kind is BodyKind.CHUNKED:
            self._buffer.append(last_chunk(trailers))
        self.flush()
        self.record.is_complete = True
        self._over()
        self._connection.answered(stays=self.keeps_alive)

    def refuse(self, error: SidecarError, *, request_id: str) -> None:
        """Answer with a problem, or cut the connection where an answer has begun."""
        if self.is_over:
            return
        if self.record.status:
            self.abort()
            return
        self._let_go()
        self.keeps_alive = self._connection.has_read(self.body) and self.keeps_alive
        answer = problem_bytes(
            error, request_id=request_id, is_head=self.raw.method == b"HEAD", stays=self.keeps_alive
        )
        self.record.status = error.status
        self.record.bytes_down += len(answer) - answer.index(b"\r\n\r\n") - 4
        self._connection.write(answer)
        self._over()
        self._connection.answered(stays=self.keeps_alive)

    def abort(self) -> None:
        """Cut the connection, so that what was sent cannot pass for a whole answer."""
        if self.is_over:
            return
        self._let_go()
        self.flush()
        self._over()
        self._connection.cut(resets=self._kind is BodyKind.UNTIL_CLOSE)

    def ended(self) -> None:
        """Take note that both sides have closed what came after a 101."""
        if not self.is_over:
            self.record.is_complete = True
            self._over()
            self._connection.cut(resets=False)

    def caller_gone(self) -> None:
        if self.is_over:
            return
        self._let_go()
        self._over()
        if self.task is not None:
            self.task.cancel()

    def caller_full(self) -> None:
        if self.carrier is not None:
            self.carrier.caller_full()

    def caller_ready(self) -> None:
        if self.carrier is not None:
            self.carrier.caller_ready()

    def _let_go(self) -> None:
        """End what is still being carried: nothing of it may reach whoever is served next."""
        if self.carrier is not None:
            self.carrier.caller_gone()

    def _over(self) -> None:
        self.is_over = True
        self.carrier = None
        self.on_over(self)


def problem_bytes(
    error: SidecarError, *, request_id: str, is_head: bool = False, stays: bool = False
) -> bytes:
    """Return an answer of ours as it goes on the wire."""
    problem = problem_of(error, request_id=request_id)
    fields = [(name.encode("ascii"), value.encode("latin-1")) for name, value in problem.headers]
    if not stays:
        fields.append((b"Connection", b"close"))
    start = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}".encode("ascii")
    return lines_of(start, fields) + (b"" if is_head else problem.body)
