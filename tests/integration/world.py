"""A whole world in one process: an identity provider, a provider, and sidecars between them, on real sockets.

Everything in it reads one clock. With a `ManualClock` an hour passes when the test says so; what waits on the
event loop's own timers is not moved by it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from sidecar.app.build import build
from sidecar.settings.model import Settings
from sidecar.testing.clock import ManualClock
from sidecar.testing.idp import IdpInABox
from sidecar.testing.provider import ProviderInABox
from tests.processes import ADMIN_KEY, ENCRYPTION_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from sidecar.app.lifecycle import App
    from sidecar.clock import Clock
    from sidecar.testing.ledger import TokenPair

PATIENCE = 20.0
"""Seconds; on loopback nobody waits this long, so a test that would hang fails."""
SERVICE_KEY = "service-key-of-the-night-0123456789"
EPHEMERAL = {"proxy": "127.0.0.1:0", "ops": "127.0.0.1:0", "control": "127.0.0.1:0"}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def code(self) -> str:
        """Our error's code, empty where the answer is a provider's."""
        return self.headers.get("Sidecar-Error", "")

    def json(self) -> Any:
        return json.loads(self.body)

    @classmethod
    def parse(cls, answer: bytes) -> Self:
        """Read the one answer in what came over a connection."""
        head, _, body = answer.partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return cls(int(start.split(" ")[1]), CIMultiDictProxy(CIMultiDict(fields)), body)


class World:
    """The boxes and the sidecars; all of it ends with the `async with` block."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.app = f"app-{secrets.token_hex(6)}"
        self.idp = IdpInABox(clock=self.clock)
        self.provider = ProviderInABox(clock=self.clock)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.idp)
        await self._stack.enter_async_context(self.provider)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def advance(self, seconds: float) -> None:
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(seconds)

    def describe(self, **more: Any) -> dict[str, Any]:
        """Return the settings of one of the box's providers; `more` are added or replaced."""
        box = self.provider
        return {
            "base_url": box.url,
            "token_url": box.token_url,
            "client_id": box.client_id,
            "client_secret": box.client_secret,
            **more,
        }

    def settings(self, store: str = "memory:", **more: Any) -> dict[str, Any]:
        """Return the settings of a sidecar with the provider `files`; `more` are sections to replace."""
        return {
            "app": self.app,
            "listen": dict(EPHEMERAL),
            "identity": {"issuer": self.idp.issuer, "audience": [self.idp.audience]},
            "store": store,
            "encryption": {"keys": [ENCRYPTION_KEY]},
            "admin": {"keys": [ADMIN_KEY]},
            "providers": {"files": self.describe()},
            **more,
        }

    async def sidecar(self, store: str = "memory:", **more: Any) -> Sidecar:
        """Start a sidecar; it is stopped with the world unless the test stops it before."""
        sidecar = Sidecar(
            self, build(Settings.model_validate(self.settings(store, **more)), clock=self.clock)
        )
        self._stack.push_async_callback(sidecar.stop)
        await sidecar.start()
        return sidecar


class Sidecar:
    """One running sidecar, and a client that changes nothing of what it sends and receives."""

    def __init__(self, world: World, app: App) -> None:
        self.world = world
        self.app = app
        self._is_running = False

    async def start(self) -> None:
        self._is_running = True
        self._client = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            timeout=aiohttp.ClientTimeout(total=PATIENCE),
        )
        await self.app.start()

    async def stop(self) -> None:
        """Stop as SIGTERM does; a second time is nothing."""
        if not self._is_running:
            return
        self._is_running = False
        await self._client.close()
        await self.app.drain()
        await self.app.close()

    async def call(
        self,
        path: str,
        credential: str = "",
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Call a provider through the proxy listener; `credential` is a JWT or a service key."""
        return await self._ask("proxy", path, credential, method=method, headers=headers, body=body)

    async def ops(self, path: str) -> Reply:
        return await self._ask("ops", path)

    async def v1(self, path: str, credential: str = "", *, method: str = "GET") -> Reply:
        """Call `/v1` + path of the control listener."""
        return await self._ask("control", f"/v1{path}", credential, method=method)

    async def verify(self, credential: str = "") -> Reply:
        return await self.v1("/verify", credential)

    async def admin(self, path: str, *, method: str = "GET", row: object = None) -> Reply:
        """Call `/admin/v1` + path with the admin key; `row` is sent as JSON."""
        body = None if row is None else json.dumps(row).encode()
        fields = {"Content-Type": "application/json"}
        return await self._ask(
            "control", f"/admin/v1{path}", ADMIN_KEY, method=method, headers=fields, body=body
        )

    async def imported(self, user: str, **row: Any) -> Reply:
        """Import a grant as it stands in `row`."""
        return await self.admin("/grants", method="POST", row={"subject": user, "provider": "files", **row})

    async def grant(
        self,
        user: str,
        *,
        account: str = "",
        expires_in: float = 3600,
        pair: TokenPair | None = None,
        **row: Any,
    ) -> str:
        """Let `user` consent at the box and import the tokens; return the grant's id."""
        pair = pair or self.world.provider.issue(user, account=account, expires_in=expires_in)
        named = {"account": account} if account else {}
        tokens = {
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
            "expires_at": pair.expires_at,
        }
        reply = await self.imported(user, **named, **{**tokens, **row})
        assert reply.status in (200, 201), reply.body
        return str(reply.json()["id"])

    async def raw(self, data: bytes, *, listener: str = "proxy") -> bytes:
        """Send exactly these bytes and return what comes until the connection is closed."""
        host, _, port = self.app.addresses[listener].rpartition(":")
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(data)
                return await reader.read()
            finally:
                writer.close()
                await writer.wait_closed()

    async def _ask(
        self,
        listener: str,
        path: str,
        credential: str = "",
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        fields = {"Authorization": f"Bearer {credential}"} if credential else {}
        url = URL(f"http://{self.app.addresses[listener]}{path}", encoded=True)
        async with self._client.request(
            method, url, headers={**fields, **(headers or {})}, data=body, allow_redirects=False
        ) as answer:
            return Reply(answer.status, answer.headers, await answer.read())
