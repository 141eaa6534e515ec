"""Services and their keys."""

from __future__ import annotations

import pytest

from sidecar.identity.principal import Service
from sidecar.identity.service_keys import ServiceKeys
from sidecar.secret import Secret


def test_every_key_of_a_service_names_it() -> None:
    keys = ServiceKeys({"report": ([Secret("old"), Secret("new")], ["google"]), "hook": ([Secret("h")], [])})

    assert keys.find("old") == keys.find("new") == Service(name="report", providers=frozenset({"google"}))
    assert keys.find("h") == Service(name="hook", providers=frozenset())


@pytest.mark.parametrize("credential", ["", "ol", "OLD", "old ", "a.b.c", "\ud800"])
def test_anything_else_names_nobody(credential: str) -> None:
    assert ServiceKeys({"report": ([Secret("old")], [])}).find(credential) is None


def test_a_key_of_two_services_is_refused() -> None:
    with pytest.raises(ValueError, match="another service's"):
        ServiceKeys({"one": ([Secret("same")], []), "two": ([Secret("same")], [])})


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        ServiceKeys({"one": ([Secret("")], [])})
