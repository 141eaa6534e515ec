"""The sidecar, as an operator runs it: every feature on, the default store, access records, one policy rule.

The grants are imported through the admin API, one per user of the run.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmarks.issuer import AUDIENCE, ISSUER, provider_token
from benchmarks.peers.model import Launch, Route, Scene, System, Target
from benchmarks.processes import free_port, version_of
from benchmarks.settings import WARM_USERS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

READY_WITHIN: Final = 30.0
GRANT_LIFETIME: Final = 86400
BASES: Final = {
    Route.PLAIN: "http://127.0.0.1:{plain}",
    Route.TLS: "https://localhost:{tls}",
    Route.BULK: "http://127.0.0.1:{bulk}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The control listener, for importing grants."""

    port: int
    admin_key: str

    def grant(self, users: Iterable[str], providers: Iterable[str]) -> None:
        """Import a grant for every user at every provider. Raises `RuntimeError` if one is not taken."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=READY_WITHIN)
        headers = {"Authorization": f"Bearer {self.admin_key}", "Content-Type": "application/json"}
        expires_at = time.time() + GRANT_LIFETIME
        rows = ((user, provider) for user in users for provider in providers)
        for user, provider in rows:
            row = {
                "subject": user,
                "provider": provider,
                "access_token": provider_token(user),
                "expires_at": expires_at,
            }
            connection.request("POST", "/admin/v1/grants", json.dumps(row), headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status not in (200, 201):
                raise RuntimeError(f"a grant was not taken: {answer.status} {body!r}")
        connection.close()


def _prepare(scene: Scene, directory: Path, program: str) -> Launch:
    proxy, ops, control = free_port(), free_port(), free_port()
    admin = Control(port=control, admin_key=secrets.token_urlsafe(24))
    settings = _settings(scene, directory, proxy=proxy, ops=ops, admin=admin)
    # JSON is YAML, too.
    (directory / "sidecar.yaml").write_text(json.dumps(settings))

    def settle() -> None:
        _wait_until_ready(ops)
        admin.grant(scene.users, [Route.PLAIN])
        admin.grant(scene.users[:WARM_USERS], [Route.TLS, Route.BULK])

    return Launch(
        command=(program, "-m", "sidecar", "serve", "--config", str(directory / "sidecar.yaml")),
        targets={route: Target(port=proxy, prefix=f"/{route}") for route in Route},
        cwd=scene.checkout,
        settle=settle,
    )


def _settings(scene: Scene, directory: Path, *, proxy: int, ops: int, admin: Control) -> dict[str, Any]:
    origin = scene.origin
    ports = {"plain": origin.plain, "tls": origin.tls, "bulk": origin.bulk}
    providers = {route.value: {"base_url": base.format(**ports)} for route, base in BASES.items()}
    providers["tls"]["ca_file"] = str(origin.certificate)
    return {
        "app": "benchmark",
        "listen": {
            "proxy": f"127.0.0.1:{proxy}",
            "ops": f"127.0.0.1:{ops}",
            "control": f"127.0.0.1:{admin.port}",
        },
        "identity": {
            "issuer": ISSUER,
            "jwks_uri": f"http://127.0.0.1:{origin.bulk}/jwks.json",
            "audience": [AUDIENCE],
        },
        "store": f"sqlite://{directory}/sidecar.db",
        "encryption": {"keys": ["bench:" + base64.b64encode(secrets.token_bytes(32)).decode()]},
        "admin": {"keys": [admin.admin_key]},
        "log": {"format": "json"},
        "providers": providers,
        "policies": {
            "default": "deny",
            "rules": [{"providers": [route.value for route in Route], "paths": ["/*"], "effect": "allow"}],
        },
    }


def _wait_until_ready(ops: int) -> None:
    """Return once the key set and the store were reached. Raises `TimeoutError`."""
    end = time.monotonic() + READY_WITHIN
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", ops, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.02)
    raise TimeoutError("the sidecar did not become ready")


def _version(_program: str) -> str:
    return version_of(sys.executable, "-m", "sidecar", "version")


SIDECAR: Final = System(
    name="sidecar",
    does="verifies (cache), policy rule, the user's own grant, metrics, access records",
    verifies=True,
    injects_per_user=True,
    install="make bench",
    locate=lambda: sys.executable,
    version=_version,
    prepare=_prepare,
)
