"""The systems side by side: the sidecar, its peers, and the provider without anything in front of it."""

from __future__ import annotations

from typing import Final

from benchmarks.peers.aiohttp_proxy import AIOHTTP
from benchmarks.peers.apache import APACHE
from benchmarks.peers.caddy import CADDY
from benchmarks.peers.direct import DIRECT
from benchmarks.peers.envoy import ENVOY
from benchmarks.peers.haproxy import HAPROXY
from benchmarks.peers.nginx import NGINX
from benchmarks.peers.sidecar import SIDECAR

SYSTEMS: Final = (DIRECT, SIDECAR, ENVOY, HAPROXY, NGINX, APACHE, CADDY, AIOHTTP)
