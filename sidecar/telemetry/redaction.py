"""Mask what looks like a credential in text that is about to be written: the last net, not the first.

Tokens are `Secret` inside the sidecar and mask themselves. What this catches is the text of others: a
library's message with a URL in it, a provider's error that repeats what it was sent. It errs towards
masking; a word too many costs less than a token.

Scope: pure text. Nothing may rely on it to be allowed to log input.
"""

from __future__ import annotations

import re
from typing import Final

from sidecar.secret import MASK

_KEEP: Final = r"\g<keep>" + MASK
_NAMES: Final = (
    r"access[_-]?token|refresh[_-]?token|id[_-]?token|client[_-]?secret|client[_-]?assertion|code[_-]?verifier"
    r"|api[_-]?key|private[_-]?token|private[_-]?key|sidecar[_-]?key|password|passwd|secret|cookie"
    r"|(?:proxy[_-]|sidecar[_-])?authorization"
)
# What vendors begin their tokens with, so that a leaked one can be found; each from the vendor's own pages.
_PREFIXES: Final = (
    # Google: access tokens, refresh tokens, client secrets, API keys
    r"ya29\.|1//0|GOCSPX-|AIza"
    # GitHub, GitLab
    r"|gh[opusr]_|github_pat_|glpat-|gloas-"
    # Slack
    r"|xox[a-z](?:\.[a-z]+)?-|xapp-|xwfp-"
    # OpenAI and Anthropic, Stripe, Svix and its users
    r"|sk-|[sr]k_live_|[sr]k_test_|whsec_"
    # Notion, Linear, Atlassian, Shopify, SendGrid, Hugging Face
    r"|ntn_|lin_(?:api|oauth)_|ATATT|ATCTT|shp(?:at|ca|pa|ss)_|SG\.|hf_"
)

PATTERNS: Final = (
    # A named value: form, JSON, header, keyword. The scheme of a header value is masked with it.
    (
        re.compile(
            rf"(?P<keep>(?<![a-z0-9])(?:{_NAMES})(?![a-z0-9_-])\\?[\"']?\s*[=:]\s*\\?)"
            r"(?:(?:bearer|basic|token)\s+)?(?:\"[^\"]*\"|'[^']*'|[^\s\"'&,;}\\]+)",
            re.IGNORECASE,
        ),
        _KEEP,
    ),
    # A scheme and its credential; the words that follow a scheme in prose stay readable.
    (
        re.compile(
            r"(?P<keep>\b(?:bearer|basic)\s+)(?!(?:auth[a-z]*|tokens?|credentials?|schemes?)(?:[\s.,;:)]|$))"
            r"[A-Za-z0-9._~+/=-]{3,}",
            re.IGNORECASE,
        ),
        _KEEP,
    ),
    # RFC 7519, RFC 7516: base64url of `{"` begins with eyJ; three parts, five when encrypted.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)*"), MASK),
    # Three long parts are a token even where the first is no JSON object.
    (re.compile(r"(?<![A-Za-z0-9_.-])(?:[A-Za-z0-9_-]{16,}\.){2,4}[A-Za-z0-9_-]{16,}"), MASK),
    (re.compile(rf"(?<![A-Za-z0-9_])(?:{_PREFIXES})[A-Za-z0-9._~+/=-]{{6,}}"), MASK),
    # RFC 3986 §3.2.1: user information in a URL.
    (re.compile(r"(?P<keep>://)[^/\s@\"']+(?=@)"), _KEEP),
)
WORD_CHARS: Final = 20
SECRET_NAME: Final = re.compile(rf"(?:.*[_-])?(?:{_NAMES}|token|jwt|credential)", re.IGNORECASE)


def redact(text: str) -> str:
    """Return `text` with everything masked that looks like a credential."""
    # One word: a provider, a method, an outcome. Most fields are, and the patterns take 4 µs to say so.
    if len(text) < WORD_CHARS and text.isalpha():
        return text
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact_value(name: str, value: object) -> object:
    """Return a field of a record as it may be written: by its name, by its kind, by its text.

    Numbers and truth values pass, collections are walked, an exception is its type, and all else is text.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if SECRET_NAME.fullmatch(name):
        return MASK
    if isinstance(value, BaseException):
        return type(value).__name__
    if isinstance(value, dict):
        return {str(key): redact_value(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(name, item) for item in value]
    return redact(str(value))
