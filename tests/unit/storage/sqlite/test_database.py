from __future__ import annotations

import asyncio
import signal
import sqlite3
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sidecar.errors import ConfigurationError, StoreUnavailableError
from sidecar.grants.model import UserTag
from sidecar.grants.records import Record
from sidecar.grants.sealing import new_grant_id
from sidecar.storage.open import open_storage
from sidecar.storage.sqlite.database import Database
from sidecar.testing.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sidecar.storage.model import Storage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = Database(str(path))
    await database.open()
    yield database
    await database.close()


def storage_at(path: Path) -> Storage:
    return open_storage(f"sqlite://{path}", app="notes", clock=ManualClock())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_elsewhere(path: Path) -> subprocess.CompletedProcess[str]:
    """Open the file in a process of its own."""
    program = (
        "import asyncio, sys\n"
        "from sidecar.storage.sqlite.database import Database\n"
        "asyncio.run(Database(sys.argv[1]).open())\n"
    )
    return subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)


@pytest.fixture
def public_file(path: Path) -> Path:
    path.touch(mode=0o644)
    return path


@pytest.fixture
def notes_file(path: Path) -> Path:
    path.write_bytes(b"precious notes, " * 1000)
    return path


async def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        await Database(str(path)).open()
    return str(refused.value)


async def test_grants_outlive_the_process(path: Path) -> None:
    kept = Record(id=new_grant_id(UserTag("a" * 26)), version=3, sealed=b"\0\xff")
    before, after = storage_at(path), storage_at(path)
    await before.start()
    await before.records.add(kept, revision=0)
    await before.close()
    await after.start()

    assert await after.records.get(kept.id) == kept
    await after.close()


async def test_the_end_waits_for_writes_whose_callers_have_gone(path: Path) -> None:
    kept = Record(id=new_grant_id(UserTag("a" * 26)), version=1, sealed=b"")
    before, after = storage_at(path), storage_at(path)
    await before.start()
    writing = asyncio.ensure_future(before.records.add(kept, revision=0))
    await asyncio.sleep(0)
    writing.cancel()
    await before.close()
    await after.start()

    assert await after.records.get(kept.id) == kept
    await after.close()


def write_and_die(path: Path) -> int:
    """Write a value in a process that is killed the moment the write returned; give its exit status."""
    program = (
        "import asyncio, os, signal, sys\n"
        "from sidecar.clock import SystemClock\n"
        "from sidecar.storage.open import open_storage\n"
        "async def main():\n"
        "    storage = open_storage(f'sqlite://{sys.argv[1]}', app='notes', clock=SystemClock())\n"
        "    await storage.start()\n"
        "    await storage.records.write_meta_once('name', b'value')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    return subprocess.run([sys.executable, "-c", program, path], check=False).returncode


async def test_what_was_written_survives_a_killed_process_and_its_lock_does_not(path: Path) -> None:
    assert write_and_die(path) == -signal.SIGKILL
    storage = storage_at(path)
    await storage.start()

    assert await storage.records.read_meta("name") == b"value"
    await storage.close()


async def test_every_commit_reaches_the_disk(database: Database) -> None:
    def settings(sql: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "locking_mode")
        return [sql.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    # 2 is FULL.
    assert await database.run(settings) == ["wal", 2, "exclusive"]


async def test_the_file_and_its_side_files_are_private(database: Database, path: Path) -> None:
    assert {mode_of(file) for file in path.parent.glob("store.db*")} == {0o600}


async def test_a_file_that_was_open_to_others_is_closed_to_them(public_file: Path) -> None:
    database = Database(str(public_file))
    await database.open()
    await database.close()

    assert mode_of(public_file) == 0o600


async def test_a_second_process_is_refused_and_told_what_to_do(database: Database, path: Path) -> None:
    second = open_elsewhere(path)

    assert second.returncode != 0
    assert "ConfigurationError: store: " in second.stderr
    assert "is open in another process" in second.stderr


async def test_the_file_is_free_after_the_end(path: Path) -> None:
    first, second = Database(str(path)), Database(str(path))
    await first.open()
    await first.close()
    await second.open()
    await second.close()


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "store.db"

    assert str(path) in await refusal(path)
    assert "make its directory" in await refusal(path)


async def test_a_directory_is_no_store(tmp_path: Path) -> None:
    assert "cannot be opened" in await refusal(tmp_path)


async def test_a_file_of_something_else_is_refused(notes_file: Path) -> None:
    assert "is not a SQLite database" in await refusal(notes_file)


def test_a_file_of_something_else_is_left_alone(notes_file: Path) -> None:
    before = notes_file.read_bytes()
    open_elsewhere(notes_file)

    assert notes_file.read_bytes() == before


async def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE precious (note TEXT)")
    other.close()

    assert "another program" in await refusal(path)
    other = sqlite3.connect(path)
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("precious",)]
    other.close()


async def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    database = Database(str(path))
    await database.open()
    await database.close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 999")
    newer.close()

    assert "newer version" in await refusal(path)


async def test_a_failed_step_writes_nothing_and_the_next_one_works(database: Database) -> None:
    def half(sql: sqlite3.Connection) -> None:
        sql.execute("INSERT INTO meta VALUES ('notes', 'half', x'00')")
        sql.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(StoreUnavailableError):
        await database.run(half)

    count = await database.run(lambda sql: sql.execute("SELECT count(*) FROM meta").fetchone()[0])
    assert count == 0


async def test_after_a_commit_that_failed_nothing_is_written_and_the_next_one_works(
    database: Database,
) -> None:
    def refuse_to_commit(action: int, argument: str | None, *_: str | None) -> int:
        is_commit = (action, argument) == (sqlite3.SQLITE_TRANSACTION, "COMMIT")
        return sqlite3.SQLITE_DENY if is_commit else sqlite3.SQLITE_OK

    def write_in_vain(sql: sqlite3.Connection) -> None:
        sql.execute("INSERT INTO meta VALUES ('notes', 'name', x'00')")
        sql.set_authorizer(refuse_to_commit)

    def count(sql: sqlite3.Connection) -> int:
        sql.set_authorizer(None)
        return int(sql.execute("SELECT count(*) FROM meta").fetchone()[0])

    with pytest.raises(StoreUnavailableError):
        await database.run(write_in_vain)

    assert await database.run(count) == 0


async def test_a_store_that_is_not_open_is_unavailable(path: Path) -> None:
    database = Database(str(path))
    with pytest.raises(StoreUnavailableError):
        await database.run(lambda sql: sql.execute("SELECT 1"))
    await database.open()
    await database.close()
    with pytest.raises(StoreUnavailableError):
        await database.run(lambda sql: sql.execute("SELECT 1"))


async def test_two_apps_share_a_file_without_meeting(path: Path) -> None:
    kept = Record(id=new_grant_id(UserTag("a" * 26)), version=1, sealed=b"")
    one = storage_at(path)
    await one.start()
    await one.records.add(kept, revision=0)
    await one.close()
    two = open_storage(f"sqlite://{path}", app="mail", clock=ManualClock())
    await two.start()

    assert await two.records.is_empty()
    assert await two.records.get(kept.id) is None
    await two.close()
