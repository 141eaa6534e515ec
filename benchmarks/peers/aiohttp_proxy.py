"""What a good engineer writes in an afternoon: an aiohttp handler over a `ClientSession`, tuned.

Tuned means: uvloop where it is installed, the low-level server without routing, a raw target, no cookies, no
decompression, no access log, an unlimited pool, small answers in one write, verified JWTs remembered.

Run as `python -m benchmarks.peers.aiohttp_proxy SETTINGS`; the settings are JSON.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

import aiohttp
import jwt
from aiohttp import web
from yarl import URL

from benchmarks.fastest_loop import run
from benchmarks.issuer import AUDIENCE, ISSUER, provider_token
from benchmarks.peers.model import Launch, Route, Scene, System, Target
from benchmarks.processes import free_port
from benchmarks.settings import ROOT

HOP_BY_HOP: Final = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
NOT_FORWARDED: Final = HOP_BY_HOP | {"host", "authorization"}
SMALL: Final = 64 * 1024
MOST_REMEMBERED: Final = 100_000


class Proxy:
    """One listener's handler."""

    def __init__(self, session: aiohttp.ClientSession, base: str, key: str, tokens: dict[str, str]) -> None:
        self._session = session
        self._base = base
        self._key = key
        self._tokens = tokens
        self._verified: dict[str, tuple[str, float]] = {}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        user = self._verify(request.headers.get("Authorization", ""))
        if user is None:
            return web.Response(status=401)
        token = self._tokens.get(user)
        if token is None:
            return web.Response(status=403)
        headers = [
            (name, value) for name, value in request.headers.items() if name.lower() not in NOT_FORWARDED
        ]
        headers.append(("Authorization", f"Bearer {token}"))
        async with self._session.request(
            request.method,
            URL(self._base + request.raw_path, encoded=True),
            headers=headers,
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
        ) as answer:
            return await _relay(request, answer)

    def _verify(self, field: str) -> str | None:
        """Return the JWT's subject, from memory or after verifying it."""
        token = field.removeprefix("Bearer ")
        user, expires_at = self._verified.get(token, ("", 0.0))
        if expires_at > time.time():
            return user
        try:
            claims = jwt.decode(token, self._key, algorithms=["RS256"], audience=AUDIENCE, issuer=ISSUER)
        except jwt.InvalidTokenError:
            return None
        if len(self._verified) >= MOST_REMEMBERED:
            self._verified.clear()
        self._verified[token] = (claims["sub"], claims["exp"])
        return str(claims["sub"])


async def _relay(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
    if (answer.content_length or SMALL) < SMALL:
        small = web.Response(status=answer.status, reason=answer.reason, body=await answer.read())
        small.headers.update(headers)
        return small
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    response.headers.update(headers)
    await response.prepare(request)
    async for block in answer.content.iter_any():
        await response.write(block)
    await response.write_eof()
    return response


async def _main(settings: dict[str, dict[str, str]]) -> None:
    files = settings["files"]
    trust = ssl.create_default_context(cafile=files["certificate"])
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60, ssl=trust),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
    )
    loop = asyncio.get_running_loop()
    async with session:
        for port, base in settings["listeners"].items():
            proxy = Proxy(session, base, files["pem"], settings["tokens"])
            server = web.Server(proxy.handle, access_log=None)
            await loop.create_server(server, "127.0.0.1", int(port), backlog=4096)
        ended = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        await ended.wait()


def _prepare(scene: Scene, directory: Path, program: str) -> Launch:
    origin = scene.origin
    bases = {
        Route.PLAIN: f"http://127.0.0.1:{origin.plain}",
        Route.TLS: f"https://localhost:{origin.tls}",
        Route.BULK: f"http://127.0.0.1:{origin.bulk}",
    }
    targets = {route: Target(port=free_port()) for route in Route}
    settings = {
        "files": {"pem": scene.issuer.public_pem.decode(), "certificate": str(origin.certificate)},
        "listeners": {str(targets[route].port): base for route, base in bases.items()},
        "tokens": {user: provider_token(user) for user in scene.users},
    }
    configuration = directory / "aiohttp.json"
    configuration.write_text(json.dumps(settings))
    command = (program, "-m", "benchmarks.peers.aiohttp_proxy", str(configuration))
    return Launch(command=command, targets=targets, cwd=ROOT)


AIOHTTP: Final = System(
    name="aiohttp",
    does="verifies (PyJWT, cache), map from subject to token; no records, no metrics",
    verifies=True,
    injects_per_user=True,
    install="make bench",
    locate=lambda: sys.executable,
    version=lambda _program: f"aiohttp {version('aiohttp')}",
    prepare=_prepare,
)

if __name__ == "__main__":
    run(_main(json.loads(Path(sys.argv[1]).read_text())))
