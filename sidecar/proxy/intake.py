"""Hold a sender back while nobody takes what it sends.

Two things stop a socket from being read: whoever takes the bytes says so, or too many wait already. TCP then
tells the sender, so nothing grows here.

Scope: one transport's reading.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""`struct linger`: on, for no time at all."""
WAITING_BYTES: Final = 64 * 1024
"""What waits before the socket is left alone; one read more may arrive."""


class Intake:
    """Reads from a transport, or does not; `is_held` says that a taker asked for a pause."""

    __slots__ = ("_is_paused", "_transport", "is_held")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._is_paused = False
        self.is_held = False

    def hold(self) -> None:
        self.is_held = True
        self.update(0)

    def go(self, waiting_bytes: int) -> None:
        self.is_held = False
        self.update(waiting_bytes)

    def update(self, waiting_bytes: int) -> None:
        """Read on, or stop reading, now that so many bytes wait."""
        should_pause = self.is_held or waiting_bytes > WAITING_BYTES
        if should_pause is self._is_paused or self._transport.is_closing():
            return
        self._is_paused = should_pause
        if should_pause:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


def reset_on_close(transport: asyncio.Transport) -> None:
    """Let the other side see a reset where the connection is closed, and not an end that looks proper."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
