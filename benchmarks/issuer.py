"""Sign the users' JWTs beforehand, so that no signing happens while something is measured.

An RS256 signature costs half a millisecond, and a run of new JWTs needs tens of thousands: they are made once
and kept in the cache directory with the key, and made anew when they come near their end.

Scope: one issuer with two keys. Nobody asks it over the network except for its key set.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final, Literal

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ISSUER: Final = "https://issuer.example.test/"
AUDIENCE: Final = "https://api.example.test"
LIFETIME: Final = 30 * 86400
MOST_AGE: Final = 20 * 86400
"""Seconds after which kept tokens are made anew: well before any of them ends."""
BATCH: Final = 500

Algorithm = Literal["RS256", "ES256"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def subject(number: int) -> str:
    return f"user-{number}"


def provider_token(user: str) -> str:
    """Return the token that the provider must see for `user`: made from the name, so there is no list."""
    return "ya29." + hashlib.sha256(f"token of {user}".encode()).hexdigest()


class Issuer:
    """Two signing keys and the token lists made with them, kept in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._forget_if_old()
        self._pems: dict[Algorithm, bytes] = {"RS256": self._kept("RS256"), "ES256": self._kept("ES256")}

    @property
    def public_pem(self) -> bytes:
        """The RS256 key, for systems that read PEM."""
        key = _load(self._pems["RS256"]).public_key()
        return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def key_set(self) -> dict[str, Any]:
        """Return the key set (RFC 7517)."""
        return {"keys": [_jwk(algorithm, pem) for algorithm, pem in self._pems.items()]}

    def token(self, user: str, *, algorithm: Algorithm = "RS256", expires_in: int = LIFETIME) -> str:
        """Sign one JWT now."""
        return sign(algorithm, self._pems[algorithm], [(user, "once")], expires_in=expires_in)[0]

    def token_file(self, name: str, *, algorithm: Algorithm, users: int, count: int) -> Path:
        """Return a file of `count` different JWTs, one per line, going round `users` users."""
        path = self._directory / f"{name}-{algorithm}-{users}-{count}.txt"
        if not path.exists():
            wanted = [(subject(number % users), str(number)) for number in range(count)]
            batches = [wanted[start : start + BATCH] for start in range(0, count, BATCH)]
            unfinished = path.with_suffix(".part")
            unfinished.write_text("".join(f"{token}\n" for token in self._signed(algorithm, batches)))
            unfinished.rename(path)
        return path

    def _signed(self, algorithm: Algorithm, batches: Sequence[list[tuple[str, str]]]) -> list[str]:
        work = partial(sign, algorithm, self._pems[algorithm])
        if len(batches) == 1:
            return work(batches[0])
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            return [token for batch in pool.map(work, batches) for token in batch]

    def _kept(self, algorithm: Algorithm) -> bytes:
        path = self._directory / f"{algorithm}.pem"
        if not path.exists():
            path.touch(0o600)
            path.write_bytes(_new_key(algorithm))
        return path.read_bytes()

    def _forget_if_old(self) -> None:
        for path in [*self._directory.glob("*.pem"), *self._directory.glob("*.txt")]:
            if time.time() - path.stat().st_mtime > MOST_AGE:
                path.unlink()


def sign(
    algorithm: Algorithm, pem: bytes, wanted: Sequence[tuple[str, str]], *, expires_in: int = LIFETIME
) -> list[str]:
    """Return a JWT for every (user, `jti`). At the top level, so that other processes can do it, too."""
    key = _load(pem)
    header = _encode(json.dumps({"alg": algorithm, "typ": "JWT", "kid": algorithm}).encode())
    now = int(time.time())
    tokens = []
    for user, serial in wanted:
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": AUDIENCE,
            "iat": now - 10,
            "exp": now + expires_in,
            "jti": serial,
            "scope": "openid profile email",
        }
        signed = f"{header}.{_encode(json.dumps(claims).encode())}"
        tokens.append(f"{signed}.{_encode(_signature(key, signed.encode()))}")
    return tokens


def _signature(key: PrivateKey, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    # RFC 7518 §3.4: the two integers, 32 octets each.
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _new_key(algorithm: Algorithm) -> bytes:
    key: PrivateKey
    if algorithm == "RS256":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load(pem: bytes) -> PrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise TypeError("neither an RSA nor an EC key")
    return key


def _jwk(algorithm: Algorithm, pem: bytes) -> dict[str, str]:
    key = _load(pem)
    known = {"kid": algorithm, "alg": algorithm, "use": "sig"}
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {**known, "kty": "RSA", "n": _integer(numbers.n, 256), "e": _integer(numbers.e, 3)}
    point = key.public_key().public_numbers()
    return {**known, "kty": "EC", "crv": "P-256", "x": _integer(point.x, 32), "y": _integer(point.y, 32)}


def _integer(value: int, size: int) -> str:
    return _encode(value.to_bytes(size, "big"))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
