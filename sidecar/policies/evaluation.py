"""Judge a call by the policies.

A matching deny refuses; else a matching allow admits; else the default. The order of the rules means
nothing, so nobody can open a hole by inserting a line in the wrong place.

A rule on paths is only as good as the comparison. Providers decode escapes, drop dot segments and collapse
slashes before they route, so a path that is compared as it was typed can say one thing to the rule and
another to the provider. Here a path is compared decoded once, as the provider will read it
(`/calendar/%76%33/x` is `/calendar/v3/x`), and one that providers read differently is refused outright.
Deny rules compare without regard to case, because GitHub (names of owners and repositories) and Microsoft
Graph do; allow rules compare exactly. Both errors are on the side of refusing.

Scope: pure. Who the caller is was decided before; counting and refusing are the asker's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from sidecar.errors import BadRequestError
from sidecar.policies.model import Effect, Mode, Policies, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from sidecar.policies.model import Call

_AMBIGUOUS: Final = re.compile(
    # Not a path at all: the asterisk form, a path without its slash.
    r"\A(?!/)"
    # Doubled slashes are one to most routers; a backslash is a slash to some.
    r"|//|\\"
    # Escapes that are none, and those of `/`, `\` and control characters (NUL ends a path in C).
    r"|%(?![0-9A-Fa-f]{2})|%(?:2[fF]|5[cC]|[01][0-9A-Fa-f]|7[fF])"
    # A segment `.` or `..`, a path parameter after it notwithstanding: servers drop the parameter first.
    r"|/(?:\.|%2[eE]){1,2}(?=/|;|%3[bB]|\Z)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the policies say about a call.

    `counts` are the effect with its mode, to be counted: the verdict that acts, and where a rule in observe
    mode matched, the verdict there would be if such rules acted.
    """

    effect: Effect
    counts: tuple[tuple[Effect, Mode], ...]

    @property
    def is_allowed(self) -> bool:
        return self.effect is Effect.ALLOW


# Every decision there is, made once: the path of a request makes none.
_DECISIONS: Final = {
    (effect, observed): Decision(
        effect=effect,
        counts=((effect, Mode.ENFORCE), *(((observed, Mode.OBSERVE),) if observed else ())),
    )
    for effect in Effect
    for observed in (None, *Effect)
}


class PolicyEngine:
    """The policies of one configuration, compiled; `decide` does no more work than the rules need."""

    __slots__ = ("_by_provider", "_default", "_for_others")

    def __init__(self, policies: Policies) -> None:
        self._default = policies.default
        rules = [(rule, _Compiled(rule)) for rule in policies.rules]
        named = {provider for rule in policies.rules for provider in rule.providers}
        self._by_provider = {
            provider: tuple(
                compiled for rule, compiled in rules if not rule.providers or provider in rule.providers
            )
            for provider in named
        }
        self._for_others = tuple(compiled for rule, compiled in rules if not rule.providers)

    def decide(self, call: Call, *, groups: AbstractSet[str] = frozenset(), service: str = "") -> Decision:
        """Judge `call` by a user in `groups`, or by `service` where it is named.

        Raises `BadRequestError` where the path is ambiguous, a rule in force would look at it, and no other
        rule has refused the call anyway.
        """
        rules = self._by_provider.get(call.provider, self._for_others)
        if not rules:
            return _DECISIONS[self._default, None]
        matching = [rule for rule in rules if rule.concerns(call.method, groups, service)]
        if any(rule.looks_at_paths for rule in matching):
            matching = _narrowed(matching, call.path)
        enforced = self._verdict(rule.effect for rule in matching if rule.is_enforced)
        if all(rule.is_enforced for rule in matching):
            return _DECISIONS[enforced, None]
        return _DECISIONS[enforced, self._verdict(rule.effect for rule in matching)]

    def _verdict(self, effects: Iterable[Effect]) -> Effect:
        said = set(effects)
        if Effect.DENY in said:
            return Effect.DENY
        return Effect.ALLOW if Effect.ALLOW in said else self._default


def _narrowed(matching: list[_Compiled], path: str) -> list[_Compiled]:
    """Keep the rules whose paths match; an ambiguous path matches none and must not need to."""
    if not _AMBIGUOUS.search(path):
        exact = decoded(path)
        folded = exact.lower()
        return [rule for rule in matching if rule.covers(exact, folded)]
    regardless = [rule for rule in matching if not rule.looks_at_paths]
    is_refused = any(rule.is_enforced and rule.effect is Effect.DENY for rule in regardless)
    if not is_refused and any(rule.is_enforced and rule.looks_at_paths for rule in matching):
        raise BadRequestError(
            "A policy looks at the path of this call, and providers read this path in different ways.",
            hint="Send it without dot segments, doubled slashes, backslashes and escapes of slashes.",
        )
    return regardless


class _Compiled:
    """A rule with its patterns decoded, and without its providers, by which rules are sorted."""

    __slots__ = (
        "_exact",
        "_groups",
        "_methods",
        "_prefixes",
        "_services",
        "effect",
        "is_enforced",
        "looks_at_paths",
    )

    def __init__(self, rule: Rule) -> None:
        self.effect = rule.effect
        self.is_enforced = rule.mode is Mode.ENFORCE
        self.looks_at_paths = bool(rule.paths)
        self._groups = rule.groups
        self._services = rule.services
        self._methods = rule.methods
        fold = str.lower if rule.effect is Effect.DENY else str
        self._exact = frozenset(fold(decoded(path)) for path in rule.paths if not path.endswith("*"))
        self._prefixes = tuple(fold(decoded(path[:-1])) for path in rule.paths if path.endswith("*"))

    def concerns(self, method: str, groups: AbstractSet[str], service: str) -> bool:
        """Say whether caller and method fit; `groups` never fit a service nor `services` a user."""
        if self._services and not (service and service in self._services):
            return False
        if self._groups and (service or self._groups.isdisjoint(groups)):
            return False
        return not self._methods or method.upper() in self._methods

    def covers(self, exact: str, folded: str) -> bool:
        path = folded if self.effect is Effect.DENY else exact
        return not self.looks_at_paths or path in self._exact or path.startswith(self._prefixes)


def is_ambiguous(path: str) -> bool:
    """Say whether two programs may read `path` differently (RFC 3986 §6.2.2 and what servers do besides)."""
    return _AMBIGUOUS.search(path) is not None


def decoded(path: str) -> str:
    """Return `path` with its escapes decoded once, one character per byte, so that nothing is lost."""
    return unquote_to_bytes(path).decode("latin-1")
