from __future__ import annotations

import pytest

from sidecar.settings.addresses import (
    HOST,
    HOST_AND_PORT,
    NETWORK,
    ORIGIN,
    PLAIN_URL,
    PROXY_ADDRESS,
    TCP_ADDRESS,
    URL,
    ListenAddress,
    check_store,
    is_loopback,
    is_plain_remote,
)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("127.0.0.1:4100", ListenAddress("127.0.0.1", 4100)),
        ("0.0.0.0:0", ListenAddress("0.0.0.0", 0)),
        ("[::1]:4100", ListenAddress("::1", 4100)),
        ("LOCALHOST:80", ListenAddress("localhost", 80)),
        ("unix:/run/sidecar.sock", ListenAddress(path="/run/sidecar.sock")),
    ],
)
def test_a_listener_is_a_host_with_a_port_or_a_socket(given: str, address: ListenAddress) -> None:
    assert PROXY_ADDRESS.parse(given) == address
    assert PROXY_ADDRESS.parse(str(address)) == address


@pytest.mark.parametrize(
    "given",
    ["", "4100", ":4100", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:4100", "[::1]", "[nonsense]:1",
     "a b:1", "unix:relative.sock", "unix:", "unix:/" + "x" * 107, "tcp://127.0.0.1:1", "127.0.0.1:\u0661"],
)  # fmt: skip
def test_what_is_no_listener_is_refused(given: str) -> None:
    with pytest.raises(ValueError):
        PROXY_ADDRESS.parse(given)


def test_only_the_proxy_may_be_a_unix_socket() -> None:
    with pytest.raises(ValueError):
        TCP_ADDRESS.parse("unix:/run/sidecar.sock")


@pytest.mark.parametrize(
    ("given", "is_local"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/s", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("localhost.example.com:1", False),
    ],
)
def test_an_address_is_local_if_nobody_else_can_reach_it(given: str, is_local: bool) -> None:
    address = PROXY_ADDRESS.parse(given)

    assert isinstance(address, ListenAddress)
    assert address.is_local is is_local


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("127.0.0.1:1", "127.0.0.2:1", False),
        ("127.0.0.1:1", "0.0.0.0:1", True),
        ("127.0.0.1:1", "[::]:1", True),
        ("127.0.0.1:1", "localhost:1", True),
        ("127.0.0.1:1", "sidecar:1", False),
        ("unix:/a", "127.0.0.1:1", False),
        ("unix:/a", "unix:/a", True),
        ("unix:/a", "unix:/b", False),
    ],
)
def test_addresses_overlap_if_both_cannot_be_bound(one: str, other: str, overlap: bool) -> None:
    first, second = PROXY_ADDRESS.parse(one), PROXY_ADDRESS.parse(other)

    assert isinstance(first, ListenAddress)
    assert isinstance(second, ListenAddress)
    assert first.overlaps(second) is second.overlaps(first) is overlap


@pytest.mark.parametrize(
    "given",
    [
        "https://idp.example.com/",
        "https://idp.example.com:8443/realms/a?x=1",
        "http://[::1]:80/",
        "HTTP://a/",
    ],
)
def test_a_url_is_kept_as_it_is_written(given: str) -> None:
    assert URL.parse(given) == given


@pytest.mark.parametrize(
    "given",
    ["", "idp.example.com", "ftp://a/", "https://", "https:///x", "https://user:pw@a/", "https://a/#x",
     "https://a b/", "https://a/\n", "https://a/ü", "https://[a/", "https://a:99999/", "//a/", "https://a\\b/"],
)  # fmt: skip
def test_what_is_no_url_is_refused(given: str) -> None:
    with pytest.raises(ValueError):
        URL.parse(given)


def test_a_plain_url_has_no_query() -> None:
    with pytest.raises(ValueError):
        PLAIN_URL.parse("https://a/?x=1")


@pytest.mark.parametrize(
    ("given", "host"),
    [("A.Example", "a.example"), ("10.0.0.1", "10.0.0.1"), ("::1", "::1"), ("[::1]", "::1")],
)
def test_a_host_has_no_port(given: str, host: str) -> None:
    assert HOST.parse(given) == host


@pytest.mark.parametrize("given", ["a.example:80", "[::1]:80", "", "a/b", "*.example.com", "a..b"])
def test_what_is_no_host_is_refused(given: str) -> None:
    with pytest.raises(ValueError):
        HOST.parse(given)


@pytest.mark.parametrize(
    ("given", "host"), [("A.Example", "a.example"), ("a:8443", "a:8443"), ("[::1]:1", "[::1]:1")]
)
def test_a_provider_host_may_have_a_port(given: str, host: str) -> None:
    assert HOST_AND_PORT.parse(given) == host


@pytest.mark.parametrize("given", ["a:0", "a:65536", "https://a", "*.a.example", "a/b", ""])
def test_what_is_no_provider_host_is_refused(given: str) -> None:
    with pytest.raises(ValueError):
        HOST_AND_PORT.parse(given)


def test_a_network_is_in_cidr_form() -> None:
    assert NETWORK.parse("10.0.0.0/8") == "10.0.0.0/8"
    for wrong in ("10.0.0.1/8", "example.com", "10.0.0.0/33"):
        with pytest.raises(ValueError):
            NETWORK.parse(wrong)


@pytest.mark.parametrize(
    "given",
    [
        "memory:",
        "sqlite:///var/lib/a.db",
        "redis://cache",
        "redis://:pw@cache:6379/1",
        "rediss://u:pw@cache/",
        "redis://[::1]:1",
    ],
)
def test_a_store_of_ours_is_accepted(given: str) -> None:
    check_store(given)


@pytest.mark.parametrize(
    "given",
    ["", "memory", "memory://", "sqlite://a.db", "sqlite:///", "sqlite:///a/", "sqlite:///a?mode=ro", "redis://",
     "redis://cache/one", "redis://cache:0", "redis://cache:99999", "redis://cache/0?ssl=1", "postgres://db",
     "redis+sentinel://a", "redis://[x"],
)  # fmt: skip
def test_another_store_is_refused(given: str) -> None:
    with pytest.raises(ValueError):
        check_store(given)


def test_plain_http_is_remote_unless_the_host_is_this_machine() -> None:
    assert is_plain_remote("http://idp.example.com/")
    assert is_plain_remote("http://10.0.0.1/")
    assert not is_plain_remote("https://idp.example.com/")
    assert not is_plain_remote("http://localhost:8080/")
    assert not is_plain_remote("http://[::1]:8080/")
    assert not is_plain_remote("")


def test_a_name_that_merely_looks_local_is_not() -> None:
    assert not is_loopback("127.0.0.1.example.com")


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("https://App.Example.com:443/", "https://app.example.com"),
        ("https://app.example.com:8443", "https://app.example.com:8443"),
        ("http://localhost:3000", "http://localhost:3000"),
    ],
)
def test_an_origin_is_written_one_way(given: str, origin: str) -> None:
    assert ORIGIN.parse(given) == origin


@pytest.mark.parametrize(
    "given",
    ["", "app.example.com", "https://app.example.com/path", "https://app.example.com?x", "http://app.example.com",
     "https://u@app.example.com", "https://*.example.com", "null"],
)  # fmt: skip
def test_what_is_more_or_less_than_an_origin_is_refused(given: str) -> None:
    with pytest.raises(ValueError):
        ORIGIN.parse(given)
