import pytest

from sidecar.errors import BadRequestError
from sidecar.proxy.control import NAMES, Controls, read_controls


def test_without_control_fields_nothing_is_asked():
    assert read_controls(((b"Host", b"x"),)) == Controls()


def test_control_fields_are_read_in_any_case():
    fields = (
        (b"SIDECAR-PROVIDER", b"github"),
        (b"sidecar-upstream", b"https://a"),
        (b"Sidecar-Account", "Jürgen".encode()),
        (b"Sidecar-Grant", b"g-1"),
        (b"Sidecar-Caller", b"nightly report/2"),
    )

    assert read_controls(fields) == Controls(
        provider=b"github", upstream=b"https://a", account="Jürgen", grant="g-1", caller="nightly report/2"
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_control_field_may_stand_once(name):
    field = (b"sidecar-" + name.lower().encode(), b"a")

    with pytest.raises(BadRequestError, match=f"Sidecar-{name}"):
        read_controls((field, field))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Sidecar-Grant", b""),
        (b"Sidecar-Grant", b"a b"),
        (b"Sidecar-Grant", b"a" * 256),
        (b"Sidecar-Caller", b""),
        (b"Sidecar-Caller", b"a" * 65),
        (b"Sidecar-Caller", b"\xc3\xa9"),
        (b"Sidecar-Account", b""),
        (b"Sidecar-Account", b"\xff"),
        (b"Sidecar-Account", b"a\tb"),
        (b"Sidecar-Account", b"a" * 256),
    ],
)
def test_misshapen_values_are_refused_without_an_echo(name, value):
    with pytest.raises(BadRequestError) as caught:
        read_controls(((name, value),))

    assert "aaa" not in caught.value.detail
