"""The certified server does what our end-to-end tests build on."""

from __future__ import annotations

import json
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import jwt
import pytest

pytestmark = pytest.mark.node


def get_json(url, token=""):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with build_opener(ProxyHandler({})).open(Request(url, headers=headers), timeout=20) as answer:
        return json.load(answer)


def test_discovery_names_the_issuer_and_the_endpoints(oidc_server):
    metadata = get_json(f"{oidc_server.issuer}/.well-known/openid-configuration")

    assert metadata["issuer"] == oidc_server.issuer
    assert metadata["authorization_endpoint"] == oidc_server.authorize_url
    assert metadata["token_endpoint"] == oidc_server.token_url
    assert metadata["revocation_endpoint"] == oidc_server.revoke_url
    assert metadata["userinfo_endpoint"] == oidc_server.userinfo_url
    assert metadata["authorization_response_iss_parameter_supported"] is True


def test_a_users_access_token_is_a_jwt_that_verifies_with_the_published_keys(oidc_server):
    token = oidc_server.user_jwt("ada")

    header = jwt.get_unverified_header(token)
    keys = get_json(f"{oidc_server.issuer}/jwks")["keys"]
    key = jwt.PyJWK(next(key for key in keys if key["kid"] == header["kid"]))
    claims = jwt.decode(token, key, ["RS256"], audience=oidc_server.audience, issuer=oidc_server.issuer)
    assert header["typ"] == "at+jwt"
    assert (claims["sub"], claims["groups"]) == ("ada", ["staff"])


def test_the_provider_client_gets_tokens_that_its_api_knows(oidc_server):
    tokens = oidc_server.tokens("ada")

    assert get_json(oidc_server.userinfo_url, tokens.access_token) == {"sub": "ada"}
    assert tokens.access_token.count(".") == 0


def test_a_refresh_token_rotates_and_its_second_use_ends_the_grant(oidc_server):
    first = oidc_server.tokens("ada")

    status, second = oidc_server.refresh(first.refresh_token)
    reused, refusal = oidc_server.refresh(first.refresh_token)
    newest, _ = oidc_server.refresh(second["refresh_token"])

    assert status == 200
    assert second["refresh_token"] != first.refresh_token
    assert (reused, refusal["error"]) == (400, "invalid_grant")
    assert newest == 400


def test_a_revoked_refresh_token_is_refused(oidc_server):
    tokens = oidc_server.tokens("ada")

    revoked, _ = oidc_server.ask(
        oidc_server.revoke_url, {"token": tokens.refresh_token, **oidc_server.client("provider")}
    )

    assert revoked == 200
    assert oidc_server.refresh(tokens.refresh_token)[0] == 400


def test_the_browser_is_sent_away_to_any_port_of_loopback_with_the_issuer_named(oidc_server):
    query = {
        "response_type": "code",
        "client_id": "provider",
        "redirect_uri": "http://127.0.0.1:4102/callback",
        "scope": "openid",
        "code_challenge": "a" * 43,
        "code_challenge_method": "S256",
    }

    arrived = oidc_server.sign_in(f"{oidc_server.authorize_url}?{urlencode(query)}", "ada")

    assert arrived.startswith("http://127.0.0.1:4102/callback?code=")
    assert urlencode({"iss": oidc_server.issuer}) in arrived
