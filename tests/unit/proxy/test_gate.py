import pytest

from sidecar.errors import BadRequestError, InvalidTokenError, MissingTokenError
from sidecar.proxy.authority import Authority, parse_authority
from sidecar.proxy.gate import Gate, OwnListeners
from sidecar.secret import Secret

GATE = Gate(keys=(Secret("one"), Secret("two")))


@pytest.mark.parametrize("key", [b"one", b"two"])
def test_any_of_the_keys_opens(key):
    GATE.check_key(((b"sidecar-KEY", key),))


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([], MissingTokenError),
        ([b""], InvalidTokenError),
        ([b"onetwo"], InvalidTokenError),
        ([b"\xff"], InvalidTokenError),
        ([b"one", b"one"], BadRequestError),
    ],
)
def test_anything_else_does_not(values, error):
    with pytest.raises(error):
        GATE.check_key(tuple((b"Sidecar-Key", value) for value in values))


def test_without_keys_none_is_asked():
    Gate().check_key(())


@pytest.mark.parametrize(
    ("bound", "address", "is_local", "expected"),
    [
        (("127.0.0.1", 1), ("127.0.0.1", 1), True, True),
        (("127.0.0.1", 1), ("127.0.0.1", 2), True, False),
        (("127.0.0.1", 1), ("10.0.0.1", 1), True, False),
        (("0.0.0.0", 1), ("10.0.0.1", 1), True, True),
        (("0.0.0.0", 1), ("10.0.0.1", 1), False, False),
        (("::", 1), ("::1", 1), True, True),
    ],
)
def test_own_listeners_know_what_would_reach_them(bound, address, is_local, expected):
    own = OwnListeners()
    own.add(*bound)

    assert own.has(*address, is_local=is_local) is expected


@pytest.mark.parametrize(
    ("bound", "authority", "expected"),
    [
        (("127.0.0.1", 1), "localhost:1", True),
        (("127.0.0.1", 1), "127.0.0.1:1", True),
        (("0.0.0.0", 1), "[::1]:1", True),
        (("10.0.0.5", 1), "10.0.0.5:1", True),
        (("10.0.0.5", 1), "localhost:1", False),
        (("127.0.0.1", 1), "localhost:2", False),
        (("127.0.0.1", 1), "localhost", False),
        (("0.0.0.0", 1), "api.test:1", False),
    ],
)
def test_own_listeners_know_their_names(bound, authority, expected):
    own = OwnListeners()
    own.add(*bound)

    assert own.are_named_by(parse_authority(authority.encode())) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"Api.Test", Authority(host="api.test")),
        (b"a_b.test:80", Authority(host="a_b.test", port=80)),
        (b"a.test:", Authority(host="a.test")),
        (b"[::1]", Authority(host="::1")),
        (b"[0:0::0:1]:8", Authority(host="::1", port=8)),
        (b"127.0.0.1:65535", Authority(host="127.0.0.1", port=65535)),
        (b"[::1%lo]", None),
        (b"::1", None),
        (b"a:65536", None),
        (b"a:0", None),
        (b"a%2eb", None),
        (b"a,b", None),
        (b"", None),
        (b":80", None),
    ],
)
def test_an_authority_is_read_exactly(text, expected):
    assert parse_authority(text) == expected
