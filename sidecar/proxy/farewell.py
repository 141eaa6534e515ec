"""End what we send on a connection, whether or not anybody is still there to hear it.

A peer may have reset its connection a moment ago without our having read of it yet; the system then refuses
to end our half. That is no failure of a request, and an exception would tear down what is being tidied up.

Scope: one step. That the connection is lost is told by the transport itself.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def end_output(transport: asyncio.Transport) -> None:
    """Send an end after what was written, where the transport knows half-closes; TLS does not."""
    if transport.can_write_eof():
        with suppress(OSError):
            transport.write_eof()
