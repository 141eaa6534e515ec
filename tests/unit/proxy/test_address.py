import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.errors import (
    BadRequestError,
    CrossSiteRefusedError,
    DestinationRefusedError,
    MisdirectedRequestError,
    UnknownProviderError,
)
from sidecar.proxy.address import AddressForm
from sidecar.proxy.gate import Arrival

PROVIDER = "Sidecar-Provider"
UPSTREAM = "Sidecar-Upstream"


def place(address):
    return address.provider.name, str(address.host.origin), address.target.decode("latin-1")


PREFIXED = [
    ("/github/user", ("github", "https://api.github.com", "/user")),
    ("/github", ("github", "https://api.github.com", "/")),
    ("/github/", ("github", "https://api.github.com", "/")),
    ("/github?x=1", ("github", "https://api.github.com", "/?x=1")),
    ("/github//user", ("github", "https://api.github.com", "/user")),
    ("/github///user", ("github", "https://api.github.com", "//user")),
    ("/github/a//b/../c?", ("github", "https://api.github.com", "/a//b/../c?")),
    ("/github/%67?%20+", ("github", "https://api.github.com", "/%67?%20+")),
    ("/github~uploads.github.com/x", ("github", "https://uploads.github.com", "/x")),
    ("/github~UPLOADS.github.com:443/x", ("github", "https://uploads.github.com", "/x")),
    ("/github~uploads.github.com", ("github", "https://uploads.github.com", "/")),
    ("/local~127.0.0.1:9443/x", ("local", "https://127.0.0.1:9443", "/x")),
    ("/files", ("files", "https://files.test", "/api")),
    ("/files/", ("files", "https://files.test", "/api/")),
    ("/files//x?y", ("files", "https://files.test", "/api/x?y")),
    ("/files?x", ("files", "https://files.test", "/api?x")),
    ("/files~files.test/other", ("files", "https://files.test", "/other")),
    ("/one/x", ("one", "https://shared.test", "/x")),
    ("/two/x", ("two", "https://shared.test", "/x")),
]


@pytest.mark.parametrize(("target", "expected"), PREFIXED)
def test_a_prefix_names_provider_host_and_rest(resolve, target, expected):
    address = resolve(target)

    assert place(address) == expected
    assert address.form is AddressForm.PREFIX


@pytest.mark.parametrize(
    ("target", "account"),
    [
        ("/github@work/x", "work"),
        ("/github@me@x.test/x", "me@x.test"),
        ("/github@me%40x.test/x", "me@x.test"),
        ("/github@a%2Fb/x", "a/b"),
        ("/github@100%2525/x", "100%25"),
        ("/github@J%C3%BCrgen/x", "Jürgen"),
        ("/github~uploads.github.com@work/x", "work"),
        ("/github@work", "work"),
        ("/github@work?x", "work"),
        ("/github/x", None),
    ],
)
def test_an_account_in_the_prefix_is_decoded_once(resolve, target, account):
    assert resolve(target).account == account


@pytest.mark.parametrize(
    "target",
    ["/github@/x", "/github@%/x", "/github@%zz/x", "/github@%ff/x", "/github@%0a/x", "/github@" + "a" * 256],
)
def test_an_account_that_is_none_is_refused(resolve, target):
    with pytest.raises(BadRequestError):
        resolve(target)


@pytest.mark.parametrize(
    "target", ["/", "/nobody/x", "/GitHub/x", "/git%68ub/x", "//github/x", "/github;x/y", "/?x"]
)
def test_a_prefix_of_no_provider_is_unknown(resolve, target):
    with pytest.raises(UnknownProviderError):
        resolve(target)


@pytest.mark.parametrize(
    "target", ["/github~evil.test/x", "/github~files.test/x", "/github~uploads.github.com:8443/x"]
)
def test_a_host_in_the_prefix_must_be_the_providers_own(resolve, target):
    with pytest.raises(DestinationRefusedError):
        resolve(target)


def test_a_host_in_the_prefix_must_be_one(resolve):
    with pytest.raises(BadRequestError):
        resolve("/github~/x")


ABSOLUTE = [
    ("http://api.github.com/user?", ("github", "https://api.github.com", "/user?")),
    ("http://api.github.com:80/user", ("github", "https://api.github.com", "/user")),
    ("https://API.github.com:443/user", ("github", "https://api.github.com", "/user")),
    ("HTTP://uploads.github.com", ("github", "https://uploads.github.com", "/")),
    ("http://uploads.github.com?q", ("github", "https://uploads.github.com", "/?q")),
    ("http://plain.test//a/../b", ("plain", "http://plain.test", "//a/../b")),
    ("http://127.0.0.1:9000/x", ("local", "http://127.0.0.1:9000", "/x")),
    ("http://127.0.0.1:9443/x", ("local", "https://127.0.0.1:9443", "/x")),
    ("http://files.test/x", ("files", "https://files.test", "/x")),
]


@pytest.mark.parametrize(("target", "expected"), ABSOLUTE)
def test_an_absolute_url_names_the_host_and_is_upgraded_to_its_origin(resolve, target, expected):
    address = resolve(target, host=target.split("/")[2].split("?")[0])

    assert place(address) == expected
    assert address.form is AddressForm.ABSOLUTE


def test_options_on_an_absolute_url_without_a_path_asks_the_server_as_a_whole(resolve):
    assert resolve("http://plain.test", host="plain.test", method="OPTIONS").target == b"*"


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.test/",
        "https://plain.test/",
        "https://api.github.com:80/",
        "http://api.github.com:8080/",
        "http://api.github.com.evil.test/",
        "http://api.github.com./",
        "http://127.0.0.1:4100/github/user",
    ],
)
def test_an_absolute_url_of_no_providers_origin_is_refused(resolve, target):
    with pytest.raises(DestinationRefusedError):
        resolve(target)


@pytest.mark.parametrize(
    "target",
    [
        "ftp://api.github.com/",
        "http:///x",
        "http://user@api.github.com/",
        "http://api.github.com:99999/",
        "github/x",
        "*",
    ],
)
def test_a_target_of_no_form_is_malformed(resolve, target):
    with pytest.raises(BadRequestError):
        resolve(target)


@pytest.mark.parametrize(
    "target", ["/github/x#y", "/github/\xe9", "/github/a b", "/github/\x00", "/github/\x7f", ""]
)
def test_a_target_with_forbidden_characters_is_malformed(resolve, target):
    with pytest.raises(BadRequestError):
        resolve(target)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.github.com", ("github", "https://api.github.com", "/x")),
        ("API.GITHUB.COM:443", ("github", "https://api.github.com", "/x")),
        ("uploads.github.com:4100", ("github", "https://uploads.github.com", "/x")),
        ("127.0.0.1:9000", ("local", "http://127.0.0.1:9000", "/x")),
        ("files.test", ("files", "https://files.test", "/x")),
    ],
)
def test_a_providers_host_is_named_by_the_host_field_with_any_port(resolve, host, expected):
    address = resolve("/x", host=host)

    assert place(address) == expected
    assert address.form is AddressForm.HOST


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:1",
        "127.0.0.1",
        "127.9.9.9:4100",
        "[::1]:4100",
        "sidecar.test:8080",
        "127.0.0.1:4100",
    ],
)
def test_our_own_names_leave_the_target_to_the_path(resolve, host):
    assert resolve("/github/x", host=host).form is AddressForm.PREFIX


def test_the_bound_address_is_one_of_our_names(resolve):
    assert resolve("/github/x", host="10.1.2.3:4100", arrival=Arrival(address="10.1.2.3")).target == b"/x"


@pytest.mark.parametrize(
    "host", ["evil.test", "localhost.evil.test", "10.1.2.3", "api.github.com.", "localhost."]
)
def test_a_host_that_is_not_ours_is_misdirected(resolve, host):
    with pytest.raises(MisdirectedRequestError):
        resolve("/github/x", host=host)


def test_a_unix_socket_takes_any_host(resolve):
    assert resolve("/github/x", host="evil.test", arrival=Arrival(address=None)).target == b"/x"


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a@b", "[::1", "[zz]", "a:b", "a:0", "a:65536", "é"])
def test_a_host_that_is_none_is_malformed(resolve, host):
    with pytest.raises(BadRequestError):
        resolve("/github/x", host=host)


HEADERS = [
    ([(PROVIDER, "github")], ("github", "https://api.github.com", "/x")),
    ([(PROVIDER, "files")], ("files", "https://files.test", "/api/x")),
    ([(UPSTREAM, "https://uploads.github.com")], ("github", "https://uploads.github.com", "/x")),
    ([(UPSTREAM, "HTTPS://files.test:443")], ("files", "https://files.test", "/x")),
    ([(UPSTREAM, "https://shared.test"), (PROVIDER, "two")], ("two", "https://shared.test", "/x")),
]


@pytest.mark.parametrize(("fields", "expected"), HEADERS)
def test_headers_name_the_target_and_strip_no_prefix(resolve, fields, expected):
    address = resolve("/x", *fields)

    assert place(address) == expected
    assert address.form is AddressForm.HEADER


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ([(PROVIDER, "nobody")], UnknownProviderError),
        ([(UPSTREAM, "https://evil.test")], DestinationRefusedError),
        ([(UPSTREAM, "http://api.github.com")], DestinationRefusedError),
        ([(UPSTREAM, "https://api.github.com/")], BadRequestError),
        ([(UPSTREAM, "https://api.github.com/v3")], BadRequestError),
        ([(UPSTREAM, "api.github.com")], BadRequestError),
        ([(UPSTREAM, "https://shared.test")], BadRequestError),
        ([(UPSTREAM, "https://files.test"), (PROVIDER, "github")], BadRequestError),
        ([(PROVIDER, "github"), (PROVIDER, "github")], BadRequestError),
    ],
)
def test_headers_that_name_nothing_or_too_much_are_refused(resolve, fields, error):
    with pytest.raises(error):
        resolve("/x", *fields)


@pytest.mark.parametrize(
    ("target", "host", "fields"),
    [
        ("http://api.github.com/x", "files.test", []),
        ("http://api.github.com/x", "api.github.com", [(PROVIDER, "files")]),
        ("/x", "api.github.com", [(PROVIDER, "files")]),
        ("/x", "api.github.com", [(UPSTREAM, "https://files.test")]),
        ("http://127.0.0.1:9000/x", "api.github.com", []),
        ("/x", "shared.test", []),
        ("http://shared.test/x", "shared.test", []),
        ("/x", "shared.test", [(PROVIDER, "github")]),
    ],
)
def test_forms_that_name_different_providers_are_refused(resolve, target, host, fields):
    with pytest.raises(BadRequestError):
        resolve(target, *fields, host=host)


@pytest.mark.parametrize(
    ("target", "host", "fields", "expected"),
    [
        (
            "http://api.github.com/x",
            "localhost",
            [(PROVIDER, "github")],
            ("https://api.github.com", "absolute"),
        ),
        ("http://api.github.com/x", "uploads.github.com", [], ("https://api.github.com", "absolute")),
        ("/x", "uploads.github.com", [(PROVIDER, "github")], ("https://uploads.github.com", "host")),
        ("/x", "shared.test", [(PROVIDER, "one")], ("https://shared.test", "host")),
        ("/x", "shared.test", [(UPSTREAM, "https://two.test")], ("https://shared.test", "host")),
    ],
)
def test_the_first_form_wins_among_those_that_agree(resolve, target, host, fields, expected):
    address = resolve(target, *fields, host=host)

    assert (str(address.host.origin), address.form) == expected


def test_account_and_grant_can_come_in_headers(resolve):
    address = resolve("/github/x", ("Sidecar-Account", "work"), ("Sidecar-Grant", "g1"))

    assert (address.account, address.grant) == ("work", "g1")


def test_two_different_accounts_are_refused(resolve):
    with pytest.raises(BadRequestError):
        resolve("/github@work/x", ("Sidecar-Account", "home"))


@pytest.mark.parametrize(
    "fields",
    [
        [("Origin", "null")],
        [("Origin", "http://evil.test")],
        [("Origin", "http://localhost:1")],
        [("Origin", "http://localhost"), ("Origin", "http://evil.test")],
        [("Origin", "localhost")],
        [("Origin", "file://localhost")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
        [("Sec-Fetch-Site", "")],
    ],
)
def test_other_sites_pages_are_refused(resolve, fields):
    with pytest.raises(CrossSiteRefusedError):
        resolve("/github/x", *fields)


@pytest.mark.parametrize(
    ("host", "fields"),
    [
        ("localhost", [("Origin", "http://LOCALHOST:80")]),
        ("localhost:4100", [("Origin", "http://localhost:4100"), ("Sec-Fetch-Site", "same-origin")]),
        ("localhost", [("Sec-Fetch-Site", "none")]),
        ("localhost", [("Origin", "https://localhost")]),
    ],
)
def test_our_own_pages_are_not(resolve, host, fields):
    assert resolve("/github/x", *fields, host=host).target == b"/x"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"), max_size=60))
def test_whatever_follows_the_prefix_is_sent_as_it_is(resolve, rest):
    assert resolve("/github/x" + rest).target == b"/x" + rest.encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(min_codepoint=0, max_codepoint=0xFF), max_size=60))
def test_no_target_leads_to_a_host_of_nobody(resolve, target):
    try:
        address = resolve(target)
    except (BadRequestError, UnknownProviderError, DestinationRefusedError):
        return
    assert address.provider.host_of(address.host.origin) is address.host
    assert address.target.startswith(b"/")
