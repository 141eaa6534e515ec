"""Signing keys of the IDP in a box: made, published as JWK, used to sign anything at all.

A library that signs refuses to sign nonsense, and nonsense is what a verifier must be shown. Signing here
takes raw header and payload bytes.

Scope: RS256 and ES256 (RFC 7518 §3.3, §3.4). An ES256 key takes microseconds to make, an RSA key a good
part of a second.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

if TYPE_CHECKING:
    from collections.abc import Mapping

Algorithm = Literal["ES256", "RS256"]
Jwk = dict[str, Any]


class SigningKey:
    """A private key with its `kid` and algorithm."""

    __slots__ = ("_private", "algorithm", "kid")

    def __init__(self, kid: str, algorithm: Algorithm = "ES256", *, rsa_bits: int = 2048) -> None:
        self.kid = kid
        self.algorithm: Algorithm = algorithm
        self._private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
        if algorithm == "ES256":
            self._private = ec.generate_private_key(ec.SECP256R1())
        else:
            self._private = rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)

    def jwk(self) -> Jwk:
        """Return the public key as a key set publishes it (RFC 7517)."""
        return {"kid": self.kid, "alg": self.algorithm, "use": "sig"} | self._numbers()

    def sign(self, header: Mapping[str, Any] | bytes, payload: Mapping[str, Any] | bytes) -> str:
        """Return the compact serialisation of exactly this header and payload, rightly signed."""
        signed = f"{base64url(_octets(header))}.{base64url(_octets(payload))}"
        return f"{signed}.{base64url(self._signature(signed.encode()))}"

    def _signature(self, data: bytes) -> bytes:
        if isinstance(self._private, rsa.RSAPrivateKey):
            return self._private.sign(data, padding.PKCS1v15(), SHA256())
        r, s = decode_dss_signature(self._private.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    def _numbers(self) -> Jwk:
        if isinstance(self._private, rsa.RSAPrivateKey):
            rsa_numbers = self._private.public_key().public_numbers()
            modulus = rsa_numbers.n.to_bytes((rsa_numbers.n.bit_length() + 7) // 8)
            return {"kty": "RSA", "n": base64url(modulus), "e": base64url(rsa_numbers.e.to_bytes(3))}
        numbers = self._private.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": base64url(numbers.x.to_bytes(32)),
            "y": base64url(numbers.y.to_bytes(32)),
        }


def base64url(data: bytes) -> str:
    """Encode without padding, as JOSE does (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def poisoned_keys() -> list[Jwk]:
    """Return keys that no verifier may use and that must not keep it from using the good ones.

    A symmetric key, a key for encryption, a key that may not verify, an RSA key of 1024 bits, a point that
    is not on its curve, a key of a type nobody knows, and an entry that is no key at all.
    """
    short = SigningKey("poison-short", "RS256", rsa_bits=1024)
    good = SigningKey("poison-good").jwk()
    return [
        {"kid": "poison-symmetric", "kty": "oct", "alg": "HS256", "k": base64url(b"everybody knows it" * 2)},
        good | {"kid": "poison-encryption", "use": "enc"},
        good | {"kid": "poison-operations", "key_ops": ["encrypt"]},
        short.jwk(),
        good | {"kid": "poison-point", "x": base64url(bytes(32))},
        {"kid": "poison-unknown", "kty": "OKP-9", "crv": "Ed9"},
        {},
    ]


def _octets(part: Mapping[str, Any] | bytes) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()
