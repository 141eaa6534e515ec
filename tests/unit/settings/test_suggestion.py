from __future__ import annotations

import pytest

from sidecar.settings.suggestion import closest, did_you_mean, shown


def test_the_closest_name_is_suggested() -> None:
    assert did_you_mean("audiance", ["issuer", "audience"]) == "; did you mean audience?"


def test_nothing_is_suggested_where_nothing_is_close() -> None:
    assert closest("colour", ["issuer", "audience"]) == ""
    assert did_you_mean("colour", ["issuer", "audience"]) == ""


@pytest.mark.parametrize("word", ["client_id", "nightly-report", "2026-11"])
def test_names_are_shown(word: str) -> None:
    assert shown(word) == word


@pytest.mark.parametrize("word", ["2026-11:c2VjcmV0", "a b", "x" * 41, "", "pass/word", "e\n"])
def test_what_is_no_name_is_counted(word: str) -> None:
    assert shown(word) == f"<{len(word)} characters>"
