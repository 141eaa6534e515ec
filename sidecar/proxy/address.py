"""Find the one provider, host and target a request means, in whichever form its client could say so.

Some clients can set a base URL, some only a proxy, some only a Host, and some none of these. All of their
forms end in one `Address`, so nothing after this module knows them. Where two forms disagree the request is
refused: a guess would send one provider's token to another.

Scope: pure. CONNECT is refused by `framing`; listeners of one provider come with tunnels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from sidecar.errors import BadRequestError, DestinationRefusedError, UnknownProviderError
from sidecar.grants.model import GrantId
from sidecar.providers.model import DEFAULT_PORTS
from sidecar.proxy.authority import Authority, require_authority, split_absolute
from sidecar.proxy.control import account_of
from sidecar.proxy.head import RequestHead, values_of
from sidecar.proxy.places import Place, Places

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidecar.providers.model import Provider, ProviderHost
    from sidecar.proxy.control import Controls
    from sidecar.proxy.gate import Arrival, Gate, OwnListeners
    from sidecar.proxy.head import Fields

# RFC 9112 §3.2 with RFC 3986 §2: visible ASCII and no fragment. Characters that RFC 3986 wants escaped but
# that clients send raw ("|", "{") pass, as every server accepts them.
_TARGET: Final = re.compile(rb"[\x21\x22\x24-\x7e]+")
_BAD_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_PREFIX: Final = re.compile(
    rb"/(?P<name>[a-z][a-z0-9-]*)(?:~(?P<host>[^/?@]*))?(?:@(?P<account>[^/?]*))?(?P<rest>[/?].*)?", re.DOTALL
)


class AddressForm(StrEnum):
    """How the caller named the target; the order is the order in which forms are asked."""

    ABSOLUTE = "absolute"
    HOST = "host"
    HEADER = "header"
    PREFIX = "prefix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """The path prefix as the caller wrote it; `has_host` says that it carries `~host`."""

    text: bytes
    account: bytes
    has_host: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a request goes and for whom.

    `target` is the origin-form (RFC 9112 §3.2.1) to send, byte for byte. `authority` is the request's own,
    under which the caller reaches us; `prefix` is there in prefix form only.
    """

    provider: Provider
    host: ProviderHost
    target: bytes
    form: AddressForm
    authority: bytes
    account: str | None = None
    grant: GrantId | None = None
    prefix: Prefix | None = None

    @property
    def path(self) -> str:
        """The upstream path without its query, as it will be sent."""
        return self.target.partition(b"?")[0].decode("ascii")


class AddressBook:
    """All providers by name and host, and who may ask for them.

    Raises of `resolve`: `BadRequestError`, `UnknownProviderError`, `DestinationRefusedError`,
    `MisdirectedRequestError`, `CrossSiteRefusedError`, `MissingTokenError` and `InvalidTokenError` (the key).
    """

    __slots__ = ("_gate", "_own", "_places")

    def __init__(self, providers: Iterable[Provider], *, gate: Gate, own: OwnListeners) -> None:
        self._gate = gate
        self._own = own
        self._places = Places(providers, gate=gate, own=own)

    @property
    def generation(self) -> int:
        """Changes whenever the same request may lead elsewhere."""
        return len(self._own)

    @property
    def asks_key(self) -> bool:
        return bool(self._gate.keys)

    def check_key(self, fields: Fields) -> None:
        """Ask for a key where one is needed; a part of `resolve` that depends on who asks."""
        self._gate.check_key(fields)

    def resolve(self, head: RequestHead, controls: Controls, arrival: Arrival) -> Address:
        """Return the address of a request that `framing` has found sound."""
        if not _TARGET.fullmatch(head.target):
            raise BadRequestError("The request target has characters that RFC 9112 does not allow there.")
        raw_host = values_of(head.fields, b"host")[0]
        host = require_authority(raw_host, where="Host")
        by_host = self._places.of_host(host, arrival)
        absolute = split_absolute(head.target)
        if absolute:
            return self._absolute(head, absolute, controls, beside=by_host)
        if not head.target.startswith(b"/") and (head.target, head.method) != (b"*", "OPTIONS"):
            raise BadRequestError("The request target must be a path or an absolute http(s) URL.")
        if not by_host:
            self._gate.check_host(host, arrival)
        self._admit(head, host)
        return self._direct(head.target, raw_host, controls, named=by_host)

    def _admit(self, head: RequestHead, host: Authority) -> None:
        self._gate.check_site(head.fields, host)
        self._gate.check_key(head.fields)

    def _absolute(
        self,
        head: RequestHead,
        url: tuple[str, bytes, bytes],
        controls: Controls,
        *,
        beside: list[Place],
    ) -> Address:
        scheme, raw_authority, rest = url
        if scheme not in DEFAULT_PORTS:
            raise BadRequestError("Only http and https URLs can be asked for.")
        authority = require_authority(raw_authority, where="The authority of the URL")
        self._admit(head, authority)
        places = self._places.of_url(scheme, authority)
        if not places:
            raise DestinationRefusedError(
                "The URL's host is no provider's, so no token may go there.",
                hint="Only providers' hosts can be reached through the sidecar; see `providers`.",
            )
        # RFC 9112 §3.2.2: the Host beside an absolute-form is ignored, unless it contradicts.
        place = self._places.agreed([places, beside, self._places.of_header(controls)], controls)
        if not rest and head.method == "OPTIONS":
            # RFC 9112 §3.2.4.
            rest = b"*"
        target = rest if rest.startswith((b"/", b"*")) else b"/" + rest
        return _address(place, AddressForm.ABSOLUTE, target, authority=raw_authority, controls=controls)

    def _direct(self, target: bytes, authority: bytes, controls: Controls, *, named: list[Place]) -> Address:
        by_header = self._places.of_header(controls)
        if named:
            place = self._places.agreed([named, by_header], controls)
            return _address(place, AddressForm.HOST, target, authority=authority, controls=controls)
        if by_header:
            place = self._places.agreed([by_header], controls)
            if controls.upstream is None:
                target = _joined(place[0].base_path, target)
            return _address(place, AddressForm.HEADER, target, authority=authority, controls=controls)
        return self._prefixed(target, authority, controls)

    def _prefixed(self, target: bytes, authority: bytes, controls: Controls) -> Address:
        match = _PREFIX.fullmatch(target)
        provider = self._places.provider(match["name"]) if match else None
        if match is None or provider is None:
            raise UnknownProviderError(
                "No provider of that name is configured. The path must start with /provider/."
            )
        host = provider.hosts[0]
        rest = match["rest"] or b""
        if rest.startswith(b"//"):
            # A base URL that ends in a slash, joined with a path that starts with one.
            rest = rest[1:]
        if match["host"] is None:
            target = _joined(provider.base_path, rest)
        else:
            host = _host_of(provider, match["host"])
            target = rest if rest.startswith(b"/") else b"/" + rest
        account = match["account"]
        prefix = Prefix(
            text=match[0][: len(match[0]) - len(match["rest"] or b"")],
            account=b"" if account is None else b"@" + account,
            has_host=match["host"] is not None,
        )
        return _address(
            (provider, host),
            AddressForm.PREFIX,
            target,
            authority=authority,
            controls=controls,
            prefix=prefix,
            account=None if account is None else _decoded(account),
        )


def _address(
    place: Place,
    form: AddressForm,
    target: bytes,
    *,
    authority: bytes,
    controls: Controls,
    prefix: Prefix | None = None,
    account: str | None = None,
) -> Address:
    if account is not None and controls.account is not None and account != controls.account:
        raise BadRequestError("The path and Sidecar-Account name different accounts.")
    return Address(
        provider=place[0],
        host=place[1],
        target=target,
        form=form,
        authority=authority,
        account=controls.account if account is None else account,
        grant=None if controls.grant is None else GrantId(controls.grant),
        prefix=prefix,
    )


def _joined(base_path: str, rest: bytes) -> bytes:
    if rest == b"*":
        return rest
    target = base_path.encode("ascii") + rest
    return target if target.startswith(b"/") else b"/" + target


def _host_of(provider: Provider, raw: bytes) -> ProviderHost:
    authority = require_authority(raw, where="The host in the path")
    for host in provider.hosts:
        if host.origin.host == authority.host and authority.has_port_of(host.origin):
            return host
    raise DestinationRefusedError("The host in the path is not one of this provider's.")


def _decoded(account: bytes) -> str:
    if _BAD_PERCENT.search(account):
        raise BadRequestError("The account in the path has a broken percent-encoding.")
    return account_of(unquote_to_bytes(account), where="the path")
