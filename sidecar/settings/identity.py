"""Whose JWTs are believed, and for whom they must have been issued.

Scope: values. `sidecar.identity` discovers the rest from the issuer.
"""

from typing import Annotated

from pydantic import Field

from sidecar.identity.bearer import ALGORITHMS
from sidecar.secret import Secret
from sidecar.settings.addresses import PLAIN_URL, URL
from sidecar.settings.leaves import CLIENT_SECRET, FILE_PATH, FLAG, SHORT_TEXT, choice, duration
from sidecar.settings.section import Section

ACCEPTED_ALGORITHMS = tuple(sorted(ALGORITHMS))
KINDS = ("auth0", "clerk", "okta", "keycloak", "workos", "entra", "oidc")

Text = Annotated[str, SHORT_TEXT]


class ClaimSettings(Section):
    """The claims that describe a user, where they are not the usual ones."""

    subject: Text | None = Field(default=None, description="Claim with the user's id; `sub` if unset.")
    groups: Text | None = Field(default=None, description="Claim with the user's groups.")
    email: Text | None = Field(default=None, description="Claim with the e-mail address.")
    name: Text | None = Field(default=None, description="Claim with the display name.")
    organisation: Text | None = Field(default=None, description="Claim with the organisation or tenant.")


class IdentitySettings(Section):
    """The identity provider (IDP) that signs the users' JWTs."""

    issuer: Annotated[str, PLAIN_URL] = Field(
        description="The `iss` of the JWTs, letter for letter; key set and kind are discovered from it."
    )
    kind: Annotated[str, choice(KINDS)] | None = Field(
        default=None, description="Kind of identity provider; detected if unset."
    )
    jwks_uri: Annotated[str, URL] | None = Field(
        default=None, description="Address of the key set; discovered if unset."
    )
    audience: tuple[Text, ...] = Field(
        default=(),
        description="A JWT's `aud` must name one of these. Required, unless `authorized_parties` is set.",
    )
    authorized_parties: tuple[Text, ...] = Field(
        default=(), description="A JWT's `azp` must be one of these, exactly."
    )
    leeway: Annotated[float, duration("0s", "5m")] = Field(
        default=30.0, description="How far the identity provider's clock may be from ours."
    )
    algorithms: tuple[Annotated[str, choice(ACCEPTED_ALGORITHMS)], ...] = Field(
        default=ACCEPTED_ALGORITHMS, min_length=1, description="Signature algorithms that are accepted."
    )
    claims: ClaimSettings = Field(default=ClaimSettings(), description="Names of claims.")
    client_id: Text | None = Field(
        default=None, description="Our client at the identity provider, for browser sign-in."
    )
    client_secret: Annotated[Secret, CLIENT_SECRET] | None = Field(
        default=None, description="Its secret; leave it out for a public client."
    )
    webhook_secrets: tuple[Annotated[Secret, CLIENT_SECRET], ...] = Field(
        default=(), description="Secrets that authenticate the identity provider's webhooks."
    )
    ca_file: Annotated[str, FILE_PATH] | None = Field(
        default=None, description="PEM file of the authorities to trust instead of the system's."
    )
    insecure_http: Annotated[bool, FLAG] = Field(
        default=False, description="Accept plain http:// for an issuer that is not on this machine."
    )
