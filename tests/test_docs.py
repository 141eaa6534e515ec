"""The reference pages leave nothing out: errors, metrics, routes.

Settings, commands and providers are checked beside their own tests. A page is read as what it shows: code
spans, table rows, headings.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidecar.admin.routes import admin_routes
from sidecar.connect.flow import ConnectFlow
from sidecar.connect.returning import ReturnOrigins
from sidecar.connect.routes import connect_routes, invitation_routes
from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.errors import ERRORS
from sidecar.grants.connect import ConnectLinks
from sidecar.grants.store import GrantStore
from sidecar.me.routes import me_routes
from sidecar.outbound.client import OutboundClient
from sidecar.providers.oauth import TokenEndpoint
from sidecar.storage.memory import memory_storage
from sidecar.telemetry.metrics import Metrics
from sidecar.testing.clock import ManualClock
from sidecar.web.health import Health, ops_routes

if TYPE_CHECKING:
    from aiohttp import web

    from sidecar.identity.principal import Caller

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)")


def rows(page: str) -> dict[str, list[str]]:
    """Return the cells of every table row by the code span in its first cell."""
    found = {}
    for line in (REFERENCE / page).read_text("utf-8").splitlines():
        first = re.match(r"\| `([^`]+)` \|", line)
        if first:
            found[first[1]] = [cell.strip() for cell in line.strip("|").split("|")]
    return found


def routes() -> list[web.RouteDef]:
    """Return every route of the ops and the control listener."""

    async def nobody(_: str) -> Caller:
        raise NotImplementedError

    clock, keyring = ManualClock(), Keyring([EncryptionKey.generate("k1")])
    storage = memory_storage(clock)
    store = GrantStore("docs", keyring, storage.records, clock)
    links = ConnectLinks(app="docs", base_url="", keyring=keyring, clock=clock)
    returning = ReturnOrigins(())
    flow = ConnectFlow(
        app="docs",
        links=links,
        store=store,
        nonces=storage.nonces,
        providers={},
        endpoint=TokenEndpoint(OutboundClient(), timeout=1.0, clock=clock),
        returning=returning,
        keyring=keyring,
        clock=clock,
    )
    return [
        *ops_routes(Health(), Metrics()),
        *me_routes(nobody, store),
        *invitation_routes(nobody, links, providers={}, returning=returning),
        *connect_routes(flow),
        *admin_routes(store, issuer="", providers=(), keys=(), clock=clock),
    ]


def series() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the type and the labels of every metric, by its name without `_total`."""
    defined = [value for value in vars(Metrics()).values() if hasattr(value, "describe")]
    return {
        family.name: (family.type, getattr(value, "_labelnames", None) or getattr(value, "_labels", ()))
        for value in defined
        for family in value.describe()
    }


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_is_documented_with_its_status_and_whether_to_retry(code: str) -> None:
    error = ERRORS[code]

    cells = rows("errors.md")[code]

    assert cells[1:3] == [str(error.status), "yes" if error.retryable else "no"]
    assert all(len(cell) > 3 for cell in cells[3:])


def test_no_error_is_documented_that_does_not_exist() -> None:
    documented = {name for name, cells in rows("errors.md").items() if len(cells) == 5}

    assert documented == set(ERRORS)


@pytest.mark.parametrize("metric", series())
def test_every_metric_is_documented_with_its_type_and_labels(metric: str) -> None:
    kind, labels = series()[metric]

    cells = rows("metrics.md")[metric + ("_total" if kind == "counter" else "")]

    assert cells[1] == kind
    assert tuple(re.findall(r"`([^`]+)`", cells[2])) == labels


def test_no_metric_is_documented_that_does_not_exist() -> None:
    known = set(series())

    assert {
        name.removesuffix("_total") for name in rows("metrics.md") if name.startswith("sidecar_")
    } - known == set()


@pytest.mark.parametrize("route", [f"{route.method} {route.path}" for route in routes()])
def test_every_route_is_documented(route: str) -> None:
    page = (REFERENCE / "http.md").read_text("utf-8")

    assert f"#### `{route}`" in page or f"| `{route}` |" in page


def test_no_route_is_documented_that_does_not_exist() -> None:
    page = (REFERENCE / "http.md").read_text("utf-8")
    known = {f"{route.method} {route.path}" for route in routes()}

    documented = re.findall(
        r"^(?:#### |\| )`((?:GET|POST|PUT|DELETE) [^`?]+)(?:\?[^`]*)?`", page, re.MULTILINE
    )

    assert set(documented) == known


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("docs/**/*.md")), ids=lambda page: str(page.relative_to(ROOT))
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text("utf-8"))

    assert [target for target in targets if not (page.parent / target).exists()] == []
