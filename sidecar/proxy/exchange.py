"""One request carried to a provider and its answer back, piece by piece, between two connections.

Nothing is awaited here: what arrives on one side is written to the other in the same turn, and a side that is
full stops the other from being read. The exchange ends once, in one of three ways: the answer ended, somebody
broke the rules, or the caller went away; and only the first leaves the provider's connection for another use.

Scope: one exchange. Which connection it gets is `upstream`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.errors import BadRequestError, BadUpstreamError, SidecarError, UpstreamTimeoutError
from sidecar.proxy.answers import interim, switching
from sidecar.proxy.chunks import chunk_of, last_chunk
from sidecar.proxy.framing import NO_BODY
from sidecar.proxy.head import BodyKind
from sidecar.proxy.rewrite import refuse_leak, trailer_fields
from sidecar.proxy.tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.proxy.answers import AnswerHead, AnswerHeads, Asked
    from sidecar.proxy.framing import BodyFraming
    from sidecar.proxy.head import Fields
    from sidecar.proxy.incoming import Incoming
    from sidecar.proxy.parsing import RawResponse
    from sidecar.proxy.provider import ProviderConnection

MOST_INTERIM: Final = 32
"""1xx answers to one request; uploads that report progress (104) send a few, nobody needs more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTimeouts:
    """Seconds: for the head, counted from the request's last byte, and between two bytes of a body.

    A model may think for minutes and a stream may pause for as long; there is no limit on the whole.
    """

    response_head: float = 600.0
    idle: float = 900.0


class Outgoing:
    """A request on its way out: `head` is sent as it is, its body as it comes.

    `credential` is the caller's, which no trailer may carry out; `switches` says that it asks for an upgrade.
    """

    __slots__ = ("asked", "body", "credential", "head", "is_expecting", "switches")

    def __init__(
        self,
        head: bytes,
        body: BodyFraming,
        asked: Asked,
        *,
        credential: str,
        is_expecting: bool,
        switches: bool,
    ) -> None:
        self.head = head
        self.body = body
        self.asked = asked
        self.credential = credential
        self.is_expecting = is_expecting
        self.switches = switches


class Exchange:
    """Carries one request; `on_failed` is called at most once, with the error that ended it."""

    __slots__ = (
        "_answer",
        "_connection",
        "_heads",
        "_incoming",
        "_interims",
        "_is_chunked",
        "_is_sent",
        "_on_failed",
        "_outgoing",
        "_timeouts",
    )

    _connection: ProviderConnection

    def __init__(
        self,
        outgoing: Outgoing,
        incoming: Incoming,
        *,
        heads: AnswerHeads,
        timeouts: AnswerTimeouts,
        on_failed: Callable[[Incoming, SidecarError], None],
    ) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._heads = heads
        self._timeouts = timeouts
        self._on_failed = on_failed
        self._is_chunked = outgoing.body.kind is BodyKind.CHUNKED
        self._is_sent = False
        self._interims = 0
        self._answer: AnswerHead | None = None

    def begin(self, connection: ProviderConnection) -> None:
        """Send the request on a connection that nobody else uses."""
        outgoing, incoming = self._outgoing, self._incoming
        self._connection = connection
        connection.begin(self)
        incoming.carrier = self
        connection.transport.write(outgoing.head)
        incoming.recorder.head_sent(incoming.record)
        if incoming.connection.is_full:
            self.caller_full()
        if outgoing.body.kind is BodyKind.NONE:
            self._is_sent = True
            connection.allow(self._timeouts.response_head)
            return
        connection.allow(self._timeouts.response_head if outgoing.is_expecting else self._timeouts.idle)
        incoming.connection.send_body_to(self, outgoing.body)

    # The request's body.

    def body(self, data: bytes) -> None:
        self._incoming.record.bytes_up += len(data)
        self._connection.transport.write(chunk_of(data) if self._is_chunked else data)

    def body_ended(self, trailers: Fields) -> None:
        if self._connection.use is not self:
            return
        if self._is_chunked:
            kept = trailer_fields(trailers)
            try:
                refuse_leak(self._outgoing.credential, kept)
            except BadRequestError as error:
                self.body_failed(error)
                return
            self._connection.transport.write(last_chunk(kept))
        self._is_sent = True
        if self._answer is None:
            self._connection.allow(self._timeouts.response_head)

    def body_failed(self, error: SidecarError) -> None:
        """End the exchange because of the caller; its connection cannot go on."""
        self._incoming.keeps_alive = False
        self.failed(error)

    # The provider.

    def head(self, raw: RawResponse) -> BodyFraming | None:
        try:
            if raw.status == 101:
                return self._switched(raw)
            if raw.status < 200:
                self._interim(raw)
                return None
            answer = self._heads.final(raw, self._outgoing.asked)
        except BadUpstreamError as error:
            self.failed(error)
            return None
        incoming = self._incoming
        if self._outgoing.is_expecting and not self._is_sent:
            # After a final answer in place of 100, nobody can know whether the body still comes.
            incoming.keeps_alive = False
        self._answer = answer
        incoming.start(answer)
        return answer.body

    def piece(self, data: bytes) -> None:
        self._incoming.write(data)

    def flush(self) -> None:
        incoming = self._incoming
        self._connection.allow(self._timeouts.idle)
        incoming.flush()

    def ended(self, trailers: Fields, *, has_more: bool) -> None:
        answer = self._answer
        takes_trailers = self._outgoing.asked.takes_trailers
        self._connection.release(
            is_sent=self._is_sent,
            stays=answer is not None and answer.stays and not has_more and not self._outgoing.switches,
        )
        self._incoming.finish(trailer_fields(trailers) if takes_trailers else ())

    def failed(self, error: SidecarError) -> None:
        if self._connection.use is not self:
            return
        self._connection.abort()
        self._on_failed(self._incoming, error)

    def provider_closed(self, *, is_lost: bool) -> None:  # noqa: ARG002 - only tunnels go on after an end
        """Take an end where none may be."""
        self.failed(BadUpstreamError("The provider's answer broke off."))

    def provider_full(self) -> None:
        self._incoming.connection.hold()

    def provider_ready(self) -> None:
        self._connection.allow(self._timeouts.idle)
        self._incoming.connection.go()

    def provider_late(self) -> None:
        if self._answer is not None:
            self.failed(UpstreamTimeoutError("The provider's answer stalled."))
        elif self._is_sent or self._outgoing.is_expecting:
            self.failed(UpstreamTimeoutError("The provider did not answer in time."))
        elif self._connection.is_full:
            self.failed(UpstreamTimeoutError("The provider stopped reading the request."))
        else:
            # It is the caller who sends nothing, and that has a deadline of its own.
            self._connection.allow(self._timeouts.idle)

    # The caller.

    def caller_gone(self) -> None:
        if self._connection.use is self:
            self._connection.abort()

    def caller_full(self) -> None:
        connection = self._connection
        if connection.use is self:
            connection.transport.pause_reading()
            connection.rest()

    def caller_ready(self) -> None:
        connection = self._connection
        if connection.use is self:
            connection.transport.resume_reading()
            connection.allow(self._timeouts.idle if self._is_sent else self._timeouts.response_head)

    def _interim(self, raw: RawResponse) -> None:
        self._interims += 1
        if self._interims > MOST_INTERIM:
            raise BadUpstreamError("The provider sends one interim answer after the other.")
        self._incoming.interim(interim(raw))
        self._connection.allow(self._timeouts.response_head)

    def _switched(self, raw: RawResponse) -> BodyFraming:
        if not self._outgoing.switches:
            raise BadUpstreamError("The provider switched protocols without having been asked to.")
        head = switching(raw)
        tunnel = Tunnel(self._incoming, self._connection, idle_timeout=self._timeouts.idle)
        tunnel.begin(head)
        return NO_BODY
