"""Our own calls against a peer that misbehaves."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from sidecar.outbound.client import Answer, OutboundClient, OutboundError, Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass
class Peer:
    """A server that reads one head, sends `reply` byte for byte and, if told so, never ends."""

    reply: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    hangs: bool = False
    requests: list[bytes] = field(default_factory=list)
    port: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/path?a=%2F"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head)
        self.arrived.set()
        writer.write(self.reply)
        if self.hangs:
            await self.released.wait()
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    yield peer
    peer.released.set()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def client() -> AsyncIterator[OutboundClient]:
    client = OutboundClient()
    yield client
    await client.close()


async def get(client: OutboundClient, peer: Peer, *, max_bytes: int = 1000, timeout: float = 10.0) -> Answer:
    return await client.get(peer.url, timeout=timeout, max_bytes=max_bytes)


async def failure(
    client: OutboundClient, peer: Peer, *, max_bytes: int = 1000, timeout: float = 10.0
) -> OutboundError:
    with pytest.raises(OutboundError) as caught:
        await get(client, peer, max_bytes=max_bytes, timeout=timeout)
    return caught.value


async def test_an_answer_is_handed_over_whole(client: OutboundClient, peer: Peer) -> None:
    peer.reply = b"HTTP/1.1 418 Odd\r\nX-One: 1\r\nx-one: 2\r\nContent-Length: 2\r\n\r\nok"

    answer = await get(client, peer)

    assert answer == Answer(status=418, headers={"x-one": "1, 2", "content-length": "2"}, body=b"ok")


async def test_a_request_carries_what_was_asked_and_its_target_as_written(
    client: OutboundClient, peer: Peer
) -> None:
    await client.post(
        peer.url,
        body=b"grant_type=refresh_token",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        timeout=10.0,
        max_bytes=10,
        networks=(),
    )

    lines = peer.requests[0].split(b"\r\n")
    assert lines[0] == b"POST /path?a=%2F HTTP/1.1"
    assert b"Content-Type: application/x-www-form-urlencoded" in lines
    assert b"Accept-Encoding: identity" in lines
    assert not any(line.lower().startswith(b"cookie") for line in lines)


async def test_a_redirect_is_an_answer(client: OutboundClient, peer: Peer) -> None:
    peer.reply = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"

    answer = await get(client, peer)

    assert answer.status == 302
    assert len(peer.requests) == 1


async def test_cookies_are_not_kept(client: OutboundClient, peer: Peer) -> None:
    peer.reply = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"

    await get(client, peer)
    await get(client, peer)

    assert b"a=b" not in peer.requests[1]


async def test_proxy_variables_are_ignored(
    client: OutboundClient, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert (await get(client, peer)).status == 200


async def test_a_connection_that_breaks_is_not_tried_again(client: OutboundClient, peer: Peer) -> None:
    peer.reply = b""

    error = await failure(client, peer)

    assert (error.reason, error.was_sent) == (Reason.BROKEN, True)
    assert len(peer.requests) == 1


async def test_a_body_that_breaks_off_is_no_answer(client: OutboundClient, peer: Peer) -> None:
    peer.reply = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"

    assert (await failure(client, peer)).reason is Reason.BROKEN


async def test_an_answer_that_is_no_http_is_broken(client: OutboundClient, peer: Peer) -> None:
    peer.reply = b"SSH-2.0-OpenSSH_9.6\r\n\r\n"

    assert (await failure(client, peer)).reason is Reason.BROKEN


async def test_a_body_of_exactly_the_limit_passes(client: OutboundClient, peer: Peer) -> None:
    assert (await get(client, peer, max_bytes=2)).body == b"ok"


async def test_a_body_above_the_limit_is_not_read_on(client: OutboundClient, peer: Peer) -> None:
    peer.reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    peer.hangs = True

    error = await failure(client, peer, max_bytes=2)

    assert (error.reason, error.was_sent) == (Reason.TOO_LARGE, True)


async def test_a_compressed_body_is_undone(client: OutboundClient, peer: Peer) -> None:
    peer.reply = compressed(gzip.compress(b"text"))

    assert (await get(client, peer)).body == b"text"


async def test_a_body_that_blows_up_is_stopped_at_the_limit(client: OutboundClient, peer: Peer) -> None:
    peer.reply = compressed(gzip.compress(bytes(100_000)))

    assert (await failure(client, peer)).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"text")[:-4], gzip.compress(b"text") * 2])
async def test_a_body_that_cannot_be_undone_is_broken(
    client: OutboundClient, peer: Peer, body: bytes
) -> None:
    peer.reply = compressed(body)

    assert (await failure(client, peer)).reason is Reason.BROKEN


async def test_an_encoding_nobody_asked_for_is_broken(client: OutboundClient, peer: Peer) -> None:
    peer.reply = b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nok"

    assert (await failure(client, peer)).reason is Reason.BROKEN


async def test_the_deadline_spans_the_body(client: OutboundClient, peer: Peer) -> None:
    peer.reply = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"
    peer.hangs = True

    error = await failure(client, peer, timeout=0.05)

    assert error.reason is Reason.TIMEOUT


async def test_nobody_listening_means_nothing_was_sent(client: OutboundClient) -> None:
    server = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
    dead = Peer(port=server.sockets[0].getsockname()[1])
    server.close()
    await server.wait_closed()

    error = await failure(client, dead)

    assert (error.reason, error.was_sent) == (Reason.UNREACHABLE, False)


async def test_a_refused_address_means_nothing_was_sent(client: OutboundClient) -> None:
    with pytest.raises(OutboundError) as caught:
        await client.post(
            "http://10.0.0.1/token", body=b"", headers={}, timeout=10.0, max_bytes=10, networks=()
        )

    assert (caught.value.reason, caught.value.was_sent) == (Reason.REFUSED_ADDRESS, False)


async def test_the_metadata_service_is_refused_even_to_a_trusted_peer(client: OutboundClient) -> None:
    with pytest.raises(OutboundError) as caught:
        await client.get("http://169.254.169.254/latest", timeout=10.0, max_bytes=10)

    assert caught.value.reason is Reason.REFUSED_ADDRESS


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1/", "http://", "http://127.0.0.1:99999/"])
async def test_a_url_that_is_none_is_an_error_of_ours(client: OutboundClient, url: str) -> None:
    with pytest.raises(OutboundError) as caught:
        await client.get(url, timeout=10.0, max_bytes=10)

    assert not caught.value.was_sent


async def test_plain_text_where_tls_was_expected_is_a_tls_error(client: OutboundClient) -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        with pytest.raises(OutboundError) as caught:
            await client.get(
                f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", timeout=10.0, max_bytes=10
            )

    assert (caught.value.reason, caught.value.was_sent) == (Reason.TLS, False)


async def test_a_missing_ca_file_is_a_tls_error(client: OutboundClient, tmp_path: Path) -> None:
    with pytest.raises(OutboundError) as caught:
        await client.get(
            "https://127.0.0.1:1/", timeout=10.0, max_bytes=10, ca_file=str(tmp_path / "missing.pem")
        )

    assert caught.value.reason is Reason.TLS


async def test_a_certificate_of_the_given_authority_is_accepted_and_no_other(
    client: OutboundClient, tls_server: tuple[int, str]
) -> None:
    port, ca_file = tls_server
    url = f"https://127.0.0.1:{port}/"

    answer = await client.get(url, timeout=10.0, max_bytes=10, ca_file=ca_file)
    with pytest.raises(OutboundError) as caught:
        await client.get(url, timeout=10.0, max_bytes=10)

    assert answer.body == b"ok"
    assert (caught.value.reason, caught.value.was_sent) == (Reason.TLS, False)


async def test_closing_ends_the_calls_that_run(client: OutboundClient, peer: Peer) -> None:
    peer.reply = b""
    peer.hangs = True
    running = asyncio.ensure_future(get(client, peer))
    await peer.arrived.wait()

    await client.close()

    with pytest.raises(OutboundError) as caught:
        await running
    assert caught.value.was_sent


async def test_an_error_says_nothing_of_what_was_sent(client: OutboundClient, peer: Peer) -> None:
    peer.reply = b""

    with pytest.raises(OutboundError) as caught:
        await client.post(
            peer.url,
            body=b"refresh_token=canary",
            headers={"Authorization": "canary"},
            timeout=10,
            max_bytes=1,
        )

    assert "canary" not in str(caught.value)
    assert "canary" not in repr(caught.value)


def compressed(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.fixture
async def tls_server(tmp_path: Path) -> AsyncIterator[tuple[int, str]]:
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(self_signed())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1], str(certificate)
    server.close()
    await server.wait_closed()


def self_signed() -> bytes:
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sidecar test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2099, 1, 1, tzinfo=dt.UTC))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
