"""Open redirects, tried."""

from __future__ import annotations

import pytest

from sidecar.connect.returning import ReturnOrigins

RETURNING = ReturnOrigins(["https://app.example.com", "http://localhost:3000"])


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com/settings?tab=1&next=https://evil.example",
        "https://APP.example.com:443/x",
        "http://localhost:3000/x",
    ],
)
def test_a_listed_origin_is_allowed_with_any_path(url: str) -> None:
    assert RETURNING.allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/settings",
        "//app.example.com",
        "https:app.example.com",
        "https:/app.example.com",
        "https:///app.example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "https://evil.example/https://app.example.com",
        "https://app.example.com@evil.example",
        "https://app.example.com%2f@evil.example",
        "https://app.example.com\\@evil.example",
        "https://app.example.com\\.evil.example",
        "https://evil.example\\@app.example.com",
        "https://app.example.com\t.evil.example",
        "https://app.example.com\r\nLocation: https://evil.example",
        " https://app.example.com",
        "https://app.example.com/#fragment",
        "https://app.example.com./",
        "https://app\u3002example.com",
        "https://\uff41pp.example.com",
        "javascript:alert(1)",
        "javascript://app.example.com/%0aalert(1)",
        "data:text/html,x",
        "http://localhost:3001",
        "http://127.0.0.1:3000",
        "https://sub.app.example.com",
    ],
)
def test_anything_else_is_not(url: str) -> None:
    assert not RETURNING.allows(url)
