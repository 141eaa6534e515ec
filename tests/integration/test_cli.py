"""The command line, run as a user runs it: a process, its output, its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from sidecar import __version__
from sidecar.crypto.keyring import EncryptionKey
from tests.processes import ADMIN_KEY, http, running, settings_for

if TYPE_CHECKING:
    from pathlib import Path

ISSUER = "http://127.0.0.1:9"
PROVIDERS = {
    "files": {"base_url": "http://127.0.0.1:9", "token_url": "http://127.0.0.1:9/token", "client_id": "c"}
}
ROW = {
    "subject": "alice",
    "provider": "files",
    "access_token": "at-1",
    "refresh_token": "rt-1",
    "account": "work",
}


def sidecar(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sidecar", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    settings = settings_for(
        issuer=ISSUER, audience="notes", store=f"sqlite://{tmp_path}/sidecar.db", providers=PROVIDERS
    )
    path = tmp_path / "sidecar.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def rows_of(result: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_version_prints_the_version_and_nothing_else() -> None:
    assert sidecar("version").stdout == f"{__version__}\n"


def test_without_a_command_the_help_goes_to_stderr_and_the_code_is_2() -> None:
    result = sidecar()

    assert (result.returncode, result.stdout) == (2, "")
    assert "commands" in result.stderr


def test_a_new_key_is_one_that_the_settings_accept() -> None:
    result = sidecar("keys", "new", "--id", "2026-11")

    assert EncryptionKey.parse(result.stdout.strip()).id == "2026-11"


def test_a_key_id_that_no_setting_would_accept_is_refused() -> None:
    assert sidecar("keys", "new", "--id", "a:b").returncode == 78


def test_check_accepts_a_good_configuration(config: Path) -> None:
    result = sidecar("check", "--config", str(config))

    assert (result.returncode, result.stdout) == (0, "")
    assert "can be used" in result.stderr


def test_check_names_the_path_the_line_and_what_is_accepted_and_exits_78(config: Path) -> None:
    config.write_text(config.read_text() + "\nlimits:\n  head_timeot: 3s\n")

    result = sidecar("check", "--config", str(config))

    assert result.returncode == 78
    assert "limits.head_timeot" in result.stderr
    assert "head_timeout" in result.stderr


def test_an_unknown_preset_is_a_configuration_error_without_a_traceback(config: Path) -> None:
    settings = yaml.safe_load(config.read_text())
    settings["providers"]["files"] = {"preset": "gogle"}
    config.write_text(yaml.safe_dump(settings))

    result = sidecar("check", "--config", str(config))

    assert result.returncode == 78
    assert "providers.files" in result.stderr
    assert "Traceback" not in result.stderr


def test_grants_are_imported_listed_and_revoked_without_a_running_sidecar(config: Path) -> None:
    imported = sidecar(
        "grants", "import", "-", "--config", str(config), "--output", "json", stdin=json.dumps(ROW)
    )
    grant = str(rows_of(imported)[0]["id"])
    listed = sidecar("grants", "list", "--config", str(config), "--output", "json", "--subject", "alice")
    revoked = sidecar("grants", "revoke", grant, "--config", str(config))
    left = sidecar("grants", "list", "--config", str(config), "--output", "json")

    assert imported.returncode == listed.returncode == revoked.returncode == left.returncode == 0
    assert [row["id"] for row in rows_of(listed)] == [grant]
    assert rows_of(left) == []


def test_grants_go_through_the_running_sidecar(config: Path, tmp_path: Path) -> None:
    settings = yaml.safe_load(config.read_text())
    with running(settings, tmp_path, ready=False):
        imported = sidecar("grants", "import", "-", "--config", str(config), stdin=json.dumps(ROW))
        listed = sidecar("grants", "list", "--config", str(config), "--output", "json")

    assert imported.returncode == 0
    assert [row["account"] for row in rows_of(listed)] == ["work"]


def test_an_admin_key_that_is_not_accepted_is_77(config: Path, tmp_path: Path) -> None:
    settings = yaml.safe_load(config.read_text())
    with running(settings, tmp_path, ready=False):
        config.write_text(config.read_text().replace(ADMIN_KEY, "another-key-0123456789"))
        result = sidecar("grants", "list", "--config", str(config))

    assert result.returncode == 77


def test_a_bad_line_is_named_by_number_and_the_others_are_taken(config: Path) -> None:
    lines = "\n".join([json.dumps(ROW), "{", "[]", json.dumps({"subject": "bob", "provider": "nope"})])

    result = sidecar("grants", "import", "-", "--config", str(config), stdin=lines)

    assert result.returncode == 1
    assert all(f"line {number}" in result.stderr for number in (2, 3, 4))
    assert "1 imported, 3 refused" in result.stderr


def test_lines_are_read_strictly_and_whatever_their_writer_put_around_them(config: Path) -> None:
    twice = json.dumps(ROW)[:-1] + ', "subject": "mallory"}'
    lines = "\n".join(["\ufeff" + json.dumps(ROW), "[" * 100_000, twice, json.dumps(ROW) + "\r"])

    result = sidecar("grants", "import", "-", "--config", str(config), stdin=lines)

    assert "2 imported, 2 refused" in result.stderr
    assert all(f"line {number} is not a JSON object" in result.stderr for number in (2, 3))
    assert "Traceback" not in result.stderr


def test_a_file_that_cannot_be_read_is_a_failure(config: Path, tmp_path: Path) -> None:
    result = sidecar("grants", "import", str(tmp_path / "nowhere"), "--config", str(config))

    assert (result.returncode, "Traceback" in result.stderr) == (1, False)


@pytest.mark.parametrize("arguments", [("list", "--subject", ""), ("list", "--provider", ""), ("revoke", "")])
def test_an_empty_argument_does_not_mean_everything(arguments: tuple[str, ...]) -> None:
    assert sidecar("grants", *arguments).returncode == 2


def test_no_token_is_ever_printed(config: Path) -> None:
    imported = sidecar(
        "grants", "import", "-", "--config", str(config), "--output", "json", stdin=json.dumps(ROW)
    )
    listed = sidecar("grants", "list", "--config", str(config), "--output", "json")

    assert "at-1" not in imported.stdout + imported.stderr + listed.stdout + listed.stderr
    assert "rt-1" not in imported.stdout + imported.stderr + listed.stdout + listed.stderr


def test_an_unknown_grant_cannot_be_revoked(config: Path) -> None:
    assert sidecar("grants", "revoke", "g_nope", "--config", str(config)).returncode == 1


def test_healthcheck_tells_running_from_ready_from_absent(config: Path, tmp_path: Path) -> None:
    settings = yaml.safe_load(config.read_text())
    with running(settings, tmp_path, ready=False):
        startup = sidecar("healthcheck", "--probe", "startup", "--config", str(config))
        ready = sidecar("healthcheck", "--address", settings["listen"]["ops"])
    absent = sidecar("healthcheck", "--config", str(config))

    assert (startup.returncode, ready.returncode, absent.returncode) == (0, 1, 69)


def test_access_records_can_be_switched_off(config: Path, tmp_path: Path) -> None:
    settings = yaml.safe_load(config.read_text()) | {
        "log": {"level": "info", "format": "json", "access": False}
    }
    with running(settings, tmp_path, ready=False) as process:
        process.call("/files/x", "nonsense")
        refused = http(process.ops_url + "/metrics").body

    assert b'sidecar_errors_total{code="' in refused
    assert "sidecar.access" not in process.log()
