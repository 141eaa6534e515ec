"""The main job between a certified identity provider and a certified OAuth provider, which are one server.

Our own boxes agree with our own reading of the standards. Here discovery, JWTs, refresh and rotation are
somebody else's, and a mistake we make twice is found.
"""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from sidecar.app.build import build
from sidecar.settings.model import Settings
from sidecar.testing.clock import ManualClock
from tests.processes import ADMIN_KEY, http, running, settings_for

pytestmark = pytest.mark.node

EXPIRED = 1
CALLERS = 20


def settings_in(directory, oidc_server):
    certified = {
        "base_url": oidc_server.issuer,
        "authorize_url": oidc_server.authorize_url,
        "token_url": oidc_server.token_url,
        "revoke_url": oidc_server.revoke_url,
        "client_auth": "post",
        "scopes": ["openid", "read"],
        **oidc_server.client("provider"),
    }
    return settings_for(
        issuer=oidc_server.issuer,
        audience=oidc_server.audience,
        store=f"sqlite://{directory}/sidecar.db",
        providers={"certified": certified},
    )


@pytest.fixture(scope="module")
def sidecar(oidc_server, tmp_path_factory):
    """One sidecar for all; an import replaces what an earlier test left of a user's grant."""
    directory = tmp_path_factory.mktemp("sidecar")
    with running(settings_in(directory, oidc_server), directory) as started:
        yield started


@pytest.fixture
def settings(oidc_server, tmp_path):
    """Settings for a sidecar of the test's own."""
    return settings_in(tmp_path, oidc_server)


def give_grant(sidecar, tokens, subject, *, expires_at=None):
    return sidecar.grant(
        subject=subject,
        provider="certified",
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_at=expires_at or int(time.time()) + tokens.answer["expires_in"],
        scopes=tokens.answer["scope"].split(),
    )


def test_keys_are_discovered_and_a_users_jwt_is_verified(oidc_server, sidecar):
    headers = {"Authorization": f"Bearer {oidc_server.user_jwt('ada')}"}

    answer = http(f"{sidecar.control_url}/v1/verify", headers=headers)

    assert (answer.status, answer.json()) == (200, {"sub": "ada"})


def test_a_jwt_whose_signature_was_changed_is_refused(oidc_server, sidecar):
    head, payload, signature = oidc_server.user_jwt("ada").split(".")
    forged = ".".join(
        (head, payload, signature[:20] + ("A" if signature[20] != "A" else "B") + signature[21:])
    )

    answer = sidecar.call("/certified/me", forged)

    assert (answer.status, answer.headers["Sidecar-Error"]) == (401, "invalid_token")


def test_an_opaque_token_of_the_same_server_is_no_jwt(oidc_server, sidecar):
    answer = sidecar.call("/certified/me", oidc_server.tokens("ada").access_token)

    assert answer.status == 401


def test_the_user_is_known_with_groups_from_the_jwt(oidc_server, sidecar):
    headers = {"Authorization": f"Bearer {oidc_server.user_jwt('ada')}"}

    answer = http(f"{sidecar.control_url}/v1/me", headers=headers)

    assert answer.status == 200
    assert answer.json()["groups"] == ["staff"]


def test_the_api_gets_the_users_token_in_place_of_the_jwt(oidc_server, sidecar):
    give_grant(sidecar, oidc_server.tokens("ada"), "ada")

    answer = sidecar.call("/certified/me", oidc_server.user_jwt("ada"))

    assert (answer.status, answer.json()) == (200, {"sub": "ada"})


def test_each_user_gets_their_own_token(oidc_server, sidecar):
    for user in ("ada", "bob"):
        give_grant(sidecar, oidc_server.tokens(user), user)

    answers = {user: sidecar.call("/certified/me", oidc_server.user_jwt(user)) for user in ("ada", "bob")}

    assert {user: answer.json()["sub"] for user, answer in answers.items()} == {"ada": "ada", "bob": "bob"}


def test_an_expired_token_is_refreshed_once_for_many_callers(oidc_server, sidecar):
    tokens = oidc_server.tokens("ada")
    give_grant(sidecar, tokens, "ada", expires_at=EXPIRED)
    token = oidc_server.user_jwt("ada")

    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(lambda _: sidecar.call("/certified/me", token), range(CALLERS)))

    # A second use of the refresh token would have ended the grant, and with it every access token.
    assert [(answer.status, answer.json()) for answer in answers] == [(200, {"sub": "ada"})] * CALLERS
    assert oidc_server.refresh(tokens.refresh_token)[0] == 400


def test_a_rotated_refresh_token_survives_a_restart(oidc_server, settings, tmp_path):
    token = oidc_server.user_jwt("ada")
    with running(settings, tmp_path) as first:
        give_grant(first, oidc_server.tokens("ada"), "ada", expires_at=EXPIRED)
        refreshed = first.call("/certified/me", token)

    with running(settings, tmp_path) as second:
        answer = second.call("/certified/me", token)

    assert [reply.status for reply in (refreshed, answer)] == [200, 200]


@asynccontextmanager
async def inside(settings, clock):
    """Run a sidecar in this process, by a clock of the test's."""
    app = build(Settings.model_validate(settings), clock=clock)
    try:
        await app.start()
        yield {name: f"http://{address}" for name, address in app.addresses.items()}
    finally:
        await app.close()


async def test_each_refresh_spends_the_refresh_token_of_the_one_before(oidc_server, settings):
    clock = ManualClock(time.time())
    tokens = await asyncio.to_thread(oidc_server.tokens, "ada")
    row = {"subject": "ada", "provider": "certified", "refresh_token": tokens.refresh_token}
    row |= {"access_token": tokens.access_token, "expires_at": EXPIRED}
    admin = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
    answers = []

    async with inside(settings, clock) as urls:
        grants, body = f"{urls['control']}/admin/v1/grants", json.dumps(row).encode()
        await asyncio.to_thread(http, grants, method="POST", headers=admin, body=body)
        # The server signs by its own clock: its JWTs are good for two seconds longer than the token, and
        # for the leeway.
        for passed in (0, tokens.answer["expires_in"] - 2):
            clock.advance(passed)
            user = {"Authorization": f"Bearer {await asyncio.to_thread(oidc_server.user_jwt, 'ada')}"}
            answers.append(await asyncio.to_thread(http, f"{urls['proxy']}/certified/me", headers=user))
        metrics = await asyncio.to_thread(http, f"{urls['ops']}/metrics")

    assert [(answer.status, answer.json()) for answer in answers] == [(200, {"sub": "ada"})] * 2
    assert 'sidecar_token_refresh_total{provider="certified",result="refreshed"} 2.0' in metrics.body.decode()


def test_a_refresh_token_the_provider_has_revoked_asks_for_consent_with_a_link(oidc_server, sidecar):
    tokens = oidc_server.tokens("ada")
    oidc_server.ask(oidc_server.revoke_url, {"token": tokens.refresh_token, **oidc_server.client("provider")})
    give_grant(sidecar, tokens, "ada", expires_at=EXPIRED)

    answer = sidecar.call("/certified/me", oidc_server.user_jwt("ada"))

    assert (answer.status, answer.headers["Sidecar-Error"]) == (403, "reauth_required")
    assert answer.json()["connect_url"].startswith(sidecar.control_url)
