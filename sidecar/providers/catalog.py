"""Make providers from presets and settings.

An operator should name Google and give a client id, not look up thirty host names. And a mistake in a
provider's entry must stop the start with a sentence, not send a token to the wrong host at noon.

A preset fills what the settings leave open. A `base_url` at a host that the preset does not know (a GitLab of
one's own, a national cloud) drops the preset's hosts and endpoints: neither that token nor that client secret
belongs to the vendor's public service.

Scope: values in, `Provider` out. The presets are in `builtin.yaml`, read when the first one is asked for.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from sidecar.providers.model import (
    Endpoints,
    OAuthClient,
    Origin,
    Placement,
    PlacementKind,
    Provider,
    ProviderHost,
)
from sidecar.providers.origins import (
    is_loopback,
    origin_and_path,
    origin_of_authority,
    origin_of_endpoint,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidecar.secret import Secret

AUTH_METHODS: Final = ("client_secret_basic", "client_secret_post", "none")
DEFAULT_FORMATS: Final = {
    PlacementKind.HEADER: "Bearer {token}",
    PlacementKind.QUERY: "{token}",
    PlacementKind.BASIC: "{token}:",
}
"""What a placement's format is where the settings name none."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]*")
# RFC 9110 §5.6.2.
_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PARAMETER_NAME: Final = re.compile(r"[A-Za-z0-9._~\[\]-]+")
# RFC 6749 §3.3: a scope is printable ASCII without blank, quote and backslash.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
# Fields that frame or route the message; a token in one of them breaks the connection, not just the call.
_FRAMING_FIELDS: Final = frozenset(
    ["connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """A host as it stands in the settings: `name[:port]`, and a placement where it differs."""

    authority: str
    placement: Placement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """A provider as it stands in the settings; what is empty comes from the preset, or is not there.

    `insecure_http` accepts plain `http://` for hosts that are not loopback.
    """

    name: str
    preset: str = ""
    base_url: str = ""
    hosts: tuple[HostSpec, ...] = ()
    authorize_url: str = ""
    token_url: str = ""
    revoke_url: str = ""
    issuer: str = ""
    client_id: str = ""
    client_secret: Secret | None = None
    auth_method: str = ""
    scopes: tuple[str, ...] = ()
    placement: Placement | None = None
    networks: tuple[str, ...] = ()
    ca_file: str = ""
    insecure_http: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What is publicly known of a provider; `documents` are the vendor's pages it rests on."""

    documents: tuple[str, ...]
    base_url: str
    hosts: tuple[str, ...]
    authorize_url: str
    token_url: str
    revoke_url: str
    scope_separator: str
    auth_method: str
    authorize_extras: tuple[tuple[str, str], ...]


_NO_PRESET: Final = Preset(
    documents=(),
    base_url="",
    hosts=(),
    authorize_url="",
    token_url="",
    revoke_url="",
    scope_separator=" ",
    auth_method="client_secret_basic",
    authorize_extras=(),
)
_MAY_BE_EMPTY: Final = ("revoke_url", "authorize_extras")


def preset_names() -> tuple[str, ...]:
    """Return the names a provider's `preset` may have, sorted."""
    return tuple(sorted(_builtin()))


def preset(name: str) -> Preset:
    """Return a preset; `ValueError` names those that exist."""
    try:
        return _builtin()[name]
    except KeyError:
        raise ValueError(f"preset is unknown; there are {', '.join(preset_names())}") from None


@functools.cache
def _builtin() -> Mapping[str, Preset]:
    text = Path(__file__).with_name("builtin.yaml").read_text("utf-8")
    return {name: preset_of(entry) for name, entry in yaml.safe_load(text).items()}


def preset_of(entry: Mapping[str, Any]) -> Preset:
    """Read one entry of `builtin.yaml`; `ValueError` where a member is missing, unknown or empty."""
    names = {field.name for field in fields(Preset)}
    if entry.keys() != names:
        raise ValueError(f"a preset has exactly the members {', '.join(sorted(names))}")
    if not all(value for name, value in entry.items() if name not in _MAY_BE_EMPTY):
        raise ValueError(f"only {' and '.join(_MAY_BE_EMPTY)} of a preset may be empty")
    lists = {name: tuple(entry[name]) for name in ("documents", "hosts")}
    return Preset(**{**entry, **lists, "authorize_extras": tuple(entry["authorize_extras"].items())})


def build_provider(spec: ProviderSpec) -> Provider:
    """Return the provider that `spec` describes.

    Raises `ValueError` with a sentence that starts with the name of the member at fault and never repeats a
    value.
    """
    if not _NAME.fullmatch(spec.name):
        raise ValueError("name must start with a-z and go on with a-z, 0-9 and `-`")
    known = preset(spec.preset) if spec.preset else _NO_PRESET
    base_url = spec.base_url or known.base_url
    if not base_url:
        raise ValueError("base_url is missing; without a preset it is needed")
    with _naming("base_url"):
        base, base_path = origin_and_path(base_url)
        _check_transport(base, insecure_http=spec.insecure_http)
    if base not in {origin_of_authority(host, scheme="https") for host in known.hosts}:
        known = replace(known, hosts=(), authorize_url="", token_url="", revoke_url="", authorize_extras=())
    endpoints = _endpoints(spec, known)
    return Provider(
        name=spec.name,
        hosts=_hosts(spec, known, base),
        base_path=base_path,
        endpoints=endpoints,
        client=_client(spec, default_method=known.auth_method, token_url=endpoints.token_url),
        scopes=_scopes(spec.scopes),
        scope_separator=known.scope_separator,
        networks=_networks(spec.networks),
        ca_file=spec.ca_file,
    )


@contextmanager
def _naming(member: str) -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise ValueError(f"{member} {exc}") from None


def _check_transport(origin: Origin, *, insecure_http: bool) -> None:
    if origin.scheme == "http" and not (insecure_http or is_loopback(origin.host)):
        raise ValueError(
            "must be https; plain http is for loopback hosts, or for those who set insecure_http"
        )


def _hosts(spec: ProviderSpec, known: Preset, base: Origin) -> tuple[ProviderHost, ...]:
    """Return the base URL's own host first, then the others in their order."""
    default = _placement("placement", spec.placement or Placement())
    entries = spec.hosts or tuple(HostSpec(authority=host) for host in known.hosts)
    hosts: dict[Origin, ProviderHost] = {}
    for number, entry in enumerate(entries):
        member = f"hosts[{number}]"
        with _naming(member):
            origin = origin_of_authority(entry.authority, scheme=base.scheme)
            _check_transport(origin, insecure_http=spec.insecure_http)
            if origin in hosts:
                raise ValueError("is there twice")
        placement = _placement(f"{member}.placement", entry.placement) if entry.placement else default
        hosts[origin] = ProviderHost(origin=origin, placement=placement)
    if not hosts:
        return (ProviderHost(origin=base, placement=default),)
    if base not in hosts:
        raise ValueError("hosts must contain the host of base_url: the token may go to these hosts only")
    first = hosts.pop(base)
    return (first, *hosts.values())


def _placement(member: str, placement: Placement) -> Placement:
    with _naming(f"{member}.format"):
        _check_format(placement.format)
    if placement.kind is PlacementKind.QUERY:
        if not _PARAMETER_NAME.fullmatch(placement.name):
            raise ValueError(f"{member}.name must be a query parameter of letters, digits and `._~[]-`")
        return placement
    name = placement.name.lower()
    if not _FIELD_NAME.fullmatch(name) or name in _FRAMING_FIELDS or name.startswith(("proxy-", "sidecar-")):
        raise ValueError(f"{member}.name must be a header field that neither frames nor routes the request")
    return placement


def _check_format(text: str) -> None:
    if text.count("{token}") != 1:
        raise ValueError("must contain `{token}` once")
    if not text.isascii() or not text.isprintable():
        raise ValueError("must be printable ASCII")


def _endpoints(spec: ProviderSpec, known: Preset) -> Endpoints:
    urls = {
        member: getattr(spec, member) or getattr(known, member)
        for member in ("authorize_url", "token_url", "revoke_url")
    } | {"issuer": spec.issuer}
    for member, url in urls.items():
        if not url:
            continue
        with _naming(member):
            _check_transport(origin_of_endpoint(url), insecure_http=spec.insecure_http)
    return Endpoints(**urls, authorize_extras=known.authorize_extras)


def _client(spec: ProviderSpec, *, default_method: str, token_url: str) -> OAuthClient | None:
    """Return who we are at the token endpoint, or nothing: then tokens are imported and never refreshed."""
    if spec.auth_method and spec.auth_method not in AUTH_METHODS:
        raise ValueError(f"auth_method must be one of {', '.join(AUTH_METHODS)}")
    if not spec.client_id:
        if spec.client_secret:
            raise ValueError("client_id is missing beside client_secret")
        return None
    if not token_url:
        raise ValueError("token_url is missing; a client_id is of use at a token endpoint only")
    # A client without a secret is a public one (RFC 6749 §2.1), whatever its provider's others do.
    method = spec.auth_method or (default_method if spec.client_secret else "none")
    if method != "none" and not spec.client_secret:
        raise ValueError("client_secret is missing; auth_method asks for it")
    if method == "none" and spec.client_secret:
        raise ValueError("client_secret is not used with auth_method: none")
    return OAuthClient(client_id=spec.client_id, client_secret=spec.client_secret, auth_method=method)


def _scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    for number, scope in enumerate(scopes):
        if not _SCOPE.fullmatch(scope):
            raise ValueError(f"scopes[{number}] must be one scope: printable ASCII without blanks and quotes")
    return scopes


def _networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for number, network in enumerate(networks):
        try:
            ipaddress.ip_network(network)
        except ValueError:
            raise ValueError(f"networks[{number}] must be an address range such as 10.0.0.0/8") from None
    return networks
