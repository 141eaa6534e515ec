"""The pages people see while they connect an account: small, escaped, without script.

Names come from identity providers, where people choose their own; labels come from callers. So everything
that is filled in is escaped, and the policy beside the page lets nothing run or load.

Scope: pure rendering, and the headers that belong to a page.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING, Final

from sidecar.providers.origins import origin_of_endpoint

if TYPE_CHECKING:
    from sidecar.connect.flow import Connected, Visit
    from sidecar.connect.refusals import ConnectRefusedError

STYLE: Final = (
    "body{margin:4rem auto;max-width:34rem;padding:0 1rem;font:1.05rem/1.5 system-ui,sans-serif;"
    "color:#1b1f24;background:#fff;overflow-wrap:anywhere}h1{font-size:1.5rem;line-height:1.25}"
    "button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;background:#0b57d0;color:#fff;"
    "cursor:pointer}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"{_POLICY}; form-action 'none'",
    # The addresses of these pages hold sealed links, states and codes.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
MINUTE: Final = 60


def consent_headers(visit: Visit) -> dict[str, str]:
    """Return the headers of the page with the button.

    Browsers apply `form-action` to every redirect that follows the click, and a provider may send its user
    on to an employer's sign-in and at last to the app. So any https target is allowed beside the provider's
    own origin. Referrer-Policy is `same-origin`, for under `no-referrer` browsers send our own form with
    `Origin: null`, which is refused as another site's.
    """
    targets = ["'self'", str(origin_of_endpoint(visit.provider.endpoints.authorize_url))]
    if visit.invitation.return_to:
        targets.append(str(origin_of_endpoint(visit.invitation.return_to)))
    policy = f"{_POLICY}; form-action {' '.join(dict.fromkeys([*targets, 'https:']))}"
    return HEADERS | {"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"}


def consent_page(app: str, visit: Visit) -> str:
    """Return the page that says who would give what to whom, and asks for a click."""
    app, provider, user = escape(app), escape(visit.provider.name), escape(visit.invitation.user)
    account = escape(visit.invitation.account)
    named = f"<p>The account: <bdi>{account}</bdi></p>" if account else ""
    return _page(
        f"Connect {provider} to {app}",
        f"<p><b>{app}</b> will be able to use your <b>{provider}</b> account for this user:</p>"
        f"<p><b><bdi>{user}</bdi></b></p>{named}"
        "<p>If that is not you, close this page: your account would serve somebody else.</p>"
        # Without an action the form goes to the page's own address.
        f'<form method="post"><button>Continue to {provider}</button></form>',
    )


def connected_page(app: str, connected: Connected) -> str:
    """Return the page after a success; it says so where the access ends by itself."""
    app, provider = escape(app), escape(connected.provider)
    if connected.lasts is None:
        text = f"{app} can now use your {provider} account. You may close this page."
    else:
        minutes = max(1, round(connected.lasts / MINUTE))
        text = (
            f"{app} can now use your {provider} account for {minutes} minutes. {provider} gave no means to "
            f"renew this, so you will be asked to connect again. The operator of {app} may be able to have "
            f"{provider} give lasting access."
        )
    return _page(f"{provider} is connected", f"<p>{text}</p>{_way_back(app, connected.return_to)}")


def refusal_page(app: str, refused: ConnectRefusedError) -> str:
    """Return the page that says why it ends here and what to do."""
    filled = {"app": escape(app), "provider": escape(refused.provider or "The provider")}
    title, text = (part.format_map(filled) for part in (refused.advice.title, refused.advice.text))
    return _page(title, f"<p>{text}</p>{_way_back(filled['app'], refused.return_to)}")


def _way_back(app: str, return_to: str) -> str:
    return f'<p><a href="{escape(return_to)}">Back to {app}</a></p>' if return_to else ""


def _page(title: str, body: str) -> str:
    """Return a whole document; both parts are HTML already."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style><main><h1>{title}</h1>{body}</main></html>\n"
    )
