"""The authorization code flow, from an opened link to a kept grant.

Three things must never happen: a grant for one user with another's account, a code used twice, and a consent
lost although the provider gave it. So a link is opened by one browser only, and what that browser was given
must come back with the answer; a link is answered once, in all processes; and once the code is on its way,
the exchange ends and its tokens are kept, whether or not the browser waits.

Scope: decisions and their order. `passes` is what browsers hold, `pages` what people see.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sidecar.cache.singleflight import Singleflight
from sidecar.connect.passes import COOKIE_CHARS, Pass, Passes
from sidecar.connect.refusals import ConnectRefusedError, Refusal
from sidecar.grants.connect import LINK_TTL, Invitation
from sidecar.grants.model import Account, TokenSet
from sidecar.grants.resolution import Ask, to_repair
from sidecar.grants.store import Consent
from sidecar.providers.oauth import TokenError, Verdict, authorization_url
from sidecar.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.cache.shared import Nonces
    from sidecar.clock import Clock
    from sidecar.connect.returning import ReturnOrigins
    from sidecar.crypto.keyring import Keyring
    from sidecar.grants.connect import ConnectLinks
    from sidecar.grants.store import GrantStore
    from sidecar.providers.model import Provider
    from sidecar.providers.oauth import TokenAnswer, TokenEndpoint

log = logging.getLogger(__name__)

NONCE_TTL: Final = 3 * LINK_TTL
"""Seconds; a link lives ten minutes and a pass ten more, and the clocks of several processes differ."""
# RFC 6749 §4.1.2.1. What is not here is the doing of whoever set the client up.
ERRORS: Final = {
    "access_denied": Refusal.DENIED,
    "server_error": Refusal.PROVIDER_BUSY,
    "temporarily_unavailable": Refusal.PROVIDER_BUSY,
}
OPERATORS_ERRORS: Final = (
    "invalid_request",
    "unauthorized_client",
    "unsupported_response_type",
    "invalid_scope",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A browser that may go on: its pass, for whom, and where."""

    held: Pass
    invitation: Invitation
    provider: Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back from the provider with the browser (RFC 6749 §4.1.2, RFC 9207); empty where absent."""

    state: str
    code: Secret = field(default_factory=lambda: Secret(""))
    error: str = ""
    issuer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A grant that is kept; `lasts` is seconds where it ends and cannot be renewed."""

    provider: str
    return_to: str
    lasts: float | None


class ConnectFlow:
    """Connects accounts for one app; `links` knows the address the provider sends browsers back to.

    Raises `ConnectRefusedError`, and `StoreUnavailableError` while the store is out of reach.
    """

    def __init__(
        self,
        *,
        app: str,
        links: ConnectLinks,
        store: GrantStore,
        nonces: Nonces,
        providers: Mapping[str, Provider],
        endpoint: TokenEndpoint,
        returning: ReturnOrigins,
        keyring: Keyring,
        clock: Clock,
    ) -> None:
        self.app = app
        self.is_secure = links.base_url.startswith("https://")
        self.passes = Passes(keyring, app=app, clock=clock, prefix="__Host-" if self.is_secure else "")
        self._links = links
        self._store = store
        self._nonces = nonces
        self._providers = providers
        self._endpoint = endpoint
        self._returning = returning
        self._clock = clock
        self._exchanges: Singleflight[str, Connected] = Singleflight()

    async def close(self) -> None:
        """Wait until every exchange that was begun has ended and its grant is kept."""
        await self._exchanges.drain()

    async def open(self, session: str, cookies: Mapping[str, str]) -> Visit:
        """Let the browser that opens a link first go on with it; that browser may also reload the page."""
        invitation = self._invitation(session)
        provider = self._provider(invitation)
        held = self.passes.held(invitation.nonce, cookies)
        if held is not None:
            return Visit(held=held, invitation=invitation, provider=provider)
        if self._clock.now() >= invitation.expires_at:
            raise self._refused(Refusal.EXPIRED_LINK, invitation)
        given = self.passes.issue(nonce=invitation.nonce, session=session)
        if len(self.passes.cookie_value(given)) > COOKIE_CHARS:
            raise self._refused(Refusal.TOO_LONG, invitation)
        if not await self._nonces.claim(f"opened-{invitation.nonce}", ttl=NONCE_TTL):
            raise self._refused(Refusal.USED_LINK, invitation)
        return Visit(held=given, invitation=invitation, provider=provider)

    def start(self, session: str, cookies: Mapping[str, str]) -> str:
        """Return the provider's address for a user who agreed to go there.

        May be called again (the user came back and clicks once more); the answer counts once.
        """
        invitation = self._invitation(session)
        provider = self._provider(invitation)
        held = self.passes.held(invitation.nonce, cookies)
        if held is None:
            raise self._refused(Refusal.OTHER_BROWSER, invitation)
        return authorization_url(
            provider,
            redirect_uri=self._redirect_uri,
            scopes=_scopes(invitation, provider),
            state=self.passes.state_of(held),
            verifier=held.verifier,
        )

    async def finish(self, answer: Answer, cookies: Mapping[str, str]) -> Connected:
        """Judge the provider's answer, exchange its code and keep the grant."""
        visit = self._visit(answer, cookies)
        expected = visit.provider.endpoints.issuer
        if expected and answer.issuer != expected:
            raise self._refused(Refusal.OTHER_ISSUER, visit.invitation)
        # A second answer that arrives while the first is worked on is the same browser's impatience.
        return await self._exchanges.do(visit.held.nonce, lambda: self._exchange(visit, answer))

    def _visit(self, answer: Answer, cookies: Mapping[str, str]) -> Visit:
        nonce = self.passes.nonce_in(answer.state)
        if nonce is None or not (answer.error or answer.code):
            raise ConnectRefusedError(Refusal.FOREIGN_ANSWER)
        held = self.passes.held(nonce, cookies)
        if held is None:
            raise ConnectRefusedError(Refusal.OTHER_BROWSER)
        invitation = self._invitation(held.session)
        if invitation.nonce != nonce:
            raise ConnectRefusedError(Refusal.FOREIGN_ANSWER)
        return Visit(held=held, invitation=invitation, provider=self._provider(invitation))

    async def _exchange(self, visit: Visit, answer: Answer) -> Connected:
        invitation, provider = visit.invitation, visit.provider
        # First: a store that cannot answer now could not keep the tokens either, and nothing is used up yet.
        account = await self._account(invitation)
        if not await self._nonces.claim(f"answered-{visit.held.nonce}", ttl=NONCE_TTL):
            raise self._refused(Refusal.USED_LINK, invitation)
        if answer.error:
            raise self._refused(_refusal_of(answer.error, provider), invitation)
        try:
            tokens = await self._endpoint.exchange_code(
                provider, answer.code, redirect_uri=self._redirect_uri, verifier=visit.held.verifier
            )
        except TokenError as exc:
            raise self._refused(_refusal_after(exc, provider), invitation) from exc
        return await self._keep(visit, account, tokens)

    async def _keep(self, visit: Visit, account: Account, answer: TokenAnswer) -> Connected:
        invitation, provider, now = visit.invitation, visit.provider, self._clock.now()
        # RFC 6749 §5.1: an answer that names no scopes means those that were asked for.
        scopes = answer.scopes or frozenset(_scopes(invitation, provider)) or None
        tokens = TokenSet(
            access_token=answer.access_token,
            refresh_token=answer.refresh_token,
            expires_at=None if answer.expires_in is None else now + answer.expires_in,
            scopes=scopes,
            obtained_at=now,
        )
        consent = Consent(
            owner=invitation.owner,
            provider=provider.name,
            account=account,
            tokens=tokens,
        )
        kept = await self._store.consented(consent)
        log.info("an account was connected", extra={"provider": provider.name, "is_new": kept.is_new})
        lasts = answer.expires_in if answer.refresh_token is None else None
        if lasts is not None:
            log.warning("the provider gave no refresh token", extra={"provider": provider.name})
        return Connected(provider=provider.name, return_to=invitation.return_to, lasts=lasts)

    async def _account(self, invitation: Invitation) -> Account:
        """Return the account that the invitation names, as the grant it repairs knows it."""
        grants = await self._store.of_user(invitation.owner)
        if not invitation.account:
            return Account()
        repaired = to_repair(grants, Ask(provider=invitation.provider, account=invitation.account))
        return repaired.account if repaired else Account(label=invitation.account)

    def _invitation(self, session: str) -> Invitation:
        invitation = self._links.read(session)
        if invitation is None:
            raise ConnectRefusedError(Refusal.BROKEN_LINK)
        # Checked when the link was made, and again: the list may have changed since.
        return_to = invitation.return_to if self._returning.allows(invitation.return_to) else ""
        return replace(invitation, return_to=return_to)

    def _provider(self, invitation: Invitation) -> Provider:
        provider = self._providers.get(invitation.provider)
        if provider is None or not provider.is_connectable:
            raise self._refused(Refusal.NOT_CONNECTABLE, invitation)
        return provider

    def _refused(self, refusal: Refusal, invitation: Invitation) -> ConnectRefusedError:
        log.info("connecting ended", extra={"reason": refusal.value, "provider": invitation.provider})
        return ConnectRefusedError(refusal, provider=invitation.provider, return_to=invitation.return_to)

    @property
    def _redirect_uri(self) -> str:
        return f"{self._links.base_url}/callback"


def _scopes(invitation: Invitation, provider: Provider) -> tuple[str, ...]:
    """Return what to ask for, each scope once: a grant without the configured ones would be refused later."""
    return tuple(dict.fromkeys((*provider.scopes, *invitation.scopes)))


def _refusal_of(error: str, provider: Provider) -> Refusal:
    refusal = ERRORS.get(error, Refusal.PROVIDER_REFUSED)
    if refusal is Refusal.PROVIDER_REFUSED:
        reason = error if error in OPERATORS_ERRORS else "another error"
        log.error("a provider refused to ask its user", extra={"provider": provider.name, "reason": reason})
    return refusal


def _refusal_after(failure: TokenError, provider: Provider) -> Refusal:
    told = {"provider": provider.name, "reason": failure.code}
    if failure.verdict is Verdict.UNAVAILABLE:
        log.warning("a code could not be exchanged", extra=told)
        return Refusal.PROVIDER_BUSY
    log.error("a provider refused a code", extra=told)
    return Refusal.PROVIDER_REFUSED
