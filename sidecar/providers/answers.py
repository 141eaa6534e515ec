"""Read what a token endpoint answers, and say what it means for the grant.

Two mistakes are dear here. To take a gateway's error page for a refusal ends a grant that is alive, and its
user must consent again. To take a spent refresh token for an unspent one makes us send it twice, which a
provider that rotates them reads as theft. So a grant ends only on words that are in a table here, with the
document that gives them this meaning, and every outcome says whether the token may be spent:

=====================================  =============  =====  ==============================================
outcome                                verdict        spent  why
=====================================  =============  =====  ==============================================
2xx with an access token               answer         -      the weight lies on the tokens: odd other
                                                             members are ignored, not a reason to lose them
2xx or 4xx with a known error          by ``CODES``   no     the provider answered, and it gave out nothing
Slack's internal_error, fatal_error    UNAVAILABLE    yes    "some aspect of the operation succeeded"
2xx without token and without error    UNAVAILABLE    yes    a success whose content is lost
2xx with an unknown error, other 4xx   MISCONFIGURED  no     refused (RFC 9110 §15.5); waiting will not help
4xx that cannot be read                UNAVAILABLE    yes    nobody knows who answered: a gateway, a captive
                                                             portal, a provider that broke half-way
401, 404, 405, 410 that cannot be read MISCONFIGURED  no     our credentials or our URL, whatever it says
3xx                                    MISCONFIGURED  yes    never followed; a 303 may follow a processed POST
408                                    UNAVAILABLE    yes    some gateways say it of their own back end
425, 429                               UNAVAILABLE    no     RFC 8470 §5.2, RFC 6585 §4: not processed
5xx                                    UNAVAILABLE    yes    502 and 504 hide successes; 500 and 503 may come
                                                             after the token was rotated
=====================================  =============  =====  ==============================================

A "yes" that is wrong delays the next attempt by some seconds; a "no" that is wrong can lose the grant.

Scope: pure. Making the call is `oauth`; what becomes of the grant is decided by who asked for the refresh.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from sidecar.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_RETRY_AFTER: Final = 300.0
"""Seconds; a provider's slip in a date must not park a grant for a day."""
LONGEST_LIFE: Final = 10 * 365 * 86_400.0
"""Seconds; beyond ten years `expires_in` means "never", and arithmetic with it must not overflow."""


class Verdict(StrEnum):
    """What a failed token call means for the grant.

    `REFUSED`: the refresh token is dead. `MISCONFIGURED`: the provider will not have us, whatever the token;
    an operator must look. `UNAVAILABLE`: no verdict was given. Only the first may end a grant.
    """

    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"
    UNAVAILABLE = "unavailable"


class TokenError(Exception):
    """A token call gave no token.

    `code` is from a closed set and safe in logs and metrics; the provider's own words are not kept.
    `may_be_spent` says that the provider may have consumed the refresh token all the same. `retry_after` is
    what the provider asked for, in seconds.
    """

    def __init__(
        self, verdict: Verdict, *, code: str, may_be_spent: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{verdict}: {code}")
        self.verdict = verdict
        self.code = code
        self.may_be_spent = may_be_spent
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """A successful answer (RFC 6749 §5.1).

    No `refresh_token` means that the old one stays good (§6). `expires_in` is seconds, none where the answer
    names no usable end. `scopes` is none where the answer names none: then they are as asked for. The token
    type is not looked at: the configured placement decides how the token is sent.
    """

    access_token: Secret
    refresh_token: Secret | None = None
    expires_in: float | None = None
    scopes: frozenset[str] | None = None


CODES: Final = {
    # RFC 6749 §5.2
    "invalid_grant": Verdict.REFUSED,
    "invalid_request": Verdict.MISCONFIGURED,
    "invalid_client": Verdict.MISCONFIGURED,
    "unauthorized_client": Verdict.MISCONFIGURED,
    "unsupported_grant_type": Verdict.MISCONFIGURED,
    "invalid_scope": Verdict.MISCONFIGURED,
    # RFC 6749 §4.1.2.1, used at token endpoints as well
    "access_denied": Verdict.MISCONFIGURED,
    "server_error": Verdict.UNAVAILABLE,
    "temporarily_unavailable": Verdict.UNAVAILABLE,
    # GitHub answers 200 with these; bad_refresh_token is "incorrect or expired".
    # https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors
    "bad_refresh_token": Verdict.REFUSED,
    "incorrect_client_credentials": Verdict.MISCONFIGURED,
    "unverified_user_email": Verdict.MISCONFIGURED,
    # https://docs.slack.dev/reference/methods/oauth.v2.access and oauth.v2.user.access
    "invalid_refresh_token": Verdict.REFUSED,
    "token_revoked": Verdict.REFUSED,
    "bad_client_secret": Verdict.MISCONFIGURED,
    "invalid_client_id": Verdict.MISCONFIGURED,
    "invalid_grant_type": Verdict.MISCONFIGURED,
    "token_rotation_not_enabled": Verdict.MISCONFIGURED,
    "accesslimited": Verdict.MISCONFIGURED,
    "ratelimited": Verdict.UNAVAILABLE,
    "service_unavailable": Verdict.UNAVAILABLE,
    "internal_error": Verdict.UNAVAILABLE,
    "fatal_error": Verdict.UNAVAILABLE,
    # Microsoft's action for both is a new request at the authorization endpoint: only the user can help.
    # https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
    "interaction_required": Verdict.REFUSED,
    "consent_required": Verdict.REFUSED,
}
"""The error codes whose meaning is documented. No document gives one of them another meaning elsewhere."""

SPENT_ALL_THE_SAME: Final = frozenset(
    {"server_error", "service_unavailable", "internal_error", "fatal_error"}
)
"""Errors after which the provider may have rotated the token: Slack says so, the others do not deny it."""

STATUSES: Final = {
    408: ("request_timeout", True),
    425: ("too_early", False),
    429: ("rate_limited", False),
}
"""Statuses that leave the question open: the code, and whether the token may be spent."""

UNREADABLE: Final = {
    401: "invalid_client",
    404: "endpoint_missing",
    405: "endpoint_missing",
    410: "endpoint_missing",
}
"""What a refusal means by its status alone."""

# RFC 8259 §8.1 knows UTF-8 only; these are what old stacks announce. Others are read as UTF-8.
_CHARSETS: Final = {
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
}
_FORM: Final = "application/x-www-form-urlencoded"
_READ_MEMBERS: Final = ("access_token", "refresh_token", "expires_in", "scope", "error", "ok")
_TWICE: Final = object()


def read_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, separator: str, now: float
) -> TokenAnswer:
    """Return the tokens in an answer, or raise `TokenError`.

    Header names are lower-case. `separator` stands between the provider's scopes; blanks do too. `now` is the
    instant that a `Retry-After` date is measured from.
    """
    try:
        return _read(status, headers, body, separator)
    except TokenError as exc:
        exc.retry_after = retry_after_of(headers.get("retry-after", ""), now=now)
        raise


def _read(status: int, headers: Mapping[str, str], body: bytes, separator: str) -> TokenAnswer:
    if status in STATUSES:
        code, may_be_spent = STATUSES[status]
        raise TokenError(Verdict.UNAVAILABLE, code=code, may_be_spent=may_be_spent)
    if status >= 500:
        raise TokenError(Verdict.UNAVAILABLE, code="server_error", may_be_spent=True)
    if 300 <= status < 400:
        raise TokenError(Verdict.MISCONFIGURED, code="redirected", may_be_spent=True)
    try:
        members = _members(headers.get("content-type", ""), body)
    except (ValueError, RecursionError) as exc:
        raise _unreadable(status) from exc
    if status < 300 and (token := _token(members)):
        return _answer(token, members, separator)
    raise _refusal(status, members)


def _unreadable(status: int) -> TokenError:
    if status in UNREADABLE:
        return TokenError(Verdict.MISCONFIGURED, code=UNREADABLE[status])
    return TokenError(Verdict.UNAVAILABLE, code="unreadable_answer", may_be_spent=True)


def _refusal(status: int, members: Mapping[str, object]) -> TokenError:
    code = members.get("error")
    if status < 300 and not code:
        return TokenError(Verdict.UNAVAILABLE, code="no_access_token", may_be_spent=True)
    if not isinstance(code, str) or code not in CODES:
        return TokenError(Verdict.MISCONFIGURED, code="other_error")
    return TokenError(CODES[code], code=code, may_be_spent=code in SPENT_ALL_THE_SAME)


def _members(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the top-level members of a JSON object or a form; `ValueError` for anything else.

    What the body looks like comes before what it is called: providers send JSON as `text/html`.
    """
    essence, _, parameters = content_type.lower().partition(";")
    text = _text(parameters, body)
    if text.startswith("{"):
        # NaN and infinities are not JSON, but no reason to lose the tokens beside them.
        pairs = json.loads(text, object_pairs_hook=_once_each, parse_constant=lambda _: None)
    elif essence.strip() == _FORM:
        pairs = _once_each(parse_qsl(text, keep_blank_values=True, strict_parsing=True, max_num_fields=100))
    else:
        raise ValueError("neither a JSON object nor a form")
    if any(pairs.get(name) is _TWICE for name in _READ_MEMBERS):
        raise ValueError("a member stands there twice with different values")
    members: dict[str, Any] = pairs
    return members


def _text(parameters: str, body: bytes) -> str:
    _, _, charset = parameters.partition("charset=")
    encoding = _CHARSETS.get(charset.split(";")[0].strip(' "'), "utf-8-sig")
    return body.decode(encoding).strip()


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        members[name] = _TWICE if name in members and members[name] != value else value
    return members


def _token(members: Mapping[str, object]) -> str:
    """Return the access token, or nothing; RFC 6749 A.12 allows printable ASCII only."""
    token = members.get("access_token")
    if not isinstance(token, str) or members.get("ok") is False:
        return ""
    return token if token.isascii() and token.isprintable() and " " not in token else ""


def _answer(token: str, members: Mapping[str, object], separator: str) -> TokenAnswer:
    refresh_token = members.get("refresh_token")
    return TokenAnswer(
        access_token=Secret(token),
        refresh_token=Secret(refresh_token) if refresh_token and isinstance(refresh_token, str) else None,
        expires_in=_seconds(members.get("expires_in")),
        scopes=_scopes(members.get("scope"), separator),
    )


def _seconds(value: object) -> float | None:
    """Return a lifetime; zero, negative and unreadable ones are none, for no token is issued dead."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return LONGEST_LIFE
    except ValueError:
        return None
    if math.isnan(seconds) or seconds <= 0:
        return None
    return min(seconds, LONGEST_LIFE)


def _scopes(value: object, separator: str) -> frozenset[str] | None:
    """Return the scopes; an empty text names none: GitHub Apps send it, and RFC 6749 §3.3 forbids it."""
    if isinstance(value, str):
        value = value.replace(separator, " ").split()
    if not isinstance(value, list) or not all(isinstance(scope, str) for scope in value):
        return None
    return frozenset(value) or None


def retry_after_of(value: str, *, now: float) -> float | None:
    """Return the seconds to wait (RFC 9110 §10.2.3), at most `LONGEST_RETRY_AFTER`; none if unreadable."""
    if value.isascii() and value.isdigit():
        return min(float(value[:10]), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return min(max(0.0, at - now), LONGEST_RETRY_AFTER)
