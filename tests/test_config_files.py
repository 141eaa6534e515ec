"""The configuration files we ship load, and the annotated one leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from sidecar.crypto.keyring import EncryptionKey
from sidecar.settings.model import Settings
from sidecar.settings.shape import settings_of
from sidecar.settings.sources import load_settings

CONFIG = Path(__file__).resolve().parents[1] / "config"
ENVIRON = {
    "OIDC_ISSUER": "https://idp.example.com/",
    "OIDC_AUDIENCE": "https://api.example.com",
    "ENCRYPTION_KEY": EncryptionKey.generate("2026-11").export(),
    "ADMIN_KEY": "admin-key-admin-key",
    "CALLER_KEY": "caller-key-caller-key",
    "REPORT_KEY": "report-key-report-key",
    "OIDC_CLIENT_SECRET": "oidc-client-secret",
    "WEBHOOK_SECRET": "webhook-secret",
    "GOOGLE_CLIENT_ID": "google-client",
    "GOOGLE_CLIENT_SECRET": "google-secret",
    "FILES_CLIENT_ID": "files-client",
    "FILES_CLIENT_SECRET": "files-secret",
}


def written(value: object, path: str = "") -> set[str]:
    """Return the paths of all values in a file, as `settings_of` writes them."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return {found for item in value for found in written(item, f"{path}[]")}
    if not isinstance(value, dict):
        return {path}
    is_table = path in {"providers", "services"}
    steps = {name: "<name>" if is_table else name for name in value}
    return {
        found for name, inner in value.items() for found in written(inner, f"{path}.{steps[name]}".strip("."))
    }


def test_the_minimal_file_loads() -> None:
    settings = load_settings(CONFIG / "minimal.yaml", ENVIRON)

    assert settings.identity.issuer == "https://idp.example.com/"
    assert settings.identity.audience == ("https://api.example.com",)
    assert list(settings.providers) == ["google"]


def test_the_annotated_file_loads() -> None:
    settings = load_settings(CONFIG / "sidecar.yaml", ENVIRON)

    assert settings.providers["files"].hosts[0].host == "files.example.com"
    assert settings.services["nightly-report"].providers == ("google",)


def test_the_annotated_file_has_every_setting() -> None:
    document = yaml.safe_load((CONFIG / "sidecar.yaml").read_text())

    missing = {setting.path for setting in settings_of(Settings)} - written(document)

    assert missing == set()


@pytest.mark.parametrize("section", ["log", "limits", "refresh", "shutdown"])
def test_the_annotated_file_shows_the_defaults(section: str) -> None:
    settings = load_settings(CONFIG / "sidecar.yaml", ENVIRON)

    assert getattr(settings, section) == Settings.model_fields[section].default


def test_the_annotated_file_shows_the_default_listeners_and_store() -> None:
    settings = load_settings(CONFIG / "sidecar.yaml", ENVIRON)
    default = Settings.model_fields["listen"].default

    assert (settings.listen.proxy, settings.listen.ops, settings.listen.control) == (
        default.proxy,
        default.ops,
        default.control,
    )
    assert settings.store == Settings.model_fields["store"].default
    assert settings.outage_grace == Settings.model_fields["outage_grace"].default


@pytest.mark.parametrize("name", ["minimal.yaml", "sidecar.yaml"])
def test_the_files_hold_no_secret_themselves(name: str) -> None:
    text = (CONFIG / name).read_text()

    secrets = re.findall(r"^\s*(?:keys|client_secret|webhook_secrets): (.+)$", text, re.MULTILINE)

    assert secrets
    assert all("${" in secret for secret in secrets)
