"""Find the rules that change no verdict.

Policies grow by additions, and a rule whose work another one does already is where the next mistake starts:
somebody edits it and nothing happens. Such rules are legal, so this is advice for `check`.

Scope: pure, and about rules in force; what a rule in observe mode counts is its own business. Only what is
certain is reported: two rules are compared at a time, never three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.policies.evaluation import decoded
from sidecar.policies.model import Effect, Mode, Policies, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet


def warnings(policies: Policies) -> tuple[str, ...]:
    """Return one sentence for each rule without effect, in the order of the rules, numbered from 0."""
    enforced = [(n, rule) for n, rule in enumerate(policies.rules) if rule.mode is Mode.ENFORCE]
    found = ((number, _idle(number, rule, enforced, policies.default)) for number, rule in enforced)
    return tuple(f"rules[{number}] has no effect: {reason}" for number, reason in found if reason)


def _idle(number: int, rule: Rule, enforced: Iterable[tuple[int, Rule]], default: Effect) -> str:
    """Say why `rule` changes nothing, or nothing where it may."""
    if rule.effect is Effect.ALLOW and default is Effect.ALLOW:
        return "everything it allows is allowed by the default, and a deny beats it"
    for other_number, other in enforced:
        if other_number == number or not _covers(other, rule):
            continue
        if other.effect is Effect.DENY and rule.effect is Effect.ALLOW:
            return f"rules[{other_number}] denies everything it allows"
        # Of two rules that say the same, only the later one is idle.
        is_twin = _covers(rule, other)
        if other.effect is rule.effect and (not is_twin or other_number < number):
            return f"rules[{other_number}] has the same effect on every call it matches"
    allows = [other for _, other in enforced if other.effect is Effect.ALLOW]
    if rule.effect is Effect.DENY and default is Effect.DENY and not any(_meet(rule, a) for a in allows):
        return "everything it denies is denied by the default, and no rule allows any of it"
    return ""


def _covers(wide: Rule, narrow: Rule) -> bool:
    """Say whether every call that `narrow` matches is matched by `wide`."""
    pairs = (
        (wide.groups, narrow.groups),
        (wide.services, narrow.services),
        (wide.providers, narrow.providers),
        (wide.methods, narrow.methods),
    )
    if not all(not outer or (inner and inner <= outer) for outer, inner in pairs):
        return False
    is_exact = wide.effect is Effect.ALLOW
    return not wide.paths or (
        bool(narrow.paths)
        and all(
            any(_holds(outer, inner, is_exact=is_exact) for outer in wide.paths) for inner in narrow.paths
        )
    )


def _meet(one: Rule, other: Rule) -> bool:
    """Say whether some call may be matched by both: a user can be in any two groups at once."""
    users = not one.services and not other.services
    services = not one.groups and not other.groups and _overlap(one.services, other.services)
    return (
        (users or services)
        and _overlap(one.providers, other.providers)
        and _overlap(one.methods, other.methods)
        and (not one.paths or not other.paths or any(_touch(a, b) for a in one.paths for b in other.paths))
    )


def _overlap(one: AbstractSet[str], other: AbstractSet[str]) -> bool:
    return not one or not other or not one.isdisjoint(other)


def _touch(one: str, other: str) -> bool:
    return _holds(one, other, is_exact=False) or _holds(other, one, is_exact=False)


def _holds(outer: str, inner: str, *, is_exact: bool) -> bool:
    """Say whether the pattern `outer` matches whatever `inner` does, as the engine compares."""
    fold = str if is_exact else str.lower
    wide, narrow = (fold(decoded(pattern.removesuffix("*"))) for pattern in (outer, inner))
    if outer.endswith("*"):
        return narrow.startswith(wide)
    return narrow == wide and not inner.endswith("*")
