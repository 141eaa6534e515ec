"""What the proxy refuses, on the wire: the code, the status, and that nothing of the input comes back."""

import asyncio
import json
import logging

import pytest

from sidecar.errors import AmbiguousGrantError
from sidecar.proxy.gate import Gate
from sidecar.proxy.incoming import BodyLimits
from sidecar.secret import Secret
from sidecar.web.strict_handler import HeadLimits

CANARY = "canary-7f3a"


def problem_in(received):
    head, _, body = received.partition(b"\r\n\r\n")
    document = json.loads(body)
    fields = head.decode().split("\r\n")
    assert fields[0].split(" ")[1] == str(document["status"])
    assert f"Sidecar-Error: {document['code']}" in fields
    assert "Content-Type: application/problem+json" in fields
    return document


def request(line="GET /api/x HTTP/1.1", *fields, host="localhost", jwt=""):
    credential = [f"Authorization: Bearer {jwt}"] if jwt else []
    hosts = [f"Host: {host}"] if host is not None else []
    return "\r\n".join([line, *hosts, *credential, *fields, "", ""]).encode("latin-1")


GET = "GET /api/x HTTP/1.1\r\nHost: localhost\r\n"
POST = "POST /api/x HTTP/1.1\r\nHost: localhost\r\n"
CHUNKS = "\r\n0\r\n\r\n"
MALFORMED = {
    "no version": f"GET /{CANARY}\r\n\r\n",
    "odd version": f"GET /{CANARY} HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "old version": f"GET /{CANARY} HTTP/0.9\r\nHost: localhost\r\n\r\n",
    "no host": f"GET /api/{CANARY} HTTP/1.1\r\n\r\n",
    "no host in HTTP/1.0": f"GET /api/{CANARY} HTTP/1.0\r\n\r\n",
    "empty host": f"GET /api/{CANARY} HTTP/1.1\r\nHost:\r\n\r\n",
    "odd host": f"GET /api/x HTTP/1.1\r\nHost: {CANARY}/@x\r\n\r\n",
    "two hosts": f"{GET}Host: {CANARY}\r\n\r\n",
    "fragment": f"GET /api/x#{CANARY} HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "8-bit target": f"GET /api/{CANARY}\xe9 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "control in target": f"GET /api/{CANARY}\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "space in field name": f"{GET}{CANARY} x: 1\r\n\r\n",
    "folded field": f"{GET}X: a\r\n {CANARY}\r\n\r\n",
    "control in field": f"{GET}X: {CANARY}\x01\r\n\r\n",
    "length and coding": f"{POST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\nX: {CANARY}\r\n{CHUNKS}",
    "two lengths": f"{POST}Content-Length: 3\r\nContent-Length: 3\r\n\r\n{CANARY}",
    "signed length": f"{POST}Content-Length: +3\r\n\r\n{CANARY}",
    "odd coding": f"{POST}Transfer-Encoding: gzip, chunked\r\n{CHUNKS}",
    "x-chunked": f"{POST}Transfer-Encoding: xchunked\r\n\r\n{CANARY}",
    "shouted coding": f"{POST}Transfer-Encoding: Chunked\r\n{CHUNKS}",
    "chunks in HTTP/1.0": f"{POST.replace('1.1', '1.0')}Transfer-Encoding: chunked\r\n{CHUNKS}",
    "underscored length": f"{POST}Content_Length: 3\r\nX: {CANARY}\r\n\r\n",
    "underscored credential": f"{GET}X_Api-Key: {CANARY}\r\n\r\n",
    "underscored control": f"{GET}Sidecar_Account: {CANARY}\r\n\r\n",
    "two authorizations": f"{GET}Authorization: {CANARY}\r\nAuthorization: {CANARY}\r\n\r\n",
    "two accounts": f"{GET}Sidecar-Account: {CANARY}\r\nSidecar-Account: {CANARY}\r\n\r\n",
    "binary": f"\x16\x03\x01\x02{CANARY}\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_requests_are_refused_and_neither_echoed_nor_logged(proxy, provider, caplog, sent):
    caplog.set_level(logging.DEBUG)

    received = await proxy.call(
        sent.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1).encode("latin-1")
    )

    assert problem_in(received)["code"] == "bad_request"
    assert problem_in(received)["status"] == 400
    assert CANARY.encode() not in received
    # What asyncio logs of a transport carries no input; our own records and tracebacks are looked through.
    assert CANARY not in caplog.text
    assert provider.connections == 0


@pytest.mark.parametrize(
    ("method", "status"),
    [("TRACE", 405), ("CONNECT", 405), ("BREW", 501), ("get", 501)],
)
async def test_methods_that_are_not_served(proxy, jwt, method, status):
    target = "api.test:443" if method == "CONNECT" else "/api/x"

    received = await proxy.call(request(f"{method} {target} HTTP/1.1", "Connection: close", jwt=jwt))

    assert (problem_in(received)["code"], problem_in(received)["status"]) == ("method_not_allowed", status)


async def test_a_request_without_a_credential_says_how_to_bring_one(proxy):
    received = await proxy.call(request("GET /api/x HTTP/1.1", "Connection: close"))

    assert problem_in(received)["code"] == "missing_token"
    assert b"\r\nWWW-Authenticate: Bearer\r\n" in received


@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        (["Authorization: Bearer a.b.c"], "invalid_token", 401),
        (["Authorization: Bearer opaque"], "invalid_token", 401),
        (["Authorization: Bearer a.b.c", "X-Api-Key: d.e.f"], "conflicting_credentials", 400),
        (["Authorization: Bearer service-key-of-the-night"], "bad_request", 400),
        (["Origin: https://evil.test"], "cross_site_refused", 403),
        (["Origin: null"], "cross_site_refused", 403),
        (["Sec-Fetch-Site: cross-site"], "cross_site_refused", 403),
        (["Sidecar-Provider: nobody"], "unknown_provider", 404),
        (["Sidecar-Upstream: https://nobody.test"], "destination_refused", 403),
        (["Sidecar-Caller: " + "x" * 65], "bad_request", 400),
    ],
)
async def test_refusals_by_code(proxy, provider, fields, code, status):
    received = await proxy.call(request("GET /api/x HTTP/1.1", "Connection: close", *fields))

    assert (problem_in(received)["code"], problem_in(received)["status"]) == (code, status)
    assert provider.connections == 0


@pytest.mark.parametrize(
    ("line", "host", "refusal"),
    [
        ("GET /nobody/x HTTP/1.1", "localhost", ("unknown_provider", 404)),
        ("GET / HTTP/1.1", "localhost", ("unknown_provider", 404)),
        ("GET /api/x HTTP/1.1", "evil.test", ("misdirected_request", 421)),
        ("GET http://evil.test/ HTTP/1.1", "evil.test", ("destination_refused", 403)),
        ("GET ftp://evil.test/ HTTP/1.1", "evil.test", ("bad_request", 400)),
    ],
)
async def test_addresses_that_lead_nowhere(proxy, jwt, line, host, refusal):
    received = await proxy.call(request(line, "Connection: close", host=host, jwt=jwt))

    assert (problem_in(received)["code"], problem_in(received)["status"]) == refusal


async def test_a_key_is_asked_for_where_the_listener_has_keys(start_proxy, provider, jwt):
    proxy = await start_proxy(gate=Gate(keys=(Secret("one"), Secret("two"))))

    without = await proxy.get()
    wrong = await proxy.get("/api/x", "Sidecar-Key: three")
    right = await proxy.get("/api/x", "Sidecar-Key: two")

    assert problem_in(without)["code"] == "missing_token"
    assert problem_in(wrong)["code"] == "invalid_token"
    assert right.startswith(b"HTTP/1.1 200 OK")
    assert b"Sidecar-Key" not in provider.head


async def test_a_credential_that_would_leak_is_refused_and_the_field_named(proxy, provider, jwt):
    in_cookie = await proxy.get("/api/x", f"Cookie: a=1; session={jwt}")
    in_query = await proxy.get(f"/api/x?token={jwt}")

    assert "Cookie" in problem_in(in_cookie)["detail"]
    assert "request target" in problem_in(in_query)["detail"]
    assert jwt.encode() not in in_cookie + in_query
    assert provider.connections == 0


async def test_the_brokers_refusal_comes_back_whole(proxy):
    proxy.broker.error = AmbiguousGrantError(provider="api", candidates=[{"grant_id": "g1", "account": "a"}])

    received = await proxy.get()

    document = problem_in(received)
    assert (document["status"], document["code"]) == (409, "ambiguous_grant")
    assert document["candidates"] == [{"grant_id": "g1", "account": "a"}]
    assert document["instance"]


async def test_a_refusal_to_head_has_no_body(proxy):
    received = await proxy.get("/nobody/x", method="HEAD")

    assert received.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert received.endswith(b"\r\n\r\n")


async def test_a_failure_of_our_own_is_no_echo(proxy, caplog):
    proxy.broker.error = KeyError(CANARY)

    received = await proxy.get()

    assert problem_in(received)["code"] == "internal_error"
    assert CANARY.encode() not in received


async def test_what_follows_a_malformed_request_is_not_read(proxy, provider, jwt):
    sent = b"GET /x HTTP/1.1\r\nBad Name: 1\r\n\r\n" + request("GET /api/x HTTP/1.1", jwt=jwt)

    received = await proxy.call(sent)

    assert received.count(b"HTTP/1.1 ") == 1
    assert provider.connections == 0


@pytest.mark.parametrize(
    "fields",
    [["X: " + "a" * 40_000], [f"X-{n}: {'a' * 400}" for n in range(90)], [f"X-{n}: 1" for n in range(101)]],
    ids=["one field", "together", "too many"],
)
async def test_heads_have_a_size(proxy, provider, jwt, fields):
    received = await proxy.call(request("GET /api/x HTTP/1.1", *fields, "Connection: close", jwt=jwt))

    assert (problem_in(received)["code"], problem_in(received)["status"]) == ("head_too_large", 431)
    assert provider.connections == 0


async def test_a_head_that_drips_is_ended(start_proxy):
    proxy = await start_proxy(head=HeadLimits(timeout=0.05))
    client = await proxy.connect()

    await client.send(b"GET /api/x HTTP/1.1\r\nHo")

    assert problem_in(await client.rest())["code"] == "request_timeout"


async def test_a_body_that_stalls_is_ended_on_both_sides(start_proxy, provider, jwt):
    proxy = await start_proxy(body=BodyLimits(timeout=0.05))
    fields = ("Content-Length: 10", "Connection: close")

    received = await proxy.call(request("POST /api/x HTTP/1.1", *fields, jwt=jwt) + b"12345")

    assert (problem_in(received)["code"], problem_in(received)["status"]) == ("request_timeout", 408)
    await asyncio.wait_for(provider.gone.wait(), 10)


@pytest.mark.parametrize("by", ["length", "chunks"])
async def test_bodies_can_have_a_size(start_proxy, provider, jwt, by):
    proxy = await start_proxy(body=BodyLimits(size_bytes=4))
    if by == "length":
        sent = request("POST /api/x HTTP/1.1", "Content-Length: 5", "Connection: close", jwt=jwt) + b"12345"
    else:
        fields = ("Transfer-Encoding: chunked", "Connection: close")
        sent = request("POST /api/x HTTP/1.1", *fields, jwt=jwt) + b"3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n"

        async def wait(reader, writer):
            await reader.read()
            await reader.read()

        provider.script = wait

    received = await proxy.call(sent)

    assert (problem_in(received)["code"], problem_in(received)["status"]) == ("body_too_large", 413)


async def test_a_malformed_body_breaks_its_request_at_once(proxy, provider, jwt, caplog):
    caplog.set_level(logging.DEBUG)

    async def wait(reader, writer):
        while await reader.read(1000):
            pass

    provider.script = wait

    received = await proxy.call(
        request("POST /api/x HTTP/1.1", "Transfer-Encoding: chunked", jwt=jwt)
        + f"5\r\nabcde\r\nzz{CANARY}\r\n".encode()
    )

    assert problem_in(received)["code"] == "bad_request"
    assert received.count(b"HTTP/1.1 ") == 1
    assert CANARY.encode() not in received
    assert CANARY not in caplog.text


async def test_only_so_many_requests_at_a_time(start_proxy, provider):
    proxy = await start_proxy(most=1)
    asked, release = asyncio.Event(), asyncio.Event()

    async def hold(reader, writer):
        await provider.read_request(reader)
        asked.set()
        await release.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    provider.script = hold
    first = asyncio.create_task(proxy.get())
    await asked.wait()

    second = await proxy.get()
    release.set()

    assert problem_in(second)["code"] == "overloaded"
    assert b"\r\nRetry-After: 1\r\n" in second
    assert (await first).startswith(b"HTTP/1.1 204 ")


async def test_draining_refuses_new_requests_and_finishes_those_in_flight(proxy, provider, jwt):
    asked, release = asyncio.Event(), asyncio.Event()

    async def hold(reader, writer):
        await provider.read_request(reader)
        asked.set()
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        await writer.drain()
        await reader.read()

    provider.script = hold
    client = await proxy.connect()
    await client.send(request("GET /api/x HTTP/1.1", jwt=jwt))
    await asked.wait()
    draining = asyncio.create_task(proxy.listener.drain(10))
    await asyncio.sleep(0)

    refused = await proxy.call(request("GET /api/x HTTP/1.1", jwt=jwt))
    release.set()

    assert problem_in(refused)["code"] == "draining"
    assert b"\r\nConnection: close\r\n" in refused
    answer = await client.rest()
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"done")
    await draining
