from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.policies.evaluation import PolicyEngine
from sidecar.policies.model import Call, Effect, Mode, Policies, Rule
from sidecar.policies.review import warnings


def rule(effect, *, mode=Mode.ENFORCE, paths=(), **fields) -> Rule:
    return Rule(
        effect=effect,
        mode=mode,
        paths=tuple(paths),
        **{name: frozenset(values) for name, values in fields.items()},
    )


def allow(**fields) -> Rule:
    return rule(Effect.ALLOW, **fields)


def deny(**fields) -> Rule:
    return rule(Effect.DENY, **fields)


def idle(default, *rules) -> list[int]:
    return [
        int(text.removeprefix("rules[").partition("]")[0])
        for text in warnings(Policies(default=default, rules=rules))
    ]


@pytest.mark.parametrize(
    ("default", "rules", "expected"),
    [
        (Effect.ALLOW, [], []),
        (Effect.ALLOW, [allow()], [0]),
        (Effect.ALLOW, [deny(groups=["a"]), allow(groups=["a"])], [1]),
        (Effect.ALLOW, [deny()], []),
        (Effect.ALLOW, [deny(), deny(groups=["a"])], [1]),
        (Effect.ALLOW, [deny(groups=["a"]), deny()], [0]),
        (Effect.ALLOW, [deny(groups=["a"]), deny(groups=["a"])], [1]),
        (Effect.ALLOW, [deny(groups=["a"]), deny(groups=["b"])], []),
        (Effect.ALLOW, [deny(groups=["a", "b"]), deny(groups=["b"])], [1]),
        (Effect.ALLOW, [deny(groups=["b"]), deny(groups=["a", "b"])], [0]),
        (Effect.ALLOW, [deny(paths=["/a/*"]), deny(paths=["/A/b", "/a/c/*"])], [1]),
        (Effect.ALLOW, [deny(paths=["/a/*"]), deny(paths=["/a/b", "/b"])], []),
        (Effect.ALLOW, [deny(paths=["/a/*"]), deny()], [0]),
        (Effect.ALLOW, [deny(paths=["/a/b"]), deny(paths=["/a/*"])], [0]),
        (Effect.ALLOW, [deny(mode=Mode.OBSERVE), deny(groups=["a"])], []),
        (Effect.ALLOW, [deny(), deny(mode=Mode.OBSERVE)], []),
        (Effect.DENY, [allow()], []),
        (Effect.DENY, [deny()], [0]),
        (Effect.DENY, [allow(), deny(groups=["a"])], []),
        (Effect.DENY, [allow(groups=["b"]), deny(groups=["a"])], []),
        (Effect.DENY, [allow(services=["s"]), deny(groups=["a"])], [1]),
        (Effect.DENY, [allow(services=["s"]), deny(services=["t"])], [1]),
        (Effect.DENY, [allow(services=["s"]), deny(services=["s"], methods=["PUT"])], []),
        (Effect.DENY, [allow(providers=["x"]), deny(providers=["y"])], [1]),
        (Effect.DENY, [allow(methods=["GET"]), deny(methods=["PUT"])], [1]),
        (Effect.DENY, [allow(paths=["/a/*"]), deny(paths=["/A/b"])], []),
        (Effect.DENY, [allow(paths=["/a/*"]), deny(paths=["/b/*"])], [1]),
        (Effect.DENY, [allow(paths=["/a/b"]), deny(paths=["/a/*"])], [0]),
        (Effect.DENY, [allow(paths=["/a/*"]), deny(paths=["/a"])], [1]),
        (Effect.DENY, [allow(), allow(groups=["a"])], [1]),
        (Effect.DENY, [allow(paths=["/A/*"]), allow(paths=["/a/b"])], []),
        (Effect.DENY, [allow(groups=["a"]), deny()], [0]),
    ],
)
def test_rules_that_change_nothing_are_reported(default, rules, expected):
    assert idle(default, *rules) == expected


def test_a_warning_names_the_rule_and_the_reason():
    found = warnings(Policies(default=Effect.DENY, rules=(allow(groups=["a"]), allow())))

    assert found == ("rules[0] has no effect: rules[1] has the same effect on every call it matches",)


NAMES = st.frozensets(st.sampled_from(["a", "b"]), max_size=2)
RULES = st.builds(
    Rule,
    groups=NAMES,
    services=st.just(frozenset()),
    providers=st.frozensets(st.sampled_from(["a", "b"]), max_size=1),
    methods=st.frozensets(st.sampled_from(["GET", "PUT"]), max_size=1),
    paths=st.lists(st.sampled_from(["/a", "/A", "/%61", "/a/*", "/a*", "/*", "/b"]), max_size=2).map(tuple),
    effect=st.sampled_from(Effect),
    mode=st.sampled_from(Mode),
) | st.builds(rule, st.sampled_from(Effect), services=NAMES)


@given(
    st.sampled_from(Effect),
    st.lists(RULES, min_size=1, max_size=4),
    st.builds(
        Call,
        provider=st.sampled_from(["a", "b", "c"]),
        method=st.sampled_from(["GET", "PUT"]),
        path=st.sampled_from(["/", "/a", "/A", "/a/b", "/A/b", "/b"]),
    ),
    st.one_of(st.builds(dict, groups=NAMES), st.builds(dict, service=st.sampled_from(["a", "b", "c"]))),
)
def test_a_reported_rule_can_go_and_no_verdict_changes(default, rules, call, caller):
    policies = Policies(default=default, rules=tuple(rules))
    verdict = PolicyEngine(policies).decide(call, **caller).effect

    for number in idle(default, *rules):
        rest = tuple(rules[:number] + rules[number + 1 :])
        without = PolicyEngine(replace(policies, rules=rest)).decide(call, **caller)
        assert without.effect is verdict
