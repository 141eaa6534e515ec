import pytest

from sidecar.providers.model import Origin
from sidecar.providers.origins import is_loopback, origin_and_path, origin_of_authority, origin_of_endpoint


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("api.github.com", "api.github.com", 443),
        ("API.GitHub.com", "api.github.com", 443),
        ("api.github.com:443", "api.github.com", 443),
        ("files.example.com:8443", "files.example.com", 8443),
        ("localhost:1", "localhost", 1),
        ("my_service:65535", "my_service", 65535),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", 443),
        ("1password.com", "1password.com", 443),
        ("10.0.0.7:9000", "10.0.0.7", 9000),
        ("[::1]:8080", "::1", 8080),
        ("[2001:DB8:0:0::1]", "2001:db8::1", 443),
    ],
)
def test_a_plain_authority_is_read(text, host, port):
    assert origin_of_authority(text, scheme="https") == Origin(scheme="https", host=host, port=port)


def test_the_default_port_follows_the_scheme():
    assert origin_of_authority("localhost", scheme="http").port == 80


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "example.com.",
        ".example.com",
        "a..b",
        "-a.example",
        "a-.example",
        "*.example.com",
        "b\u00fccher.example",
        "\uff47oogle.com",
        "exa mple.com",
        "example.com\n",
        "example.com/",
        "example.com/path",
        "example.com?x",
        "example.com#x",
        "user@example.com",
        "user:secret@example.com",
        "https://example.com",
        "example.com\\@evil.example",
        "example.com:",
        "example.com:0",
        "example.com:080",
        "example.com:65536",
        "example.com:99999",
        "example.com:+80",
        "example.com:\u0668\u0660",
        "example.com:80:80",
        "127.1",
        "2130706433",
        "0x7f.1",
        "1.2.3.0x4",
        "0177.0.0.1",
        "1.2.3.4.5",
        "256.1.1.1",
        "::1",
        "[::1",
        "[::1]x",
        "[]",
        "[fe80::1%25eth0]",
        "[1.2.3.4.5]",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
    ],
)
def test_what_two_programs_could_read_differently_is_no_host(text):
    with pytest.raises(ValueError) as caught:
        origin_of_authority(text, scheme="https")

    assert text not in str(caught.value) or len(text) < 3


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://files.example.com", "https://files.example.com", ""),
        ("https://files.example.com/", "https://files.example.com", ""),
        ("HTTPS://Files.Example.Com/API/v1/", "https://files.example.com", "/API/v1"),
        ("http://127.0.0.1:8080/x%20y", "http://127.0.0.1:8080", "/x%20y"),
        ("https://[::1]:8443/a", "https://[::1]:8443", "/a"),
    ],
)
def test_a_base_url_is_an_origin_and_a_path(url, origin, path):
    found, found_path = origin_and_path(url)

    assert (str(found), found_path) == (origin, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "files.example.com",
        "//files.example.com",
        "https:files.example.com",
        "https:///path",
        "ftp://files.example.com",
        "javascript://files.example.com",
        "https://user:canary@files.example.com",
        "https://canary@files.example.com",
        "https://files.example.com/?",
        "https://files.example.com/?q=1",
        "https://files.example.com/#",
        "https://files.example.com/#x",
        "https://files.example.com/a//b",
        "https://files.example.com//",
        "https://files.example.com/a/../b",
        "https://files.example.com/./a",
        "https://files.example.com/a b",
        "https://files.example.com/a\tb",
        "https://files.example\n.com/",
        "https://files.example.com/%zz",
        "https://files.example.com/\u00fc",
        "https://files.example.com\\x",
        "https://files.example.com/a|b",
        "https://[::1/",
        "https://[x]/",
        " https://files.example.com",
    ],
)
def test_a_base_url_with_anything_else_is_refused(url):
    with pytest.raises(ValueError) as caught:
        origin_and_path(url)

    assert "canary" not in str(caught.value)


def test_an_endpoint_may_have_a_query_and_no_fragment():
    url = "https://login.example.com/token?tenant=1"

    assert str(origin_of_endpoint(url)) == "https://login.example.com"
    with pytest.raises(ValueError):
        origin_of_endpoint(url + "#x")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("app.localhost", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_loopback_is_a_name_or_a_literal(host, expected):
    assert is_loopback(host) is expected
