"""Put the house together from its settings: a plain list of constructions, and nothing else.

Scope: which object gets which. `lifecycle` starts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sidecar.admin.routes import admin_routes
from sidecar.app import mapping
from sidecar.app.lifecycle import App, Parts
from sidecar.broker import Broker, BrokerLimits
from sidecar.clock import SystemClock
from sidecar.connect.flow import ConnectFlow
from sidecar.connect.returning import ReturnOrigins
from sidecar.connect.routes import connect_routes, invitation_routes
from sidecar.grants.connect import ConnectLinks
from sidecar.grants.refresh import Refresher
from sidecar.grants.store import GrantStore
from sidecar.identity.authenticator import Authenticator
from sidecar.identity.jwks import RemoteKeySet
from sidecar.me.routes import me_routes
from sidecar.outbound.client import OutboundClient
from sidecar.policies.evaluation import PolicyEngine
from sidecar.providers.oauth import TokenEndpoint
from sidecar.proxy.address import AddressBook
from sidecar.proxy.dialling import Dialler, DialTimeouts
from sidecar.proxy.gate import Gate, OwnListeners
from sidecar.proxy.handler import Handler
from sidecar.proxy.inbound import ProxyListener
from sidecar.proxy.incoming import BodyLimits
from sidecar.proxy.records import Recorder
from sidecar.proxy.upstream import AnswerTimeouts, Upstream
from sidecar.settings.translation import policies_of
from sidecar.storage.metered import metered
from sidecar.storage.open import open_storage
from sidecar.telemetry.metrics import Metrics
from sidecar.web.guard import Guard
from sidecar.web.health import Health, ops_routes
from sidecar.web.listener import Listener
from sidecar.web.middleware import build_app
from sidecar.web.strict_handler import HeadLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from sidecar.clock import Clock
    from sidecar.crypto.keyring import Keyring
    from sidecar.identity.service_keys import ServiceKeys
    from sidecar.providers.model import Provider
    from sidecar.secret import Secret
    from sidecar.settings.addresses import ListenAddress
    from sidecar.settings.model import Settings
    from sidecar.storage.model import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What both the running sidecar and commands on stored data stand on."""

    settings: Settings
    clock: Clock
    keyring: Keyring
    providers: dict[str, Provider]
    storage: Storage
    store: GrantStore


def lay_foundation(
    settings: Settings, *, clock: Clock | None = None, metrics: Metrics | None = None
) -> Foundation:
    """Make what is needed to read and write grants; nothing is opened yet.

    Raises `ConfigurationError`.
    """
    clock = clock or SystemClock()
    metrics = metrics or Metrics()
    keyring = mapping.keyring_of(settings)
    storage = metered(open_storage(settings.store, app=settings.app, clock=clock), metrics, clock)
    return Foundation(
        settings=settings,
        clock=clock,
        keyring=keyring,
        providers=mapping.providers_of(settings),
        storage=storage,
        store=GrantStore(settings.app, keyring, storage.records, clock),
    )


def build(settings: Settings, *, clock: Clock | None = None) -> App:
    """Return the whole sidecar, ready to be started. Raises `ConfigurationError`."""
    metrics = Metrics()
    base = lay_foundation(settings, clock=clock, metrics=metrics)
    outbound = OutboundClient()
    own = OwnListeners()
    health = Health()
    identity = _identity(base, outbound, metrics)
    endpoint = TokenEndpoint(outbound, timeout=settings.refresh.token_timeout, clock=base.clock)
    links = ConnectLinks(
        app=settings.app, base_url=_control_url(settings), keyring=base.keyring, clock=base.clock
    )
    refresher = _refresher(base, endpoint, metrics)
    broker = _broker(base, refresher, links, metrics)
    flow = _connect_flow(base, endpoint, links)
    limits = _head_limits(settings)
    parts = Parts(
        storage=base.storage,
        store=base.store,
        keys=identity.keys,
        outbound=outbound,
        refresher=refresher,
        broker=broker,
        proxy=_proxy(base, identity, broker, own=own, metrics=metrics),
        ops=_listener(build_app(ops_routes(health, metrics)), settings.listen.ops, metrics, limits),
        control=_control(base, identity.authenticator, flow, links, metrics=metrics),
        flow=flow,
        links=links,
        own=own,
        health=health,
        metrics=metrics,
        public_url=settings.public_url or "",
        drain_timeout=settings.shutdown.drain_timeout,
    )
    return App(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identity:
    keys: RemoteKeySet
    services: ServiceKeys
    authenticator: Authenticator


def _identity(base: Foundation, outbound: OutboundClient, metrics: Metrics) -> _Identity:
    location = mapping.key_location_of(base.settings.identity)
    keys = RemoteKeySet(location, outbound=outbound, clock=base.clock, metrics=metrics)
    services = mapping.service_keys_of(base.settings.services)
    rules = mapping.token_rules_of(base.settings)
    authenticator = Authenticator(rules, keys=keys, services=services, metrics=metrics, clock=base.clock)
    return _Identity(keys=keys, services=services, authenticator=authenticator)


def _refresher(base: Foundation, endpoint: TokenEndpoint, metrics: Metrics) -> Refresher:
    return Refresher(
        store=base.store,
        leases=base.storage.leases,
        feed=base.storage.feed,
        endpoint=endpoint,
        clock=base.clock,
        metrics=metrics,
        token_timeout=base.settings.refresh.token_timeout,
    )


def _broker(base: Foundation, refresher: Refresher, links: ConnectLinks, metrics: Metrics) -> Broker:
    settings = base.settings
    return Broker(
        store=base.store,
        refresher=refresher,
        providers=base.providers,
        policies=PolicyEngine(policies_of(settings.policies)),
        links=links,
        feed=base.storage.feed,
        clock=base.clock,
        metrics=metrics,
        limits=BrokerLimits(refresh_before=settings.refresh.before, outage_grace=settings.outage_grace),
    )


def _connect_flow(base: Foundation, endpoint: TokenEndpoint, links: ConnectLinks) -> ConnectFlow:
    return ConnectFlow(
        app=base.settings.app,
        links=links,
        store=base.store,
        nonces=base.storage.nonces,
        providers=base.providers,
        endpoint=endpoint,
        returning=ReturnOrigins(base.settings.connect.return_to),
        keyring=base.keyring,
        clock=base.clock,
    )


def _proxy(
    base: Foundation, identity: _Identity, broker: Broker, *, own: OwnListeners, metrics: Metrics
) -> ProxyListener:
    settings = base.settings
    gate = Gate(hosts=frozenset(settings.listen.hosts), keys=settings.listen.keys)
    heads = _head_limits(settings)
    bodies = BodyLimits(timeout=settings.limits.body_timeout, size_bytes=settings.limits.body_bytes)
    handler = Handler(
        AddressBook(base.providers.values(), gate=gate, own=own),
        authenticator=identity.authenticator,
        is_service_key=lambda text: identity.services.find(text) is not None,
        broker=broker,
        upstream=_upstream(base, own),
        recorder=Recorder(metrics=metrics, clock=base.clock),
        limits=heads,
        most=settings.limits.requests,
    )
    address = settings.listen.proxy
    return ProxyListener(
        handler,
        host=address.host,
        port=address.port,
        path=address.path,
        own=own,
        metrics=metrics,
        limits=(heads, bodies),
    )


def _upstream(base: Foundation, own: OwnListeners) -> Upstream:
    limits = base.settings.limits
    dialler = Dialler(
        base.providers.values(),
        own=own,
        timeouts=DialTimeouts(connect=limits.connect_timeout, tls=limits.tls_timeout),
    )
    return Upstream(
        dialler,
        timeouts=AnswerTimeouts(response_head=limits.response_head_timeout, idle=limits.idle_timeout),
    )


def _control(
    base: Foundation,
    authenticator: Authenticator,
    flow: ConnectFlow,
    links: ConnectLinks,
    *,
    metrics: Metrics,
) -> Listener:
    settings = base.settings
    public = urlsplit(settings.public_url or "")
    guard = Guard(
        hosts=frozenset({*settings.listen.hosts, settings.listen.control.host}),
        public_host=public.hostname or "",
        admin_is_public=settings.admin.public,
    )
    routes = [
        *me_routes(authenticator.authenticate, base.store),
        *_admin_routes(base, settings.admin.keys),
        *invitation_routes(
            authenticator.authenticate,
            links,
            providers=base.providers,
            returning=ReturnOrigins(settings.connect.return_to),
        ),
        *connect_routes(flow),
    ]
    app = build_app(routes, guard=guard, prefix=public.path.rstrip("/"))
    return _listener(app, settings.listen.control, metrics, _head_limits(settings))


def admin_listener(base: Foundation, key: Secret) -> Listener:
    """Return the admin API alone, on a loopback port of the system's choice, for whoever has `key`."""
    app = build_app(_admin_routes(base, (key,)), guard=Guard())
    return Listener(app, host="127.0.0.1", port=0, metrics=Metrics())


def _admin_routes(base: Foundation, keys: Sequence[Secret]) -> list[web.RouteDef]:
    return admin_routes(
        base.store,
        issuer=base.settings.identity.issuer,
        providers=base.providers,
        keys=keys,
        clock=base.clock,
    )


def _listener(app: web.Application, address: ListenAddress, metrics: Metrics, limits: HeadLimits) -> Listener:
    return Listener(app, host=address.host, port=address.port, metrics=metrics, limits=limits)


def _head_limits(settings: Settings) -> HeadLimits:
    limits = settings.limits
    return HeadLimits(timeout=limits.head_timeout, size_bytes=limits.head_bytes, fields=limits.head_fields)


def _control_url(settings: Settings) -> str:
    return (settings.public_url or f"http://{settings.listen.control}").rstrip("/")
