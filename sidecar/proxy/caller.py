"""One connection from a caller: its requests, one after the other, and the way back.

A request is read as far as its head; then its bytes wait, unread beyond a bound, until somebody wants its
body. So a refusal needs no body, a caller who sends too early is held back by TCP itself, and the next
request is not looked at before this one's answer is on its way.

Nothing of what could not be read is repeated, in the answer or in the log.

Scope: bytes in and out, their deadlines and bounds. What a request means is `handler`'s, its exchange with a
provider `exchange`'s.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from sidecar.errors import OverloadedError, RequestTimeoutError, SidecarError
from sidecar.proxy.bodies import Upload, without_body
from sidecar.proxy.deadlines import NEVER
from sidecar.proxy.farewell import end_output
from sidecar.proxy.gate import Arrival
from sidecar.proxy.incoming import Incoming
from sidecar.proxy.intake import Intake, reset_on_close
from sidecar.proxy.receiving import SHARED
from sidecar.proxy.reception import KEEPALIVE_TIMEOUT, LINGER, STALL_TIMEOUT, WRITE_BYTES, HeadReader, State

if TYPE_CHECKING:
    from sidecar.proxy.framing import BodyFraming
    from sidecar.proxy.legs import BodySink
    from sidecar.proxy.reception import Reception


class CallerConnection(asyncio.BufferedProtocol):
    """A caller's connection; see `legs.CallerLine` for what it promises those who serve it.

    `_waiting` are bytes that were received and not looked at; of a head that is not whole, all of them.
    """

    __slots__ = (
        "_arrival",
        "_heads",
        "_incoming",
        "_intake",
        "_is_pumping",
        "_is_unread",
        "_loop",
        "_reception",
        "_state",
        "_tunnel",
        "_upload",
        "_waiting",
        "deadline",
        "is_full",
        "transport",
    )

    transport: asyncio.Transport
    _intake: Intake

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._loop = asyncio.get_running_loop()
        self._heads = HeadReader(reception.heads.size_bytes)
        self._state = State.READY
        self._waiting = b""
        self._incoming: Incoming | None = None
        self._upload: Upload | None = None
        self._tunnel: BodySink | None = None
        self._is_pumping = False
        self._is_unread = False
        self.is_full = False
        self.deadline = NEVER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=WRITE_BYTES)
        self._intake = Intake(self.transport)
        reception = self._reception
        name = None if reception.is_local else transport.get_extra_info("sockname")
        self._arrival = Arrival(address=name[0] if name else None)
        reception.open.add(self)
        reception.deadlines.watch(self)
        self.deadline = self._loop.time() + KEEPALIVE_TIMEOUT
        if len(reception.open) > reception.most:
            self._refuse_head(OverloadedError("Too many connections are open.", retry_after=1.0))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended changes nothing
        self._state = State.CLOSED
        self._reception.open.discard(self)
        self._reception.deadlines.forget(self)
        self._heads.close()
        self._waiting = b""
        if self._incoming is not None:
            self._incoming.caller_gone()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - one size for all
        return SHARED

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(SHARED[:nbytes])
        if self._state is State.READY:
            self._waiting = self._waiting + data if self._waiting else data
            self._pump()
        elif self._state is State.BODY:
            self._read_body(data)
        elif self._state is State.SERVING:
            self._waiting += data
            self._intake.update(len(self._waiting))
        elif self._tunnel is not None:
            self._tunnel.body(data)

    def eof_received(self) -> bool | None:
        """Take the end of input for a hang-up, as servers do: nobody can tell a half-close from it.

        In a tunnel the other side is told, and this side stays open for it.
        """
        if self._tunnel is not None:
            self._tunnel.body_ended(())
            return True
        return None

    def pause_writing(self) -> None:
        self.is_full = True
        if self._state is not State.ENDING:
            self.deadline = self._loop.time() + STALL_TIMEOUT
        if self._incoming is not None:
            self._incoming.caller_full()

    def resume_writing(self) -> None:
        self.is_full = False
        if self._incoming is not None:
            self._expect_more()
            self._incoming.caller_ready()
        elif self._state is State.READY:
            self._await_next()
            self._pump()

    def expire(self) -> None:
        """Act on a deadline that has passed."""
        self.deadline = NEVER
        if self.is_full or self._state in (State.ENDING, State.TUNNEL):
            self.transport.abort()
        elif self._state is State.BODY and self._upload is not None:
            self._upload.sink.body_failed(RequestTimeoutError("The request's body stalled."))
        elif self._state is State.READY and self._waiting:
            self._refuse_head(RequestTimeoutError())
        elif self._state is State.READY:
            self._close()

    # What a request and its exchange ask for: `legs.CallerLine`.

    def send_body_to(self, sink: BodySink, framing: BodyFraming) -> None:
        self._upload = Upload(sink, framing, limit=self.most_body_bytes)
        self._state = State.BODY
        self._expect_more()
        waiting, self._waiting = self._waiting, b""
        self._read_body(waiting)
        self._intake.update(len(self._waiting))

    def begin_tunnel(self, sink: BodySink) -> None:
        self._tunnel = sink
        self._state = State.TUNNEL
        waiting, self._waiting = self._waiting, b""
        if waiting:
            sink.body(waiting)
        self._intake.update(len(self._waiting))

    def hold(self) -> None:
        self._intake.hold()
        self._expect_more()

    def go(self) -> None:
        self._intake.go(len(self._waiting))
        self._expect_more()

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def has_read(self, framing: BodyFraming | None) -> bool:
        if self._upload is None:
            rest = without_body(self._waiting, framing)
            self._is_unread = self._is_unread or rest is None
            self._waiting = rest or b""
        return not self._is_unread and self._state is not State.BODY

    def answered(self, *, stays: bool) -> None:
        self._incoming = self._upload = self._tunnel = None
        self._intake.is_held = False
        if self._state is State.CLOSED:
            return
        self._is_unread = self._is_unread or self._state is State.BODY
        if not stays or self._is_unread:
            self._end()
            return
        self._state = State.READY
        self._heads.skip_body()
        if not self.is_full:
            self._await_next()
            self._pump()
        self._intake.update(len(self._waiting))

    def cut(self, *, resets: bool) -> None:
        self._incoming = self._upload = self._tunnel = None
        if self._state is State.CLOSED:
            return
        if resets:
            reset_on_close(self.transport)
        self._close()

    @property
    def most_body_bytes(self) -> int | None:
        return self._reception.bodies.size_bytes

    def stop(self) -> None:
        if self._incoming is None:
            self._close()

    # Reading.

    def _pump(self) -> None:
        """Serve what waits, one request after the other, without growing the stack."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self._state is State.READY and self._waiting and not self.is_full and self._read_head():
                pass
        finally:
            self._is_pumping = False

    def _read_head(self) -> bool:
        """Serve the next request if its head is whole, and say whether there was one."""
        has_begun = self._heads.has_begun
        try:
            raw, self._waiting = self._heads.read(self._waiting)
        except SidecarError as error:
            self._refuse_head(error)
            return False
        if raw is None:
            if self._waiting and not has_begun:
                self.deadline = self._loop.time() + self._reception.heads.timeout
            return False
        self._state = State.SERVING
        self.deadline = NEVER
        self._incoming = Incoming(self, raw, self._arrival)
        self._reception.serve(self._incoming)
        return True

    def _read_body(self, data: bytes) -> None:
        upload = self._upload
        if upload is None:
            return
        try:
            rest = upload.take(data)
        except SidecarError as error:
            upload.sink.body_failed(error)
            return
        if rest is None:
            self._expect_more()
            return
        self._state = State.SERVING
        self._waiting = rest
        self.deadline = NEVER
        upload.end()

    def _expect_more(self) -> None:
        """Give the caller time for the next piece of its body, unless it is we who do not read."""
        is_waiting = self._state is State.BODY and not self._intake.is_held
        self.deadline = self._loop.time() + self._reception.bodies.timeout if is_waiting else NEVER

    def _await_next(self) -> None:
        self.deadline = self._loop.time() + KEEPALIVE_TIMEOUT

    # Ending.

    def _refuse_head(self, error: SidecarError) -> None:
        """Answer what is no request, and end: where it stops and the next begins, nobody knows."""
        self._is_unread = True
        self.write(self._reception.refusal(error))
        self._end()

    def _end(self) -> None:
        """Say no more, and throw away what still comes: a reset would take our answer along."""
        is_read = not self._is_unread and not self._waiting
        self._state = State.ENDING
        self._waiting = b""
        self._intake.is_held = False
        self.deadline = self._loop.time() + LINGER
        if is_read:
            self.transport.close()
            return
        self._intake.update(len(self._waiting))
        end_output(self.transport)

    def _close(self) -> None:
        self._state = State.ENDING
        self.deadline = self._loop.time() + LINGER
        self.transport.close()
