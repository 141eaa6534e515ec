"""A few providers and requests, for the rules of the data plane."""

import pytest

from sidecar.providers.model import Origin, Placement, Provider, ProviderHost
from sidecar.proxy.address import AddressBook
from sidecar.proxy.control import read_controls
from sidecar.proxy.gate import Arrival, Gate, OwnListeners
from sidecar.proxy.head import RequestHead

LOOPBACK = Arrival(address="127.0.0.1")


def origin(url):
    scheme, _, authority = url.partition("://")
    host, _, port = authority.partition(":")
    return Origin(scheme=scheme, host=host, port=int(port or {"http": 80, "https": 443}[scheme]))


def provider(name, *urls, base_path="", placement=None):
    placement = placement or Placement()
    hosts = tuple(ProviderHost(origin=origin(url), placement=placement) for url in urls)
    return Provider(name=name, hosts=hosts, base_path=base_path)


GITHUB = provider("github", "https://api.github.com", "https://uploads.github.com")
FILES = provider("files", "https://files.test", base_path="/api")
LOCAL = provider("local", "http://127.0.0.1:9000", "https://127.0.0.1:9443")
ONE = provider("one", "https://shared.test")
TWO = provider("two", "https://shared.test", "https://two.test")
PLAIN = provider("plain", "http://plain.test")


@pytest.fixture
def make_provider():
    return provider


@pytest.fixture
def make_head():
    def make(target="/github/user", *fields, method="GET", host="localhost"):
        lines = [("Host", host), *fields] if host is not None else fields
        encoded = tuple((name.encode(), value.encode("latin-1")) for name, value in lines)
        return RequestHead(method=method, target=target.encode("latin-1"), fields=encoded)

    return make


@pytest.fixture
def resolve(make_head):
    """Resolve a request at a listener on 127.0.0.1:4100."""

    def run(target, *fields, method="GET", host="localhost", arrival=LOOPBACK, gate=None):
        own = OwnListeners()
        own.add("127.0.0.1", 4100)
        providers = [GITHUB, FILES, LOCAL, ONE, TWO, PLAIN]
        book = AddressBook(providers, gate=gate or Gate(hosts=frozenset({"sidecar.test"})), own=own)
        head = make_head(target, *fields, method=method, host=host)
        return book.resolve(head, read_controls(head.fields), arrival)

    return run
