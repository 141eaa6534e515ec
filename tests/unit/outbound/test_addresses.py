"""Every kind of address, plain and wrapped."""

from __future__ import annotations

import pytest

from sidecar.outbound.addresses import Kind, kind_of, parse_address

TABLE = [
    ("93.184.216.34", Kind.PUBLIC),
    ("2606:2800:220:1::1", Kind.PUBLIC),
    ("127.0.0.1", Kind.LOOPBACK),
    ("127.255.255.254", Kind.LOOPBACK),
    ("::1", Kind.LOOPBACK),
    ("[::1]", Kind.LOOPBACK),
    ("10.0.0.1", Kind.PRIVATE),
    ("172.16.0.1", Kind.PRIVATE),
    ("172.32.0.1", Kind.PUBLIC),
    ("192.168.1.1", Kind.PRIVATE),
    ("100.64.0.1", Kind.PRIVATE),
    ("100.128.0.1", Kind.PUBLIC),
    ("198.18.0.1", Kind.PRIVATE),
    ("240.0.0.1", Kind.PRIVATE),
    ("fd12::1", Kind.PRIVATE),
    ("fec0::1", Kind.PRIVATE),
    ("169.254.169.254", Kind.METADATA),
    ("169.254.170.2", Kind.METADATA),
    ("169.254.170.23", Kind.METADATA),
    ("169.254.1.1", Kind.METADATA),
    ("fe80::1%eth0", Kind.METADATA),
    ("fe80::a9fe:a9fe", Kind.METADATA),
    ("fd00:ec2::254", Kind.METADATA),
    ("fd20:ce::254", Kind.METADATA),
    ("100.100.100.200", Kind.METADATA),
    ("168.63.129.16", Kind.METADATA),
    ("192.0.0.192", Kind.METADATA),
    ("0.0.0.0", Kind.RESERVED),
    ("0.1.2.3", Kind.RESERVED),
    ("::", Kind.RESERVED),
    ("192.0.2.1", Kind.RESERVED),
    ("203.0.113.9", Kind.RESERVED),
    ("224.0.0.1", Kind.RESERVED),
    ("255.255.255.255", Kind.RESERVED),
    ("ff02::1", Kind.RESERVED),
    ("2001:db8::1", Kind.RESERVED),
    ("2001:2::1", Kind.RESERVED),
    ("3fff::1", Kind.RESERVED),
    ("5f00::1", Kind.RESERVED),
    # RFC 4291 §2.5.5.1: IPv4-compatible, long withdrawn.
    ("::10.0.0.1", Kind.RESERVED),
    # SIIT, RFC 7915: an IPv4-translated address.
    ("::ffff:0:10.0.0.1", Kind.RESERVED),
    # IPv4-mapped is that IPv4 address.
    ("::ffff:127.0.0.1", Kind.LOOPBACK),
    ("::ffff:10.0.0.1", Kind.PRIVATE),
    ("::ffff:169.254.169.254", Kind.METADATA),
    ("::ffff:93.184.216.34", Kind.PUBLIC),
    # NAT64.
    ("64:ff9b::93.184.216.34", Kind.PUBLIC),
    ("64:ff9b::10.0.0.1", Kind.RESERVED),
    ("64:ff9b::127.0.0.1", Kind.RESERVED),
    ("64:ff9b::169.254.169.254", Kind.METADATA),
    ("64:ff9b::100.100.100.200", Kind.METADATA),
    ("64:ff9b:1::8.8.8.8", Kind.PRIVATE),
    ("64:ff9b:1::169.254.169.254", Kind.METADATA),
    # The same behind prefixes of 48, 56 and 64 bits (RFC 6052 §2.2).
    ("64:ff9b:1:a9fe:a9:fe00::", Kind.METADATA),
    ("64:ff9b:1:a9:fe:a9fe::", Kind.METADATA),
    ("64:ff9b:1:0:a9:fea9:fe00:0", Kind.METADATA),
    # 6to4.
    ("2002:5db8:d822::1", Kind.PUBLIC),
    ("2002:a00:1::1", Kind.RESERVED),
    ("2002:7f00:1::1", Kind.RESERVED),
    ("2002:a9fe:a9fe::1", Kind.METADATA),
    # Teredo: a public server, then a client whose bits are turned.
    ("2001:0:5db8:d822:0:0:a247:27dd", Kind.PUBLIC),
    ("2001:0:5db8:d822::f5ff:fffe", Kind.RESERVED),
    ("2001:0:5db8:d822::5601:5601", Kind.METADATA),
    ("2001:0:a9fe:a9fe:0:0:a247:27dd", Kind.METADATA),
]


@pytest.mark.parametrize(("text", "kind"), TABLE)
def test_an_address_is_of_its_kind(text: str, kind: Kind) -> None:
    address = parse_address(text)

    assert address is not None
    assert kind_of(address) is kind


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "1.2.3.4.5", "::1::"])
def test_what_is_no_literal_is_nothing(text: str) -> None:
    assert parse_address(text) is None
