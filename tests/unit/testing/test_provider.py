import asyncio
import base64
import hashlib
import json

import aiohttp
import pytest

from sidecar.testing.clock import ManualClock
from sidecar.testing.ledger import Holder
from sidecar.testing.payload import BLOCK_BYTES, sha256_of
from sidecar.testing.provider import ProviderInABox


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def provider():
    async with ProviderInABox() as box:
        yield box


def bearer(provider, user="ada", **options):
    return {"Authorization": f"Bearer {provider.issue(user, **options).access_token}"}


async def get(http, url, **options):
    async with http.get(url, **options) as answer:
        return answer.status, await answer.read()


async def wire(provider, head, *, lines=()):
    """Send one request as bytes and return everything that comes back until the box closes."""
    reader, writer = await asyncio.open_connection(*provider.url.removeprefix("http://").split(":"))
    writer.write("\r\n".join((head, *lines, "Connection: close", "", "")).encode())
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_echo_says_what_it_saw_and_whose_token_it_was(http, provider):
    headers = bearer(provider, "ada", account="work")

    async with http.post(f"{provider.url}/echo/a?b=%20c", data=b"hello", headers=headers) as answer:
        saw = await answer.json()

    assert (saw["method"], saw["target"]) == ("POST", "/echo/a?b=%20c")
    assert (saw["body_bytes"], saw["body_sha256"]) == (5, hashlib.sha256(b"hello").hexdigest())
    assert (saw["user"], saw["account"]) == ("ada", "work")
    assert ["Authorization", headers["Authorization"]] in saw["headers"]


async def test_a_token_is_found_wherever_a_placement_puts_it(http, provider):
    token = provider.issue("ada").access_token
    basic = base64.b64encode(f"{token}:".encode()).decode()

    for path, headers in [
        ("/echo", {"X-Api-Key": token}),
        ("/echo", {"Authorization": f"token {token}"}),
        ("/echo", {"Authorization": f"Basic {basic}"}),
        (f"/echo?access_token={token}", {}),
    ]:
        status, body = await get(http, provider.url + path, headers=headers)
        assert (status, json.loads(body)["user"]) == (200, "ada")


async def test_without_a_live_token_the_api_answers_401(http, provider):
    pair = provider.issue("ada")
    provider.expire(pair.access_token)

    for headers in [
        {},
        {"Authorization": "Bearer made-up"},
        {"Authorization": f"Bearer {pair.access_token}"},
    ]:
        async with http.get(f"{provider.url}/echo", headers=headers) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_the_api_can_be_open_to_everybody(http, provider):
    provider.requires_token = False

    status, body = await get(http, f"{provider.url}/echo", headers={"Authorization": "Basic !"})

    assert (status, json.loads(body)["user"]) == (200, None)


async def test_a_token_ends_by_the_boxes_clock():
    clock = ManualClock()
    async with ProviderInABox(clock=clock) as provider:
        pair = provider.issue("ada", account="work", expires_in=60)
        before = provider.whose(pair.access_token)
        clock.advance(60)

        assert before == Holder(user="ada", account="work")
        assert provider.whose(pair.access_token) is None
        assert pair.expires_at == clock.now()


@pytest.mark.parametrize("query", ["", "?chunked"])
@pytest.mark.parametrize("length", [0, 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 7])
async def test_bytes_streams_as_many_as_asked_with_a_known_hash(http, provider, length, query):
    status, body = await get(http, f"{provider.url}/bytes/{length}{query}", headers=bearer(provider))

    assert (status, len(body)) == (200, length)
    assert hashlib.sha256(body).hexdigest() == sha256_of(length)


async def test_a_head_request_for_bytes_gets_their_number(http, provider):
    async with http.head(f"{provider.url}/bytes/7", headers=bearer(provider)) as answer:
        assert (answer.headers["Content-Length"], await answer.read()) == ("7", b"")


async def test_upload_counts_and_hashes_a_stream(http, provider):
    async def stream():
        for _ in range(5):
            yield b"x" * 100_000

    async with http.put(f"{provider.url}/upload", data=stream(), headers=bearer(provider)) as answer:
        saw = await answer.json()

    assert saw == {"body_bytes": 500_000, "body_sha256": hashlib.sha256(b"x" * 500_000).hexdigest()}
    assert len(provider.seen[-1].body.start) == 8192


@pytest.mark.parametrize("status", [200, 204, 304, 404, 429, 500, 599])
async def test_any_status_can_be_had(http, provider, status):
    assert (await get(http, f"{provider.url}/status/{status}", headers=bearer(provider)))[0] == status


@pytest.mark.parametrize("path", ["/status/many", "/bytes/", "/events?count=x"])
async def test_a_path_without_its_number_is_400(http, provider, path):
    answer = await wire(
        provider, f"GET {path} HTTP/1.1", lines=[f"X-Token: {provider.issue('ada').access_token}"]
    )

    assert b"HTTP/1.1 400 Bad Request\r\n" in answer


async def test_an_unknown_path_is_404(http, provider):
    assert (await get(http, f"{provider.url}/nothing", headers=bearer(provider)))[0] == 404


async def test_a_redirect_has_exactly_the_location_asked_for(http, provider):
    url = f"{provider.url}/redirect?to=/a%3Fb&status=307"

    async with http.get(url, headers=bearer(provider), allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (307, "/a?b")


async def test_events_are_sent_when_they_are_published(http, provider):
    async with http.get(f"{provider.url}/events", headers=bearer(provider)) as answer:
        await provider.until(lambda: provider.api.streams == 1)
        provider.api.publish("first")
        first = await answer.content.readuntil(b"\n\n")
        provider.api.publish("second")
        second = await answer.content.readuntil(b"\n\n")
        provider.api.end_events()
        rest = await answer.content.read()

    assert (first, second, rest) == (b"data: first\n\n", b"data: second\n\n", b"")


async def test_a_number_of_events_can_be_had_at_once(http, provider):
    _, body = await get(http, f"{provider.url}/events?count=2", headers=bearer(provider))

    assert body == b"data: event 0\n\ndata: event 1\n\n"


async def test_slow_waits_until_it_is_released(http, provider):
    asking = asyncio.create_task(get(http, f"{provider.url}/slow", headers=bearer(provider)))
    await provider.until(lambda: len(provider.seen) == 1)
    waited = not asking.done()

    provider.api.slow.release()

    assert waited
    assert await asking == (200, b"slowly but surely")


async def test_slow_can_wait_in_the_middle_of_the_body(http, provider):
    async with http.get(f"{provider.url}/slow?after=head", headers=bearer(provider)) as answer:
        beginning = await answer.content.readexactly(6)
        provider.api.slow.release()

        assert beginning + await answer.content.read() == b"slowly but surely"


async def test_a_caller_that_hangs_up_is_counted(http, provider):
    asking = asyncio.create_task(get(http, f"{provider.url}/slow", headers=bearer(provider)))
    await provider.until(lambda: len(provider.seen) == 1)

    asking.cancel()

    await provider.until(lambda: provider.connections == 0)
    assert provider.abandoned == 1


@pytest.mark.parametrize(
    ("after", "rest"),
    [
        ("nothing", b""),
        ("head", b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"),
        ("body", b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"),
        ("chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
    ],
)
async def test_cut_breaks_off_where_it_is_told(provider, after, rest):
    token = provider.issue("ada").access_token

    answer = await wire(provider, f"GET /cut?after={after} HTTP/1.1", lines=[f"X-Token: {token}"])

    assert answer.replace(b"Connection: close\r\n", b"") == rest


async def test_a_path_answers_with_the_tests_own_bytes(http, provider):
    provider.respond("/raw", b"HTTP/1.1 299 Very Odd\r\nX-a: 1\r\nx-A: 2\r\nContent-Length: 2\r\n\r\nok")

    async with http.get(f"{provider.url}/raw?x=1") as answer:
        assert (answer.status, answer.reason, await answer.read()) == (299, "Very Odd", b"ok")
        assert answer.raw_headers[:2] == ((b"X-a", b"1"), (b"x-A", b"2"))


async def test_own_bytes_can_be_limited_to_a_number_of_times(http, provider):
    provider.respond("/echo", b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", times=2)

    statuses = [(await get(http, f"{provider.url}/echo", headers=bearer(provider)))[0] for _ in range(3)]

    assert statuses == [502, 502, 200]


async def test_own_bytes_can_end_the_connection(provider):
    provider.respond("/raw", b"HTTP/1.1 200 OK\r\n\r\nuntil the end", closes=True)

    assert await wire(provider, "GET /raw HTTP/1.1") == b"HTTP/1.1 200 OK\r\n\r\nuntil the end"


async def test_late_bytes_arrive_on_an_idle_connection(provider):
    reader, writer = await asyncio.open_connection(*provider.url.removeprefix("http://").split(":"))
    writer.write(b"GET /echo HTTP/1.1\r\n\r\n")
    await reader.readuntil(b'{"error":"invalid_token"}')
    await provider.until(lambda: provider.write_to_idle(b"late") == 1)

    assert await reader.readexactly(4) == b"late"
    writer.close()
    await writer.wait_closed()


async def test_paused_it_refuses_connections_and_started_it_knows_its_tokens(http, provider):
    headers, url = bearer(provider), provider.url
    await provider.pause()
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(http, f"{url}/echo", headers=headers)

    await provider.start()

    assert (await get(http, f"{url}/echo", headers=headers))[0] == 200


async def test_with_tls_its_own_authority_is_trusted(http):
    async with ProviderInABox(tls=True) as provider:
        context = provider.authority.client_context()
        status, _ = await get(http, f"{provider.url}/echo", headers=bearer(provider), ssl=context)

    assert provider.url.startswith("https://")
    assert status == 200


async def test_userinfo_names_the_holder(http, provider):
    _, body = await get(http, provider.userinfo_url, headers=bearer(provider, "ada", account="work"))
    status, _ = await get(http, provider.userinfo_url)

    assert json.loads(body) == {"sub": "ada", "account": "work"}
    assert status == 401


async def test_a_hundred_callers_at_once_are_told_apart(http, provider):
    async def ask(number):
        _, body = await get(http, f"{provider.url}/echo", headers=bearer(provider, f"user-{number}"))
        return json.loads(body)["user"]

    users = await asyncio.gather(*(ask(number) for number in range(100)))

    assert users == [f"user-{number}" for number in range(100)]


async def test_another_process_can_issue_expire_and_ask(http):
    async with ProviderInABox(control_api=True) as provider:
        asked = {"user": "ada", "account": "work", "scopes": ["read"], "expires_in": 60}
        async with http.post(f"{provider.url}/_box/issue", json=asked) as answer:
            pair = await answer.json()
        issued = provider.whose(pair["access_token"])
        async with http.post(
            f"{provider.url}/_box/expire", json={"access_token": pair["access_token"]}
        ) as answer:
            expired = answer.status
        provider.ledger.refresh(pair["refresh_token"], 60)
        _, body = await get(http, f"{provider.url}/_box/stats")

    assert issued == Holder(user="ada", account="work")
    assert (expired, provider.whose(pair["access_token"])) == (204, None)
    assert json.loads(body) == {
        "token_calls": 0,
        "reuse_detected": 0,
        "refreshes_by_grant": [{"user": "ada", "account": "work", "refreshes": 1}],
    }


@pytest.mark.parametrize("body", [b"no json", b"[]", b"{}"])
async def test_the_control_api_refuses_what_it_cannot_read(http, body):
    async with (
        ProviderInABox(control_api=True) as provider,
        http.post(f"{provider.url}/_box/issue", data=body) as answer,
    ):
        assert answer.status == 400


async def test_without_the_control_api_its_paths_need_a_token_like_any_other(http, provider):
    assert (await get(http, f"{provider.url}/_box/stats"))[0] == 401
