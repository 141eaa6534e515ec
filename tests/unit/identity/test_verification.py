"""A token is proven or refused for its reason: one row for every rule."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from sidecar.identity.bearer import Refusal, TokenLimits, TokenRefusedError, parse_bearer
from sidecar.identity.keyset import parse_key_set
from sidecar.identity.verification import Expectations, verified_claims
from sidecar.testing.keys import SigningKey

NOW = 1_800_000_000.0
ISSUER = "https://idp.example/"
US = "https://api.example"
EXPECTED = Expectations(issuer=ISSUER, audience=frozenset({US, "second"}), leeway=30.0)

RSA_PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE: dict[str, Any] = {
    "rsa": RSA_PRIVATE,
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ed448": ed448.Ed448PrivateKey.generate(),
}
WRITERS = {"rsa": RSAAlgorithm, "p256": ECAlgorithm, "p384": ECAlgorithm, "p521": ECAlgorithm}
KEYS = parse_key_set(
    json.dumps(
        {
            "keys": [
                {**WRITERS.get(kid, OKPAlgorithm).to_jwk(key.public_key(), as_dict=True), "kid": kid}
                for kid, key in PRIVATE.items()
            ]
        }
    ).encode()
)

CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": US, "sub": "uma", "iat": int(NOW), "exp": int(NOW) + 600}


def signed(algorithm: str = "ES256", kid: str = "p256", **claims: Any) -> str:
    payload = {name: value for name, value in (CLAIMS | claims).items() if value is not ...}
    return jwt.encode(payload, PRIVATE[kid], algorithm=algorithm, headers={"kid": kid})


def raw(payload: bytes | str) -> str:
    """Sign exactly this payload."""
    key = SigningKey.__new__(SigningKey)
    key.kid, key.algorithm, key._private = "p256", "ES256", PRIVATE["p256"]
    return key.sign(
        {"alg": "ES256", "kid": "p256"}, payload if isinstance(payload, bytes) else payload.encode()
    )


def judge(text: str, *, expected: Expectations = EXPECTED, now: float = NOW) -> dict[str, Any]:
    bearer = parse_bearer(text, limits=TokenLimits())
    key = KEYS.find(key_id=bearer.key_id, algorithm=bearer.algorithm)
    if key is None:
        raise TokenRefusedError(Refusal.UNKNOWN_KEY)
    return dict(verified_claims(bearer, key, expected=expected, now=now))


def refusal_of(text: str, *, expected: Expectations = EXPECTED, now: float = NOW) -> Refusal:
    with pytest.raises(TokenRefusedError) as caught:
        judge(text, expected=expected, now=now)
    return caught.value.refusal


@pytest.mark.parametrize(
    ("algorithm", "kid"),
    [
        *((name, "rsa") for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        ("ES256", "p256"),
        ("ES384", "p384"),
        ("ES512", "p521"),
        ("EdDSA", "ed25519"),
        ("EdDSA", "ed448"),
    ],
)
def test_a_good_token_of_every_algorithm_gives_its_claims(algorithm: str, kid: str) -> None:
    assert judge(signed(algorithm, kid)) == CLAIMS


def with_part(text: str, index: int, part: str) -> str:
    parts = text.split(".")
    parts[index] = part
    return ".".join(parts)


def b64(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hmac_with_the_public_key() -> str:
    """The classic confusion: the published key as the secret of an HMAC."""
    pem = RSA_PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = f"{b64({'alg': 'HS256', 'kid': 'rsa'})}.{b64(CLAIMS)}"
    return f"{head}.{b64(hmac.new(pem, head.encode(), hashlib.sha256).digest())}"


def signed_by_a_stranger(**header: Any) -> str:
    stranger = ec.generate_private_key(ec.SECP256R1())
    own = ECAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
    return jwt.encode(CLAIMS, stranger, algorithm="ES256", headers={"kid": "p256", "jwk": own, **header})


GOOD = signed()
FORGED = {
    "an HMAC with the RSA public key": (hmac_with_the_public_key(), Refusal.ALGORITHM),
    "no signature at all": (f"{b64({'alg': 'none'})}.{b64(CLAIMS)}.", Refusal.MALFORMED),
    "none, with something for a signature": (f"{b64({'alg': 'none'})}.{b64(CLAIMS)}.c2ln", Refusal.ALGORITHM),
    "a stranger's key, sent along": (signed_by_a_stranger(), Refusal.SIGNATURE),
    "a stranger's key by URL": (signed_by_a_stranger(jku="https://evil.example/keys"), Refusal.SIGNATURE),
    "an id of a key we do not know": (signed_by_a_stranger(kid="other"), Refusal.UNKNOWN_KEY),
    "an id that is a path": (signed_by_a_stranger(kid="../../dev/null"), Refusal.UNKNOWN_KEY),
    "an id that is a query": (signed_by_a_stranger(kid="' UNION SELECT 'k"), Refusal.UNKNOWN_KEY),
    "another key's id": (with_part(GOOD, 0, b64({"alg": "ES384", "kid": "p384"})), Refusal.SIGNATURE),
    "another type's algorithm": (
        with_part(GOOD, 0, b64({"alg": "RS256", "kid": "p256"})),
        Refusal.UNKNOWN_KEY,
    ),
    "a changed header": (with_part(GOOD, 0, b64({"alg": "ES256", "kid": "p256", "a": 1})), Refusal.SIGNATURE),
    "a changed payload": (with_part(GOOD, 1, b64(CLAIMS | {"sub": "eve"})), Refusal.SIGNATURE),
    "a signature of zeros": (with_part(GOOD, 2, b64(bytes(64))), Refusal.SIGNATURE),
    "a signature in DER": (with_part(GOOD, 2, b64(bytes([48, 6, 2, 1, 1, 2, 1, 1]))), Refusal.SIGNATURE),
    "a short signature": (with_part(GOOD, 2, b64(b"s")), Refusal.SIGNATURE),
    "a huge signature": (with_part(signed("RS256", "rsa"), 2, b64(b"s" * 9000)), Refusal.SIGNATURE),
    "a padded signature": (GOOD + "==", Refusal.MALFORMED),
    "PKCS #1 for PSS": (
        with_part(signed("RS256", "rsa"), 0, b64({"alg": "PS256", "kid": "rsa"})),
        Refusal.SIGNATURE,
    ),
}


@pytest.mark.parametrize(("text", "refusal"), FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused_for_its_reason(text: str, refusal: Refusal) -> None:
    assert refusal_of(text) is refusal


def test_a_key_never_verifies_an_algorithm_that_is_not_its_own() -> None:
    key = KEYS.find(key_id="p256", algorithm="ES256")
    assert key is not None

    with pytest.raises(TokenRefusedError) as caught:
        verified_claims(
            parse_bearer(signed("RS256", "rsa"), limits=TokenLimits()), key, expected=EXPECTED, now=NOW
        )
    assert caught.value.refusal is Refusal.ALGORITHM


CLAIM_ROWS: dict[str, tuple[dict[str, Any], Refusal]] = {
    "no issuer": ({"iss": ...}, Refusal.ISSUER),
    "another issuer": ({"iss": "https://evil.example/"}, Refusal.ISSUER),
    "the issuer without its slash": ({"iss": ISSUER.rstrip("/")}, Refusal.ISSUER),
    "the issuer in capitals": ({"iss": ISSUER.upper()}, Refusal.ISSUER),
    "no audience": ({"aud": ...}, Refusal.AUDIENCE),
    "another audience": ({"aud": "https://other.example"}, Refusal.AUDIENCE),
    "the audience with a slash": ({"aud": US + "/"}, Refusal.AUDIENCE),
    "a list without us": ({"aud": ["one", "two"]}, Refusal.AUDIENCE),
    "an empty list": ({"aud": []}, Refusal.AUDIENCE),
    "a list that is not all text": ({"aud": [US, 7]}, Refusal.AUDIENCE),
    "a nested list": ({"aud": [[US]]}, Refusal.AUDIENCE),
    "an audience that is an object": ({"aud": {US: 1}}, Refusal.AUDIENCE),
    "an audience that is null": ({"aud": None}, Refusal.AUDIENCE),
    "a logout token in disguise": (
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
        Refusal.TYPE,
    ),
    "no end": ({"exp": ...}, Refusal.TIMES),
    "an end that is null": ({"exp": None}, Refusal.TIMES),
    "an end in text": ({"exp": str(CLAIMS["exp"])}, Refusal.TIMES),
    "an end in digits of another script": (
        {"exp": "\u0661\u0668\u0660\u0660\u0660\u0660\u0660\u0666"},
        Refusal.TIMES,
    ),
    "an end that is true": ({"exp": True}, Refusal.TIMES),
    "an end that is a list": ({"exp": [CLAIMS["exp"]]}, Refusal.TIMES),
    "an end beyond any calendar": ({"exp": 1e300}, Refusal.TIMES),
    "an end in milliseconds": ({"exp": CLAIMS["exp"] * 1000}, Refusal.TIMES),
    "a negative end": ({"exp": -1}, Refusal.TIMES),
    "expired": ({"exp": int(NOW) - 30}, Refusal.EXPIRED),
    "an early start in text": ({"nbf": "0"}, Refusal.TIMES),
    "a start that is true": ({"nbf": False}, Refusal.TIMES),
    "not yet valid": ({"nbf": int(NOW) + 31}, Refusal.NOT_YET_VALID),
    "an issue time in text": ({"iat": "0"}, Refusal.TIMES),
    "an issue time that is null": ({"iat": None}, Refusal.TIMES),
    "issued in the future": ({"iat": int(NOW) + 31}, Refusal.NOT_YET_VALID),
}


@pytest.mark.parametrize(("claims", "refusal"), CLAIM_ROWS.values(), ids=CLAIM_ROWS.keys())
def test_a_claim_that_breaks_a_rule_is_refused_for_it(claims: dict[str, Any], refusal: Refusal) -> None:
    assert (
        refusal_of(raw(json.dumps({k: v for k, v in (CLAIMS | claims).items() if v is not ...}))) is refusal
    )


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "[]",
        '"text"',
        "{",
        json.dumps(CLAIMS)[:-1] + ',"sub":"eve"}',
        json.dumps(CLAIMS)[:-1] + ',"exp":1e400}',
        json.dumps(CLAIMS)[:-1] + ',"x":NaN}',
        json.dumps(CLAIMS)[:-1] + ',"x":' + "[" * 3000 + "]" * 3000 + "}",
        json.dumps(CLAIMS).encode("utf-16"),
    ],
)
def test_a_signed_payload_that_is_no_plain_object_is_malformed(payload: str | bytes) -> None:
    assert refusal_of(raw(payload)) is Refusal.MALFORMED


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "second"},
        {"aud": ["other", US]},
        {"exp": CLAIMS["exp"] + 0.5},
        {"exp": int(NOW) - 29},
        {"nbf": int(NOW) + 30},
        {"iat": int(NOW) + 30},
        {"iat": ...},
        {"iat": 0},
        {"azp": "anybody"},
        {"events": "a festival"},
    ],
)
def test_a_token_within_the_rules_passes(claims: dict[str, Any]) -> None:
    assert judge(signed(**claims))["sub"] == "uma"


def test_the_leeway_ends_to_the_instant() -> None:
    text = signed(exp=int(NOW))

    assert judge(text, now=NOW + 29.99)
    assert refusal_of(text, now=NOW + 30.0) is Refusal.EXPIRED


def test_a_foreign_token_is_not_told_whether_it_expired() -> None:
    assert refusal_of(signed(aud="other", exp=1)) is Refusal.AUDIENCE


PARTIES = Expectations(issuer=ISSUER, authorized_parties=frozenset({"https://app.example"}))
BOTH = Expectations(
    issuer=ISSUER, audience=frozenset({US}), authorized_parties=frozenset({"https://app.example"})
)


@pytest.mark.parametrize(
    ("expected", "claims", "passes"),
    [
        (PARTIES, {"azp": "https://app.example", "aud": ...}, True),
        (PARTIES, {"azp": "https://app.example", "aud": "whatever"}, True),
        (PARTIES, {"azp": "https://app.example/"}, False),
        (PARTIES, {"azp": ["https://app.example"]}, False),
        (PARTIES, {"azp": None}, False),
        (PARTIES, {}, False),
        (BOTH, {"azp": "https://app.example"}, True),
        (BOTH, {"azp": "other"}, False),
        (BOTH, {}, False),
    ],
)
def test_authorized_parties_are_exact_and_stand_for_a_missing_audience(
    expected: Expectations, claims: dict[str, Any], passes: bool
) -> None:
    text = raw(json.dumps({k: v for k, v in (CLAIMS | claims).items() if v is not ...}))

    if passes:
        assert judge(text, expected=expected)["sub"] == "uma"
    else:
        assert refusal_of(text, expected=expected) is Refusal.AUTHORIZED_PARTY


def test_both_the_party_and_the_audience_must_fit() -> None:
    text = signed(azp="https://app.example", aud="other")

    assert refusal_of(text, expected=BOTH) is Refusal.AUDIENCE


def test_expecting_anybody_is_not_possible() -> None:
    with pytest.raises(ValueError, match="name an audience"):
        Expectations(issuer=ISSUER)
