"""The memory into which sockets are read.

A read is handled before the next one begins, so all connections of a process share one buffer. It bounds what
one read brings, which is what may be buffered for a slow reader beyond its limit.

Scope: one event loop per process.
"""

from __future__ import annotations

from typing import Final

READ_BYTES: Final = 64 * 1024
SHARED: Final = memoryview(bytearray(READ_BYTES))
