"""What the proxy may change on the way: messages in, messages out.

The second opinion on `sidecar.proxy.rewrite`, written from the contract alone and used by the property tests:
whatever is not named here has to arrive as it was sent, byte for byte.

Scope: pure. What was sent is legal; what is refused stands in the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Field = tuple[bytes, bytes]

# RFC 9110 §7.6.1: fields about one connection.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)
KEY_FIELDS = frozenset({b"x-api-key", b"api-key", b"x-goog-api-key", b"private-token"})
TOKEN = b"Bearer provider-token"


@dataclass(frozen=True, slots=True)
class Body:
    """A body as a pattern and how often it stands there: short to print, and as long as it has to be."""

    piece: bytes
    times: int

    @property
    def data(self) -> bytes:
        return self.piece * self.times


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request as a caller writes it; `chunks` are the sizes of its chunks, none where it has a length.

    `target` is what stands behind `/api` in prefix form and behind the authority in the other forms.
    """

    form: str
    method: bytes
    target: bytes
    fields: list[Field]
    carrier: Field
    body: Body | None
    chunks: list[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """An answer as a provider writes it; without a length and without chunks it ends by closing."""

    status: int
    reason: bytes
    fields: list[Field]
    body: Body
    framing: str
    chunks: list[int] = field(default_factory=list)
    interim: list[tuple[int, bytes, list[Field]]] = field(default_factory=list)

    def has_body(self, method: bytes) -> bool:
        """Whether an answer to this method has a body (RFC 9112 §6.3)."""
        return method != b"HEAD" and self.status not in (204, 304)


def expected_target(ask: Ask) -> bytes:
    """Return the target the provider gets."""
    if ask.form == "prefix" and ask.target.startswith(b"//"):
        return ask.target[1:]
    return ask.target


def expected_request_fields(ask: Ask) -> list[Field]:
    """Return the fields the provider gets, but for Host, the token and the body's framing."""
    dropped = _named_by_connection(ask.fields) | HOP_BY_HOP | {b"authorization"}
    is_sole = ask.carrier[0].lower() == b"sidecar-authorization"
    kept = []
    for name, value in ask.fields:
        lower = name.lower()
        if lower == b"te" and b"trailers" in _members(value):
            kept.append((name, b"trailers"))
        elif lower in dropped or lower.startswith(b"sidecar-") or (is_sole and lower in KEY_FIELDS):
            continue
        else:
            kept.append((name, value))
    return kept


def expected_answer_fields(fields: list[Field]) -> list[Field]:
    """Return the fields the caller gets, but for the body's framing and our own `Connection`."""
    dropped = _named_by_connection(fields) | HOP_BY_HOP | {b"sidecar-error"}
    return [(name, value) for name, value in fields if name.lower() not in dropped]


def without(fields: list[Field], *names: bytes) -> list[Field]:
    """Return the fields but for those called so (lower-case)."""
    return [(name, value) for name, value in fields if name.lower() not in names]


def _named_by_connection(fields: list[Field]) -> set[bytes]:
    return {member for name, value in fields if name.lower() == b"connection" for member in _members(value)}


def _members(value: bytes) -> set[bytes]:
    return {member.strip(b" \t").lower() for member in value.split(b",")} - {b""}
