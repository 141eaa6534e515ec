"""Read policies from plain values.

A rule that can never match looks like protection and is none, so it is refused, with its number.

Scope: pure. That providers, services and groups exist is for those to check who know them; rules that match
and change nothing are found by `review`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.policies.evaluation import is_ambiguous
from sidecar.policies.model import Effect, Mode, Policies, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

# RFC 9110 §9.1: a method is a token.
_METHOD: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """A rule as it stands in the settings; an empty member matches everything."""

    groups: Sequence[str] = ()
    services: Sequence[str] = ()
    providers: Sequence[str] = ()
    methods: Sequence[str] = ()
    paths: Sequence[str] = ()
    effect: str
    mode: str = Mode.ENFORCE.value


def parse_policies(*, default: str, rules: Sequence[RuleSpec]) -> Policies:
    """Return the policies; `ValueError` starts with the member at fault, such as `rules[2].paths[0]`."""
    return Policies(
        default=_effect(default, "default"),
        rules=tuple(_rule(spec, f"rules[{number}]") for number, spec in enumerate(rules)),
    )


def _rule(spec: RuleSpec, where: str) -> Rule:
    if spec.groups and spec.services:
        raise ValueError(f"{where} names groups and services; nobody has both, so write two rules")
    for member in ("groups", "services", "providers"):
        if not all(getattr(spec, member)):
            raise ValueError(f"{where}.{member} has an empty name")
    return Rule(
        groups=frozenset(spec.groups),
        services=frozenset(spec.services),
        providers=frozenset(spec.providers),
        methods=frozenset(_method(text, f"{where}.methods[{n}]") for n, text in enumerate(spec.methods)),
        paths=tuple(_path(text, f"{where}.paths[{n}]") for n, text in enumerate(spec.paths)),
        effect=_effect(spec.effect, f"{where}.effect"),
        mode=_mode(spec.mode, f"{where}.mode"),
    )


def _effect(text: str, where: str) -> Effect:
    if text not in set(Effect):
        raise ValueError(f"{where} must be allow or deny")
    return Effect(text)


def _mode(text: str, where: str) -> Mode:
    if text not in set(Mode):
        raise ValueError(f"{where} must be enforce or observe")
    return Mode(text)


def _method(text: str, where: str) -> str:
    if not _METHOD.fullmatch(text):
        raise ValueError(f"{where} must be a method such as GET")
    return text.upper()


def _path(text: str, where: str) -> str:
    # With a letter in the place of the rest, `/.*` is the beginning of a name and not a dot segment.
    sample = text[:-1] + "x" if text.endswith("*") else text
    if not text.startswith("/") or "*" in sample:
        raise ValueError(f"{where} must start with / and may have one * at its end (a literal one is %2A)")
    if is_ambiguous(sample) or not text.isprintable():
        raise ValueError(
            f"{where} has dot segments, doubled or escaped slashes: no path that passes can match"
        )
    if "?" in text or "#" in text:
        raise ValueError(f"{where} must not have a query: paths are compared without it (a literal ? is %3F)")
    return text
