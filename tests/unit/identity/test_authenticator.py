"""From a credential to a caller, remembered and not."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from sidecar.errors import IdpUnavailableError, InvalidTokenError, TokenExpiredError
from sidecar.identity.authenticator import Authenticator, TokenRules
from sidecar.identity.claims import ClaimMap
from sidecar.identity.jwks import KeyLocation, RemoteKeySet
from sidecar.identity.principal import Principal, Service
from sidecar.identity.service_keys import ServiceKeys
from sidecar.identity.verification import Expectations
from sidecar.outbound.client import OutboundClient
from sidecar.secret import Secret
from sidecar.telemetry.metrics import Metrics
from sidecar.testing.clock import ManualClock
from sidecar.testing.idp import IdpInABox
from sidecar.testing.keys import SigningKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVICE = Service(name="report", providers=frozenset({"google"}))


class House:
    """An authenticator with everything it needs."""

    def __init__(self, idp: IdpInABox, outbound: OutboundClient, clock: ManualClock) -> None:
        self.idp, self.clock, self.metrics = idp, clock, Metrics()
        self.keys = RemoteKeySet(
            KeyLocation(issuer=idp.issuer), outbound=outbound, clock=clock, metrics=self.metrics
        )
        self.authenticator = Authenticator(
            TokenRules(
                expected=Expectations(issuer=idp.issuer, audience=frozenset({idp.audience})),
                claims=ClaimMap(),
            ),
            keys=self.keys,
            services=ServiceKeys({"report": ([Secret("service-key"), Secret("a.b.c")], ["google"])}),
            metrics=self.metrics,
            clock=clock,
        )

    def count(self, result: str) -> float:
        return (
            self.metrics.registry.get_sample_value("sidecar_jwt_verifications_total", {"result": result})
            or 0.0
        )


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock, outbound = ManualClock(), OutboundClient()
    async with IdpInABox(clock=clock) as idp:
        house = House(idp, outbound, clock)
        yield house
        await house.keys.close()
    await outbound.close()


async def test_a_users_token_gives_the_principal(house: House) -> None:
    caller = await house.authenticator.authenticate(house.idp.token("uma", groups=["staff"], lifetime=60))

    assert caller == Principal(
        issuer=house.idp.issuer,
        subject="uma",
        groups=frozenset({"staff"}),
        issued_at=house.clock.now(),
        expires_at=house.clock.now() + 60,
    )


async def test_a_verified_token_is_recalled_and_no_other(house: House) -> None:
    token = house.idp.token("uma")
    assert house.authenticator.recall(token) is None

    caller = await house.authenticator.authenticate(token)

    assert house.authenticator.recall(token) is caller
    assert house.authenticator.recall(token[:-1]) is None
    assert house.authenticator.recall(house.idp.token("other")) is None
    assert house.count("recalled") == 1
    assert house.count("accepted") == 1


async def test_a_token_is_recalled_until_it_expires_and_the_leeway_is_over(house: House) -> None:
    token = house.idp.token("uma", lifetime=60)
    await house.authenticator.authenticate(token)

    house.clock.advance(89.9)
    assert house.authenticator.recall(token) is not None
    house.clock.advance(0.1)
    assert house.authenticator.recall(token) is None
    with pytest.raises(TokenExpiredError):
        await house.authenticator.authenticate(token)
    assert house.count("expired") == 1


async def test_a_token_whose_key_was_withdrawn_is_neither_recalled_nor_accepted(house: House) -> None:
    token = house.idp.token("uma")
    await house.authenticator.authenticate(token)
    old = house.idp.kids[0]
    house.idp.rotate()
    house.idp.retire(old)
    house.clock.advance(3000.0)
    await house.keys.refresh_if_due()

    assert house.authenticator.recall(token) is None
    with pytest.raises(InvalidTokenError):
        await house.authenticator.authenticate(token)
    assert house.count("unknown_key") == 1


async def test_an_added_key_makes_nobody_verify_again(house: House) -> None:
    token = house.idp.token("uma")
    await house.authenticator.authenticate(token)
    house.idp.rotate()

    await house.authenticator.authenticate(house.idp.token("other"))

    assert house.authenticator.recall(token) is not None


async def test_a_service_key_gives_the_service(house: House) -> None:
    assert await house.authenticator.authenticate("service-key") == SERVICE
    assert house.authenticator.recall("service-key") == SERVICE
    assert house.count("service") == 2


async def test_a_service_key_may_look_like_a_token(house: House) -> None:
    await house.idp.pause()

    assert await house.authenticator.authenticate("a.b.c") == SERVICE


@pytest.mark.parametrize("credential", ["", "nonsense", "Service-Key", "a.b", "a.b.c.d.e", "\udcff.b.c"])
async def test_any_other_text_is_no_credential(house: House, credential: str) -> None:
    assert house.authenticator.recall(credential) is None
    with pytest.raises(InvalidTokenError):
        await house.authenticator.authenticate(credential)
    assert house.idp.jwks_requests == 0


async def test_text_that_cannot_be_a_token_is_judged_without_the_issuer(house: House) -> None:
    await house.idp.pause()

    with pytest.raises(InvalidTokenError):
        await house.authenticator.authenticate("not-a-token")
    assert house.count("malformed") == 1


async def test_a_stranger_is_refused(house: House) -> None:
    forged = house.idp.token("uma", key=SigningKey(house.idp.kids[0]))

    with pytest.raises(InvalidTokenError):
        await house.authenticator.authenticate(forged)
    assert house.authenticator.recall(forged) is None
    assert house.count("signature") == 1


async def test_a_refused_token_is_not_remembered(house: House) -> None:
    token = house.idp.token("x" * 256)

    with pytest.raises(InvalidTokenError):
        await house.authenticator.authenticate(token)
    assert house.authenticator.recall(token) is None
    assert house.count("subject") == 1


async def test_without_keys_a_token_cannot_be_judged(house: House) -> None:
    await house.idp.pause()

    with pytest.raises(IdpUnavailableError) as caught:
        await house.authenticator.authenticate(house.idp.token("uma"))
    assert caught.value.retry_after is not None
    assert house.count("idp_unavailable") == 1


async def test_with_keys_an_issuer_that_is_away_is_not_missed(house: House) -> None:
    await house.authenticator.authenticate(house.idp.token("uma"))
    await house.idp.pause()

    caller = await house.authenticator.authenticate(house.idp.token("other"))

    assert isinstance(caller, Principal)


async def test_many_different_tokens_at_once_start_one_fetch(house: House) -> None:
    tokens = [house.idp.token(f"user-{number}") for number in range(100)]

    callers = await asyncio.gather(*(house.authenticator.authenticate(token) for token in tokens))

    assert [caller.subject for caller in callers if isinstance(caller, Principal)] == [
        f"user-{number}" for number in range(100)
    ]
    assert house.idp.jwks_requests == 1


async def test_everybody_waiting_for_keys_that_do_not_come_learns_it_from_one_fetch(house: House) -> None:
    house.idp.jwks.status = 500
    tokens = [house.idp.token(f"user-{number}") for number in range(50)]

    outcomes = await asyncio.gather(
        *(house.authenticator.authenticate(token) for token in tokens), return_exceptions=True
    )

    assert {type(outcome) for outcome in outcomes} == {IdpUnavailableError}
    assert house.idp.jwks_requests == 1


async def test_a_token_found_good_under_keys_that_left_meanwhile_is_not_recalled(house: House) -> None:
    token = house.idp.token("uma")
    verifying = asyncio.ensure_future(house.authenticator.authenticate(token))
    await house.idp.until(lambda: house.idp.jwks_requests == 1)
    await verifying
    house.idp.jwks.body = b'{"keys":[%b]}' % _jwk(SigningKey("replacement"))
    house.clock.advance(3000.0)
    await house.keys.refresh_if_due()

    assert house.authenticator.recall(token) is None


async def test_nothing_of_a_token_is_logged_or_told(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="sidecar")
    token = house.idp.token("canary-subject", audience="canary-audience")

    with pytest.raises(InvalidTokenError) as caught:
        await house.authenticator.authenticate(token)

    told = f"{caught.value} {caught.value.detail} {caught.value.hint} {caplog.text}"
    assert "canary" not in told
    assert token not in told


def _jwk(key: SigningKey) -> bytes:
    import json

    return json.dumps(key.jwk()).encode()
