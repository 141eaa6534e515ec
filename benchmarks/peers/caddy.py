"""Caddy: a plain pass-through that sets a fixed token. What it verifies: nothing, as no stock module does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from benchmarks.issuer import provider_token
from benchmarks.peers.model import Launch, Route, Scene, System, Target
from benchmarks.processes import find_program, free_port, version_of

if TYPE_CHECKING:
    from pathlib import Path


def _prepare(scene: Scene, directory: Path, program: str) -> Launch:
    origin = scene.origin
    upstreams = {Route.PLAIN: origin.plain, Route.TLS: origin.tls, Route.BULK: origin.bulk}
    targets = {route: Target(port=free_port()) for route in Route}
    token = provider_token(scene.users[0])
    servers = {
        route: {
            "listen": [f"127.0.0.1:{targets[route].port}"],
            "automatic_https": {"disable": True},
            "routes": [{"handle": [_proxy(upstreams[route], token, str(origin.certificate), route=route)]}],
        }
        for route in Route
    }
    settings = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "ERROR"}}},
        "apps": {"http": {"servers": servers}},
    }
    configuration = directory / "caddy.json"
    configuration.write_text(json.dumps(settings))
    environ = {"GOMAXPROCS": "1", "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
    command = (program, "run", "--config", str(configuration))
    return Launch(command=command, targets=targets, environ=environ)


def _proxy(port: int, token: str, certificate: str, *, route: Route) -> dict[str, Any]:
    transport: dict[str, Any] = {
        "protocol": "http",
        "keep_alive": {"max_idle_conns_per_host": 1024},
        # Go's client would ask for gzip by itself and unpack it.
        "compression": False,
    }
    if route is Route.TLS:
        authority = {"provider": "file", "pem_files": [certificate]}
        transport["tls"] = {"server_name": "localhost", "ca": authority}
    fields = {"Authorization": [f"Bearer {token}"], "Host": [f"localhost:{port}"]}
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"127.0.0.1:{port}"}],
        "headers": {"request": {"set": fields}},
        "transport": transport,
    }


CADDY: Final = System(
    name="caddy",
    does="verifies nothing; one fixed token for everybody; no records",
    install="make bench",
    locate=lambda: find_program("caddy"),
    version=lambda program: version_of(program, "version"),
    prepare=_prepare,
)
