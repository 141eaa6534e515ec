from __future__ import annotations

import base64

import pytest

from sidecar.app import mapping
from sidecar.errors import ConfigurationError
from sidecar.settings.model import Settings

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()


def settings(**more):
    return Settings.model_validate(
        {
            "app": "notes",
            "identity": {"issuer": "https://idp.example.com/", "audience": ["https://api.example.com"]},
            "store": "memory:",
            **more,
        }
    )


def test_memory_has_a_key_of_its_own_each_time():
    one, another = (mapping.keyring_of(settings()).sealing_key for _ in range(2))

    assert one.id == another.id == mapping.MEMORY_KEY_ID
    assert one.material != another.material


def test_configured_keys_are_used_for_memory_as_well():
    keyring = mapping.keyring_of(settings(encryption={"keys": [f"new:{OTHER}", f"old:{KEY}"]}))

    assert keyring.sealing_key.id == "new"


def test_every_broken_provider_is_named():
    broken = settings(
        providers={
            "good": {"base_url": "https://api.example.com"},
            "bad": {"preset": "no-such-preset"},
            "worse": {"preset": "nor-this"},
        }
    )

    with pytest.raises(ConfigurationError) as raised:
        mapping.providers_of(broken)

    assert [problem.partition(":")[0] for problem in raised.value.problems] == [
        "providers.bad",
        "providers.worse",
    ]


def test_limits_and_names_of_claims_reach_the_rules_for_tokens():
    rules = mapping.token_rules_of(
        settings(
            identity={
                "issuer": "https://idp.example.com/",
                "audience": ["a", "b"],
                "authorized_parties": ["web"],
                "leeway": "7s",
                "algorithms": ["ES256"],
                "claims": {"groups": "roles"},
            },
            limits={"jwt_bytes": "4KiB", "subject_chars": 64, "groups": 5},
        )
    )

    assert rules.expected.issuer == "https://idp.example.com/"
    assert rules.expected.audience == {"a", "b"}
    assert rules.expected.authorized_parties == {"web"}
    assert rules.expected.leeway == 7
    assert rules.algorithms == {"ES256"}
    assert rules.claims.groups == "roles"
    assert (rules.limits.token_bytes, rules.limits.subject_characters, rules.limits.groups) == (4096, 64, 5)


def test_a_key_set_s_address_is_discovered_unless_it_is_given():
    found = mapping.key_location_of(settings().identity)
    given = mapping.key_location_of(
        settings(
            identity={
                "issuer": "https://idp.example.com/",
                "audience": ["a"],
                "jwks_uri": "https://keys.example.com/jwks",
            }
        ).identity
    )

    assert (found.jwks_uri, given.jwks_uri) == ("", "https://keys.example.com/jwks")


def test_a_service_is_found_by_each_of_its_keys():
    services = mapping.service_keys_of(
        settings(
            providers={"files": {"base_url": "https://api.example.com"}},
            services={
                "night": {"keys": ["first-key-0123456789", "second-key-0123456789"], "providers": ["files"]}
            },
        ).services
    )

    found = [services.find(key) for key in ("first-key-0123456789", "second-key-0123456789", "third")]
    assert [service and service.name for service in found] == ["night", "night", None]
