from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.crypto.keyring import EncryptionKey
from sidecar.settings.check import warnings_of
from sidecar.settings.layer import merge
from sidecar.settings.model import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SEAL = EncryptionKey.generate("k1").export()
ADMIN = "an-admin-key-of-16-characters"


@pytest.fixture
def calm(tmp_path: Path) -> dict[str, Any]:
    """Settings that nobody has doubts about."""
    return {
        "app": "notes",
        "identity": {"issuer": "https://idp.example.com/", "audience": "api"},
        "store": f"sqlite://{tmp_path}/sidecar.db",
        "encryption": {"keys": [SEAL]},
        "admin": {"keys": [ADMIN]},
        "providers": {"google": {"preset": "google", "client_id": "id", "client_secret": "hunter2"}},
    }


def warnings(calm: dict[str, Any], changes: Mapping[str, object]) -> list[str]:
    return warnings_of(Settings.model_validate(merge(calm, changes)))


def test_there_is_nothing_to_say_about_a_calm_configuration(calm: dict[str, Any]) -> None:
    assert warnings(calm, {}) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"identity": {"client_id": "x"}}, "identity.client_id"),
        ({"identity": {"webhook_secrets": ["hunter2"]}}, "identity.webhook_secrets"),
        ({"identity": {"kind": "okta"}}, "identity.kind"),
        ({"identity": {"issuer": "http://idp.example.com", "insecure_http": True}}, "identity.issuer"),
        ({"identity": {"ca_file": "/nowhere/ca.pem"}}, "identity.ca_file"),
        ({"identity": {"ca_file": __file__}}, "identity.ca_file"),
        ({"admin": {"keys": []}}, "admin.keys"),
        ({"admin": {"public": True}}, "admin.public"),
        ({"listen": {"control": "0.0.0.0:4102"}}, "listen.control"),
        ({"public_url": "https://notes.example.com"}, "public_url"),
        ({"store": "memory:"}, "store"),
        ({"store": "sqlite:///nowhere/sidecar.db"}, "store"),
        ({"store": "redis://:hunter2@cache"}, "store"),
        ({"limits": {"head_bytes": "8KiB"}}, "limits.jwt_bytes"),
        ({"providers": {"google": {"client_id": "", "client_secret": ""}}}, "providers.google.client_id"),
        ({"providers": {"google": {"client_secret": ""}}}, "providers.google.client_secret"),
        ({"providers": {"google": {"ca_file": "/nowhere/ca.pem"}}}, "providers.google.ca_file"),
        (
            {"providers": {"google": {"token_url": "http://a.example/", "insecure_http": True}}},
            "providers.google.token_url",
        ),
        ({"policies": {"default": "allow", "rules": [{"effect": "allow"}]}}, "policies.rules[0]"),
    ],
)
def test_what_will_be_regretted_is_told_with_its_path(
    calm: dict[str, Any], changes: dict[str, object], path: str
) -> None:
    (warning,) = warnings(calm, changes)

    assert warning.startswith((f"{path}:", f"{path} "))
    assert "hunter2" not in warning


def test_a_plain_public_url_is_told_whatever_else_is_said_of_it(calm: dict[str, Any]) -> None:
    told = warnings(calm, {"public_url": "http://notes.example.com"})

    assert [warning.partition(";")[0] for warning in told] == [
        "public_url: is plain http://",
        "public_url: users do not sign in before they connect an account",
    ]


def test_a_public_url_without_a_provider_to_connect_is_nothing_to_talk_about(calm: dict[str, Any]) -> None:
    imported = {"files": {"base_url": "https://files.example.com", "token_url": "https://files.example.com/t",
                          "client_id": "id", "client_secret": "hunter2"}}  # fmt: skip

    assert warnings({**calm, "providers": imported}, {"public_url": "https://notes.example.com"}) == []


def test_a_configuration_without_providers_has_nothing_to_call(calm: dict[str, Any]) -> None:
    assert warnings_of(Settings.model_validate({**calm, "providers": {}})) == [
        "providers: is empty, so there is nothing to call"
    ]


def test_redis_on_this_machine_or_over_tls_is_fine(calm: dict[str, Any]) -> None:
    assert warnings(calm, {"store": "redis://localhost/0"}) == []
    assert warnings(calm, {"store": "rediss://:hunter2@cache/0"}) == []
