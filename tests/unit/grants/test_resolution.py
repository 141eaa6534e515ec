"""Choosing the grant as a table: which grants there are, what is asked, what comes of it."""

from __future__ import annotations

import pytest

from sidecar.errors import (
    AmbiguousGrantError,
    NoDelegatedGrantError,
    ReauthRequiredError,
    ScopeReauthRequiredError,
)
from sidecar.grants.model import Grant, GrantId, Status
from sidecar.grants.resolution import Ask, choose, require_scopes, to_repair
from tests.grants import make_grant, token_set

DEAD = Status.NEEDS_CONSENT

WORK = make_grant("work", "alice@corp.example")
HOME = make_grant("home", "Alice@Home.example")
BARE = make_grant()
UPPER = make_grant("Work")
DEAD_WORK = make_grant("work", "alice@corp.example", status=DEAD)
DEAD_HOME = make_grant("home", "alice@home.example", status=DEAD)
GITHUB = make_grant("work", "alice@corp.example", provider="github")
SAME_MAIL = make_grant("spare", "ALICE@corp.example")
SAME_LABEL = make_grant("work", "other@corp.example")
MAIL_LABEL = make_grant(" Alice@Corp.Example ")

NONE = NoDelegatedGrantError
SEVERAL = AmbiguousGrantError
REAUTH = ReauthRequiredError

# Grants of the caller, account asked for, grant asked for, outcome.
CASES = {
    "nothing there": ([], None, None, NONE),
    "nothing there, account named": ([], "work", None, NONE),
    "nothing there, grant named": ([], None, WORK.id, NONE),
    "one": ([WORK], None, None, WORK),
    "one without an account": ([BARE], None, None, BARE),
    "one here, one at another provider": ([WORK, GITHUB], None, None, WORK),
    "only at another provider": ([GITHUB], None, None, NONE),
    "several": ([WORK, HOME], None, None, SEVERAL),
    "several, one of them bare": ([WORK, BARE], None, None, SEVERAL),
    "one active, one dead": ([WORK, DEAD_HOME], None, None, WORK),
    "two active, one dead": ([WORK, HOME, DEAD_WORK], None, None, SEVERAL),
    "one dead": ([DEAD_WORK], None, None, REAUTH),
    "several dead": ([DEAD_WORK, DEAD_HOME], None, None, REAUTH),
    "dead at another provider": ([make_grant(provider="github", status=DEAD)], None, None, NONE),
    "label": ([WORK, HOME], "work", None, WORK),
    "identifier": ([WORK, HOME], "alice@corp.example", None, WORK),
    "label in another case": ([WORK, HOME], "WORK", None, NONE),
    "label with a blank": ([WORK, HOME], " work", None, NONE),
    "exact label before another case": ([WORK, UPPER], "Work", None, UPPER),
    "identifier in another case": ([WORK, HOME], "ALICE@CORP.EXAMPLE", None, WORK),
    "identifier with blanks": ([WORK, HOME], "\talice@home.example ", None, HOME),
    "e-mail as a label in another case": ([MAIL_LABEL, HOME], "alice@corp.example", None, MAIL_LABEL),
    "exact identifier before another case": ([WORK, SAME_MAIL], "ALICE@corp.example", None, SAME_MAIL),
    "folded identifier of two": ([WORK, SAME_MAIL], "Alice@Corp.Example", None, SEVERAL),
    "label of two": ([WORK, SAME_LABEL], "work", None, SEVERAL),
    "label of two, identifier tells them apart": ([WORK, SAME_LABEL], "other@corp.example", None, SAME_LABEL),
    "part of a label": ([WORK, HOME], "wor", None, NONE),
    "no such account": ([WORK, HOME], "holiday", None, NONE),
    "no such account of one": ([WORK], "holiday", None, NONE),
    "empty account": ([WORK], "", None, NONE),
    "empty account and a bare grant": ([BARE], "", None, NONE),
    "account named, only its grant is dead": ([WORK, DEAD_HOME], "home", None, REAUTH),
    "account named, dead one in another case": ([DEAD_HOME], "ALICE@HOME.EXAMPLE", None, REAUTH),
    "account named, active and dead": ([WORK, DEAD_WORK], "work", None, WORK),
    "account only at another provider": ([HOME, GITHUB], "work", None, NONE),
    "grant": ([WORK, HOME], None, HOME.id, HOME),
    "grant of another provider": ([WORK, GITHUB], None, GITHUB.id, NONE),
    "grant of somebody else": ([WORK], None, GrantId("g_" + "b" * 42), NONE),
    "grant that is no id": ([WORK], None, GrantId("\ud800"), NONE),
    "empty grant": ([WORK], None, GrantId(""), NONE),
    "dead grant": ([WORK, DEAD_HOME], None, DEAD_HOME.id, REAUTH),
    "grant and its account": ([WORK, HOME], "home", HOME.id, HOME),
    "grant and its account in another case": ([WORK, HOME], "ALICE@HOME.EXAMPLE", HOME.id, HOME),
    "grant and another account": ([WORK, HOME], "work", HOME.id, NONE),
    "dead grant and another account": ([WORK, DEAD_HOME], "work", DEAD_HOME.id, NONE),
    "dead grant and its account": ([WORK, DEAD_HOME], "home", DEAD_HOME.id, REAUTH),
}


@pytest.mark.parametrize("case", CASES)
def test_the_one_grant_that_fits_is_chosen_or_it_is_said_why_none_is(case: str) -> None:
    grants, account, grant_id, outcome = CASES[case]
    ask = Ask(provider="google", account=account, grant=grant_id)
    for order in (grants, grants[::-1]):
        if isinstance(outcome, Grant):
            assert choose(order, ask) is outcome
            continue
        with pytest.raises(outcome) as refused:
            choose(order, ask)
        assert refused.value.provider == "google"


def test_the_candidates_are_the_fitting_grants_and_nothing_else() -> None:
    grants = [WORK, HOME, make_grant("", "id-7"), BARE, GITHUB, DEAD_WORK]

    with pytest.raises(AmbiguousGrantError) as refused:
        choose(grants, Ask(provider="google"))

    by_account = {"": BARE, "home": HOME, "id-7": grants[2], "work": WORK}
    assert refused.value.candidates == tuple(
        {"grant_id": grant.id, "account": account} for account, grant in by_account.items()
    )


def test_a_grant_of_somebody_else_is_refused_as_one_that_does_not_exist() -> None:
    answers = []
    for grant in ("g_" + "b" * 42, GITHUB.id, "nonsense"):
        with pytest.raises(NoDelegatedGrantError) as refused:
            choose([WORK, GITHUB], Ask(provider="google", grant=GrantId(grant)))
        answers.append(vars(refused.value))

    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize(
    ("granted", "needed", "missing"),
    [
        (None, ["read"], ()),
        (["read"], ["read"], ()),
        (["read", "write"], ["read"], ()),
        ([], [], ()),
        (["read"], [], ()),
        ([], ["read"], ("read",)),
        (["read"], ["write", "read", "admin"], ("write", "admin")),
        (["READ"], ["read"], ("read",)),
    ],
)
def test_scopes_are_missed_only_where_they_are_known(
    granted: list[str] | None, needed: list[str], missing: tuple[str, ...]
) -> None:
    grant = make_grant(tokens=token_set(scopes=granted))
    if not missing:
        require_scopes(grant, needed)
        return

    with pytest.raises(ScopeReauthRequiredError) as refused:
        require_scopes(grant, needed)
    assert refused.value.missing_scopes == missing


@pytest.mark.parametrize(
    ("grants", "account", "repaired"),
    [
        ([], None, None),
        ([GITHUB], None, None),
        ([WORK], None, WORK),
        ([DEAD_WORK], None, DEAD_WORK),
        ([DEAD_WORK, DEAD_HOME], None, None),
        ([WORK, DEAD_HOME], None, WORK),
        ([WORK, HOME], None, None),
        ([WORK, HOME], "home", HOME),
        ([WORK, DEAD_HOME], "home", DEAD_HOME),
        ([WORK, HOME], "ALICE@corp.example", WORK),
        ([WORK, SAME_MAIL], "Alice@Corp.example", None),
        ([WORK], "new", None),
    ],
)
def test_a_consent_repairs_the_one_grant_it_can_only_mean(
    grants: list[Grant], account: str | None, repaired: Grant | None
) -> None:
    assert to_repair(grants, Ask(provider=WORK.provider, account=account)) == repaired
