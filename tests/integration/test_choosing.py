"""Which grant a call uses, on the wire: the whole table of choosing, and what can and cannot end a grant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidecar.testing.token_endpoint import TOKEN_FAILURES, TokenFailure

if TYPE_CHECKING:
    from tests.integration.world import Reply, Sidecar, World


async def test_one_grant_is_used(world: World) -> None:
    sidecar = await world.sidecar()
    await sidecar.grant("ann", account="work")

    reply = await sidecar.call("/files/echo", world.idp.token("ann"))

    assert (reply.status, reply.json()["account"]) == (200, "work")


async def test_no_grant_is_refused_with_a_link_to_give_one(world: World) -> None:
    sidecar = await connectable(world)
    await sidecar.grant("ben")

    reply = await sidecar.call("/files/echo", world.idp.token("ann"))

    assert (reply.status, reply.code) == (403, "no_delegated_grant")
    assert reply.json()["connect_url"].startswith("https://notes.example.com/sidecar/connect/")
    assert not world.provider.seen


async def test_a_link_names_nobody_and_is_another_each_time(world: World) -> None:
    sidecar = await connectable(world)
    jwt = world.idp.token("ann@example.test")

    links = {(await sidecar.call("/files/echo", jwt)).json()["connect_url"] for _ in range(3)}

    assert len(links) == 3
    assert "ann" not in "".join(link.rpartition("/")[2] for link in links)


async def test_a_provider_nobody_can_connect_is_refused_without_a_link(world: World) -> None:
    sidecar = await world.sidecar()

    reply = await sidecar.call("/files/echo", world.idp.token("ann"))

    assert (reply.code, "connect_url" in reply.json()) == ("no_delegated_grant", False)


async def test_several_grants_are_listed_and_none_is_guessed(world: World, store: str) -> None:
    sidecar = await world.sidecar(store)
    work, home = [await sidecar.grant("ann", account=account) for account in ("work", "home")]
    await sidecar.grant("ben", account="hobby")

    reply = await sidecar.call("/files/echo", world.idp.token("ann"))

    assert (reply.status, reply.code) == (409, "ambiguous_grant")
    assert reply.json()["candidates"] == [
        {"grant_id": home, "account": "home"},
        {"grant_id": work, "account": "work"},
    ]
    assert not world.provider.seen


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ("work", "work"),
        ("Work", None),
        (" work", None),
        ("wor", None),
        ("ann@example.test", "ann@example.test"),
        ("Ann@Example.TEST", "ann@example.test"),
        ("  ann@example.test ", "ann@example.test"),
        ("ann@example.tes", None),
        # Exact beats folded: two mailboxes that differ in case only are two accounts.
        ("Bo@example.test", "Bo@example.test"),
        ("bo@example.test", "bo@example.test"),
    ],
)
async def test_an_account_is_named_exactly_or_as_people_write_mail_addresses(
    world: World, asked: str, used: str | None
) -> None:
    sidecar = await with_accounts(world, "work", "ann@example.test", "Bo@example.test", "bo@example.test")

    reply = await sidecar.call(f"/files@{escaped(asked)}/echo", world.idp.token("ann"))

    if used is None:
        assert (reply.status, reply.code) == (403, "no_delegated_grant")
    else:
        assert (reply.status, reply.json()["account"]) == (200, used)


async def test_a_folded_name_that_fits_two_accounts_is_ambiguous(world: World) -> None:
    sidecar = await with_accounts(world, "Bo@example.test", "bo@example.test", "work")

    reply = await sidecar.call(
        "/files/echo", world.idp.token("ann"), headers={"Sidecar-Account": "BO@EXAMPLE.TEST"}
    )

    assert (reply.status, reply.code) == (409, "ambiguous_grant")
    assert {candidate["account"] for candidate in reply.json()["candidates"]} == {
        "Bo@example.test",
        "bo@example.test",
    }


async def test_the_header_names_an_account_as_the_path_does(world: World) -> None:
    sidecar = await with_accounts(world, "home", "work")
    jwt = world.idp.token("ann")

    by_header = await sidecar.call("/files/echo", jwt, headers={"Sidecar-Account": "work"})
    by_both = await sidecar.call("/files@work/echo", jwt, headers={"Sidecar-Account": "work"})
    in_conflict = await sidecar.call("/files@home/echo", jwt, headers={"Sidecar-Account": "work"})

    assert [reply.json()["account"] for reply in (by_header, by_both)] == ["work", "work"]
    assert (in_conflict.status, in_conflict.code) == (400, "bad_request")


async def test_a_grant_id_chooses_and_must_fit_the_account_too(world: World) -> None:
    sidecar = await world.sidecar()
    home, work = [await sidecar.grant("ann", account=account) for account in ("home", "work")]
    jwt = world.idp.token("ann")

    by_id = await sidecar.call("/files/echo", jwt, headers={"Sidecar-Grant": work})
    by_both = await sidecar.call("/files@home/echo", jwt, headers={"Sidecar-Grant": home})
    misfit = await sidecar.call("/files@home/echo", jwt, headers={"Sidecar-Grant": work})

    assert (by_id.json()["account"], by_both.json()["account"]) == ("work", "home")
    assert (misfit.status, misfit.code) == (403, "no_delegated_grant")


async def test_nobody_learns_whether_a_grant_id_exists(world: World, store: str) -> None:
    sidecar = await connectable(world, store)
    await sidecar.grant("ann")
    of_another_provider = await sidecar.grant("ann", provider="mail")
    of_somebody_else = await sidecar.grant("ben")
    unknown = of_somebody_else[:-4] + ("aaaa" if not of_somebody_else.endswith("aaaa") else "bbbb")
    jwt = world.idp.token("ann")

    replies = [
        await sidecar.call("/files/echo", jwt, headers={"Sidecar-Grant": grant})
        for grant in (unknown, "no-id-at-all", of_another_provider, of_somebody_else)
    ]

    assert {reply.status for reply in replies} == {403}
    assert len({comparable(reply) for reply in replies}) == 1
    assert "connect_url" in replies[0].json()
    assert not world.provider.seen


async def test_known_scopes_that_lack_a_configured_one_are_refused_with_what_is_missing(world: World) -> None:
    sidecar = await connectable(world, scopes=["read", "write"])
    await sidecar.grant("ann", scopes=["read", "other"])
    await sidecar.grant("ben", scopes=["write", "read", "other"])
    await sidecar.grant("cid")

    lacking = await sidecar.call("/files/echo", world.idp.token("ann"))
    complete = await sidecar.call("/files/echo", world.idp.token("ben"))
    unknown = await sidecar.call("/files/echo", world.idp.token("cid"))

    assert (lacking.status, lacking.code) == (403, "scope_reauth_required")
    assert lacking.json()["missing_scopes"] == ["write"]
    assert "connect_url" in lacking.json()
    assert (complete.status, unknown.status) == (200, 200)


async def test_a_refused_refresh_token_costs_one_token_call_and_no_further(world: World, store: str) -> None:
    sidecar = await connectable(world, store)
    grant = await sidecar.grant("ann", expires_in=600, account="work")
    world.provider.ledger.revoke(world_refresh_token(world))
    world.advance(601)
    jwt = world.idp.token("ann")

    replies = [await sidecar.call("/files/echo", jwt) for _ in range(3)]
    named = await sidecar.call("/files@work/echo", jwt)
    world.advance(3600)
    much_later = await sidecar.call("/files/echo", world.idp.token("ann"))

    assert {(reply.status, reply.code) for reply in (*replies, named, much_later)} == {
        (403, "reauth_required")
    }
    assert all("connect_url" in reply.json() for reply in replies)
    assert world.provider.token_calls == 1
    assert (await sidecar.admin(f"/grants/{grant}")).json()["status"] == "needs_consent"


async def test_a_new_consent_brings_a_dead_grant_back(world: World) -> None:
    sidecar = await world.sidecar()
    dead = await sidecar.grant("ann", expires_in=600)
    world.provider.ledger.revoke(world_refresh_token(world))
    world.advance(601)
    assert (await sidecar.call("/files/echo", world.idp.token("ann"))).code == "reauth_required"

    again = await sidecar.grant("ann")

    assert again == dead
    assert (await sidecar.call("/files/echo", world.idp.token("ann"))).status == 200


async def test_a_dead_grant_does_not_stand_in_the_way_of_a_live_one(world: World) -> None:
    sidecar = await with_accounts(world, "home")
    world.provider.token_endpoint.fail(TOKEN_FAILURES["invalid_grant"])
    world.advance(3601)
    jwt = world.idp.token("ann")
    assert (await sidecar.call("/files/echo", jwt)).code == "reauth_required"

    await sidecar.grant("ann", account="work")

    assert (await sidecar.call("/files/echo", jwt)).json()["account"] == "work"
    assert (await sidecar.call("/files@home/echo", jwt)).code == "reauth_required"


async def test_an_expired_token_without_a_refresh_token_needs_consent(world: World) -> None:
    sidecar = await connectable(world)
    await sidecar.grant("ann", expires_in=600, refresh_token=None)
    world.advance(601)

    reply = await sidecar.call("/files/echo", world.idp.token("ann"))

    assert (reply.status, reply.code, "connect_url" in reply.json()) == (403, "reauth_required", True)
    assert world.provider.token_calls == 0


HARMLESS = {
    name: failure
    for name, failure in TOKEN_FAILURES.items()
    # The first is a refusal; the second loses a rotated token for good, which nobody can undo.
    if name not in ("invalid_grant", "answer_lost")
} | {
    "gateway_page_with_400": TokenFailure(
        status=400, body=b"<html>", headers=(("Content-Type", "text/html"),)
    ),
    "unknown_error": TokenFailure(status=400, body=b'{"error":"something_else"}'),
    "invalid_client_400": TokenFailure(status=400, body=b'{"error":"invalid_client"}'),
    "refusal_in_a_gateways_words": TokenFailure(status=503, body=b'{"error":"invalid_grant"}'),
    "redirect": TokenFailure(status=302, headers=(("Location", "https://elsewhere.example/"),)),
}


@pytest.mark.parametrize("name", HARMLESS)
async def test_no_failure_but_a_refusal_ends_a_grant(world: World, name: str) -> None:
    sidecar = await world.sidecar()
    grant = await sidecar.grant("ann", expires_in=600)
    world.advance(601)
    world.provider.token_endpoint.fail(HARMLESS[name])

    failed = await sidecar.call("/files/echo", world.idp.token("ann"))
    resting = await sidecar.call("/files/echo", world.idp.token("ann"))

    assert {(reply.status, reply.code) for reply in (failed, resting)} == {(503, "refresh_unavailable")}
    assert 1 <= int(failed.headers["Retry-After"]) <= 30
    assert world.provider.token_calls == 1
    assert (await sidecar.admin(f"/grants/{grant}")).json()["status"] == "active"
    world.advance(int(failed.headers["Retry-After"]))
    recovered = await sidecar.call("/files/echo", world.idp.token("ann"))
    assert (recovered.status, recovered.json()["user"]) == (200, "ann")
    assert (world.provider.token_calls, world.provider.reuse_detected) == (2, 0)


async def test_a_rotation_whose_answer_was_lost_ends_the_grant_only_by_the_providers_word(
    world: World,
) -> None:
    sidecar = await world.sidecar()
    await sidecar.grant("ann", expires_in=600)
    world.advance(601)
    world.provider.token_endpoint.fail(TOKEN_FAILURES["answer_lost"])
    lost = await sidecar.call("/files/echo", world.idp.token("ann"))
    world.advance(60)

    refused = await sidecar.call("/files/echo", world.idp.token("ann"))

    assert (lost.code, refused.code) == ("refresh_unavailable", "reauth_required")
    assert world.provider.token_calls == 2


@pytest.mark.parametrize("name", ["server_error", "invalid_client"])
async def test_a_failing_endpoint_does_not_disturb_those_whose_token_is_still_good(
    world: World, name: str
) -> None:
    sidecar = await world.sidecar()
    await sidecar.grant("ann", expires_in=600)
    world.provider.token_endpoint.fail(TOKEN_FAILURES[name], times=5)
    world.advance(590)

    reply = await sidecar.call("/files/echo", world.idp.token("ann"))
    await world.provider.until(lambda: world.provider.token_calls == 1)

    assert (reply.status, reply.json()["user"]) == (200, "ann")
    assert (await sidecar.call("/files/echo", world.idp.token("ann"))).status == 200


async def connectable(world: World, store: str = "memory:", **more: object) -> Sidecar:
    """Start a sidecar whose providers `files` and `mail` can be connected."""
    described = world.describe(authorize_url=world.provider.authorize_url, **more)
    return await world.sidecar(
        store,
        public_url="https://notes.example.com/sidecar",
        providers={"files": described, "mail": described},
    )


async def with_accounts(world: World, *accounts: str) -> Sidecar:
    sidecar = await world.sidecar()
    for account in accounts:
        await sidecar.grant("ann", account=account)
    return sidecar


def world_refresh_token(world: World) -> str:
    """Return the newest refresh token the box has issued."""
    return next(reversed(world.provider.ledger._refresh))


def comparable(reply: Reply) -> tuple[object, ...]:
    """Return everything of a reply but what differs in each: its id and the sealed link."""
    body = reply.json()
    for once in ("instance", "connect_url"):
        body.pop(once)
    fields = [(name, value) for name, value in reply.headers.items() if name != "Content-Length"]
    return reply.status, json.dumps(body), tuple(fields)


def escaped(account: str) -> str:
    return account.replace(" ", "%20").replace("@", "%40")
