"""What the two connections of an exchange, and what joins them, may ask of each other.

Each side knows the other by these promises only, so either can be read, and tested, without its opposite.

Scope: the promises. `caller` and `provider` are the connections; `exchange` and `tunnel` join them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from sidecar.errors import SidecarError
    from sidecar.proxy.framing import BodyFraming
    from sidecar.proxy.head import Fields
    from sidecar.proxy.parsing import RawResponse


class BodySink(Protocol):
    """Who takes a request's body; exactly one of the last two is called, and nothing after it."""

    def body(self, data: bytes) -> None: ...

    def body_ended(self, trailers: Fields) -> None: ...

    def body_failed(self, error: SidecarError) -> None: ...


class Carrier(Protocol):
    """Who has taken a request over and hears how its caller is."""

    def caller_gone(self) -> None: ...

    def caller_full(self) -> None: ...

    def caller_ready(self) -> None: ...


class CallerLine(Protocol):
    """A caller's connection, as far as the request being served goes."""

    transport: asyncio.Transport
    is_full: bool

    @property
    def most_body_bytes(self) -> int | None: ...

    def write(self, data: bytes) -> None: ...

    def send_body_to(self, sink: BodySink, framing: BodyFraming) -> None:
        """Give the request's body to `sink` as it arrives, what waits first."""
        ...

    def begin_tunnel(self, sink: BodySink) -> None:
        """Give `sink` everything from now on."""
        ...

    def hold(self) -> None:
        """Read no more of the body until `go`: its reader is slower."""
        ...

    def go(self) -> None: ...

    def has_read(self, framing: BodyFraming | None) -> bool:
        """Say whether the request is read to its end, which without a framing nobody knows.

        A body that waits whole is skipped.
        """
        ...

    def answered(self, *, stays: bool) -> None:
        """Go on with the next request, or end politely: what was written arrives before the end."""
        ...

    def cut(self, *, resets: bool) -> None:
        """End in the middle of an answer, visibly: what was written goes out, and then no proper end.

        `resets` is for an answer that ends by closing: nothing but a reset tells its caller.
        """
        ...


class Use(Protocol):
    """What a provider's connection is used for: it hears what the provider says and how it is.

    After `ended` or `failed`, and after `provider_closed(is_lost=True)`, nothing more is said.
    """

    def head(self, raw: RawResponse) -> BodyFraming | None:
        """Take a head; return how its body ends, or nothing where another head follows."""
        ...

    def piece(self, data: bytes) -> None:
        """Take a piece of the body; `flush` follows before the next read."""
        ...

    def flush(self) -> None: ...

    def ended(self, trailers: Fields, *, has_more: bool) -> None:
        """Take the end of the answer; `has_more` says that the connection is of no further use."""
        ...

    def failed(self, error: SidecarError) -> None: ...

    def provider_closed(self, *, is_lost: bool) -> None:
        """Hear that a tunnel's other side says no more, or is gone altogether."""
        ...

    def provider_full(self) -> None: ...

    def provider_ready(self) -> None: ...

    def provider_late(self) -> None: ...
