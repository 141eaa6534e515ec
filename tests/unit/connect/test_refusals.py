"""Every refusal says what to do."""

from __future__ import annotations

import pytest

from sidecar.connect.refusals import ADVICE, ConnectRefusedError, Refusal


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_has_a_status_a_title_and_a_next_step(refusal: Refusal) -> None:
    advice = ConnectRefusedError(refusal).advice

    assert advice is ADVICE[refusal]
    assert 400 <= advice.status < 600
    assert advice.title
    assert any(word in advice.text.lower() for word in ("ask ", "start again", "tell "))
