"""Choose the one grant a request means, or say why there is none. Never a guess.

Using the wrong account writes to somebody's private calendar, so two grants that both fit are an error
that lists them, and a grant id of somebody else is answered exactly as one that does not exist.

Scope: a pure choice among the grants of one caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidecar.errors import (
    AmbiguousGrantError,
    NoDelegatedGrantError,
    ReauthRequiredError,
    ScopeReauthRequiredError,
)
from sidecar.grants.model import Grant, GrantId, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Ask(NamedTuple):
    """Which grant a request asks for; where both account and grant are given, both must fit.

    A tuple, because every request looks for its token under one.
    """

    provider: str
    account: str | None = None
    grant: GrantId | None = None


def choose(grants: Iterable[Grant], ask: Ask) -> Grant:
    """Return the caller's one grant that fits `ask`.

    `grants` are the caller's own. Raises `NoDelegatedGrantError`, `AmbiguousGrantError` (with the
    candidates) or `ReauthRequiredError`.
    """
    own = [grant for grant in grants if grant.provider == ask.provider]
    fitting = _narrow([grant for grant in own if grant.status is Status.ACTIVE], ask)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise AmbiguousGrantError(
            "Several grants fit. Name the account in the path (/provider@account/...) or in Sidecar-Account, "
            "or the grant in Sidecar-Grant.",
            provider=ask.provider,
            candidates=[
                {"grant_id": grant.id, "account": account_name(grant)}
                for grant in sorted(fitting, key=_by_account)
            ],
        )
    if _narrow([grant for grant in own if grant.status is Status.NEEDS_CONSENT], ask):
        raise ReauthRequiredError(
            "The provider no longer accepts this grant. Let the user connect the account again.",
            provider=ask.provider,
        )
    raise NoDelegatedGrantError(
        "The user has no grant that fits this provider and account. Let the user connect the account.",
        provider=ask.provider,
    )


def to_repair(grants: Iterable[Grant], ask: Ask) -> Grant | None:
    """Return the one grant that a new consent is for; none where there is none, or choosing would be a guess.

    Active grants come first, because `choose` would have taken one of them.
    """
    own = [grant for grant in grants if grant.provider == ask.provider]
    for status in (Status.ACTIVE, Status.NEEDS_CONSENT):
        fitting = _narrow([grant for grant in own if grant.status is status], ask)
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def require_scopes(grant: Grant, needed: Sequence[str]) -> None:
    """Raise `ScopeReauthRequiredError` when the grant's scopes are known and lack one of `needed`."""
    if grant.tokens.scopes is None:
        return
    missing = [scope for scope in needed if scope not in grant.tokens.scopes]
    if missing:
        raise ScopeReauthRequiredError(
            "The grant lacks scopes this provider is configured to need. Let the user connect it again.",
            provider=grant.provider,
            missing_scopes=missing,
        )


def account_name(grant: Grant) -> str:
    """Return the name a caller can use for the grant's account."""
    return grant.account.label or grant.account.identifier


def same_account(grant: Grant, name: str) -> bool:
    """Say whether `name` is exactly the label or the identifier of the grant's account."""
    return bool(name) and name in (grant.account.label, grant.account.identifier)


def _narrow(grants: Sequence[Grant], ask: Ask) -> list[Grant]:
    fitting = [grant for grant in grants if ask.grant is None or grant.id == ask.grant]
    if ask.account is None:
        return fitting
    exact = [grant for grant in fitting if same_account(grant, ask.account)]
    return exact or [grant for grant in fitting if _same_mailbox(grant, ask.account)]


def _same_mailbox(grant: Grant, name: str) -> bool:
    """Compare as people write e-mail addresses: trimmed, in any case; other names only match exactly."""
    folded = name.strip().casefold()
    if "@" not in folded:
        return False
    return folded in (grant.account.label.strip().casefold(), grant.account.identifier.strip().casefold())


def _by_account(grant: Grant) -> tuple[str, str]:
    # The same list for the same grants, whatever order the store gave them in.
    return account_name(grant), grant.id
