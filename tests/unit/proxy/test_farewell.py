"""Ending our half of a connection never fails, whoever is left."""

from __future__ import annotations

import asyncio
import socket
import struct

from sidecar.proxy.farewell import end_output


async def connected() -> tuple[asyncio.Transport, socket.socket]:
    """Return our transport, which does not read, and the peer's socket."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    ours.setblocking(False)
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    transport.pause_reading()
    return transport, peer


async def test_the_peer_hears_an_end() -> None:
    transport, peer = await connected()

    end_output(transport)
    heard = await asyncio.to_thread(peer.recv, 1)

    assert heard == b""
    transport.close()
    peer.close()
    await asyncio.sleep(0)


async def test_a_peer_that_has_reset_the_connection_is_no_failure() -> None:
    transport, peer = await connected()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()

    end_output(transport)
    transport.abort()
    await asyncio.sleep(0)

    assert transport.is_closing()
