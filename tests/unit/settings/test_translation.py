from __future__ import annotations

import pytest

from sidecar.policies.model import Effect, Mode, Policies
from sidecar.providers.catalog import build_provider
from sidecar.providers.model import Placement, PlacementKind
from sidecar.secret import Secret
from sidecar.settings.model import PolicySettings
from sidecar.settings.provider import ProviderSettings
from sidecar.settings.translation import policies_of, provider_spec, unknown_preset


@pytest.mark.parametrize(
    ("placement", "meant"),
    [
        ({}, Placement()),
        ({"header": "X-Token"}, Placement(name="X-Token")),
        ({"format": "token {token}"}, Placement(format="token {token}")),
        ({"query": "key"}, Placement(kind=PlacementKind.QUERY, name="key", format="{token}")),
        (
            {"basic": "x:{token}"},
            Placement(kind=PlacementKind.BASIC, name="Authorization", format="x:{token}"),
        ),
    ],
)
def test_a_placement_is_one_of_three(placement: dict[str, str], meant: Placement) -> None:
    settings = ProviderSettings.model_validate({"base_url": "https://a.example", "placement": placement})

    provider = build_provider(provider_spec("a", settings))

    assert provider.hosts[0].placement == meant


def test_a_provider_is_handed_over_whole() -> None:
    settings = ProviderSettings.model_validate(
        {
            "base_url": "https://files.example.com/api/",
            "hosts": ["files.example.com", {"host": "up.example.com:8443", "placement": {"header": "X-Up"}}],
            "authorize_url": "https://files.example.com/authorize",
            "token_url": "https://files.example.com/token",
            "revoke_url": "https://files.example.com/revoke",
            "client_id": "client",
            "client_secret": "hunter2",
            "client_auth": "post",
            "scopes": ["read", "write"],
            "networks": ["10.0.0.0/8"],
            "ca_file": "/etc/ca.pem",
        }
    )

    provider = build_provider(provider_spec("files", settings))

    assert [str(host.origin) for host in provider.hosts] == [
        "https://files.example.com",
        "https://up.example.com:8443",
    ]
    assert provider.hosts[1].placement.name == "X-Up"
    assert provider.base_path == "/api"
    assert provider.endpoints.token_url == "https://files.example.com/token"
    assert provider.client is not None
    assert provider.client.client_secret == Secret("hunter2")
    assert provider.client.auth_method == "client_secret_post"
    assert (provider.scopes, provider.networks, provider.ca_file) == (
        ("read", "write"),
        ("10.0.0.0/8",),
        "/etc/ca.pem",
    )


def test_a_preset_that_does_not_exist_is_answered_with_those_that_do() -> None:
    assert unknown_preset("google") == ""
    assert unknown_preset("gitlub").startswith("must be one of github, gitlab, google")
    assert unknown_preset("gitlub").endswith("did you mean gitlab?")


def test_without_a_policies_block_everything_is_allowed() -> None:
    assert policies_of(None) == Policies(default=Effect.ALLOW)


def test_rules_are_handed_over_whole() -> None:
    settings = PolicySettings.model_validate(
        {
            "rules": [
                {
                    "groups": "a",
                    "providers": "b",
                    "methods": "get",
                    "paths": "/c/*",
                    "effect": "deny",
                    "mode": "observe",
                }
            ]
        }
    )

    policies = policies_of(settings)

    assert policies.default is Effect.DENY
    (rule,) = policies.rules
    assert (rule.groups, rule.providers, rule.methods, rule.paths) == ({"a"}, {"b"}, {"GET"}, ("/c/*",))
    assert (rule.effect, rule.mode) == (Effect.DENY, Mode.OBSERVE)
