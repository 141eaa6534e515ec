"""What two settings must not say together.

Each value may be right alone and the whole still wrong: a proxy open to the network without keys, a rule for
a provider that does not exist, a secret on its way over plain http. These are found here, all of them at
once, before anything is bound or opened.

Scope: refusals. What is legal but worth a word is in `sidecar.settings.check`.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from sidecar.settings.addresses import is_plain_remote
from sidecar.settings.suggestion import did_you_mean
from sidecar.settings.translation import refused_provider, refused_rule, unknown_preset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidecar.secret import Secret
    from sidecar.settings.model import Settings
    from sidecar.settings.provider import PlacementSettings, ProviderSettings
    from sidecar.settings.shape import Path

    Broken = tuple[Path, str]

INSECURE = "must be https://; plain http:// is for this machine only, or with insecure_http: true"


def broken_rules(settings: Settings) -> Iterator[Broken]:
    """Yield every refusal, its place and what would be right; no message contains a secret."""
    yield from _listeners(settings)
    yield from _identity(settings)
    yield from _encryption(settings)
    yield from _keys(settings)
    for name, provider in settings.providers.items():
        broken = list(_provider(provider))
        if not broken and (refused := refused_provider(name, provider)):
            broken = [refused]
        for path, message in broken:
            yield ("providers", name, *path), message
    yield from _names(settings)


def _listeners(settings: Settings) -> Iterator[Broken]:
    listen = settings.listen
    if not listen.proxy.is_local and not listen.keys:
        yield ("listen", "keys"), "is required where listen.proxy is neither loopback nor a Unix socket"
    if "%" in (settings.public_url or ""):
        # The routes under it are matched decoded, so a path written in another way would never be found.
        yield ("public_url",), "must have a path without percent-encoding"
    addresses = {"proxy": listen.proxy, "ops": listen.ops, "control": listen.control}
    for (first, one), (second, other) in combinations(addresses.items(), 2):
        if one.overlaps(other):
            yield ("listen", second), f"must differ from listen.{first}: both would listen on the same port"


def _identity(settings: Settings) -> Iterator[Broken]:
    identity = settings.identity
    if not identity.audience and not identity.authorized_parties:
        yield ("identity", "audience"), "is required: the `aud` of your tokens, or set authorized_parties"
    if identity.client_secret and not identity.client_id:
        yield ("identity", "client_id"), "is required beside client_secret"
    if not identity.insecure_http:
        for key in ("issuer", "jwks_uri"):
            if is_plain_remote(getattr(identity, key) or ""):
                yield ("identity", key), INSECURE


def _encryption(settings: Settings) -> Iterator[Broken]:
    keys = settings.encryption.keys
    if not keys and settings.store_scheme != "memory":
        yield ("encryption", "keys"), "is required unless the store is memory:; `sidecar keys new` makes one"
    ids = [key.reveal().partition(":")[0] for key in keys]
    for index, key_id in enumerate(ids):
        if key_id in ids[:index]:
            yield ("encryption", "keys", index), "must have an id of its own"


def _keys(settings: Settings) -> Iterator[Broken]:
    groups: list[tuple[Path, Iterable[Secret]]] = [
        (("listen", "keys"), settings.listen.keys),
        (("admin", "keys"), settings.admin.keys),
    ]
    groups += [(("services", name, "keys"), service.keys) for name, service in settings.services.items()]
    seen: set[Secret] = set()
    for path, keys in groups:
        for index, key in enumerate(keys):
            if key in seen:
                yield (*path, index), "must differ from every other key: a key says who is calling"
            seen.add(key)


def _provider(provider: ProviderSettings) -> Iterator[Broken]:
    if provider.preset is None:
        if provider.base_url is None:
            yield ("base_url",), "is required where no preset is named"
        if provider.client_id and not provider.token_url:
            yield ("token_url",), "is required beside client_id where no preset is named"
    elif message := unknown_preset(provider.preset):
        yield ("preset",), message
    yield from _client(provider)
    if not provider.insecure_http:
        for key in ("base_url", "authorize_url", "token_url", "revoke_url"):
            if is_plain_remote(getattr(provider, key) or ""):
                yield (key,), INSECURE
    yield from _placement(provider.placement, ("placement",))
    for index, host in enumerate(provider.hosts):
        yield from _placement(host.placement, ("hosts", index, "placement"))


def _client(provider: ProviderSettings) -> Iterator[Broken]:
    if provider.client_id is None:
        if provider.client_secret or provider.client_auth:
            yield ("client_id",), "is required beside client_secret and client_auth"
        return
    if provider.client_auth in {"basic", "post"} and not provider.client_secret:
        yield ("client_secret",), f"is required with client_auth: {provider.client_auth}"
    if provider.client_auth == "none" and provider.client_secret:
        yield ("client_secret",), "has no use with client_auth: none"


def _placement(placement: PlacementSettings | None, path: Path) -> Iterator[Broken]:
    if placement is None:
        return
    elsewhere = [key for key in ("query", "basic") if getattr(placement, key)]
    if len(elsewhere) + bool(placement.header) > 1:
        yield path, "must be one of header, query, basic"
    elif elsewhere and placement.format:
        yield (*path, "format"), "goes with header only"


def _names(settings: Settings) -> Iterator[Broken]:
    for name, service in settings.services.items():
        yield from _known(("services", name, "providers"), service.providers, settings.providers, "provider")
    for index, rule in enumerate(settings.policies.rules if settings.policies else ()):
        path: Path = ("policies", "rules", index)
        yield from _known((*path, "providers"), rule.providers, settings.providers, "provider")
        yield from _known((*path, "services"), rule.services, settings.services, "service")
        if refused := refused_rule(rule):
            yield (*path, *refused[0]), refused[1]


def _known(path: Path, names: Iterable[str], known: Iterable[str], word: str) -> Iterator[Broken]:
    known = list(known)
    for index, name in enumerate(names):
        if name not in known:
            yield (*path, index), f"names no {word} of this configuration" + did_you_mean(name, known)
