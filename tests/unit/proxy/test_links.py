import pytest

from sidecar.proxy.links import rewritten

FORMS = [
    # form of the caller, field, as the provider sent it, as the caller sees it
    ("/github/x", "Location", "https://api.github.com/a?b=1#c", "http://localhost/github/a?b=1#c"),
    ("/github/x", "Location", "https://API.github.com:443/a", "http://localhost/github/a"),
    ("/github/x", "Location", "https://api.github.com", "http://localhost/github/"),
    ("/github/x", "Location", "https://api.github.com?q", "http://localhost/github/?q"),
    ("/github/x", "Location", "//api.github.com/a", "http://localhost/github/a"),
    ("/github/x", "Location", "/a", "/github/a"),
    ("/github/x", "Location", "a/b?c", "a/b?c"),
    ("/github/x", "Location", "?page=2", "?page=2"),
    ("/github/x", "Location", "../a", "../a"),
    ("/github/x", "Location", "", ""),
    ("/github/x", "Location", "https://elsewhere.test/a", "https://elsewhere.test/a"),
    ("/github/x", "Location", "http://api.github.com/a", "http://api.github.com/a"),
    ("/github/x", "Location", "https://api.github.com:8443/a", "https://api.github.com:8443/a"),
    ("/github/x", "Location", "https://user@api.github.com/a", "https://user@api.github.com/a"),
    ("/github/x", "Location", "mailto:a@b", "mailto:a@b"),
    ("/github/x", "Location", "https://uploads.github.com/a", "http://localhost/github~uploads.github.com/a"),
    ("/github/x", "Content-Location", "https://api.github.com/a", "http://localhost/github/a"),
    ("/github/x", "X-Location", "https://api.github.com/a", "https://api.github.com/a"),
    ("/github@work/x", "Location", "https://api.github.com/a", "http://localhost/github@work/a"),
    ("/github@a%40b/x", "Location", "/a", "/github@a%40b/a"),
    (
        "/github@work/x",
        "Location",
        "https://uploads.github.com/a",
        "http://localhost/github~uploads.github.com@work/a",
    ),
    ("/github~uploads.github.com/x", "Location", "/a", "/github~uploads.github.com/a"),
    (
        "/github~uploads.github.com/x",
        "Location",
        "https://api.github.com/a",
        "http://localhost/github/a",
    ),
    ("/files/x", "Location", "https://files.test/api/a", "http://localhost/files/a"),
    ("/files/x", "Location", "https://files.test/api", "http://localhost/files"),
    ("/files/x", "Location", "https://files.test/api?x", "http://localhost/files?x"),
    ("/files/x", "Location", "/api/a", "/files/a"),
    ("/files/x", "Location", "/apix/a", "/files~files.test/apix/a"),
    ("/files/x", "Location", "/other", "/files~files.test/other"),
    ("/files~files.test/api/x", "Location", "/api/a", "/files~files.test/api/a"),
    ("/local/x", "Location", "https://127.0.0.1:9443/a", "http://localhost/local~127.0.0.1:9443/a"),
    (
        "/github/x",
        "Link",
        '<https://api.github.com/x?page=2>; rel="next", <https://api.github.com/x?page=9>; rel="last"',
        '<http://localhost/github/x?page=2>; rel="next", <http://localhost/github/x?page=9>; rel="last"',
    ),
    (
        "/github/x",
        "Link",
        '</a>; title="not <https://api.github.com/b> \\" <https://api.github.com/c>", <d>',
        '</github/a>; title="not <https://api.github.com/b> \\" <https://api.github.com/c>", <d>',
    ),
    ("/github/x", "Link", "<https://api.github.com/a", "<https://api.github.com/a"),
]


@pytest.mark.parametrize(("target", "name", "sent", "seen"), FORMS)
def test_references_under_the_provider_come_back_in_the_callers_form(resolve, target, name, sent, seen):
    assert rewritten(name.encode(), sent.encode(), resolve(target)) == seen.encode()


def test_a_rewritten_reference_leads_back_to_where_it_pointed(resolve):
    path = rewritten(b"Location", b"https://files.test/other/%2F?a", resolve("/files@work/x"))

    again = resolve(path.removeprefix(b"http://localhost").decode())
    assert (str(again.host.origin), again.target, again.account) == (
        "https://files.test",
        b"/other/%2F?a",
        "work",
    )


@pytest.mark.parametrize("host", ["api.github.com", "localhost"])
def test_other_forms_of_address_see_links_as_they_are(resolve, host):
    fields = [("Sidecar-Provider", "github")] if host == "localhost" else []
    address = resolve("/x", *fields, host=host)

    assert rewritten(b"Location", b"https://api.github.com/a", address) == b"https://api.github.com/a"


def test_the_callers_own_authority_stands_in_the_rewritten_url(resolve):
    address = resolve("/github/x", host="LocalHost:4100")

    assert rewritten(b"location", b"https://api.github.com/a", address) == b"http://LocalHost:4100/github/a"
