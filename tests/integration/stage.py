"""A sidecar process that remembers what it was trusted with and every refusal it gave.

Scope: the surroundings. What is done on the stage is `test_canaries`, how it is searched is
`search`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sidecar.testing.provider import ProviderInABox
from tests.integration.world import Reply
from tests.processes import ADMIN_KEY, ENCRYPTION_KEY, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.outside import Outside
    from tests.processes import SidecarProcess

LISTENER_KEY = f"listener-{secrets.token_hex(12)}"
SERVICE_KEY = f"service-{secrets.token_hex(12)}"
REDIS_PASSWORD = f"password-{secrets.token_hex(12)}"
SUBJECT = f"auth0|subject-{secrets.token_hex(8)}"
MAILBOX = f"mailbox-{secrets.token_hex(8)}@example.test"


@dataclass
class Stage:
    """One running sidecar with everything it is trusted with, and every answer of its own."""

    outside: Outside
    sidecar: SidecarProcess
    secured: ProviderInABox
    canaries: dict[str, bytes] = field(default_factory=dict)
    refusals: list[tuple[str, bytes]] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)

    def trust(self, what: str, text: str | bytes) -> str:
        """Remember a secret under what it is, with a number where it is not the first of its kind."""
        known = text.encode() if isinstance(text, str) else text
        self.canaries[f"{what} {len(self.canaries)}"] = known
        return known.decode("latin-1")

    def jwt(self, subject: str = SUBJECT, **more: Any) -> str:
        token = self.outside.idp.token(
            subject, claims={"email": MAILBOX, "name": f"Name of {MAILBOX}", **more.pop("claims", {})}, **more
        )
        for part in token.split(".")[1:]:
            self.trust("jwt", part)
        return token

    def refused(self) -> dict[str, bytes]:
        """Return every answer of the sidecar's own, head and body."""
        return {f"error {code} #{number}": text for number, (code, text) in enumerate(self.refusals)}

    async def call(
        self,
        path: str,
        jwt: str = "",
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        fields = {
            "Sidecar-Key": LISTENER_KEY,
            **({"Authorization": f"Bearer {jwt}"} if jwt else {}),
            **(headers or {}),
        }
        return await self._ask(self.sidecar.proxy_url + path, method=method, headers=fields, data=body)

    async def control(
        self, path: str, credential: str, *, method: str = "GET", body: bytes | None = None
    ) -> Reply:
        fields = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}
        return await self._ask(self.sidecar.control_url + path, method=method, headers=fields, data=body)

    async def imported(self, row: dict[str, Any]) -> Reply:
        return await self.control("/admin/v1/grants", ADMIN_KEY, method="POST", body=json.dumps(row).encode())

    async def grant(self, subject: str, *, account: str = "", **more: Any) -> None:
        pair = self.outside.provider.issue(subject)
        row = {
            "subject": subject,
            "provider": "files",
            "account": account,
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
            **more,
        }
        reply = await self.imported(row)
        assert reply.status in (200, 201), reply.body

    async def raw(self, data: str, *, url: str = "", hang_up: bool = False) -> None:
        host, _, port = (url or self.sidecar.proxy_url).removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data.encode("latin-1"))
        await writer.drain()
        if not hang_up:
            async with asyncio.timeout(20):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(Reply.parse(head).headers["Content-Length"])
                self._keep(Reply.parse(head + await reader.readexactly(length)))
        writer.transport.abort()

    async def _ask(self, url: str, **more: Any) -> Reply:
        async with self.outside.session.request(
            more.pop("method"), url, allow_redirects=False, **more
        ) as answer:
            return self._keep(Reply(answer.status, answer.headers, await answer.read()))

    def _keep(self, reply: Reply) -> Reply:
        if reply.code:
            self.codes.add(reply.code)
            head = "\n".join(f"{name}: {value}" for name, value in reply.headers.items())
            self.refusals.append((reply.code, head.encode() + b"\n\n" + reply.body))
        return reply


@asynccontextmanager
async def staged(outside: Outside, store: str) -> AsyncIterator[Stage]:
    """Start a sidecar with a provider for every way to fail."""
    settings = outside.settings(store)
    files = settings["providers"]["files"]
    authorize_url = outside.provider.authorize_url
    async with ProviderInABox(tls=True) as secured:
        settings["providers"] |= {
            "files": {**files, "authorize_url": authorize_url},
            "scoped": {**files, "scopes": ["write"], "authorize_url": authorize_url},
            "query": {**files, "placement": {"query": "key"}},
            "secured": {**files, "base_url": secured.url},
            "away": {**files, "base_url": f"http://127.0.0.1:{free_port()}"},
            "closed": files,
        }
        settings["listen"]["keys"] = [LISTENER_KEY]
        settings["services"] = {"nightly": {"keys": [SERVICE_KEY], "providers": ["files"]}}
        settings["policies"] = {"default": "allow", "rules": [{"providers": ["closed"], "effect": "deny"}]}
        settings["limits"] = {
            "head_timeout": "200ms",
            "body_timeout": "200ms",
            "response_head_timeout": "500ms",
        }
        stage = Stage(outside, await outside.start(settings), secured)
        key = ENCRYPTION_KEY.partition(":")[2]
        for what, text in (
            ("client secret", outside.provider.client_secret),
            ("admin key", ADMIN_KEY),
            ("listener key", LISTENER_KEY),
            ("service key", SERVICE_KEY),
            ("redis password", REDIS_PASSWORD),
            ("subject", SUBJECT),
            ("e-mail", MAILBOX),
            ("encryption key", key),
            ("encryption key", base64.b64decode(key)),
        ):
            stage.trust(what, text)
        yield stage
