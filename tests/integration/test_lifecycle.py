"""The process starts whatever is down, and ends without losing anything."""

from __future__ import annotations

import asyncio
import base64
import signal
import socket

import aiohttp
import pytest
import yaml

from sidecar.app import lifecycle
from tests.integration.outside import EXPIRED
from tests.polling import eventually
from tests.processes import ENCRYPTION_KEY

OTHER_KEY = base64.b64encode(bytes(range(100, 132))).decode()


def listens(settings, name, address):
    return {**settings, "listen": {**settings["listen"], name: address}}


async def needs(outside, sidecar):
    reply = await outside.ops(sidecar, "/readyz?verbose")
    return reply.status, reply.json()["status"], reply.json()["needs"]


def status_of(outside, sidecar, path):
    async def read():
        return (await outside.ops(sidecar, path)).status

    return read


@pytest.mark.redis
async def test_it_starts_with_everything_down_and_becomes_ready_without_a_restart(outside, own_redis):
    own_redis.stop()
    await outside.idp.pause()
    sidecar = await outside.start(outside.settings(own_redis.url), ready=False)

    probes = {path: (await outside.ops(sidecar, path)).status for path in ("/livez", "/startupz", "/readyz")}
    refused = await outside.call(sidecar, user="ada")
    own_redis.start()
    await outside.idp.start()
    await asyncio.to_thread(sidecar.wait_until, "/readyz")
    await outside.give_grant(sidecar, "ada")
    served = await outside.call(sidecar, user="ada")

    assert probes == {"/livez": 200, "/startupz": 200, "/readyz": 503}
    assert (refused.status, refused.code) == (503, "idp_unavailable")
    assert (served.status, served.json()["user"]) == (200, "ada")


@pytest.mark.redis
async def test_each_of_the_two_alone_is_not_enough(outside, own_redis):
    own_redis.stop()
    sidecar = await outside.start(outside.settings(own_redis.url), ready=False)

    async def has_keys():
        return await needs(outside, sidecar) == (503, "starting", {"keys": "reached", "store": "waiting"})

    assert await eventually(has_keys)
    assert (await outside.call(sidecar, user="ada")).code == "store_unavailable"


@pytest.mark.redis
async def test_a_later_outage_leaves_it_ready_and_is_told_to_those_who_ask(outside, own_redis):
    sidecar = await outside.start(outside.settings(own_redis.url))
    own_redis.stop()

    async def is_told():
        return await needs(outside, sidecar) == (200, "degraded", {"keys": "reached", "store": "lost"})

    async def is_over():
        return await needs(outside, sidecar) == (200, "ready", {"keys": "reached", "store": "reached"})

    assert await eventually(is_told)
    own_redis.start()
    assert await eventually(is_over)


async def test_sigterm_lets_requests_in_flight_end_and_refuses_new_ones(outside):
    sidecar = await outside.start(outside.settings("memory:"))
    await outside.give_grant(sidecar, "ada")
    slow = asyncio.create_task(outside.call(sidecar, "/slow", user="ada"))
    await outside.provider.until(lambda: any(request.path == "/slow" for request in outside.provider.seen))

    sidecar.signal(signal.SIGTERM)
    await asyncio.to_thread(sidecar.wait_until, "/readyz", status=503)
    verbose = await needs(outside, sidecar)
    alive = await outside.ops(sidecar, "/livez")
    late = await outside.call(sidecar, user="ada")
    outside.provider.api.slow.release()
    reply = await slow
    code = await asyncio.to_thread(sidecar.wait)

    assert verbose[:2] == (503, "draining")
    assert alive.status == 200
    assert (late.status, late.code) == (503, "draining")
    assert "Retry-After" in late.headers
    assert (reply.status, reply.body) == (200, b"slowly but surely")
    assert code == 0


async def test_a_body_under_way_at_sigterm_arrives_whole(outside):
    sidecar = await outside.start(outside.settings("memory:"))
    await outside.give_grant(sidecar, "ada")

    async with outside.open(sidecar, "/slow?after=head", user="ada") as answer:
        sidecar.signal(signal.SIGTERM)
        await asyncio.to_thread(sidecar.wait_until, "/readyz", status=503)
        outside.provider.api.slow.release()
        body = await answer.read()

    assert body == b"slowly but surely"
    assert await asyncio.to_thread(sidecar.wait) == 0


async def test_the_draining_ends_when_its_time_is_over(outside):
    settings = outside.settings("memory:", shutdown={"drain_timeout": "0s"})
    sidecar = await outside.start(settings)
    await outside.give_grant(sidecar, "ada")
    slow = asyncio.create_task(outside.call(sidecar, "/slow", user="ada"))
    await outside.provider.until(lambda: any(request.path == "/slow" for request in outside.provider.seen))

    sidecar.signal(signal.SIGTERM)
    code = await asyncio.to_thread(sidecar.wait, 10)

    assert code == 0
    with pytest.raises(aiohttp.ClientError):
        await slow


async def test_a_second_signal_ends_the_draining_at_once(outside):
    sidecar = await outside.start(outside.settings("memory:"))
    await outside.give_grant(sidecar, "ada")
    slow = asyncio.create_task(outside.call(sidecar, "/slow", user="ada"))
    await outside.provider.until(lambda: any(request.path == "/slow" for request in outside.provider.seen))

    sidecar.signal(signal.SIGTERM)
    await asyncio.to_thread(sidecar.wait_until, "/readyz", status=503)
    sidecar.signal(signal.SIGINT)
    code = await asyncio.to_thread(sidecar.wait, 10)

    assert code == 0
    with pytest.raises(aiohttp.ClientError):
        await slow


@pytest.mark.parametrize("caller", ["waits", "hung-up"])
async def test_a_refresh_in_flight_at_sigterm_is_kept(outside, caller):
    settings = outside.settings(outside.sqlite())
    sidecar = await outside.start(settings)
    await outside.give_grant(sidecar, "ada", expires_at=EXPIRED)
    outside.provider.token_endpoint.after.hold()
    call = asyncio.create_task(outside.call(sidecar, user="ada"))
    await outside.provider.until(lambda: outside.provider.refreshes_by_grant["ada", ""] == 1)
    if caller == "hung-up":
        call.cancel()
        await asyncio.wait([call])

    sidecar.signal(signal.SIGTERM)
    await asyncio.to_thread(sidecar.wait_until, "/readyz", status=503)
    outside.provider.token_endpoint.after.release()
    code = await asyncio.to_thread(sidecar.wait)
    await asyncio.wait([call])
    successor = await outside.start(settings)
    reply = await outside.call(successor, user="ada")

    assert code == 0
    assert caller == "hung-up" or call.result().status == 200
    assert (reply.status, reply.json()["user"]) == (200, "ada")
    assert (outside.provider.token_calls, outside.provider.reuse_detected) == (1, 0)


@pytest.mark.redis
async def test_a_set_the_store_lacks_at_sigterm_is_written_before_the_end(outside, own_redis):
    sidecar = await outside.start(outside.settings(own_redis.url))
    await outside.give_grant(sidecar, "ada", expires_at=EXPIRED)
    outside.provider.token_endpoint.after.hold()
    call = asyncio.create_task(outside.call(sidecar, user="ada"))
    await outside.provider.until(lambda: outside.provider.refreshes_by_grant["ada", ""] == 1)
    own_redis.stop()
    outside.provider.token_endpoint.after.release()
    served = await call

    sidecar.signal(signal.SIGTERM)
    await asyncio.to_thread(sidecar.wait_until, "/readyz", status=503)
    own_redis.start()
    code = await asyncio.to_thread(sidecar.wait)
    successor = await outside.start(outside.settings(own_redis.url))
    reply = await outside.call(successor, user="ada")

    assert (served.status, code) == (200, 0)
    assert (reply.status, reply.json()["user"]) == (200, "ada")
    assert (outside.provider.token_calls, outside.provider.reuse_detected) == (1, 0)


async def test_a_refresh_that_never_ends_is_reported_and_keeps_nobody_waiting(world, monkeypatch, caplog):
    monkeypatch.setattr(lifecycle, "PERSIST_AT_LEAST", 0.01)
    sidecar = await world.sidecar(shutdown={"drain_timeout": "0s"})
    await sidecar.grant("ada", expires_at=EXPIRED)
    world.provider.token_endpoint.after.hold()
    call = asyncio.create_task(sidecar.call("/files/echo", world.idp.token("ada")))
    await world.provider.until(lambda: world.provider.refreshes_by_grant["ada", ""] == 1)

    await sidecar.stop()
    await asyncio.gather(call, return_exceptions=True)

    assert "could not be stored before the end" in caplog.text


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
@pytest.mark.parametrize("key_id", ["test-1", "test-2"], ids=["same-id", "other-id"])
async def test_keys_that_do_not_fit_the_store_are_refused_by_name(outside, request, kind, key_id):
    url = outside.sqlite() if kind == "sqlite" else request.getfixturevalue("own_redis").url
    first = await outside.start(outside.settings(url))
    await asyncio.to_thread(first.stop)

    ended = await outside.run_to_end(outside.settings(url, encryption={"keys": [f"{key_id}:{OTHER_KEY}"]}))

    assert ended.code == 78
    assert "encryption.keys" in ended.output
    assert "test-1" in ended.output
    assert OTHER_KEY not in ended.output
    assert ENCRYPTION_KEY.partition(":")[2] not in ended.output
    assert "Traceback" not in ended.output


@pytest.mark.redis
async def test_keys_that_turn_out_not_to_fit_end_a_process_that_already_runs(outside, own_redis):
    first = await outside.start(outside.settings(own_redis.url))
    await asyncio.to_thread(first.stop)
    own_redis.stop()
    wrong = outside.settings(own_redis.url, encryption={"keys": [f"test-2:{OTHER_KEY}"]})
    sidecar = await outside.start(wrong, ready=False)

    own_redis.start()
    code = await asyncio.to_thread(sidecar.wait)

    assert code == 78
    assert "test-1" in sidecar.log()


async def test_a_second_process_on_a_sqlite_file_is_refused_and_the_first_goes_on(outside):
    first = await outside.start(outside.settings(outside.sqlite()))
    await outside.give_grant(first, "ada")

    ended = await outside.run_to_end(outside.settings(outside.sqlite()))

    assert ended.code == 78
    assert "another process" in ended.output
    assert "redis://" in ended.output
    assert (await outside.call(first, user="ada")).status == 200


@pytest.mark.parametrize("name", ["proxy", "ops", "control"])
async def test_a_port_in_use_is_refused_by_the_name_of_its_setting(outside, name):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ended = await outside.run_to_end(listens(outside.settings("memory:"), name, f"127.0.0.1:{port}"))

    assert ended.code == 78
    assert f"listen.{name}" in ended.output
    assert str(port) in ended.output
    assert "Traceback" not in ended.output


async def test_a_bad_value_is_refused_with_path_and_line(outside):
    text = yaml.safe_dump(outside.settings("memory:"), sort_keys=False).replace(
        "store: 'memory:'", "store: 'memory:'\noutage_grace: canary"
    )
    line = text.splitlines().index("outage_grace: canary") + 1

    ended = await outside.run_to_end(text)

    assert ended.code == 78
    assert "outage_grace" in ended.output
    assert f"line {line}" in ended.output or f":{line}" in ended.output
    assert "canary" not in ended.output


async def test_a_unix_socket_serves_and_is_gone_afterwards(outside):
    path = outside.directory / "proxy.sock"
    sidecar = await outside.start(listens(outside.settings("memory:"), "proxy", f"unix:{path}"))
    await outside.give_grant(sidecar, "ada")
    headers = {"Authorization": f"Bearer {outside.idp.token('ada')}"}

    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.get("http://anything.example/files/echo", headers=headers) as answer,
    ):
        status, user = answer.status, (await answer.json())["user"]
    code = await asyncio.to_thread(sidecar.stop)

    assert (status, user) == (200, "ada")
    assert code == 0
    assert not path.exists()


async def test_a_unix_socket_left_by_a_killed_process_is_taken_over(outside):
    path = outside.directory / "proxy.sock"
    settings = listens(outside.settings("memory:"), "proxy", f"unix:{path}")
    first = await outside.start(settings)
    first.signal(signal.SIGKILL)
    await asyncio.to_thread(first.wait)

    second = await outside.start(settings)

    assert path.is_socket()
    assert (await outside.ops(second, "/readyz")).status == 200


async def test_a_unix_socket_that_another_process_serves_is_refused_and_left_alone(outside):
    path = outside.directory / "proxy.sock"
    await outside.start(listens(outside.settings("memory:"), "proxy", f"unix:{path}"))

    ended = await outside.run_to_end(listens(outside.settings("memory:"), "proxy", f"unix:{path}"))

    assert ended.code == 78
    assert "listen.proxy" in ended.output
    assert path.is_socket()


async def test_an_idle_process_ends_at_once_and_silently(outside):
    sidecar = await outside.start(outside.settings(outside.sqlite()))

    code = await asyncio.to_thread(sidecar.stop)

    assert code == 0
    assert "Traceback" not in sidecar.log()
