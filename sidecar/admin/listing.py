"""List grants for an operator: one user's at once, everybody's page by page.

Scope: the query and the page. With a subject only that user's grants are read; without one the store is
walked, and a filter may leave fewer on a page than were asked for, or none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.admin.fields import count, refuse_unknown, text
from sidecar.admin.imports import NAME_CHARS, URL_CHARS
from sidecar.errors import BadRequestError
from sidecar.grants.model import Grant, Owner
from sidecar.grants.store import GrantPage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.grants.store import GrantStore

FIELDS: Final = ("subject", "issuer", "provider", "limit", "after")
DEFAULT_LIMIT: Final = 100
MOST: Final = 1000
"""Grants on one page: each is opened on the event loop, some 20 µs apiece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What an operator asks for; empty texts ask for everything."""

    subject: str = ""
    issuer: str = ""
    provider: str = ""
    limit: int = DEFAULT_LIMIT
    after: str = ""

    @classmethod
    def parse(cls, pairs: Mapping[str, str]) -> Query:
        """Read a query string's pairs; raises `BadRequestError`."""
        refuse_unknown(pairs, FIELDS)
        # A multi-mapping counts every pair and iterates over every name once.
        if len(pairs) != len(set(pairs)):
            raise BadRequestError("A field of the query stands twice.")
        return cls(
            subject=text(pairs, "subject", longest=NAME_CHARS),
            issuer=text(pairs, "issuer", longest=URL_CHARS),
            provider=text(pairs, "provider", longest=NAME_CHARS),
            limit=count(pairs, "limit", default=DEFAULT_LIMIT, most=MOST),
            after=text(pairs, "after", longest=NAME_CHARS),
        )

    def fits(self, grant: Grant) -> bool:
        """Say whether the grant is of the issuer and the provider asked for."""
        return self.issuer in ("", grant.owner.issuer) and self.provider in ("", grant.provider)


async def page_of(store: GrantStore, query: Query, *, issuer: str) -> GrantPage:
    """Return the grants that fit; `issuer` stands in where the query names a subject without one."""
    if query.subject:
        owner = Owner(issuer=query.issuer or issuer, subject=query.subject)
        return GrantPage(grants=_fitting(await store.of_user(owner), query), after="")
    page = await store.page(after=query.after, limit=query.limit)
    return GrantPage(grants=_fitting(page.grants, query), after=page.after)


def _fitting(grants: tuple[Grant, ...], query: Query) -> tuple[Grant, ...]:
    return tuple(grant for grant in grants if query.fits(grant))
