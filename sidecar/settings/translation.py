"""Say providers and policies in the words of the packages that own them, which have the last word.

The catalog knows what a preset brings and which hosts make no sense; the policies know which rule can never
match. They refuse with a sentence that starts with the member at fault, and here it becomes a path of the
configuration, so that it is found before the start like every other mistake.

Scope: settings in, values of `sidecar.providers` and `sidecar.policies` out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidecar.policies.model import Policies
from sidecar.policies.parsing import RuleSpec, parse_policies
from sidecar.providers.catalog import DEFAULT_FORMATS, HostSpec, ProviderSpec, build_provider, preset_names
from sidecar.providers.model import Placement, PlacementKind
from sidecar.settings.suggestion import did_you_mean

if TYPE_CHECKING:
    from pydantic import BaseModel

    from sidecar.settings.model import PolicySettings, RuleSettings
    from sidecar.settings.provider import PlacementSettings, ProviderSettings
    from sidecar.settings.shape import Path

AUTH_METHODS: Final = {"basic": "client_secret_basic", "post": "client_secret_post", "none": "none"}
# `hosts[0].placement.format must ...`: the member at fault, then the sentence about it.
MEMBER: Final = re.compile(r"(?P<member>[a-z_]+(?:\[\d+\]|\.[a-z_]+)*) (?P<message>.+)")
STEP: Final = re.compile(r"[a-z_]+|\d+")


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
        issuer=provider.issuer or "",
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


def refused_provider(name: str, provider: ProviderSettings) -> tuple[Path, str] | None:
    """Return what the catalog refuses in a provider's settings: where, and why."""
    try:
        build_provider(provider_spec(name, provider))
    except ValueError as exc:
        return _located(str(exc), type(provider))
    return None


def policies_of(settings: PolicySettings | None) -> Policies:
    """Return the policies; without a block everything is allowed."""
    if settings is None:
        return Policies()
    return parse_policies(default=settings.default, rules=[_rule_spec(rule) for rule in settings.rules])


def refused_rule(rule: RuleSettings) -> tuple[Path, str] | None:
    """Return what makes a rule one that can never match: where, and why."""
    try:
        parse_policies(default="deny", rules=[_rule_spec(rule)])
    except ValueError as exc:
        return _located(str(exc).removeprefix("rules[0]").removeprefix("."), type(rule))
    return None


def _rule_spec(rule: RuleSettings) -> RuleSpec:
    return RuleSpec(
        groups=rule.groups,
        services=rule.services,
        providers=rule.providers,
        methods=rule.methods,
        paths=rule.paths,
        effect=rule.effect,
        mode=rule.mode,
    )


def _located(sentence: str, model: type[BaseModel]) -> tuple[Path, str]:
    match = MEMBER.fullmatch(sentence)
    path: Path = ()
    if match:
        path = tuple(int(step) if step.isdigit() else step for step in STEP.findall(match["member"]))
    if not match or path[0] not in model.model_fields:
        return (), sentence.strip()
    return path, match["message"]


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
