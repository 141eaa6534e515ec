from __future__ import annotations

import pytest
from pydantic import ValidationError

from sidecar.settings.provider import FORMAT, HEADER, PARAMETER, PROVIDER_NAME, SCOPE, ProviderSettings


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer_Encoding", "Connection", "Sidecar-Key", "sidecar_grant",
     "Proxy-Authorization", "", "a b", "a:b", "ü", "x\r\ny"],
)  # fmt: skip
def test_a_token_never_goes_into_a_header_that_frames_or_steers(name: str) -> None:
    with pytest.raises(ValueError):
        HEADER.parse(name)


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "PRIVATE-TOKEN"])
def test_a_token_may_go_into_any_other_header(name: str) -> None:
    assert HEADER.parse(name) == name


@pytest.mark.parametrize(
    "form",
    ["Bearer", "{token}{token}", "Bearer {token}\r\nX: y", " {token}", "{token} ", "ü {token}", "{Token}"],
)
def test_a_format_has_the_token_once_and_one_line(form: str) -> None:
    with pytest.raises(ValueError):
        FORMAT.parse(form)


@pytest.mark.parametrize("name", ["", "a b", "a&b", "a=b"])
def test_a_query_parameter_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError):
        PARAMETER.parse(name)


@pytest.mark.parametrize("scope", ["", "a b", 'a"b', "a\\b", "ü"])
def test_a_scope_is_one_word(scope: str) -> None:
    with pytest.raises(ValueError):
        SCOPE.parse(scope)


@pytest.mark.parametrize("name", ["", "1a", "-a", "A", "a_b", "a" * 64])
def test_what_is_no_provider_name(name: str) -> None:
    with pytest.raises(ValueError):
        PROVIDER_NAME.parse(name)


def test_a_host_may_be_written_as_a_plain_name() -> None:
    provider = ProviderSettings.model_validate({"hosts": ["a.example", {"host": "b.example"}]})

    assert [host.host for host in provider.hosts] == ["a.example", "b.example"]


@pytest.mark.parametrize("hosts", [[["a"]], [None], [{}], ["https://a"]])
def test_what_is_no_host_is_refused(hosts: list[object]) -> None:
    with pytest.raises(ValidationError):
        ProviderSettings.model_validate({"hosts": hosts})
