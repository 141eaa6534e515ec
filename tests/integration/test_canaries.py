"""No secret and no name of a user where it does not belong: logs, metrics, our errors, stores, and `repr`.

A real process runs at log level debug through success and every failure that can be brought about from
outside; then everything it wrote is searched for everything it was trusted with.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from sidecar.settings.model import Settings
from sidecar.testing.token_endpoint import TOKEN_FAILURES, TokenFailure
from tests.integration.search import dumped, files_in, findings, parts_of, spelled
from tests.integration.stage import LISTENER_KEY, MAILBOX, REDIS_PASSWORD, SERVICE_KEY, SUBJECT, Stage, staged
from tests.integration.world import EPHEMERAL
from tests.processes import ADMIN_KEY, ENCRYPTION_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.outside import Outside
    from tests.integration.world import World
    from tests.redis_server import RedisServer

EXPIRED = 1


async def succeed(stage: Stage) -> None:
    await stage.grant(SUBJECT, account=MAILBOX)
    await stage.grant(SUBJECT, provider="query")
    jwt = stage.jwt()
    for path in ("/files/echo", f"/files@{quote(MAILBOX)}/echo", "/query/echo?a=1", "/files/events?count=3"):
        assert (await stage.call(path, jwt)).status == 200
    for path in ("/v1/verify", "/v1/me", "/v1/me/grants"):
        assert (await stage.control(path, jwt)).status == 200
    grants = (await stage.control(f"/admin/v1/grants?subject={quote(SUBJECT)}", ADMIN_KEY)).json()["grants"]
    grant = next(each["id"] for each in grants if each["provider"] == "files")
    assert (await stage.call("/files/echo", SERVICE_KEY, headers={"Sidecar-Grant": grant})).status == 200
    await stage.grant(SUBJECT, account=MAILBOX, expires_at=EXPIRED)
    assert (await stage.call("/files/echo", jwt)).status == 200


async def fail_to_be_recognised(stage: Stage) -> None:
    jwt, other = stage.jwt(), stage.jwt(audience="https://elsewhere.test")
    forged = jwt[:-8] + "AAAAAAAA"
    stage.trust("jwt", forged.rpartition(".")[2])
    wrong_key = stage.trust("wrong key", f"wrong-{secrets.token_hex(12)}")
    await stage.call("/files/echo")
    for credential in (
        other,
        forged,
        stage.jwt(lifetime=-60),
        wrong_key,
        f"{wrong_key}.{wrong_key}.{wrong_key}",
    ):
        await stage.call("/files/echo", credential)
        await stage.control("/v1/verify", credential)
        await stage.control("/admin/v1/grants", credential)
    await stage.call("/files/echo", jwt, headers={"X-Api-Key": other})
    await stage.call("/files/echo", jwt, headers={"Sidecar-Key": wrong_key})
    await stage.call(f"/files/echo?jwt={jwt}", jwt)
    await stage.call("/files/echo", jwt, headers={"Cookie": f"session={jwt}"})


async def fail_to_be_understood(stage: Stage) -> None:
    jwt = stage.jwt()
    token = stage.trust("token in a wrong place", f"misplaced-{secrets.token_hex(12)}")
    fields = f"Host: localhost\r\nSidecar-Key: {LISTENER_KEY}\r\nAuthorization: Bearer {jwt}\r\n"
    heads = (
        f"GET /files/{token} HTTP/1.1\r\n{fields}broken line {token}\r\n\r\n",
        f"GET /files/{token} HTTP/1.1\r\n{fields}X: {token * 2000}\r\n\r\n",
        f"GET /files/{token} HTTP/1.1\r\n{fields}",
        f"FETCH /files/{token} HTTP/1.1\r\n{fields}\r\n",
        f"GET /files/{token} HTTP/3.0\r\n{fields}\r\n",
        f"GET http://{token}.example/ HTTP/1.1\r\n{fields}Connection: close\r\n\r\n",
        f"POST /files/upload HTTP/1.1\r\n{fields}Content-Length: 9999\r\n\r\n{token}",
        f"POST /files/upload HTTP/1.1\r\n{fields}Transfer-Encoding: chunked\r\n\r\n{token}\r\n\r\n",
        f"{token}\r\n\r\n",
    )
    for head in heads:
        await stage.raw(head)
        await stage.raw(head.replace("/files/", "/v1/"), url=stage.sidecar.control_url)
        await stage.raw(head.replace("/files/", "/"), url=stage.sidecar.ops_url)
    await stage.call(f"/{token}/x", jwt)
    await stage.call(f"/files@{token}%zz/x", jwt)
    await stage.call("/files/x", jwt, method="TRACE")
    for name in ("Origin", "Host", "Sidecar-Upstream", "Sidecar-Grant", "Sidecar-Account", "Sidecar-Caller"):
        await stage.call(
            "/files/echo", jwt, headers={name: f"https://{token}" if name == "Origin" else token * 3}
        )
    for body in (f'{{"access_token": "{token}"', f'{{"{token}": "{token}"}}', f'["{token}"]', token):
        await stage.control("/admin/v1/grants", ADMIN_KEY, method="POST", body=body.encode())
    for row in (
        {"provider": token, "subject": SUBJECT, "access_token": token},
        {"provider": "files", "subject": SUBJECT, "access_token": f"{token} \n"},
        {"provider": "files", "subject": SUBJECT, "access_token": token, "expires_at": token},
    ):
        await stage.imported(row)
    await stage.control(f"/admin/v1/grants?{token}={token}", ADMIN_KEY)
    await stage.control(f"/admin/v1/grants/{token}", ADMIN_KEY, method="DELETE")
    await stage.control(f"/v1/me/grants/{token}", jwt, method="DELETE")


async def fail_to_choose(stage: Stage) -> None:
    jwt, nobody = stage.jwt(), stage.jwt(f"{SUBJECT}-without-grants")
    await stage.grant(SUBJECT, provider="scoped", scopes=["read"])
    for label in ("home", "work"):
        await stage.grant(f"{SUBJECT}-with-two", account=label)
    await stage.call("/files/echo", nobody)
    await stage.call(f"/files@{quote(MAILBOX)}/echo", nobody)
    await stage.call("/files/echo", stage.jwt(f"{SUBJECT}-with-two"))
    await stage.call("/scoped/echo", jwt)
    await stage.call("/closed/echo", jwt)
    await stage.call("/files/echo", SERVICE_KEY)
    await stage.call("/closed/echo", SERVICE_KEY)


async def fail_to_refresh(stage: Stage) -> None:
    box = stage.outside.provider
    quoted = stage.trust("token quoted by the provider", f"quoted-{secrets.token_hex(12)}")
    failures = {
        **TOKEN_FAILURES,
        "quoting": TokenFailure(
            status=400, body=json.dumps({"error": "invalid_grant", "error_description": quoted}).encode()
        ),
        "odd": TokenFailure(status=400, body=json.dumps({"error": quoted}).encode()),
        "odd_token": TokenFailure(
            status=200, body=json.dumps({"access_token": f"{quoted}\n", "x": quoted}).encode()
        ),
        "page": TokenFailure(status=502, body=quoted.encode() * 100),
        "redirect": TokenFailure(status=302, headers=(("Location", f"https://{quoted}.example"),)),
    }
    for name, failure in failures.items():
        user = f"{SUBJECT}-{name}"
        await stage.grant(user, expires_at=EXPIRED)
        box.token_endpoint.fail(failure)
        await stage.call("/files/echo", stage.jwt(user))
    await stage.grant(f"{SUBJECT}-only-access", expires_at=EXPIRED, refresh_token=None)
    await stage.call("/files/echo", stage.jwt(f"{SUBJECT}-only-access"))


async def fail_upstream(stage: Stage) -> None:
    box, jwt = stage.outside.provider, stage.jwt()
    for provider in ("secured", "away"):
        await stage.grant(SUBJECT, provider=provider)
        await stage.call(f"/{provider}/echo", jwt)
    box.respond("/odd", b"odd answer\r\n\r\n", closes=True)
    box.respond("/odd-field", b"HTTP/1.1 200 OK\r\nodd field\r\n\r\n", closes=True)
    for path in ("odd", "odd-field", "slow", "cut?after=nothing"):
        await stage.call(f"/files/{path}", jwt)
    fields = f"Host: localhost\r\nSidecar-Key: {LISTENER_KEY}\r\nAuthorization: Bearer {jwt}\r\n"
    for path in ("slow?after=head", "events", "cut?after=body", "cut?after=chunk"):
        await stage.raw(f"GET /files/{path} HTTP/1.1\r\n{fields}\r\n", hang_up=True)


PARTS = (
    succeed,
    fail_to_be_recognised,
    fail_to_be_understood,
    fail_to_choose,
    fail_to_refresh,
    fail_upstream,
)
PROVOKED = {
    *("ambiguous_grant", "bad_request", "bad_upstream", "conflicting_credentials", "cross_site_refused"),
    *("destination_refused", "head_too_large", "invalid_token", "method_not_allowed", "misdirected_request"),
    *("missing_token", "no_delegated_grant", "not_found", "policy_denied", "reauth_required"),
    *("refresh_unavailable", "request_timeout", "scope_reauth_required", "token_expired", "unknown_provider"),
    *("upstream_timeout", "upstream_tls", "upstream_unreachable"),
}


async def play(stage: Stage) -> bytes:
    """Go through all parts and return the metrics as they are then."""
    for part in PARTS:
        await part(stage)
    ops = await stage.outside.ask("GET", f"{stage.sidecar.ops_url}/readyz?verbose")
    metrics = await stage.outside.ask("GET", f"{stage.sidecar.ops_url}/metrics")
    for ledger_of in (stage.outside.provider, stage.secured):
        for token in (*ledger_of.ledger._access, *ledger_of.ledger._refresh):
            stage.trust("token", token)
    return ops.body + metrics.body


async def test_a_sidecar_on_sqlite_gives_nothing_away(outside: Outside, tmp_path: Path) -> None:
    async with staged(outside, outside.sqlite()) as stage:
        metrics = await play(stage)
        while_running = dict(files_in(tmp_path, "sidecar.db*"))
        await asyncio.to_thread(stage.sidecar.stop)

        assert stage.codes == PROVOKED
        assert "sidecar.db-wal" in while_running
        places = {"metrics": metrics, **while_running, **dict(files_in(tmp_path, "sidecar.db*", "*.log"))}
        assert findings(stage.canaries, places | stage.refused()) == []
        assert_the_log_was_written(stage)


@pytest.mark.redis
async def test_a_sidecar_on_redis_gives_nothing_away_in_an_outage_either(
    outside: Outside, own_redis: RedisServer, tmp_path: Path
) -> None:
    own_redis.stop()
    own_redis.start("--requirepass", REDIS_PASSWORD)
    url = f"redis://:{REDIS_PASSWORD}@127.0.0.1:{own_redis.port}/0"
    async with staged(outside, url) as stage:
        metrics = await play(stage)
        dump = await asyncio.to_thread(dumped, own_redis, REDIS_PASSWORD)
        own_redis.stop()
        for subject in (SUBJECT, f"{SUBJECT}-cold"):
            await stage.call("/files/echo", stage.jwt(subject))
        await stage.imported({"subject": SUBJECT, "provider": "files", "access_token": "x"})
        # Another password: the server now quotes what it refuses.
        own_redis.start("--requirepass", "another")
        await stage.call("/files/echo", stage.jwt(f"{SUBJECT}-cold"))
        await asyncio.to_thread(stage.sidecar.stop)

        assert stage.codes == PROVOKED | {"store_unavailable"}
        assert len(dump) > 10_000
        places = {
            "metrics": metrics,
            "redis": dump,
            **dict(files_in(tmp_path, "*.log", "appendonly*", "appendonlydir/*")),
        }
        assert any(place.startswith("appendonly") for place in places)
        assert findings(stage.canaries, places | stage.refused()) == []
        assert_the_log_was_written(stage)


async def test_nothing_in_a_running_sidecar_prints_a_secret(world: World) -> None:
    more: dict[str, Any] = {
        "services": {"nightly": {"keys": [SERVICE_KEY], "providers": ["files"]}},
        "listen": {**EPHEMERAL, "keys": [LISTENER_KEY]},
    }
    settings = Settings.model_validate(world.settings(f"redis://:{REDIS_PASSWORD}@127.0.0.1", **more))
    sidecar = await world.sidecar(**more)
    await sidecar.grant("ann", expires_in=-1)
    jwt = world.idp.token("ann")
    # The first call refreshes, the second finds the new token in the store and remembers it.
    for _ in range(2):
        reply = await sidecar.call("/files/echo", jwt, headers={"Sidecar-Key": LISTENER_KEY})
        assert reply.status == 200
    ledger = world.provider.ledger
    known = [ADMIN_KEY, SERVICE_KEY, LISTENER_KEY, ENCRYPTION_KEY, world.provider.client_secret, jwt]
    known += [*ledger._access, *ledger._refresh, REDIS_PASSWORD]

    printed = [(type(found).__name__, repr(found), str(found)) for found in parts_of(settings, sidecar.app)]

    kinds = {kind for kind, _, _ in printed}
    assert {"Settings", "Broker", "Refresher", "GrantStore", "AccessToken", "Remembered", "Keyring"} <= kinds
    assert [
        kind for kind, *texts in printed if any(secret in text for secret in known for text in texts)
    ] == []


def test_a_canary_is_found_in_every_spelling() -> None:
    canary = b"subject|canary-0123456789"
    contents = [canary, quote(canary, safe="").encode(), canary.hex().encode(), b"x" + canary + b"y"]
    contents += [base64.urlsafe_b64encode(b"ab"[:shift] + canary + b"tail") for shift in range(3)]

    assert all(any(spelling in content for spelling in spelled(canary)) for content in contents)


def assert_the_log_was_written(stage: Stage) -> None:
    """A log without records would pass every search."""
    records = [json.loads(line) for line in stage.sidecar.log().splitlines()]
    assert {"debug", "info", "warning", "error"} <= {record["level"] for record in records}
    assert sum(record["logger"] == "sidecar.access" for record in records) > 50
    assert not [record for record in records if "exception" in record]
