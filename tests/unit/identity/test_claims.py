"""Which claim says what, and what is as good as absent."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.identity.bearer import Refusal, TokenLimits, TokenRefusedError
from sidecar.identity.claims import ClaimMap, principal_of
from sidecar.identity.principal import Principal

BASE: dict[str, Any] = {"iss": "https://idp.example", "exp": 1_800_003_600, "sub": "user-1"}


def read(names: ClaimMap | None = None, **claims: Any) -> Principal:
    return principal_of(BASE | claims, names or ClaimMap(), limits=TokenLimits())


def test_the_usual_claims_are_read() -> None:
    principal = read(iat=1_800_000_000, groups=["a", "b"], email="u@example.com", name="Uma", org_id="org-1")

    assert principal == Principal(
        issuer="https://idp.example",
        subject="user-1",
        groups=frozenset({"a", "b"}),
        email="u@example.com",
        name="Uma",
        organisation="org-1",
        issued_at=1_800_000_000.0,
        expires_at=1_800_003_600.0,
    )


def test_only_the_subject_is_needed() -> None:
    assert read() == Principal(issuer="https://idp.example", subject="user-1", expires_at=1_800_003_600.0)


def test_a_name_with_dots_is_first_taken_as_it_stands() -> None:
    names = ClaimMap(groups="https://example.com/roles")

    principal = read(names, **{"https://example.com/roles": ["a"], "https://example": {"com/roles": ["b"]}})

    assert principal.groups == {"a"}


def test_a_name_with_dots_is_then_a_path() -> None:
    assert read(ClaimMap(groups="realm_access.roles"), realm_access={"roles": ["a"]}).groups == {"a"}


@pytest.mark.parametrize("value", [None, "text", ["roles"], {"other": 1}])
def test_a_path_that_leads_nowhere_is_absent(value: object) -> None:
    assert read(ClaimMap(groups="realm_access.roles"), realm_access=value).groups == frozenset()


def test_the_subject_may_stand_elsewhere() -> None:
    assert read(ClaimMap(subject="oid"), oid="object-1").subject == "object-1"


@pytest.mark.parametrize(
    ("value", "groups"),
    [
        (["a", "a", "b"], {"a", "b"}),
        ("admins", {"admins"}),
        ("two words", set()),
        ("one,two", set()),
        ("", set()),
        (["a", 1, None, "", ["b"]], {"a"}),
        ({"a": 1}, set()),
        (7, set()),
        (None, set()),
    ],
)
def test_groups_are_a_list_or_one_name(value: object, groups: set[str]) -> None:
    assert read(groups=value).groups == groups


def test_a_thousand_groups_pass_and_one_more_is_refused() -> None:
    many = [f"g{number}" for number in range(1000)]

    with pytest.raises(TokenRefusedError) as caught:
        read(groups=[*many, "one more"])
    assert caught.value.refusal is Refusal.GROUPS
    assert len(read(groups=many).groups) == 1000


def test_both_limits_can_be_set() -> None:
    tight = TokenLimits(subject_characters=3, groups=1)

    for claims, refusal in (({"sub": "four"}, Refusal.SUBJECT), ({"groups": ["a", "b"]}, Refusal.GROUPS)):
        with pytest.raises(TokenRefusedError) as caught:
            principal_of(BASE | {"sub": "uma"} | claims, ClaimMap(), limits=tight)
        assert caught.value.refusal is refusal


@pytest.mark.parametrize(
    "subject",
    [None, "", 7, True, ["user-1"], {"id": 1}, "a" * 256, "a\x00b", "a\nb", "a\x7fb", "a\x85b"],
)
def test_a_subject_that_names_nobody_is_refused(subject: object) -> None:
    with pytest.raises(TokenRefusedError) as caught:
        read(sub=subject)

    assert caught.value.refusal is Refusal.SUBJECT


@pytest.mark.parametrize("subject", ["a" * 255, "auth0|123", "ünïcode", "with space", " ", "00123"])
def test_any_other_subject_is_kept_as_it_is(subject: str) -> None:
    assert read(sub=subject).subject == subject


@pytest.mark.parametrize("value", [None, 7, ["a"], {"a": 1}, True])
def test_a_profile_claim_of_a_wrong_type_is_absent(value: object) -> None:
    principal = read(email=value, name=value, org_id=value)

    assert (principal.email, principal.name, principal.organisation) == ("", "", "")
