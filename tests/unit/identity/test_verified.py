"""What is remembered of verified tokens, and for how long."""

from __future__ import annotations

from sidecar.identity.principal import Principal
from sidecar.identity.verified import VerifiedTokens, weight_of

UMA = Principal(issuer="https://idp.example", subject="uma", expires_at=100.0)
ALL = 1_000_000


def remembering(*digests: bytes, max_bytes: int = ALL) -> VerifiedTokens:
    tokens = VerifiedTokens(max_bytes=max_bytes)
    for digest in digests:
        tokens.put(digest, UMA, generation=1, ends_at=100.0)
    return tokens


def test_a_token_is_remembered_until_it_ends() -> None:
    tokens = remembering(b"a")

    assert tokens.get(b"a", generation=1, now=99.9) == UMA
    assert tokens.get(b"a", generation=1, now=100.0) is None
    assert len(tokens) == 0


def test_a_token_of_another_generation_is_forgotten() -> None:
    tokens = remembering(b"a")

    assert tokens.get(b"a", generation=2, now=0.0) is None
    assert tokens.get(b"a", generation=1, now=0.0) is None


def test_the_one_unused_for_longest_makes_room() -> None:
    tokens = remembering(b"a", b"b", max_bytes=2 * weight_of(UMA))
    tokens.get(b"a", generation=1, now=0.0)

    tokens.put(b"c", UMA, generation=1, ends_at=100.0)

    assert tokens.get(b"b", generation=1, now=0.0) is None
    assert tokens.get(b"a", generation=1, now=0.0) == tokens.get(b"c", generation=1, now=0.0) == UMA


def test_the_bound_counts_bytes_and_not_entries() -> None:
    heavy = Principal(
        issuer="i", subject="s", groups=frozenset(f"group-{n}" for n in range(1000)), expires_at=100.0
    )
    tokens = remembering(b"a", b"b", max_bytes=weight_of(heavy))

    tokens.put(b"heavy", heavy, generation=1, ends_at=100.0)

    assert len(tokens) == 1
    assert tokens.get(b"heavy", generation=1, now=0.0) == heavy


def test_an_entry_that_never_fits_is_not_kept() -> None:
    assert len(remembering(b"a", max_bytes=10)) == 0


def test_remembering_twice_counts_once() -> None:
    tokens = remembering(b"a", b"a", b"a", b"b", max_bytes=2 * weight_of(UMA))

    assert len(tokens) == 2
