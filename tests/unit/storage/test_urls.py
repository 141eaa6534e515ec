from __future__ import annotations

import pytest

from sidecar.secret import Secret
from sidecar.settings.addresses import check_store
from sidecar.storage.urls import MemoryUrl, RedisUrl, SqliteUrl, parse_store_url

PASSWORD = "hunter2-canary"

GOOD = {
    "memory:": MemoryUrl(),
    "sqlite:///var/lib/x.db": SqliteUrl(path="/var/lib/x.db"),
    "sqlite:///var/my files/%41.db": SqliteUrl(path="/var/my files/%41.db"),
    "redis://cache": RedisUrl(host="cache"),
    "redis://cache/": RedisUrl(host="cache"),
    "redis://cache:7000/3": RedisUrl(host="cache", port=7000, db=3),
    "redis://[::1]:7000": RedisUrl(host="::1", port=7000),
    "redis://:p%40ss@cache": RedisUrl(host="cache", password=Secret("p@ss")),
    "rediss://us%3Aer:pass@cache/1": RedisUrl(
        host="cache", db=1, username="us:er", password=Secret("pass"), is_tls=True
    ),
}

BAD = [
    "",
    "memory",
    "memory://",
    "sqlite:",
    "sqlite://relative.db",
    "sqlite://",
    "sqlite:///",
    "sqlite:///directory/",
    "sqlite:///x.db?mode=ro",
    "sqlite://:memory:",
    "postgres://cache",
    "redis:",
    "redis://",
    "redis://:6379",
    "redis://cache:0",
    "redis://cache:65536",
    "redis://cache:port",
    "redis://cache/name",
    "redis://cache/-1",
    "redis://cache/1/2",
    "redis://cache/\u0663",
    "redis://cache?ssl_cert_reqs=none",
    "redis://cache#x",
    "redis://[::1",
    "redis://cache/999999",
    "unix:///run/redis.sock",
]


@pytest.mark.parametrize(("text", "url"), GOOD.items())
def test_a_store_is_read_from_its_url(text: str, url: object) -> None:
    assert parse_store_url(text) == url


@pytest.mark.parametrize("text", GOOD)
def test_the_settings_accept_what_the_store_reads(text: str) -> None:
    check_store(text)


@pytest.mark.parametrize("text", BAD)
def test_the_settings_refuse_what_the_store_does_not_read(text: str) -> None:
    with pytest.raises(ValueError):
        check_store(text)


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_store_is_refused_with_a_word_on_what_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)redis|sqlite"):
        parse_store_url(text)


@pytest.mark.parametrize(
    "text",
    [
        f"redis://user:{PASSWORD}@cache:port",
        f"redis://user:{PASSWORD}@cache:99999",
        f"redis://user:{PASSWORD}@",
        f"redis://user:{PASSWORD}@cache/name",
        f"redis://user:{PASSWORD}@cache?x=y",
        f"redis://user:{PASSWORD}#@cache",
        f"redis://user:{PASSWORD}/@cache",
        f"redis://user:{PASSWORD}@[cache",
        f"postgres://user:{PASSWORD}@cache",
        f"user:{PASSWORD}@cache",
    ],
)
def test_no_message_repeats_a_password(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_store_url(text)

    assert PASSWORD not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_url_does_not_print_its_password() -> None:
    assert PASSWORD not in repr(parse_store_url(f"redis://user:{PASSWORD}@cache"))
