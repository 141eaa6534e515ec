"""Turn settings into the plain values that the domain's classes take.

Settings stop here: nothing below knows that there is a file. A mistake that only the domain can see (an
unknown preset, a broken host) becomes a configuration error with the setting's path.

Scope: values to values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.errors import ConfigurationError
from sidecar.identity.authenticator import TokenRules
from sidecar.identity.bearer import TokenLimits
from sidecar.identity.claims import ClaimMap
from sidecar.identity.jwks import KeyLocation
from sidecar.identity.service_keys import ServiceKeys
from sidecar.identity.verification import Expectations
from sidecar.providers.catalog import build_provider
from sidecar.settings.translation import provider_spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.providers.model import Provider
    from sidecar.settings.identity import IdentitySettings
    from sidecar.settings.model import ServiceSettings, Settings

MEMORY_KEY_ID = "process"


def keyring_of(settings: Settings) -> Keyring:
    """Return the configured keys; for a store that ends with the process, one that does, too."""
    keys = [EncryptionKey.parse(key.reveal()) for key in settings.encryption.keys]
    if not keys and settings.store_scheme == "memory":
        keys = [EncryptionKey.generate(MEMORY_KEY_ID)]
    try:
        return Keyring(keys)
    except ValueError as exc:
        raise ConfigurationError(f"encryption.keys: {exc}") from exc


def key_location_of(identity: IdentitySettings) -> KeyLocation:
    return KeyLocation(
        issuer=identity.issuer,
        jwks_uri=identity.jwks_uri or "",
        ca_file=identity.ca_file or "",
        allows_insecure=identity.insecure_http,
    )


def token_rules_of(settings: Settings) -> TokenRules:
    identity, limits = settings.identity, settings.limits
    named = identity.claims.model_dump(exclude_none=True)
    return TokenRules(
        expected=Expectations(
            issuer=identity.issuer,
            audience=frozenset(identity.audience),
            authorized_parties=frozenset(identity.authorized_parties),
            leeway=identity.leeway,
        ),
        claims=ClaimMap(**named),
        limits=TokenLimits(
            token_bytes=limits.jwt_bytes, subject_characters=limits.subject_chars, groups=limits.groups
        ),
        algorithms=frozenset(identity.algorithms),
    )


def service_keys_of(services: Mapping[str, ServiceSettings]) -> ServiceKeys:
    return ServiceKeys({name: (service.keys, service.providers) for name, service in services.items()})


def providers_of(settings: Settings) -> dict[str, Provider]:
    """Return the providers by name. Raises `ConfigurationError` with every problem found."""
    providers: dict[str, Provider] = {}
    problems: list[str] = []
    for name, entry in settings.providers.items():
        try:
            providers[name] = build_provider(provider_spec(name, entry))
        except ValueError as exc:
            problems.append(f"providers.{name}: {exc}")
    if problems:
        raise ConfigurationError(*problems)
    return providers
