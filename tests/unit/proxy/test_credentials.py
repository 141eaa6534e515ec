import base64

import pytest

from sidecar.errors import (
    BadRequestError,
    ConflictingCredentialsError,
    InvalidTokenError,
    MissingTokenError,
)
from sidecar.proxy.credentials import read_credential

JWT = "aaa.bbb.ccc"
OTHER = "ddd.eee.fff"
KEY = "night-key"


def read(*fields, is_proxy_form=False):
    encoded = tuple((name.encode(), value.encode("latin-1")) for name, value in fields)
    return read_credential(encoded, is_proxy_form=is_proxy_form, is_service_key=lambda text: text == KEY)


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


PLACES = [
    ("Authorization", f"Bearer {JWT}"),
    ("authorization", f"BEARER  {JWT}"),
    ("Authorization", f"token {JWT}"),
    ("Authorization", basic(f"user:{JWT}")),
    ("Authorization", basic(f"{JWT}:")),
    ("Authorization", basic(f"{JWT}:x-oauth-basic")),
    ("X-Api-Key", JWT),
    ("api-key", JWT),
    ("x-goog-api-key", JWT),
    ("PRIVATE-TOKEN", JWT),
    ("Sec-WebSocket-Protocol", f"realtime, openai-insecure-api-key.{JWT}, beta"),
]


@pytest.mark.parametrize(("name", "value"), PLACES)
def test_the_credential_is_found_in_every_known_place(name, value):
    found = read(("Host", "x"), (name, value))

    assert found.value.reveal() == JWT
    assert found.places == {1}


def test_a_service_key_counts_where_a_jwt_would():
    assert read(("Authorization", f"Bearer {KEY}")).value.reveal() == KEY
    assert read(("X-Api-Key", KEY)).places == {0}


def test_proxy_authorization_counts_only_for_a_proxy():
    field = ("Proxy-Authorization", basic(f"x:{JWT}"))

    assert read(field, is_proxy_form=True).value.reveal() == JWT
    with pytest.raises(MissingTokenError):
        read(field)


def test_the_same_credential_in_two_places_counts_in_both():
    found = read(("Authorization", f"Bearer {JWT}"), ("X-Api-Key", JWT), ("Api-Key", "something else"))

    assert found.places == {0, 1}


@pytest.mark.parametrize(
    "fields",
    [
        [("Authorization", f"Bearer {JWT}"), ("X-Api-Key", OTHER)],
        [("X-Api-Key", JWT), ("X-Api-Key", OTHER)],
        [("Authorization", f"Bearer {JWT}"), ("Private-Token", KEY)],
        [("Sec-WebSocket-Protocol", f"openai-insecure-api-key.{JWT}, openai-insecure-api-key.{OTHER}")],
    ],
)
def test_two_different_credentials_conflict(fields):
    with pytest.raises(ConflictingCredentialsError):
        read(*fields)


def test_our_own_field_is_the_only_place_read():
    found = read(("Sidecar-Authorization", JWT), ("Authorization", f"Bearer {OTHER}"), ("X-Api-Key", OTHER))

    assert found.value.reveal() == JWT
    assert found.is_sole


@pytest.mark.parametrize("value", [JWT, f"Bearer {JWT}", f"bearer {JWT}"])
def test_our_own_field_needs_no_scheme(value):
    assert read(("Sidecar-Authorization", value)).value.reveal() == JWT


@pytest.mark.parametrize("value", ["", "opaque", "Bearer opaque", f"Basic {JWT}"])
def test_our_own_field_must_hold_a_credential(value):
    with pytest.raises(InvalidTokenError):
        read(("Sidecar-Authorization", value), ("Authorization", f"Bearer {JWT}"))


def test_our_own_field_may_stand_once():
    with pytest.raises(BadRequestError):
        read(("Sidecar-Authorization", JWT), ("Sidecar-Authorization", JWT))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer a.b",
        "Bearer a.b.c.d",
        "Bearer a.b.c d",
        JWT,
        f"Digest {JWT}",
        "Basic !!!",
        "Basic /w==",
    ],
)
def test_an_authorization_that_is_no_credential_is_invalid(value):
    with pytest.raises(InvalidTokenError):
        read(("Authorization", value))


@pytest.mark.parametrize(
    "fields", [[], [("X-Api-Key", "sk-own")], [("Cookie", JWT)], [("Sec-WebSocket-Protocol", JWT)]]
)
def test_without_a_place_that_counts_the_credential_is_missing(fields):
    with pytest.raises(MissingTokenError):
        read(*fields)


def test_the_credential_does_not_show_itself():
    assert JWT not in repr(read(("X-Api-Key", JWT)))
