from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.crypto.keyring import EncryptionKey
from sidecar.policies.model import Effect, Mode
from sidecar.settings.addresses import ListenAddress
from sidecar.settings.sources import load_settings

if TYPE_CHECKING:
    from pathlib import Path

# The example of the product's description, its dots filled in.
EXAMPLE = """\
app: notes
listen: {proxy: 127.0.0.1:4100, ops: 127.0.0.1:4101, control: 127.0.0.1:4102}
public_url: https://notes.example.com/sidecar
identity:
  issuer: https://notes.eu.auth0.com/
  audience: [https://api.notes.example.com]
  leeway: 30s
  client_id: notes-client
  client_secret: notes-client-secret
  webhook_secrets: [one-webhook-secret]
store: sqlite:///var/lib/sidecar/sidecar.db
encryption:
  keys: ["${ENCRYPTION_KEY}"]
log: {level: info, format: auto}
admin: {keys: [an-admin-key-of-32-characters-ok]}
services:
  nightly-report: {keys: [a-service-key-of-32-characters-x], providers: [google]}
providers:
  google: {preset: google, client_id: google-client, client_secret: google-secret, scopes: [https://www.googleapis.com/auth/calendar.readonly]}
  slack: {preset: slack}
  files:
    base_url: https://files.example.com/api
    hosts: [files.example.com]
    authorize_url: https://files.example.com/oauth/authorize
    token_url: https://files.example.com/oauth/token
    revoke_url: https://files.example.com/oauth/revoke
    client_id: files-client
    client_secret: files-secret
    scopes: [read]
    placement: {header: Authorization, format: "Bearer {token}"}
policies:
  default: deny
  rules:
    - {groups: [contractors], providers: [google], methods: [GET, HEAD], paths: [/calendar/v3/*],
       effect: allow}
    - {groups: [interns], providers: [slack], effect: deny, mode: observe}
"""


def test_the_documented_example_loads(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.yaml"
    file.write_text(EXAMPLE)
    key = EncryptionKey.generate("2026-11").export()

    settings = load_settings(file, {"ENCRYPTION_KEY": key})

    assert settings.app == "notes"
    assert settings.listen.control == ListenAddress("127.0.0.1", 4102)
    assert settings.identity.audience == ("https://api.notes.example.com",)
    assert settings.identity.leeway == 30.0
    assert settings.store_scheme == "sqlite"
    assert [secret.reveal() for secret in settings.encryption.keys] == [key]
    assert settings.services["nightly-report"].providers == ("google",)
    assert settings.providers["files"].hosts[0].host == "files.example.com"
    assert settings.providers["files"].placement is not None
    assert settings.providers["files"].placement.format == "Bearer {token}"
    assert settings.policies is not None
    assert settings.policies.default is Effect.DENY
    assert settings.policies.rules[0].paths == ("/calendar/v3/*",)
    assert settings.policies.rules[1].mode is Mode.OBSERVE


def test_what_is_not_set_has_the_documented_default(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.yaml"
    file.write_text("app: a\nidentity: {issuer: https://a/, audience: a}\nstore: 'memory:'\n")

    settings = load_settings(file, {})

    assert str(settings.listen.proxy) == "127.0.0.1:4100"
    assert str(settings.listen.ops) == "127.0.0.1:4101"
    assert str(settings.listen.control) == "127.0.0.1:4102"
    assert settings.policies is None
    assert settings.outage_grace == 60.0
    assert settings.limits.model_dump() == {
        "head_timeout": 10.0,
        "head_bytes": 32768,
        "head_fields": 100,
        "jwt_bytes": 16384,
        "groups": 1000,
        "subject_chars": 255,
        "body_timeout": 30.0,
        "connect_timeout": 5.0,
        "tls_timeout": 5.0,
        "response_head_timeout": 600.0,
        "idle_timeout": 900.0,
        "body_bytes": None,
        "requests": 10_000,
    }


def test_a_policies_block_denies_by_default_even_when_it_is_empty(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.yaml"
    file.write_text("app: a\nidentity: {issuer: https://a/, audience: a}\nstore: 'memory:'\npolicies:\n")

    settings = load_settings(file, {})

    assert settings.policies is not None
    assert settings.policies.default is Effect.DENY
