from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sidecar.errors import StoreUnavailableError
from tests.stores import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.redis_server import RedisServer


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for `localhost` that signs itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "localhost.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        made.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@asynccontextmanager
async def tls_front(certificate: Path, port: int) -> AsyncIterator[int]:
    """Listen with TLS and relay to the server on `port`; gives the listening port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    relays: list[asyncio.Task[None]] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onwards = await asyncio.open_connection("127.0.0.1", port)
        relays.extend(
            asyncio.ensure_future(each) for each in (copy(reader, onwards[1]), copy(onwards[0], writer))
        )

    server = await asyncio.start_server(relay, "localhost", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
        server.close()
    await asyncio.gather(*relays)


async def test_a_tls_server_with_a_trusted_certificate_is_used(
    redis_server: RedisServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with (
        tls_front(certificate, redis_server.port) as port,
        running(f"rediss://localhost:{port}") as storage,
    ):
        await storage.records.ping()


async def test_a_tls_server_that_nobody_vouches_for_is_not_used(
    redis_server: RedisServer, certificate: Path
) -> None:
    async with (
        tls_front(certificate, redis_server.port) as port,
        running(f"rediss://localhost:{port}") as storage,
    ):
        with pytest.raises(StoreUnavailableError):
            await storage.records.ping()


async def test_a_tls_server_of_another_name_is_not_used(
    redis_server: RedisServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with (
        tls_front(certificate, redis_server.port) as port,
        running(f"rediss://127.0.0.1:{port}") as storage,
    ):
        with pytest.raises(StoreUnavailableError):
            await storage.records.ping()
