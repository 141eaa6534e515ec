"""Which keys of a JWKS document may verify, and which one a token gets."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from sidecar.identity.keyset import MAX_KEYS, KeySet, KeySetError, parse_key_set
from sidecar.testing.keys import poisoned_keys

Jwk = dict[str, Any]

RSA_PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_KEY: Jwk = RSAAlgorithm.to_jwk(RSA_PRIVATE.public_key(), as_dict=True)
EC_PRIVATE = ec.generate_private_key(ec.SECP256R1())
EC_KEY: Jwk = ECAlgorithm.to_jwk(EC_PRIVATE.public_key(), as_dict=True)
P384_KEY: Jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
P521_KEY: Jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP521R1()).public_key(), as_dict=True)
K256_KEY: Jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256K1()).public_key(), as_dict=True)
ED_KEY: Jwk = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)
ED448_KEY: Jwk = OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key(), as_dict=True)

RSA_NAMES = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
EVERY = RSA_NAMES | {"ES256", "ES384", "ES512", "EdDSA", "HS256", "none", "ES256K"}


def document(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


def key_set(*keys: object) -> KeySet:
    return parse_key_set(document(*keys))


def verified_by(jwk: Jwk) -> set[str]:
    keys = key_set({**jwk, "kid": "one"})
    return {name for name in EVERY if keys.find(key_id="one", algorithm=name) is not None}


@pytest.mark.parametrize(
    ("jwk", "names"),
    [
        (RSA_KEY, RSA_NAMES),
        (RSA_KEY | {"alg": "RS256"}, {"RS256"}),
        (RSA_KEY | {"alg": "PS512"}, {"PS512"}),
        (EC_KEY, {"ES256"}),
        (EC_KEY | {"alg": "ES256"}, {"ES256"}),
        (P384_KEY, {"ES384"}),
        (P521_KEY, {"ES512"}),
        (ED_KEY, {"EdDSA"}),
        (ED_KEY | {"alg": "EdDSA"}, {"EdDSA"}),
        (ED_KEY | {"alg": "Ed25519"}, {"EdDSA"}),
        (ED448_KEY, {"EdDSA"}),
    ],
)
def test_a_key_verifies_its_own_algorithm_or_those_that_fit_it(jwk: Jwk, names: set[str]) -> None:
    assert verified_by(jwk) == names


def short_rsa() -> Jwk:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)


def huge_modulus() -> str:
    return base64.urlsafe_b64encode(b"\xff" * 1100).rstrip(b"=").decode()


UNFIT: dict[str, object] = {
    "no object": "key",
    "an empty object": {},
    "no type": {name: value for name, value in RSA_KEY.items() if name != "kty"},
    "a type of another case": RSA_KEY | {"kty": "rsa"},
    "a type that is a list": RSA_KEY | {"kty": ["RSA"]},
    "a shared secret": {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
    "a shared secret for an asymmetric algorithm": {"kty": "oct", "k": "c2VjcmV0", "alg": "RS256"},
    "for encryption": RSA_KEY | {"use": "enc"},
    "a use that is null": RSA_KEY | {"use": None},
    "operations without verify": RSA_KEY | {"key_ops": ["sign"]},
    "no operations": RSA_KEY | {"key_ops": []},
    "operations as text": RSA_KEY | {"key_ops": "verify"},
    "an encryption algorithm": RSA_KEY | {"alg": "RSA-OAEP"},
    "a symmetric algorithm": RSA_KEY | {"alg": "HS256"},
    "another type's algorithm": RSA_KEY | {"alg": "ES256"},
    "another curve's algorithm": EC_KEY | {"alg": "ES384"},
    "an algorithm that is a number": RSA_KEY | {"alg": 256},
    "a curve of currencies": K256_KEY,
    "an unknown curve": EC_KEY | {"crv": "P-257"},
    "another type's curve": EC_KEY | {"crv": "Ed25519"},
    "a point off the curve": EC_KEY | {"x": EC_KEY["y"]},
    "half a point": {name: value for name, value in EC_KEY.items() if name != "y"},
    "a short coordinate": EC_KEY | {"x": EC_KEY["x"][:-2]},
    "a modulus that is a number": RSA_KEY | {"n": 5},
    "an empty modulus": RSA_KEY | {"n": ""},
    "a modulus that is not base64": RSA_KEY | {"n": "!!!!"},
    "a modulus of 1024 bits": short_rsa(),
    "a modulus of 8800 bits": RSA_KEY | {"n": huge_modulus()},
    "an exponent of one": RSA_KEY | {"e": "AQ"},
    "an even exponent": RSA_KEY | {"e": "AQAA"},
    "an exponent as long as the modulus": RSA_KEY | {"e": RSA_KEY["n"][:-4] + "AQAB"},
    "an id that is a number": RSA_KEY | {"kid": 7},
    "only a certificate": {"kty": "RSA", "x5c": ["MIIB"]},
}


@pytest.mark.parametrize("jwk", UNFIT.values(), ids=UNFIT.keys())
def test_an_unfit_key_is_left_out_and_harms_nobody(jwk: object) -> None:
    keys = key_set(jwk, EC_KEY | {"kid": "good"})

    assert len(keys) == 1
    assert keys.find(key_id="good", algorithm="ES256") is not None


@pytest.mark.parametrize("jwk", UNFIT.values(), ids=UNFIT.keys())
def test_unfit_keys_alone_are_no_key_set(jwk: object) -> None:
    with pytest.raises(KeySetError):
        key_set(jwk)


@pytest.mark.parametrize(
    "raw",
    [b"", b"nonsense", b"[]", b"{}", b'{"keys":{}}', b'{"keys":null}', b'{"keys":[]}', b"\xff", b"[" * 9999],
)
def test_a_document_without_keys_is_no_key_set(raw: bytes) -> None:
    with pytest.raises(KeySetError):
        parse_key_set(raw)


def test_the_poisoned_set_of_the_box_leaves_the_good_key() -> None:
    keys = key_set(*poisoned_keys(), EC_KEY | {"kid": "good"})

    assert len(keys) == 1


def test_the_public_half_of_a_private_key_is_used_and_nothing_else() -> None:
    private: Jwk = RSAAlgorithm.to_jwk(RSA_PRIVATE, as_dict=True)
    del private["key_ops"]

    key = key_set(private | {"kid": "one"}).find(key_id="one", algorithm="RS256")

    assert key is not None
    assert isinstance(key.public, rsa.RSAPublicKey)


def test_padding_and_leading_zeros_in_a_modulus_are_forgiven() -> None:
    raw = b"\0" + RSA_PRIVATE.public_key().public_numbers().n.to_bytes(256, "big")

    assert len(key_set(RSA_KEY | {"n": base64.urlsafe_b64encode(raw).decode()})) == 1


def test_a_key_is_found_by_its_id() -> None:
    keys = key_set(RSA_KEY | {"kid": "r"}, EC_KEY | {"kid": "e"}, ED_KEY)

    assert keys.find(key_id="e", algorithm="ES256") is not None
    assert keys.find(key_id="e", algorithm="RS256") is None
    assert keys.find(key_id="unknown", algorithm="ES256") is None
    assert keys.find(key_id="", algorithm="EdDSA") is None
    assert keys.find(key_id="../../keys' OR 1=1 --", algorithm="ES256") is None


def test_a_token_without_id_is_verified_only_where_one_key_fits() -> None:
    one_each = key_set(RSA_KEY | {"kid": "r"}, EC_KEY | {"kid": "e"})
    other: Jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
    two = key_set(EC_KEY | {"kid": "e"}, other | {"kid": "f"})

    assert one_each.find(key_id=None, algorithm="ES256") is not None
    assert two.find(key_id=None, algorithm="ES256") is None


def test_an_id_that_two_different_keys_share_names_neither() -> None:
    other: Jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
    keys = key_set(EC_KEY | {"kid": "e"}, other | {"kid": "e"})

    assert keys.find(key_id="e", algorithm="ES256") is None


def test_the_same_key_published_twice_is_one_key() -> None:
    keys = key_set(EC_KEY | {"kid": "e"}, EC_KEY | {"kid": "e", "x5t": "other"})

    assert keys.find(key_id="e", algorithm="ES256") is not None


def test_keys_beyond_the_bound_are_not_read() -> None:
    keys = key_set(*[EC_KEY | {"kid": str(number)} for number in range(MAX_KEYS + 1)])

    assert len(keys) == MAX_KEYS


def test_a_set_keeps_another_while_no_key_left_or_changed() -> None:
    one = key_set(EC_KEY | {"kid": "e"})
    two = key_set(EC_KEY | {"kid": "e"}, RSA_KEY | {"kid": "r"})
    renamed = key_set(EC_KEY | {"kid": "other"})
    replaced = key_set(ED_KEY | {"kid": "e"})

    assert two.keeps(one)
    assert one.keeps(one)
    assert one.keeps(KeySet())
    assert not one.keeps(two)
    assert not renamed.keeps(one)
    assert not replaced.keeps(one)
