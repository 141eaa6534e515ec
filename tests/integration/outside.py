"""What a sidecar process stands between: an identity provider, a provider, a store and its callers.

The boxes and the callers live in the test's event loop and the sidecars in processes of their own, so that a
test can hold a token call, kill a process in the middle of it, and look at what the provider saw.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import yaml

from sidecar.testing.idp import IdpInABox
from sidecar.testing.provider import ProviderInABox
from tests.processes import ADMIN_KEY, SidecarProcess, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    Opened = AbstractAsyncContextManager[aiohttp.ClientResponse]

PATIENCE = aiohttp.ClientTimeout(total=120)
EXPIRED = 1


@dataclass(frozen=True)
class Reply:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error of ours, empty for any other answer."""
        return self.headers.get("Sidecar-Error", "")


@dataclass(frozen=True)
class Ended:
    """A process that has come to its end by itself."""

    code: int
    output: str


@dataclass
class Outside:
    idp: IdpInABox
    provider: ProviderInABox
    session: aiohttp.ClientSession
    directory: Path
    started: list[SidecarProcess] = field(default_factory=list)

    def settings(self, store: str, **more: Any) -> dict[str, Any]:
        """Return settings with one provider, `files`, which is the box."""
        files = {
            "base_url": self.provider.url,
            "token_url": self.provider.token_url,
            "client_id": self.provider.client_id,
            "client_secret": self.provider.client_secret,
        }
        return settings_for(
            issuer=self.idp.issuer,
            audience=self.idp.audience,
            store=store,
            providers={"files": files},
            **more,
        )

    def sqlite(self, name: str = "sidecar.db") -> str:
        return f"sqlite://{self.directory / name}"

    async def start(self, settings: dict[str, Any], *, ready: bool = True) -> SidecarProcess:
        """Start a sidecar; it is stopped at the end of the test if it still runs then."""
        sidecar = SidecarProcess(settings, self.directory, name=f"sidecar-{len(self.started)}")
        self.started.append(sidecar)
        return await asyncio.to_thread(sidecar.start, ready=ready)

    async def run_to_end(self, settings: dict[str, Any] | str) -> Ended:
        """Start a sidecar that is expected to refuse, and return how it ended."""
        path = self.directory / "refused.yaml"
        path.write_text(settings if isinstance(settings, str) else yaml.safe_dump(settings))
        command = [sys.executable, "-m", "sidecar", "serve", "--config", str(path)]
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=60, check=False
        )
        return Ended(done.returncode, done.stdout + done.stderr)

    async def give_grant(self, sidecar: SidecarProcess, user: str, *, expires_at: float | None = None) -> str:
        """Let `user` have a grant at the box, expired if `expires_at` says so; return its id."""
        pair = self.provider.issue(user)
        row = {
            "subject": user,
            "provider": "files",
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
            "expires_at": pair.expires_at if expires_at is None else expires_at,
        }
        reply = await self.admin(sidecar, "POST", "/admin/v1/grants", json=row)
        assert reply.status in (200, 201), reply.body
        return str(reply.json()["id"])

    async def admin(self, sidecar: SidecarProcess, method: str, path: str, **more: Any) -> Reply:
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        return await self.ask(method, sidecar.control_url + path, headers=headers, **more)

    async def call(self, sidecar: SidecarProcess, path: str = "/echo", *, user: str, **more: Any) -> Reply:
        """Make a request to the box through `sidecar` as `user`."""
        async with self.open(sidecar, path, user=user, **more) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    def open(self, sidecar: SidecarProcess, path: str, *, user: str, **more: Any) -> Opened:
        """Make the same request and give the answer unread, as a context."""
        headers = {"Authorization": f"Bearer {self.idp.token(user)}", **more.pop("headers", {})}
        method = more.pop("method", "GET")
        return self.session.request(method, f"{sidecar.proxy_url}/files{path}", headers=headers, **more)

    async def ops(self, sidecar: SidecarProcess, path: str) -> Reply:
        return await self.ask("GET", sidecar.ops_url + path)

    async def ask(self, method: str, url: str, **more: Any) -> Reply:
        async with self.session.request(method, url, **more) as answer:
            return Reply(answer.status, answer.headers, await answer.read())


@asynccontextmanager
async def outside_of(directory: Path) -> AsyncIterator[Outside]:
    """Open everything, and end every process that was started within."""
    async with AsyncExitStack() as stack:
        idp = await stack.enter_async_context(IdpInABox())
        provider = await stack.enter_async_context(ProviderInABox())
        # A connection for each call: which process answers must never depend on an earlier one.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        session = aiohttp.ClientSession(connector=connector, timeout=PATIENCE, auto_decompress=False)
        await stack.enter_async_context(session)
        found = Outside(idp, provider, session, directory)
        try:
            yield found
        finally:
            provider.token_endpoint.reset()
            provider.api.slow.release()
            await asyncio.gather(
                *(asyncio.to_thread(sidecar.stop) for sidecar in found.started if sidecar.process is not None)
            )
