"""A certificate authority that lives as long as a box, for tests that need https on loopback.

Scope: one CA, one certificate for `localhost`, 127.0.0.1 and ::1. The validity is wide and fixed, so that
a manual clock does not matter: TLS reads the machine's own.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import tempfile
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOT_BEFORE: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
NOT_AFTER: Final = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)
CA_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA of a box on loopback")])
LEAF_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])


class LoopbackAuthority:
    """A CA with one certificate signed by it.

    `ca_pem` is what a client trusts; `ca_file` is a file with it, removed by `close`. The private keys
    touch the disk only while `server_context` loads them.
    """

    __slots__ = ("_directory", "_leaf_pem", "ca_file", "ca_pem")

    def __init__(self) -> None:
        ca_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        ca = _sign_ca(ca_key)
        leaf = _sign_leaf(leaf_key.public_key(), ca_key)
        self.ca_pem = ca.public_bytes(Encoding.PEM).decode()
        self._leaf_pem = leaf_key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ) + leaf.public_bytes(Encoding.PEM)
        self._directory = tempfile.TemporaryDirectory(prefix="sidecar-testing-")
        self.ca_file = str(Path(self._directory.name, "ca.pem"))
        Path(self.ca_file).write_text(self.ca_pem)

    def server_context(self) -> ssl.SSLContext:
        """Return what a server on loopback needs."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        with tempfile.NamedTemporaryFile(dir=self._directory.name) as file:
            file.write(self._leaf_pem)
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return what a client needs to trust that server and no other."""
        return ssl.create_default_context(cadata=self.ca_pem)

    def close(self) -> None:
        self._directory.cleanup()


def _sign_ca(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _builder(CA_NAME, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, SHA256())
    )


def _sign_leaf(public_key: ec.EllipticCurvePublicKey, ca_key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
        ]
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        _builder(LEAF_NAME, public_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, SHA256())
    )


def _builder(subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(CA_NAME)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
    )
