"""Hand a provider's settings to the catalog, which knows the presets and has the last word.

Scope: the translation, and the catalog's refusals as refusals of the configuration.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidecar.providers.catalog import DEFAULT_FORMATS, HostSpec, ProviderSpec, build_provider, preset_names
from sidecar.providers.model import Placement, PlacementKind
from sidecar.settings.suggestion import did_you_mean

if TYPE_CHECKING:
    from sidecar.settings.provider import PlacementSettings, ProviderSettings
    from sidecar.settings.shape import Path

AUTH_METHODS: Final = {"basic": "client_secret_basic", "post": "client_secret_post", "none": "none"}
# The catalog's messages start with the member at fault: `hosts[0].placement.format must ...`.
MEMBER: Final = re.compile(r"(?P<name>[a-z_]+)(?:\[(?P<index>\d+)\])?(?P<rest>\.[a-z.]+)? (?P<message>.+)")


def provider_spec(name: str, provider: ProviderSettings) -> ProviderSpec:
    """Return the provider as `build_provider` takes it."""
    return ProviderSpec(
        name=name,
        preset=provider.preset or "",
        base_url=provider.base_url or "",
        hosts=tuple(
            HostSpec(authority=host.host, placement=_placement(host.placement)) for host in provider.hosts
        ),
        authorize_url=provider.authorize_url or "",
        token_url=provider.token_url or "",
        revoke_url=provider.revoke_url or "",
        client_id=provider.client_id or "",
        client_secret=provider.client_secret,
        auth_method=AUTH_METHODS[provider.client_auth] if provider.client_auth else "",
        scopes=provider.scopes,
        placement=_placement(provider.placement),
        networks=provider.networks,
        ca_file=provider.ca_file or "",
        insecure_http=provider.insecure_http,
    )


def unknown_preset(name: str) -> str:
    """Return what is wrong with the name of a preset, or nothing."""
    known = preset_names()
    return "" if name in known else f"must be one of {', '.join(known)}" + did_you_mean(name, known)


def refusal(name: str, provider: ProviderSettings) -> tuple[Path, str] | None:
    """Return what the catalog refuses in a provider's settings: where, and why."""
    try:
        build_provider(provider_spec(name, provider))
    except ValueError as exc:
        match = MEMBER.fullmatch(str(exc))
        if match is None or match["name"] not in type(provider).model_fields:
            return (), str(exc)
        path: list[str | int] = [match["name"]]
        if match["index"]:
            path.append(int(match["index"]))
        return (*path, *(match["rest"] or "").split(".")[1:]), match["message"]
    return None


def _placement(placement: PlacementSettings | None) -> Placement | None:
    if placement is None:
        return None
    if placement.query:
        kind, name = PlacementKind.QUERY, placement.query
    elif placement.basic:
        kind, name = PlacementKind.BASIC, "Authorization"
    else:
        kind, name = PlacementKind.HEADER, placement.header or "Authorization"
    written = placement.basic or placement.format or DEFAULT_FORMATS[kind]
    return Placement(kind=kind, name=name, format=written)
