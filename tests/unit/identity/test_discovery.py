"""From an issuer's name to the URL of its keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidecar.identity.discovery import DiscoveryError, discover_jwks_uri, discovery_url, is_acceptable
from sidecar.outbound.client import OutboundClient, OutboundError, Reason
from sidecar.testing.idp import IdpInABox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def outbound() -> AsyncIterator[OutboundClient]:
    client = OutboundClient()
    yield client
    await client.close()


@pytest.mark.parametrize("path", ["", "/", "/realms/main", "/realms/main/"])
async def test_the_document_is_found_whether_or_not_the_issuer_ends_in_a_slash(
    outbound: OutboundClient, path: str
) -> None:
    async with IdpInABox(path=path) as idp:
        uri = await discover_jwks_uri(outbound, idp.issuer, timeout=5.0)

        assert uri == idp.jwks_uri


def test_only_one_slash_is_left_out() -> None:
    assert discovery_url("https://a/b//") == "https://a/b//.well-known/openid-configuration"


async def failure(outbound: OutboundClient, idp: IdpInABox) -> DiscoveryError:
    with pytest.raises(DiscoveryError) as caught:
        await discover_jwks_uri(outbound, idp.issuer, timeout=5.0)
    return caught.value


@pytest.mark.parametrize("other", ["https://evil.example", "{}/", "{} "])
async def test_a_document_of_another_issuer_is_refused(outbound: OutboundClient, other: str) -> None:
    async with IdpInABox() as idp:
        idp.announced_issuer = other.format(idp.issuer)

        assert "another issuer" in str(await failure(outbound, idp))


async def test_a_redirect_is_not_followed(outbound: OutboundClient) -> None:
    async with IdpInABox() as idp:
        idp.discovery.redirect_to = idp.issuer + "/.well-known/openid-configuration"

        assert "status 200" in str(await failure(outbound, idp))
        assert idp.discovery_requests == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"issuer":1,"issuer":2}'])
async def test_what_is_no_document_is_refused(outbound: OutboundClient, body: bytes) -> None:
    async with IdpInABox() as idp:
        idp.discovery.body = body

        assert "JSON object" in str(await failure(outbound, idp))


@pytest.mark.parametrize(
    "uri",
    [None, 7, "", "keys", "/keys", "ftp://idp.example/keys", "file:///etc/keys", "http://idp.example/keys"],
)
async def test_keys_are_not_fetched_in_clear_nor_from_nowhere(outbound: OutboundClient, uri: object) -> None:
    async with IdpInABox() as idp:
        idp.discovery.body = json.dumps({"issuer": idp.issuer, "jwks_uri": uri}).encode()

        assert "https" in str(await failure(outbound, idp))


async def test_a_document_above_a_mebibyte_is_not_read(outbound: OutboundClient) -> None:
    async with IdpInABox() as idp:
        idp.discovery.body = b" " * (1024 * 1024 + 1)

        with pytest.raises(OutboundError) as caught:
            await discover_jwks_uri(outbound, idp.issuer, timeout=5.0)
        assert caught.value.reason is Reason.TOO_LARGE


async def test_an_issuer_with_a_certificate_of_its_own_authority_is_read(outbound: OutboundClient) -> None:
    async with IdpInABox(tls=True) as idp:
        assert idp.authority is not None

        uri = await discover_jwks_uri(outbound, idp.issuer, timeout=5.0, ca_file=idp.authority.ca_file)

        assert uri.startswith("https://")


@pytest.mark.parametrize(
    ("url", "plain", "insecure"),
    [
        ("https://idp.example/keys", True, True),
        ("http://localhost:8080/keys", True, True),
        ("http://127.0.0.1/keys", True, True),
        ("http://[::1]/keys", True, True),
        ("http://idp.example/keys", False, True),
        ("http://localhost.evil.example/keys", False, True),
        ("https://user:password@idp.example/keys", False, False),
        ("https:///keys", False, False),
        ("https://[::1/keys", False, False),
        ("HTTPS://idp.example/keys", True, True),
    ],
)
def test_which_urls_keys_may_come_from(url: str, plain: bool, insecure: bool) -> None:
    assert is_acceptable(url, allows_insecure=False) is plain
    assert is_acceptable(url, allows_insecure=True) is insecure
