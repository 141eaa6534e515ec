"""Who may speak to the control listener, as a table."""

from __future__ import annotations

import pytest

from sidecar.errors import CrossSiteRefusedError, MisdirectedRequestError, NotFoundError, SidecarError
from sidecar.web.guard import Guard, Visit, host_of, is_loopback

GUARD = Guard(hosts=frozenset({"sidecar.internal", "10.0.0.5"}), public_host="notes.example.com")

OURS = [
    "localhost",
    "LOCALHOST:4102",
    "127.0.0.1:4102",
    "127.8.9.10",
    "[::1]:4102",
    "[::ffff:127.0.0.1]",
    "sidecar.internal:9",
    "10.0.0.5",
    "notes.example.com",
    "Notes.Example.com:443",
]
NOT_OURS = [
    "",
    "evil.example",
    "localhost.evil.example",
    "localhost.",
    "sidecar.internal.",
    "127.1",
    "2130706433",
    "0.0.0.0:4102",
    "169.254.169.254",
    "user@localhost",
    "localhost:port",
    "[::1",
]


def refusal(guard: Guard, visit: Visit) -> type[SidecarError] | None:
    try:
        guard.check(visit)
    except SidecarError as exc:
        return type(exc)
    return None


@pytest.mark.parametrize("host", OURS)
def test_our_names_are_served_with_any_port(host: str) -> None:
    assert refusal(GUARD, Visit(method="GET", path="/v1/me", host=host)) is None


@pytest.mark.parametrize("host", NOT_OURS)
def test_any_other_name_is_misdirected(host: str) -> None:
    assert refusal(GUARD, Visit(method="GET", path="/v1/me", host=host)) is MisdirectedRequestError


@pytest.mark.parametrize(
    ("method", "path", "is_guarded"),
    [
        ("GET", "/v1", True),
        ("GET", "/v1/verify", True),
        ("OPTIONS", "/v1/me", True),
        ("GET", "/admin/v1/grants", True),
        ("POST", "/login/start", True),
        ("DELETE", "/anything", True),
        ("PROPFIND", "/", True),
        ("GET", "/connect/abc", False),
        ("HEAD", "/callback", False),
        ("GET", "/", False),
        ("GET", "/v1x", False),
    ],
)
def test_apis_and_unsafe_methods_are_guarded_and_pages_are_not(
    method: str, path: str, is_guarded: bool
) -> None:
    expected = MisdirectedRequestError if is_guarded else None

    assert refusal(GUARD, Visit(method=method, path=path, host="evil.example")) is expected


SAME = [
    ("localhost:4102", "http://localhost:4102"),
    ("LOCALHOST:4102", "http://localhost:4102"),
    ("notes.example.com", "https://notes.example.com"),
    ("notes.example.com:443", "https://notes.example.com"),
    ("notes.example.com", "https://notes.example.com:443"),
    ("[::1]:4102", "http://[::1]:4102"),
]
OTHER = [
    ("localhost:4102", "http://localhost:3000"),
    ("localhost:4102", "http://localhost"),
    ("localhost:4102", "http://127.0.0.1:4102"),
    ("localhost:4102", "null"),
    ("localhost:4102", ""),
    ("localhost:4102", "http://["),
    ("localhost:4102", "http://localhost:4102@evil.example"),
    ("localhost:4102", "chrome-extension://abcdefgh"),
    ("notes.example.com", "https://evil.example"),
]


@pytest.mark.parametrize(("host", "origin"), SAME)
def test_an_origin_that_is_the_host_passes(host: str, origin: str) -> None:
    assert refusal(GUARD, Visit(method="POST", path="/v1/me", host=host, origins=[origin])) is None


@pytest.mark.parametrize(("host", "origin"), OTHER)
def test_any_other_origin_is_cross_site(host: str, origin: str) -> None:
    visit = Visit(method="POST", path="/v1/me", host=host, origins=[origin])

    assert refusal(GUARD, visit) is CrossSiteRefusedError


def test_one_foreign_origin_among_several_is_enough() -> None:
    origins = ["http://localhost", "http://evil.example"]

    assert (
        refusal(GUARD, Visit(method="GET", path="/v1", host="localhost", origins=origins))
        is CrossSiteRefusedError
    )


@pytest.mark.parametrize(
    ("value", "passes"),
    [("none", True), ("same-origin", True), ("same-site", False), ("cross-site", False), ("", False)],
)
def test_a_browser_says_whose_request_it_is(value: str, passes: bool) -> None:
    visit = Visit(method="GET", path="/v1/me", host="localhost", fetch_sites=[value])

    assert (refusal(GUARD, visit) is None) is passes


@pytest.mark.parametrize("path", ["/admin/v1", "/admin/v1/grants"])
def test_the_admin_api_does_not_exist_under_the_public_host(path: str) -> None:
    assert refusal(GUARD, Visit(method="GET", path=path, host="notes.example.com")) is NotFoundError
    assert refusal(GUARD, Visit(method="GET", path=path, host="localhost")) is None


def test_unless_it_is_made_public() -> None:
    guard = Guard(public_host="notes.example.com", admin_is_public=True)

    assert refusal(guard, Visit(method="GET", path="/admin/v1/grants", host="notes.example.com")) is None


def test_a_public_host_that_is_loopback_hides_nothing() -> None:
    guard = Guard(public_host="localhost")

    assert refusal(guard, Visit(method="GET", path="/admin/v1/grants", host="localhost:4102")) is None


def test_the_host_of_an_authority() -> None:
    assert host_of("Example.COM:80") == "example.com"
    assert host_of("[::1]:80") == "::1"
    assert host_of("a b") == ""


def test_a_name_is_never_resolved() -> None:
    assert not is_loopback("localhost.localdomain")
