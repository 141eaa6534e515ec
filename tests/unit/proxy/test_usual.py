"""The usual request is decided by look-ups, with the outcome that the rules have."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.errors import SidecarError
from sidecar.providers.model import Origin, Placement, PlacementKind, Provider, ProviderHost
from sidecar.proxy.address import AddressBook
from sidecar.proxy.control import read_controls
from sidecar.proxy.framing import check_request
from sidecar.proxy.gate import Arrival, Gate, OwnListeners
from sidecar.proxy.parsing import RawRequest
from sidecar.proxy.plan import ReadRequest, connection_stays
from sidecar.proxy.usual import UsualRequests
from sidecar.secret import Secret
from sidecar.web.strict_handler import HeadLimits

JWT = b"aaa.bbb.ccc"
ARRIVAL = Arrival(address="127.0.0.1")


def provider(name, *hosts, base_path="", placement=None):
    return Provider(
        name=name,
        base_path=base_path,
        hosts=tuple(
            ProviderHost(
                origin=Origin(scheme="https", host=host, port=443), placement=placement or Placement()
            )
            for host in hosts
        ),
    )


BOOK = AddressBook(
    [
        provider("api", "api.test", "more.test"),
        provider("files", "files.test", base_path="/base%20d"),
        provider("keyed", "keyed.test", placement=Placement(name="X-Key", format="t={token}%")),
        provider("query", "query.test", placement=Placement(kind=PlacementKind.QUERY, name="key")),
        provider("basic", "basic.test", placement=Placement(kind=PlacementKind.BASIC, format="{token}:")),
    ],
    gate=Gate(hosts=frozenset({"own.test"})),
    own=OwnListeners(),
)


def by_rules(raw):
    """Return what the rules make of a request, an error's code where they refuse it."""
    try:
        head = raw.head()
        body = check_request(head, HeadLimits())
        address = BOOK.resolve(head, read_controls(head.fields), ARRIVAL)
        plan = ReadRequest(head, address, is_service_key=lambda _: False)
        sent = plan.outgoing(Secret("tok"))
    except SidecarError as error:
        return error.code
    asked = plan.asked
    return (
        sent,
        body,
        plan.credential,
        plan.ask,
        plan.call,
        (asked.method, asked.place, asked.version, asked.takes_trailers),
        connection_stays(head),
    )


def by_look_ups(usual, raw):
    """Return the same of the look-ups, nothing where they leave it to the rules."""
    plan = usual.find(raw, ARRIVAL)
    sent = plan.outgoing(Secret("tok")) if plan else None
    if plan is None or sent is None:
        return None
    asked = plan.asked
    facts = (asked.method, asked.place, asked.version, asked.takes_trailers)
    return sent, plan.body, plan.credential, plan.ask, plan.call, facts, plan.stays


def learn(usual, raw):
    head = raw.head()
    try:
        controls = read_controls(head.fields)
        check_request(head, HeadLimits())
        address = BOOK.resolve(head, controls, ARRIVAL)
    except SidecarError:
        return
    usual.learn(raw, ARRIVAL, address, caller_name=controls.caller)


def raw(target, fields, method=b"GET", version=(1, 1)):
    return RawRequest(method, target, version, [name for name, _ in fields], [value for _, value in fields])


NAMES = [
    b"Host", b"host", b"Authorization", b"AUTHORIZATION", b"Connection", b"Content-Length", b"Accept", b"X-A",
    b"X-Key", b"x_key", b"X%s", b"X-Api-Key", b"Proxy-Authorization", b"TE", b"Trailer", b"Keep-Alive",
    b"Transfer-Encoding", b"Upgrade", b"Expect", b"Origin", b"Sec-Fetch-Site", b"Cookie",
    b"Sec-WebSocket-Protocol", b"Sidecar-Account", b"Sidecar-Grant", b"Sidecar-Provider", b"Sidecar-Upstream",
    b"Sidecar-Caller", b"Sidecar-Authorization", b"Sidecar-New", b"Sidecar_Account", b"Content_Length",
]  # fmt: skip
VALUES = [
    b"localhost", b"api.test", b"own.test", b"files.test:443", b"Bearer " + JWT, b"bearer " + JWT, JWT,
    b"Bearer d.e.f", b"Basic eA==", b"close", b"keep-alive", b"x-a, close", b"Upgrade", b"0", b"12", b"+1",
    b"", b"chunked", b"100-continue", b"https://api.test", b"api", b"files", b"100% %s %b", b"\xff", b"a\tb",
    b"session=" + JWT, b"none",
]  # fmt: skip
TARGETS = [
    b"/api/x", b"/api/x?y=%s", b"/api//x", b"/api", b"/api?x", b"/files/a/../b", b"/files//b", b"/nobody/x",
    b"/api~more.test/x", b"/api@work/x", b"/api@w%6Frk/x", b"/keyed/x", b"/query/x?key=1", b"/basic/x",
    b"http://api.test/x", b"*", b"/", b"//api/x", b"/api/" + JWT, b"/api/#f", b"/api/\xff",
]  # fmt: skip

field = st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES))
usual_fields = st.just(((b"Host", b"localhost"), (b"Authorization", b"Bearer " + JWT)))
fields = st.builds(
    lambda a, b, c: [*a, *b, *c], st.lists(field, max_size=2), usual_fields, st.lists(field, max_size=3)
)
requests = st.builds(
    raw,
    st.sampled_from(TARGETS),
    fields,
    method=st.sampled_from([b"GET", b"POST", b"TRACE", b"PROPFIND"]),
    version=st.sampled_from([(1, 1), (1, 1), (1, 0)]),
)


@given(st.lists(requests, min_size=1, max_size=6))
@example([raw(b"/api/x", [(b"Host", b"localhost"), (b"Authorization", b"Bearer " + JWT), (b"X%s", b"%b")])])
def test_look_ups_say_what_the_rules_say_or_nothing(made):
    usual = UsualRequests()
    for one in made:
        learn(usual, one)

    for one in made:
        found = by_look_ups(usual, one)
        assert found is None or found == by_rules(one)


@pytest.mark.parametrize(
    "target", [b"/api/x?y", b"/api@work/x", b"/files/a", b"/api~more.test/x", b"/keyed/x"]
)
def test_a_request_like_one_before_it_is_usual(target):
    usual = UsualRequests()
    common = [(b"Host", b"localhost"), (b"Authorization", b"Bearer " + JWT), (b"Accept", b"*/*")]
    learn(usual, raw(target, common))
    later = raw(target + b"/other?z=1", [*common[:2], (b"Accept", b"text/plain")])

    assert by_look_ups(usual, later) == by_rules(later)


def test_nothing_is_usual_before_the_rules_have_said_so():
    assert UsualRequests().find(raw(b"/api/x", [(b"Host", b"localhost")]), ARRIVAL) is None


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr("sidecar.proxy.usual.MOST_KEPT", 4)
    usual = UsualRequests()

    for number in range(100):
        made = raw(
            b"/api@a%d/x" % number,
            [(b"Host", b"localhost"), (b"Authorization", b"Bearer " + JWT), (b"X-%d" % number, b"1")],
        )
        learn(usual, made)

    assert len(usual._shapes) <= 4
    assert sum(map(len, usual._routes.values())) <= 4
