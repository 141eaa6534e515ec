"""One SQLite file, one thread that speaks to it, one process that has it open.

SQLite calls block, so all of them run on a single thread of their own, one after the other: that thread's
order is the only lock the store needs. The file is locked for as long as it is open, because two processes
would each trust a memory that the other makes stale.

Scope: the file, the thread, transactions. `records` knows the tables.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from sidecar.errors import ConfigurationError, StoreUnavailableError
from sidecar.storage.sqlite.schema import ForeignFileError, migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

LOCK_WAIT: Final = 0.5
"""Seconds to wait for a predecessor that is just shutting down."""
PRIMARY_CODE: Final = 0xFF
"""The low byte of an extended result code is the primary one (sqlite.org/rescode.html)."""

ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "is open in another process; one process uses a SQLite store, several use redis://",
    sqlite3.SQLITE_READONLY: "is not writable; give this user write access to the file and its directory",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; give this user write access to the file and its directory",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database; name another file",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup",
    sqlite3.SQLITE_FULL: "is on a full disk; make room",
}


class Database:
    """The file, between `open` and `close`; before and after every use raises `StoreUnavailableError`."""

    __slots__ = ("_connection", "_path", "_thread")

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Make or open the file, lock it, bring it up to date.

        Raises `ConfigurationError` that says what to do when that cannot be done.
        """
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        try:
            self._connection = await asyncio.get_running_loop().run_in_executor(thread, self._opened)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        self._thread = thread

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction, on the database's thread.

        Raises `StoreUnavailableError` when SQLite cannot do it now (a full disk, an I/O error); then nothing
        was written.
        """
        connection = self._connection
        if connection is None:
            raise StoreUnavailableError("The store is not open. Try again shortly.", retry_after=1.0)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _transact, connection, work)
        except sqlite3.Error as exc:
            raise StoreUnavailableError(
                "The store cannot be used right now. Try again shortly.", retry_after=1.0
            ) from exc

    async def close(self) -> None:
        """Close the file and end the thread; what is already waiting for the thread is done first."""
        connection, thread = self._connection, self._thread
        self._connection = self._thread = None
        if connection is not None and thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, connection.close)
            thread.shutdown()

    def _opened(self) -> sqlite3.Connection:
        try:
            _make_private(self._path)
            return _connect(self._path)
        except OSError as exc:
            problem = f"cannot be opened ({exc.strerror}); make its directory, writable for this user"
        except ForeignFileError as exc:
            problem = str(exc)
        except sqlite3.DatabaseError as exc:
            code = exc.sqlite_errorcode & PRIMARY_CODE
            problem = ADVICE.get(code, f"cannot be used ({exc.sqlite_errorname})")
        raise ConfigurationError(f"store: {self._path} {problem}")


def _transact(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    with _transaction(connection):
        return work(connection)


def _connect(path: str) -> sqlite3.Connection:
    with _closed_on_failure(sqlite3.connect(path, timeout=LOCK_WAIT, isolation_level=None)) as connection:
        # Before WAL: the order makes SQLite keep the lock and use no shared memory (sqlite.org/wal.html §6).
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        # A rotated refresh token must survive a power loss the moment the write returned.
        connection.execute("PRAGMA synchronous = FULL")
        with _transaction(connection):
            migrate(connection)
        return connection


def _make_private(path: str) -> None:
    """Make the file readable for its owner alone before anything is in it; SQLite's side files follow it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # A volume may give us write access to a file that belongs to somebody else.
    with suppress(PermissionError):
        os.fchmod(handle, 0o600)
    os.close(handle)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has already rolled back after some errors, a full disk among them. Where it has not, the
        # next transaction could not begin.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _closed_on_failure(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    except BaseException:
        connection.close()
        raise
