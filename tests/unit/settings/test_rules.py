from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.crypto.keyring import EncryptionKey
from sidecar.settings.layer import dotted, merge
from sidecar.settings.model import Settings
from sidecar.settings.rules import broken_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "a-key-of-at-least-16-characters"
ANOTHER = "another-key-of-16-characters"
SEAL = EncryptionKey.generate("k1").export()
SAME_ID = EncryptionKey.generate("k1").export()
FILES = {"base_url": "https://files.example.com"}
RIGHT: dict[str, Any] = {
    "app": "notes",
    "identity": {"issuer": "https://idp.example.com/", "audience": "api"},
    "store": "memory:",
    "providers": {"files": FILES},
}


def broken(changes: Mapping[str, object]) -> list[str]:
    """Return the paths of what is refused."""
    return [dotted(path) for path, _ in broken_rules(Settings.model_validate(merge(RIGHT, changes)))]


def files(**settings: object) -> dict[str, object]:
    return {"providers": {"files": settings}}


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, []),
        ({"identity": {"audience": []}}, ["identity.audience"]),
        ({"identity": {"audience": [], "authorized_parties": ["web"]}}, []),
        ({"identity": {"client_secret": "x"}}, ["identity.client_id"]),
        ({"identity": {"issuer": "http://idp.example.com"}}, ["identity.issuer"]),
        ({"identity": {"issuer": "http://idp.example.com", "insecure_http": True}}, []),
        ({"identity": {"issuer": "http://127.0.0.1:9000"}}, []),
        ({"identity": {"jwks_uri": "http://idp.example.com/keys"}}, ["identity.jwks_uri"]),
        ({"store": "redis://cache"}, ["encryption.keys"]),
        ({"store": "redis://cache", "encryption": {"keys": [SEAL]}}, []),
        ({"encryption": {"keys": [SEAL, SAME_ID]}}, ["encryption.keys[1]"]),
        ({"listen": {"proxy": "0.0.0.0:4100"}}, ["listen.keys"]),
        ({"listen": {"proxy": "0.0.0.0:4100", "keys": [KEY]}}, []),
        ({"listen": {"proxy": "unix:/run/proxy.sock"}}, []),
        ({"listen": {"ops": "0.0.0.0:4101", "control": "0.0.0.0:4102"}}, []),
        ({"listen": {"ops": "127.0.0.1:4100"}}, ["listen.ops"]),
        ({"listen": {"control": "0.0.0.0:4101"}}, ["listen.control"]),
        ({"public_url": "https://notes.example.com/side-car/"}, []),
        ({"public_url": "https://notes.example.com/side%20car"}, ["public_url"]),
        ({"admin": {"keys": [KEY, KEY]}}, ["admin.keys[1]"]),
        ({"admin": {"keys": [KEY]}, "listen": {"keys": [KEY]}}, ["admin.keys[0]"]),
        (
            {"admin": {"keys": [KEY]}, "services": {"a": {"keys": [ANOTHER, KEY], "providers": ["files"]}}},
            ["services.a.keys[1]"],
        ),
        (
            {"services": {"a": {"keys": [KEY], "providers": ["files", "flies"]}}},
            ["services.a.providers[1]"],
        ),
        (
            {"policies": {"rules": [{"providers": ["flies"], "effect": "allow"}]}},
            ["policies.rules[0].providers[0]"],
        ),
        (
            {"policies": {"rules": [{"services": ["a"], "effect": "allow"}]}},
            ["policies.rules[0].services[0]"],
        ),
        (
            {"policies": {"rules": [{"paths": ["/a/../b"], "effect": "deny"}]}},
            ["policies.rules[0].paths[0]"],
        ),
        ({"providers": {"new": {}}}, ["providers.new.base_url"]),
        ({"providers": {"new": {"preset": "gogle"}}}, ["providers.new.preset"]),
        ({"providers": {"new": {"preset": "google"}}}, []),
        (files(client_id="x"), ["providers.files.token_url"]),
        (files(client_id="x", token_url="https://files.example.com/token"), []),
        (files(client_secret="x"), ["providers.files.client_id"]),
        (files(client_auth="post"), ["providers.files.client_id"]),
        (
            files(client_id="x", token_url="https://a/", client_auth="basic"),
            ["providers.files.client_secret"],
        ),
        (
            files(client_id="x", token_url="https://a/", client_secret="s", client_auth="none"),
            ["providers.files.client_secret"],
        ),
        (files(base_url="http://files.example.com"), ["providers.files.base_url"]),
        (files(base_url="http://files.example.com", insecure_http=True), []),
        (files(base_url="http://localhost:8080"), []),
        (
            files(base_url="http://files.example.com", token_url="http://a.example/", revoke_url="http://a.example/"),
            ["providers.files.base_url", "providers.files.token_url", "providers.files.revoke_url"],
        ),
        (files(placement={"query": "a", "basic": "{token}:"}), ["providers.files.placement"]),
        (files(placement={"query": "a", "format": "{token}"}), ["providers.files.placement.format"]),
        (files(hosts=[{"host": "files.example.com", "placement": {"header": "A", "query": "b"}}]),
         ["providers.files.hosts[0].placement"]),
        (files(hosts=["elsewhere.example.com"]), ["providers.files.hosts"]),
        (files(hosts=["files.example.com", "files.example.com:443"]), ["providers.files.hosts[1]"]),
    ],
)  # fmt: skip
def test_what_settings_must_not_say_together(changes: dict[str, object], refused: list[str]) -> None:
    assert broken(changes) == refused


def test_a_rule_for_groups_and_services_is_refused() -> None:
    services = {"a": {"keys": [KEY], "providers": ["files"]}}
    rule = {"groups": ["x"], "services": ["a"], "effect": "allow"}

    assert broken({"services": services, "policies": {"rules": [rule]}}) == ["policies.rules[0]"]


def test_no_message_contains_a_secret() -> None:
    changes = {
        "admin": {"keys": [KEY, KEY]},
        "encryption": {"keys": [SEAL, SEAL]},
        "providers": {"files": {"client_secret": "hunter2"}},
    }

    messages = str(list(broken_rules(Settings.model_validate(merge(RIGHT, changes)))))

    assert "must differ from every other key" in messages
    assert not any(secret in messages for secret in (KEY, SEAL, "hunter2"))
