"""Say what a configuration that loads is still likely to regret.

A refusal stops the start; these do not, because each of them is right somewhere: a memory store in a test, a
control listener behind an ingress, a provider whose tokens are only imported. `sidecar check` prints them.

Scope: offline. Files and directories are looked at, no host is asked.
"""

from __future__ import annotations

import os
import pathlib
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sidecar.policies import review
from sidecar.settings.addresses import is_loopback, is_plain_remote
from sidecar.settings.translation import policies_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.settings.model import Settings
    from sidecar.settings.provider import ProviderSettings

WITHOUT_EFFECT: Final = {
    "kind": "the kind of identity provider makes no difference",
    "client_id": "there is no browser sign-in",
    "webhook_secrets": "there are no webhooks",
}
"""Settings of `identity` that serve surfaces to come, and what this version lacks."""


def warnings_of(settings: Settings) -> list[str]:
    """Return one line per doubt, each with the path of its setting and without any secret."""
    return [
        *_identity(settings),
        *_listeners(settings),
        *_store(settings),
        *_limits(settings),
        *_providers(settings),
        *(f"policies.{warning}" for warning in review.warnings(policies_of(settings.policies))),
        *_files(settings),
    ]


def _identity(settings: Settings) -> Iterator[str]:
    identity = settings.identity
    for key, reason in WITHOUT_EFFECT.items():
        if getattr(identity, key):
            yield f"identity.{key}: has no effect in this version: {reason}"
    for key in ("issuer", "jwks_uri"):
        if is_plain_remote(getattr(identity, key) or ""):
            yield f"identity.{key}: is plain http://; whoever is on the way can sign in as anybody"


def _listeners(settings: Settings) -> Iterator[str]:
    if not settings.admin.keys:
        yield "admin.keys: is empty, so grants can be neither imported nor listed"
    if settings.admin.public and not settings.public_url:
        yield "admin.public: has no effect without public_url"
    if not settings.listen.control.is_local:
        yield "listen.control: is reachable from elsewhere without TLS; put a proxy with TLS before it"
    if settings.public_url and is_plain_remote(settings.public_url):
        yield "public_url: is plain http://; cookies and codes cross the network in the clear"
    if settings.public_url and any(map(_is_connectable, settings.providers.values())):
        yield (
            "public_url: users do not sign in before they connect an account; whoever opens a link is asked "
            "whether they are the user it names, and believed"
        )


def _store(settings: Settings) -> Iterator[str]:
    store = settings.store.reveal()
    if settings.store_scheme == "memory":
        yield "store: is memory:, so every grant is lost when the process ends"
    elif settings.store_scheme == "sqlite":
        directory = pathlib.Path(store.removeprefix("sqlite://")).parent
        if not os.access(directory, os.W_OK | os.X_OK):
            yield f"store: the directory {directory} is not there or not writable for this user"
    elif settings.store_scheme == "redis" and not is_loopback(urlsplit(store).hostname or ""):
        yield "store: is redis:// without TLS; its password crosses the network in the clear"


def _limits(settings: Settings) -> Iterator[str]:
    if settings.limits.jwt_bytes > settings.limits.head_bytes:
        yield "limits.jwt_bytes: is larger than limits.head_bytes, which a JWT has to fit into"


def _providers(settings: Settings) -> Iterator[str]:
    if not settings.providers:
        yield "providers: is empty, so there is nothing to call"
    for name, provider in settings.providers.items():
        for warning in _provider(provider):
            yield f"providers.{name}.{warning}"


def _provider(provider: ProviderSettings) -> Iterator[str]:
    for key in ("base_url", "authorize_url", "token_url", "revoke_url"):
        if is_plain_remote(getattr(provider, key) or ""):
            yield f"{key}: is plain http://; tokens cross the network in the clear"
    if not provider.client_id:
        yield "client_id: is not set, so tokens are never refreshed"
    elif not provider.client_secret and provider.client_auth != "none":
        yield "client_secret: is not set; the client counts as public (client_auth: none)"


def _is_connectable(provider: ProviderSettings) -> bool:
    return bool(provider.client_id and (provider.preset or provider.authorize_url))


def _files(settings: Settings) -> Iterator[str]:
    files = {"identity.ca_file": settings.identity.ca_file}
    files |= {f"providers.{name}.ca_file": provider.ca_file for name, provider in settings.providers.items()}
    for path, file in files.items():
        if file and not _is_certificates(file):
            yield f"{path}: the file is not there, not readable for this user, or holds no PEM certificates"


def _is_certificates(file: str) -> bool:
    try:
        ssl.create_default_context(cafile=file)
    except (OSError, ValueError):
        return False
    return True
