"""Strategies for messages that RFC 9110 and RFC 9112 allow, in every way they allow them."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.protocol.corpus.model import JWT
from tests.protocol.oracle import HOP_BY_HOP, Ask, Body, Field, Say

# llhttp's list but for CONNECT, TRACE and PRI, which are not served.
METHODS = (
    b"GET POST PUT DELETE HEAD OPTIONS PATCH COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND"
    b" REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE"
    b" MKCALENDAR LINK UNLINK SOURCE QUERY"
).split()
# Fields with a meaning of their own, which have tests of their own.
SPECIAL = HOP_BY_HOP | {
    b"host",
    b"content-length",
    b"authorization",
    b"expect",
    b"origin",
    b"sec-fetch-site",
    b"sec-websocket-protocol",
    b"x-api-key",
    b"api-key",
    b"x-goog-api-key",
    b"private-token",
    b"location",
    b"content-location",
    b"link",
}
TOKEN = "!#$%&'*+-.^_`|~" + "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
VALUE = "\t" + "".join(map(chr, [*range(0x20, 0x7F), *range(0x80, 0x100)]))
KNOWN = (
    b"Accept accept-ENCODING User-Agent Cookie Set-Cookie Content-Type Content-Encoding Cache-Control Via"
    b" ETag Date Server Range If-None-Match Forwarded X-Forwarded-For DNT Sec-Fetch-Mode Vary Age"
    b" x_under_score"
).split()
# RFC 9110 §5.3: what is no list stands once in a message that is legal.
SINGLE = frozenset(b"user-agent content-type etag date server range age content-encoding".split())
PATH = "abcXYZ019-._~!$&'()*+,;=:@"


def once_where_single(fields: list[Field]) -> list[Field]:
    seen: set[bytes] = set()
    kept = []
    for name, value in fields:
        lower = name.lower()
        if lower not in seen:
            kept.append((name, value))
        if lower in SINGLE:
            seen.add(lower)
    return kept


values = st.text(VALUE, max_size=30).map(lambda text: text.encode("latin-1").strip(b" \t"))
names = st.one_of(st.sampled_from(KNOWN), st.text(TOKEN, min_size=1, max_size=10).map(str.encode)).filter(
    lambda name: name.lower().replace(b"_", b"-") not in SPECIAL
)
plain_fields = st.lists(st.tuples(names, values), max_size=8).map(once_where_single)
bodies = st.builds(Body, st.binary(max_size=60), st.sampled_from([1, 1, 1, 1, 1, 40, 3000]))
sizes = st.lists(st.sampled_from([1, 2, 3, 15, 16, 17, 255, 256, 4096, 65536]), min_size=1, max_size=5)
escapes = st.sampled_from(["%00", "%2F", "%2f", "%C3%A9", "%25", "%20"])
pieces = st.one_of(st.text(PATH, max_size=6), escapes)
paths = st.lists(pieces, max_size=5).map("/".join)
queries = st.one_of(
    st.just(""), st.lists(st.one_of(pieces, st.sampled_from(["?", "/", "&&", "="])), max_size=5).map("".join)
)
targets = st.builds(lambda path, query: f"/{path}{query and '?'}{query}".encode(), paths, queries)
hop_by_hop = st.sampled_from(
    [
        (b"Keep-Alive", b"timeout=5, max=9"),
        (b"Proxy-Connection", b"keep-alive"),
        (b"TE", b"trailers, deflate;q=0.5"),
        (b"te", b"gzip"),
        (b"Upgrade", b"other/1"),
        (b"Sidecar-Caller", b"tests"),
        (b"Sidecar-Unknown", b"1"),
        (b"X-Api-Key", b"somebody-elses"),
        (b"Connection", b"keep-alive"),
    ]
)
answer_hops = st.sampled_from(
    [
        (b"Keep-Alive", b"timeout=5"),
        (b"Connection", b"keep-alive"),
        (b"Connection", b"close"),
        (b"Proxy-Authenticate", b"Basic"),
        (b"Upgrade", b"h2c"),
        (b"Sidecar-Error", b"bad_request"),
    ]
)
carriers = st.sampled_from(
    [
        (b"Authorization", b"Bearer " + JWT.encode()),
        (b"aUTHORIZATION", b"bearer   " + JWT.encode()),
        (b"authorization", b"token " + JWT.encode()),
        (b"Private-Token", JWT.encode()),
        (b"Sidecar-Authorization", JWT.encode()),
    ]
)


@st.composite
def fields_of(draw: st.DrawFn, extra: st.SearchStrategy[Field]) -> list[Field]:
    """Return plain fields with at most one of each of the extra ones among them, some named in Connection."""
    fields = draw(plain_fields)
    for hop in draw(st.lists(extra, max_size=2, unique_by=lambda hop: hop[0].lower())):
        fields.insert(draw(st.integers(0, len(fields))), hop)
    if fields and draw(st.booleans()):
        option = draw(st.sampled_from(fields))[0]
        # RFC 9110 §7.6.1: a field that is meant for all recipients is no connection option.
        if option not in KNOWN and option.lower() not in SPECIAL:
            fields.append((b"Connection", b"x-none, " + option))
    return fields


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    """Return a request in any form."""
    return Ask(
        form=draw(st.sampled_from(["prefix", "absolute", "host"])),
        method=draw(st.sampled_from(METHODS)),
        target=draw(targets),
        fields=draw(fields_of(hop_by_hop)),
        carrier=draw(carriers),
        body=draw(st.one_of(st.none(), bodies)),
        chunks=draw(st.one_of(st.none(), sizes)),
    )


@st.composite
def says(draw: st.DrawFn) -> Say:
    """Return an answer; 401 may be asked again with a fresh token, and 205 has a case in the corpus."""
    interim = st.tuples(st.sampled_from([100, 102, 103, 199]), values, plain_fields)
    return Say(
        status=draw(
            st.one_of(
                st.sampled_from([200, 204, 206, 304, 404]),
                st.integers(200, 599).filter(lambda status: status not in (205, 401)),
            )
        ),
        reason=draw(values),
        fields=draw(fields_of(answer_hops)),
        body=draw(bodies),
        framing=draw(st.sampled_from(["length", "length", "chunked", "close"])),
        chunks=draw(sizes),
        interim=draw(st.lists(interim, max_size=2)),
    )
