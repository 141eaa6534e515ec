import pytest

from sidecar.errors import BadRequestError, BadUpstreamError, HeadTooLargeError, MethodNotAllowedError
from sidecar.proxy.framing import (
    CHUNKED_BODY,
    NO_BODY,
    SENSITIVE,
    BodyFraming,
    check_request,
    check_response,
)
from sidecar.proxy.head import BodyKind, RequestHead, ResponseHead
from sidecar.web.strict_handler import HeadLimits

HOST = (b"Host", b"localhost")


def request(*fields, method="POST", version=(1, 1), target=b"/x", limits=None):
    head = RequestHead(method=method, target=target, version=version, fields=(HOST, *fields))
    return check_request(head, limits or HeadLimits())


def response(*fields, status=200, version=(1, 1), method="GET", reason=b"OK"):
    head = ResponseHead(status=status, reason=reason, version=version, fields=fields)
    return check_response(head, method=method)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((), NO_BODY),
        (((b"content-LENGTH", b"0"),), BodyFraming(kind=BodyKind.LENGTH, length=0)),
        (((b"Content-Length", b"12"),), BodyFraming(kind=BodyKind.LENGTH, length=12)),
        (((b"Transfer-Encoding", b"chunked"),), CHUNKED_BODY),
    ],
)
def test_a_sound_request_says_where_its_body_ends(fields, expected):
    assert request(*fields) == expected


@pytest.mark.parametrize(
    "fields",
    [
        [(b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")],
        [(b"Content-Length", b"1"), (b"Content-Length", b"1")],
        [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")],
        *[
            [(b"Content-Length", value)]
            for value in (b"", b"-1", b"+1", b"0x1", b"1 ", b"1,1", b"1" * 19, b"\xb2")
        ],
        *[
            [(b"Transfer-Encoding", value)]
            for value in (
                b"",
                b"Chunked",
                b"xchunked",
                b"chunked, chunked",
                b"gzip, chunked",
                b"identity",
                b"chunked;a",
            )
        ],
        [(b"Host", b"localhost")],
        [(b"Authorization", b"a"), (b"authorization", b"a")],
        [(b"Bad Name", b"a")],
        [(b"", b"a")],
        [(b"X", b"a\rb")],
        [(b"X", b"a\nb")],
        [(b"X", b"a\0b")],
        [(b"X", b"a\x7fb")],
    ],
)
def test_a_request_that_two_readers_could_read_differently_is_refused(fields):
    with pytest.raises(BadRequestError):
        request(*fields)


@pytest.mark.parametrize(
    "name", [name for name in sorted(SENSITIVE) if b"-" in name] + [b"sidecar-grant", b"sidecar-x"]
)
def test_sensitive_names_with_underscores_are_refused(name):
    with pytest.raises(BadRequestError):
        request((name.replace(b"-", b"_").title(), b"a"))


def test_other_names_with_underscores_pass():
    assert request((b"X_Trace_Id", b"a")) == NO_BODY


@pytest.mark.parametrize("version", [(0, 9), (1, 2), (2, 0), (3, 0)])
def test_other_versions_are_refused(version):
    with pytest.raises(BadRequestError):
        request(version=version)
    with pytest.raises(BadUpstreamError):
        response(version=version)


def test_http_1_0_knows_no_chunks():
    with pytest.raises(BadRequestError):
        request((b"Transfer-Encoding", b"chunked"), version=(1, 0))


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_methods_that_are_never_served(method):
    with pytest.raises(MethodNotAllowedError) as caught:
        request(method=method)

    assert caught.value.status == 405


def test_a_head_has_a_size_and_a_number_of_fields():
    with pytest.raises(HeadTooLargeError):
        request(target=b"/" + b"x" * 100, limits=HeadLimits(size_bytes=100))
    with pytest.raises(HeadTooLargeError):
        request((b"X", b"1"), limits=HeadLimits(fields=1))
    assert request((b"X", b"1"), limits=HeadLimits(fields=2)) == NO_BODY


@pytest.mark.parametrize(
    ("status", "method", "fields", "kind"),
    [
        (200, "GET", [(b"Content-Length", b"3")], BodyKind.LENGTH),
        (200, "GET", [(b"Transfer-Encoding", b"Chunked")], BodyKind.CHUNKED),
        (200, "GET", [], BodyKind.UNTIL_CLOSE),
        (200, "HEAD", [(b"Content-Length", b"3")], BodyKind.NONE),
        (204, "GET", [], BodyKind.NONE),
        (304, "GET", [(b"Content-Length", b"3")], BodyKind.NONE),
        (103, "GET", [], BodyKind.NONE),
        (999, "GET", [(b"Content-Length", b"0")], BodyKind.LENGTH),
    ],
)
def test_a_sound_answer_says_where_its_body_ends(status, method, fields, kind):
    assert response(*fields, status=status, method=method).kind is kind


@pytest.mark.parametrize(
    "fields",
    [
        [(b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")],
        [(b"Content-Length", b"1"), (b"Content-Length", b"2")],
        [(b"Content-Length", b"-1")],
        [(b"Transfer-Encoding", b"gzip, chunked")],
        [(b"Transfer-Encoding", b"xchunked")],
        [(b"X", b"a\rSet-Cookie: b")],
        [(b"X y", b"a")],
    ],
)
def test_an_answer_that_could_pass_for_two_is_bad(fields):
    with pytest.raises(BadUpstreamError):
        response(*fields)


@pytest.mark.parametrize("status", [0, 99, 1000])
def test_a_status_has_three_digits(status):
    with pytest.raises(BadUpstreamError):
        response(status=status)


def test_a_reason_with_control_characters_is_bad():
    with pytest.raises(BadUpstreamError):
        response(reason=b"O\x01K")
