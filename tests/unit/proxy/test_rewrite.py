import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import BadRequestError, BadUpstreamError
from sidecar.providers.model import Origin, Placement, PlacementKind, Provider, ProviderHost
from sidecar.proxy.address import Address, AddressForm
from sidecar.proxy.credentials import read_credential
from sidecar.proxy.framing import CHUNKED_BODY, NO_BODY, BodyFraming
from sidecar.proxy.head import BodyKind, RequestHead, ResponseHead
from sidecar.proxy.rewrite import HOP_BY_HOP, incoming_response, interim_fields, outgoing_request
from sidecar.secret import Secret

JWT = b"aaa.bbb.ccc"
BEARER = (b"Authorization", b"Bearer " + JWT)
PLACED = (b"Authorization", b"Bearer tok")
HOST = (b"Host", b"api.test")


def address(placement=None, target=b"/x"):
    host = ProviderHost(
        origin=Origin(scheme="https", host="api.test", port=443), placement=placement or Placement()
    )
    return Address(
        provider=Provider(name="api", hosts=(host,)),
        host=host,
        target=target,
        form=AddressForm.HOST,
        authority=b"api.test",
    )


def out(*fields, placement=None, target=b"/x", token="tok"):
    fields = ((b"Host", b"localhost"), *fields)
    credential = read_credential(fields, is_proxy_form=True, is_service_key=lambda _: False)
    head = RequestHead(method="GET", target=b"/api/x", fields=fields)
    return outgoing_request(
        head, address=address(placement, target), credential=credential, token=Secret(token)
    )


def back(*fields, body=NO_BODY, to_version=(1, 1)):
    head = ResponseHead(status=200, reason=b"OK", fields=fields)
    return incoming_response(head, address=address(), body=body, to_version=to_version)


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP - {b"transfer-encoding", b"te"}))
def test_hop_by_hop_fields_do_not_go_upstream(name):
    assert out(BEARER, (name.title(), b"x")).fields == (HOST, PLACED)


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_hop_by_hop_fields_do_not_come_back(name):
    assert back((name.upper(), b"x"), (b"Y", b"1")) == (((b"Y", b"1"),), BodyKind.NONE)


def test_te_keeps_only_trailers():
    assert out(BEARER, (b"TE", b"gzip;q=1, Trailers")).fields == (HOST, PLACED, (b"TE", b"trailers"))
    assert out(BEARER, (b"TE", b"gzip")).fields == (HOST, PLACED)


def test_connection_names_fields_to_remove_but_none_that_all_recipients_need():
    kept = ((b"Content-Length", b"1"), (b"Content-Type", b"a"), (b"Cache-Control", b"b"))
    connection = (
        b"Connection",
        b"close, X-A ,content-length,Content-Type, host, cache-control,authorization",
    )

    assert out(BEARER, connection, (b"x-a", b"1"), *kept).fields == (HOST, PLACED, *kept)


def test_the_coding_of_the_body_stays_as_it_is():
    chunked = (b"Transfer-Encoding", b"chunked")

    assert out(BEARER, chunked).fields == (HOST, PLACED, chunked)


def test_control_fields_go_nowhere_whether_known_or_not():
    assert out(BEARER, (b"Sidecar-Account", b"a"), (b"SIDECAR-NEW", b"b")).fields == (HOST, PLACED)


CREDENTIALS = [
    [BEARER],
    [BEARER, (b"X-Api-Key", JWT)],
    [(b"X-Api-Key", JWT), (b"Authorization", b"Basic b3RoZXI=")],
    [(b"Proxy-Authorization", b"Bearer " + JWT)],
    [(b"Private-Token", JWT), (b"Proxy-Authorization", b"Basic eA==")],
    [(b"Sidecar-Authorization", JWT), (b"Authorization", b"Bearer other")],
    [(b"Sidecar-Authorization", JWT), (b"X-Api-Key", b"other"), (b"Api-Key", b"x.y.z")],
]


@pytest.mark.parametrize("fields", CREDENTIALS)
def test_every_place_that_counted_is_removed_and_the_token_placed_once(fields):
    assert out(*fields).fields == (HOST, PLACED)


def test_another_key_field_with_another_value_passes():
    other = (b"X-Goog-Api-Key", b"project-key")

    assert out(BEARER, other).fields == (HOST, PLACED, other)


def test_the_token_stands_where_the_credential_stood():
    before, after = (b"A", b"1"), (b"B", b"2")

    assert out(before, BEARER, after).fields == (HOST, before, PLACED, after)
    assert out(before, (b"Sidecar-Authorization", JWT), after).fields == (HOST, before, after, PLACED)


@pytest.mark.parametrize("name", [b"X-Token", b"x-token", b"X_Token", b"X-TOKEN"])
def test_what_stands_where_the_placement_writes_is_removed_in_every_spelling(name):
    placement = Placement(name="X-Token", format="{token}")

    assert out(BEARER, (name, b"mine"), placement=placement).fields == (HOST, (b"X-Token", b"tok"))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/x", b"/x?key=t%2Bk"),
        (b"/x?", b"/x?key=t%2Bk"),
        (b"/x?a=1&&b=%20", b"/x?a=1&&b=%20&key=t%2Bk"),
        (b"/x?key=mine&a=1", b"/x?a=1&key=t%2Bk"),
        (b"/x?a=1&k%65y=mine&key", b"/x?a=1&key=t%2Bk"),
        (b"/x?key=" + JWT, b"/x?key=t%2Bk"),
    ],
)
def test_a_token_in_the_query_is_set_and_never_added(target, expected):
    placement = Placement(kind=PlacementKind.QUERY, name="key", format="{token}")

    sent = out(BEARER, placement=placement, target=target, token="t+k")

    assert sent.target == expected
    assert sent.fields == (HOST,)


def test_a_token_in_basic_is_encoded():
    placement = Placement(kind=PlacementKind.BASIC, format="user:{token}")

    assert out(BEARER, placement=placement).fields == (HOST, (b"Authorization", b"Basic dXNlcjp0b2s="))


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: 1", "a\0", "é"])
def test_a_token_that_would_break_the_head_is_not_sent(token):
    with pytest.raises(BadUpstreamError):
        out(BEARER, token=token)


@pytest.mark.parametrize(
    ("fields", "target", "named"),
    [
        ([(b"Cookie", b"a=" + JWT)], b"/x", "Cookie"),
        ([(b"X-Jwt", JWT)], b"/x", "X-Jwt"),
        ([(b"X" + JWT, b"1")], b"/x", "the name of a field"),
        ([(b"X!", JWT)], b"/x", "a field"),
        ([(b"X-Api-Key", b"Bearer " + JWT)], b"/x", "X-Api-Key"),
        ([], b"/x?t=" + JWT, "the request target"),
        ([], b"/x/" + JWT, "the request target"),
    ],
)
def test_the_credential_anywhere_else_is_refused_and_named(fields, target, named):
    with pytest.raises(BadRequestError) as caught:
        out(BEARER, *fields, target=target)

    assert named in caught.value.detail
    assert JWT.decode() not in caught.value.detail


def test_the_key_in_a_subprotocol_is_replaced():
    offered = (b"Sec-WebSocket-Protocol", b"realtime, openai-insecure-api-key." + JWT + b",beta")
    expected = (b"Sec-WebSocket-Protocol", b"realtime, openai-insecure-api-key.tok, beta")

    assert out(offered).fields == (HOST, expected, PLACED)


def test_a_subprotocol_without_a_key_keeps_its_bytes():
    offered = (b"Sec-WebSocket-Protocol", b"a,b ,  c")

    assert out(BEARER, offered).fields == (HOST, PLACED, offered)


def test_an_unread_key_in_a_subprotocol_is_removed():
    own = (b"Sidecar-Authorization", JWT)
    offered = (b"Sec-WebSocket-Protocol", b"openai-insecure-api-key.x.y.z, a")

    assert out(own, offered).fields == (HOST, (b"Sec-WebSocket-Protocol", b"a"), PLACED)
    assert out(own, (offered[0], offered[1][:-3])).fields == (HOST, PLACED)


@pytest.mark.parametrize("name", [b"Sidecar-Error", b"sidecar-error", b"Sidecar_Error"])
def test_a_provider_cannot_speak_as_us(name):
    assert back((name, b"draining"))[0] == ()


LENGTH = (b"Content-Length", b"3")
CODING = (b"Transfer-Encoding", b"chunked")
FRAMINGS = [
    (NO_BODY, (1, 1), (LENGTH,), (LENGTH,), BodyKind.NONE),
    (NO_BODY, (1, 1), (CODING,), (), BodyKind.NONE),
    (BodyFraming(kind=BodyKind.LENGTH, length=3), (1, 1), (LENGTH,), (LENGTH,), BodyKind.LENGTH),
    (BodyFraming(kind=BodyKind.LENGTH, length=3), (1, 0), (LENGTH,), (LENGTH,), BodyKind.LENGTH),
    (CHUNKED_BODY, (1, 1), (CODING,), (CODING,), BodyKind.CHUNKED),
    (CHUNKED_BODY, (1, 0), (CODING,), (), BodyKind.UNTIL_CLOSE),
    (BodyFraming(kind=BodyKind.UNTIL_CLOSE), (1, 1), (), (CODING,), BodyKind.CHUNKED),
    (BodyFraming(kind=BodyKind.UNTIL_CLOSE), (1, 0), (), (), BodyKind.UNTIL_CLOSE),
]


@pytest.mark.parametrize(("body", "version", "came", "goes", "kind"), FRAMINGS)
def test_the_answers_end_is_said_in_the_callers_version(body, version, came, goes, kind):
    assert back(*came, body=body, to_version=version) == (goes, kind)


def test_interim_answers_lose_the_same_fields():
    assert interim_fields(
        ((b"Link", b"a"), (b"Connection", b"x"), (b"X", b"1"), (b"Sidecar-Error", b"y"))
    ) == ((b"Link", b"a"),)


names = st.sampled_from(
    [b"X-A", b"x-a", b"Accept", b"User-Agent", b"Cookie", b"X_Under", b"Via", b"Forwarded"]
)
field_values = st.binary(max_size=20).map(
    lambda raw: bytes(b for b in raw if b >= 0x20 and b != 0x7F).strip()
)


@given(st.lists(st.tuples(names, field_values)))
def test_fields_that_no_rule_names_pass_in_order_and_byte_for_byte(fields):
    assert out(*fields, BEARER).fields == (HOST, *fields, PLACED)
    assert back(*fields)[0] == tuple(fields)
