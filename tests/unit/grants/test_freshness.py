"""When a token set is due and when it is dead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.grants.freshness import Freshness, ends_of
from sidecar.grants.model import TokenSet
from sidecar.secret import Secret

OBTAINED = 1_000_000.0


def tokens(*, lifetime: float | None, refreshable: bool = True, access: bool = True) -> TokenSet:
    return TokenSet(
        access_token=Secret("at") if access else None,
        refresh_token=Secret("rt") if refreshable else None,
        expires_at=None if lifetime is None else OBTAINED + lifetime,
        obtained_at=OBTAINED,
    )


@pytest.mark.parametrize(
    ("token_set", "age", "expected"),
    [
        pytest.param(tokens(lifetime=3600), 0, Freshness.FRESH, id="new"),
        pytest.param(tokens(lifetime=3600), 3299, Freshness.FRESH, id="just before the soft window"),
        pytest.param(tokens(lifetime=3600), 3301, Freshness.DUE, id="in the soft window"),
        pytest.param(tokens(lifetime=3600), 3594, Freshness.DUE, id="just before the hard margin"),
        pytest.param(tokens(lifetime=3600), 3596, Freshness.EXPIRED, id="in the hard margin"),
        pytest.param(tokens(lifetime=3600), 9999, Freshness.EXPIRED, id="long dead"),
        pytest.param(
            tokens(lifetime=60), 47, Freshness.FRESH, id="a minute's token is fresh for four fifths"
        ),
        pytest.param(tokens(lifetime=60), 49, Freshness.DUE, id="then due"),
        pytest.param(tokens(lifetime=60), 56, Freshness.EXPIRED, id="then dead"),
        pytest.param(tokens(lifetime=None), 1e9, Freshness.FRESH, id="no end named"),
        pytest.param(tokens(lifetime=-10), 0, Freshness.EXPIRED, id="imported dead"),
        pytest.param(
            tokens(lifetime=3600, refreshable=False), 3500, Freshness.FRESH, id="nothing to refresh with"
        ),
        pytest.param(tokens(lifetime=3600, refreshable=False), 3596, Freshness.EXPIRED, id="and then dead"),
        pytest.param(tokens(lifetime=None, access=False), 0, Freshness.EXPIRED, id="only a refresh token"),
    ],
)
def test_a_set_is_judged_by_its_lifetime(token_set: TokenSet, age: float, expected: Freshness) -> None:
    ends = ends_of(token_set, refresh_before=300)

    assert ends.judge(OBTAINED + age) is expected


@given(
    lifetime=st.floats(min_value=0, max_value=1e7),
    refresh_before=st.floats(min_value=0, max_value=1e5),
    jitter=st.floats(min_value=0, max_value=1),
)
def test_a_set_is_never_dead_before_it_is_due(lifetime: float, refresh_before: float, jitter: float) -> None:
    ends = ends_of(tokens(lifetime=lifetime), refresh_before=refresh_before, jitter=jitter)

    assert ends.due_at <= ends.expired_at <= OBTAINED + lifetime


def test_jitter_only_makes_the_window_narrower() -> None:
    early = ends_of(tokens(lifetime=3600), refresh_before=300, jitter=0.0)
    late = ends_of(tokens(lifetime=3600), refresh_before=300, jitter=1.0)

    assert late.due_at - early.due_at == 150
