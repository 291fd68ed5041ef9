"""The list of what is void stays quick to make, however long it is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from cloud.devices.authority import Authority, RevokedSerial, open_authority

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path, now=NOW)


def revoked(count: int) -> list[RevokedSerial]:
    return [RevokedSerial(serial=f"{2**100 + number:040x}", since=NOW) for number in range(count)]


def test_a_long_list_holds_everything_and_copies_none_of_it(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builder's own way of adding one copies all before it: forty thousand took eight seconds."""
    monkeypatch.delattr(x509.CertificateRevocationListBuilder, "add_revoked_certificate")
    listed = authority.list_revoked(revoked(40_000), at=NOW)
    found = x509.load_pem_x509_crl(listed.encode())
    assert len(found) == 40_000
    assert found.get_revoked_certificate_by_serial_number(2**100 + 39_999) is not None


def test_a_list_is_signed_anew_only_when_something_is_new(authority: Authority) -> None:
    first = authority.list_revoked(revoked(2), at=NOW)
    assert authority.list_revoked(revoked(2), at=NOW) == first, "each signature is another"
    assert authority.list_revoked(revoked(3), at=NOW) != first
    assert authority.list_revoked(revoked(2), at=NOW) != first
    assert authority.list_revoked(revoked(2), at=NOW + timedelta(seconds=1)) != first
