"""Whatever goes wrong on an aiohttp surface comes out as a problem of ours."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from sidecar.errors import AmbiguousGrantError, StoreUnavailableError
from sidecar.telemetry.context import request_id
from sidecar.web.answers import json_answer
from sidecar.web.guard import Guard
from sidecar.web.health import Health, ops_routes

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from aiohttp import ClientSession

    from sidecar.telemetry.metrics import Metrics

    Serve = Callable[..., AbstractAsyncContextManager[ClientSession]]

CANARY = "canary-4f0c1d"


async def hello(_: web.Request) -> web.StreamResponse:
    return json_answer({"hello": request_id.get()})


def failing(error: BaseException) -> Callable[[web.Request], object]:
    async def fail(_: web.Request) -> web.StreamResponse:
        raise error

    return fail


async def test_an_answer_names_no_server_and_is_not_kept(serve: Serve) -> None:
    async with serve([web.get("/", hello)]) as client, client.get("/") as answer:
        body = await answer.json()

    assert answer.status == 200
    assert "Server" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(body["hello"]) == 16


async def test_every_request_has_an_id_of_its_own(serve: Serve) -> None:
    seen = set()
    async with serve([web.get("/", hello)]) as client:
        for _ in range(3):
            async with client.get("/") as answer:
                seen.add((await answer.json())["hello"])

    assert len(seen) == 3


async def test_a_refusal_of_ours_is_a_problem(serve: Serve, metrics: Metrics) -> None:
    error = AmbiguousGrantError("Name one.", candidates=[{"grant_id": "g_1", "account": "work"}])
    async with serve([web.get("/", failing(error))]) as client, client.get("/") as answer:
        problem = await answer.json()

    assert answer.status == 409
    assert answer.content_type == "application/problem+json"
    assert answer.headers["Sidecar-Error"] == "ambiguous_grant"
    assert problem["candidates"] == [{"grant_id": "g_1", "account": "work"}]
    assert len(problem["instance"]) == 16
    assert 'sidecar_errors_total{code="ambiguous_grant"} 1.0' in metrics.render().decode()


async def test_a_refusal_says_when_to_come_back(serve: Serve) -> None:
    error = StoreUnavailableError(retry_after=1.0)
    async with serve([web.get("/", failing(error))]) as client, client.get("/") as answer:
        pass

    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


async def test_an_unknown_path_is_not_found(serve: Serve) -> None:
    async with serve([web.get("/", hello)]) as client, client.get(f"/{CANARY}") as answer:
        text = await answer.text()

    assert (answer.status, answer.headers["Sidecar-Error"]) == (404, "not_found")
    assert CANARY not in text


async def test_a_method_that_is_not_served_is_told_which_are(serve: Serve) -> None:
    async with serve([web.get("/", hello), web.post("/", hello)]) as client, client.put("/") as answer:
        pass

    assert (answer.status, answer.headers["Sidecar-Error"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET,HEAD,POST"


async def test_an_unexpected_failure_is_500_and_logged_by_type(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve([web.get("/", failing(ValueError(CANARY)))]) as client, client.get("/") as answer:
        text = await answer.text()

    assert (answer.status, answer.headers["Sidecar-Error"]) == (500, "internal_error")
    assert CANARY not in text
    assert "Traceback" not in text
    assert [record.kind for record in caplog.records if record.levelno == logging.ERROR] == ["ValueError"]


async def test_a_redirect_is_no_failure(serve: Serve) -> None:
    routes = [web.get("/", failing(web.HTTPFound("/elsewhere")))]
    async with serve(routes) as client, client.get("/", allow_redirects=False) as answer:
        pass

    assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")


@pytest.mark.parametrize("path", ["/", "/unknown"])
async def test_an_odd_expectation_is_not_repeated(serve: Serve, path: str) -> None:
    async with serve([web.get("/", hello)]) as client, client.get(path, headers={"Expect": CANARY}) as answer:
        text = await answer.text()

    assert answer.status == 400
    assert CANARY not in text


async def test_routes_stand_under_the_public_prefix_too(serve: Serve) -> None:
    async with serve([web.get("/v1/me", hello)], guard=Guard(), prefix="/sidecar") as client:
        async with client.get("/sidecar/v1/me") as inside:
            pass
        async with client.get("/v1/me") as outside:
            pass
        async with client.get("/sidecar/v1/me", headers={"Host": "evil.example"}) as foreign:
            pass

    assert (inside.status, outside.status, foreign.status) == (200, 200, 421)


@pytest.mark.parametrize(
    "path", ["/admin/v1/grants", "/%61dmin/v1/grants", "/sidecar/admin/v1/grants", "/admin/v1/x"]
)
async def test_the_admin_api_is_hidden_however_it_is_spelled(serve: Serve, path: str) -> None:
    guard = Guard(public_host="notes.example.com")
    routes = [web.get("/admin/v1/grants", hello)]
    async with (
        serve(routes, guard=guard, prefix="/sidecar") as client,
        client.get(path, headers={"Host": "notes.example.com"}) as answer,
    ):
        pass

    assert (answer.status, answer.headers["Sidecar-Error"]) == (404, "not_found")


async def test_a_prefix_that_looks_like_a_route_uncovers_nothing(serve: Serve) -> None:
    guard = Guard(public_host="notes.example.com")
    routes = [web.get("/admin/v1/grants", hello), web.get("/v1/me", hello)]
    statuses = {}
    for prefix in ("/admin", "/v1"):
        async with serve(routes, guard=guard, prefix=prefix) as client:
            for path, host in (
                ("/admin/v1/grants", "notes.example.com"),
                (f"{prefix}/v1/me", "notes.example.com"),
                ("/v1/me", "evil.example"),
            ):
                async with client.get(path, headers={"Host": host}) as answer:
                    statuses[prefix, path] = answer.status

    assert statuses == {
        ("/admin", "/admin/v1/grants"): 404,
        ("/admin", "/admin/v1/me"): 200,
        ("/admin", "/v1/me"): 421,
        ("/v1", "/admin/v1/grants"): 404,
        ("/v1", "/v1/v1/me"): 200,
        ("/v1", "/v1/me"): 421,
    }


async def test_another_site_is_refused(serve: Serve) -> None:
    headers = {"Origin": "https://evil.example"}
    async with (
        serve([web.post("/x", hello)], guard=Guard()) as client,
        client.post("/x", headers=headers) as answer,
    ):
        pass

    assert (answer.status, answer.headers["Sidecar-Error"]) == (403, "cross_site_refused")


async def raw(client: ClientSession, request: bytes) -> bytes:
    base = client._base_url
    assert base is not None
    reader, writer = await asyncio.open_connection(base.host, base.port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


TWICE = b"Connection: close\r\nHost: localhost\r\n"
ODD_HEADS = {
    "two credentials": b"GET / HTTP/1.1\r\n"
    + TWICE
    + b"Authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
    "http/2.0 in the line": b"GET / HTTP/2.0\r\n" + TWICE + b"\r\n",
    "empty host": b"GET / HTTP/1.1\r\nConnection: close\r\nHost:\r\n\r\n",
    "odd host": b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a b\r\n\r\n",
    "http/1.0 and chunks": b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "absolute-form": b"GET http://evil.example/ HTTP/1.1\r\n" + TWICE + b"\r\n",
    "fragment": b"GET /#/x HTTP/1.1\r\n" + TWICE + b"\r\n",
    "connect": b"CONNECT evil.example:443 HTTP/1.1\r\n" + TWICE + b"\r\n",
}


@pytest.mark.parametrize("head", ODD_HEADS.values(), ids=ODD_HEADS.keys())
async def test_heads_that_two_readers_could_read_differently_are_refused(serve: Serve, head: bytes) -> None:
    async with serve([web.route("*", "/", hello)]) as client:
        answer = await raw(client, head)

    assert b" 400 Bad Request\r\n" in answer
    assert b"Sidecar-Error: bad_request" in answer


async def test_a_large_head_in_small_fields_is_refused(serve: Serve) -> None:
    fields = b"".join(b"X%d: %b\r\n" % (number, b"a" * 990) for number in range(40))
    async with serve([web.get("/", hello)]) as client:
        answer = await raw(client, b"GET / HTTP/1.1\r\n" + TWICE + fields + b"\r\n")

    assert b" 431 " in answer


async def test_what_no_handler_sees_is_counted_too(serve: Serve, metrics: Metrics) -> None:
    async with serve([web.get("/", hello)]) as client:
        await raw(client, b"GET / HTTP/1.1\r\nno field\r\n\r\n")

    assert 'sidecar_errors_total{code="bad_request"} 1.0' in metrics.render().decode()


async def test_a_probe_without_a_host_is_served(serve: Serve, metrics: Metrics) -> None:
    async with serve(ops_routes(Health(), metrics)) as client:
        answer = await raw(client, b"GET /livez HTTP/1.0\r\n\r\n")

    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")


PROBES = {
    "starting": (503, 503),
    "started": (200, 503),
    "ready": (200, 200),
    "degraded": (200, 200),
    "draining": (200, 503),
}


@pytest.mark.parametrize("state", PROBES)
async def test_the_probes_of_a_cluster(serve: Serve, metrics: Metrics, state: str) -> None:
    health = Health()
    steps = [health.started, lambda: (health.reached("keys"), health.reached("store"))]
    steps += [lambda: health.lost("store"), health.draining]
    for step in steps[: list(PROBES).index(state)]:
        step()

    async with serve(ops_routes(health, metrics)) as client:
        async with (
            client.get("/livez") as live,
            client.get("/startupz") as startup,
            client.get("/readyz") as ready,
        ):
            plain = await ready.json()
        async with client.get("/readyz?verbose") as ready:
            verbose = await ready.json()

    expected = "starting" if state == "started" else state
    assert live.status == 200
    assert (startup.status, ready.status) == PROBES[state]
    assert plain == {"status": "ready" if expected == "degraded" else expected}
    assert verbose == {"status": expected, "needs": health.needs}


async def test_the_ops_listener_serves_head_and_nothing_else(serve: Serve, metrics: Metrics) -> None:
    async with serve(ops_routes(Health(), metrics)) as client:
        async with client.head("/livez") as head, client.get("/") as root, client.post("/livez") as post:
            body = await head.read()
        async with client.get("/metrics", headers={"Host": "10.1.2.3:4101"}) as numbers:
            text = await numbers.text()

    assert (head.status, body, root.status, post.status) == (200, b"", 404, 405)
    assert numbers.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "sidecar_build_info{version=" in text
