"""The token endpoint's client against a provider in a box, on a real socket."""

import asyncio
from base64 import b64decode
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from sidecar.outbound.client import OutboundClient
from sidecar.providers.catalog import ProviderSpec, build_provider
from sidecar.providers.model import Endpoints
from sidecar.providers.oauth import TokenEndpoint, TokenError, Verdict, authorization_url
from sidecar.secret import Secret
from sidecar.testing.clock import ManualClock
from sidecar.testing.provider import ProviderInABox
from sidecar.testing.token_endpoint import TOKEN_FAILURES

# As awkward as RFC 6749 appendix A allows: what Basic would cut or break unless it is form-encoded first.
CLIENT_ID = "client:1 %+\u00fc"
CLIENT_SECRET = "s3:cret &=+%/\u00df"

OUTCOMES = {
    "request_timeout": (Verdict.UNAVAILABLE, "request_timeout", True),
    "too_early": (Verdict.UNAVAILABLE, "too_early", False),
    "rate_limited": (Verdict.UNAVAILABLE, "rate_limited", False),
    "server_error": (Verdict.UNAVAILABLE, "server_error", True),
    "bad_gateway_page": (Verdict.UNAVAILABLE, "server_error", True),
    "unavailable": (Verdict.UNAVAILABLE, "server_error", True),
    "invalid_client": (Verdict.MISCONFIGURED, "invalid_client", False),
    "invalid_grant": (Verdict.REFUSED, "invalid_grant", False),
    "page": (Verdict.UNAVAILABLE, "unreadable_answer", True),
    "truncated": (Verdict.UNAVAILABLE, "broken", True),
    "error_with_200": (Verdict.UNAVAILABLE, "internal_error", True),
    "closed": (Verdict.UNAVAILABLE, "broken", True),
    "answer_lost": (Verdict.UNAVAILABLE, "broken", True),
}


@pytest.fixture
async def box():
    async with ProviderInABox(client_id=CLIENT_ID, client_secret=CLIENT_SECRET) as box:
        yield box


@pytest.fixture
async def client():
    client = OutboundClient()
    yield client
    await client.close()


@pytest.fixture
def endpoint(client):
    return TokenEndpoint(client, timeout=10, clock=ManualClock())


def provider_of(box, *, auth_method="client_secret_basic"):
    return build_provider(
        ProviderSpec(
            name="box",
            base_url=box.url,
            authorize_url=box.authorize_url,
            token_url=box.token_url,
            client_id=CLIENT_ID,
            client_secret=None if auth_method == "none" else Secret(CLIENT_SECRET),
            auth_method=auth_method,
        )
    )


async def error_of(call) -> TokenError:
    with pytest.raises(TokenError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_refresh_brings_the_next_pair(box, endpoint, method):
    pair = box.issue("alice", scopes=["read", "write"])

    answer = await endpoint.refresh(provider_of(box, auth_method=method), Secret(pair.refresh_token))

    assert box.whose(answer.access_token.reveal()).user == "alice"
    assert answer.refresh_token not in (None, Secret(pair.refresh_token))
    assert answer.expires_in == 3600.0
    assert answer.scopes == {"read", "write"}


async def test_a_provider_that_does_not_rotate_leaves_the_old_refresh_token(box, endpoint):
    box.ledger.rotates = False
    pair = box.issue("alice")

    answer = await endpoint.refresh(provider_of(box), Secret(pair.refresh_token))

    assert answer.refresh_token is None


@pytest.mark.parametrize(
    ("method", "members", "basic"),
    [
        ("client_secret_basic", {}, b"client%3A1+%25%2B%C3%BC:s3%3Acret+%26%3D%2B%25%2F%C3%9F"),
        ("client_secret_post", {"client_id": [CLIENT_ID], "client_secret": [CLIENT_SECRET]}, None),
        ("none", {"client_id": [CLIENT_ID]}, None),
    ],
)
async def test_the_request_is_a_form_with_our_credentials_in_one_place(box, endpoint, method, members, basic):
    box.respond("/token", b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"access_token":"at"}')

    await endpoint.refresh(provider_of(box, auth_method=method), Secret("r+t/1 &"))

    request = box.seen[-1]
    assert request.method == "POST"
    assert request.header("content-type") == "application/x-www-form-urlencoded"
    assert request.header("accept") == "application/json"
    assert parse_qs(request.body.start.decode(), strict_parsing=True) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["r+t/1 &"],
        **members,
    }
    sent = request.header("authorization")
    assert (b64decode(sent.removeprefix("Basic ")) if sent else None) == basic


def test_every_failure_of_the_box_has_its_outcome():
    assert OUTCOMES.keys() == TOKEN_FAILURES.keys()


@pytest.mark.parametrize("name", OUTCOMES)
async def test_a_failure_is_one_call_and_one_outcome(box, endpoint, name):
    pair = box.issue("alice")
    box.token_endpoint.fail(TOKEN_FAILURES[name])

    error = await error_of(endpoint.refresh(provider_of(box), Secret(pair.refresh_token)))

    assert (error.verdict, error.code, error.may_be_spent) == OUTCOMES[name]
    assert error.retry_after == (7.0 if name in ("rate_limited", "unavailable") else None)
    assert box.token_calls == 1


async def test_a_spent_refresh_token_is_refused(box, endpoint):
    pair = box.issue("alice")
    provider = provider_of(box)
    await endpoint.refresh(provider, Secret(pair.refresh_token))

    error = await error_of(endpoint.refresh(provider, Secret(pair.refresh_token)))

    assert (error.verdict, error.code) == (Verdict.REFUSED, "invalid_grant")


async def test_a_token_that_is_no_unicode_is_judged_by_the_provider(box, endpoint):
    failure = await error_of(endpoint.refresh(provider_of(box), Secret("rt-\ud800")))

    assert (failure.verdict, box.token_calls) == (Verdict.REFUSED, 1)


async def test_a_wrong_client_secret_refuses_nobodys_grant(box, endpoint):
    pair = box.issue("alice")
    box.token_endpoint.reset()
    provider = provider_of(box)
    wrong = replace(provider, client=replace(provider.client, client_secret=Secret("other")))

    error = await error_of(endpoint.refresh(wrong, Secret(pair.refresh_token)))

    assert (error.verdict, error.may_be_spent) == (Verdict.MISCONFIGURED, False)


async def test_an_unreachable_endpoint_has_spent_nothing(box, endpoint):
    provider = provider_of(box)
    await box.pause()

    error = await error_of(endpoint.refresh(provider, Secret("rt")))

    assert (error.verdict, error.code, error.may_be_spent) == (Verdict.UNAVAILABLE, "unreachable", False)


async def test_a_deadline_that_passes_leaves_the_question_open(box, client):
    impatient = TokenEndpoint(client, timeout=1.0, clock=ManualClock())
    box.token_endpoint.before.hold()

    error = await error_of(impatient.refresh(provider_of(box), Secret("rt")))

    assert (error.verdict, error.code, error.may_be_spent) == (Verdict.UNAVAILABLE, "timeout", True)
    box.token_endpoint.reset()


async def test_an_answer_beyond_a_mebibyte_is_not_read(box, endpoint):
    body = b'{"access_token":"' + b"a" * (1 << 20) + b'"}'
    box.respond("/token", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body, closes=True)

    error = await error_of(endpoint.refresh(provider_of(box), Secret("rt")))

    assert (error.verdict, error.code, error.may_be_spent) == (Verdict.UNAVAILABLE, "too_large", True)


async def test_a_redirect_is_not_followed(box, endpoint):
    box.respond(
        "/token", b"HTTP/1.1 307 Moved\r\nLocation: " + box.url.encode() + b"/me\r\nContent-Length: 0\r\n\r\n"
    )

    error = await error_of(endpoint.refresh(provider_of(box), Secret("rt")))

    assert (error.verdict, error.code) == (Verdict.MISCONFIGURED, "redirected")
    assert [request.path for request in box.seen] == ["/token"]


async def test_a_private_address_outside_the_providers_networks_is_not_called(endpoint):
    provider = build_provider(
        ProviderSpec(
            name="box", base_url="https://a.example", token_url="https://10.1.2.3/token", client_id="id"
        )
    )

    error = await error_of(endpoint.refresh(provider, Secret("rt")))

    assert (error.code, error.may_be_spent) == ("refused_address", False)


async def test_a_provider_without_client_or_endpoint_is_never_called(box, endpoint):
    provider = provider_of(box)

    for lacking in (replace(provider, client=None), replace(provider, endpoints=Endpoints())):
        error = await error_of(endpoint.refresh(lacking, Secret("rt")))

        assert (error.verdict, error.code, error.may_be_spent) == (
            Verdict.MISCONFIGURED,
            "not_configured",
            False,
        )
    assert box.token_calls == 0


async def test_a_cancelled_call_ends_at_once(box, endpoint):
    box.token_endpoint.before.hold()
    call = asyncio.create_task(endpoint.refresh(provider_of(box), Secret("rt")))
    await box.until(lambda: box.token_calls == 1)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    box.token_endpoint.reset()


REDIRECT_URI = "https://notes.example.com/sidecar/callback"
# RFC 7636 appendix B.
VERIFIER = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def url_for(provider, scopes=("read", "write")):
    return authorization_url(
        provider, redirect_uri=REDIRECT_URI, scopes=scopes, state="s+t/1", verifier=VERIFIER
    )


def preset_provider(name, **members):
    return build_provider(
        ProviderSpec(name=name, preset=name, client_id="id", client_secret=Secret("x"), **members)
    )


def test_an_authorization_request_says_who_asks_for_what_and_carries_a_challenge(box):
    parts = urlsplit(url_for(provider_of(box)))

    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == box.authorize_url
    assert parse_qs(parts.query, strict_parsing=True) == {
        "response_type": ["code"],
        "client_id": [CLIENT_ID],
        "redirect_uri": [REDIRECT_URI],
        "scope": ["read write"],
        "state": ["s+t/1"],
        "code_challenge": [CHALLENGE],
        "code_challenge_method": ["S256"],
    }


def test_a_query_of_the_endpoint_stays_and_no_scopes_are_no_parameter(box):
    provider = provider_of(box)
    endpoints = replace(provider.endpoints, authorize_url=f"{box.authorize_url}?tenant=a%20b")

    query = urlsplit(url_for(replace(provider, endpoints=endpoints), scopes=())).query

    assert query.startswith("tenant=a%20b&response_type=code&")
    assert "scope" not in parse_qs(query)


def test_a_preset_adds_what_its_provider_needs():
    google = parse_qs(urlsplit(url_for(preset_provider("google"))).query)
    slack = parse_qs(urlsplit(url_for(preset_provider("slack"))).query)

    assert (google["access_type"], google["prompt"]) == (["offline"], ["consent"])
    assert (slack["scope"], "prompt" in slack) == (["read,write"], False)


async def test_a_code_is_exchanged_with_its_verifier(box, endpoint, client):
    provider = provider_of(box)
    redirect = await client.get(url_for(provider), timeout=10, max_bytes=1000)
    code = Secret(parse_qs(urlsplit(redirect.headers["location"]).query)["code"][0])

    answer = await endpoint.exchange_code(provider, code, redirect_uri=REDIRECT_URI, verifier=VERIFIER)

    assert box.whose(answer.access_token.reveal()).user == "ada"
    assert answer.scopes == {"read", "write"}


async def test_a_code_without_its_verifier_is_worth_nothing(box, endpoint, client):
    provider = provider_of(box)
    redirect = await client.get(url_for(provider), timeout=10, max_bytes=1000)
    code = Secret(parse_qs(urlsplit(redirect.headers["location"]).query)["code"][0])

    error = await error_of(
        endpoint.exchange_code(provider, code, redirect_uri=REDIRECT_URI, verifier=Secret("another"))
    )

    assert error.verdict is Verdict.REFUSED
