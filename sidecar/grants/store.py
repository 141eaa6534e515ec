"""Keep grants: open them when read, seal them when written, and let versions decide.

Scope: one app's grants over any `GrantRecords`. The index key, made once on first start, is opened here.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sidecar.crypto.envelope import SealBrokenError, seal, unseal
from sidecar.crypto.fingerprint import length_prefixed
from sidecar.errors import ConfigurationError, StoreUnavailableError
from sidecar.grants.model import Account, Event, Grant, GrantId, Owner, TokenSet, UserTag
from sidecar.grants.resolution import same_account
from sidecar.grants.sealing import GrantSeal, new_grant_id, user_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.clock import Clock
    from sidecar.crypto.keyring import Keyring
    from sidecar.grants.records import GrantRecords, Record, Spending

INDEX_KEY = "index-key"
INDEX_KEY_BYTES = 32

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a user gave, wherever it came from: a connect flow or an import."""

    owner: Owner
    provider: str
    account: Account
    tokens: TokenSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A grant as it is kept now, and whether it is a new one."""

    grant: Grant
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantPage:
    """A part of all grants; `after` continues it and is empty at the end."""

    grants: tuple[Grant, ...]
    after: str


class GrantStore:
    """The grants of one app.

    Every method raises `StoreUnavailableError` while the store is out of reach, until `open` succeeded, and
    for a grant that does not open under the configured keys.
    """

    def __init__(self, app: str, keyring: Keyring, records: GrantRecords, clock: Clock) -> None:
        self._app = app
        self._keyring = keyring
        self._records = records
        self._clock = clock
        self._open_seal: GrantSeal | None = None

    @property
    def is_open(self) -> bool:
        return self._open_seal is not None

    async def open(self) -> None:
        """Read the index key, or make it on the first start of an app.

        Raises `ConfigurationError` when the key does not open under the configured encryption keys, or is
        gone while grants exist: every user would silently look as if they had none.
        """
        if self._open_seal is not None:
            return
        place = {"context": b"index-key", "identity": length_prefixed(INDEX_KEY, self._app)}
        sealed = await self._records.read_meta(INDEX_KEY)
        if sealed is None:
            if not await self._records.is_empty():
                raise ConfigurationError(
                    "store: the index key is missing although grants exist; restore it from a backup"
                )
            fresh = seal(self._keyring, secrets.token_bytes(INDEX_KEY_BYTES), **place)
            sealed = await self._records.write_meta_once(INDEX_KEY, fresh)
        try:
            index_key = unseal(self._keyring, sealed, **place)
        except SealBrokenError as exc:
            raise ConfigurationError(
                f"encryption.keys: the store was sealed with other keys ({exc}); configure the key it names"
            ) from exc
        self._open_seal = GrantSeal(self._app, self._keyring, index_key)

    def tag(self, owner: Owner) -> UserTag:
        return self._seal.tag(owner)

    async def of_user(self, owner: Owner) -> tuple[Grant, ...]:
        _, grants = await self._read(self._seal.tag(owner))
        return grants

    async def get(self, grant: GrantId) -> Grant | None:
        """Return the grant, none for an unknown id or a text that is no id."""
        if user_of(grant) is None:
            return None
        record = await self._records.get(grant)
        return None if record is None else self._opened(record)

    async def consented(self, consent: Consent) -> Kept:
        """Keep what the user gave: over the grant for that account if there is one (same id), else anew."""
        user = self._seal.tag(consent.owner)
        while True:
            revision, grants = await self._read(user)
            existing = self._find(grants, consent)
            if existing is not None:
                renewed = self._renew(existing, consent)
                if await self.replace(renewed, version=existing.version):
                    return Kept(grant=renewed, is_new=False)
                continue
            grant = self._create(user, consent)
            if await self._records.add(self._seal.close(grant), revision=revision):
                return Kept(grant=grant, is_new=True)

    async def replace(self, grant: Grant, *, version: int) -> bool:
        """Write `grant` if the kept one still has `version`; say whether."""
        return await self._records.replace(self._seal.close(grant), version=version)

    async def remove(self, grant: GrantId) -> bool:
        return user_of(grant) is not None and await self._records.remove(grant)

    async def page(self, *, after: str = "", limit: int = 100) -> GrantPage:
        page = await self._records.page(after=after, limit=limit)
        return GrantPage(grants=tuple(self._opened(record) for record in page.records), after=page.after)

    async def begin_spending(self, grant: Grant, *, until: float) -> Spending:
        """Note that this version's refresh token is being spent; see `GrantRecords.begin_spending`."""
        return await self._records.begin_spending(
            grant.id, version=grant.version, now=self._clock.now(), until=until
        )

    async def end_spending(self, grant: Grant) -> None:
        await self._records.end_spending(grant.id, version=grant.version)

    async def ping(self) -> None:
        await self._records.ping()

    @property
    def _seal(self) -> GrantSeal:
        if self._open_seal is None:
            raise StoreUnavailableError(
                "The store has not been reached yet. Try again shortly.", retry_after=1.0
            )
        return self._open_seal

    async def _read(self, user: UserTag) -> tuple[int, tuple[Grant, ...]]:
        """Return the user's revision and grants."""
        found = await self._records.of_user(user)
        if any(user_of(record.id) != user for record in found.records):
            # Each record opens in the place it names itself: an answer to somebody else's question, as a
            # confused connection gives it, would open like the right one.
            log.error("the store answered with the grants of another user")
            raise StoreUnavailableError("The store gave a wrong answer. Try again shortly.", retry_after=1.0)
        return found.revision, tuple(self._opened(record) for record in found.records)

    def _opened(self, record: Record) -> Grant:
        # To leave a grant out that does not open would be to choose among the others as if it did not exist.
        try:
            return self._seal.open(record)
        except SealBrokenError as exc:
            raise _not_opened(record, exc) from exc

    def _find(self, grants: Sequence[Grant], consent: Consent) -> Grant | None:
        account = consent.account
        own = [grant for grant in grants if grant.provider == consent.provider]
        exact = [grant for grant in own if grant.account == account]
        named = [grant for grant in own if same_account(grant, account.identifier or account.label)]
        # Of such a grant nothing but the label was known until now, and the label is the same.
        labelled = Account(label=account.label)
        unidentified = [grant for grant in own if account.label and grant.account == labelled]
        fitting = exact or named or unidentified
        # Two grants that both go by the name are no reason to overwrite either.
        return fitting[0] if len(fitting) == 1 else None

    def _renew(self, grant: Grant, consent: Consent) -> Grant:
        known, given = grant.account, consent.account
        account = Account(
            # Whoever names an account by its identifier does not take its label away.
            label=known.label if given.label in ("", known.identifier) else given.label,
            identifier=given.identifier or known.identifier,
        )
        renewed = grant.after(Event.CONSENTED, at=self._clock.now(), tokens=consent.tokens)
        return replace(renewed, account=account)

    def _create(self, user: UserTag, consent: Consent) -> Grant:
        now = self._clock.now()
        return Grant(
            id=new_grant_id(user),
            owner=consent.owner,
            provider=consent.provider,
            account=consent.account,
            tokens=consent.tokens,
            created_at=now,
            updated_at=now,
        )


def _not_opened(record: Record, exc: SealBrokenError) -> StoreUnavailableError:
    """Tell the operator which key is missing, and the caller only that the operator was told."""
    # By its id a damaged grant can be removed; it keeps its user and every list of grants waiting until then.
    log.error("grant %s does not open: %s; check encryption.keys", record.id, exc)
    return StoreUnavailableError(
        "The store holds a grant that cannot be opened. The operator finds the reason in the log.",
        retry_after=30.0,
    )
