"""Two connections joined after a 101, whose bytes are nobody's business between them.

Each side's bytes go to the other, a side that is full stops the other from being read, a side that says no
more is heard by the other, and silence has a limit. The token was placed in the handshake; nothing is placed
or looked for afterwards.

Scope: from the 101 to the end of both connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.proxy.farewell import end_output

if TYPE_CHECKING:
    from sidecar.errors import SidecarError
    from sidecar.proxy.framing import BodyFraming
    from sidecar.proxy.head import Fields
    from sidecar.proxy.incoming import Incoming
    from sidecar.proxy.parsing import RawResponse
    from sidecar.proxy.provider import ProviderConnection


class Tunnel:
    """Joins a caller's connection and a provider's."""

    __slots__ = ("_connection", "_has_caller_ended", "_has_provider_ended", "_idle_timeout", "_incoming")

    def __init__(self, incoming: Incoming, connection: ProviderConnection, *, idle_timeout: float) -> None:
        self._incoming = incoming
        self._connection = connection
        self._idle_timeout = idle_timeout
        self._has_caller_ended = False
        self._has_provider_ended = False

    def begin(self, head: bytes) -> None:
        """Send the 101 and pass everything on from now."""
        incoming, connection = self._incoming, self._connection
        incoming.keeps_alive = False
        incoming.record.status = 101
        incoming.carrier = self
        connection.begin(self)
        connection.is_tunnel = True
        incoming.connection.write(head)
        incoming.connection.begin_tunnel(self)
        connection.allow(self._idle_timeout)

    # The caller's bytes.

    def body(self, data: bytes) -> None:
        self._incoming.record.bytes_up += len(data)
        self._connection.transport.write(data)
        self._connection.allow(self._idle_timeout)

    def body_ended(self, trailers: Fields) -> None:  # noqa: ARG002 - there are none outside HTTP
        """Tell the provider that the caller says no more."""
        self._has_caller_ended = True
        transport = self._connection.transport
        if self._has_provider_ended or not transport.can_write_eof():
            self._end()
            return
        end_output(transport)

    def body_failed(self, error: SidecarError) -> None:  # noqa: ARG002 - nobody is left to be told
        self._end()

    # The provider's bytes.

    def head(self, raw: RawResponse) -> BodyFraming | None:  # noqa: ARG002 - there are no heads any more
        return None

    def piece(self, data: bytes) -> None:
        self._incoming.record.bytes_down += len(data)
        self._incoming.connection.write(data)

    def flush(self) -> None:
        self._connection.allow(self._idle_timeout)

    def ended(self, trailers: Fields, *, has_more: bool) -> None:  # noqa: ARG002 - nothing ends but by closing
        self._end()

    def failed(self, error: SidecarError) -> None:  # noqa: ARG002 - nobody is left to be told
        self._end()

    def provider_closed(self, *, is_lost: bool) -> None:
        """Tell the caller that the provider says no more."""
        self._has_provider_ended = True
        transport = self._incoming.connection.transport
        if is_lost or self._has_caller_ended or not transport.can_write_eof():
            self._end()
            return
        end_output(transport)

    def provider_full(self) -> None:
        self._incoming.connection.hold()

    def provider_ready(self) -> None:
        self._incoming.connection.go()

    def provider_late(self) -> None:
        self._end()

    def caller_gone(self) -> None:
        if self._connection.use is self:
            self._connection.close()

    def caller_full(self) -> None:
        self._connection.transport.pause_reading()

    def caller_ready(self) -> None:
        if self._connection.use is self:
            self._connection.transport.resume_reading()

    def _end(self) -> None:
        """Close both sides, each after what was written to it."""
        self._connection.close()
        self._incoming.ended()
