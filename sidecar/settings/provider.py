"""The OAuth APIs that tokens may go to.

Scope: values. A preset's facts are in `sidecar.providers.catalog`; what is set here beats them.
"""

import re
from typing import Annotated, Final

from pydantic import Field, model_validator

from sidecar.secret import Secret
from sidecar.settings.addresses import HOST_AND_PORT, NETWORK, PLAIN_URL, URL
from sidecar.settings.leaves import CLIENT_SECRET, FILE_PATH, FLAG, SHORT_TEXT, Leaf, choice, text
from sidecar.settings.section import Section

# Fields that frame the message or belong to the connection (RFC 9110 §7.6.1, RFC 9112): never a token's.
RESERVED_HEADERS: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# RFC 9110 §5.1 and §5.5, the value in printable ASCII.
FIELD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
FIELD_VALUE: Final = re.compile(r"(?! )[\x20-\x7e]{1,256}(?<! )")
MARK: Final = "{token}"


def _parse_header(given: str) -> str:
    if not FIELD_NAME.fullmatch(given):
        raise ValueError
    lowered = given.lower().replace("_", "-")
    if lowered in RESERVED_HEADERS or lowered.startswith("sidecar-"):
        raise ValueError
    return given


def _parse_format(given: str) -> str:
    if not FIELD_VALUE.fullmatch(given) or given.count(MARK) != 1:
        raise ValueError
    return given


PROVIDER_NAME: Final = text(r"[a-z][a-z0-9-]{0,62}", "a name of lower-case letters, digits and hyphens")
HEADER: Final = Leaf("a header name that does not frame the message", _parse_header)
FORMAT: Final = Leaf("text with {token} in it once", _parse_format)
PARAMETER: Final = text(r"[A-Za-z0-9._~\[\]-]{1,64}", "the name of a query parameter")
# RFC 6749 appendix A.4: the characters of one scope.
SCOPE: Final = text(r"[\x21\x23-\x5b\x5d-\x7e]{1,512}", "one scope, without spaces and quotes")
CLIENT_AUTH: Final = ("basic", "post", "none")


class PlacementSettings(Section):
    """Where the token goes in the upstream request: one of `header`, `query`, `basic`."""

    header: Annotated[str, HEADER] | None = Field(
        default=None, description="Header field; `Authorization` if nothing is set."
    )
    format: Annotated[str, FORMAT] | None = Field(
        default=None, description="The field's value; `Bearer {token}` if unset."
    )
    query: Annotated[str, PARAMETER] | None = Field(
        default=None, description="Query parameter that carries the token."
    )
    basic: Annotated[str, FORMAT] | None = Field(
        default=None, description="`user:password` of HTTP Basic, such as `{token}:`."
    )


class HostSettings(Section):
    """A place the token may go to; a plain `name[:port]` stands for one without a placement."""

    host: Annotated[str, HOST_AND_PORT] = Field(description="Authority `name[:port]`.")
    placement: PlacementSettings | None = Field(
        default=None, description="Placement at this host, if it differs from the provider's."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_a_plain_name(cls, value: object) -> object:
        return value if isinstance(value, dict) else {"host": value}


class ProviderSettings(Section):
    """One OAuth API, from a preset or described whole."""

    preset: Annotated[str, SHORT_TEXT] | None = Field(
        default=None, description="A built-in description to start from, such as `google`."
    )
    base_url: Annotated[str, PLAIN_URL] | None = Field(
        default=None, description="Where the API is; required without a preset."
    )
    hosts: tuple[HostSettings, ...] = Field(
        default=(), description="The only places the token may go to; `base_url`'s host if unset."
    )
    authorize_url: Annotated[str, URL] | None = Field(
        default=None, description="Authorization endpoint; needed only for connecting."
    )
    token_url: Annotated[str, URL] | None = Field(
        default=None, description="Token endpoint; required to refresh."
    )
    revoke_url: Annotated[str, URL] | None = Field(
        default=None, description="Revocation endpoint (RFC 7009)."
    )
    issuer: Annotated[str, PLAIN_URL] | None = Field(
        default=None,
        description="The `iss` that authorization answers must name (RFC 9207); unchecked if unset.",
    )
    client_id: Annotated[str, SHORT_TEXT] | None = Field(
        default=None, description="Our client at the provider."
    )
    client_secret: Annotated[Secret, CLIENT_SECRET] | None = Field(
        default=None, description="Its secret; leave it out for a public client."
    )
    client_auth: Annotated[str, choice(CLIENT_AUTH)] | None = Field(
        default=None,
        description="How the client authenticates at the token endpoint; the preset's way, else `basic`.",
    )
    scopes: tuple[Annotated[str, SCOPE], ...] = Field(
        default=(), description="Scopes that a grant must have and that connecting asks for."
    )
    placement: PlacementSettings | None = Field(
        default=None, description="Where the token goes; the preset's place, else `Authorization: Bearer`."
    )
    networks: tuple[Annotated[str, NETWORK], ...] = Field(
        default=(), description="Private networks that the hosts' names may resolve to."
    )
    ca_file: Annotated[str, FILE_PATH] | None = Field(
        default=None, description="PEM file of the authorities to trust instead of the system's."
    )
    insecure_http: Annotated[bool, FLAG] = Field(
        default=False, description="Accept plain http:// for addresses that are not on this machine."
    )
