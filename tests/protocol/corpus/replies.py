"""What a case of the response corpus is: bytes of a hostile provider, and what may come of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What the caller gets: our 502 `bad_upstream`, the answer as it was meant, or one without an end."""

    BAD = "bad"
    RELAYED = "relayed"
    CUT = "cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Bytes (latin-1), what may come of them, and the rule that says so.

    `status`, `reason` and `body` are those of a faithful relay. `has_end` says that the provider closes after
    the bytes; else it waits, and `is_done_with` says that the proxy must close the connection.
    """

    sent: str
    outcomes: frozenset[Outcome]
    rule: str
    status: int = 200
    reason: str = "OK"
    body: str = ""
    method: str = "GET"
    has_end: bool = False
    is_done_with: bool = True


Replies = dict[str, Reply]
BAD = frozenset({Outcome.BAD})
RELAYED = frozenset({Outcome.RELAYED})
CUT = frozenset({Outcome.CUT, Outcome.BAD})
"""A head that was good goes on before its body is known; where both came at once, either."""
EITHER = frozenset({Outcome.BAD, Outcome.RELAYED})
SAFE = frozenset(Outcome)
"""Only what the corpus forbids everywhere is forbidden: an echo, a second answer, a false end."""


def ok(*fields: str, body: str = "", line: str = "HTTP/1.1 200 OK") -> str:
    """Return an answer with these fields."""
    return "\r\n".join([line, *fields, "", body])


def table(rule: str, outcomes: frozenset[Outcome], cases: dict[str, str], **more: object) -> Replies:
    """Return cases that share a rule, their outcomes, and whatever else is named."""
    return {
        name: Reply(sent=sent, outcomes=outcomes, rule=rule, **more)  # type: ignore[arg-type]
        for name, sent in cases.items()
    }
