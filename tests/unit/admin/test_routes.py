"""Grants through the admin API, on the wire."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from sidecar.admin.routes import admin_routes
from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.grants.model import GrantId, Owner
from sidecar.grants.store import GrantStore
from sidecar.secret import Secret
from sidecar.storage.memory import memory_storage
from sidecar.telemetry.metrics import Metrics
from sidecar.testing.clock import ManualClock
from sidecar.web.guard import Guard
from sidecar.web.listener import Listener
from sidecar.web.middleware import build_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ISSUER = "https://idp.example/"
KEY = "admin-key"
CANARY = "canary-4f0c1d"
PATH = "/admin/v1/grants"
ROW = {
    "subject": "ada",
    "provider": "github",
    "access_token": f"gho_{CANARY}",
    "refresh_token": f"ghr_{CANARY}",
}


class Api:
    """A running admin API over an empty store."""

    def __init__(self, store: GrantStore, clock: ManualClock, client: aiohttp.ClientSession) -> None:
        self.store = store
        self.clock = clock
        self.client = client

    async def call(
        self, method: str, path: str = PATH, *, key: str | None = KEY, **more: Any
    ) -> tuple[int, Any]:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        async with self.client.request(method, path, headers=headers, **more) as answer:
            text = await answer.text()
            assert CANARY not in text
            return answer.status, await answer.json(content_type=None) if text else None

    async def take(self, **change: Any) -> Any:
        _, grant = await self.call("POST", json=ROW | change)
        return grant


@asynccontextmanager
async def running(*, keys: tuple[str, ...] = (KEY,), is_open: bool = True) -> AsyncIterator[Api]:
    clock = ManualClock()
    store = GrantStore("notes", Keyring([EncryptionKey.generate("k1")]), memory_storage(clock).records, clock)
    if is_open:
        await store.open()
    routes = admin_routes(
        store, issuer=ISSUER, providers=["github", "google"], keys=[Secret(key) for key in keys], clock=clock
    )
    listener = Listener(
        build_app(routes, guard=Guard()), host="127.0.0.1", port=0, metrics=Metrics(), grace=0.1
    )
    await listener.start()
    try:
        async with aiohttp.ClientSession(base_url=f"http://{listener.address}") as client:
            yield Api(store, clock, client)
    finally:
        await listener.stop()


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with running() as api:
        yield api


async def test_an_import_makes_a_grant(api: Api) -> None:
    status, grant = await api.call(
        "POST", json=ROW | {"account": "work", "expires_at": 2e9, "scopes": "repo user"}
    )

    assert status == 201
    assert grant == {
        "id": grant["id"],
        "issuer": ISSUER,
        "subject": "ada",
        "provider": "github",
        "account": "work",
        "account_id": None,
        "status": "active",
        "scopes": ["repo", "user"],
        "expires_at": 2e9,
        "has_refresh_token": True,
        "created_at": api.clock.now(),
        "updated_at": api.clock.now(),
        "version": 1,
    }


async def test_what_was_imported_is_what_is_kept(api: Api) -> None:
    grant = await api.take()

    kept = await api.store.get(GrantId(grant["id"]))

    assert kept is not None
    assert kept.owner == Owner(issuer=ISSUER, subject="ada")
    assert kept.tokens.access_token == Secret(f"gho_{CANARY}")
    assert kept.tokens.refresh_token == Secret(f"ghr_{CANARY}")
    assert kept.tokens.obtained_at == api.clock.now()


async def test_importing_again_replaces_the_tokens_and_keeps_the_id(api: Api) -> None:
    first = await api.take()
    api.clock.advance(10)

    status, second = await api.call("POST", json=ROW | {"access_token": "new", "refresh_token": None})

    kept = await api.store.get(GrantId(first["id"]))
    assert (status, second["id"], second["version"]) == (200, first["id"], 2)
    assert second["has_refresh_token"] is False
    assert kept is not None
    assert kept.tokens.access_token == Secret("new")


@pytest.mark.parametrize(
    "change", [{"subject": "bob"}, {"provider": "google"}, {"account": "b"}, {"issuer": "https://b/"}]
)
async def test_another_user_provider_or_account_is_another_grant(api: Api, change: dict[str, str]) -> None:
    first = await api.take()

    status, second = await api.call("POST", json=ROW | change)

    assert status == 201
    assert second["id"] != first["id"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"json": ROW | {"provider": CANARY}}, 404, "unknown_provider"),
        ({"json": ROW | {"access_token": f"{CANARY}\n"}}, 400, "bad_request"),
        ({"json": ROW | {CANARY: 1}}, 400, "bad_request"),
        ({"json": [ROW]}, 400, "bad_request"),
        ({"data": b'{"subject": "' + CANARY.encode()}, 415, "bad_request"),
        ({"json": ROW | {"account": CANARY * 10_000}}, 413, "body_too_large"),
    ],
)
async def test_a_bad_import_is_refused_without_an_echo(api: Api, body: Any, status: int, code: str) -> None:
    got, problem = await api.call("POST", **body)

    assert (got, problem["code"]) == (status, code)
    assert (await api.call("GET"))[1]["grants"] == []


async def test_a_grant_is_shown_and_removed(api: Api) -> None:
    grant = await api.take()
    path = f"{PATH}/{grant['id']}"

    shown = await api.call("GET", path)
    removed = await api.call("DELETE", path)
    gone = await api.call("GET", path)
    again = await api.call("DELETE", path)

    assert shown == (200, grant)
    assert removed == (204, None)
    assert (gone[0], gone[1]["code"]) == (again[0], again[1]["code"]) == (404, "not_found")


@pytest.mark.parametrize("grant", ["x", "g_", "g_" + "a" * 42, "%00", "..%2f..", "g_" + "A" * 42])
async def test_what_is_no_grant_id_is_not_found(api: Api, grant: str) -> None:
    status, problem = await api.call("GET", f"{PATH}/{grant}")

    assert (status, problem["code"]) == (404, "not_found")


async def test_one_users_grants_are_listed(api: Api) -> None:
    await api.take()
    await api.take(provider="google")
    await api.take(subject="bob")
    await api.take(issuer="https://other.example/")

    _, mine = await api.call("GET", params={"subject": "ada"})
    _, github = await api.call("GET", params={"subject": "ada", "provider": "github"})
    _, other = await api.call("GET", params={"subject": "ada", "issuer": "https://other.example/"})
    _, nobody = await api.call("GET", params={"subject": "eve"})

    assert sorted(grant["provider"] for grant in mine["grants"]) == ["github", "google"]
    assert mine["after"] is None
    assert [grant["provider"] for grant in github["grants"]] == ["github"]
    assert [grant["issuer"] for grant in other["grants"]] == ["https://other.example/"]
    assert nobody == {"grants": [], "after": None}


async def test_all_grants_are_walked_page_by_page(api: Api) -> None:
    made = {(await api.take(subject=f"user-{number}"))["id"] for number in range(7)}

    seen: list[str] = []
    after = ""
    for _ in range(10):
        _, page = await api.call("GET", params={"limit": "3", "after": after})
        seen += [grant["id"] for grant in page["grants"]]
        after = page["after"]
        if after is None:
            break

    assert sorted(seen) == sorted(made)


async def test_a_walk_can_be_filtered(api: Api) -> None:
    await api.take()
    await api.take(provider="google")

    _, page = await api.call("GET", params={"provider": "google", "issuer": ISSUER})

    assert [grant["provider"] for grant in page["grants"]] == ["google"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "subjct=ada", "limit=1&limit=2", "after=%00"]
)
async def test_an_odd_query_is_refused(api: Api, query: str) -> None:
    status, problem = await api.call("GET", f"{PATH}?{query}")

    assert (status, problem["code"]) == (400, "bad_request")


CALLS = [("GET", PATH), ("POST", PATH), ("GET", f"{PATH}/x"), ("DELETE", f"{PATH}/x")]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize(
    ("key", "code"), [(None, "missing_token"), (CANARY, "invalid_token"), ("admin-ke", "invalid_token")]
)
async def test_every_call_needs_an_admin_key(
    api: Api, method: str, path: str, key: str | None, code: str
) -> None:
    status, problem = await api.call(method, path, key=key)

    assert (status, problem["code"]) == (401, code)


async def test_a_401_says_how_to_authenticate(api: Api) -> None:
    async with (
        api.client.get(PATH) as without,
        api.client.get(PATH, headers={"Authorization": "Bearer x"}) as wrong,
    ):
        pass

    assert without.headers["WWW-Authenticate"] == "Bearer"
    assert wrong.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_without_configured_keys_nobody_gets_in() -> None:
    async with running(keys=()) as api:
        status, problem = await api.call("GET")

    assert (status, problem["code"]) == (401, "invalid_token")


async def test_while_the_store_was_not_reached_the_answer_says_try_again() -> None:
    async with running(is_open=False) as api:
        status, problem = await api.call("POST", json=ROW)

    assert (status, problem["code"], problem["retryable"]) == (503, "store_unavailable", True)
