"""What one request leaves behind: a record that names nobody, and numbers."""

import logging

import pytest


@pytest.fixture
def records(caplog):
    caplog.set_level(logging.INFO, logger="sidecar.access")
    return lambda: [vars(record) for record in caplog.records if record.name == "sidecar.access"]


async def test_a_record_says_how_it_went_and_not_what_it_was(proxy, records, caplog, jwt):
    await proxy.get(
        "/api@hidden-account/hidden-path?hidden-query", "Sidecar-Caller: report", method="POST", body=b"12345"
    )

    [record] = records()
    facts = (
        "provider",
        "method",
        "status",
        "code",
        "complete",
        "bytes_up",
        "bytes_down",
        "caller_kind",
        "caller",
    )
    assert [record[fact] for fact in facts] == ["api", "POST", 200, "", True, 5, 2, "user", "report"]
    assert record["duration"] > 0
    text = str(record)
    assert not any(word in text for word in ("hidden", jwt, "provider-token"))


async def test_a_refusal_is_recorded_with_its_code(proxy, records):
    await proxy.get("/nobody/x")

    [record] = records()
    assert (record["provider"], record["status"], record["code"]) == ("none", 404, "unknown_provider")
    assert not record["complete"]
    assert 'sidecar_errors_total{code="unknown_provider"} 1.0' in proxy.metrics.render().decode()


async def test_a_broken_answer_is_recorded_as_incomplete(proxy, provider, records):
    provider.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc")

    await proxy.get()

    [record] = records()
    assert (record["status"], record["code"], record["complete"]) == (200, "bad_upstream", False)


async def test_a_service_is_recorded_as_one(proxy, records, service_key):
    await proxy.call(
        f"GET /api/x HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {service_key}\r\nSidecar-Grant: g1\r\n"
        "Connection: close\r\n\r\n".encode()
    )

    [record] = records()
    assert (record["caller_kind"], record["status"]) == ("service", 200)
    assert 'sidecar_overhead_seconds_count{cache="hit",provider="api"} 1.0' in proxy.metrics.render().decode()
