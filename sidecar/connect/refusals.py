"""Every way connecting an account can end without a grant, and what its page says to do.

A person stands before these pages, mostly for reasons that are not their fault. Each page says what happened
and what to do next, and nothing that came with the request.

Scope: a table. `flow` raises, `pages` renders.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Refusal(StrEnum):
    """Why there is no grant."""

    BROKEN_LINK = "broken_link"
    EXPIRED_LINK = "expired_link"
    USED_LINK = "used_link"
    NOT_CONNECTABLE = "not_connectable"
    TOO_LONG = "too_long"
    OTHER_BROWSER = "other_browser"
    FOREIGN_ANSWER = "foreign_answer"
    OTHER_ISSUER = "other_issuer"
    DENIED = "denied"
    PROVIDER_BUSY = "provider_busy"
    PROVIDER_REFUSED = "provider_refused"
    STORE_AWAY = "store_away"


@dataclass(frozen=True, slots=True)
class Advice:
    """A page's status, its heading, and its text; `{app}` and `{provider}` are filled in.

    `is_final` says that the link is used up: the browser need not keep what it holds for it.
    """

    status: int
    title: str
    text: str
    is_final: bool = False


ADVICE: Final = {
    Refusal.BROKEN_LINK: Advice(
        404,
        "This link does not work",
        "It is incomplete or was made by somebody else. Copy the whole link, or ask {app} for a new one.",
    ),
    Refusal.EXPIRED_LINK: Advice(
        410, "This link has expired", "Links work for ten minutes. Go back to {app} and ask for a new one."
    ),
    Refusal.USED_LINK: Advice(
        410,
        "This link has been used",
        "Links work once, and in one browser. Go back to {app}; if the account is not connected there, ask "
        "for a new link.",
        is_final=True,
    ),
    Refusal.NOT_CONNECTABLE: Advice(
        404,
        "This provider cannot be connected",
        "{app} is not set up for connecting accounts of this provider. Tell its operator.",
    ),
    Refusal.TOO_LONG: Advice(
        400,
        "This link is too long",
        "It asks for more than a browser can keep. Tell the people who run {app}: a shorter account name, "
        "fewer scopes or a shorter return address will do.",
    ),
    Refusal.OTHER_BROWSER: Advice(
        403,
        "There is nothing to continue here",
        "The link was opened in another browser, more than ten minutes ago, or is done already; or this "
        "browser keeps no cookies. Go back to {app}; if the account is not connected there, start again and "
        "stay in one browser.",
    ),
    Refusal.FOREIGN_ANSWER: Advice(
        400,
        "This answer does not belong here",
        "It belongs to nothing that was started with {app}. Nothing was connected. Start again from {app}.",
    ),
    Refusal.OTHER_ISSUER: Advice(
        400,
        "The answer came from somebody else",
        "It does not name {provider} as its sender, so it was not used. Nothing was connected. Start again "
        "from {app}; if this happens again, tell its operator.",
    ),
    Refusal.DENIED: Advice(
        403,
        "You did not give access",
        "{provider} says that access was refused, so nothing was connected. If that was not what you wanted, "
        "start again from {app} and agree at {provider}.",
        is_final=True,
    ),
    Refusal.PROVIDER_BUSY: Advice(
        503,
        "{provider} cannot answer right now",
        "Nothing was connected. Wait a few minutes, then start again from {app}.",
        is_final=True,
    ),
    Refusal.PROVIDER_REFUSED: Advice(
        502,
        "{provider} did not accept the connection",
        "Nothing was connected. Start again from {app}; if this happens again, tell its operator, who finds "
        "the reason in the log.",
        is_final=True,
    ),
    Refusal.STORE_AWAY: Advice(
        503,
        "This cannot be done right now",
        "Wait a moment and reload this page. If that does not help, start again from {app}.",
    ),
}


class ConnectRefusedError(Exception):
    """Connecting ends here; `provider` and `return_to` are known once the link was read."""

    def __init__(self, refusal: Refusal, *, provider: str = "", return_to: str = "") -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
        self.provider = provider
        self.return_to = return_to

    @property
    def advice(self) -> Advice:
        return ADVICE[self.refusal]
