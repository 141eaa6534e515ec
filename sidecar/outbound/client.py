"""Make our own HTTP calls: short, bounded, and never more than the one that was asked for.

A general client helps where we must not be helped: it follows redirects with the credentials on, keeps
cookies between users, obeys proxy variables, tries again by itself (which spends a refresh token twice) and
reads whatever size it is sent. Here each call has a connection of its own, one deadline over everything, a
size it may not pass, and an error that says whether the peer may have seen the request.

Scope: identity providers and token endpoints. The proxied traffic never comes here.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from yarl import URL

from sidecar import __version__
from sidecar.outbound.deadline import within
from sidecar.outbound.guard import guarded_connector, refused_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

USER_AGENT: Final = f"grant-sidecar/{__version__}"
BLOCK_BYTES: Final = 64 * 1024
GRACE: Final = 1.0
"""Seconds, at most, in which a process that was stopped past a deadline still reads the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer; header names are lower-case, repeated fields joined by commas (RFC 9110 §5.2)."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Reason(StrEnum):
    """Why there is no answer."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TLS = "tls"
    TOO_LARGE = "too_large"
    REFUSED_ADDRESS = "refused_address"
    BROKEN = "broken"


class OutboundError(Exception):
    """A call that brought no usable answer.

    `was_sent` is true as soon as the peer may have seen any of the request: what it carried may be spent.
    """

    def __init__(self, reason: Reason, *, was_sent: bool) -> None:
        super().__init__(f"{reason.value}, {'possibly sent' if was_sent else 'not sent'}")
        self.reason = reason
        self.was_sent = was_sent


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout: float
    max_bytes: int
    networks: Sequence[str] | None
    ca_file: str


class _Progress:
    """How far a call came; marked by aiohttp's trace, read when it fails."""

    __slots__ = ("is_connected",)

    def __init__(self) -> None:
        self.is_connected = False


class _BrokenConnectionError(aiohttp.ClientError):
    """A connection that broke, as a type that aiohttp does not answer with a second try."""


class _TooLargeError(Exception):
    """The body passed the caller's limit."""


class _UnreadableError(Exception):
    """The body is encoded in a way we did not ask for and cannot undo."""


class OutboundClient:
    """Calls without redirects, cookies, environment proxies, retries or reuse of connections.

    `timeout` (seconds) spans everything from the name look-up to the last byte; `max_bytes` bounds the body
    both as it comes and as it is once decompressed. `networks` guards the addresses: CIDR ranges in which
    private ones are allowed (`()` for none), or none for a peer the operator trusts, where only metadata
    and reserved addresses are refused. `ca_file` replaces the system's roots for this call; each file is
    read once.

    Raises `OutboundError`. A redirect is an answer like any other.
    """

    def __init__(self) -> None:
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._sessions: set[aiohttp.ClientSession] = set()

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float,
        max_bytes: int,
        networks: Sequence[str] | None = None,
        ca_file: str = "",
    ) -> Answer:
        return await self._run(
            _Call(
                method="GET",
                url=url,
                headers=headers or {},
                body=None,
                timeout=timeout,
                max_bytes=max_bytes,
                networks=networks,
                ca_file=ca_file,
            )
        )

    async def post(
        self,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str],
        timeout: float,
        max_bytes: int,
        networks: Sequence[str] | None = None,
        ca_file: str = "",
    ) -> Answer:
        return await self._run(
            _Call(
                method="POST",
                url=url,
                headers=headers,
                body=body,
                timeout=timeout,
                max_bytes=max_bytes,
                networks=networks,
                ca_file=ca_file,
            )
        )

    async def close(self) -> None:
        """End the calls that are still running; their callers get `OutboundError`."""
        for session in list(self._sessions):
            await session.close()

    async def _run(self, call: _Call) -> Answer:
        progress = _Progress()
        try:
            async with within(call.timeout, grace=GRACE):
                return await self._attempt(call, progress)
        except (
            TimeoutError,
            OSError,
            ValueError,
            aiohttp.ClientError,
            zlib.error,
            _TooLargeError,
            _UnreadableError,
        ) as exc:
            raise OutboundError(_reason_of(exc), was_sent=progress.is_connected) from exc

    async def _attempt(self, call: _Call, progress: _Progress) -> Answer:
        url = URL(call.url, encoded=True)
        async with (
            self._session(call, host=url.host or "", progress=progress) as session,
            session.request(
                call.method,
                url,
                headers={"Accept-Encoding": "identity", "User-Agent": USER_AGENT, **call.headers},
                data=call.body,
                allow_redirects=False,
            ) as response,
        ):
            body = await _read(response, call.max_bytes)
            names = {name.lower() for name in response.headers}
            return Answer(
                status=response.status,
                headers={name: ", ".join(response.headers.getall(name)) for name in names},
                body=body,
            )

    @asynccontextmanager
    async def _session(
        self, call: _Call, *, host: str, progress: _Progress
    ) -> AsyncIterator[aiohttp.ClientSession]:
        session = aiohttp.ClientSession(
            connector=guarded_connector(
                host=host, networks=call.networks, ssl=await self._context(call.ca_file)
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            # The one deadline stands around the whole call; aiohttp's own would round it up.
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[_tracing(progress)],
            middlewares=(_once,),
        )
        self._sessions.add(session)
        try:
            yield session
        finally:
            self._sessions.discard(session)
            await session.close()

    async def _context(self, ca_file: str) -> ssl.SSLContext:
        if ca_file not in self._contexts:
            # Reading the system's roots takes tens of milliseconds, so it happens beside the event loop.
            context = await asyncio.to_thread(ssl.create_default_context, cafile=ca_file or None)
            self._contexts[ca_file] = context
        return self._contexts[ca_file]


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a GET whose connection broke: how often we ask is our decision."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
        raise _BrokenConnectionError from exc


def _tracing(progress: _Progress) -> aiohttp.TraceConfig:
    async def connected(*_: Any) -> None:  # noqa: ANN401  # aiohttp's hook: session, context, parameters
        progress.is_connected = True

    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(connected)
    return config


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    decoder = _decoder(response.headers.getall("Content-Encoding", []))
    taken = 0
    body = bytearray()
    async for block in response.content.iter_chunked(BLOCK_BYTES):
        taken += len(block)
        # One byte more than fits is enough to know that it does not.
        body += decoder.decompress(block, max_bytes + 1 - len(body)) if decoder else block
        if max(taken, len(body)) > max_bytes:
            raise _TooLargeError
    if decoder is not None and (not decoder.eof or decoder.unused_data):
        raise _UnreadableError
    return bytes(body)


def _decoder(encodings: list[str]) -> zlib._Decompress | None:
    """Return what undoes gzip, which some servers send whatever was asked for; nothing for a plain body."""
    encoding = ", ".join(encodings).strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    raise _UnreadableError


def _reason_of(error: BaseException) -> Reason:
    if refused_address(error) is not None:
        return Reason.REFUSED_ADDRESS
    return next((reason for kind, reason in REASONS if isinstance(error, kind)), Reason.BROKEN)


REASONS: Final[tuple[tuple[type[BaseException], Reason], ...]] = (
    (TimeoutError, Reason.TIMEOUT),
    (aiohttp.ClientSSLError, Reason.TLS),
    (aiohttp.ClientConnectorError, Reason.UNREACHABLE),
    (aiohttp.ClientError, Reason.BROKEN),
    # aiohttp wraps what sockets raise; a bare one comes from a CA file that cannot be read.
    (OSError, Reason.TLS),
    (_TooLargeError, Reason.TOO_LARGE),
)
"""The first row that fits decides; anything else is a broken exchange."""
