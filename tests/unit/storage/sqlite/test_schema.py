from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from sidecar.storage.sqlite import schema
from sidecar.storage.sqlite.schema import APPLICATION_ID, MIGRATIONS, migrate

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def header(connection: sqlite3.Connection) -> tuple[int, int]:
    version, owner = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")
    )
    return version, owner


def test_a_new_file_gets_every_migration_and_our_mark(connection: sqlite3.Connection) -> None:
    migrate(connection)

    assert header(connection) == (len(MIGRATIONS), APPLICATION_ID)


def test_a_file_that_is_up_to_date_is_left_as_it_is(connection: sqlite3.Connection) -> None:
    migrate(connection)
    connection.execute("INSERT INTO meta VALUES ('notes', 'name', x'00')")
    migrate(connection)

    assert connection.execute("SELECT count(*) FROM meta").fetchone() == (1,)


def test_an_older_file_gets_only_what_it_lacks(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(connection)
    later = "CREATE TABLE more (x INTEGER); INSERT INTO more VALUES (7);"
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, later))
    migrate(connection)
    migrate(connection)

    assert connection.execute("SELECT x FROM more").fetchall() == [(7,)]
    assert header(connection)[0] == len(MIGRATIONS) + 1
