import asyncio
import gzip

import pytest

from sidecar.providers.model import Placement, PlacementKind


async def test_the_request_goes_out_byte_for_byte_but_for_host_and_credential(proxy, provider, jwt):
    await proxy.call(
        b"GET /api/a HTTP/1.1\r\nHost: localhost\r\nx-LOWER: 1\r\nX-Twice: a\r\naUtHoRiZaTiOn: bearer "
        + jwt.encode()
        + b"\r\nX-Twice:   b \r\nX-Bytes: \xe9\xff\r\nX-Empty:\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n"
        b"Keep-Alive: 5\r\nTE: trailers, gzip\r\nSidecar-Caller: tests\r\nSidecar-Later: 1\r\n\r\n"
    )

    assert provider.lines == [
        b"GET /a HTTP/1.1",
        b"Host: 127.0.0.1:%d" % provider.port,
        b"x-LOWER: 1",
        b"X-Twice: a",
        b"Authorization: Bearer provider-token",
        b"X-Twice: b",
        b"X-Bytes: \xe9\xff",
        b"X-Empty: ",
        b"TE: trailers",
    ]


@pytest.mark.parametrize(
    "target",
    [
        "/a/./b/../c",
        "/a//b///c",
        "/a%2Fb%2f%20%7E~",
        "/a?",
        "/a?&&=&",
        "/a;v=1;w?x=1;y=2",
        "/%E2%82%AC?q=%e2%82%ac+%2B",
        '/a?b|c{d}"<>\\^`',
        "/?x",
        "/a?u=http://x/?y",
        "/@:!$&'()*+,;=",
    ],
)
async def test_the_target_goes_out_byte_for_byte(proxy, provider, target):
    await proxy.get("/api" + target)

    assert provider.lines[0] == f"GET {target} HTTP/1.1".encode()


async def test_the_answer_comes_back_byte_for_byte(proxy, provider):
    answer = (
        b"HTTP/1.1 299 Quite \xe9 Fine\r\nserver-ish: a\r\nSet-Cookie: a=1\r\nX-Bytes: \xff\r\n"
        b"Set-Cookie: b=2\r\ncontent-LENGTH: 3\r\n\r\nabc"
    )
    provider.answers(answer)

    received = await proxy.get()

    assert received == answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


async def test_hop_by_hop_fields_of_the_answer_and_our_own_mark_are_removed(proxy, provider):
    provider.answers(
        b"HTTP/1.1 200 OK\r\nConnection: x-own\r\nX-Own: 1\r\nKeep-Alive: 9\r\nProxy-Authenticate: Basic\r\n"
        b"Upgrade: h2c\r\nSidecar-Error: no_delegated_grant\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n"
    )

    received = await proxy.get()

    assert received == b"HTTP/1.1 200 OK\r\nX-Kept: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def test_compressed_bodies_pass_untouched(proxy, provider):
    body = gzip.compress(b"x" * 1000)
    provider.answers(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )

    received = await proxy.get()

    assert received.endswith(body)
    assert b"Content-Encoding: gzip" in received


async def test_compressed_requests_pass_untouched(proxy, provider):
    body = gzip.compress(b"x" * 1000)

    await proxy.get("/api/x", "Content-Encoding: gzip", method="POST", body=body)

    assert provider.requests[0][1] == body


async def test_redirects_are_handed_back_and_cookies_forgotten(proxy, provider):
    provider.answers(
        b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.test/\r\nSet-Cookie: s=1; Path=/\r\n"
        b"Content-Length: 0\r\n\r\n"
    )

    first = await proxy.get()
    await proxy.get()

    assert first.startswith(b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.test/\r\n")
    assert provider.connections == 2
    assert b"cookie" not in provider.head.lower()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET", "POST"])
async def test_nothing_is_sent_twice_when_the_connection_drops(proxy, provider, method):
    async def drop(reader, writer):
        await provider.read_request(reader)

    provider.script = drop

    received = await proxy.get(method=method)

    assert b"Sidecar-Error: upstream_unreachable" in received
    assert provider.connections == 1


async def test_late_bytes_reach_nobody(proxy, provider):
    async def chatty(reader, writer):
        await provider.read_request(reader)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        )
        await writer.drain()
        await reader.read()

    provider.script = chatty

    answers = [await proxy.get(), await proxy.get()]

    assert [answer[-2:] for answer in answers] == [b"ok", b"ok"]
    assert b"evil" not in b"".join(answers)
    assert provider.connections == 2


async def test_a_connection_carries_several_requests(proxy, provider, jwt):
    client = await proxy.connect()
    for number in range(3):
        await client.send(
            f"GET /api/{number} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n".encode()
        )

        assert await client.head() == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        assert await client.exactly(2) == b"ok"
    assert [head.split(b" ")[1] for head, _ in provider.requests] == [b"/0", b"/1", b"/2"]


async def test_pipelined_requests_are_answered_in_order(proxy, provider, jwt):
    async def echo(reader, writer):
        while True:
            head, _ = await provider.read_request(reader)
            target = head.split(b" ")[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))
            await writer.drain()

    provider.script = echo
    client = await proxy.connect()
    one = f"GET /api/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n"

    await client.send((one % "first" + one % "second").encode())

    await client.head()
    assert await client.exactly(6) == b"/first"
    await client.head()
    assert await client.exactly(7) == b"/second"


@pytest.mark.parametrize(
    ("placement", "first_line", "field"),
    [
        (Placement(), b"GET /x HTTP/1.1", b"Authorization: Bearer provider-token"),
        (
            Placement(name="X-Key", format="{token}"),
            b"GET /x HTTP/1.1",
            b"X-Key: provider-token",
        ),
        (
            Placement(kind=PlacementKind.QUERY, name="key", format="{token}"),
            b"GET /x?key=provider-token HTTP/1.1",
            b"",
        ),
        (
            Placement(kind=PlacementKind.BASIC, format="{token}:"),
            b"GET /x HTTP/1.1",
            b"Authorization: Basic cHJvdmlkZXItdG9rZW46",
        ),
    ],
)
async def test_the_token_goes_where_the_provider_reads_it(
    start_proxy, provider, placement, first_line, field
):
    proxy = await start_proxy(placement=placement)

    await proxy.get()

    assert provider.lines[0] == first_line
    assert field in [*provider.lines, b""]
    assert b"eyJ" not in provider.head


async def test_links_come_back_under_the_prefix(proxy, provider):
    origin = f"http://127.0.0.1:{provider.port}"
    provider.answers(
        f'HTTP/1.1 201 Created\r\nLocation: {origin}/made?x#f\r\nLink: <{origin}/x?page=2>; rel="next", '
        f'</first>; rel="first", <https://else.test/>; rel="help"\r\nContent-Length: 0\r\n\r\n'.encode()
    )

    received = await proxy.get("/api@work/x")

    assert b"\r\nLocation: http://localhost/api@work/made?x#f\r\n" in received
    assert (
        b'\r\nLink: <http://localhost/api@work/x?page=2>; rel="next", </api@work/first>; rel="first", '
        b'<https://else.test/>; rel="help"\r\n'
    ) in received


async def test_the_broker_is_asked_for_what_the_request_names(proxy, jwt):
    await proxy.get("/api@me%40x.test/a/b?c", "Sidecar-Grant: g-1", method="PATCH")

    caller, ask, call = proxy.broker.asked[0]
    assert caller.subject == "ann"
    assert (ask.provider, ask.account, ask.grant) == ("api", "me@x.test", "g-1")
    assert (call.provider, call.method, call.path) == ("api", "PATCH", "/a/b")


async def test_absolute_form_and_host_form_need_no_prefix(proxy, provider, jwt):
    authority = f"127.0.0.1:{provider.port}"
    field = f"Connection: close\r\n%s: Bearer {jwt}\r\n\r\n"

    await proxy.call(
        f"GET http://{authority}/a?b HTTP/1.1\r\nHost: {authority}\r\n".encode()
        + (field % "Proxy-Authorization").encode()
    )
    await proxy.call(f"GET /c HTTP/1.1\r\nHost: {authority}\r\n{field % 'Authorization'}".encode())

    assert [head.split(b"\r\n")[0] for head, _ in provider.requests] == [
        b"GET /a?b HTTP/1.1",
        b"GET /c HTTP/1.1",
    ]


async def test_a_unix_socket_takes_any_host(start_proxy, tmp_path, jwt):
    proxy = await start_proxy(path=str(tmp_path / "proxy.sock"))

    received = await proxy.call(
        b"GET /api/x HTTP/1.1\r\nHost: whatever.test\r\nConnection: close\r\n"
        + f"Authorization: Bearer {jwt}\r\n\r\n".encode()
    )

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_an_upgrade_that_the_provider_does_not_take_is_an_ordinary_request(proxy, provider, jwt):
    one = f"GET /api/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n%s\r\n"
    client = await proxy.connect()

    await client.send((one % "Connection: Upgrade\r\nUpgrade: websocket\r\n" + one % "").encode())

    for _ in range(2):
        assert (await client.head()).startswith(b"HTTP/1.1 200")
        await client.exactly(2)
    assert [b"\r\nUpgrade: websocket\r\n" in head for head, _ in provider.requests] == [True, False]


async def test_http_1_0_callers_get_an_answer_that_ends_by_closing(proxy, provider, jwt):
    provider.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    received = await proxy.call(
        f"GET /api/x HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n".encode()
    )

    assert received == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde"
    assert provider.lines[0] == b"GET /x HTTP/1.1"


async def test_metrics_tell_what_went_by(proxy):
    await proxy.get(method="POST", body=b"12345")

    await asyncio.sleep(0)
    text = proxy.metrics.render().decode()
    assert 'sidecar_requests_total{method="POST",provider="api",status="200"} 1.0' in text
    assert 'sidecar_stream_bytes_total{direction="up",provider="api"} 5.0' in text
    assert 'sidecar_stream_bytes_total{direction="down",provider="api"} 2.0' in text
    assert 'sidecar_overhead_seconds_count{cache="miss",provider="api"} 1.0' in text
    assert "sidecar_active_requests 0.0" in text
