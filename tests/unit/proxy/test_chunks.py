import itertools

import pytest
from httptools import HttpParserError, HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from sidecar.proxy.chunks import ChunkReader, MalformedChunksError, chunk_of, last_chunk

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(*fed):
    """Return the payload, the trailers, and what was left after the end (nothing if there was none)."""
    reader, pieces, rest = ChunkReader(), [], None
    for data in fed:
        assert rest is None
        rest = reader.read(data, pieces)
    return b"".join(pieces), reader.trailers, rest


def cut(data, places):
    borders = [0, *sorted(place % len(data) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(borders)]


class Judge:
    def __init__(self):
        self.body = b""
        self.is_done = False

    def on_body(self, data):
        self.body += data

    def on_message_complete(self):
        self.is_done = True


def by_llhttp(data):
    judge = Judge()
    parser = HttpRequestParser(judge)
    try:
        parser.feed_data(HEAD)
        parser.feed_data(data)
    except HttpParserError:
        return None
    return judge.body if judge.is_done else b"unfinished"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.lists(st.integers(0, 999), max_size=6))
def test_a_body_is_read_whole_however_it_is_cut(pieces, places):
    data = b"".join(map(chunk_of, pieces)) + last_chunk(((b"X-Sum", b"1"),))

    *before, last = cut(data, places)

    assert read(*before, last + b"next") == (b"".join(pieces), ((b"X-Sum", b"1"),), b"next")


NO_CHUNKS = [
    b"\r\n", b"g\r\n", b"+1\r\n", b"0x1\r\n", b" 1\r\n", b"1 \r\n", b"1\n", b"-1\r\n", b"1\r\naX",
    b"1\r\na\n",    b"1\r\na\r\n;\r\n", b"1;\0\r\n", b"1" * 16 + b"\r\n", b"1;" + b"a" * 5000,
    b"0\r\nA\r\n", b"0\r\n: b\r\n", b"0\r\nA: b\0\r\n", b"0\r\n A: b\r\n", b"0\r\nA : b\r\n",
    b"0\r\n" + b"A: b\r\n" * 100 + b"\r\n",
]  # fmt: skip


@pytest.mark.parametrize("data", NO_CHUNKS)
def test_what_is_no_chunk_is_refused(data):
    with pytest.raises(MalformedChunksError):
        read(data)


@given(
    st.lists(
        st.sampled_from([b"0", b"1", b"a", b"\r\n", b"\r", b"\n", b";", b"A: b", b" ", b"x", b"3\r\nabc\r\n"])
    )
)
def test_nothing_is_accepted_that_llhttp_reads_in_another_way(parts):
    data = b"".join(parts)
    try:
        body, _, rest = read(data)
    except MalformedChunksError:
        return
    if rest is not None:
        assert by_llhttp(data[: len(data) - len(rest)]) == body
