from __future__ import annotations

import pytest
from pydantic import ValidationError

from sidecar.settings.limits import LimitSettings


@pytest.mark.parametrize(
    ("written", "amount"), [("unlimited", None), (None, None), ("10MiB", 10 * 1024**2), ("0", 0)]
)
def test_a_body_is_limited_or_not(written: object, amount: int | None) -> None:
    assert LimitSettings.model_validate({"body_bytes": written}).body_bytes == amount


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("head_timeout", "0s"),
        ("head_bytes", "2MiB"),
        ("head_fields", "9"),
        ("requests", "0"),
        ("body_bytes", "much"),
    ],
)
def test_a_limit_out_of_its_range_is_refused(name: str, written: str) -> None:
    with pytest.raises(ValidationError, match=name):
        LimitSettings.model_validate({name: written})
