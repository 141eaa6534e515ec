"""Stand between a process and its Redis, and go silent right after a command that a test names.

This is how a process is caught between two commands, at the same point every time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

BLOCK_BYTES = 64 * 1024


class RedisRelay:
    """Relays every connection to the server at `port`; `stopped` is set once it has gone silent."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._after: bytes | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopped = asyncio.Event()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    def stop_after(self, text: bytes) -> None:
        """Let the next command with `text` in it through, and nothing after it, its answer included."""
        self._after = text

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        onward = None
        try:
            back, onward = await asyncio.open_connection("127.0.0.1", self._port)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, onward, is_command=True))
                group.create_task(self._copy(back, writer, is_command=False))
        except* ConnectionError:
            pass
        finally:
            self._tasks.discard(task)
            for end in (writer, onward):
                if end is not None:
                    end.transport.abort()

    async def _copy(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_command: bool
    ) -> None:
        while block := await source.read(BLOCK_BYTES):
            if self.stopped.is_set():
                continue
            sink.write(block)
            await sink.drain()
            if is_command and self._after is not None and self._after in block:
                self.stopped.set()
        raise ConnectionResetError("one side has ended, so the other does")
