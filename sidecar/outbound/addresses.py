"""Say what kind of place an IP address is, whatever it is wrapped in.

`ipaddress.is_global` calls a private address public once it is written as NAT64 or 6to4, and the address
that hands out a cloud machine's credentials is public on one cloud and private on another. So the ranges
stand here as tables, and a wrapped address is judged by what it wraps.

Scope: pure. Which kinds may be dialled for whom is `sidecar.outbound.guard`.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Kind(StrEnum):
    """What is to be found at an address; one that fits no table is reserved."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    METADATA = "metadata"
    RESERVED = "reserved"


# Where clouds hand out credentials to whoever asks from inside. Link-local as a whole belongs here: AWS,
# Azure, Google, OpenStack, Tencent and Scaleway all put such an endpoint somewhere in it.
METADATA: Final = tuple(
    ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fe80::/10",
        # AWS: instance metadata and EKS pod identity over IPv6.
        "fd00:ec2::254/128",
        "fd00:ec2::23/128",
        # Google Cloud over IPv6.
        "fd20:ce::254/128",
        # Scaleway over IPv6.
        "fd00:42::42/128",
        # Alibaba Cloud.
        "100.100.100.200/32",
        # Azure's platform address, which lies in public space.
        "168.63.129.16/32",
        # Oracle Cloud, second address.
        "192.0.0.192/32",
    )
)

# RFC 6890's registries. Shared (RFC 6598), benchmark (RFC 2544) and former class E space carry clusters'
# pods at the large clouds, so an operator may name them; so may they NAT64's local prefix (RFC 8215).
PRIVATE: Final = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "fc00::/7",
        "fec0::/10",
        "64:ff9b:1::/48",
    )
)

RESERVED: Final = tuple(
    ip_network(text)
    for text in (
        # On most systems 0.0.0.0 dials this very machine.
        "0.0.0.0/8",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
    )
)
# RFC 4291 §2.4: IPv6 that is not inside is not handed out as global unicast.
GLOBAL_UNICAST: Final = IPv6Network("2000::/3")

MAPPED: Final = IPv6Network("::ffff:0:0/96")
NAT64: Final = IPv6Network("64:ff9b::/96")
NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
SIX_TO_FOUR: Final = IPv6Network("2002::/16")
TEREDO: Final = IPv6Network("2001::/32")

# RFC 6052 §2.2: where the IPv4 bits stand for a prefix of 48, 56, 64 and 96 bits; bits 64 to 71 are skipped.
NAT64_LAYOUTS: Final = (((64, 16), (40, 16)), ((64, 8), (32, 24)), ((24, 32),), ((0, 32),))


def parse_address(text: str) -> Address | None:
    """Read an address literal, brackets and zone left out; nothing for a name."""
    try:
        address = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return _unmapped(address)


@lru_cache(maxsize=256)
def parse_networks(networks: tuple[str, ...]) -> tuple[Network, ...]:
    """Read CIDR ranges; raises `ValueError` for what is none."""
    return tuple(ip_network(text, strict=False) for text in networks)


def kind_of(address: Address) -> Kind:
    """Judge an address by its tables and, if it wraps IPv4, by the worst of what it wraps.

    A wrapped loopback or private address is reserved: nobody means it, and the translator that would unwrap
    it stands somewhere else.
    """
    wrapped = [_plain_kind(inner) for inner in _wrapped(address)]
    if Kind.METADATA in wrapped:
        return Kind.METADATA
    if isinstance(address, IPv6Address) and address in NAT64_LOCAL:
        # Which of the four layouts is in use cannot be seen, so only the operator can vouch for it.
        return Kind.PRIVATE
    if wrapped:
        return Kind.PUBLIC if set(wrapped) == {Kind.PUBLIC} else Kind.RESERVED
    return _plain_kind(address)


def is_inside(address: Address, networks: Sequence[Network]) -> bool:
    """Whether any of the ranges holds the address; the other IP version's ranges never do."""
    return any(address in network for network in networks if network.version == address.version)


def _plain_kind(address: Address) -> Kind:
    if is_inside(address, METADATA):
        return Kind.METADATA
    if address.is_loopback:
        return Kind.LOOPBACK
    if is_inside(address, RESERVED):
        return Kind.RESERVED
    if is_inside(address, PRIVATE):
        return Kind.PRIVATE
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return Kind.RESERVED
    return Kind.PUBLIC


def _unmapped(address: Address) -> Address:
    """Give the IPv4 address of an IPv4-mapped one (RFC 4291 §2.5.5.2): the system dials just that."""
    if isinstance(address, IPv6Address) and address in MAPPED:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _wrapped(address: Address) -> Iterator[IPv4Address]:
    """Give every IPv4 address that a translator or tunnel may read out of this one."""
    if isinstance(address, IPv4Address):
        return
    bits = int(address)
    if address in NAT64:
        yield IPv4Address(bits & 0xFFFF_FFFF)
    elif address in NAT64_LOCAL:
        yield from (_read(bits, layout) for layout in NAT64_LAYOUTS)
    elif address in SIX_TO_FOUR:
        yield IPv4Address(bits >> 80 & 0xFFFF_FFFF)
    elif address in TEREDO:
        # RFC 4380 §4: the server in clear, the client with every bit turned.
        yield IPv4Address(bits >> 64 & 0xFFFF_FFFF)
        yield IPv4Address(~bits & 0xFFFF_FFFF)


def _read(bits: int, layout: tuple[tuple[int, int], ...]) -> IPv4Address:
    value = 0
    for shift, width in layout:
        value = value << width | (bits >> shift & (1 << width) - 1)
    return IPv4Address(value)
