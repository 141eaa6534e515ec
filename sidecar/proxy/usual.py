"""Decide the usual request by look-ups, with the outcome that the rules would have.

An SDK sends the same field names in the same order, to the same few places, all day long. What the rules say
about names and places is worked out once per combination and kept; only values are looked at per request.
Whatever is not plain (a second credential, a transfer coding, an upgrade, a page's Origin) is no usual
request: nothing is returned, and the rules read it themselves. A test holds both ways against each other.

Scope: heads of HTTP/1.1 requests with one JWT or service key in `Authorization`; pure but for what it keeps.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final

from sidecar.grants.resolution import Ask
from sidecar.policies.model import Call
from sidecar.providers.model import PlacementKind
from sidecar.proxy.address import AddressForm
from sidecar.proxy.answers import Asked, place_of
from sidecar.proxy.control import NAMES as CONTROL_NAMES
from sidecar.proxy.credentials import KEY_FIELDS, SUBPROTOCOLS
from sidecar.proxy.framing import CONTROL_PREFIX, NO_BODY, SENSITIVE, BodyFraming
from sidecar.proxy.head import TOKEN, BodyKind, family
from sidecar.proxy.rewrite import HOP_BY_HOP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidecar.providers.model import ProviderHost
    from sidecar.proxy.address import Address
    from sidecar.proxy.gate import Arrival
    from sidecar.proxy.head import Fields
    from sidecar.proxy.parsing import RawRequest
    from sidecar.secret import Secret

METHODS: Final = {
    name.encode(): name for name in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY")
}
# What a client says about its connection without naming a field to remove; the value says whether it stays.
CONNECTIONS: Final = {b"keep-alive": True, b"Keep-Alive": True, b"close": False, b"Close": False}
BEARER: Final = b"Bearer "
MOST_KEPT: Final = 4096
"""Combinations kept of each kind; callers choose names and places, so what they fill is emptied."""
MOST_NAME_BYTES: Final = 64
# RFC 9112 §3.2, as in `address`, and RFC 6750's token, as in `placement`.
_TARGET: Final = bytes({0x21, 0x22, *range(0x24, 0x7F)})
_VISIBLE: Final = bytes(range(0x21, 0x7F))
_CONTROLS: Final = frozenset(CONTROL_PREFIX + name.lower().encode() for name in CONTROL_NAMES)
# Fields that some rule looks into.
_UNUSUAL: Final = (
    (HOP_BY_HOP - {b"connection"})
    | KEY_FIELDS
    | {SUBPROTOCOLS, b"origin", b"sec-fetch-site", b"expect", b"sidecar-authorization"}
)
_ONCE: Final = (b"host", b"authorization", b"content-length", b"connection", *sorted(_CONTROLS))


class Shape:
    """What the names of a request's fields decide, whatever their values; positions are -1 where absent."""

    __slots__ = ("authorization", "connection", "controls", "host", "key", "length", "names", "templates")

    def __init__(self, names: tuple[bytes, ...], lower: list[bytes]) -> None:
        def position(name: bytes) -> int:
            return lower.index(name) if name in lower else -1

        self.names = names
        self.host = position(b"host")
        self.authorization = position(b"authorization")
        self.length = position(b"content-length")
        self.connection = position(b"connection")
        self.key = position(b"sidecar-key")
        self.controls = tuple(at for at, name in enumerate(lower) if name in _CONTROLS and at != self.key)
        self.templates: dict[tuple[str, str], Template | None] = {}


class Template:
    """The outgoing head of one shape at one host: a text with holes, and what fills them."""

    __slots__ = ("pick", "text")

    def __init__(self, text: bytes, pick: Callable[[Sequence[bytes]], Sequence[bytes]]) -> None:
        self.text = text
        self.pick = pick


class Route:
    """An address that was resolved once, as far as it does not depend on the rest of the target."""

    __slots__ = ("_asked", "_base", "_cut", "address", "ask", "caller_name", "place")

    def __init__(self, address: Address, *, has_upstream: bool, caller_name: str) -> None:
        prefix = address.prefix
        joins = address.form is AddressForm.HEADER and not has_upstream
        joins = joins or (prefix is not None and not prefix.has_host)
        self.address = address
        self.caller_name = caller_name
        self.ask = Ask(provider=address.provider.name, account=address.account, grant=address.grant)
        self.place = place_of(address)
        self._asked: dict[str, Asked] = {}
        self._base = address.provider.base_path.encode("ascii") if joins else b""
        self._cut = len(prefix.text) if prefix else 0

    def asked(self, method: str) -> Asked:
        """Return what a usual request with `method` asks for; it takes no trailers."""
        asked = self._asked.get(method)
        if asked is None:
            asked = self._asked[method] = Asked(
                method=method, address=self.address, place=self.place, version=(1, 1)
            )
        return asked

    def target(self, given: bytes) -> bytes:
        """Return the target that goes out, empty where the rules have to say."""
        rest = given[self._cut :] if self._cut else given
        if not rest.startswith(b"/") or (self._cut and rest.startswith(b"//")):
            return b""
        return self._base + rest


class UsualRequest:
    """A request as far as look-ups decide it; see `plan.Plan`."""

    __slots__ = ("_raw", "_shape", "_target", "body", "credential", "method", "route", "stays")

    is_expecting = False
    switches = False

    def __init__(self, raw: RawRequest, shape: Shape, route: Route, *, method: str, target: bytes) -> None:
        values = raw.values
        self._raw = raw
        self._shape = shape
        self.route = route
        self.method = method
        self._target = target
        self.credential = values[shape.authorization][len(BEARER) :].decode("latin-1")
        self.body = NO_BODY
        if shape.length >= 0:
            self.body = BodyFraming(kind=BodyKind.LENGTH, length=int(values[shape.length]))
        self.stays = shape.connection < 0 or CONNECTIONS[values[shape.connection]]

    @property
    def ask(self) -> Ask:
        return self.route.ask

    @property
    def asked(self) -> Asked:
        return self.route.asked(self.method)

    @property
    def key_fields(self) -> Fields:
        """Where `listen.keys` are looked for."""
        at = self._shape.key
        return () if at < 0 else ((self._raw.names[at], self._raw.values[at]),)

    @property
    def call(self) -> Call:
        path = self._target.partition(b"?")[0].decode("ascii")
        return Call(provider=self.route.ask.provider, method=self.method, path=path)

    def outgoing(self, token: Secret) -> bytes | None:
        """Return the head for the provider, or nothing where the rules have to say."""
        route, shape, raw = self.route, self._shape, self._raw
        text = token.reveal().encode("utf-8", "surrogatepass")
        try:
            template = shape.templates[route.place]
        except KeyError:
            template = shape.templates[route.place] = _template(shape.names, route.address.host)
        if template is None or not text or text.translate(None, _VISIBLE):
            return None
        head = template.text % (raw.method, self._target, *template.pick((*raw.values, text)))
        # The caller's credential must not travel in some other place; the rules know how to say so.
        return None if raw.values[shape.authorization][len(BEARER) :] in head else head


class UsualRequests:
    """Finds usual requests; what it keeps is bounded, and holds no credential and no rest of a target."""

    __slots__ = ("_kept", "_routes", "_shapes")

    def __init__(self) -> None:
        self._shapes: dict[tuple[bytes, ...], Shape | None] = {}
        self._routes: dict[tuple[object, ...], dict[bytes | None, Route]] = {}
        self._kept = 0

    def find(self, raw: RawRequest, arrival: Arrival) -> UsualRequest | None:
        """Return the request if every question about it was answered before; nothing otherwise."""
        shape = self._shape(raw.names)
        method = METHODS.get(raw.method)
        if shape is None or method is None or raw.version != (1, 1):
            return None
        values = raw.values
        if (
            (shape.length >= 0 and not (values[shape.length].isdigit() and len(values[shape.length]) < 19))
            or (shape.connection >= 0 and values[shape.connection] not in CONNECTIONS)
            or not values[shape.authorization].startswith(BEARER)
            or raw.target.translate(None, _TARGET)
        ):
            return None
        route = self._route(raw, shape, arrival)
        target = route.target(raw.target) if route else b""
        return UsualRequest(raw, shape, route, method=method, target=target) if route and target else None

    def learn(self, raw: RawRequest, arrival: Arrival, address: Address, *, caller_name: str) -> None:
        """Keep the address that the rules found, if it is one for all requests that look like this one."""
        shape = self._shape(raw.names)
        if shape is None or address.form is AddressForm.ABSOLUTE:
            return
        if self._kept >= MOST_KEPT:
            self.forget_routes()
        has_upstream = any(name.lower() == b"sidecar-upstream" for name in raw.names)
        prefix = address.prefix.text if address.prefix else None
        routes = self._routes.setdefault(_names_of(raw, shape, arrival), {})
        routes[prefix] = Route(address, has_upstream=has_upstream, caller_name=caller_name)
        self._kept += 1

    def forget_routes(self) -> None:
        """Forget all addresses: what they were found by has changed."""
        self._routes.clear()
        self._kept = 0

    def _shape(self, names: tuple[bytes, ...]) -> Shape | None:
        try:
            return self._shapes[names]
        except KeyError:
            if any(len(name) > MOST_NAME_BYTES for name in names):
                # Long enough to be a credential, which is nothing to keep.
                return None
            if len(self._shapes) >= MOST_KEPT:
                self._shapes.clear()
            shape = self._shapes[names] = _shape_of(names)
            return shape

    def _route(self, raw: RawRequest, shape: Shape, arrival: Arrival) -> Route | None:
        routes = self._routes.get(_names_of(raw, shape, arrival))
        if routes is None:
            return None
        border = raw.target.find(b"/", 1)
        prefix = raw.target[:border] if border > 0 else raw.target
        return routes.get(prefix) or routes.get(None)


def _names_of(raw: RawRequest, shape: Shape, arrival: Arrival) -> tuple[object, ...]:
    """Return everything beside the target by which an address is found."""
    values = raw.values
    if not shape.controls:
        return (values[shape.host], arrival.address)
    controls = tuple([(raw.names[at].lower(), values[at]) for at in shape.controls])
    return (values[shape.host], arrival.address, controls)


def _shape_of(names: tuple[bytes, ...]) -> Shape | None:
    lower = [name.lower() for name in names]
    if any(lower.count(name) > 1 for name in _ONCE) or not {b"host", b"authorization"} <= set(lower):
        return None
    if not _UNUSUAL.isdisjoint(lower) or not all(map(TOKEN.fullmatch, names)):
        return None
    for name in names:
        meant = family(name)
        if b"_" in name and (meant in SENSITIVE or meant.startswith(CONTROL_PREFIX)):
            return None
    return Shape(names, lower)


def _template(names: tuple[bytes, ...], host: ProviderHost) -> Template | None:
    """Return the head for `host`; nothing where the token does not simply take the credential's place."""
    placement = host.placement
    place = family(placement.name.encode("ascii"))
    if placement.kind is not PlacementKind.HEADER or any(
        family(name) == place and name.lower() != b"authorization" for name in names
    ):
        return None
    before, after = (_escaped(part) for part in placement.format.split("{token}", 1))
    lines, holes = [b"%b %b HTTP/1.1\r\n"], []
    for at, name in enumerate(names):
        lower = name.lower()
        if lower == b"authorization":
            lines.append(_escaped(placement.name) + b": " + before + b"%b" + after + b"\r\n")
            holes.append(len(names))
        elif lower == b"host":
            lines.append(name.replace(b"%", b"%%") + b": " + _escaped(host.origin.authority) + b"\r\n")
        elif lower not in HOP_BY_HOP and not family(name).startswith(CONTROL_PREFIX):
            lines.append(name.replace(b"%", b"%%") + b": %b\r\n")
            holes.append(at)
    lines.append(b"\r\n")
    return Template(b"".join(lines), _picker(holes))


def _picker(holes: list[int]) -> Callable[[Sequence[bytes]], Sequence[bytes]]:
    if len(holes) == 1:
        # `itemgetter` of one position gives the item and not a tuple of it.
        only = holes[0]
        return lambda values: (values[only],)
    return itemgetter(*holes)


def _escaped(text: str) -> bytes:
    return text.encode("latin-1").replace(b"%", b"%%")
