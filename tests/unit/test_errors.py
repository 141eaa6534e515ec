"""The error tree: every refusal has a code, a status and one sentence, and nothing can be left out."""

from __future__ import annotations

import re

import pytest

from sidecar.errors import (
    ERRORS,
    AmbiguousGrantError,
    ConfigurationError,
    MethodNotAllowedError,
    MissingTokenError,
    SidecarError,
)

RELIED_ON = {
    400: {"bad_request", "conflicting_credentials"},
    401: {"missing_token", "invalid_token", "token_expired"},
    403: {
        *("no_delegated_grant", "reauth_required", "scope_reauth_required", "grant_revoked"),
        *("user_deprovisioned", "policy_denied", "destination_refused", "cross_site_refused"),
    },
    404: {"unknown_provider", "not_found"},
    405: {"method_not_allowed"},
    408: {"request_timeout"},
    409: {"ambiguous_grant"},
    413: {"body_too_large"},
    421: {"misdirected_request"},
    429: {"rate_limited"},
    431: {"head_too_large"},
    500: {"internal_error"},
    502: {"bad_upstream", "upstream_unreachable", "upstream_tls"},
    503: {"refresh_unavailable", "idp_unavailable", "store_unavailable", "draining", "overloaded"},
    504: {"upstream_timeout"},
    508: {"proxy_loop"},
}


def test_the_codes_and_statuses_are_those_that_callers_rely_on() -> None:
    found: dict[int, set[str]] = {}
    for code, error in ERRORS.items():
        found.setdefault(error.status, set()).add(code)

    # Further codes may be added; none of these may go or change its status.
    assert {status: found[status] & codes for status, codes in RELIED_ON.items()} == RELIED_ON


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_says_in_one_sentence_what_happened(code: str) -> None:
    error = ERRORS[code]

    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
    assert error.code == code
    assert re.fullmatch(r"[A-Z][^\n]*[^.\s]", error.title)
    assert error().detail
    assert str(error()) == error.title


@pytest.mark.parametrize("code", ERRORS)
def test_only_what_may_pass_by_itself_is_retryable(code: str) -> None:
    error = ERRORS[code]

    assert error.retryable is (
        error.status in (408, 429, 503, 504) or code in ("bad_upstream", "upstream_unreachable")
    )


def test_an_error_without_its_facts_cannot_be_defined() -> None:
    with pytest.raises(TypeError, match="code"):
        type("NamelessError", (SidecarError,), {"__doc__": "It has neither code nor status."})
    with pytest.raises(TypeError, match="sentence"):
        type("SilentError", (SidecarError,), {}, code="silent", status=400)
    with pytest.raises(TypeError, match="share"):
        type(
            "DoubleError",
            (SidecarError,),
            {"__doc__": "It has a taken code."},
            code="bad_request",
            status=400,
        )
    assert "silent" not in ERRORS


def test_an_error_carries_what_helps_and_its_own_detail() -> None:
    error = AmbiguousGrantError(
        "Name the account.", provider="files", candidates=[{"account": "work"}], hint="Like so."
    )

    assert (error.detail, error.provider, error.hint) == ("Name the account.", "files", "Like so.")
    assert error.candidates == ({"account": "work"},)
    assert (error.retry_after, error.connect_url, error.missing_scopes) == (None, "", ())


def test_one_code_may_stand_with_a_second_status_without_changing_the_first() -> None:
    assert MissingTokenError(status=407).status == 407
    assert MethodNotAllowedError(status=501).status == 501
    assert (MissingTokenError().status, MethodNotAllowedError.status) == (401, 405)


def test_a_configuration_error_holds_one_line_per_problem_and_is_no_refusal() -> None:
    error = ConfigurationError("app: is required", "store: must be a URL")

    assert error.problems == ("app: is required", "store: must be a URL")
    assert str(error) == "app: is required\nstore: must be a URL"
    assert not isinstance(error, SidecarError)
