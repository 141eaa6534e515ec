"""Connecting an account over real sockets: a browser, our pages, a provider."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from yarl import URL

from sidecar.broker import Broker, BrokerLimits
from sidecar.connect.flow import ConnectFlow
from sidecar.connect.returning import ReturnOrigins
from sidecar.connect.routes import connect_routes, invitation_routes
from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.errors import NoDelegatedGrantError, ReauthRequiredError, StoreUnavailableError
from sidecar.grants.connect import LINK_TTL, ConnectLinks
from sidecar.grants.model import Account, Event, Owner, TokenSet
from sidecar.grants.refresh import Refresher
from sidecar.grants.resolution import Ask
from sidecar.grants.store import Consent, GrantStore
from sidecar.identity.principal import Principal, Service
from sidecar.outbound.client import OutboundClient
from sidecar.policies.evaluation import PolicyEngine
from sidecar.policies.model import Call, Policies
from sidecar.providers.catalog import ProviderSpec, build_provider
from sidecar.providers.oauth import TokenEndpoint
from sidecar.secret import Secret
from sidecar.storage.memory import memory_storage
from sidecar.telemetry.metrics import Metrics
from sidecar.testing.clock import ManualClock
from sidecar.testing.provider import ProviderInABox
from sidecar.testing.token_endpoint import TOKEN_FAILURES
from sidecar.web.guard import Guard
from sidecar.web.listener import Listener
from sidecar.web.middleware import build_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.grants.model import Grant
    from sidecar.identity.principal import Caller

ADA = Principal(
    issuer="https://idp.example", subject="auth0|ada", name="Ada", email="ada@example.com", expires_at=0.0
)
OWNER = Owner(issuer=ADA.issuer, subject=ADA.subject)
APP_ORIGIN = "https://app.example.com"
CALLERS: dict[str, Caller] = {
    "ada": ADA,
    "evil": replace(ADA, subject="evil", name="<script>alert(1)</script>", email="'\"><img src=x>"),
    "cron": Service(name="cron", providers=frozenset({"box"})),
}


class Page:
    """What a browser got: status, headers, text."""

    def __init__(self, response: aiohttp.ClientResponse, text: str) -> None:
        self.status = response.status
        self.headers = response.headers
        self.cookies = response.cookies
        self.text = text

    @property
    def title(self) -> str:
        found = re.search(r"<h1>(.*?)</h1>", self.text)
        return found[1] if found else ""

    @property
    def location(self) -> str:
        return self.headers["Location"]


class Browser:
    """A browser with a cookie jar; it follows nothing by itself, so that each step can be looked at."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, url: str) -> Page:
        async with self._session.get(URL(url, encoded=True), allow_redirects=False) as response:
            return Page(response, await response.text())

    async def click(self, url: str, **headers: str) -> Page:
        parts = urlsplit(url)
        origin = {"Origin": f"{parts.scheme}://{parts.netloc}", "Sec-Fetch-Site": "same-origin", **headers}
        async with self._session.post(
            URL(url, encoded=True), data={}, headers=origin, allow_redirects=False
        ) as response:
            return Page(response, await response.text())


class Site:
    """The control listener's connect surface, a provider, and whoever uses them."""

    def __init__(
        self, box: ProviderInABox, stack: AsyncExitStack, outbound: OutboundClient, public_url: str
    ) -> None:
        self.box = box
        self.clock = ManualClock()
        self.storage = memory_storage(self.clock)
        keyring = self.keyring = Keyring([EncryptionKey.generate("k")])
        self.store = GrantStore("notes", keyring, self.storage.records, self.clock)
        self.links = ConnectLinks(app="notes", base_url=public_url, keyring=keyring, clock=self.clock)
        spec = ProviderSpec(
            name="box",
            base_url=box.url,
            authorize_url=box.authorize_url,
            token_url=box.token_url,
            client_id=box.client_id,
            client_secret=Secret(box.client_secret),
            issuer=box.url,
            scopes=("read",),
        )
        self.providers = {
            "box": build_provider(spec),
            "imported": build_provider(ProviderSpec(name="imported", base_url=box.url)),
        }
        returning = ReturnOrigins([APP_ORIGIN])
        self.flow = ConnectFlow(
            app="notes",
            links=self.links,
            store=self.store,
            nonces=self.storage.nonces,
            providers=self.providers,
            endpoint=TokenEndpoint(outbound, timeout=10, clock=self.clock),
            returning=returning,
            keyring=keyring,
            clock=self.clock,
        )
        routes = [
            *invitation_routes(authenticate, self.links, providers=self.providers, returning=returning),
            *connect_routes(self.flow),
        ]
        app = build_app(routes, guard=Guard(), prefix="/sidecar")
        self.listener = Listener(app, host="127.0.0.1", port=0, metrics=Metrics(), grace=0.1)
        self._stack = stack

    async def start(self) -> None:
        await self.store.open()
        await self.listener.start()
        self.links.base_url = self.links.base_url or f"http://{self.listener.address}/sidecar"

    async def browser(self) -> Browser:
        jar = aiohttp.CookieJar(unsafe=True)
        session = aiohttp.ClientSession(cookie_jar=jar)
        return Browser(await self._stack.enter_async_context(session))

    def link(self, **wish: Any) -> str:
        return self.links.invite(ADA, "box", **wish)[0]

    async def ask(self, body: dict[str, object], *, user: str = "ada") -> tuple[int, dict[str, Any]]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"http://{self.listener.address}/v1/me/connect",
                json=body,
                headers={"Authorization": f"Bearer {user}"},
            ) as response,
        ):
            return response.status, await response.json(content_type=None)

    async def answer_for(self, browser: Browser, link: str) -> str:
        """Open the link, click, consent: return the address the provider sends the browser back to."""
        assert (await browser.get(link)).status == 200
        clicked = await browser.click(link)
        assert clicked.status == 303
        return (await browser.get(clicked.location)).location

    async def connect(self, browser: Browser, link: str) -> Page:
        return await browser.get(await self.answer_for(browser, link))

    async def grants(self) -> tuple[Grant, ...]:
        return await self.store.of_user(OWNER)

    def holder(self, grant: Grant) -> str:
        assert grant.tokens.access_token is not None
        found = self.box.whose(grant.tokens.access_token.reveal())
        assert found is not None
        return found.user


async def authenticate(credential: str) -> Caller:
    return CALLERS[credential]


@asynccontextmanager
async def running(public_url: str = "") -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        box = await stack.enter_async_context(ProviderInABox())
        outbound = OutboundClient()
        stack.push_async_callback(outbound.close)
        site = Site(box, stack, outbound, public_url)
        stack.push_async_callback(site.listener.stop)
        stack.push_async_callback(site.flow.close)
        await site.start()
        yield site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running() as site:
        yield site


def with_query(url: str, **changed: str | None) -> str:
    """Return the URL with parameters replaced, or taken out where the value is none."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    query = {name: value for name, value in {**query, **changed}.items() if value is not None}
    return parts._replace(query=urlencode(query)).geturl()


async def test_a_user_connects_an_account(site: Site) -> None:
    status, asked = await site.ask({"provider": "box", "account": "work", "scopes": ["write"]})
    browser = await site.browser()

    page = await site.connect(browser, asked["connect_url"])

    assert (status, asked["expires_at"]) == (200, site.clock.now() + LINK_TTL)
    assert (page.status, page.title) == (200, "box is connected")
    (grant,) = await site.grants()
    assert (grant.provider, grant.account) == ("box", Account(label="work"))
    assert grant.tokens.scopes == {"read", "write"}
    assert grant.tokens.expires_at == site.clock.now() + 3600
    assert grant.tokens.refresh_token is not None
    assert site.holder(grant) == "ada"


async def test_the_page_asks_and_names_who_gives_what_to_whom(site: Site) -> None:
    page = await (await site.browser()).get(site.link(account="work"))

    assert page.title == "Connect box to notes"
    assert "Ada (ada@example.com)" in page.text
    assert "work" in page.text
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "same-origin"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert f"form-action 'self' {site.box.url} https:" in policy
    assert "Server" not in page.headers
    assert await site.grants() == ()


async def test_the_cookie_is_for_this_host_and_for_no_script(site: Site) -> None:
    page = await (await site.browser()).get(site.link())

    (cookie,) = page.cookies.values()
    assert cookie.key.startswith("sidecar-connect-")
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert (cookie["max-age"], cookie["domain"], cookie["secure"]) == ("600", "", "")


async def test_over_https_the_cookie_belongs_to_this_very_host() -> None:
    async with running("https://notes.example.com/sidecar") as site:
        session = site.link().removeprefix("https://notes.example.com")
        page = await (await site.browser()).get(f"http://{site.listener.address}{session}")

    (cookie,) = page.cookies.values()
    assert cookie.key.startswith("__Host-sidecar-connect-")
    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")


async def test_the_provider_is_asked_with_a_challenge_and_a_sealed_state(site: Site) -> None:
    browser, link = await site.browser(), site.link()
    cookie = next(iter((await browser.get(link)).cookies.values())).value

    url = (await browser.click(link)).location

    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(f"{site.box.authorize_url}?")
    assert asked["response_type"] == "code"
    assert asked["client_id"] == site.box.client_id
    assert asked["redirect_uri"] == f"{site.links.base_url}/callback"
    assert (asked["scope"], asked["code_challenge_method"]) == ("read", "S256")
    assert "ada" not in asked["state"]
    assert asked["state"] not in cookie
    assert len(asked["state"]) < 200


async def test_the_code_goes_out_with_the_verifier_the_provider_wants(site: Site) -> None:
    answer = await site.answer_for(await site.browser(), site.link())
    redirected = await (await site.browser()).get(answer)

    assert redirected.status == 403
    sent = [request for request in site.box.seen if request.path == "/token"]
    assert sent == []
    # The box refuses a code without its verifier, so a grant proves that the verifier came along.
    assert (await site.connect(await site.browser(), site.link())).status == 200


async def test_after_connecting_the_user_returns_to_the_app(site: Site) -> None:
    return_to = f"{APP_ORIGIN}/settings?tab=accounts"
    _, asked = await site.ask({"provider": "box", "return_to": return_to})

    page = await site.connect(await site.browser(), asked["connect_url"])

    assert (page.status, page.location) == (303, return_to)
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert len(await site.grants()) == 1


@pytest.mark.parametrize(
    "return_to",
    ["https://evil.example", "//evil.example", f"{APP_ORIGIN}@evil.example", "javascript:alert(1)"],
)
async def test_an_address_of_nobody_we_know_is_refused_and_never_followed(site: Site, return_to: str) -> None:
    status, problem = await site.ask({"provider": "box", "return_to": return_to})
    page = await site.connect(await site.browser(), site.link(return_to=return_to))

    assert (status, problem["code"]) == (400, "bad_request")
    assert page.status == 200
    assert "evil" not in page.text
    assert "javascript" not in page.text


async def test_reconnecting_an_account_repairs_its_grant_and_touches_no_other(site: Site) -> None:
    browser = await site.browser()
    for account in ("work", "home"):
        await site.connect(browser, site.link(account=account))
    work, home = sorted(await site.grants(), key=lambda grant: grant.account.label, reverse=True)
    dead = work.after(Event.REFUSED, at=site.clock.now(), tokens=TokenSet(obtained_at=0.0))
    await site.store.replace(dead, version=work.version)

    page = await site.connect(browser, site.link(account="work"))

    assert page.status == 200
    after = {grant.account.label: grant for grant in await site.grants()}
    assert after["work"].id == work.id
    assert after["work"].status == "active"
    assert after["home"] == home
    assert len(after) == 2


async def test_an_account_named_by_its_identifier_keeps_its_label(site: Site) -> None:
    account = Account(label="work", identifier="Ada@Work.example")
    tokens = TokenSet(access_token=Secret("old"), obtained_at=0.0)
    kept = await site.store.consented(Consent(owner=OWNER, provider="box", account=account, tokens=tokens))

    await site.connect(await site.browser(), site.link(account="ada@work.example"))

    (grant,) = await site.grants()
    assert (grant.id, grant.account) == (kept.grant.id, account)
    assert site.holder(grant) == "ada"


async def test_a_provider_that_names_the_scopes_is_believed(site: Site) -> None:
    site.box.token_endpoint.extras = {"scope": "read extra"}

    await site.connect(await site.browser(), site.link(scopes=("write",)))

    assert (await site.grants())[0].tokens.scopes == {"read", "extra"}


async def test_a_provider_that_names_no_scopes_gave_those_asked_for(site: Site) -> None:
    site.box.token_endpoint.extras = {"scope": None}

    await site.connect(await site.browser(), site.link(scopes=("write",)))

    assert (await site.grants())[0].tokens.scopes == {"read", "write"}


async def test_access_that_cannot_be_renewed_is_kept_and_the_user_told(site: Site) -> None:
    site.box.token_endpoint.extras = {"refresh_token": None}

    page = await site.connect(await site.browser(), site.link(return_to=f"{APP_ORIGIN}/x"))

    assert page.status == 200
    assert "for 60 minutes" in page.text
    assert f'<a href="{APP_ORIGIN}/x">Back to notes</a>' in page.text
    assert (await site.grants())[0].tokens.refresh_token is None


async def test_who_says_no_at_the_provider_is_told_so_and_the_link_is_done(site: Site) -> None:
    browser, link = await site.browser(), site.link(return_to=f"{APP_ORIGIN}/x")
    site.box.authorization.consents = False

    page = await site.connect(browser, link)

    assert (page.status, page.title) == (403, "You did not give access")
    assert f'href="{APP_ORIGIN}/x"' in page.text
    assert (await browser.get(link)).title == "This link has been used"
    assert await site.grants() == ()


async def test_a_link_is_opened_by_one_browser_only(site: Site) -> None:
    first, second, link = await site.browser(), await site.browser(), site.link()
    await first.get(link)

    replayed = await second.get(link)

    assert (replayed.status, replayed.title) == (410, "This link has been used")
    assert not replayed.cookies
    assert (await second.click(link)).status == 403
    assert (await first.get(link)).status == 200


async def test_a_link_that_is_done_is_done_in_its_own_browser_too(site: Site) -> None:
    browser, link = await site.browser(), site.link()
    await site.connect(browser, link)

    assert (await browser.get(link)).status == 410
    assert (await browser.click(link)).status == 403
    assert len(await site.grants()) == 1


async def test_a_look_with_head_does_not_use_a_link_up(site: Site) -> None:
    link = site.link()
    async with aiohttp.ClientSession() as session, session.head(URL(link, encoded=True)) as response:
        status = response.status

    assert status == 405
    assert (await (await site.browser()).get(link)).status == 200


async def test_a_user_may_come_back_and_click_again_but_only_one_answer_counts(site: Site) -> None:
    browser, link = await site.browser(), site.link()
    first = await site.answer_for(browser, link)
    again = (await browser.get((await browser.click(link)).location)).location

    pages = [await browser.get(again), await browser.get(first)]

    assert [page.status for page in pages] == [200, 403]
    assert len(await site.grants()) == 1
    assert site.box.token_calls == 1


async def test_a_replayed_answer_is_refused_even_with_its_cookie(site: Site) -> None:
    browser = await site.browser()
    answer = await site.answer_for(browser, site.link())
    cookies = dict(browser._session.cookie_jar.filter_cookies(URL(answer)))
    assert (await browser.get(answer)).status == 200
    thief = await site.browser()
    thief._session.cookie_jar.update_cookies(cookies, URL(answer))

    page = await thief.get(answer)

    assert (page.status, page.title) == (410, "This link has been used")
    assert site.box.token_calls == 1


async def test_an_answer_in_another_browser_is_worth_nothing(site: Site) -> None:
    mine = await site.browser()
    answer = await site.answer_for(mine, site.link())

    page = await (await site.browser()).get(answer)

    assert page.status == 403
    assert site.box.token_calls == 0
    # And it was not used up by the attempt.
    assert (await mine.get(answer)).status == 200


async def test_a_login_somebody_else_began_finds_no_pass(site: Site) -> None:
    mallory, victim = await site.browser(), await site.browser()
    await victim.get(site.link())
    answer = await site.answer_for(mallory, site.link())

    page = await victim.get(answer)

    assert page.status == 403
    assert await site.grants() == ()


async def test_a_pass_of_one_link_does_not_answer_for_another(site: Site) -> None:
    browser = await site.browser()
    one, other = site.link(account="one"), site.link(account="other")
    answer = await site.answer_for(browser, one)
    await site.answer_for(browser, other)

    await browser.get(answer)

    assert [grant.account.label for grant in await site.grants()] == ["one"]


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "forged"},
        {"state": "A" * 3000},
        {"state": None},
        {"state": ""},
        {"state": "\u00e9"},
        {"code": None},
        {"code": ""},
    ],
)
async def test_an_answer_that_was_tampered_with_is_refused(
    site: Site, changed: dict[str, str | None]
) -> None:
    browser = await site.browser()
    answer = await site.answer_for(browser, site.link())

    page = await browser.get(with_query(answer, **changed))

    assert (page.status, page.title) == (400, "This answer does not belong here")
    assert site.box.token_calls == 0
    assert (await browser.get(answer)).status == 200


@pytest.mark.parametrize("name", ["state", "code", "error", "iss"])
async def test_a_parameter_that_stands_twice_is_nobodys(site: Site, name: str) -> None:
    browser = await site.browser()
    answer = await site.answer_for(browser, site.link())

    page = await browser.get(f"{answer}&{name}=x&{name}=y")

    assert page.status == 400


@pytest.mark.parametrize("issuer", [None, "", "https://evil.example"])
async def test_an_answer_of_another_issuer_is_not_used(site: Site, issuer: str | None) -> None:
    browser = await site.browser()
    answer = await site.answer_for(browser, site.link())

    page = await browser.get(with_query(answer, iss=issuer))

    assert (page.status, page.title) == (400, "The answer came from somebody else")
    assert site.box.token_calls == 0


async def test_a_link_expires(site: Site) -> None:
    browser, link = await site.browser(), site.link()
    site.clock.advance(LINK_TTL)

    page = await browser.get(link)

    assert (page.status, page.title) == (410, "This link has expired")


async def test_who_opens_a_link_late_still_has_time_to_consent_but_not_for_ever(site: Site) -> None:
    browser, link = await site.browser(), site.link()
    site.clock.advance(LINK_TTL - 1)
    answer = await site.answer_for(browser, link)
    late = await site.browser()
    late_answer = await site.answer_for(late, site.link())
    site.clock.advance(300)

    assert (await browser.get(answer)).status == 200
    site.clock.advance(300)
    assert (await late.get(late_answer)).status == 403
    assert len(await site.grants()) == 1


@pytest.mark.parametrize("session", ["x", "A" * 500, "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "\u00e9"])
async def test_a_link_that_is_not_ours_gives_a_page_and_no_echo(site: Site, session: str) -> None:
    browser = await site.browser()

    page = await browser.get(str(URL(f"{site.links.base_url}/connect/{session}")))

    assert (page.status, page.title) == (404, "This link does not work")
    assert "script" not in page.text


async def test_a_link_with_one_character_changed_is_not_ours(site: Site) -> None:
    link = site.link()
    changed = link[:-9] + ("A" if link[-9] != "A" else "B") + link[-8:]

    assert (await (await site.browser()).get(changed)).status == 404


async def test_a_link_for_a_provider_that_is_gone_says_so(site: Site) -> None:
    link = site.link()
    del site.providers["box"]

    page = await (await site.browser()).get(link)

    assert (page.status, page.title) == (404, "This provider cannot be connected")


async def test_a_link_that_no_cookie_can_hold_says_so_and_is_not_used_up(site: Site) -> None:
    page = await (await site.browser()).get(site.link(account="x" * 4000))

    assert (page.status, page.title) == (400, "This link is too long")


async def test_the_longest_wish_a_program_may_have_fits(site: Site) -> None:
    wish = {
        "provider": "box",
        "account": "w" * 255,
        "scopes": ["s" * 1000],
        "return_to": f"{APP_ORIGIN}/{'r' * 900}",
    }
    _, asked = await site.ask(wish)

    page = await site.connect(await site.browser(), asked["connect_url"])

    assert page.status == 303


async def test_markup_in_a_users_name_stays_text(site: Site) -> None:
    _, asked = await site.ask({"provider": "box", "account": "<svg onload=alert(1)>"}, user="evil")

    page = await (await site.browser()).get(asked["connect_url"])

    assert page.status == 200
    assert "&lt;script&gt;" in page.text
    assert not re.search(r"<(script|img|svg)", page.text)


async def test_markup_in_the_providers_words_goes_nowhere(site: Site) -> None:
    browser = await site.browser()
    answer = await site.answer_for(browser, site.link())
    error = "<script>alert(1)</script>"

    page = await browser.get(with_query(answer, code=None, error=error, error_description=error))

    assert (page.status, page.title) == (502, "box did not accept the connection")
    assert "<script" not in page.text


@pytest.mark.parametrize(
    ("error", "status"),
    [("access_denied", 403), ("server_error", 503), ("temporarily_unavailable", 503), ("invalid_scope", 502)],
)
async def test_each_error_of_the_provider_has_its_page(site: Site, error: str, status: int) -> None:
    browser = await site.browser()
    answer = await site.answer_for(browser, site.link())

    page = await browser.get(with_query(answer, code=None, error=error))

    assert page.status == status
    assert site.box.token_calls == 0


@pytest.mark.parametrize(
    ("failure", "status"),
    [("server_error", 503), ("closed", 503), ("page", 503), ("invalid_grant", 502), ("invalid_client", 502)],
)
async def test_a_code_that_cannot_be_exchanged_ends_in_a_page(
    site: Site, failure: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = await site.browser()
    answer = await site.answer_for(browser, site.link())
    site.box.token_endpoint.fail(TOKEN_FAILURES[failure])

    page = await browser.get(answer)

    assert page.status == status
    assert site.box.token_calls == 1
    assert await site.grants() == ()
    code = parse_qs(urlsplit(answer).query)["code"][0]
    assert code not in page.text
    assert code not in caplog.text


async def test_another_sites_form_cannot_click_for_the_user(site: Site) -> None:
    browser, link = await site.browser(), site.link()
    await browser.get(link)

    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        page = await browser.click(link, **headers)
        assert (page.status, page.headers["Sidecar-Error"]) == (403, "cross_site_refused")


async def test_a_browser_that_leaves_during_the_exchange_loses_nothing(site: Site) -> None:
    browser = await site.browser()
    answer = await site.answer_for(browser, site.link())
    site.box.token_endpoint.before.hold()
    leaving = asyncio.create_task(browser.get(answer))
    await site.box.until(lambda: site.box.token_calls == 1)
    leaving.cancel()
    await asyncio.wait([leaving])

    site.box.token_endpoint.before.release()
    await site.flow.close()

    assert len(await site.grants()) == 1
    assert site.box.token_calls == 1


async def test_an_impatient_reload_joins_the_exchange(site: Site) -> None:
    browser = await site.browser()
    answer = await site.answer_for(browser, site.link())
    site.box.token_endpoint.after.hold()
    both = [asyncio.create_task(browser.get(answer)) for _ in range(2)]
    await site.box.until(lambda: site.box.token_calls == 1)
    site.box.token_endpoint.after.release()

    statuses = {(await page).status for page in both}

    # The second may come a moment after the first is through; it never costs a second token call.
    assert statuses <= {200, 410}
    assert 200 in statuses
    assert site.box.token_calls == 1


class AwayNonces:
    """A store that is out of reach."""

    async def claim(self, *_: object, **__: object) -> bool:
        raise StoreUnavailableError


async def test_while_the_store_is_away_a_link_keeps_its_use(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, link = await site.browser(), site.link()
    monkeypatch.setattr(site.flow, "_nonces", AwayNonces())

    page = await browser.get(link)
    monkeypatch.undo()

    assert (page.status, page.title) == (503, "This cannot be done right now")
    assert (await browser.get(link)).status == 200


async def test_while_the_store_is_away_an_answer_keeps_its_use(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await site.browser()
    answer = await site.answer_for(browser, site.link())
    monkeypatch.setattr(
        site.flow, "_store", GrantStore("notes", site.keyring, site.storage.records, site.clock)
    )

    page = await browser.get(answer)
    monkeypatch.undo()

    assert (page.status, site.box.token_calls) == (503, 0)
    assert (await browser.get(answer)).status == 200


def broker_of(site: Site) -> Broker:
    storage, metrics = site.storage, Metrics()
    refresher = Refresher(
        store=site.store,
        leases=storage.leases,
        feed=storage.feed,
        endpoint=TokenEndpoint(OutboundClient(), timeout=10, clock=site.clock),
        clock=site.clock,
        metrics=metrics,
        token_timeout=10,
    )
    return Broker(
        store=site.store,
        refresher=refresher,
        providers=site.providers,
        policies=PolicyEngine(Policies()),
        links=site.links,
        feed=storage.feed,
        clock=site.clock,
        metrics=metrics,
        limits=BrokerLimits(),
    )


async def test_the_link_in_an_error_leads_to_a_grant(site: Site) -> None:
    broker = broker_of(site)
    ask, call = Ask(provider="box", account="work"), Call(provider="box", method="GET", path="/")
    with pytest.raises(NoDelegatedGrantError) as caught:
        await broker.token_for(ADA, ask, call)

    await site.connect(await site.browser(), caught.value.connect_url)
    token = await broker.token_for(ADA, ask, call)

    (grant,) = await site.grants()
    assert (grant.account.label, token.grant) == ("work", grant.id)
    await broker.close()


async def test_the_link_in_an_error_repairs_the_grant_it_is_about(site: Site) -> None:
    broker, call = broker_of(site), Call(provider="box", method="GET", path="/")
    await site.connect(await site.browser(), site.link(account="work"))
    (grant,) = await site.grants()
    dead = grant.after(Event.REFUSED, at=site.clock.now(), tokens=TokenSet(obtained_at=0.0))
    await site.store.replace(dead, version=grant.version)
    with pytest.raises(ReauthRequiredError) as caught:
        # The request names no account, and need not: there is one.
        await broker.token_for(ADA, Ask(provider="box"), call)

    await site.connect(await site.browser(), caught.value.connect_url)

    (repaired,) = await site.grants()
    assert (repaired.id, repaired.status) == (grant.id, "active")
    await broker.close()


async def test_an_error_has_no_link_for_a_provider_that_cannot_be_connected(site: Site) -> None:
    broker = broker_of(site)
    with pytest.raises(NoDelegatedGrantError) as caught:
        await broker.token_for(
            ADA, Ask(provider="imported"), Call(provider="imported", method="GET", path="/")
        )

    assert caught.value.connect_url == ""
    await broker.close()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"provider": "nobody"}, 404, "unknown_provider"),
        ({"provider": "imported"}, 400, "bad_request"),
        ({}, 400, "bad_request"),
        ({"provider": "box", "user": "eve"}, 400, "bad_request"),
    ],
)
async def test_a_wish_that_cannot_be_granted_is_a_problem(
    site: Site, body: dict[str, object], status: int, code: str
) -> None:
    answered, problem = await site.ask(body)

    assert (answered, problem["code"]) == (status, code)


async def test_a_service_has_nothing_to_connect(site: Site) -> None:
    status, problem = await site.ask({"provider": "box"}, user="cron")

    assert (status, problem["code"]) == (401, "invalid_token")


async def test_no_secret_stands_in_a_page_a_log_or_an_address(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="sidecar")
    browser, link = await site.browser(), site.link()
    opened = await browser.get(link)
    clicked = await browser.click(link)
    answer = (await browser.get(clicked.location)).location
    page = await browser.get(answer)

    (grant,) = await site.grants()
    assert grant.tokens.access_token is not None
    assert grant.tokens.refresh_token is not None
    sent = next(request for request in site.box.seen if request.path == "/token")
    verifier = parse_qs(sent.body.start.decode())["code_verifier"][0]
    everywhere = "\n".join(
        [opened.text, clicked.location, answer, page.text, caplog.text, str(opened.headers)]
    )
    for secret in (
        grant.tokens.access_token.reveal(),
        grant.tokens.refresh_token.reveal(),
        site.box.client_secret,
        verifier,
    ):
        assert secret not in everywhere
    assert "auth0|ada" not in caplog.text
