from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.crypto.keyring import EncryptionKey
from sidecar.errors import ConfigurationError
from sidecar.settings.model import Settings
from sidecar.settings.shape import settings_of
from sidecar.settings.sources import load_settings

if TYPE_CHECKING:
    from pathlib import Path

MINIMAL = """\
app: notes
identity:
  issuer: https://idp.example.com/
  audience: https://api.example.com
store: "memory:"
"""


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "sidecar.yaml"
    file.write_text(text)
    return file


def problems_of(file: Path | None, environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, environ)
    return [problem.replace(f"{file}, ", "") for problem in caught.value.problems]


def test_the_path_beats_the_variable_and_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("sidecar", "variable", "option"):
        (tmp_path / f"{name}.yaml").write_text(MINIMAL.replace("notes", name))
    variable = {"SIDECAR_CONFIG": str(tmp_path / "variable.yaml")}

    assert load_settings(tmp_path / "option.yaml", variable).app == "option"
    assert load_settings(None, variable).app == "variable"
    assert load_settings(None, {}).app == "sidecar"


def test_without_a_file_everything_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key = tmp_path / "key"
    key.write_text(EncryptionKey.generate("k1").export() + "\n")

    settings = load_settings(
        None,
        {
            "SIDECAR_APP": "notes",
            "SIDECAR_IDENTITY__ISSUER": "https://idp.example.com/",
            "SIDECAR_IDENTITY__AUDIENCE": "one,two",
            "SIDECAR_ENCRYPTION__KEYS_FILE": str(key),
            "SIDECAR_PROVIDERS__GOOGLE__PRESET": "google",
        },
    )

    assert settings.identity.audience == ("one", "two")
    assert settings.encryption.keys[0].reveal().startswith("k1:")
    assert settings.providers["google"].preset == "google"


def test_a_start_without_any_file_says_where_one_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert problems_of(None, {"SIDECAR_STORE": "memory:"}) == [
        "app (there is no ./sidecar.yaml, and neither --config nor SIDECAR_CONFIG): is required",
        "identity (there is no ./sidecar.yaml, and neither --config nor SIDECAR_CONFIG): is required",
    ]


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, MINIMAL + "log: {level: error, format: json}\n")

    settings = load_settings(file, {"SIDECAR_LOG__LEVEL": "debug", "SIDECAR_IDENTITY__AUDIENCE": "x"})

    assert (settings.log.level, settings.log.format) == ("debug", "json")
    assert settings.identity.audience == ("x",)


def test_the_file_takes_variables_without_letting_them_add_keys(tmp_path: Path) -> None:
    file = write(tmp_path, MINIMAL + "identity2: x\n".replace("identity2: x", "public_url: ${URL}"))

    problems = problems_of(file, {"URL": "https://a/\nadmin: {public: true}"})

    assert problems == [
        "public_url (line 6): must be an https:// URL without user, password, query and fragment"
    ]


def test_all_problems_are_told_at_once_with_path_line_and_range(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """\
app: Notes
colour: blue
listen: {proxy: 0.0.0.0:4100}
identity:
  issuer: http://idp.example.com/
  leeway: 9h
  audiance: x
store: "redis://:hunter2@host:99999/0"
encryption: {keys: [hunter2hunter2hunter2]}
admin:
  keys:
    - short
    - "${NOPE}"
services: {rep: {keys: [hunter2hunter2hunter2], providers: [gogle]}}
providers:
  google: {preset: gogle, client_id: 0123, client_secret: hunter2}
""",
    )
    environ = {"SIDECAR_LIMITS__HEAD_BYTES": "hunter2", "SIDECAR_LISTEN_PROXY": "hunter2"}

    problems = problems_of(file, environ)

    assert problems == [
        "admin.keys[1] (line 13): needs the variable NOPE, which is not set; ${NOPE:-} would allow that",
        "SIDECAR_LISTEN_PROXY: is not a setting; did you mean SIDECAR_LISTEN__PROXY?",
        "app (line 1): must be a name of at most 63 lower-case letters, digits and hyphens",
        "identity.leeway (line 6): must be a duration from 0s to 5m, such as 30s",
        "identity.audiance (line 7): is not a setting; did you mean audience?",
        (
            "store (line 8): must be memory:, sqlite:///absolute/path,"
            " redis://[user:password@]host[:port][/db] or rediss://..."
        ),
        "encryption.keys[0] (line 9): must be <id>:<32 bytes, base64>; `sidecar keys new` makes one",
        "admin.keys[0] (line 12): must be a secret of at least 16 visible ASCII characters",
        "limits.head_bytes (SIDECAR_LIMITS__HEAD_BYTES): must be a size from 1KiB to 1MiB, such as 32KiB",
        "colour (line 2): is not a setting",
        "listen.keys (line 3): is required where listen.proxy is neither loopback nor a Unix socket",
        "identity.audience (line 4): is required: the `aud` of your tokens, or set authorized_parties",
        (
            "identity.issuer (line 5): must be https://;"
            " plain http:// is for this machine only, or with insecure_http: true"
        ),
        (
            "providers.google.preset (line 16): must be one of github, gitlab, google, microsoft, slack;"
            " did you mean google?"
        ),
        "services.rep.providers[0] (line 14): names no provider of this configuration; did you mean google?",
    ]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("head_timeout: 5s", "head_timeout (line 6): is not a setting; did you mean limits.head_timeout?"),
        ("limit: {}", "limit (line 6): is not a setting; did you mean limits?"),
        ("log: {levle: x}", "log.levle (line 6): is not a setting; did you mean level?"),
        (
            "providers: {a: {base_url: https://a/, hosts: [{hots: x}]}}",
            "providers.a.hosts[0].hots (line 6): is not a setting; did you mean host?",
        ),
        ("log: text", "log (line 6): must be a group of settings, key: value"),
        ("services: [a]", "services (line 6): must be a group of settings, key: value"),
        (
            "services: {a: {keys: [], providers: [b]}}",
            "services.a.keys (line 6): must have at least one entry",
        ),
        ("services: {a: {providers: [b]}}", "services.a.keys (line 6): is required"),
        ("policies: {rules: [{groups: [a]}]}", "policies.rules[0].effect (line 6): is required"),
        (
            "policies: {rules: [{groups: [], effect: allow}]}",
            "policies.rules[0].groups (line 6): must have at least one entry",
        ),
        (
            "providers: {A: {}}",
            "providers.A (line 6): must be a name of lower-case letters, digits and hyphens",
        ),
        ("listen: {ops: 'unix:/x'}", "listen.ops (line 6): must be host:port, an IPv6 host in brackets"),
        ("log: {level: loud}", "log.level (line 6): must be one of debug, info, warning, error"),
        ("app: again", "file: has the key app twice, first on line 1"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, lines: str, problem: str) -> None:
    problems = problems_of(write(tmp_path, MINIMAL + lines + "\n"), {})

    assert problem.replace("file: ", "") in [text.replace("line 6: ", "") for text in problems]


@pytest.mark.parametrize(
    "lines",
    [
        "encryption: {'2026-11:aHVudGVyMg==': x}",
        "admin: {keys: {'hunter2 hunter2': x}}",
        "providers: {'hunter2/hunter2': {}}",
        "encryption: {keys: [hunter2hunter2hunter2hunter2hunter2hunter2hunter2]}",
        "store: redis://:hunter2@cache:1:2/",
        "identity: {issuer: 'https://user:hunter2@a/', audience: x}",
        "providers: {a: {preset: hunter2}}",
        "services: {a: {keys: [k], providers: [hunter2]}}",
    ],
)
def test_no_problem_quotes_a_value(tmp_path: Path, lines: str) -> None:
    text = "\n".join(problems_of(write(tmp_path, MINIMAL.replace("identity:", "unused:") + lines + "\n"), {}))

    assert "hunter2" not in text
    assert "aHVudGVyMg" not in text


def test_what_follows_from_a_problem_is_not_told_as_another(tmp_path: Path) -> None:
    file = write(tmp_path, MINIMAL.replace("https://api.example.com", "${UNSET}"))

    assert problems_of(file, {}) == [
        "identity.audience (line 4): needs the variable UNSET, which is not set; ${UNSET:-} would allow that"
    ]


def test_a_secret_leaves_the_loader_only_as_a_secret(tmp_path: Path) -> None:
    file = write(tmp_path, MINIMAL + "admin: {keys: [hunter2hunter2hunter2]}\n")

    settings = load_settings(
        file,
        {
            "SIDECAR_STORE": "redis://:hunter2@cache/0",
            "SIDECAR_ENCRYPTION__KEYS": EncryptionKey.generate("a").export(),
        },
    )

    assert "hunter2" not in repr(settings)
    assert settings.admin.keys[0].reveal() == "hunter2hunter2hunter2"
    assert settings.store.reveal() == "redis://:hunter2@cache/0"


NAMES = sorted(
    {part for setting in settings_of(Settings) for part in setting.path.replace("[]", "").split(".")}
)
CANARIES = st.sampled_from(["hunter2 hunter2", "${hunter2", "hunter2/:@#", "\x07hunter2", "*hunter2", "-1"])
DOCUMENTS = st.dictionaries(
    st.sampled_from(NAMES),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | CANARIES,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
        ),
        max_leaves=12,
    ),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=DOCUMENTS)
def test_any_document_is_loaded_or_refused_without_quoting_it(tmp_path: Path, document: object) -> None:
    file = write(tmp_path, yaml.safe_dump(document))

    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, {})

    assert "hunter2" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(NAMES), rest=st.lists(st.sampled_from([*NAMES, "x", ""]), max_size=4), value=CANARIES
)
def test_any_variable_is_loaded_or_refused_without_quoting_it(name: str, rest: list[str], value: str) -> None:
    variable = "SIDECAR_" + "__".join([name, *rest]).upper().replace("<NAME>", "A")

    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, {variable: value})

    assert "hunter2" not in str(caught.value)
