import pytest

from sidecar.policies.model import Effect, Mode, Policies, Rule
from sidecar.policies.parsing import RuleSpec, parse_policies


def refusal(*, default="deny", **members) -> str:
    with pytest.raises(ValueError) as caught:
        parse_policies(
            default=default, rules=[RuleSpec(effect="deny"), RuleSpec(**{"effect": "allow", **members})]
        )
    return str(caught.value)


def test_plain_values_become_policies():
    policies = parse_policies(
        default="deny",
        rules=[
            RuleSpec(
                groups=["contractors"],
                providers=["google"],
                methods=["get", "HEAD"],
                paths=["/calendar/v3/*", "/oauth2/v2/userinfo"],
                effect="allow",
            ),
            RuleSpec(services=["nightly-report"], effect="deny", mode="observe"),
        ],
    )

    assert policies == Policies(
        default=Effect.DENY,
        rules=(
            Rule(
                groups=frozenset({"contractors"}),
                providers=frozenset({"google"}),
                methods=frozenset({"GET", "HEAD"}),
                paths=("/calendar/v3/*", "/oauth2/v2/userinfo"),
                effect=Effect.ALLOW,
            ),
            Rule(services=frozenset({"nightly-report"}), effect=Effect.DENY, mode=Mode.OBSERVE),
        ),
    )


def test_without_rules_the_default_stands_alone():
    assert parse_policies(default="allow", rules=[]) == Policies()


@pytest.mark.parametrize(
    "path",
    ["/", "/*", "/a", "/a/", "/a*", "/.well-known/*", "/contents/.*", "/a b", "/\u00fc", "/a%2A", "/%3F"],
)
def test_a_path_that_can_match_is_kept_as_it_is(path):
    policies = parse_policies(default="deny", rules=[RuleSpec(paths=[path], effect="allow")])

    assert policies.rules[0].paths == (path,)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "a",
        "calendar/*",
        "https://example.com/a",
        "/a*b",
        "/a/*/b",
        "/a**",
        "/a/../b",
        "/a/.",
        "/a/%2e%2e/*",
        "/a//*",
        "/a%2f*",
        "/a\\b",
        "/a%",
        "/a%2*",
        "/a\n",
        "/a\u0000",
        "/a?b=c",
        "/a#b",
    ],
)
def test_a_path_that_can_never_match_is_refused(path):
    assert refusal(paths=["/ok", path]).startswith("rules[1].paths[1] ")


@pytest.mark.parametrize(
    ("members", "start"),
    [
        ({"effect": "permit"}, "rules[1].effect must be"),
        ({"effect": ""}, "rules[1].effect must be"),
        ({"effect": "Allow"}, "rules[1].effect must be"),
        ({"mode": "dry-run"}, "rules[1].mode must be"),
        ({"methods": ["GET", "G ET"]}, "rules[1].methods[1] "),
        ({"methods": [""]}, "rules[1].methods[0] "),
        ({"groups": ["a", ""]}, "rules[1].groups "),
        ({"services": [""]}, "rules[1].services "),
        ({"providers": [""]}, "rules[1].providers "),
        ({"groups": ["a"], "services": ["b"]}, "rules[1] names groups and services"),
        ({"default": "maybe"}, "default must be"),
    ],
)
def test_a_mistake_is_named_by_its_rule_and_member(members, start):
    assert refusal(**members).startswith(start)
