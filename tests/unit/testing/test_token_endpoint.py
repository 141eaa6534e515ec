import asyncio
import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from sidecar.testing import ledger
from sidecar.testing.provider import ProviderInABox
from sidecar.testing.token_endpoint import TOKEN_FAILURES, TokenFailure

VERIFIER = "verifier-verifier-verifier-verifier-verifier"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CALLBACK = "http://127.0.0.1:9/callback?kept=1"


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def provider():
    async with ProviderInABox(client_secret="s: %/+ä") as box:
        yield box


def client(provider):
    return {"client_id": provider.client_id, "client_secret": provider.client_secret}


async def post(http, url, form, **options):
    async with http.post(url, data=form, **options) as answer:
        return answer.status, await answer.json(content_type=None)


async def refresh(http, provider, refresh_token):
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **client(provider)}
    return await post(http, provider.token_url, form)


async def authorize(http, provider, **changes):
    """Ask for a code and return the parameters of the redirect."""
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": CALLBACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "scope": "read write",
        "state": "xyz",
    } | changes
    async with http.get(provider.authorize_url, params=query, allow_redirects=False) as answer:
        location = urlsplit(answer.headers.get("Location", ""))
    return {name: values[0] for name, values in parse_qs(location.query).items()}


async def redeem(http, provider, code, changes=None):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        **client(provider),
    }
    return await post(http, provider.token_url, form | (changes or {}))


async def test_a_code_becomes_tokens_of_whoever_is_signed_in(http, provider):
    answer = await authorize(http, provider)

    status, tokens = await redeem(http, provider, answer["code"])

    assert (answer["state"], answer["iss"], answer["kept"]) == ("xyz", provider.url, "1")
    assert status == 200
    assert tokens["scope"] == "read write"
    assert provider.whose(tokens["access_token"]) == provider.authorization.signed_in


async def test_a_person_who_refuses_sends_no_code(http, provider):
    provider.authorization.consents = False

    answer = await authorize(http, provider)

    assert (answer["error"], answer["iss"]) == ("access_denied", provider.url)
    assert "code" not in answer


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
    ],
)
async def test_only_the_code_flow_with_s256_is_offered(http, provider, changes, error):
    assert (await authorize(http, provider, **changes))["error"] == error


@pytest.mark.parametrize("changes", [{"client_id": "other"}, {"redirect_uri": ""}])
async def test_an_unknown_client_is_redirected_nowhere(http, provider, changes):
    assert await authorize(http, provider, **changes) == {}


@pytest.mark.parametrize(
    "changes", [{"code": "made-up"}, {"code_verifier": "wrong"}, {"redirect_uri": "http://127.0.0.1:9/other"}]
)
async def test_a_code_needs_all_that_belongs_to_it(http, provider, changes):
    code = (await authorize(http, provider))["code"]

    assert await redeem(http, provider, code, changes) == (400, {"error": "invalid_grant"})


async def test_a_code_used_twice_ends_what_it_gave(http, provider):
    code = (await authorize(http, provider))["code"]
    _, tokens = await redeem(http, provider, code)

    again = await redeem(http, provider, code)

    assert again == (400, {"error": "invalid_grant"})
    assert provider.whose(tokens["access_token"]) is None


async def test_a_refresh_token_works_once(http, provider):
    first = provider.issue("ada", account="work")

    status, tokens = await refresh(http, provider, first.refresh_token)

    assert status == 200
    assert tokens["refresh_token"] != first.refresh_token
    assert provider.whose(tokens["access_token"]) == provider.whose(first.access_token)
    assert provider.refreshes_by_grant == {("ada", "work"): 1}


async def test_a_spent_refresh_token_ends_the_whole_family(http, provider):
    first = provider.issue("ada")
    _, second = await refresh(http, provider, first.refresh_token)

    reused = await refresh(http, provider, first.refresh_token)
    newest = await refresh(http, provider, second["refresh_token"])

    assert reused == newest == (400, {"error": "invalid_grant"})
    assert provider.whose(second["access_token"]) is None
    assert (provider.reuse_detected, provider.token_calls) == (1, 3)


async def test_without_rotation_a_refresh_token_lives_on(http, provider):
    provider.ledger.rotates = False
    pair = provider.issue("ada")

    answers = [await refresh(http, provider, pair.refresh_token) for _ in range(2)]

    assert [status for status, _ in answers] == [200, 200]
    assert "refresh_token" not in answers[0][1]


async def test_basic_client_authentication_is_form_decoded(http, provider):
    text = f"{provider.client_id}:s%3A+%25%2F%2B%C3%A4"
    headers = {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}
    form = {"grant_type": "refresh_token", "refresh_token": provider.issue("ada").refresh_token}

    status, _ = await post(http, provider.token_url, form, headers=headers)

    assert status == 200


@pytest.mark.parametrize("authorization", ["Basic !", "Basic eDp5", "Bearer x"])
async def test_another_client_is_refused_and_spends_nothing(http, provider, authorization):
    pair = provider.issue("ada")
    form = {"grant_type": "refresh_token", "refresh_token": pair.refresh_token}

    refused = await post(http, provider.token_url, form, headers={"Authorization": authorization})

    assert refused == (401, {"error": "invalid_client"})
    assert (await refresh(http, provider, pair.refresh_token))[0] == 200


async def test_an_unknown_grant_type_is_refused(http, provider):
    answer = await post(http, provider.token_url, {"grant_type": "password", **client(provider)})

    assert answer == (400, {"error": "unsupported_grant_type"})


async def test_lifetime_and_members_of_the_answer_can_be_changed(http, provider):
    provider.token_endpoint.expires_in = 60
    provider.token_endpoint.extras = {"expires_in": "60", "scope": None, "team": {"id": "T1"}}

    _, tokens = await refresh(http, provider, provider.issue("ada").refresh_token)

    assert (tokens["expires_in"], tokens["team"]) == ("60", {"id": "T1"})
    assert "scope" not in tokens


async def test_revoking_a_refresh_token_ends_its_access_tokens(http, provider):
    pair = provider.issue("ada")

    async with http.post(
        provider.revoke_url, data={"token": pair.refresh_token, **client(provider)}
    ) as answer:
        status = answer.status

    assert status == 200
    assert provider.whose(pair.access_token) is None
    assert list(provider.revocations) == [pair.refresh_token]


async def test_revoking_an_access_token_ends_it_alone(http, provider):
    pair = provider.issue("ada")

    async with http.post(provider.revoke_url, data={"token": pair.access_token, **client(provider)}):
        pass

    assert provider.whose(pair.access_token) is None
    assert (await refresh(http, provider, pair.refresh_token))[0] == 200


async def test_only_the_client_can_revoke(http, provider):
    pair = provider.issue("ada")

    refused = await post(http, provider.revoke_url, {"token": pair.refresh_token})

    assert refused == (401, {"error": "invalid_client"})
    assert provider.whose(pair.access_token)


@pytest.mark.parametrize("name", [name for name, failure in TOKEN_FAILURES.items() if failure.status])
async def test_a_failure_is_answered_and_spends_nothing(http, provider, name):
    failure, pair = TOKEN_FAILURES[name], provider.issue("ada")
    provider.token_endpoint.fail(failure)
    form = {"grant_type": "refresh_token", "refresh_token": pair.refresh_token, **client(provider)}

    async with http.post(provider.token_url, data=form) as answer:
        status, retry_after = answer.status, answer.headers.get("Retry-After")
        is_whole = await _is_whole(answer)

    assert (status, retry_after) == (failure.status, dict(failure.headers).get("Retry-After"))
    assert is_whole == (failure.missing_bytes == 0)
    assert (await refresh(http, provider, pair.refresh_token))[0] == 200


async def _is_whole(answer):
    try:
        await answer.read()
    except aiohttp.ClientPayloadError:
        return False
    return True


async def test_a_closed_connection_spends_nothing(http, provider):
    pair = provider.issue("ada")
    provider.token_endpoint.fail(TOKEN_FAILURES["closed"])

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await refresh(http, provider, pair.refresh_token)

    assert (await refresh(http, provider, pair.refresh_token))[0] == 200


async def test_a_lost_answer_has_spent_the_token(http, provider):
    pair = provider.issue("ada")
    provider.token_endpoint.fail(TOKEN_FAILURES["answer_lost"])

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await refresh(http, provider, pair.refresh_token)

    assert await refresh(http, provider, pair.refresh_token) == (400, {"error": "invalid_grant"})
    assert provider.reuse_detected == 1


async def test_failures_are_answered_in_the_order_they_were_given(http, provider):
    pair = provider.issue("ada")
    provider.token_endpoint.fail(TokenFailure(status=503, body=b"{}"), times=2)
    provider.token_endpoint.fail(TokenFailure(status=408, body=b"{}"))

    statuses = [(await refresh(http, provider, pair.refresh_token))[0] for _ in range(4)]

    assert statuses == [503, 503, 408, 200]


async def test_resetting_forgets_failures_and_opens_the_gates(http, provider):
    provider.token_endpoint.fail(TOKEN_FAILURES["unavailable"], times=5)
    provider.token_endpoint.before.hold()
    provider.token_endpoint.after.hold()

    provider.token_endpoint.reset()

    assert (await refresh(http, provider, provider.issue("ada").refresh_token))[0] == 200


async def test_held_before_processing_nothing_is_spent_yet(http, provider):
    pair = provider.issue("ada")
    provider.token_endpoint.before.hold()
    asking = asyncio.create_task(refresh(http, provider, pair.refresh_token))
    await provider.until(lambda: provider.token_calls == 1)
    spent_while_held = sum(provider.refreshes_by_grant.values())

    provider.token_endpoint.before.release()

    assert spent_while_held == 0
    assert (await asking)[0] == 200


async def test_held_after_processing_the_token_is_spent_and_nobody_knows(http, provider):
    pair = provider.issue("ada")
    provider.token_endpoint.after.hold()
    asking = asyncio.create_task(refresh(http, provider, pair.refresh_token))
    await provider.until(lambda: provider.refreshes_by_grant["ada", ""] == 1)
    answered = asking.done()

    provider.token_endpoint.after.release()

    assert not answered
    assert (await asking)[0] == 200


async def test_a_caller_that_hangs_up_does_not_undo_its_request(http, provider):
    pair = provider.issue("ada")
    provider.token_endpoint.before.hold()
    asking = asyncio.create_task(refresh(http, provider, pair.refresh_token))
    await provider.until(lambda: provider.token_calls == 1)
    asking.cancel()

    provider.token_endpoint.before.release()

    await provider.until(lambda: provider.refreshes_by_grant["ada", ""] == 1)
    assert await refresh(http, provider, pair.refresh_token) == (400, {"error": "invalid_grant"})


async def test_a_ledger_forgets_its_oldest_tokens(provider, monkeypatch):
    monkeypatch.setattr(ledger, "LIMIT", 2)

    pairs = [provider.issue("ada") for _ in range(3)]

    assert [provider.whose(pair.access_token) is not None for pair in pairs] == [False, True, True]
