"""Turn a JWKS document into keys that can verify, and choose the one a token names.

A key set is a list of claims about keys, and libraries take too many of them at their word: a key marked
for encryption, a 1024-bit modulus, a shared secret published by mistake, one key for every algorithm. Only
keys that pass every rule get in; the others are left out and harm nobody.

Scope: pure. Fetching is `sidecar.identity.jwks`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from sidecar.identity.bearer import TokenRefusedError, parse_object

if TYPE_CHECKING:
    from collections.abc import Iterable

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

RSA_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
ALGORITHMS_BY_CURVE: Final = {
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
    "Ed25519": frozenset({"EdDSA"}),
    "Ed448": frozenset({"EdDSA"}),
}
# RFC 9864 gave EdDSA's two curves names of their own; the tokens still say EdDSA.
SYNONYMS: Final = {"Ed25519": "EdDSA", "Ed448": "EdDSA"}

# RFC 7518 §3.3 asks for 2048; beyond 8192 a verification costs milliseconds (OpenSSL itself stops at 16384).
RSA_BITS: Final = range(2048, 8192 + 1)
# A large exponent makes every verification as slow as a signature; 65537 is what is used.
RSA_EXPONENT_BITS: Final = 64
# The largest sets in use hold a few dozen; reading this many takes some tens of milliseconds.
MAX_KEYS: Final = 256

# RFC 7518 §6: the public members of each type, and nothing private is ever handed on.
MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
# RFC 7518 §6.2.1, §6.3.1: base64url; four times the longest value in use (an 8192-bit modulus).
NUMBER: Final = re.compile(r"[A-Za-z0-9_-]{1,5600}={0,2}", re.ASCII)


class KeySetError(Exception):
    """The document is no key set, or holds no key that we may use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key, the id it goes by and the algorithms it may verify.

    Two keys are equal when id, algorithms and `thumbprint` (of the key itself) are; a set of keys tells
    with that what left or changed.
    """

    key_id: str | None
    algorithms: frozenset[str]
    thumbprint: bytes
    public: PublicKey


class KeySet:
    """The usable keys of one issuer."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Iterable[VerificationKey] = ()) -> None:
        # The same key published twice is one key.
        self._keys = {(key.key_id, key.algorithms, key.thumbprint): key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def keeps(self, other: KeySet) -> bool:
        """Whether every key of `other` is still here, unchanged."""
        return other._keys.keys() <= self._keys.keys()

    def find(self, *, key_id: str | None, algorithm: str) -> VerificationKey | None:
        """Return the one key that goes by this id and may verify this algorithm.

        A token without an id is verified only where exactly one key fits; so is one whose id several keys
        share. Trying them one after the other would let the caller choose how much we compute.
        """
        fitting = [
            key for key in self._keys.values() if algorithm in key.algorithms and key_id in (None, key.key_id)
        ]
        return fitting[0] if len(fitting) == 1 else None


def parse_key_set(document: bytes) -> KeySet:
    """Read a JWKS document (RFC 7517 §5); raises `KeySetError` unless it holds at least one usable key.

    What is unknown, unfit or broken is left out (§5: "Implementations SHOULD ignore JWKs").
    """
    try:
        entries = parse_object(document).get("keys")
    except TokenRefusedError as exc:
        raise KeySetError("the document is not a JSON object") from exc
    if not isinstance(entries, list):
        raise KeySetError("the document has no list of keys")
    keys = [key for entry in entries[:MAX_KEYS] if (key := _verification_key(entry)) is not None]
    if not keys:
        raise KeySetError("none of the keys may verify a token")
    return KeySet(keys)


def _verification_key(jwk: object) -> VerificationKey | None:
    if not isinstance(jwk, dict) or not _is_for_signatures(jwk):
        return None
    algorithms = _algorithms(jwk)
    public = _public_key(jwk) if algorithms else None
    key_id = jwk.get("kid")
    if public is None or not isinstance(key_id, str | None):
        return None
    encoded = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return VerificationKey(
        key_id=key_id,
        algorithms=algorithms,
        thumbprint=hashlib.sha256(encoded).digest(),
        public=public,
    )


def _is_for_signatures(jwk: dict[str, Any]) -> bool:
    """RFC 7517 §4.2 and §4.3: both members are optional, and where they stand they must say so."""
    operations = jwk.get("key_ops", ["verify"])
    return jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _algorithms(jwk: dict[str, Any]) -> frozenset[str]:
    """Return what the key may verify: its own `alg`, or without one all that fit its type and curve.

    Providers leave `alg` out (Entra ID does), so an RSA key without it verifies both RSA paddings; that an
    RSA key is taken for a shared secret is ruled out by its type.
    """
    fitting = (
        RSA_ALGORITHMS
        if jwk.get("kty") == "RSA"
        else ALGORITHMS_BY_CURVE.get(str(jwk.get("crv")), frozenset())
    )
    named = jwk.get("alg")
    if named is None:
        return fitting
    return fitting & {SYNONYMS.get(str(named), str(named))}


def _public_key(jwk: dict[str, Any]) -> PublicKey | None:
    kind = str(jwk.get("kty"))
    members = {name: jwk.get(name) for name in MEMBERS.get(kind, ())}
    if not members or not all(isinstance(one, str) and NUMBER.fullmatch(one) for one in members.values()):
        return None
    try:
        public = _loaded(kind, members | {"kty": kind})
    except (InvalidKeyError, UnsupportedAlgorithm, ValueError):
        return None
    if isinstance(public, RSAPublicKey) and not _is_sound(public):
        return None
    return public


def _loaded(kind: str, jwk: dict[str, Any]) -> PublicKey | None:
    loaded: object
    if kind == "RSA":
        loaded = RSAAlgorithm.from_jwk(jwk)
    elif kind == "EC":
        loaded = ECAlgorithm.from_jwk(jwk)
    else:
        loaded = OKPAlgorithm.from_jwk(jwk)
    return loaded if isinstance(loaded, PublicKey) else None


def _is_sound(public: RSAPublicKey) -> bool:
    return public.key_size in RSA_BITS and public.public_numbers().e.bit_length() <= RSA_EXPONENT_BITS
