"""Read the `store` setting: which engine, and where.

A store's URL may carry a password, so the text is taken apart here, once, and no message repeats any of it
but the parts that are certainly not secret.

Scope: pure parsing. Options after a `?` are refused: what the sidecar needs of its store (timeouts, retries,
certificate checks) is not for a URL to weaken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from sidecar.secret import Secret

ACCEPTED: Final = (
    "accepted are memory:, sqlite:///absolute/path, redis://[user:password@]host[:port][/db]"
    " and rediss:// (the same over TLS)"
)
REDIS_PORT: Final = 6379


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUrl:
    """`memory:`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteUrl:
    """`sqlite:///path`; the path is absolute and taken literally, without percent-decoding."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUrl:
    """`redis://` or, with TLS, `rediss://`; user and password are percent-decoded."""

    host: str
    port: int = REDIS_PORT
    db: int = 0
    username: str = ""
    password: Secret | None = None
    is_tls: bool = False


StoreUrl = MemoryUrl | SqliteUrl | RedisUrl


def parse_store_url(text: str) -> StoreUrl:
    """Take a store's URL apart. Raises `ValueError` with a message that is safe to show."""
    if text == "memory:":
        return MemoryUrl()
    scheme, _, rest = text.partition("://")
    if scheme == "sqlite":
        return _sqlite(rest)
    if scheme in ("redis", "rediss"):
        return _redis(text)
    raise ValueError(f"not a store this version knows; {ACCEPTED}")


def _sqlite(path: str) -> SqliteUrl:
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError("a SQLite store is written sqlite:///absolute/path/to/file.db")
    if "?" in path or "#" in path or "\0" in path:
        raise ValueError("a SQLite store takes no options; sqlite:///absolute/path/to/file.db is all")
    return SqliteUrl(path=path)


def _redis(text: str) -> RedisUrl:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        # The library's own message quotes the text, password included.
        raise ValueError(
            f"host or port cannot be read; percent-encode special characters of a password; {ACCEPTED}"
        ) from None
    if parts.query or parts.fragment:
        raise ValueError(
            "a Redis store takes no options after ? or #; percent-encode these characters in a password"
        )
    if not parts.hostname or port == 0:
        raise ValueError(f"a Redis store needs a host and a port from 1 to 65535; {ACCEPTED}")
    return RedisUrl(
        host=unquote(parts.hostname),
        port=port or REDIS_PORT,
        db=_database(parts),
        username=unquote(parts.username or ""),
        password=Secret(unquote(parts.password)) if parts.password else None,
        is_tls=parts.scheme == "rediss",
    )


def _database(parts: SplitResult) -> int:
    number = parts.path.removeprefix("/")
    if not number:
        return 0
    if not (number.isascii() and number.isdigit() and len(number) <= 5):
        raise ValueError("the path of a Redis store is its database number: redis://host:6379/0")
    return int(number)
