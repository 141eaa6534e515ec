"""An identity provider in a box: a real issuer on a real socket that a test owns.

Verification is only tested where real keys sign real tokens and the key set travels over HTTP; and the
interesting days of an identity provider (rotation, outage, nonsense) cannot be ordered from a real one.

Scope: discovery (OpenID Connect Discovery 1.0 §4), the key set (RFC 7517), tokens. Nobody signs in here:
`token` gives a token for any user.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sidecar.clock import Clock, SystemClock
from sidecar.testing.keys import Algorithm, Jwk, SigningKey, poisoned_keys
from sidecar.testing.serving import Exchange, LoopbackServer
from sidecar.testing.switches import Switches
from sidecar.testing.waiting import PATIENCE, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from sidecar.testing.certificates import LoopbackAuthority

AUDIENCE: Final = "https://api.example.test"
DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
JWKS_PATH: Final = "/.well-known/jwks.json"


class IdpInABox:
    """An OIDC issuer on 127.0.0.1 with a port of its own.

    `discovery` and `jwks` are the switches of the two endpoints, `discovery_requests` and `jwks_requests`
    count what arrived there. Further ways to be wrong:

    - `announced_issuer`: what the discovery document claims to be, where that is not the truth.
    - `serves_no_keys`: the key set is empty.
    - `extra_keys`: published before the real ones; `poison()` fills it with keys nobody may use.

    `path` is added to the issuer (`"/"`, `"/realms/main"`). With `tls` the issuer is https, and `authority`
    has the CA to trust (`ca_file`, `ca_pem`).
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        audience: str = AUDIENCE,
        algorithm: Algorithm = "ES256",
        path: str = "",
        tls: bool = False,
    ) -> None:
        self.audience = audience
        self.discovery = Switches()
        self.jwks = Switches()
        self.discovery_requests = 0
        self.jwks_requests = 0
        self.announced_issuer = ""
        self.serves_no_keys = False
        self.extra_keys: list[Jwk] = []
        self._clock = clock or SystemClock()
        self._algorithm: Algorithm = algorithm
        self._path = path
        self._watch = Watch()
        self._keys: dict[str, SigningKey] = {}
        self._published: list[str] = []
        self._server = LoopbackServer(self._handle, watch=self._watch, tls=tls)
        self.rotate()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Listen; after `pause`, at the same address with the same keys."""
        await self._server.start()

    async def pause(self) -> None:
        """Be away: refuse connections and break off the open ones, until `start`."""
        await self._server.pause()

    async def close(self) -> None:
        """Stop for good."""
        await self._server.close()

    @property
    def authority(self) -> LoopbackAuthority | None:
        return self._server.authority

    @property
    def issuer(self) -> str:
        return self._server.origin + self._path

    @property
    def jwks_uri(self) -> str:
        return self._server.origin + JWKS_PATH

    @property
    def kids(self) -> tuple[str, ...]:
        """The published keys' ids, oldest first; the last one signs."""
        return tuple(self._published)

    def rotate(self) -> str:
        """Publish a new key, sign with it from now on, and return its `kid`."""
        key = SigningKey(f"key-{len(self._keys) + 1}", self._algorithm)
        self._keys[key.kid] = key
        self._published.append(key.kid)
        return key.kid

    def retire(self, kid: str) -> None:
        """Take a key out of the key set; it signs no more, except where `token(..., key=kid)` says so."""
        self._published.remove(kid)

    def poison(self) -> None:
        """Publish keys that nobody may use, before the good ones; see `keys.poisoned_keys`."""
        self.extra_keys = poisoned_keys()

    def token(
        self,
        subject: str,
        *,
        groups: Sequence[str] = (),
        audience: str | Sequence[str] | None = None,
        lifetime: float = 3600,
        claims: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        key: str | SigningKey | None = None,
    ) -> str:
        """Return a signed JWT for `subject`, issued now by the box's clock; negative lifetimes have expired.

        `claims` and `headers` are added to the usual ones or replace them; one given as None is left out.
        `key` is the `kid` of one of the box's keys, retired or not, or a key of the test's own.
        """
        signer = self._signer(key)
        now = int(self._clock.now())
        payload = {
            "iss": self.issuer,
            "sub": subject,
            "aud": self.audience if audience is None else audience,
            "iat": now,
            "exp": now + int(lifetime),
            "groups": list(groups) or None,
        }
        header = {"alg": signer.algorithm, "kid": signer.kid, "typ": "JWT"}
        return signer.sign(_present(header, headers), _present(payload, claims))

    def sign(
        self,
        header: Mapping[str, Any] | bytes,
        payload: Mapping[str, Any] | bytes,
        *,
        key: str | SigningKey | None = None,
    ) -> str:
        """Sign exactly these bytes (or this JSON): for tokens no honest issuer would make."""
        return self._signer(key).sign(header, payload)

    async def until(self, fact: Callable[[], bool], *, timeout: float = PATIENCE) -> None:
        """Return once `fact()` is true: `await idp.until(lambda: idp.jwks_requests == 2)`."""
        await self._watch.until(fact, timeout=timeout)

    def _signer(self, key: str | SigningKey | None) -> SigningKey:
        if isinstance(key, SigningKey):
            return key
        return self._keys[key or self._published[-1]]

    async def _handle(self, exchange: Exchange) -> None:
        path = exchange.request.path
        if path == JWKS_PATH:
            self.jwks_requests += 1
            self._watch.changed()
            await self.jwks.answer(exchange, self._key_set())
        elif path == self._path.rstrip("/") + DISCOVERY_PATH:
            self.discovery_requests += 1
            self._watch.changed()
            await self.discovery.answer(exchange, self._metadata())
        else:
            await exchange.send(404)

    def _key_set(self) -> bytes:
        keys = [] if self.serves_no_keys else [self._keys[kid].jwk() for kid in self._published]
        return json.dumps({"keys": self.extra_keys + keys}).encode()

    def _metadata(self) -> bytes:
        document = {
            "issuer": self.announced_issuer or self.issuer,
            "jwks_uri": self.jwks_uri,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self._algorithm],
        }
        return json.dumps(document).encode()


def _present(usual: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in ({**usual, **(given or {})}).items() if value is not None}
