"""Who may be dialled for whom, and that nobody gets round it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp.abc import ResolveResult

from sidecar.outbound.guard import (
    AddressRefusedError,
    GuardedResolver,
    guarded_connector,
    is_loopback_host,
    may_dial,
    refused_address,
)

EVERYTHING = ("0.0.0.0/0", "::/0")

TABLE = [
    ("93.184.216.34", "api.example.com", (), True),
    ("127.0.0.1", "localhost", (), True),
    ("127.0.0.1", "LOCALHOST.", (), True),
    ("::1", "localhost", (), True),
    ("127.0.0.1", "127.0.0.1", (), True),
    ("::1", "::1", (), True),
    ("127.0.0.1", "::ffff:127.0.0.1", (), True),
    ("127.0.0.1", "api.example.com", (), False),
    ("127.0.0.1", "api.localhost", (), False),
    ("127.0.0.1", "api.example.com", EVERYTHING, False),
    ("::ffff:127.0.0.1", "api.example.com", EVERYTHING, False),
    ("10.1.2.3", "api.example.com", (), False),
    ("10.1.2.3", "localhost", (), False),
    ("10.1.2.3", "api.example.com", ("10.0.0.0/8",), True),
    ("10.1.2.3", "10.1.2.3", ("10.1.2.3",), True),
    ("10.1.2.3", "10.1.2.3", (), False),
    ("::ffff:10.1.2.3", "api.example.com", ("10.0.0.0/8",), True),
    ("11.1.2.3", "api.example.com", ("10.0.0.0/8",), True),
    ("192.168.0.1", "api.example.com", ("10.0.0.0/8", "fd00::/8"), False),
    ("fd00::1", "api.example.com", ("fd00::/8",), True),
    ("169.254.169.254", "169.254.169.254", EVERYTHING, False),
    ("168.63.129.16", "api.example.com", EVERYTHING, False),
    ("fd00:ec2::254", "api.example.com", EVERYTHING, False),
    ("64:ff9b::a9fe:a9fe", "api.example.com", EVERYTHING, False),
    ("0.0.0.0", "localhost", EVERYTHING, False),
    ("not an address", "api.example.com", EVERYTHING, False),
    # The identity provider: named by the operator, so only what nobody means is refused.
    ("10.1.2.3", "idp.cluster.local", None, True),
    ("127.0.0.1", "idp.cluster.local", None, True),
    ("169.254.169.254", "idp.cluster.local", None, False),
    ("64:ff9b::a9fe:a9fe", "idp.cluster.local", None, False),
    ("0.0.0.0", "idp.cluster.local", None, False),
]


@pytest.mark.parametrize(("address", "host", "networks", "allowed"), TABLE)
def test_the_rule_of_the_contract(
    address: str, host: str, networks: tuple[str, ...] | None, allowed: bool
) -> None:
    assert may_dial(address, host=host, networks=networks) is allowed


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("10.0.0.1", False),
        ("localhost.evil", False),
    ],
)
def test_a_loopback_host_is_told_by_its_name_alone(host: str, expected: bool) -> None:
    assert is_loopback_host(host) is expected


async def connect(url: str, *, host: str, networks: tuple[str, ...] | None) -> aiohttp.ClientConnectorError:
    connector = guarded_connector(host=host, networks=networks)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get(url)
    return caught.value


@pytest.fixture
async def port() -> int:
    """A port on loopback where nobody listens."""
    server = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
    number: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return number


async def test_a_name_that_leads_home_is_refused(port: int) -> None:
    error = await connect(f"http://localhost:{port}/", host="api.example.com", networks=())

    assert isinstance(refused_address(error), AddressRefusedError)


@pytest.mark.parametrize(
    "literal", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"]
)
async def test_a_literal_is_checked_although_nothing_resolves_it(literal: str, port: int) -> None:
    error = await connect(f"http://{literal}:{port}/", host="api.example.com", networks=())

    assert isinstance(refused_address(error), AddressRefusedError)


async def test_an_unreachable_address_is_no_refusal(port: int) -> None:
    error = await connect(f"http://127.0.0.1:{port}/", host="127.0.0.1", networks=())

    assert refused_address(error) is None


class Answers:
    """A name service that says what the test wants."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(self, host: str, port: int, family: int) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.addresses
        ]


async def test_of_several_addresses_the_allowed_ones_are_left() -> None:
    resolver = GuardedResolver(host="api.example.com", networks=())
    resolver._resolver = Answers("10.0.0.1", "93.184.216.34", "169.254.169.254")  # type: ignore[assignment]

    found = await resolver.resolve("api.example.com", 443)

    assert [one["host"] for one in found] == ["93.184.216.34"]


async def test_where_none_is_left_the_look_up_fails() -> None:
    resolver = GuardedResolver(host="api.example.com", networks=())
    resolver._resolver = Answers("10.0.0.1")  # type: ignore[assignment]

    with pytest.raises(AddressRefusedError):
        await resolver.resolve("api.example.com", 443)
