import asyncio
import json

import aiohttp
import jwt
import pytest

from sidecar.testing.clock import ManualClock
from sidecar.testing.idp import IdpInABox
from sidecar.testing.keys import SigningKey


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def idp():
    async with IdpInABox() as box:
        yield box


async def fetch(http, url, **options):
    async with http.get(url, **options) as answer:
        return answer.status, await answer.read()


async def discover(http, idp):
    _, body = await fetch(http, idp.issuer.rstrip("/") + "/.well-known/openid-configuration")
    return json.loads(body)


async def key_set(http, idp):
    _, body = await fetch(http, idp.jwks_uri)
    return json.loads(body)["keys"]


def verified(token, keys, idp, **options):
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(jwt.PyJWK(key) for key in keys if key["kid"] == kid)
    return jwt.decode(token, key, [key.algorithm_name], audience=idp.audience, issuer=idp.issuer, **options)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
async def test_a_token_verifies_with_the_key_set_that_discovery_names(http, algorithm):
    async with IdpInABox(algorithm=algorithm) as idp:
        metadata = await discover(http, idp)
        keys = json.loads((await fetch(http, metadata["jwks_uri"]))[1])["keys"]
        token = idp.token("ada", groups=["admins"], claims={"email": "ada@example.test"})

        claims = verified(token, keys, idp)

    assert metadata["issuer"] == idp.issuer
    assert (claims["sub"], claims["groups"], claims["email"]) == ("ada", ["admins"], "ada@example.test")


@pytest.mark.parametrize("path", ["", "/", "/realms/main"])
async def test_the_discovery_document_stands_under_the_issuer_path(http, path):
    async with IdpInABox(path=path) as idp:
        metadata = await discover(http, idp)

    assert metadata["issuer"] == idp.issuer
    assert idp.issuer.endswith(path)


async def test_both_endpoints_count_their_requests(http, idp):
    await discover(http, idp)
    await key_set(http, idp)
    await key_set(http, idp)

    assert (idp.discovery_requests, idp.jwks_requests) == (1, 2)


async def test_after_rotation_the_new_key_signs_and_both_verify(http, idp):
    before = idp.token("ada")
    kid = idp.rotate()

    after = idp.token("ada")

    keys = await key_set(http, idp)
    assert jwt.get_unverified_header(after)["kid"] == kid
    assert verified(before, keys, idp)["sub"] == verified(after, keys, idp)["sub"] == "ada"


async def test_a_retired_key_leaves_the_key_set_and_can_still_sign(http, idp):
    (old,) = idp.kids
    new = idp.rotate()
    idp.retire(old)

    token = idp.token("ada", key=old)

    assert [key["kid"] for key in await key_set(http, idp)] == [new]
    assert jwt.get_unverified_header(token)["kid"] == old


async def test_without_the_newest_key_the_one_before_it_signs(idp):
    (old,) = idp.kids
    idp.retire(idp.rotate())

    assert jwt.get_unverified_header(idp.token("ada"))["kid"] == old


async def test_tokens_are_issued_by_the_boxes_clock():
    clock = ManualClock(now=1_000.0)
    async with IdpInABox(clock=clock) as idp:
        clock.advance(500)
        token = idp.token("ada", lifetime=60)

    claims = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
    assert (claims["iat"], claims["exp"]) == (1_500, 1_560)


async def test_claims_and_headers_are_replaced_or_left_out(idp):
    token = idp.token(
        "ada", audience=["a", "b"], claims={"iat": None, "azp": "app"}, headers={"typ": "at+jwt"}
    )

    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == ["a", "b"]
    assert claims["azp"] == "app"
    assert "iat" not in claims
    assert "groups" not in claims
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"


async def test_a_foreign_key_signs_a_token_that_does_not_verify(http, idp):
    token = idp.token("mallory", key=SigningKey(idp.kids[0]))
    keys = await key_set(http, idp)

    with pytest.raises(jwt.InvalidSignatureError):
        verified(token, keys, idp)


async def test_raw_bytes_are_signed_as_they_are(http, idp):
    header = json.dumps({"alg": "ES256", "kid": idp.kids[0]}).encode()
    token = idp.sign(header, b'{"sub":"a","sub":"b"}')

    signature_holds = jwt.api_jws.decode_complete(
        token, jwt.PyJWK((await key_set(http, idp))[0]), algorithms=["ES256"]
    )

    assert signature_holds["payload"] == b'{"sub":"a","sub":"b"}'


async def test_a_status_is_answered_until_the_switches_are_reset(http, idp):
    idp.jwks.status = 503
    idp.jwks.headers = (("Retry-After", "7"),)
    async with http.get(idp.jwks_uri) as failed:
        retry_after = failed.headers["Retry-After"]
    idp.jwks.reset()

    status, _ = await fetch(http, idp.jwks_uri)

    assert (failed.status, retry_after) == (503, "7")
    assert status == 200


async def test_a_body_of_the_tests_own_is_served(http, idp):
    idp.jwks.body = b"<html>" * 300_000

    _, body = await fetch(http, idp.jwks_uri)

    assert body == idp.jwks.body


async def test_a_redirect_is_answered(http, idp):
    idp.discovery.redirect_to = "http://127.0.0.1:9/elsewhere"
    url = idp.issuer + "/.well-known/openid-configuration"

    async with http.get(url, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "http://127.0.0.1:9/elsewhere")


async def test_down_closes_the_connection_without_an_answer(http, idp):
    idp.jwks.down = True

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await fetch(http, idp.jwks_uri)


async def test_paused_it_refuses_connections_and_started_it_is_where_it_was(http, idp):
    issuer = idp.issuer
    await idp.pause()
    with pytest.raises(aiohttp.ClientConnectorError):
        await fetch(http, idp.jwks_uri)

    await idp.start()

    assert idp.issuer == issuer
    assert len(await key_set(http, idp)) == 1


async def test_a_held_request_waits_until_it_is_released(http, idp):
    idp.jwks.gate.hold()
    asking = asyncio.create_task(fetch(http, idp.jwks_uri))
    await idp.until(lambda: idp.jwks_requests == 1)
    waited = not asking.done()

    idp.jwks.gate.release()

    assert waited
    assert (await asking)[0] == 200


async def test_the_announced_issuer_can_be_a_lie(http, idp):
    idp.announced_issuer = "https://evil.example"

    assert (await discover(http, idp))["issuer"] == "https://evil.example"


async def test_the_key_set_can_be_empty(http, idp):
    idp.serves_no_keys = True

    assert await key_set(http, idp) == []


async def test_poisoned_keys_stand_before_the_good_one(http, idp):
    idp.poison()

    keys = await key_set(http, idp)

    assert len(keys) == 8
    assert keys[-1]["kid"] == idp.kids[0]


async def test_with_tls_only_its_own_authority_is_trusted(http):
    async with IdpInABox(tls=True) as idp:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await fetch(http, idp.jwks_uri)
        status, _ = await fetch(http, idp.jwks_uri, ssl=idp.authority.client_context())

    assert idp.issuer.startswith("https://127.0.0.1:")
    assert status == 200


async def test_any_other_path_is_not_found(http, idp):
    assert await fetch(http, idp.issuer + "/nothing") == (404, b"")


def test_a_box_has_no_address_before_it_is_started():
    with pytest.raises(RuntimeError, match="start the box"):
        _ = IdpInABox().issuer
