"""What a policy is made of: the call it judges, the rules, the verdict.

Scope: values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What a rule, or the default, says."""

    ALLOW = "allow"
    DENY = "deny"


class Mode(StrEnum):
    """Whether a rule acts or is only counted."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The upstream call to be judged; `path` is the upstream path as it will be sent, without its query."""

    provider: str
    method: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule; an empty field matches everything, except that `groups` never match a service.

    A trailing `*` in a path is any rest; without it the path must be equal.
    """

    groups: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    effect: Effect
    mode: Mode = Mode.ENFORCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """All rules; without any, everything is allowed."""

    default: Effect = Effect.ALLOW
    rules: tuple[Rule, ...] = ()
