"""Turn the head of a provider's answer into the one its caller gets.

As with requests, a server sends the same field names again and again: what the rules of `framing` and
`rewrite` say about names is worked out once per combination and kept, and whatever is not plain is left to
the rules themselves. A test holds both ways against each other.

Scope: pure but for what it keeps. Interim answers are short and rare, and go through the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from sidecar.errors import BadUpstreamError
from sidecar.proxy.framing import CHUNKED_BODY, NO_BODY, BodyFraming, check_response
from sidecar.proxy.head import TOKEN, BodyKind, family, lines_of, members_of
from sidecar.proxy.links import LINK_FIELD, WHOLE_VALUE_FIELDS
from sidecar.proxy.rewrite import HOP_BY_HOP, incoming_response, interim_fields, switching_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidecar.proxy.address import Address
    from sidecar.proxy.parsing import RawResponse

MOST_KEPT: Final = 4096
# What a server says about its connection without naming a field to remove; the value says whether it stays.
CONNECTIONS: Final = {b"keep-alive": True, b"Keep-Alive": True, b"close": False, b"Close": False}
_OWN_MARK: Final = b"sidecar-error"
_LINKS: Final = WHOLE_VALUE_FIELDS | {LINK_FIELD}
_ONCE: Final = (b"content-length", b"transfer-encoding", b"connection")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What about a request decides how its answer is read and written.

    `place` tells the provider's host apart from every other provider's.
    """

    method: str
    address: Address
    place: tuple[str, str]
    version: tuple[int, int]
    takes_trailers: bool = False


class AnswerHead:
    """A checked answer: how its body comes and goes, and its head without the blank line.

    `stays` says that the provider keeps the connection open after it.
    """

    __slots__ = ("body", "kind", "lines", "status", "stays")

    def __init__(self, status: int, body: BodyFraming, kind: BodyKind, lines: bytes, *, stays: bool) -> None:
        self.status = status
        self.body = body
        self.kind = kind
        self.lines = lines
        self.stays = stays


class _Shape:
    """What the names of an answer's fields decide, whatever their values; positions are -1 where absent."""

    __slots__ = ("coding", "connection", "has_links", "length", "pick", "text")

    def __init__(self, names: tuple[bytes, ...], lower: list[bytes]) -> None:
        def position(name: bytes) -> int:
            return lower.index(name) if name in lower else -1

        self.length = position(b"content-length")
        self.coding = position(b"transfer-encoding")
        self.connection = position(b"connection")
        self.has_links = not _LINKS.isdisjoint(lower)
        kept = [
            at
            for at, name in enumerate(lower)
            if (name not in HOP_BY_HOP or at == self.coding) and family(name) != _OWN_MARK
        ]
        lines = [names[at].replace(b"%", b"%%") + b": %b\r\n" for at in kept]
        self.text = b"HTTP/1.1 %d %b\r\n" + b"".join(lines)
        self.pick = _picker(kept)


class AnswerHeads:
    """Makes callers' heads; keeps what names decide, bounded."""

    __slots__ = ("_shapes",)

    def __init__(self) -> None:
        self._shapes: dict[tuple[bytes, ...], _Shape | None] = {}

    def final(self, raw: RawResponse, asked: Asked) -> AnswerHead:
        """Return the head of a final answer; raises `BadUpstreamError`."""
        return self._usual(raw, asked) or by_rules(raw, asked)

    def _usual(self, raw: RawResponse, asked: Asked) -> AnswerHead | None:
        shape = self._shape(raw.names)
        if (
            shape is None
            or raw.version != (1, 1)
            or asked.version != (1, 1)
            or raw.status < 200
            or (shape.has_links and asked.address.prefix is not None)
        ):
            return None
        values = raw.values
        stays = True
        if shape.connection >= 0:
            said = CONNECTIONS.get(values[shape.connection])
            if said is None:
                return None
            stays = said
        body = _plain_body(shape, raw, asked)
        if body is None:
            return None
        lines = shape.text % (raw.status, raw.reason, *shape.pick(values))
        return AnswerHead(raw.status, body, body.kind, lines, stays=stays)

    def _shape(self, names: tuple[bytes, ...]) -> _Shape | None:
        try:
            return self._shapes[names]
        except KeyError:
            if len(self._shapes) >= MOST_KEPT:
                self._shapes.clear()
            shape = self._shapes[names] = _shape_of(names)
            return shape


def place_of(address: Address) -> tuple[str, str]:
    """Return what tells a provider's host apart from every other provider's, cheap to look up."""
    return address.provider.name, str(address.host.origin)


def by_rules(raw: RawResponse, asked: Asked) -> AnswerHead:
    """Return the head of a final answer as the rules say; raises `BadUpstreamError`."""
    head = raw.head()
    body = check_response(head, method=asked.method)
    fields, kind = incoming_response(
        head,
        address=asked.address,
        body=body,
        to_version=asked.version,
        takes_trailers=asked.takes_trailers,
    )
    return AnswerHead(
        head.status,
        body,
        kind,
        lines_of(_status_line(raw), fields)[:-2],
        stays=head.version == (1, 1) and b"close" not in members_of(head.fields, b"connection"),
    )


def interim(raw: RawResponse) -> bytes:
    """Return a whole 1xx head for the caller; raises `BadUpstreamError`."""
    head = raw.head()
    check_response(head, method="GET")
    return lines_of(_status_line(raw), interim_fields(head.fields))


def switching(raw: RawResponse) -> bytes:
    """Return a whole 101 head for the caller, the upgrade in it; raises `BadUpstreamError`."""
    head = raw.head()
    check_response(head, method="GET")
    fields = switching_fields(head.fields)
    if fields is None:
        raise BadUpstreamError("The provider switched protocols without saying to which.")
    return lines_of(_status_line(raw), fields)


def _shape_of(names: tuple[bytes, ...]) -> _Shape | None:
    lower = [name.lower() for name in names]
    if any(lower.count(name) > 1 for name in _ONCE) or not all(map(TOKEN.fullmatch, names)):
        return None
    return _Shape(names, lower)


def _plain_body(shape: _Shape, raw: RawResponse, asked: Asked) -> BodyFraming | None:
    """Return how the body ends where it goes on just as it comes; nothing where the rules have to say."""
    if shape.coding >= 0:
        is_plain = shape.length < 0 and raw.values[shape.coding] == b"chunked" and not asked.takes_trailers
        return CHUNKED_BODY if is_plain and _may_have_body(raw, asked) else None
    if shape.length < 0:
        return None if _may_have_body(raw, asked) else NO_BODY
    length = raw.values[shape.length]
    if not length.isdigit() or len(length) > 18:
        return None
    if not _may_have_body(raw, asked):
        return NO_BODY
    return BodyFraming(kind=BodyKind.LENGTH, length=int(length))


def _may_have_body(raw: RawResponse, asked: Asked) -> bool:
    return asked.method != "HEAD" and raw.status not in (204, 304)


def _picker(positions: list[int]) -> Callable[[Sequence[bytes]], Sequence[bytes]]:
    if len(positions) > 1:
        return itemgetter(*positions)
    # `itemgetter` of one position gives the item and not a tuple of it.
    return lambda values: tuple(values[at] for at in positions)


def _status_line(raw: RawResponse) -> bytes:
    return b"HTTP/1.1 %d %b" % (raw.status, raw.reason)
