"""A certified OIDC server in a process of its own, and the person who signs in there.

Our own box agrees with our own reading of the standards; this server was certified against somebody else's.
It has two clients: `app`, whose access tokens are JWTs for `audience`, and `provider`, whose refresh tokens
rotate strictly.

The person is a browser of a few lines: it keeps cookies, follows redirects, fills in the sign-in form and
consents, and stops where the browser would leave the server.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import secrets
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, ProxyHandler, Request, build_opener

from tests.e2e import node

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parent / "oidc_provider"
CALLBACK = "http://127.0.0.1/callback"
TIMEOUT = 20.0
# Sign-in, consent and the redirects between them are eight requests.
STEPS = 20


@dataclass(frozen=True)
class Tokens:
    """A token answer; `answer` is all of it."""

    access_token: str
    refresh_token: str
    answer: dict[str, Any]


@dataclass(frozen=True)
class OidcServer:
    """The running server: where it is, and what its clients can get there."""

    issuer: str
    audience: str

    @property
    def authorize_url(self) -> str:
        return f"{self.issuer}/auth"

    @property
    def token_url(self) -> str:
        return f"{self.issuer}/token"

    @property
    def revoke_url(self) -> str:
        return f"{self.issuer}/token/revocation"

    @property
    def userinfo_url(self) -> str:
        """The API of `provider`: it answers `{"sub"}` for a live access token."""
        return f"{self.issuer}/me"

    def client(self, name: str) -> dict[str, str]:
        """Return id and secret of a client, `app` or `provider`, as form fields."""
        return {"client_id": name, "client_secret": f"{name}-secret"}

    def user_jwt(self, subject: str) -> str:
        """Return a JWT access token as an application behind this identity provider gets it."""
        return self.tokens(subject, client="app").access_token

    def tokens(self, subject: str, *, client: str = "provider") -> Tokens:
        """Let `subject` sign in and consent at `client`, and return what its code is worth."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": CALLBACK,
            "scope": "openid offline_access read write",
            "prompt": "consent",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        arrived = self.sign_in(f"{self.authorize_url}?{urlencode(query)}", subject)
        code = dict(parse_qsl(urlsplit(arrived).query))["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        status, answer = self.ask(self.token_url, {**form, "code_verifier": verifier, **self.client(client)})
        assert status == 200, answer
        return Tokens(answer["access_token"], answer["refresh_token"], answer)

    def refresh(self, refresh_token: str, *, client: str = "provider") -> tuple[int, dict[str, Any]]:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self.ask(self.token_url, form | self.client(client))

    def sign_in(self, url: str, subject: str) -> str:
        """Open an authorization URL as `subject`; return the address the browser is sent away to."""
        browser = build_opener(ProxyHandler({}), HTTPCookieProcessor(), _StayHere())
        data: bytes | None = None
        for _ in range(STEPS):
            if not url.startswith(f"{self.issuer}/"):
                return url
            answer = _open(browser, Request(url, data=data))
            url, data = _next_step(url, answer, subject)
        raise AssertionError("the sign-in went in circles")

    def ask(self, url: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Post a form and return status and JSON of the answer."""
        opener = build_opener(ProxyHandler({}))
        status, _, body = _open(opener, Request(url, data=urlencode(form).encode()))
        return status, json.loads(body or b"{}")


@contextlib.contextmanager
def running() -> Iterator[OidcServer]:
    """Run the server for the length of a `with` block."""
    directory = node.install(PROJECT)
    process = subprocess.Popen(
        [node.node_of(directory), "server.mjs"],
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, "the OIDC server ended before it was listening"
        yield OidcServer(**json.loads(first))
    finally:
        # The end of its standard input ends the server, also when this process dies.
        process.communicate(timeout=TIMEOUT)


class _StayHere(HTTPRedirectHandler):
    """Hands redirects back instead of following them."""

    def redirect_request(self, *_: object) -> None:
        return None


def _open(opener: Any, request: Request) -> tuple[int, str, bytes]:
    """Return status, `Location` and body."""
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            return answer.status, answer.headers.get("Location", ""), answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers.get("Location", ""), error.read()


def _next_step(url: str, answer: tuple[int, str, bytes], subject: str) -> tuple[str, bytes | None]:
    """Return where a person goes from this page, and the form they send."""
    status, location, body = answer
    if location:
        return urljoin(url, location), None
    page = body.decode()
    form = re.search(r'<form[^>]* action="([^"]+)"', page)
    prompt = re.search(r'name="prompt" value="(login|consent)"', page)
    assert form, f"neither a redirect nor a form, but {status}"
    assert prompt, "an unknown form"
    fields = {"prompt": prompt[1]}
    if prompt[1] == "login":
        fields |= {"login": subject, "password": "anything"}
    return urljoin(url, unescape(form[1])), urlencode(fields).encode()
