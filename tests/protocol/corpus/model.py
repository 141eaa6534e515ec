"""What a case of the request corpus is: bytes as a hostile client sends them, and what may come of them."""

from __future__ import annotations

from dataclasses import dataclass

CANARY = "canary-7f3a"
"""Stands in every refused case; seen again in an answer or a log record, it is an echo."""
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
"""The one credential the proxy under test knows (`conftest`)."""
AUTHORIZATION = f"Authorization: Bearer {JWT}"
HOST = "Host: localhost"
GET = "GET /api/x HTTP/1.1"
POST = "POST /api/x HTTP/1.1"
INNER = f"GET /api/inner HTTP/1.1\r\n{HOST}\r\n{AUTHORIZATION}\r\nX: {CANARY}\r\n\r\n"
"""A whole request where none belongs: in a body, or behind a message that ends the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What may come of a case.

    `messages` are the whole requests the provider gets, as target and body. `refusal` holds the statuses of
    which one ends the case, and none where nothing is refused. `goes_on` says whether the request behind the
    case is served: yes, no, or either. `is_partial` allows for a request that reached the provider in part,
    because its head was sound and its body was not.
    """

    messages: tuple[tuple[str, str], ...] = ()
    refusal: frozenset[int] = frozenset()
    goes_on: bool | None = True
    is_partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Bytes (latin-1; `@PORT@` is the provider's), what may come of them, and the rule that says so."""

    sent: str
    fates: tuple[Fate, ...]
    rule: str


Cases = dict[str, Case]


def request(*fields: str, line: str = POST, body: str = "", host: str = HOST) -> str:
    """Return a request with a credential."""
    lines = [line, *([host] if host else []), AUTHORIZATION, *fields, "", body]
    return "\r\n".join(lines)


def refused(*statuses: int) -> Fate:
    """Refuse with one of the statuses (400) and end the connection: nobody knows what follows."""
    return Fate(refusal=frozenset(statuses or {400}), goes_on=False)


def declined(*statuses: int) -> Fate:
    """Refuse with one of the statuses (400) a message whose end is plain: the connection may go on."""
    return Fate(refusal=frozenset(statuses or {400}), goes_on=None)


def broken(*statuses: int) -> Fate:
    """Break off while the body is read: the provider never gets a whole request."""
    return Fate(refusal=frozenset(statuses or {400}), goes_on=False, is_partial=True)


def passed(body: str = "", *, target: str = "/x", goes_on: bool | None = True) -> Fate:
    """Become exactly one request with this body."""
    return Fate(messages=((target, body),), goes_on=goes_on)


REFUSED = (refused(),)
DECLINED = (declined(),)
BROKEN = (broken(),)


def table(rule: str, fates: tuple[Fate, ...], cases: dict[str, str]) -> Cases:
    """Return cases that share a rule and their fates."""
    return {name: Case(sent=sent, fates=fates, rule=rule) for name, sent in cases.items()}
