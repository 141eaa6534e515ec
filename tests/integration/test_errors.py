"""Every error that can happen, produced on the wire: its code, its status, its fields, and no input in it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from sidecar.errors import ERRORS
from sidecar.testing.provider import ProviderInABox
from sidecar.testing.token_endpoint import TOKEN_FAILURES
from tests.integration.world import EPHEMERAL, Reply
from tests.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.world import Sidecar, World

CANARY = "echo-canary-7f3a"
"""Stands in whatever a scenario sends: paths, fields, bodies, tokens."""
NOT_YET = {
    "user_deprovisioned": "no event of an identity provider removes users yet",
    "rate_limited": "no budget of requests can be set yet",
    "internal_error": "only a mistake of ours makes it; the tests of each surface break a part",
}


@dataclass(frozen=True)
class Scenario:
    """A way to an error: `produce` brings it about and returns the answer and who gave it."""

    code: str
    status: int
    produce: Callable[[World], Awaitable[tuple[Sidecar, Reply]]]


SCENARIOS: dict[str, Scenario] = {}


def produces(code: str, status: int) -> Callable[..., Callable[[World], Awaitable[tuple[Sidecar, Reply]]]]:
    def register(
        produce: Callable[[World], Awaitable[tuple[Sidecar, Reply]]],
    ) -> Callable[[World], Awaitable[tuple[Sidecar, Reply]]]:
        SCENARIOS[produce.__name__] = Scenario(code, status, produce)
        return produce

    return register


@produces("bad_request", 400)
async def a_broken_account_in_the_path(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    return sidecar, await sidecar.call(f"/files@%zz{CANARY}/x", world.idp.token("ann"))


@produces("bad_request", 400)
async def no_http_at_all(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    return sidecar, Reply.parse(
        await sidecar.raw(f"GET /files/{CANARY} HTTP/1.1\r\n{CANARY}\r\n\r\n".encode())
    )


@produces("bad_request", 400)
async def an_import_with_an_unknown_field(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    return sidecar, await sidecar.imported("ann", **{CANARY: CANARY}, access_token=CANARY)


@produces("bad_request", 400)
async def the_jwt_in_the_query_as_well(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    await sidecar.grant("ann")
    jwt = world.idp.token("ann", claims={"note": CANARY})
    return sidecar, await sidecar.call(f"/files/echo?{CANARY}={jwt}", jwt)


@produces("conflicting_credentials", 400)
async def two_different_jwts(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    headers = {"X-Api-Key": world.idp.token("ben")}
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"), headers=headers)


@produces("missing_token", 401)
async def no_credential(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    return sidecar, await sidecar.call(f"/files/{CANARY}", headers={"X-Odd": CANARY})


@produces("missing_token", 401)
async def no_admin_key(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    host = sidecar.app.addresses["control"]
    request = f"GET /admin/v1/grants?{CANARY} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    return sidecar, Reply.parse(await sidecar.raw(request.encode(), listener="control"))


@produces("invalid_token", 401)
async def a_jwt_nobody_signed(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    return sidecar, await sidecar.call(f"/files/{CANARY}", f"{CANARY}.{CANARY}.{CANARY}")


@produces("invalid_token", 401)
async def a_wrong_key_of_the_listener(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar(listen={**EPHEMERAL, "keys": ["a-key-of-the-listener-0123456789"]})
    headers = {"Sidecar-Key": CANARY}
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"), headers=headers)


@produces("token_expired", 401)
async def an_expired_jwt(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    jwt = world.idp.token("ann", lifetime=-60, claims={"note": CANARY})
    return sidecar, await sidecar.call(f"/files/{CANARY}", jwt)


@produces("no_delegated_grant", 403)
async def a_user_without_a_grant(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    headers = {"Sidecar-Account": CANARY, "Sidecar-Grant": CANARY}
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token(CANARY), headers=headers)


@produces("reauth_required", 403)
async def a_refresh_token_that_the_provider_refuses(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    await sidecar.grant("ann", refresh_token=CANARY, expires_in=-1)
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))


@produces("scope_reauth_required", 403)
async def a_grant_without_a_scope(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar(providers={"files": world.describe(scopes=["write"])})
    await sidecar.grant("ann", scopes=["read"])
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))


@produces("grant_revoked", 403)
async def a_grant_removed_while_it_is_refreshed(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    grant = await sidecar.grant("ann", expires_in=-1)
    world.provider.token_endpoint.after.hold()
    call = asyncio.create_task(sidecar.call(f"/files/{CANARY}", world.idp.token("ann")))
    await world.provider.until(lambda: world.provider.token_calls == 1)
    await sidecar.admin(f"/grants/{grant}", method="DELETE")
    world.provider.token_endpoint.after.release()
    return sidecar, await call


@produces("policy_denied", 403)
async def a_policy_that_denies(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar(policies={"default": "deny"})
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))


@produces("destination_refused", 403)
async def a_host_of_no_provider_in_proxy_form(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    request = f"GET http://{CANARY}.example/ HTTP/1.1\r\nHost: {CANARY}.example\r\nConnection: close\r\n\r\n"
    return sidecar, Reply.parse(await sidecar.raw(request.encode()))


@produces("destination_refused", 403)
async def an_upstream_of_no_provider(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    headers = {"Sidecar-Upstream": f"https://{CANARY}.example"}
    return sidecar, await sidecar.call("/x", world.idp.token("ann"), headers=headers)


@produces("destination_refused", 403)
async def a_provider_at_a_metadata_address(world: World) -> tuple[Sidecar, Reply]:
    described = world.describe(base_url="https://169.254.169.254", networks=["169.254.0.0/16"])
    sidecar = await world.sidecar(providers={"files": described})
    await sidecar.grant("ann")
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))


@produces("cross_site_refused", 403)
async def a_page_of_another_site(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    headers = {"Origin": f"https://{CANARY}.example"}
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"), headers=headers)


@produces("unknown_provider", 404)
async def a_prefix_of_no_provider(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    return sidecar, await sidecar.call(f"/{CANARY}/x", world.idp.token("ann"))


@produces("not_found", 404)
async def a_path_the_control_listener_does_not_serve(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    return sidecar, await sidecar.v1(f"/{CANARY}", world.idp.token("ann"))


@produces("method_not_allowed", 405)
async def a_trace(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"), method="TRACE")


@produces("method_not_allowed", 501)
async def an_unknown_method(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    request = f"{CANARY.upper()} /files/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
    return sidecar, Reply.parse(await sidecar.raw(request.encode()))


@produces("request_timeout", 408)
async def a_head_that_never_ends(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar(limits={"head_timeout": "50ms"})
    return sidecar, Reply.parse(await sidecar.raw(f"GET /files/{CANARY} HTTP/1.1\r\nX: {CANARY}".encode()))


@produces("request_timeout", 408)
async def a_body_that_stalls(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar(limits={"body_timeout": "50ms"})
    await sidecar.grant("ann")
    request = (
        f"POST /files/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
        f"Authorization: Bearer {world.idp.token('ann')}\r\n\r\n{CANARY}"
    )
    return sidecar, Reply.parse(await sidecar.raw(request.encode()))


@produces("ambiguous_grant", 409)
async def two_grants_and_no_name(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    for account in ("home", "work"):
        await sidecar.grant("ann", account=account)
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))


@produces("body_too_large", 413)
async def a_body_beyond_the_limit(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar(limits={"body_bytes": "1KiB"})
    await sidecar.grant("ann")
    body = CANARY.encode() * 1000
    return sidecar, await sidecar.call("/files/upload", world.idp.token("ann"), method="POST", body=body)


@produces("misdirected_request", 421)
async def a_host_that_is_not_ours(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    headers = {"Host": f"{CANARY}.example"}
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"), headers=headers)


@produces("head_too_large", 431)
async def a_head_beyond_the_limit(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar(limits={"head_bytes": "1KiB"})
    request = f"GET /files/x HTTP/1.1\r\nHost: localhost\r\nX-Odd: {CANARY * 100}\r\n\r\n"
    return sidecar, Reply.parse(await sidecar.raw(request.encode()))


@produces("bad_upstream", 502)
async def an_answer_that_is_no_http(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    await sidecar.grant("ann")
    world.provider.respond("/odd", f"{CANARY} odd\r\n\r\n".encode(), closes=True)
    return sidecar, await sidecar.call("/files/odd", world.idp.token("ann"))


@produces("upstream_unreachable", 502)
async def a_provider_that_is_away(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    await sidecar.grant("ann")
    await world.provider.pause()
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))


@produces("upstream_unreachable", 502)
async def a_provider_that_hangs_up(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    await sidecar.grant("ann")
    return sidecar, await sidecar.call("/files/cut?after=nothing", world.idp.token("ann"))


@produces("upstream_tls", 502)
async def a_certificate_nobody_vouches_for(world: World) -> tuple[Sidecar, Reply]:
    async with ProviderInABox(clock=world.clock, tls=True) as secured:
        sidecar = await world.sidecar(providers={"files": world.describe(base_url=secured.url)})
        await sidecar.grant("ann")
        return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))


@produces("upstream_timeout", 504)
async def a_provider_that_does_not_answer(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar(limits={"response_head_timeout": "50ms"})
    await sidecar.grant("ann")
    return sidecar, await sidecar.call("/files/slow", world.idp.token("ann"))


@produces("refresh_unavailable", 503)
async def a_token_endpoint_in_trouble(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    await sidecar.grant("ann", expires_in=-1)
    world.provider.token_endpoint.fail(TOKEN_FAILURES["unavailable"])
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))


@produces("idp_unavailable", 503)
async def an_identity_provider_that_is_away(world: World) -> tuple[Sidecar, Reply]:
    await world.idp.pause()
    sidecar = await world.sidecar()
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))


@produces("store_unavailable", 503)
async def a_store_that_is_away(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar(f"redis://user:{CANARY}@127.0.0.1:{free_port()}/0")
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))


@produces("draining", 503)
async def a_sidecar_on_its_way_out(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar()
    await sidecar.app.drain()
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))


@produces("overloaded", 503)
async def one_request_too_many(world: World) -> tuple[Sidecar, Reply]:
    sidecar = await world.sidecar(limits={"requests": 1})
    await sidecar.grant("ann")
    slow = asyncio.create_task(sidecar.call("/files/slow", world.idp.token("ann")))
    await world.provider.until(lambda: len(world.provider.seen) == 1)
    reply = await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))
    world.provider.api.slow.release()
    assert (await slow).status == 200
    return sidecar, reply


@produces("proxy_loop", 508)
async def a_provider_that_is_the_sidecar_itself(world: World) -> tuple[Sidecar, Reply]:
    port = free_port()
    sidecar = await world.sidecar(
        listen={**EPHEMERAL, "proxy": f"127.0.0.1:{port}"},
        providers={"files": world.describe(base_url=f"http://127.0.0.1:{port}")},
    )
    await sidecar.grant("ann")
    return sidecar, await sidecar.call(f"/files/{CANARY}", world.idp.token("ann"))


@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_error_is_told_in_full_and_without_input(world: World, name: str) -> None:
    scenario = SCENARIOS[name]
    sidecar, reply = await scenario.produce(world)
    problem, headers = reply.json(), reply.headers

    assert (reply.status, reply.code) == (scenario.status, scenario.code)
    assert headers["Content-Type"] == "application/problem+json"
    assert int(headers["Content-Length"]) == len(reply.body)
    assert headers["Cache-Control"] == "no-store"
    assert re.fullmatch(rf'sidecar(; error=[a-z_]+)?; details="{scenario.code}"', headers["Proxy-Status"])
    assert not {"Server", "X-Powered-By"} & headers.keys()
    assert problem["type"].endswith(scenario.code)
    assert (problem["status"], problem["code"]) == (scenario.status, scenario.code)
    assert problem["title"] == ERRORS[scenario.code].title
    assert problem["retryable"] is ERRORS[scenario.code].retryable
    assert problem["detail"]
    assert re.fullmatch(r"[0-9a-f]{16}", problem["instance"])
    assert ("WWW-Authenticate" in headers) is (scenario.status == 401)
    assert ("Retry-After" in headers) is (scenario.status in (429, 503))
    assert CANARY not in (reply.body.decode() + str(headers)).lower()
    metrics = (await sidecar.ops("/metrics")).body.decode()
    assert f'sidecar_errors_total{{code="{scenario.code}"}} 1.0\n' in metrics
    assert CANARY not in metrics.lower()


def test_every_error_that_can_happen_is_produced_here() -> None:
    produced = {scenario.code for scenario in SCENARIOS.values()}

    assert produced == ERRORS.keys() - NOT_YET.keys()
    assert NOT_YET.keys() <= ERRORS.keys()


@pytest.mark.parametrize(
    ("name", "challenge"),
    [
        ("no_credential", "Bearer"),
        ("a_jwt_nobody_signed", 'Bearer error="invalid_token"'),
        ("an_expired_jwt", 'Bearer error="invalid_token", error_description="The token has expired"'),
    ],
)
async def test_a_401_says_what_rfc_6750_wants_it_to(world: World, name: str, challenge: str) -> None:
    _, reply = await SCENARIOS[name].produce(world)

    assert reply.headers["WWW-Authenticate"] == challenge


@pytest.mark.parametrize(
    ("name", "member", "value"),
    [
        ("a_user_without_a_grant", "provider", "files"),
        ("a_refresh_token_that_the_provider_refuses", "provider", "files"),
        ("a_grant_without_a_scope", "missing_scopes", ["write"]),
        ("a_policy_that_denies", "provider", "files"),
        ("a_token_endpoint_in_trouble", "provider", "files"),
    ],
)
async def test_a_problem_says_what_it_is_about(world: World, name: str, member: str, value: object) -> None:
    _, reply = await SCENARIOS[name].produce(world)

    assert reply.json()[member] == value


async def test_an_endpoint_that_asks_for_patience_is_given_it(world: World) -> None:
    _, reply = await a_token_endpoint_in_trouble(world)

    assert reply.headers["Retry-After"] == "7"


async def test_a_405_of_the_control_listener_says_what_is_allowed(world: World) -> None:
    sidecar = await world.sidecar()

    reply = await sidecar.v1("/verify", world.idp.token("ann"), method="POST")

    assert (reply.status, reply.code) == (405, "method_not_allowed")
    assert "GET" in reply.headers["Allow"]


async def test_a_provider_cannot_pass_its_answer_off_as_ours(world: World) -> None:
    sidecar = await world.sidecar()
    await sidecar.grant("ann")
    world.provider.respond(
        "/odd", b"HTTP/1.1 403 No\r\nSidecar-Error: reauth_required\r\nContent-Length: 0\r\n\r\n"
    )

    reply = await sidecar.call("/files/odd", world.idp.token("ann"))

    assert (reply.status, reply.code) == (403, "")
