"""How a box gets in, stays in and is shut out, by the API."""

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy import Engine, func, select, text
from sqlmodel import Session, SQLModel

from cloud.auth import sha256_of
from cloud.devices.enrolment import RenewedBox, renew
from cloud.devices.follower import http_source
from cloud.devices.following import FOLLOWER_HEADER
from cloud.errors import Conflict
from cloud.ingest.commit import Committer
from cloud.ingest.intake import intake
from cloud.settings import Settings
from cloud.store.engine import reading, writing
from cloud.web import create_site
from edge.enrolment.identity import make_request
from protocol.enrolment import fingerprint
from tests.support.api import ADMIN_KEY, ON_SQLITE, Api
from tests.support.envelopes import BOX, NOW, VENUE, envelope, live, topic, visit
from tests.support.visitor import Visitor, add_person
from tools.venue_picture import serving


def make_code(api: Api, box: str = BOX) -> str:
    return str(api.write("POST", f"/boxes/{box}/enrolment-codes")["code"])


def enrol(api: Api, code: str, *, request: str | None = None) -> Any:
    return api.request("POST", "/enrolment", key=code, json={"request": request or make_request().pem})


def enrolled(api: Api, box: str = BOX) -> Any:
    answer = enrol(api, make_code(api, box))
    assert answer.status_code == 201, answer.text
    return answer.json()


def serials(api: Api) -> set[int]:
    """What the broker is told to be void."""
    listed = x509.load_pem_x509_crl(api.read("/broker/access")["revocation_list"].encode())
    return {entry.serial_number for entry in listed}


def ask_as_follower(api: Api) -> None:
    with serving(api.app) as root, httpx.Client(base_url=f"{root}/api/v1/") as client:
        http_source(client)()


def certificate_of(answer: Any) -> x509.Certificate:
    return x509.load_pem_x509_certificate(answer["certificate"].encode())


def test_a_code_becomes_a_certificate_in_the_boxs_name_for_the_key_that_stayed_there(api: Api, device_key: str) -> None:
    request = make_request()
    answer = enrol(api, make_code(api), request=request.pem).json()
    certificate = certificate_of(answer)
    authority = x509.load_pem_x509_certificate(answer["authority"].encode())
    certificate.verify_directly_issued_by(authority)
    assert [name.value for name in certificate.subject] == [BOX]
    key = serialization.load_pem_private_key(request.key_pem.encode(), password=None)
    assert certificate.public_key() == key.public_key()
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certificate.not_valid_after_utc == api.clock.now + timedelta(days=365)
    assert (answer["box"], answer["venue"], answer["broker"]["port"]) == (BOX, VENUE, 8883)
    assert fingerprint(ssl.PEM_cert_to_DER_cert(answer["authority"])) == api.read("/authority")["fingerprint"]


def test_a_code_is_good_once_and_for_its_own_box(api: Api, device_key: str) -> None:
    code = make_code(api)
    assert enrol(api, code).json()["box"] == BOX
    assert enrol(api, code).status_code == 401


def test_a_code_is_good_for_a_day(api: Api, device_key: str) -> None:
    code = make_code(api)
    api.clock.now += timedelta(days=1)
    assert enrol(api, code).status_code == 401


def test_a_further_code_voids_the_one_before(api: Api, device_key: str) -> None:
    first, second = make_code(api), make_code(api)
    assert enrol(api, first).status_code == 401
    assert enrol(api, second).status_code == 201


def test_a_code_bears_five_mistakes(api: Api, device_key: str) -> None:
    bears, breaks = make_code(api), ""
    for tries in (4, 5):
        code = make_code(api)
        name, secret, authority = code.split("-")
        wrong = f"{name}-{'A' * len(secret)}-{authority}"
        assert {enrol(api, wrong).status_code for _ in range(tries)} == {401}
        bears, breaks = (code, breaks) if tries == 4 else (bears, code)
        assert enrol(api, code).status_code == (201 if tries == 4 else 401)
    assert bears != breaks


def test_only_a_hash_of_a_codes_secret_is_kept(api: Api, device_key: str) -> None:
    secret = make_code(api).split("-")[1]
    with reading(api.engine) as connection:
        kept = str(connection.execute(text("SELECT * FROM enrolment_code")).all())
    assert secret not in kept


@ON_SQLITE
@pytest.mark.parametrize("request_pem", ["", "no request", "rsa", "other curve"])
def test_a_wrong_request_is_refused_and_costs_no_code(api: Api, device_key: str, request_pem: str) -> None:
    if request_pem in {"rsa", "other curve"}:
        key = (
            rsa.generate_private_key(public_exponent=65537, key_size=2048)
            if request_pem == "rsa"
            else ec.generate_private_key(ec.SECP384R1())
        )
        made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        request_pem = made.public_bytes(serialization.Encoding.PEM).decode()
    code = make_code(api)
    answer = api.request("POST", "/enrolment", key=code, json={"request": request_pem})
    assert (answer.status_code, "P-256" in answer.text) == (422, True)
    assert enrol(api, code).status_code == 201


@ON_SQLITE
def test_whatever_name_a_request_asks_for_the_certificate_bears_the_boxs(api: Api, device_key: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cloud.main")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    certificate = certificate_of(enrol(api, make_code(api), request=pem).json())
    assert [one.value for one in certificate.subject] == [BOX]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_enrolling_anew_voids_certificate_and_key_from_before(api: Api, device_key: str) -> None:
    first = enrolled(api)
    assert serials(api) == set()
    second = enrolled(api)
    assert serials(api) == {certificate_of(first).serial_number}
    for key, status in ((device_key, 401), (first["key"], 401), (second["key"], 200)):
        assert api.request("POST", "/events", key=key, content=envelope([visit(1)])).status_code == status
    assert api.read("/broker/access")["blocked"] == []


def test_a_device_key_renews_and_both_certificates_are_good_meanwhile(api: Api, device_key: str) -> None:
    key = enrolled(api)["key"]
    api.clock.now += timedelta(days=300)
    answer = api.request("POST", "/enrolment/renewal", key=key, json={"request": make_request().pem})
    assert answer.status_code == 201
    assert certificate_of(answer.json()).not_valid_after_utc == api.clock.now + timedelta(days=365)
    assert api.read(f"/boxes/{BOX}")["certificate_expires"] == answer.json()["expires"]
    assert serials(api) == set()


def test_a_key_that_was_shown_renews_only_while_it_is_the_boxs(api: Api, device_key: str) -> None:
    """As the renewal's own transaction finds it: the guard has looked before."""
    first = enrolled(api)["key"]
    second = enrolled(api)["key"]
    authority = api.app.state.surroundings.devices.open_authority()

    def renewed(key_sha256: str | None) -> RenewedBox:
        with writing(api.engine) as connection, Session(connection) as session:
            return renew(
                session, authority, box=BOX, key_sha256=key_sha256, request=make_request().pem, now=NOW, days=365
            )

    assert renewed(sha256_of(second)).box == BOX
    for void in (sha256_of(first), None):
        with pytest.raises(Conflict, match="another key by now"):
            renewed(void)
    api.write("POST", f"/boxes/{BOX}/revocation")
    with pytest.raises(Conflict, match="enrol it anew"):
        renewed(None)


def renewed(api: Api, key: str) -> Any:
    answer = api.request("POST", "/enrolment/renewal", key=key, json={"request": make_request().pem})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_box_renews_a_few_times_a_day_and_then_is_told_when_again(api: Api, device_key: str) -> None:
    key = enrolled(api)["key"]
    for _ in range(5):
        api.clock.now += timedelta(hours=1)
        renewed(api, key)
    api.clock.now += timedelta(hours=1)
    noted = len(api.read("/audit"))
    refused = api.request("POST", "/enrolment/renewal", key=key, json={"request": make_request().pem})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, str(18 * 3600))
    assert refused.json()["detail"] == f"box {BOX} was given 6 certificates within a day"
    assert len(api.read("/audit")) == noted, "whoever asks without end fills no log"
    api.clock.now += timedelta(hours=18)
    renewed(api, key)
    api.clock.now -= timedelta(days=30)
    renewed(api, key)
    api.make_box("box-2")
    renewed(api, enrolled(api, "box-2")["key"])


@pytest.mark.parametrize("age_days", [0, 300], ids=["which is new", "which is due"])
def test_what_a_box_holds_stays_good_however_often_it_asks_until_it_is_shut_out(
    api: Api, device_key: str, age_days: int
) -> None:
    """Which answers came to it, the cloud cannot know; a box whose clock is ahead asks with a new certificate too."""
    first = enrolled(api)
    given = {certificate_of(first).serial_number}
    api.clock.now += timedelta(days=age_days)
    for _ in range(5):
        api.clock.now += timedelta(hours=1)
        given.add(certificate_of(renewed(api, first["key"])).serial_number)
    assert (serials(api), api.read("/broker/access")["revoked"]) == (set(), [])
    api.write("POST", f"/boxes/{BOX}/revocation")
    assert serials(api) == given


def test_a_revoked_box_has_no_key_no_code_no_certificate(api: Api, device_key: str) -> None:
    given, code = enrolled(api), make_code(api)
    revoked = api.write("POST", f"/boxes/{BOX}/revocation")
    assert revoked == {"box": BOX, "revoked": "2026-11-20T12:00:00Z", "certificates": 1}
    assert api.write("POST", f"/boxes/{BOX}/revocation") == {**revoked, "certificates": 0}
    assert api.request("POST", "/events", key=given["key"], content=envelope([visit(1)])).status_code == 401
    renewal = api.request("POST", "/enrolment/renewal", key=given["key"], json={"request": make_request().pem})
    assert renewal.status_code == 401
    assert enrol(api, code).status_code == 401
    access = api.read("/broker/access")
    assert (access["blocked"], [one["user"] for one in access["revoked"]]) == ([BOX], [BOX])
    assert serials(api) == {certificate_of(given).serial_number}
    shown = api.read(f"/boxes/{BOX}")
    assert (shown["revoked"], shown["has_key"], shown["state"]) == ("2026-11-20T12:00:00Z", False, "offline")
    for path in (f"/boxes/{BOX}/key", "/boxes"):
        refused = api.request("POST", path, json={"box": BOX} if path == "/boxes" else None)
        assert (refused.status_code, "enrol it anew" in refused.text) == (409, True)


def test_what_a_revoked_box_still_sends_is_ignored_until_it_is_enrolled_anew(api: Api, device_key: str) -> None:
    committer = Committer(api.engine, api.clock)

    def say(seq: int) -> int:
        """Over the broker, where a key does not matter."""
        return len(committer.commit([intake(topic(), envelope([visit(seq)]))]))

    def count(table: str) -> int:
        with reading(api.engine) as connection:
            query = select(func.count()).select_from(SQLModel.metadata.tables[table])
            return int(connection.execute(query).scalar_one())

    assert say(1) == 1
    api.write("POST", f"/boxes/{BOX}/revocation")
    assert say(2) == 0, "no ack, so that one which was shut out by mistake sends it again"
    assert committer.commit([intake(topic("live"), live()), intake(topic(), b"no envelope")]) == ()
    assert [count(table) for table in ("event", "live", "dead_letter", "held")] == [1, 0, 0, 0]
    enrolled(api)
    assert say(2) == 1
    assert count("event") == 2


@ON_SQLITE
def test_a_list_says_the_same_all_day_and_is_newer_after_each_revocation(api: Api) -> None:
    api.make_venue()

    def listed() -> x509.CertificateRevocationList:
        return x509.load_pem_x509_crl(api.read("/broker/access")["revocation_list"].encode())

    for box in ("box-1", "box-2", "box-3"):
        api.make_box(box)
        enrolled(api, box)
    seen = [listed()]
    for box in ("box-1", "box-2", "box-3"):
        api.write("POST", f"/boxes/{box}/revocation")
        seen.append(listed())
        assert listed().tbs_certlist_bytes == seen[-1].tbs_certlist_bytes
    api.clock.now += timedelta(days=1)
    seen.append(listed())
    moments = [one.last_update_utc for one in seen]
    assert moments == sorted(set(moments)), "mosquitto believes the later of two lists, by their second"
    assert max(moments) < api.clock.now
    ends = [one.next_update_utc for one in seen if one.next_update_utc is not None]
    assert min(ends) > api.clock.now + timedelta(days=27)


@ON_SQLITE
def test_the_authoritys_key_is_its_owners_alone_and_stays_the_same(api: Api, tmp_path: Path) -> None:
    before = api.read("/authority")
    path = tmp_path / "authority" / "authority.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert Api(api.engine, settings={"data_dir": tmp_path}).read("/authority") == before
    assert "PRIVATE" not in before["certificate"]


@ON_SQLITE
def test_a_spoilt_authority_is_said_and_not_replaced(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "authority" / "authority.pem"
    path.parent.mkdir()
    path.write_text("spoilt")
    assert Api(engine, settings={"data_dir": tmp_path}).get("/authority").status_code == 500
    assert path.read_text() == "spoilt"


def test_health_tells_when_the_program_beside_the_broker_last_asked(api: Api) -> None:
    assert api.read("/health")["broker_asked"] is None
    ask_as_follower(api)
    api.clock.now += timedelta(seconds=90)
    found = api.read("/health")
    assert (found["broker_asked"], found["broker_asked_age_seconds"]) == ("2026-11-20T12:00:00Z", 90)
    assert api.scrape().value("footfall_broker_follower_word_timestamp_seconds") > 0
    ask_as_follower(api)
    assert api.read("/health")["broker_asked_age_seconds"] == 0
    assert "broker_asked" not in api.request("GET", "/health", key=None).json()


def test_whoever_else_looks_at_the_list_is_not_taken_for_the_program_beside_the_broker(
    api: Api, engine: Engine, tmp_path: Path
) -> None:
    add_person(engine)
    settings = Settings.model_validate({"admin_key": ADMIN_KEY, "data_dir": tmp_path})
    site = create_site(settings, engine, clock=api.clock)
    ada = Visitor(site)
    ada.sign_in()
    assert ada.get("/api/v1/broker/access", **{FOLLOWER_HEADER: "yes"}).status_code == 200
    key = api.make_key("viewer")
    assert api.request("GET", "/broker/access", key=key).status_code == 200
    assert api.read("/health")["broker_asked"] is None
    assert api.request("GET", "/broker/access", key=key, headers={FOLLOWER_HEADER: "yes"}).status_code == 200
    assert api.read("/health")["broker_asked_age_seconds"] == 0
