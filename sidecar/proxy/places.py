"""Say which providers' origins a name can mean, and make the names in one request agree.

A host may belong to two providers (two OAuth apps at one API), so a name gives all places it can mean, and
only what every name of the request can mean is used.

Scope: look-ups among the configured providers. What a request's names are is read in `address`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sidecar.errors import BadRequestError, DestinationRefusedError, UnknownProviderError
from sidecar.providers.model import DEFAULT_PORTS, Origin, Provider, ProviderHost
from sidecar.proxy.authority import Authority, require_authority, split_absolute

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidecar.proxy.control import Controls
    from sidecar.proxy.gate import Arrival, Gate, OwnListeners

Place = tuple[Provider, ProviderHost]


class Places:
    """The origins of all providers, asked by name; the sidecar's own listeners never match."""

    __slots__ = ("_gate", "_own", "_places", "_providers")

    def __init__(self, providers: Iterable[Provider], *, gate: Gate, own: OwnListeners) -> None:
        self._providers = {provider.name.encode("ascii"): provider for provider in providers}
        self._places: list[Place] = [(p, host) for p in self._providers.values() for host in p.hosts]
        self._gate = gate
        self._own = own

    def provider(self, name: bytes) -> Provider | None:
        return self._providers.get(name)

    def of_host(self, host: Authority, arrival: Arrival) -> list[Place]:
        """Return what a Host field names: an exact port first, then any, except for our own names."""
        if self._own.are_named_by(host):
            return []
        exact = self._at(host)
        if exact or self._gate.is_own_name(host, arrival):
            return exact
        return [place for place in self._places if place[1].origin.host == host.host]

    def of_url(self, scheme: str, authority: Authority) -> list[Place]:
        """Return what an absolute URL names; `http` is upgraded where only a TLS origin has that host."""
        if self._own.are_named_by(authority):
            return []
        exact = self.of_origin(scheme, authority)
        return exact if exact or scheme == "https" else self._at(authority)

    def of_origin(self, scheme: str, authority: Authority) -> list[Place]:
        port = authority.port or DEFAULT_PORTS[scheme]
        origin = Origin(scheme=scheme, host=authority.host, port=port)
        return [place for place in self._places if place[1].origin == origin]

    def of_header(self, controls: Controls) -> list[Place]:
        """Return what `Sidecar-Upstream`, else `Sidecar-Provider` names; nothing where neither stands."""
        if controls.upstream is not None:
            return self._of_upstream(controls.upstream)
        return [] if controls.provider is None else self._of_provider(controls.provider)

    def agreed(self, claims: Sequence[list[Place]], controls: Controls) -> Place:
        """Return the first claim's place at the one provider that all claims naming anything can mean."""
        spoken = [claim for claim in claims if claim]
        if controls.provider is not None:
            spoken.append(self._of_provider(controls.provider))
        votes = Counter(name for claim in spoken for name in {place[0].name for place in claim})
        agreed = [name for name, count in votes.items() if count == len(spoken)]
        if not agreed:
            raise BadRequestError("The request names two different providers.")
        if len(agreed) > 1:
            raise BadRequestError(
                "Several providers have this host. Name one in Sidecar-Provider or in the path."
            )
        return next(place for place in spoken[0] if place[0].name == agreed[0])

    def _at(self, authority: Authority) -> list[Place]:
        return [
            place
            for place in self._places
            if place[1].origin.host == authority.host and authority.has_port_of(place[1].origin)
        ]

    def _of_upstream(self, upstream: bytes) -> list[Place]:
        parts = split_absolute(upstream)
        if parts is None or parts[0] not in DEFAULT_PORTS or parts[2]:
            raise BadRequestError("Sidecar-Upstream must be an origin: https://host, without a path.")
        places = self.of_origin(parts[0], require_authority(parts[1], where="Sidecar-Upstream"))
        if not places:
            raise DestinationRefusedError("Sidecar-Upstream names no provider's origin.")
        return places

    def _of_provider(self, name: bytes) -> list[Place]:
        provider = self._providers.get(name)
        if provider is None:
            raise UnknownProviderError("Sidecar-Provider names no configured provider.")
        return [(provider, host) for host in provider.hosts]
