from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from sidecar.grants.model import TRANSITIONS, Event, IllegalTransitionError, Status
from tests.grants import make_grant, token_set

EXPECTED = {
    (Status.ACTIVE, Event.CONSENTED): Status.ACTIVE,
    (Status.ACTIVE, Event.REFRESHED): Status.ACTIVE,
    (Status.ACTIVE, Event.REFUSED): Status.NEEDS_CONSENT,
    (Status.NEEDS_CONSENT, Event.CONSENTED): Status.ACTIVE,
    (Status.NEEDS_CONSENT, Event.REFRESHED): None,
    (Status.NEEDS_CONSENT, Event.REFUSED): None,
}


def test_the_expectations_leave_no_pair_out() -> None:
    assert set(EXPECTED) == set(itertools.product(Status, Event))
    assert set(TRANSITIONS) == {pair for pair, status in EXPECTED.items() if status}


@pytest.mark.parametrize(("pair", "expected"), EXPECTED.items())
def test_every_event_leads_to_its_status_or_is_refused(
    pair: tuple[Status, Event], expected: Status | None
) -> None:
    status, event = pair
    grant = make_grant(status=status, version=7)
    if expected is None:
        with pytest.raises(IllegalTransitionError):
            grant.after(event, at=9.0)
        return

    assert grant.after(event, at=9.0) == replace(grant, status=expected, version=8, updated_at=9.0)


def test_an_event_may_bring_a_token_set_and_otherwise_the_old_one_stays() -> None:
    grant, newer = make_grant(), token_set("newer")

    assert grant.after(Event.REFRESHED, at=9.0, tokens=newer).tokens is newer
    assert grant.after(Event.REFUSED, at=9.0).tokens is grant.tokens


def test_a_grant_does_not_print_its_tokens() -> None:
    assert "canary" not in repr(make_grant().tokens)
