"""A provider's usual answer is turned round by look-ups, with the outcome that the rules have."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import BadUpstreamError
from sidecar.providers.model import Origin, Placement, Provider, ProviderHost
from sidecar.proxy.address import Address, AddressForm, Prefix
from sidecar.proxy.answers import AnswerHeads, Asked, by_rules, place_of
from sidecar.proxy.parsing import RawResponse

HOST = ProviderHost(origin=Origin(scheme="https", host="api.test", port=443), placement=Placement())
NAMES = [
    b"Content-Length", b"content-length", b"Transfer-Encoding", b"Connection", b"Keep-Alive", b"Date", b"X%s",
    b"Location", b"Link", b"Sidecar-Error", b"sidecar_error", b"Upgrade", b"Trailer", b"Set-Cookie", b"X-A",
]  # fmt: skip
VALUES = [
    b"0",
    b"12",
    b"+1",
    b"",
    b"chunked",
    b"xchunked",
    b"close",
    b"keep-alive",
    b"x-a",
    b"/a",
    b"%b",
    b"\xff",
]


def address(prefix):
    made = Prefix(text=b"/api", account=b"", has_host=False) if prefix else None
    return Address(
        provider=Provider(name="api", hosts=(HOST,)),
        host=HOST,
        target=b"/x",
        form=AddressForm.PREFIX if prefix else AddressForm.HOST,
        authority=b"localhost",
        prefix=made,
    )


def asked(method, version, prefix, takes_trailers):
    place = address(prefix)
    return Asked(
        method=method, address=place, place=place_of(place), version=version, takes_trailers=takes_trailers
    )


def response(status, reason, version, fields):
    return RawResponse(status, reason, version, [name for name, _ in fields], [value for _, value in fields])


def facts(make):
    try:
        answer = make()
    except BadUpstreamError:
        return "bad"
    return answer and (answer.status, answer.body, answer.kind, answer.lines, answer.stays)


versions = st.sampled_from([(1, 1), (1, 1), (1, 0)])


@given(
    st.builds(
        response,
        st.sampled_from([200, 204, 304, 404, 999]),
        st.sampled_from([b"OK", b"", b"100% \xff"]),
        versions,
        st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4),
    ),
    st.builds(asked, st.sampled_from(["GET", "HEAD"]), versions, st.booleans(), st.booleans()),
)
def test_look_ups_say_what_the_rules_say(raw, request):
    heads = AnswerHeads()

    for _ in range(2):
        assert facts(lambda: heads.final(raw, request)) == facts(lambda: by_rules(raw, request))


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr("sidecar.proxy.answers.MOST_KEPT", 4)
    heads = AnswerHeads()

    for number in range(50):
        heads.final(
            response(200, b"OK", (1, 1), [(b"X-%d" % number, b"1"), (b"Content-Length", b"0")]),
            asked("GET", (1, 1), prefix=False, takes_trailers=False),
        )

    assert len(heads._shapes) <= 4
