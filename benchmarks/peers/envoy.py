"""Envoy: `jwt_authn` with its cache of verified JWTs, `credential_injector` with one token for everybody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from benchmarks.issuer import AUDIENCE, ISSUER, provider_token
from benchmarks.peers.model import Launch, Route, Scene, System, Target
from benchmarks.processes import find_program, free_port, version_of

if TYPE_CHECKING:
    from pathlib import Path

TYPE: Final = "type.googleapis.com/envoy.extensions."
FILTERS: Final = f"{TYPE}filters.http."
MANAGER: Final = f"{TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager"
CREDENTIAL: Final = "provider-token"
JWT_CACHE: Final = 1024
PLENTY: Final = 1_000_000
"""Circuit breakers off: Envoy's own stand at 1,024, and the case with 1,000 streams comes near."""


def _prepare(scene: Scene, directory: Path, program: str) -> Launch:
    origin = scene.origin
    upstreams = {Route.PLAIN: origin.plain, Route.TLS: origin.tls, Route.BULK: origin.bulk}
    targets = {route: Target(port=free_port()) for route in Route}
    certificate = str(origin.certificate)
    bootstrap = {
        "static_resources": {
            "listeners": [_listener(scene, route, targets[route].port, upstreams[route]) for route in Route],
            "clusters": [
                _cluster(route, upstreams[route], certificate if route is Route.TLS else "")
                for route in Route
            ],
            "secrets": [
                {
                    "name": CREDENTIAL,
                    "generic_secret": {
                        "secret": {"inline_string": f"Bearer {provider_token(scene.users[0])}"}
                    },
                }
            ],
        }
    }
    configuration = directory / "envoy.json"
    configuration.write_text(json.dumps(bootstrap))
    command = (
        program,
        "-c",
        str(configuration),
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "-l",
        "error",
    )
    return Launch(command=command, targets=targets)


def _listener(scene: Scene, route: Route, port: int, upstream: int) -> dict[str, Any]:
    manager = {
        "@type": MANAGER,
        "stat_prefix": route,
        "route_config": {"virtual_hosts": [_virtual_host(route, upstream)]},
        "http_filters": _filters(scene),
    }
    return {
        "name": route,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _virtual_host(route: Route, upstream: int) -> dict[str, Any]:
    action = {"cluster": route, "timeout": "0s", "host_rewrite_literal": f"localhost:{upstream}"}
    return {"name": route, "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": action}]}


def _filters(scene: Scene) -> list[dict[str, Any]]:
    issuer = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": json.dumps(scene.issuer.key_set())},
        "jwt_cache_config": {"jwt_cache_size": JWT_CACHE},
        "forward": False,
    }
    credential = {
        "@type": f"{TYPE}http.injected_credentials.generic.v3.Generic",
        "credential": {"name": CREDENTIAL},
        "header": "Authorization",
    }
    return [
        {
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": f"{FILTERS}jwt_authn.v3.JwtAuthentication",
                "providers": {"issuer": issuer},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
            },
        },
        {
            "name": "envoy.filters.http.credential_injector",
            "typed_config": {
                "@type": f"{FILTERS}credential_injector.v3.CredentialInjector",
                "overwrite": True,
                "credential": {
                    "name": "envoy.http.injected_credentials.generic",
                    "typed_config": credential,
                },
            },
        },
        {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{FILTERS}router.v3.Router"}},
    ]


def _cluster(route: Route, port: int, certificate: str) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), PLENTY)
    cluster = {
        "name": route,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": route,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    if not certificate:
        return cluster
    context = {
        "@type": f"{TYPE}transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": "localhost",
        "common_tls_context": {
            "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
            "validation_context": {
                "trusted_ca": {"filename": certificate},
                "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "localhost"}}],
            },
        },
    }
    return {**cluster, "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


ENVOY: Final = System(
    name="envoy",
    does="verifies (cache of 1,024), one fixed token for everybody; statistics kept, no records",
    verifies=True,
    install="make bench",
    locate=lambda: find_program("envoy"),
    version=lambda program: version_of(program, "--version"),
    prepare=_prepare,
)
