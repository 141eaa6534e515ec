from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.settings.environment import read_environment
from sidecar.settings.model import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from sidecar.settings.layer import Layer

NOTHING: dict[str, object] = {}


def read(environ: dict[str, str], file_values: object = NOTHING) -> Layer:
    return read_environment(environ, Settings, file_values)


@pytest.mark.parametrize(
    ("name", "value", "values"),
    [
        ("SIDECAR_APP", "0123", {"app": "0123"}),
        ("SIDECAR_LOG__LEVEL", "debug", {"log": {"level": "debug"}}),
        ("SIDECAR_PUBLIC_URL", "", {"public_url": ""}),
        ("SIDECAR_LIMITS__BODY_BYTES", "null", {"limits": {"body_bytes": None}}),
        ("SIDECAR_IDENTITY__CLIENT_ID", "null", {"identity": {"client_id": None}}),
        ("SIDECAR_IDENTITY__CLAIMS__GROUPS", "roles", {"identity": {"claims": {"groups": "roles"}}}),
        ("SIDECAR_IDENTITY__AUDIENCE", "a, b,,c ", {"identity": {"audience": ["a", "b", "c"]}}),
        ("SIDECAR_IDENTITY__AUDIENCE", '["a, b"]', {"identity": {"audience": ["a, b"]}}),
        ("SIDECAR_IDENTITY__AUDIENCE", "", {"identity": {"audience": []}}),
        ("SIDECAR_PROVIDERS__GOOGLE__PRESET", "google", {"providers": {"google": {"preset": "google"}}}),
        ("SIDECAR_POLICIES__RULES", '[{"effect": "deny"}]', {"policies": {"rules": [{"effect": "deny"}]}}),
        ("SIDECAR_PROVIDERS", '{"a": {"preset": "x"}}', {"providers": {"a": {"preset": "x"}}}),
        ("SIDECAR_POLICIES", "", {"policies": {}}),
    ],
)
def test_a_variable_is_a_setting(name: str, value: str, values: dict[str, object]) -> None:
    layer = read({name: value})

    assert layer.problems == []
    assert layer.values == values


def test_other_variables_are_nobodys_business() -> None:
    environ = {"PATH": "/bin", "SIDECARS": "2", "MY_SIDECAR_APP": "x", "sidecar_app": "x"}

    assert read(environ).values == {}
    assert read(environ).problems == []


@pytest.mark.parametrize(
    "name",
    ["SIDECAR_CONFIG", "SIDECAR_URL", "SIDECAR_TOKEN", "SIDECAR_SERVICE_HOST", "SIDECAR_SERVICE_PORT",
     "SIDECAR_SERVICE_PORT_HTTP", "SIDECAR_PORT", "SIDECAR_PORT_4100_TCP", "SIDECAR_PORT_4100_TCP_ADDR",
     "SIDECAR_PORT_4100_TCP_PROTO", "SIDECAR_OPS_SERVICE_HOST", "SIDECAR_OPS_PORT",
     "SIDECAR_OPS_PORT_80_TCP_PORT"],
)  # fmt: skip
def test_what_others_put_there_is_left_alone(name: str) -> None:
    layer = read({name: "tcp://10.0.0.1:80"})

    assert (layer.values, layer.problems) == ({}, [])


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("SIDECAR_LISTEN_PROXY", "SIDECAR_LISTEN__PROXY"),
        ("SIDECAR_LISTEN__PROXI", "SIDECAR_LISTEN__PROXY"),
        ("SIDECAR_LOGLEVEL", "SIDECAR_LOG__LEVEL"),
        ("SIDECAR_PROVIDERS__GOOGLE__CLENT_ID", "SIDECAR_PROVIDERS__GOOGLE__CLIENT_ID"),
        ("SIDECAR_PROVIDERS__MY_FILES__BASEURL", "SIDECAR_PROVIDERS__MY_FILES__BASE_URL"),
        ("SIDECAR_ADMIN__KEYS_FLIE", "SIDECAR_ADMIN__KEYS"),
    ],
)
def test_an_unknown_variable_is_refused_with_a_suggestion(name: str, suggestion: str) -> None:
    (problem,) = read({name: "x"}).problems

    assert str(problem) == f"{name}: is not a setting; did you mean {suggestion}?"


@pytest.mark.parametrize(
    "name",
    ["SIDECAR_", "SIDECAR___", "SIDECAR_COLOUR", "SIDECAR_APP__NAME", "SIDECAR_PROVIDERS____PRESET",
     "SIDECAR_POLICIES__RULES__0__EFFECT",
     "SIDECAR_A__SERVICE_HOST", "SIDECAR_PORT_4100_UDP", "SIDECAR_FILE"],
)  # fmt: skip
def test_an_unknown_variable_is_refused(name: str) -> None:
    (problem,) = read({name: "hunter2"}).problems

    assert str(problem).startswith(f"{name}: is not a setting")
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("configured", "segment"),
    [
        ("nightly-report", "NIGHTLY_REPORT"),
        ("Nightly.Report", "NIGHTLY_REPORT"),
        ("a_b", "A_B"),
        ("plain", "PLAIN"),
    ],
)
def test_names_of_the_file_are_found_whatever_their_hyphens(configured: str, segment: str) -> None:
    file_values = {"services": {configured: {"providers": ["a"]}}}

    layer = read({f"SIDECAR_SERVICES__{segment}__PROVIDERS": "b"}, file_values)

    assert layer.values == {"services": {configured: {"providers": ["b"]}}}


def test_an_underscore_in_a_new_name_is_a_hyphen() -> None:
    layer = read({"SIDECAR_PROVIDERS__MY_FILES__BASE_URL": "https://a/"})

    assert layer.values == {"providers": {"my-files": {"base_url": "https://a/"}}}


def test_a_longer_name_beats_a_shorter_one() -> None:
    layer = read({"SIDECAR_LOG__LEVEL": "debug", "SIDECAR_LOG": '{"level": "error", "format": "json"}'})

    assert layer.values == {"log": {"level": "debug", "format": "json"}}
    assert layer.origin_of(("log", "level")) == "SIDECAR_LOG__LEVEL"
    assert layer.origin_of(("log", "format")) == "SIDECAR_LOG"


def test_a_file_holds_one_value_and_loses_its_newline(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")

    layer = read({"SIDECAR_IDENTITY__CLIENT_SECRET_FILE": str(secret)})

    assert layer.values == {"identity": {"client_secret": "s3cret"}}
    assert layer.origin_of(("identity", "client_secret")) == "SIDECAR_IDENTITY__CLIENT_SECRET_FILE"


@pytest.mark.parametrize(
    ("content", "text"), [("a", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("", "")]
)
def test_only_one_newline_is_dropped(tmp_path: Path, content: str, text: str) -> None:
    (tmp_path / "value").write_bytes(content.encode())

    assert read({"SIDECAR_APP_FILE": str(tmp_path / "value")}).values == {"app": text}


@pytest.mark.parametrize("path", ["encryption.keys", "admin.keys", "listen.keys", "services.a.keys"])
def test_a_file_of_a_list_has_one_entry_per_line(tmp_path: Path, path: str) -> None:
    (tmp_path / "keys").write_text("one,with,commas\n\ntwo\r\n")
    name = "SIDECAR_" + path.replace(".", "__").upper() + "_FILE"

    layer = read({name: str(tmp_path / "keys")})

    value: object = layer.values
    for part in path.split("."):
        assert isinstance(value, dict)
        value = value[part]
    assert value == ["one,with,commas", "two"]


def test_a_setting_that_ends_in_file_is_itself_first(tmp_path: Path) -> None:
    (tmp_path / "path").write_text("/etc/ca.pem\n")

    assert read({"SIDECAR_IDENTITY__CA_FILE": "/ca"}).values == {"identity": {"ca_file": "/ca"}}
    assert read({"SIDECAR_IDENTITY__CA_FILE_FILE": str(tmp_path / "path")}).values == {
        "identity": {"ca_file": "/etc/ca.pem"}
    }


def test_a_variable_and_its_file_together_are_refused(tmp_path: Path) -> None:
    (tmp_path / "app").write_text("a")

    (problem,) = read({"SIDECAR_APP": "b", "SIDECAR_APP_FILE": str(tmp_path / "app")}).problems

    assert str(problem) == "app (SIDECAR_APP_FILE): is given by SIDECAR_APP too; keep one of them"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "needs a file that can be read: No such file"),
        (b"\xff", "UTF-8"),
        (b"x" * (1024**2 + 1), "at most 1 MiB"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_problem_without_its_path(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "hunter2"
    if content is not None:
        file.write_bytes(content)

    (problem,) = read({"SIDECAR_ADMIN__KEYS_FILE": str(file)}).problems

    assert str(problem).startswith("admin.keys (SIDECAR_ADMIN__KEYS_FILE): ")
    assert message in str(problem)
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("SIDECAR_IDENTITY__AUDIENCE", '["hunter2"', "list"),
        ("SIDECAR_POLICIES__RULES", '{"hunter2": 1}', "list"),
        ("SIDECAR_LOG", "hunter2", "object"),
        ("SIDECAR_LOG", "[" * 100_000, "object"),
    ],
)
def test_what_is_no_json_is_refused_without_quoting_it(name: str, value: str, word: str) -> None:
    (problem,) = read({name: value}).problems

    assert problem.message == f"must be a JSON {word} when it comes from one variable"
    assert problem.origin == name
