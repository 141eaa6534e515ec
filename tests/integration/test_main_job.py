"""The main job from import to answer, on every store: the user's JWT goes in, that user's token goes out."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.world import SERVICE_KEY, Reply

if TYPE_CHECKING:
    from tests.integration.world import Sidecar, World


async def test_the_provider_sees_the_users_token_and_never_the_jwt(world: World, store: str) -> None:
    sidecar = await world.sidecar(store)
    pair = world.provider.issue("ann")
    await sidecar.grant("ann", pair=pair)
    jwt = world.idp.token("ann")
    target = "/echo/a%2Fb//c;d=1?q=%20+x&q=&empty#"[:-1]

    reply = await sidecar.call(f"/files{target}", jwt, headers={"X-Trace": "7", "Accept": "text/plain"})

    assert reply.status == 200
    saw = reply.json()
    assert (saw["user"], saw["method"], saw["target"]) == ("ann", "GET", target)
    assert saw["headers"] == [
        ["Host", world.provider.url.removeprefix("http://")],
        ["Authorization", f"Bearer {pair.access_token}"],
        ["X-Trace", "7"],
        ["Accept", "text/plain"],
    ]
    assert jwt not in str(world.provider.seen[-1].headers)


async def test_a_body_arrives_whole(world: World, store: str) -> None:
    sidecar = await world.sidecar(store)
    await sidecar.grant("ann")
    body = bytes(range(256)) * 4096

    reply = await sidecar.call("/files/echo/up", world.idp.token("ann"), method="POST", body=body)

    saw = reply.json()
    assert (saw["method"], saw["body_bytes"]) == ("POST", len(body))
    assert ["Content-Length", str(len(body))] in saw["headers"]


async def test_the_answer_comes_back_unchanged(world: World) -> None:
    sidecar = await world.sidecar()
    await sidecar.grant("ann")
    world.provider.respond(
        "/odd",
        b"HTTP/1.1 207 Quite Odd\r\nSet-Cookie: a=1\r\nx-Odd:  spaced \r\nSet-Cookie: b=2\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x00\xff",
    )
    request = (
        f"GET /files/odd HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {world.idp.token('ann')}\r\n"
    )

    answer = await sidecar.raw(f"{request}Connection: close\r\n\r\n".encode())

    assert answer == (
        b"HTTP/1.1 207 Quite Odd\r\nSet-Cookie: a=1\r\nx-Odd: spaced\r\nSet-Cookie: b=2\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\nConnection: close\r\n\r\n\x1f\x8b\x00\xff"
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 429, 500, 502, 503, 504])
async def test_a_providers_error_is_handed_back_as_it_is(world: World, status: int) -> None:
    sidecar = await world.sidecar()
    await sidecar.grant("ann")

    reply = await sidecar.call(f"/files/status/{status}", world.idp.token("ann"))

    assert (reply.status, reply.json(), reply.code) == (status, {"status": status}, "")
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_handed_back_and_never_followed(world: World, status: int) -> None:
    sidecar = await world.sidecar()
    await sidecar.grant("ann")
    elsewhere = "https://elsewhere.example/x?y=1"

    reply = await sidecar.call(f"/files/redirect?status={status}&to={elsewhere}", world.idp.token("ann"))

    assert (reply.status, reply.headers["Location"], reply.code) == (status, elsewhere, "")
    assert len(world.provider.seen) == 1


async def test_a_removed_grant_is_refused_at_once(world: World, store: str) -> None:
    sidecar = await world.sidecar(store)
    grant = await sidecar.grant("ann")
    jwt = world.idp.token("ann")
    assert (await sidecar.call("/files/echo", jwt)).status == 200

    removed = await sidecar.admin(f"/grants/{grant}", method="DELETE")

    assert (removed.status, removed.body) == (204, b"")
    refused = await sidecar.call("/files/echo", jwt)
    assert (refused.status, refused.code) == (403, "no_delegated_grant")
    assert (await sidecar.admin(f"/grants/{grant}")).code == "not_found"
    assert (await sidecar.admin(f"/grants/{grant}", method="DELETE")).code == "not_found"


async def test_a_second_import_keeps_the_id_and_replaces_the_tokens(world: World, store: str) -> None:
    sidecar = await world.sidecar(store)
    first, second = world.provider.issue("ann", account="a"), world.provider.issue("ann", account="b")
    row = {"account": "work", "expires_at": first.expires_at}
    created = await sidecar.imported("ann", access_token=first.access_token, **row)
    jwt = world.idp.token("ann")
    assert (await sidecar.call("/files/echo", jwt)).json()["account"] == "a"

    replaced = await sidecar.imported("ann", access_token=second.access_token, **row)

    assert (created.status, replaced.status) == (201, 200)
    assert created.json()["id"] == replaced.json()["id"]
    assert (await sidecar.call("/files/echo", jwt)).json()["account"] == "b"


async def test_operators_list_grants_by_page_and_by_user_without_secrets(world: World, store: str) -> None:
    sidecar = await world.sidecar(store)
    made = {await sidecar.grant(user, account=account) for user in ("ann", "ben", "cid") for account in "xy"}

    listed = await _every_page(sidecar, limit=2)
    of_ben = await sidecar.admin("/grants?subject=ben")
    shown = await sidecar.admin(f"/grants/{min(made)}")

    assert {grant["id"] for grant in listed} == made
    assert [(grant["subject"], grant["status"]) for grant in of_ben.json()["grants"]] == [
        ("ben", "active")
    ] * 2
    assert shown.json() in listed
    assert not {"access_token", "refresh_token"} & shown.json().keys()
    assert "at_" not in json.dumps(listed)
    assert "rt_" not in json.dumps(listed)


async def test_fifty_callers_of_an_expired_grant_cost_one_refresh(world: World, store: str) -> None:
    sidecar = await world.sidecar(store)
    await sidecar.grant("ann", expires_in=600)
    world.advance(601)
    jwt = world.idp.token("ann")

    replies = await asyncio.gather(*(sidecar.call(f"/files/echo/{n}", jwt) for n in range(50)))

    assert [(reply.status, reply.json()["target"]) for reply in replies] == [
        (200, f"/echo/{n}") for n in range(50)
    ]
    assert {reply.json()["user"] for reply in replies} == {"ann"}
    assert (world.provider.token_calls, world.provider.reuse_detected) == (1, 0)


async def test_a_rotated_refresh_token_survives_a_restart(world: World, lasting_store: str) -> None:
    before = await world.sidecar(lasting_store)
    await before.grant("ann", expires_in=600)
    for _ in range(2):
        world.advance(3601)
        assert (await before.call("/files/echo", world.idp.token("ann"))).status == 200
    await before.stop()
    after = await world.sidecar(lasting_store)
    world.advance(3601)

    reply = await after.call("/files/echo", world.idp.token("ann"))

    assert (reply.status, reply.json()["user"]) == (200, "ann")
    assert (world.provider.token_calls, world.provider.reuse_detected) == (3, 0)


async def test_a_refresh_under_way_is_kept_although_nothing_is_drained(
    world: World, lasting_store: str
) -> None:
    before = await world.sidecar(lasting_store, shutdown={"drain_timeout": "0s"})
    await before.grant("ann", expires_in=-1)
    world.provider.token_endpoint.after.hold()
    call = asyncio.create_task(before.call("/files/echo", world.idp.token("ann")))
    await world.provider.until(lambda: world.provider.token_calls == 1)

    # The answer comes while the sidecar stops, after its caller was cut off.
    asyncio.get_running_loop().call_later(0.2, world.provider.token_endpoint.after.release)
    await before.stop()
    await asyncio.gather(call, return_exceptions=True)
    after = await world.sidecar(lasting_store)

    assert (await after.call("/files/echo", world.idp.token("ann"))).status == 200
    assert (world.provider.token_calls, world.provider.reuse_detected) == (1, 0)


async def test_a_token_that_is_due_is_renewed_behind_the_scenes(world: World, store: str) -> None:
    sidecar = await world.sidecar(store)
    pair = world.provider.issue("ann", expires_in=600)
    await sidecar.grant("ann", pair=pair)
    world.provider.token_endpoint.before.hold()
    world.advance(594)
    jwt = world.idp.token("ann")

    while_due = await sidecar.call("/files/echo", jwt)
    await world.provider.until(lambda: world.provider.token_calls == 1)
    world.provider.token_endpoint.before.release()
    world.advance(10)
    afterwards = await sidecar.call("/files/echo", jwt)

    assert ["Authorization", f"Bearer {pair.access_token}"] in while_due.json()["headers"]
    assert ["Authorization", f"Bearer {pair.access_token}"] not in afterwards.json()["headers"]
    assert (afterwards.status, world.provider.token_calls) == (200, 1)


async def test_a_user_sees_and_revokes_only_what_is_theirs(world: World, store: str) -> None:
    sidecar = await world.sidecar(store)
    ann, ben = await sidecar.grant("ann", account="work"), await sidecar.grant("ben")
    jwt = world.idp.token("ann", groups=["staff"], claims={"email": "ann@example.test", "name": "Ann"})

    profile = await sidecar.v1("/me", jwt)
    grants = await sidecar.v1("/me/grants", jwt)
    of_ben = await sidecar.v1(f"/me/grants/{ben}", jwt, method="DELETE")
    own = await sidecar.v1(f"/me/grants/{ann}", jwt, method="DELETE")

    assert profile.json() == {
        "sub": "ann",
        "iss": world.idp.issuer,
        "email": "ann@example.test",
        "name": "Ann",
        "organisation": None,
        "groups": ["staff"],
    }
    assert [(grant["id"], grant["account"]) for grant in grants.json()["grants"]] == [(ann, "work")]
    assert (of_ben.status, of_ben.code) == (404, "not_found")
    assert own.status == 204
    assert (await sidecar.call("/files/echo", jwt)).code == "no_delegated_grant"
    assert (await sidecar.call("/files/echo", world.idp.token("ben"))).status == 200


async def test_verify_answers_as_the_data_plane_would_without_calling_anybody(world: World) -> None:
    sidecar = await world.sidecar()

    good = await sidecar.verify(world.idp.token("ann"))
    stale = await sidecar.verify(world.idp.token("ann", lifetime=-60))
    foreign = await sidecar.verify(world.idp.token("ann", audience="https://elsewhere.test"))
    nobody = await sidecar.verify()

    assert (good.status, good.json()) == (200, {"sub": "ann"})
    assert [reply.code for reply in (stale, foreign, nobody)] == [
        "token_expired",
        "invalid_token",
        "missing_token",
    ]
    assert not world.provider.seen


async def test_a_service_uses_the_grant_it_names_at_the_providers_it_may_reach(
    world: World, store: str
) -> None:
    sidecar = await world.sidecar(
        store,
        providers={"files": world.describe(), "mail": world.describe()},
        services={"nightly": {"keys": [SERVICE_KEY], "providers": ["files"]}},
    )
    grant = await sidecar.grant("ann")
    mail = await sidecar.grant("ann", provider="mail")

    served = await sidecar.call("/files/echo", SERVICE_KEY, headers={"Sidecar-Grant": grant})
    unnamed = await sidecar.call("/files/echo", SERVICE_KEY)
    elsewhere = await sidecar.call("/mail/echo", SERVICE_KEY, headers={"Sidecar-Grant": mail})
    crossed = await sidecar.call("/files/echo", SERVICE_KEY, headers={"Sidecar-Grant": mail})
    profile = await sidecar.v1("/me", SERVICE_KEY)

    assert (served.status, served.json()["user"]) == (200, "ann")
    assert SERVICE_KEY not in served.body.decode()
    assert (unnamed.status, unnamed.code) == (400, "bad_request")
    assert (elsewhere.status, elsewhere.code) == (403, "policy_denied")
    assert (crossed.status, crossed.code) == (403, "no_delegated_grant")
    assert (profile.status, profile.code) == (401, "invalid_token")


async def test_policies_refuse_admit_and_observe(world: World) -> None:
    sidecar = await world.sidecar(
        policies={
            "default": "deny",
            "rules": [
                {"groups": ["staff"], "methods": ["GET"], "effect": "allow"},
                {"groups": ["staff"], "paths": ["/echo/secret/*"], "effect": "deny"},
                {"groups": ["interns"], "effect": "allow"},
                {"groups": ["interns"], "paths": ["/echo/secret/*"], "effect": "deny", "mode": "observe"},
            ],
        }
    )
    await sidecar.grant("ann")
    groups = {"staff": ["staff"], "intern": ["interns"], "guest": []}
    jwts = {kind: world.idp.token("ann", groups=names) for kind, names in groups.items()}

    async def status(kind: str, path: str, method: str = "GET") -> tuple[int, str]:
        reply = await sidecar.call(f"/files{path}", jwts[kind], method=method)
        return reply.status, reply.code

    assert await status("staff", "/echo/x") == (200, "")
    assert await status("staff", "/echo/x", "DELETE") == (403, "policy_denied")
    assert await status("staff", "/echo/secret/x") == (403, "policy_denied")
    assert await status("staff", "/echo/%73ecret/x") == (403, "policy_denied")
    assert await status("staff", "/echo/x/../secret/x") == (400, "bad_request")
    assert await status("intern", "/echo/secret/x") == (200, "")
    assert await status("guest", "/echo/x") == (403, "policy_denied")
    metrics = (await sidecar.ops("/metrics")).body.decode()
    assert 'sidecar_policy_decisions_total{effect="deny",mode="observe"} 1.0' in metrics


PLACEMENTS: list[tuple[dict[str, str], str]] = [
    ({}, "header"),
    ({"header": "X-Token", "format": "token={token}"}, "named header"),
    ({"query": "access_token"}, "query"),
    ({"basic": "{token}:"}, "basic user"),
    ({"basic": "x-token:{token}"}, "basic password"),
]


@pytest.mark.parametrize(("placement", "what"), PLACEMENTS, ids=[what for _, what in PLACEMENTS])
async def test_the_token_stands_where_the_provider_reads_it(
    world: World, placement: dict[str, str], what: str
) -> None:
    # A token that the box itself only knows in the usual places is looked up by the test.
    world.provider.requires_token = False
    described = world.describe(placement=placement) if placement else world.describe()
    sidecar = await world.sidecar(providers={"files": described})
    token = world.provider.issue("ann").access_token
    await sidecar.imported("ann", access_token=token)
    forged = {"X-Token": "token=forged", "Authorization": f"Bearer {world.idp.token('ann')}"}

    reply = await sidecar.call("/files/echo?a=1&access_token=forged", headers=forged)

    saw = reply.json()
    fields = {
        (name.lower(), value)
        for name, value in saw["headers"]
        if name.lower() in ("authorization", "x-token")
    }
    left = {("x-token", "token=forged")}
    expected: dict[str, tuple[set[tuple[str, str]], str]] = {
        "header": ({("authorization", f"Bearer {token}"), *left}, "a=1&access_token=forged"),
        "named header": ({("x-token", f"token={token}")}, "a=1&access_token=forged"),
        "query": (left, f"a=1&access_token={token}"),
        "basic user": ({("authorization", _basic(f"{token}:")), *left}, "a=1&access_token=forged"),
        "basic password": ({("authorization", _basic(f"x-token:{token}")), *left}, "a=1&access_token=forged"),
    }
    assert (fields, saw["target"].partition("?")[2]) == expected[what]


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


async def _every_page(sidecar: Sidecar, *, limit: int) -> list[dict[str, Any]]:
    """Walk all grants; a page may hold a little more than was asked for."""
    found: list[dict[str, Any]] = []
    after = ""
    for _ in range(100):
        page: Reply = await sidecar.admin(f"/grants?limit={limit}" + (f"&after={after}" if after else ""))
        found += [grant for grant in page.json()["grants"] if grant["issuer"] == sidecar.world.idp.issuer]
        after = page.json()["after"]
        if not after:
            return found
    raise AssertionError("the walk has no end")
