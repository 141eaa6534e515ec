"""Every way a request can be refused by us, as a type.

A caller must be able to tell our refusal from the provider's, so each error has a stable code, a status and
a word on whether trying again can help. What is shown to the caller is built from these fields and from
nothing the caller sent: an error that echoes its input leaks it.

Scope: names and public facts. `sidecar.web.problem` renders them (RFC 9457).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ERRORS: dict[str, type[SidecarError]] = {}
"""All error types by code; the reference documentation is checked against it."""

ADVICE: Final = {
    "conflicting_credentials": "Send one credential, or name the one that counts in Sidecar-Authorization.",
    "missing_token": "Send the user's JWT as Authorization: Bearer.",
    "invalid_token": "Send an access token of the configured issuer and audience; metrics count the reasons.",
    "token_expired": "Get a fresh token from the identity provider and send that.",
    "grant_revoked": "Let the user connect the account again.",
    "user_deprovisioned": "The user has to be let in again at the identity provider.",
    "policy_denied": "Ask the operator: the sidecar's policies decide who may call what.",
    "cross_site_refused": "Call the sidecar from the app's server, not from a page.",
    "unknown_provider": "The first path segment names a provider of the sidecar's settings.",
    "request_timeout": "Send the whole request without long pauses.",
    "body_too_large": "Send less, or let the operator raise limits.body_bytes.",
    "head_too_large": "Send fewer or shorter fields, or let the operator raise limits.head_bytes.",
    "upstream_tls": "The operator can name the provider's authority in ca_file.",
    "idp_unavailable": "Try again; the sidecar keeps asking the identity provider.",
    "store_unavailable": "Try again; nothing is lost.",
    "draining": "Try again; another instance will answer.",
    "overloaded": "Try again in a moment.",
    "proxy_loop": "The operator has to correct the provider's base_url or hosts.",
}
"""What a caller, or the operator, can do about an error whose raiser says nothing better."""


class SidecarError(Exception):
    """The root of all refusals; a subclass cannot be defined without its code and status.

    `detail` says what happened and what to do next; where the raiser does not say it, the type's
    `ADVICE` stands in as the hint. Both are public: never put input, tokens or names of users into them.
    `retryable` promises that the same request may succeed later, not that it will.
    """

    code: ClassVar[str]
    status: int
    retryable: ClassVar[bool]
    title: ClassVar[str]

    def __init_subclass__(cls, *, code: str, status: int, retryable: bool = False) -> None:
        """Register the subclass under its code and take its title from its docstring's first sentence."""
        if code in ERRORS:
            raise TypeError(f"two errors share the code {code}")
        if not cls.__doc__:
            raise TypeError(f"{cls.__name__} needs one sentence that says what happened")
        cls.code, cls.status, cls.retryable = code, status, retryable
        cls.title = cls.__doc__.strip().split("\n", 1)[0].rstrip(".")
        ERRORS[code] = cls

    def __init__(
        self,
        detail: str = "",
        *,
        hint: str = "",
        provider: str = "",
        retry_after: float | None = None,
        connect_url: str = "",
        missing_scopes: Sequence[str] = (),
        candidates: Sequence[Mapping[str, str]] = (),
        status: int | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or f"{self.title}."
        self.hint = hint or ADVICE.get(self.code, "")
        self.provider = provider
        self.retry_after = retry_after
        self.connect_url = connect_url
        self.missing_scopes = tuple(missing_scopes)
        self.candidates = tuple(candidates)
        if status is not None:
            # One code, two statuses: 405 or 501 for a method, 401 or 407 for a credential.
            self.status = status


class BadRequestError(SidecarError, code="bad_request", status=400):
    """The request is malformed or names its target in a way we do not accept."""


class ConflictingCredentialsError(SidecarError, code="conflicting_credentials", status=400):
    """The request carries two different credentials."""


class MissingTokenError(SidecarError, code="missing_token", status=401):
    """The request carries no credential."""


class InvalidTokenError(SidecarError, code="invalid_token", status=401):
    """The credential is not one we accept."""


class TokenExpiredError(SidecarError, code="token_expired", status=401):
    """The user's token has expired."""


class NoDelegatedGrantError(SidecarError, code="no_delegated_grant", status=403):
    """The user has given no grant that fits."""


class ReauthRequiredError(SidecarError, code="reauth_required", status=403):
    """The provider no longer accepts the grant; the user must consent again."""


class ScopeReauthRequiredError(SidecarError, code="scope_reauth_required", status=403):
    """The grant lacks scopes that this provider is configured to need."""


class GrantRevokedError(SidecarError, code="grant_revoked", status=403):
    """The grant was revoked while it was being used."""


class UserDeprovisionedError(SidecarError, code="user_deprovisioned", status=403):
    """The identity provider removed this user."""


class PolicyDeniedError(SidecarError, code="policy_denied", status=403):
    """A policy refuses this call."""


class DestinationRefusedError(SidecarError, code="destination_refused", status=403):
    """The target is no provider's host, or its address may not be dialled."""


class CrossSiteRefusedError(SidecarError, code="cross_site_refused", status=403):
    """A browser sent this request on behalf of another site."""


class UnknownProviderError(SidecarError, code="unknown_provider", status=404):
    """No provider of that name is configured."""


class NotFoundError(SidecarError, code="not_found", status=404):
    """Nothing is served here, or nothing you may see."""


class MethodNotAllowedError(SidecarError, code="method_not_allowed", status=405):
    """The method is not served here."""


class RequestTimeoutError(SidecarError, code="request_timeout", status=408, retryable=True):
    """The request did not arrive in time."""


class AmbiguousGrantError(SidecarError, code="ambiguous_grant", status=409):
    """Several grants fit and the request did not say which account it meant."""


class BodyTooLargeError(SidecarError, code="body_too_large", status=413):
    """The request body is larger than the configured limit."""


class MisdirectedRequestError(SidecarError, code="misdirected_request", status=421):
    """The Host of the request is not one of ours."""


class RateLimitedError(SidecarError, code="rate_limited", status=429, retryable=True):
    """The caller has used up its budget."""


class HeadTooLargeError(SidecarError, code="head_too_large", status=431):
    """The request head is larger than the configured limit."""


class InternalError(SidecarError, code="internal_error", status=500):
    """Something failed inside the sidecar; its log says what, under the id of this request."""


class BadUpstreamError(SidecarError, code="bad_upstream", status=502, retryable=True):
    """The provider's answer is not valid HTTP."""


class UpstreamUnreachableError(SidecarError, code="upstream_unreachable", status=502, retryable=True):
    """No connection to the provider could be made, or it broke before an answer."""


class UpstreamTlsError(SidecarError, code="upstream_tls", status=502):
    """The provider's TLS certificate or handshake was not acceptable."""


class UpstreamTimeoutError(SidecarError, code="upstream_timeout", status=504, retryable=True):
    """The provider did not answer in time."""


class RefreshUnavailableError(SidecarError, code="refresh_unavailable", status=503, retryable=True):
    """The grant is due for a refresh that cannot be done right now."""


class IdpUnavailableError(SidecarError, code="idp_unavailable", status=503, retryable=True):
    """The identity provider's keys could not be fetched yet."""


class StoreUnavailableError(SidecarError, code="store_unavailable", status=503, retryable=True):
    """The store cannot be reached."""


class DrainingError(SidecarError, code="draining", status=503, retryable=True):
    """The sidecar is shutting down."""


class OverloadedError(SidecarError, code="overloaded", status=503, retryable=True):
    """The sidecar serves as many requests as it may."""


class ProxyLoopError(SidecarError, code="proxy_loop", status=508):
    """The target is the sidecar itself."""


class ConfigurationError(Exception):
    """The configuration cannot be used; the command ends with exit code 78 (EX_CONFIG of sysexits.h).

    Each problem is one line that names the path, the line of the file where there is one, and what is
    accepted. It never carries the value of a secret.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
