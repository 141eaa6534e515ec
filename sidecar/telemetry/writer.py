"""Write lines to a stream without ever making the event loop wait for it.

A pipe whose reader has stalled blocks the writer, and a log collector that hiccups would stop every request.
So lines go through a bounded queue to a thread of their own, and when the queue is full lines are dropped
and counted: the requests matter more than their records.

Scope: whole lines. What is in them was decided before.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TextIO

QUEUE_LINES: Final = 10_000
"""About 3 MiB of records; at 1,000 requests a second a collector may be away for ten seconds."""
CLOSE_TIMEOUT: Final = 2.0
"""Seconds that the end of the process waits for a stalled stream; SIGKILL comes after thirty."""


class BackgroundWriter:
    """A thread that writes what it is given, in order and in batches.

    The state (`_lines`, `_is_writing`, `_is_closed`) is guarded by `_changed`; the stream belongs to the
    thread. A stream that fails loses the lines, and nobody is told: there is no other place to tell.
    """

    __slots__ = ("_changed", "_is_closed", "_is_writing", "_limit", "_lines", "_stream", "_thread")

    def __init__(self, stream: TextIO, *, limit: int = QUEUE_LINES) -> None:
        self._stream = stream
        self._limit = limit
        self._lines: deque[str] = deque()
        self._changed = threading.Condition()
        self._is_writing = False
        self._is_closed = False
        # A daemon, because a stream that never answers must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> bool:
        """Queue `line` and say whether there was room; never waits."""
        with self._changed:
            if self._is_closed or len(self._lines) >= self._limit:
                return False
            self._lines.append(line)
            self._changed.notify_all()
            return True

    def write_all(self, lines: list[str]) -> int:
        """Queue `lines` in one go and return how many found no room; never waits."""
        with self._changed:
            room = 0 if self._is_closed else max(0, self._limit - len(self._lines))
            self._lines.extend(lines[:room])
            self._changed.notify_all()
        return max(0, len(lines) - room)

    def flush(self, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Wait until everything queued is written, at most `timeout` seconds; say whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lines and not self._is_writing, timeout)

    def close(self) -> None:
        """Write what is queued and end the thread; a stalled stream is given up after `CLOSE_TIMEOUT`."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(CLOSE_TIMEOUT)

    def _run(self) -> None:
        while batch := self._next_batch():
            self._put("\n".join([*batch, ""]))
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()

    def _next_batch(self) -> list[str]:
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._is_closed)
            batch = list(self._lines)
            self._lines.clear()
            self._is_writing = bool(batch)
            return batch

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Closed, or its reader is gone.
            return
