"""Turn grants into records that say nothing, and back.

A dump of the store must show no subject, no e-mail and no token, and a record copied to another user's
place must not open. So the user is a keyed hash, the whole grant is sealed, and the seal is bound to app,
user, grant and version.

Scope: the form of a record. `sidecar.crypto.envelope` is the cipher, `store` reads and writes.
"""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING, Any

from sidecar.crypto.envelope import seal, unseal
from sidecar.crypto.fingerprint import keyed_tag, length_prefixed
from sidecar.grants.model import Account, Grant, GrantId, Owner, Status, TokenSet, UserTag
from sidecar.grants.records import Record
from sidecar.secret import Secret

if TYPE_CHECKING:
    from sidecar.crypto.keyring import Keyring

ID_PREFIX = "g_"
TAG_LENGTH = 26
ID_LENGTH = len(ID_PREFIX) + TAG_LENGTH + 16


def user_of(grant: GrantId) -> UserTag | None:
    """Return the tag of the user a grant id belongs to; none if the text is not a grant id of ours."""
    body = grant.removeprefix(ID_PREFIX)
    well_formed = (
        len(grant) == ID_LENGTH and grant.startswith(ID_PREFIX) and body.isascii() and body.isalnum()
    )
    return UserTag(body[:TAG_LENGTH]) if well_formed and body == body.lower() else None


def new_grant_id(user: UserTag) -> GrantId:
    """Return a new id: the user's tag and 80 random bits, so that a look-up by id needs no index."""
    random = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return GrantId(f"{ID_PREFIX}{user}{random}")


class GrantSeal:
    """Seals the grants of one app. The index key names users, the key ring's keys hide what they have."""

    __slots__ = ("_app", "_index_key", "_keyring")

    def __init__(self, app: str, keyring: Keyring, index_key: bytes) -> None:
        self._app = app
        self._keyring = keyring
        self._index_key = index_key

    def tag(self, owner: Owner) -> UserTag:
        return UserTag(keyed_tag(self._index_key, self._app, owner.issuer, owner.subject))

    def close(self, grant: Grant) -> Record:
        plaintext = json.dumps(_to_json(grant), separators=(",", ":")).encode()
        sealed = seal(self._keyring, plaintext, **self._place(grant.id, grant.version))
        return Record(id=grant.id, version=grant.version, sealed=sealed)

    def open(self, record: Record) -> Grant:
        """Open a record. Raises `SealBrokenError` when it was moved, changed, or sealed by a key we lack."""
        plaintext = unseal(self._keyring, record.sealed, **self._place(record.id, record.version))
        return _from_json(json.loads(plaintext), record)

    def _place(self, grant: GrantId, version: int) -> dict[str, bytes]:
        user = user_of(grant) or ""
        return {
            "context": length_prefixed("grant", self._app, user),
            "identity": length_prefixed("grant", self._app, user, grant, str(version)),
        }


def _to_json(grant: Grant) -> dict[str, Any]:
    tokens = grant.tokens
    return {
        "issuer": grant.owner.issuer,
        "subject": grant.owner.subject,
        "provider": grant.provider,
        "label": grant.account.label,
        "identifier": grant.account.identifier,
        "status": grant.status.value,
        "created_at": grant.created_at,
        "updated_at": grant.updated_at,
        "access_token": tokens.access_token.reveal() if tokens.access_token else None,
        "refresh_token": tokens.refresh_token.reveal() if tokens.refresh_token else None,
        "expires_at": tokens.expires_at,
        "scopes": None if tokens.scopes is None else sorted(tokens.scopes),
        "obtained_at": tokens.obtained_at,
    }


def _from_json(data: dict[str, Any], record: Record) -> Grant:
    scopes = data["scopes"]
    return Grant(
        id=record.id,
        version=record.version,
        owner=Owner(issuer=data["issuer"], subject=data["subject"]),
        provider=data["provider"],
        account=Account(label=data["label"], identifier=data["identifier"]),
        status=Status(data["status"]),
        created_at=data["created_at"],
        updated_at=data["updated_at"],
        tokens=TokenSet(
            access_token=Secret(data["access_token"]) if data["access_token"] else None,
            refresh_token=Secret(data["refresh_token"]) if data["refresh_token"] else None,
            expires_at=data["expires_at"],
            scopes=None if scopes is None else frozenset(scopes),
            obtained_at=data["obtained_at"],
        ),
    )
