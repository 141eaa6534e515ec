"""Recognise callers without a user by the key they send.

Scope: pure. What a service may reach is decided by the broker.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from sidecar.identity.principal import Service

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sidecar.secret import Secret


class ServiceKeys:
    """The services' keys, kept as hashes; a look-up takes the same time whichever key fits, or none.

    `services` maps a name to its keys and the providers it may reach. Raises `ValueError` for an empty key
    and for one that two services share.
    """

    __slots__ = ("_services",)

    def __init__(self, services: Mapping[str, tuple[Collection[Secret], Collection[str]]]) -> None:
        self._services: dict[bytes, Service] = {}
        for name, (keys, providers) in services.items():
            service = Service(name=name, providers=frozenset(providers))
            for key in keys:
                digest = digest_of(key.reveal())
                if not key or self._services.get(digest, service) != service:
                    raise ValueError(f"a key of service {name} is empty or another service's")
                self._services[digest] = service

    def find(self, credential: str) -> Service | None:
        """Return the service whose key this is."""
        digest = digest_of(credential)
        found = None
        for known, service in self._services.items():
            if hmac.compare_digest(known, digest):
                found = service
        return found


def digest_of(credential: str) -> bytes:
    """Return the SHA-256 that stands for a credential; any text a header can hold has one."""
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).digest()
