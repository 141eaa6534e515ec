"""HAProxy: `jwt_verify` on every request (it has no cache of verified JWTs), a map from subject to token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.issuer import AUDIENCE, ISSUER, provider_token
from benchmarks.peers.model import Launch, Route, Scene, System, Target
from benchmarks.processes import find_program, free_port, version_of

if TYPE_CHECKING:
    from pathlib import Path

GLOBAL: Final = """\
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
"""
# The order is the documentation's: verify, then believe the claims. `sub` needs a variable on its right.
SECTION: Final = """
frontend {route}
  bind 127.0.0.1:{port} backlog 4096
  http-request set-var(txn.jwt) http_auth_bearer
  http-request set-var(txn.alg) var(txn.jwt),jwt_header_query('$.alg')
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
  http-request deny deny_status 401 unless {{ var(txn.jwt),jwt_verify(txn.alg,"{key}") 1 }}
  http-request deny deny_status 401 unless {{ var(txn.jwt),jwt_payload_query('$.iss') -m str {issuer} }}
  http-request deny deny_status 401 unless {{ var(txn.jwt),jwt_payload_query('$.aud') -m str {audience} }}
  http-request set-var(txn.now) date()
  http-request set-var(txn.exp) var(txn.jwt),jwt_payload_query('$.exp','int')
  http-request deny deny_status 401 unless {{ var(txn.exp),sub(txn.now) -m int gt 0 }}
  http-request set-var(txn.token) var(txn.jwt),jwt_payload_query('$.sub'),map_str({map})
  http-request deny deny_status 403 unless {{ var(txn.token) -m found }}
  http-request set-header Authorization "Bearer %[var(txn.token)]"
  http-request set-header Host localhost:{upstream}
  default_backend {route}

backend {route}
  http-reuse always
  server provider 127.0.0.1:{upstream} maxconn 4096{tls}
"""
TLS: Final = " ssl verify required ca-file {certificate} sni str(localhost) verifyhost localhost"


def _prepare(scene: Scene, directory: Path, program: str) -> Launch:
    key, tokens = directory / "issuer.pem", directory / "tokens.map"
    key.write_bytes(scene.issuer.public_pem)
    tokens.write_text("".join(f"{user} {provider_token(user)}\n" for user in scene.users))
    origin = scene.origin
    upstreams = {Route.PLAIN: origin.plain, Route.TLS: origin.tls, Route.BULK: origin.bulk}
    targets = {route: Target(port=free_port()) for route in Route}
    sections = [
        SECTION.format(
            route=route,
            port=targets[route].port,
            key=key,
            issuer=ISSUER,
            audience=AUDIENCE,
            map=tokens,
            upstream=upstreams[route],
            tls=TLS.format(certificate=origin.certificate) if route is Route.TLS else "",
        )
        for route in Route
    ]
    configuration = directory / "haproxy.cfg"
    configuration.write_text(GLOBAL + "".join(sections))
    return Launch(command=(program, "-db", "-f", str(configuration)), targets=targets)


HAPROXY: Final = System(
    name="haproxy",
    does="verifies every JWT anew, map from subject to token; no records, no metrics read",
    verifies=True,
    injects_per_user=True,
    install="apt-get install haproxy",
    locate=lambda: find_program("haproxy"),
    version=lambda program: version_of(program, "-v"),
    prepare=_prepare,
)
