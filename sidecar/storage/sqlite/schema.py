"""The tables, and how an older file becomes a newer one.

Scope: SQL and the numbers SQLite keeps in the file's header for its user: `application_id` says that the
file is ours, `user_version` how many of the migrations it has seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID: Final = 0x67536463
"""`gSdc`, so that no other program's file is taken for a store."""

# Each is applied once, in order, in the transaction that raises `user_version`. Never edit one that was
# released: add another.
MIGRATIONS: Final = (
    """
    CREATE TABLE users (
        app TEXT NOT NULL, user TEXT NOT NULL, revision INTEGER NOT NULL,
        PRIMARY KEY (app, user)
    ) WITHOUT ROWID;
    CREATE TABLE grants (
        app TEXT NOT NULL, user TEXT NOT NULL, id TEXT NOT NULL,
        version INTEGER NOT NULL, sealed BLOB NOT NULL,
        PRIMARY KEY (app, user, id)
    ) WITHOUT ROWID;
    CREATE TABLE notes (
        app TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, until REAL NOT NULL,
        PRIMARY KEY (app, id)
    ) WITHOUT ROWID;
    CREATE TABLE meta (
        app TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (app, name)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE nonces (
        app TEXT NOT NULL, name TEXT NOT NULL, ends_at REAL NOT NULL,
        PRIMARY KEY (app, name)
    ) WITHOUT ROWID;
    """,
)


class ForeignFileError(Exception):
    """The file belongs to another program or to a newer version of this one."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the newest schema. Call it inside a transaction. Raises `ForeignFileError`."""
    seen = _number(connection, "PRAGMA user_version")
    owner = _number(connection, "PRAGMA application_id")
    tables = _number(connection, "SELECT count(*) FROM sqlite_master")
    if owner != APPLICATION_ID and (owner or seen or tables):
        raise ForeignFileError("is a database of another program; name another file")
    if seen > len(MIGRATIONS):
        raise ForeignFileError("was written by a newer version of the sidecar; run that version")
    for number, script in enumerate(MIGRATIONS[seen:], start=seen + 1):
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _number(connection: sqlite3.Connection, question: str) -> int:
    return int(connection.execute(question).fetchone()[0])
