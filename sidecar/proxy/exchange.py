"""One exchange with a provider, as the handler sees it: what goes out, who asks, and how the answer returns.

The two legs are replaced when the data path gets protocols of its own; this is the line along which they
are cut. Above it nobody knows sockets, below it nobody knows providers' tokens or users.

Scope: the values that cross the line, and the copying of the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sidecar.proxy.rewrite import incoming_response

if TYPE_CHECKING:
    from sidecar.providers.model import Origin, Provider
    from sidecar.proxy.address import Address
    from sidecar.proxy.framing import BodyFraming
    from sidecar.proxy.head import BodyKind, Fields, RequestHead, ResponseHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request as it goes to `origin`; `head.target` and all fields are sent as they are."""

    provider: Provider
    origin: Origin
    head: RequestHead
    body: BodyFraming


class Requester(Protocol):
    """The caller's side of an exchange.

    `read` gives the next piece of the request's body and `b""` at its end; what it raises ends the exchange.
    `send_interim` takes a 1xx answer. `on_head_sent` is told once the provider has been sent the head.
    """

    async def read(self) -> bytes: ...

    async def send_interim(self, head: ResponseHead) -> None: ...

    def on_head_sent(self) -> None: ...


class Answer(Protocol):
    """A provider's answer whose head has arrived; `read` gives its body and `b""` at its proper end only."""

    head: ResponseHead
    body: BodyFraming

    async def read(self) -> bytes: ...


class AnswerSink(Protocol):
    """Where an answer goes; a body that is not finished is never to look as if it were."""

    version: tuple[int, int]

    async def start(self, head: ResponseHead, fields: Fields, kind: BodyKind) -> None: ...

    async def write(self, chunk: bytes) -> None: ...

    async def finish(self) -> None: ...


async def relay(answer: Answer, sink: AnswerSink, address: Address) -> None:
    """Copy the answer to the caller; each piece is taken before the next is read, so neither side hurries."""
    fields, kind = incoming_response(answer.head, address=address, body=answer.body, to_version=sink.version)
    await sink.start(answer.head, fields, kind)
    while chunk := await answer.read():
        await sink.write(chunk)
    await sink.finish()
