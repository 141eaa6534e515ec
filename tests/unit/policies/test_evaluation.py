import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import BadRequestError
from sidecar.policies.evaluation import PolicyEngine, is_ambiguous
from sidecar.policies.model import Call, Effect, Mode, Policies, Rule

GET = Call(provider="google", method="GET", path="/calendar/v3/x")


def rule(effect=Effect.DENY, *, mode=Mode.ENFORCE, paths=(), **fields) -> Rule:
    return Rule(
        effect=effect,
        mode=mode,
        paths=tuple(paths),
        **{name: frozenset(values) for name, values in fields.items()},
    )


def effect_of(call, *rules, default=Effect.ALLOW, groups=(), service="") -> Effect:
    engine = PolicyEngine(Policies(default=default, rules=rules))
    return engine.decide(call, groups=frozenset(groups), service=service).effect


def at(path: str) -> Call:
    return replace(GET, path=path)


@pytest.mark.parametrize("default", Effect)
def test_without_rules_the_default_decides(default):
    assert effect_of(GET, default=default) is default


@pytest.mark.parametrize(
    ("effects", "default"),
    [
        (effects, default)
        for count in range(4)
        for effects in itertools.product(Effect, repeat=count)
        for default in Effect
    ],
)
def test_a_deny_refuses_else_an_allow_admits_else_the_default(effects, default):
    expected = Effect.DENY if Effect.DENY in effects else Effect.ALLOW if effects else default

    assert effect_of(GET, *map(rule, effects), default=default) is expected


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({}, True),
        ({"providers": ["google"]}, True),
        ({"providers": ["google", "slack"]}, True),
        ({"providers": ["slack"]}, False),
        ({"methods": ["GET", "HEAD"]}, True),
        ({"methods": ["POST"]}, False),
        ({"groups": ["staff"]}, True),
        ({"groups": ["staff", "interns"]}, True),
        ({"groups": ["interns"]}, False),
        ({"groups": ["Staff"]}, False),
        ({"services": ["nightly"]}, False),
        ({"services": [""]}, False),
        ({"groups": ["staff"], "services": ["nightly"]}, False),
        ({"paths": ["/calendar/*"]}, True),
        ({"paths": ["/gmail/*"]}, False),
        ({"groups": ["staff"], "providers": ["google"], "methods": ["GET"], "paths": ["/*"]}, True),
        ({"groups": ["staff"], "providers": ["google"], "methods": ["PUT"], "paths": ["/*"]}, False),
    ],
)
def test_a_user_is_matched_by_every_named_field(fields, matches):
    verdict = effect_of(GET, rule(**fields), groups=["staff", "everyone"])

    assert (verdict is Effect.DENY) is matches


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({}, True),
        ({"services": ["nightly"]}, True),
        ({"services": ["weekly", "nightly"]}, True),
        ({"services": ["weekly"]}, False),
        ({"groups": ["staff"]}, False),
        ({"groups": ["nightly"]}, False),
        ({"groups": ["staff"], "services": ["nightly"]}, False),
        ({"providers": ["google"]}, True),
    ],
)
def test_a_service_is_matched_by_its_name_and_never_by_groups(fields, matches):
    verdict = effect_of(GET, rule(**fields), groups=["staff"], service="nightly")

    assert (verdict is Effect.DENY) is matches


def test_a_method_is_compared_in_upper_case():
    assert effect_of(replace(GET, method="delete"), rule(methods=["DELETE"])) is Effect.DENY


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/calendar/v3", "/calendar/v3", True),
        ("/calendar/v3", "/calendar/v3/", False),
        ("/calendar/v3", "/calendar/v30", False),
        ("/calendar/v3/*", "/calendar/v3/", True),
        ("/calendar/v3/*", "/calendar/v3/a/b", True),
        ("/calendar/v3/*", "/calendar/v3", False),
        ("/calendar/v3*", "/calendar/v30", True),
        ("/*", "/", True),
        ("/a/*", "/b/a/c", False),
        ("/calendar/v3/*", "/calendar/%76%33/x", True),
        ("/calendar/%76%33/*", "/calendar/v3/x", True),
        ("/users/me@example.com", "/users/me%40example.com", True),
        ("/files:delete", "/files%3Adelete", True),
        ("/files%3adelete", "/files:delete", True),
        ("/a b", "/a%20b", True),
        ("/\u00fc", "/%C3%BC", True),
        ("/%c3%bc", "/%C3%BC", True),
        ("/a%2A", "/a*", True),
        ("/a%2A", "/ab", False),
        ("/a%2541", "/a%41", False),
        ("/a%2541", "/aA", False),
    ],
)
@pytest.mark.parametrize("effect", Effect)
def test_paths_are_compared_as_the_provider_decodes_them(effect, pattern, path, matches):
    default = Effect.DENY if effect is Effect.ALLOW else Effect.ALLOW

    verdict = effect_of(at(path), rule(effect, paths=[pattern]), default=default)

    assert (verdict is effect) is matches


@pytest.mark.parametrize("path", ["/repos/ACME/Secret/keys", "/Repos/acme/%53ecret/keys"])
def test_case_evades_no_deny_and_earns_no_allow(path):
    patterns = ["/repos/acme/secret/*"]

    assert effect_of(at(path), rule(Effect.DENY, paths=patterns)) is Effect.DENY
    assert effect_of(at(path), rule(Effect.ALLOW, paths=patterns), default=Effect.DENY) is Effect.DENY


AMBIGUOUS = [
    "",
    "*",
    "calendar",
    "/..",
    "/.",
    "/../",
    "/a/../b",
    "/a/./b",
    "/a/..",
    "/a/%2e%2E/b",
    "/a/.%2e",
    "/a/%2e",
    "/a/..;x=1/b",
    "/a/.;/b",
    "/a/..%3bx",
    "/a%2fb",
    "/a%2Fb",
    "/a%5cb",
    "/a%5Cb",
    "/a\\b",
    "/a//b",
    "//a",
    "/a//",
    "/a%00",
    "/a%0a",
    "/a%1F",
    "/a%7f",
    "/a%",
    "/a%4",
    "/a%zz",
    "/a%%41",
]
PLAIN = [
    "/",
    "/a",
    "/a/",
    "/.well-known/x",
    "/a/..b",
    "/a/b..",
    "/a/...",
    "/a.b/c",
    "/a;x=..",
    "/a%2e",
    "/%25",
]


@pytest.mark.parametrize("path", AMBIGUOUS)
@pytest.mark.parametrize("effect", Effect)
def test_an_ambiguous_path_under_a_path_rule_is_a_bad_request(effect, path):
    with pytest.raises(BadRequestError) as caught:
        effect_of(at(path), rule(effect, paths=["/other"]))

    assert caught.value.code == "bad_request"
    assert len(path) < 3 or path not in f"{caught.value.detail} {caught.value.hint}"


@pytest.mark.parametrize("path", PLAIN)
def test_a_path_that_all_read_alike_is_not_ambiguous(path):
    assert not is_ambiguous(path)
    assert effect_of(at(path), rule(paths=["/other"])) is Effect.ALLOW


@pytest.mark.parametrize("path", AMBIGUOUS)
@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((), Effect.ALLOW),
        ((rule(Effect.ALLOW),), Effect.ALLOW),
        ((rule(paths=["/x"], providers=["slack"]),), Effect.ALLOW),
        ((rule(paths=["/x"], methods=["POST"]),), Effect.ALLOW),
        ((rule(paths=["/x"], groups=["staff"]),), Effect.ALLOW),
        ((rule(paths=["/x"], services=["nightly"]),), Effect.ALLOW),
        ((rule(paths=["/*"], mode=Mode.OBSERVE),), Effect.ALLOW),
        ((rule(paths=["/x"]), rule()), Effect.DENY),
    ],
)
def test_an_ambiguous_path_matters_only_where_a_path_rule_would_decide(path, rules, expected):
    assert effect_of(at(path), *rules) is expected


@pytest.mark.parametrize(
    ("rules", "default", "counts"),
    [
        ((), Effect.ALLOW, [(Effect.ALLOW, Mode.ENFORCE)]),
        ((rule(),), Effect.ALLOW, [(Effect.DENY, Mode.ENFORCE)]),
        (
            (rule(mode=Mode.OBSERVE),),
            Effect.ALLOW,
            [(Effect.ALLOW, Mode.ENFORCE), (Effect.DENY, Mode.OBSERVE)],
        ),
        (
            (rule(Effect.ALLOW, mode=Mode.OBSERVE),),
            Effect.DENY,
            [(Effect.DENY, Mode.ENFORCE), (Effect.ALLOW, Mode.OBSERVE)],
        ),
        (
            (rule(), rule(Effect.ALLOW, mode=Mode.OBSERVE)),
            Effect.ALLOW,
            [(Effect.DENY, Mode.ENFORCE), (Effect.DENY, Mode.OBSERVE)],
        ),
        ((rule(mode=Mode.OBSERVE, providers=["slack"]),), Effect.ALLOW, [(Effect.ALLOW, Mode.ENFORCE)]),
        ((rule(mode=Mode.OBSERVE, paths=["/gmail/*"]),), Effect.ALLOW, [(Effect.ALLOW, Mode.ENFORCE)]),
    ],
)
def test_what_is_counted_is_the_verdict_and_what_observing_rules_would_make_of_it(rules, default, counts):
    decision = PolicyEngine(Policies(default=default, rules=rules)).decide(GET)

    assert list(decision.counts) == counts
    assert decision.is_allowed is (decision.effect is Effect.ALLOW)


NAMES = st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=2)
PATHS = ["/", "/a", "/A", "/a/b", "/%61/b", "/a/*", "/a*", "/*", "/b"]
RULES = st.builds(
    Rule,
    groups=NAMES,
    services=NAMES,
    providers=NAMES,
    methods=st.frozensets(st.sampled_from(["GET", "POST"]), max_size=1),
    paths=st.lists(st.sampled_from(PATHS), max_size=2).map(tuple),
    effect=st.sampled_from(Effect),
    mode=st.sampled_from(Mode),
)
CALLS = st.builds(
    Call,
    provider=st.sampled_from(["a", "b", "d"]),
    method=st.sampled_from(["GET", "POST", "PUT"]),
    path=st.sampled_from(["/", "/a", "/A", "/a/b", "/%61", "/b", "/a/../b", "/a%2fb"]),
)
CALLERS = st.one_of(
    st.builds(dict, groups=NAMES),
    st.builds(dict, service=st.sampled_from(["a", "b", "d"])),
)
DEFAULTS = st.sampled_from(Effect)


def told(default, rules, call, caller) -> Effect | None:
    try:
        return PolicyEngine(Policies(default=default, rules=tuple(rules))).decide(call, **caller).effect
    except BadRequestError:
        return None


@given(DEFAULTS, st.lists(RULES, max_size=4), CALLS, CALLERS, st.randoms())
def test_the_order_of_rules_means_nothing(default, rules, call, caller, random):
    shuffled = random.sample(rules, len(rules))

    assert told(default, shuffled, call, caller) == told(default, rules, call, caller)


@given(DEFAULTS, st.lists(RULES, max_size=4), CALLS, CALLERS)
def test_observing_rules_never_change_a_verdict(default, rules, call, caller):
    enforced = [rule for rule in rules if rule.mode is Mode.ENFORCE]

    assert told(default, rules, call, caller) == told(default, enforced, call, caller)


@given(DEFAULTS, st.lists(RULES, max_size=4), CALLS, CALLERS)
def test_a_matching_deny_beats_everything(default, rules, call, caller):
    everything = rule(Effect.DENY)

    assert told(default, [*rules, everything], call, caller) is Effect.DENY


@given(DEFAULTS, st.lists(RULES, max_size=4), RULES, CALLS, CALLERS)
def test_another_deny_never_opens_and_another_allow_never_closes(default, rules, extra, call, caller):
    before = told(default, rules, call, caller)
    after = told(default, [*rules, extra], call, caller)

    if before is not None and after is not None and before is not after:
        assert after is extra.effect


@given(DEFAULTS, st.lists(RULES, max_size=4), CALLS, CALLERS)
def test_a_verdict_comes_from_the_default_or_from_a_rule_that_matches_alone(default, rules, call, caller):
    verdict = told(default, rules, call, caller)
    opposite = Effect.DENY if default is Effect.ALLOW else Effect.ALLOW

    if verdict is opposite:
        assert any(told(default, [rule], call, caller) is opposite for rule in rules)
