from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.providers.catalog import (
    AUTH_METHODS,
    DEFAULT_FORMATS,
    HostSpec,
    ProviderSpec,
    build_provider,
    preset,
    preset_names,
    preset_of,
)
from sidecar.providers.model import Endpoints, OAuthClient, Origin, Placement, PlacementKind, Provider
from sidecar.secret import Secret

SECRET = Secret("canary-secret")
ENTRY = {
    "documents": ["https://docs.example.com/oauth"],
    "base_url": "https://api.example.com",
    "hosts": ["api.example.com"],
    "authorize_url": "https://example.com/authorize",
    "token_url": "https://example.com/token",
    "revoke_url": "",
    "scope_separator": " ",
    "auth_method": "none",
    "authorize_extras": {},
}


def spec(**members) -> ProviderSpec:
    return ProviderSpec(**{"name": "files", "base_url": "https://files.example.com/api", **members})


def hosts(*authorities: str) -> tuple[HostSpec, ...]:
    return tuple(HostSpec(authority=authority) for authority in authorities)


def origins(provider: Provider) -> list[str]:
    return [str(host.origin) for host in provider.hosts]


def refusal(wrong: ProviderSpec) -> str:
    with pytest.raises(ValueError) as caught:
        build_provider(wrong)
    return str(caught.value)


def test_the_presets_are_those_that_the_documents_list():
    assert preset_names() == ("github", "gitlab", "google", "microsoft", "slack")


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_complete_and_makes_a_provider(name):
    provider = build_provider(
        ProviderSpec(name="mine", preset=name, client_id="id", client_secret=SECRET, scopes=("s",))
    )

    assert provider.client is not None
    assert provider.client.auth_method in AUTH_METHODS
    assert all(origin.startswith("https://") for origin in origins(provider))
    assert provider.endpoints.authorize_url.startswith("https://")
    assert provider.endpoints.token_url.startswith("https://")
    assert provider.hosts[0].placement == Placement()
    assert all(document.startswith("https://") for document in preset(name).documents)
    assert len(origins(provider)) == len(preset(name).hosts)


@pytest.mark.parametrize("member", ENTRY)
def test_an_incomplete_preset_is_refused(member):
    entry = {name: value for name, value in ENTRY.items() if name != member}

    with pytest.raises(ValueError, match="exactly the members"):
        preset_of(entry)


@pytest.mark.parametrize("member", sorted(ENTRY.keys() - {"revoke_url", "authorize_extras"}))
def test_an_empty_member_of_a_preset_is_refused(member):
    with pytest.raises(ValueError, match="may be empty"):
        preset_of({**ENTRY, member: ""})


def test_an_unknown_member_of_a_preset_is_refused():
    with pytest.raises(ValueError, match="exactly the members"):
        preset_of({**ENTRY, "tokenurl": "x"})


def test_an_unknown_preset_names_the_known_ones():
    assert "github, gitlab, google, microsoft, slack" in refusal(spec(preset="gogle"))


def test_without_a_preset_the_base_url_is_enough():
    assert build_provider(spec()) == Provider(
        name="files",
        hosts=build_provider(spec()).hosts,
        base_path="/api",
    )
    assert origins(build_provider(spec())) == ["https://files.example.com"]


def test_everything_can_be_said_without_a_preset():
    provider = build_provider(
        spec(
            hosts=hosts("cdn.example.com:8443", "FILES.example.com"),
            authorize_url="https://login.example.com/authorize",
            token_url="https://login.example.com/token",
            revoke_url="https://login.example.com/revoke",
            client_id="id",
            client_secret=SECRET,
            scopes=("read", "write"),
            placement=Placement(name="X-Token", format="{token}"),
            networks=("10.0.0.0/8", "fd00::/8"),
            ca_file="ca.pem",
        )
    )

    assert origins(provider) == ["https://files.example.com", "https://cdn.example.com:8443"]
    assert provider.endpoints == Endpoints(
        authorize_url="https://login.example.com/authorize",
        token_url="https://login.example.com/token",
        revoke_url="https://login.example.com/revoke",
    )
    assert provider.client == OAuthClient(
        client_id="id", client_secret=SECRET, auth_method="client_secret_basic"
    )
    assert provider.scopes == ("read", "write")
    assert {host.placement.name for host in provider.hosts} == {"X-Token"}
    assert provider.networks == ("10.0.0.0/8", "fd00::/8")
    assert provider.ca_file == "ca.pem"


def test_a_host_can_have_a_placement_of_its_own():
    own = Placement(kind=PlacementKind.QUERY, name="access_token", format="{token}")

    provider = build_provider(
        spec(hosts=(*hosts("files.example.com"), HostSpec(authority="cdn.example.com", placement=own)))
    )

    assert [host.placement for host in provider.hosts] == [Placement(), own]


def test_settings_beat_the_preset():
    provider = build_provider(
        ProviderSpec(
            name="google",
            preset="google",
            base_url="https://gmail.googleapis.com",
            hosts=hosts("gmail.googleapis.com", "people.googleapis.com"),
            token_url="https://login.example.com/token",
            client_id="id",
            client_secret=SECRET,
            auth_method="client_secret_basic",
        )
    )

    assert origins(provider) == ["https://gmail.googleapis.com", "https://people.googleapis.com"]
    assert provider.endpoints.token_url == "https://login.example.com/token"
    assert provider.endpoints.revoke_url == preset("google").revoke_url
    assert provider.client.auth_method == "client_secret_basic"


def test_a_base_url_among_the_presets_hosts_comes_first_and_keeps_the_rest():
    provider = build_provider(
        ProviderSpec(name="gmail", preset="google", base_url="https://gmail.googleapis.com/gmail")
    )

    assert origins(provider)[0] == "https://gmail.googleapis.com"
    assert provider.base_path == "/gmail"
    assert len(provider.hosts) == len(preset("google").hosts)


def test_another_instance_gets_neither_the_presets_hosts_nor_its_endpoints():
    mine = ProviderSpec(name="gitlab", preset="gitlab", base_url="https://gitlab.example.com")

    provider = build_provider(mine)

    assert origins(provider) == ["https://gitlab.example.com"]
    assert provider.endpoints == Endpoints()
    assert "token_url is missing" in refusal(replace(mine, client_id="id", client_secret=SECRET))


@pytest.mark.parametrize(
    "base_url", ["https://www.googleapis.com:8443", "http://localhost:8080", "http://127.0.0.1"]
)
def test_another_origin_is_another_instance(base_url):
    provider = build_provider(ProviderSpec(name="google", preset="google", base_url=base_url))

    assert origins(provider) == [base_url]


def test_bare_hosts_follow_the_scheme_of_the_base_url():
    provider = build_provider(
        spec(base_url="http://localhost:8080", hosts=hosts("localhost:8080", "127.0.0.1:8081"))
    )

    assert origins(provider) == ["http://localhost:8080", "http://127.0.0.1:8081"]


def test_plain_http_beyond_loopback_needs_the_insecure_setting():
    plain = spec(
        base_url="http://files.internal",
        hosts=hosts("files.internal", "cdn.internal"),
        token_url="http://login.internal/token",
        client_id="id",
    )

    assert "base_url must be https" in refusal(plain)
    assert origins(build_provider(replace(plain, insecure_http=True))) == [
        "http://files.internal",
        "http://cdn.internal",
    ]


@pytest.mark.parametrize("member", ["authorize_url", "token_url", "revoke_url"])
def test_endpoints_are_https_or_loopback(member):
    assert refusal(spec(**{member: "http://login.example.com/x"})).startswith(f"{member} must be https")
    assert build_provider(spec(**{member: "http://127.0.0.1:9/x"}))


def test_a_remote_host_beside_a_loopback_base_url_is_refused():
    wrong = spec(base_url="http://localhost:8080", hosts=hosts("localhost:8080", "files.example.com"))

    assert refusal(wrong).startswith("hosts[1] must be https")


@pytest.mark.parametrize(
    ("method", "secret", "expected"),
    [
        ("", SECRET, "client_secret_post"),
        ("", None, "none"),
        ("none", None, "none"),
        ("client_secret_basic", SECRET, "client_secret_basic"),
    ],
)
def test_the_client_authenticates_as_told_or_as_the_preset_does(method, secret, expected):
    provider = build_provider(
        ProviderSpec(name="gh", preset="github", client_id="id", client_secret=secret, auth_method=method)
    )

    assert provider.client == OAuthClient(client_id="id", client_secret=secret, auth_method=expected)


def test_without_a_client_tokens_are_only_imported():
    assert build_provider(ProviderSpec(name="gh", preset="github")).client is None


@pytest.mark.parametrize(
    ("members", "start"),
    [
        ({"name": ""}, "name "),
        ({"name": "Files"}, "name "),
        ({"name": "9files"}, "name "),
        ({"name": "a_b"}, "name "),
        ({"name": "files\n"}, "name "),
        ({"base_url": ""}, "base_url is missing"),
        ({"base_url": "files.example.com"}, "base_url "),
        ({"base_url": "https://canary-secret@files.example.com"}, "base_url "),
        ({"hosts": hosts("files.example.com", "canary-secret@x")}, "hosts[1] "),
        ({"hosts": hosts("files.example.com", "FILES.example.com:443")}, "hosts[1] is there twice"),
        ({"hosts": hosts("cdn.example.com")}, "hosts must contain"),
        ({"hosts": hosts("*.example.com")}, "hosts[0] "),
        ({"token_url": "https://login.example.com/#canary-secret"}, "token_url "),
        ({"token_url": "login"}, "token_url "),
        ({"client_secret": SECRET}, "client_id is missing"),
        ({"client_id": "id", "client_secret": SECRET}, "token_url is missing"),
        ({"auth_method": "private_key_jwt"}, "auth_method "),
        (
            {
                "client_id": "id",
                "token_url": "https://example.com/token",
                "auth_method": "client_secret_post",
            },
            "client_secret is missing",
        ),
        (
            {
                "client_id": "id",
                "client_secret": SECRET,
                "token_url": "https://example.com/token",
                "auth_method": "none",
            },
            "client_secret is not used",
        ),
        ({"scopes": ("read", "a b")}, "scopes[1] "),
        ({"scopes": ("",)}, "scopes[0] "),
        ({"scopes": ('a"b',)}, "scopes[0] "),
        ({"networks": ("10.0.0.0/8", "10.0.0.1/8")}, "networks[1] "),
        ({"networks": ("example.com",)}, "networks[0] "),
    ],
)
def test_a_mistake_is_named_by_its_member_and_never_repeated(members, start):
    message = refusal(spec(**members))

    assert message.startswith(start)
    assert "canary" not in message


@pytest.mark.parametrize(
    ("placement", "start"),
    [
        (Placement(name="Host"), "placement.name "),
        (Placement(name="transfer-encoding"), "placement.name "),
        (Placement(name="Proxy-Authorization"), "placement.name "),
        (Placement(name="Sidecar-Key"), "placement.name "),
        (Placement(name="X Token"), "placement.name "),
        (Placement(name=""), "placement.name "),
        (Placement(name="X-T\r\nX"), "placement.name "),
        (Placement(format="Bearer"), "placement.format "),
        (Placement(format="{token}{token}"), "placement.format "),
        (Placement(format="{token}\r\nX: y"), "placement.format "),
        (Placement(format="T\u00f6ken {token}"), "placement.format "),
        (Placement(kind=PlacementKind.QUERY, name="a&b", format="{token}"), "placement.name "),
        (Placement(kind=PlacementKind.QUERY, name="", format="{token}"), "placement.name "),
    ],
)
def test_a_placement_that_breaks_the_request_is_refused(placement, start):
    assert refusal(spec(placement=placement)).startswith(start)
    own = (HostSpec(authority="files.example.com", placement=placement),)
    assert refusal(spec(hosts=own)).startswith(f"hosts[0].{start}")


@pytest.mark.parametrize("kind", PlacementKind)
def test_every_kind_of_placement_has_a_default_format_that_is_accepted(kind):
    placement = Placement(kind=kind, name="Authorization", format=DEFAULT_FORMATS[kind])

    provider = build_provider(spec(placement=placement))

    assert provider.host_of(Origin(scheme="https", host="files.example.com", port=443)).placement == placement


@pytest.mark.parametrize("name", preset_names())
def test_the_reference_lists_all_of_a_preset(name):
    page = (Path(__file__).parents[3] / "docs/reference/providers.md").read_text("utf-8")
    section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
    known = preset(name)

    for value in (
        *known.documents,
        *known.hosts,
        known.base_url,
        known.authorize_url,
        known.token_url,
        known.revoke_url or "no revocation endpoint",
        known.auth_method,
        *("=".join(extra) for extra in known.authorize_extras),
    ):
        assert f"`{value}`" in section or f"<{value}>" in section or f" {value}" in section


def test_an_issuer_is_kept_as_it_is_written_and_judged_like_every_url():
    assert build_provider(spec(issuer="https://files.example.com/")).endpoints.issuer == (
        "https://files.example.com/"
    )
    assert refusal(spec(issuer="http://files.example.com")).startswith("issuer must be https")


def test_a_base_url_of_ones_own_drops_what_the_preset_adds_to_the_request():
    provider = build_provider(ProviderSpec(name="mine", preset="google", base_url="https://www.example.com"))

    assert provider.endpoints.authorize_extras == ()


@pytest.mark.parametrize(
    ("members", "is_connectable"),
    [
        ({}, True),
        ({"authorize_url": ""}, False),
        ({"client_id": ""}, False),
    ],
)
def test_connecting_takes_a_client_and_both_endpoints(members, is_connectable):
    whole = {
        "authorize_url": "https://files.example.com/authorize",
        "token_url": "https://files.example.com/token",
        "client_id": "id",
    }

    assert build_provider(spec(**{**whole, **members})).is_connectable is is_connectable
