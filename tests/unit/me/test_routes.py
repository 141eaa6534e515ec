"""What users may ask about themselves, on the wire."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.errors import IdpUnavailableError, InvalidTokenError, TokenExpiredError
from sidecar.grants.model import Account, Grant, Owner, TokenSet
from sidecar.grants.store import Consent, GrantStore
from sidecar.identity.principal import Principal, Service
from sidecar.me.routes import me_routes
from sidecar.secret import Secret
from sidecar.storage.memory import memory_storage
from sidecar.telemetry.metrics import Metrics
from sidecar.testing.clock import ManualClock
from sidecar.web.guard import Guard
from sidecar.web.listener import Listener
from sidecar.web.middleware import build_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.identity.principal import Caller

ISSUER = "https://idp.example/"
CANARY = "canary-4f0c1d"
ADA = Principal(
    issuer=ISSUER,
    subject="ada",
    groups=frozenset({"staff", "admins"}),
    email="ada@example.com",
    name="Ada",
    expires_at=2e9,
)
CALLERS: dict[str, Caller | Exception] = {
    "ada-token": ADA,
    "bob-token": Principal(issuer=ISSUER, subject="bob", expires_at=2e9),
    "ada-elsewhere": Principal(issuer="https://other.example/", subject="ada", expires_at=2e9),
    "service-key": Service(name="nightly", providers=frozenset({"github"})),
    "old-token": TokenExpiredError(),
    "early-token": IdpUnavailableError(retry_after=1.0),
}


async def authenticate(credential: str) -> Caller:
    """Stand in for the authenticator: the callers are known."""
    caller = CALLERS.get(credential) or InvalidTokenError()
    if isinstance(caller, Exception):
        raise caller
    return caller


class Api:
    def __init__(self, store: GrantStore, client: aiohttp.ClientSession) -> None:
        self.store = store
        self.client = client

    async def call(self, path: str, token: str = "ada-token", *, method: str = "GET") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        async with self.client.request(method, path, headers=headers) as answer:
            text = await answer.text()
            assert CANARY not in text
            return answer.status, await answer.json(content_type=None) if text else None

    async def grant(self, subject: str = "ada", *, account: str = "work") -> Grant:
        consent = Consent(
            owner=Owner(issuer=ISSUER, subject=subject),
            provider="github",
            account=Account(label=account),
            tokens=TokenSet(access_token=Secret(CANARY), refresh_token=Secret(CANARY), obtained_at=0.0),
        )
        return (await self.store.consented(consent)).grant


@asynccontextmanager
async def running() -> AsyncIterator[Api]:
    clock = ManualClock()
    store = GrantStore("notes", Keyring([EncryptionKey.generate("k1")]), memory_storage(clock).records, clock)
    await store.open()
    app = build_app(me_routes(authenticate, store), guard=Guard())
    listener = Listener(app, host="127.0.0.1", port=0, metrics=Metrics(), grace=0.1)
    await listener.start()
    try:
        async with aiohttp.ClientSession(base_url=f"http://{listener.address}") as client:
            yield Api(store, client)
    finally:
        await listener.stop()


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with running() as api:
        yield api


async def test_verify_says_who_it_is(api: Api) -> None:
    assert await api.call("/v1/verify") == (200, {"sub": "ada"})


async def test_the_profile_is_what_the_token_said(api: Api) -> None:
    status, profile = await api.call("/v1/me")

    assert status == 200
    assert profile == {
        "sub": "ada",
        "iss": ISSUER,
        "email": "ada@example.com",
        "name": "Ada",
        "organisation": None,
        "groups": ["admins", "staff"],
    }


PATHS = [("GET", "/v1/verify"), ("GET", "/v1/me"), ("GET", "/v1/me/grants"), ("DELETE", "/v1/me/grants/x")]


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize(
    ("token", "refusal"),
    [
        ("unknown", (401, "invalid_token")),
        ("service-key", (401, "invalid_token")),
        ("old-token", (401, "token_expired")),
        ("early-token", (503, "idp_unavailable")),
    ],
)
async def test_only_a_verified_user_is_answered(
    api: Api, method: str, path: str, token: str, refusal: tuple[int, str]
) -> None:
    status, problem = await api.call(path, token, method=method)

    assert (status, problem["code"]) == refusal


async def test_without_a_credential_it_is_missing(api: Api) -> None:
    async with api.client.get("/v1/verify") as answer:
        problem = await answer.json(content_type=None)

    assert (answer.status, problem["code"]) == (401, "missing_token")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_our_own_field_goes_before_the_standard_one(api: Api) -> None:
    headers = {"Sidecar-Authorization": "bob-token", "Authorization": "Bearer ada-token"}
    async with api.client.get("/v1/verify", headers=headers) as answer:
        assert await answer.json() == {"sub": "bob"}


async def test_users_see_their_own_grants_and_no_secret(api: Api) -> None:
    grant = await api.grant()
    await api.grant("bob")

    status, answer = await api.call("/v1/me/grants")
    _, elsewhere = await api.call("/v1/me/grants", "ada-elsewhere")

    assert status == 200
    assert [(g["id"], g["account"], g["has_refresh_token"]) for g in answer["grants"]] == [
        (grant.id, "work", True)
    ]
    assert not {"subject", "issuer"} & set(answer["grants"][0])
    assert elsewhere == {"grants": []}


async def test_users_take_their_own_grant_back(api: Api) -> None:
    grant = await api.grant()

    assert await api.call(f"/v1/me/grants/{grant.id}", method="DELETE") == (204, None)
    assert await api.store.get(grant.id) is None


@pytest.mark.parametrize("token", ["bob-token", "ada-elsewhere"])
async def test_somebody_elses_grant_looks_like_none(api: Api, token: str) -> None:
    grant = await api.grant()

    foreign_status, foreign = await api.call(f"/v1/me/grants/{grant.id}", token, method="DELETE")
    unknown_status, unknown = await api.call(f"/v1/me/grants/{grant.id[:-1]}a", token, method="DELETE")

    assert foreign_status == unknown_status == 404
    assert foreign | {"instance": ""} == unknown | {"instance": ""}
    assert await api.store.get(grant.id) == grant
