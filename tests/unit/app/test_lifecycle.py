from __future__ import annotations

import socket
from contextlib import asynccontextmanager

import aiohttp
import pytest

from sidecar.app.build import build
from sidecar.errors import ConfigurationError
from sidecar.settings.model import Settings
from sidecar.testing.idp import IdpInABox
from tests.polling import eventually
from tests.processes import ENCRYPTION_KEY

ANY_PORT = "127.0.0.1:0"


def settings_of(idp, store="memory:", **listen):
    return Settings.model_validate(
        {
            "app": "notes",
            "listen": {"proxy": ANY_PORT, "ops": ANY_PORT, "control": ANY_PORT, **listen},
            "identity": {"issuer": idp.issuer, "audience": [idp.audience]},
            "store": store,
            "encryption": {"keys": [ENCRYPTION_KEY]},
        }
    )


@pytest.fixture
async def idp():
    async with IdpInABox() as box:
        yield box


@asynccontextmanager
async def closing(app):
    try:
        yield app
    finally:
        await app.close()


async def status(address, path):
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}{path}") as answer:
        return answer.status


def is_bound(address):
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


async def test_three_listeners_are_bound_and_readiness_follows(idp):
    async with closing(build(settings_of(idp))) as app:
        await app.start()

        async def is_ready():
            return await status(app.addresses["ops"], "/readyz") == 200

        assert all(is_bound(address) for address in app.addresses.values())
        assert await eventually(is_ready)


async def test_draining_is_not_ready_and_still_alive(idp):
    async with closing(build(settings_of(idp))) as app:
        await app.start()

        await app.drain()

        assert await status(app.addresses["ops"], "/readyz") == 503
        assert await status(app.addresses["ops"], "/livez") == 200
        assert await status(app.addresses["proxy"], "/files/x") == 503


async def test_after_the_end_nothing_is_bound(idp):
    app = build(settings_of(idp))
    await app.start()
    addresses = list(app.addresses.values())

    await app.close()

    assert not any(is_bound(address) for address in addresses)


async def test_an_app_that_never_started_can_be_closed(idp):
    await build(settings_of(idp)).close()


@pytest.mark.parametrize("name", ["proxy", "ops", "control"])
async def test_an_address_in_use_is_a_mistake_in_the_settings_and_leaves_nothing_behind(idp, name):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        app = build(settings_of(idp, **{name: address}))

        with pytest.raises(ConfigurationError, match=rf"listen\.{name}"):
            await app.start()
        others = [bound for key, bound in app.addresses.items() if key != name and not bound.endswith(":0")]
        await app.close()

        assert not any(is_bound(bound) for bound in others)


async def test_a_file_that_cannot_be_a_store_is_a_mistake_in_the_settings(idp, tmp_path):
    (tmp_path / "notes.txt").write_text("not a database, but more than long enough to be looked at" * 10)
    app = build(settings_of(idp, f"sqlite://{tmp_path}/notes.txt"))

    with pytest.raises(ConfigurationError, match="store:"):
        await app.start()
    await app.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_dialler_knows_every_listener_as_its_own(idp, host):
    listeners = dict.fromkeys(("proxy", "ops", "control"), f"{host}:0")
    async with closing(build(settings_of(idp, **listeners))) as app:
        await app.start()
        ports = [int(address.rpartition(":")[2]) for address in app.addresses.values()]

        known = [app._parts.own.has("127.0.0.1", port, is_local=True) for port in ports]

        assert known == [True, True, True]
