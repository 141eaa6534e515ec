"""A proxy between two raw sockets: a provider that says exactly what a test wrote, and a client likewise."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from sidecar.clock import SystemClock
from sidecar.errors import InvalidTokenError
from sidecar.grants.access import AccessToken
from sidecar.grants.model import GrantId
from sidecar.identity.principal import Principal, Service
from sidecar.providers.model import Origin, Placement, Provider, ProviderHost
from sidecar.proxy.address import AddressBook
from sidecar.proxy.dialling import Dialler, DialTimeouts
from sidecar.proxy.gate import Gate, OwnListeners
from sidecar.proxy.handler import Handler
from sidecar.proxy.inbound import ProxyListener
from sidecar.proxy.incoming import BodyLimits
from sidecar.proxy.records import Recorder
from sidecar.proxy.upstream import AnswerTimeouts, Upstream
from sidecar.secret import Secret
from sidecar.telemetry.metrics import Metrics
from sidecar.web.strict_handler import HeadLimits

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
TOKEN = "provider-token"
SERVICE_KEY = "service-key-of-the-night"
PATIENCE = 10.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class KnownCallers:
    """Knows one user by one JWT and one service by one key."""

    def recall(self, credential):
        return Service(name="night", providers=frozenset({"api"})) if credential == SERVICE_KEY else None

    async def authenticate(self, credential):
        if credential != JWT:
            raise InvalidTokenError
        return Principal(issuer="https://idp.test", subject="ann", expires_at=2e9)


@dataclass
class GivingBroker:
    """Gives the same token to everybody and remembers what was asked."""

    error: Exception | None = None
    asked: list = field(default_factory=list)
    is_warm: bool = False

    async def token_for(self, caller, ask, call):
        token = self.recall(caller, ask, call)
        return await self.find(caller, ask) if token is None else token

    def recall(self, caller, ask, call):
        self.asked.append((caller, ask, call))
        return self.token if self.is_warm else None

    async def find(self, _caller, _ask):
        if self.error is not None:
            raise self.error
        return self.token

    @property
    def token(self):
        return AccessToken(value=Secret(TOKEN), grant=GrantId("g1"), version=1, expires_at=None)


class RawProvider:
    """Runs `script(reader, writer)` on every connection, and keeps the head and body it was sent."""

    def __init__(self):
        self.script = None
        self.connections = 0
        self.requests = []
        self.gone = asyncio.Event()
        self._tasks = set()
        self._writers = set()

    async def start(self, ssl=None):
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=ssl)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader, writer):
        self.connections += 1
        self._tasks.add(asyncio.current_task())
        self._writers.add(writer)
        try:
            await self.script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.gone.set()
        finally:
            writer.transport.abort()

    def hang_up(self):
        """End the connections there are, so that whatever comes next comes on a new one."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def stop(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def read_request(self, reader):
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ]
        body = await reader.readexactly(lengths[0]) if lengths else b""
        self.requests.append((head, body))
        return head, body

    def answers(self, answer):
        """Answer every request with these bytes, then close."""

        async def script(reader, writer):
            await self.read_request(reader)
            writer.write(answer)
            await writer.drain()
            writer.write_eof()
            await reader.read()

        self.script = script
        return self

    @property
    def head(self):
        return self.requests[-1][0]

    @property
    def lines(self):
        return self.head[:-4].split(b"\r\n")


@dataclass(kw_only=True)
class Choices:
    """How a test wants its proxy."""

    origin: Origin | None = None
    placement: Placement = field(default_factory=Placement)
    base_path: str = ""
    ca_file: str = ""
    gate: Gate = field(default_factory=Gate)
    dial: DialTimeouts = field(default_factory=DialTimeouts)
    answer: AnswerTimeouts = field(default_factory=AnswerTimeouts)
    head: HeadLimits = field(default_factory=HeadLimits)
    body: BodyLimits = field(default_factory=BodyLimits)
    most: int = 100
    path: str = ""
    port: int = 0


class RawClient:
    """One connection to the proxy."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def head(self):
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def exactly(self, size):
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(size)

    async def rest(self):
        """Return what comes until the proxy closes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    def hang_up(self):
        self.writer.transport.abort()


@dataclass
class Proxy:
    """A running proxy and its surroundings."""

    provider: RawProvider
    broker: GivingBroker
    listener: ProxyListener
    handler: Handler
    metrics: Metrics
    stack: AsyncExitStack

    async def connect(self, limit=2**16):
        if self.listener.address.startswith("unix:"):
            pair = await asyncio.open_unix_connection(self.listener.address[5:], limit=limit)
        else:
            pair = await asyncio.open_connection("127.0.0.1", self.listener.port, limit=limit)
        client = RawClient(*pair)
        self.stack.callback(client.hang_up)
        return client

    async def call(self, request):
        """Send one request and return everything until the proxy closes."""
        client = await self.connect()
        await client.send(request)
        return await client.rest()

    async def get(self, target="/api/x", *fields, method="GET", body=b""):
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {JWT}", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return await self.call("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)


@pytest.fixture(autouse=True)
def no_authorities(monkeypatch, tmp_path):
    """Let no proxy read the system's certificate authorities: that takes ten times as long as a test."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))


@pytest.fixture
async def provider():
    raw = RawProvider().answers(OK)
    await raw.start()
    yield raw
    await raw.stop()


@pytest.fixture
async def start_proxy(provider):
    """Return a function that starts a proxy before the raw provider."""
    async with AsyncExitStack() as stack:

        async def start(**given):
            chosen = Choices(**given)
            origin = chosen.origin or Origin(scheme="http", host="127.0.0.1", port=provider.port)
            api = Provider(
                name="api",
                hosts=(ProviderHost(origin=origin, placement=chosen.placement),),
                base_path=chosen.base_path,
                ca_file=chosen.ca_file,
            )
            own, metrics, broker = OwnListeners(), Metrics(), GivingBroker()
            dialler = Dialler([api], own=own, timeouts=chosen.dial)
            handler = Handler(
                AddressBook([api], gate=chosen.gate, own=own),
                authenticator=KnownCallers(),
                is_service_key=lambda text: text == SERVICE_KEY,
                broker=broker,
                upstream=Upstream(dialler, timeouts=chosen.answer),
                recorder=Recorder(metrics=metrics, clock=SystemClock()),
                limits=chosen.head,
                most=chosen.most,
            )
            listener = ProxyListener(
                handler,
                host="" if chosen.path else "127.0.0.1",
                port=chosen.port,
                path=chosen.path,
                own=own,
                metrics=metrics,
                limits=(chosen.head, chosen.body),
            )
            await listener.start()
            stack.push_async_callback(listener.stop)
            return Proxy(provider, broker, listener, handler, metrics, stack)

        yield start


@pytest.fixture
async def proxy(start_proxy):
    return await start_proxy()


@pytest.fixture
def jwt():
    return JWT


@pytest.fixture
def service_key():
    return SERVICE_KEY
