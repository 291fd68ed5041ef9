from contextlib import nullcontext

import pytest
from sqlmodel import Session

from cloud.access.callers import Caller
from cloud.access.keys import (
    NewKey,
    caller_of_key,
    key_expiry_ms,
    key_lives,
    key_name,
    list_keys,
    make_key,
    note_key,
    revoke_key,
)
from cloud.access.networks import is_loopback, is_within, prefix_of, read_networks
from cloud.access.roles import Grant, Role
from cloud.errors import Conflict, Invalid, NotFound
from cloud.store.moments import to_ms
from cloud.store.tables import ApiKey
from tests.support.envelopes import NOW

NOW_MS = to_ms(NOW)
GRANT = Grant(role=Role.ANALYST, venues=frozenset({"corner-shop"}))
DAY = 86_400_000


ADA = Caller(name="user ada", grant=Grant(role=Role.ADMIN))


def make(
    session: Session,
    *,
    networks: tuple[str, ...] | None = None,
    expires_ms: int | None = None,
    by: Caller = ADA,
) -> NewKey:
    return make_key(
        session,
        name="screen",
        grant=GRANT,
        networks=networks,
        expires_ms=expires_ms,
        by=by,
        now_ms=NOW_MS,
    )


def opens(session: Session, key: str, *, address: str = "192.0.2.7", now_ms: int = NOW_MS) -> bool:
    return caller_of_key(session, presented=key, address=address, now_ms=now_ms) is not None


def test_a_key_is_kept_as_a_hash_and_opens_what_was_granted(session: Session) -> None:
    made = make(session)
    assert made.key.startswith(f"ff_{made.id}_")
    assert len(made.key) > 55
    row = session.get_one(ApiKey, made.id)
    assert made.key.removeprefix(f"ff_{made.id}_") not in row.model_dump_json()
    caller = caller_of_key(session, presented=made.key, address="192.0.2.7", now_ms=NOW_MS)
    assert caller is not None
    assert (caller.name, caller.grant, caller.key) == (f"key {made.id}", GRANT, made.id)


def test_what_is_not_the_whole_key_opens_nothing(session: Session) -> None:
    made, other = make(session), make(session)
    for wrong in (
        "", "ff_", made.id, made.key[:-1], f"{made.key}x", made.key.replace(made.id, other.id), f"ff_\0{made.key}",
    ):  # fmt: skip
        assert not opens(session, wrong), wrong


def test_a_key_is_void_when_its_time_is_over_and_when_it_is_revoked(session: Session) -> None:
    made = make(session, expires_ms=key_expiry_ms(1, now_ms=NOW_MS))
    assert opens(session, made.key, now_ms=NOW_MS + DAY - 1)
    assert not opens(session, made.key, now_ms=NOW_MS + DAY)
    assert not key_lives(session, id_=made.id, now_ms=NOW_MS + DAY)
    revoke_key(session, id_=made.id)
    assert not opens(session, made.key)
    assert not key_lives(session, id_=made.id, now_ms=NOW_MS)
    with pytest.raises(NotFound, match=f"there is no key {made.id}"):
        revoke_key(session, id_=made.id)


def holder(session: Session, made: NewKey) -> Caller:
    found = caller_of_key(session, presented=made.key, address="10.0.0.7", now_ms=NOW_MS)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("networks", "days", "refused"),
    [
        pytest.param(("10.0.0.0/8", "2001:db8::/32"), 30, None, id="as limited as itself"),
        pytest.param(("10.0.0.7/32",), 29, None, id="more limited"),
        pytest.param(("2001:db8:1::/48", "10.0.0.0/9"), 1, None, id="parts of both networks"),
        pytest.param(("10.0.0.0/8",), 31, "not last longer .* until 2026-12-20T12:00:00Z", id="longer"),
        pytest.param(("10.0.0.0/8",), None, "not last longer", id="for ever"),
        pytest.param(None, 30, "only from 10.0.0.0/8, 2001:db8::/32", id="from anywhere"),
        pytest.param(("10.0.0.0/7",), 30, "from elsewhere", id="from a wider network"),
        pytest.param(("10.0.0.0/8", "192.0.2.0/24"), 30, "from elsewhere", id="from one more network"),
    ],
)
def test_a_key_makes_only_keys_within_its_time_and_its_networks(
    session: Session, networks: tuple[str, ...] | None, days: int | None, refused: str | None
) -> None:
    limited = make(session, networks=("10.0.0.0/8", "2001:db8::/32"), expires_ms=key_expiry_ms(30, now_ms=NOW_MS))
    expires_ms = key_expiry_ms(days, now_ms=NOW_MS)
    with nullcontext() if refused is None else pytest.raises(Conflict, match=refused):
        make(session, networks=networks, expires_ms=expires_ms, by=holder(session, limited))


def test_with_a_key_all_end_that_it_made_and_that_these_made(session: Session) -> None:
    first, other = make(session), make(session)
    second = make(session, by=holder(session, first))
    third, fourth = (make(session, by=holder(session, second)) for _ in range(2))
    gone = holder(session, second)
    assert revoke_key(session, id_=first.id) == (second.id, *sorted((third.id, fourth.id)))
    assert [opens(session, one.key) for one in (first, second, third, fourth, other)] == [False] * 4 + [True]
    with pytest.raises(Conflict, match="is void"):
        make(session, by=gone)


@pytest.mark.parametrize(
    ("address", "is_let_in"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::5", True),
        ("11.1.2.3", False),
        ("2001:db9::5", False),
        ("", False),
        ("testclient", False),
    ],
)
def test_a_key_limited_to_networks_opens_nothing_from_elsewhere(
    session: Session, address: str, is_let_in: bool
) -> None:
    made = make(session, networks=read_networks(["10.0.0.0/8", "2001:db8::/32"]))
    assert opens(session, made.key, address=address) == is_let_in


def test_the_list_says_all_but_the_secret_and_when_a_key_was_used(session: Session) -> None:
    made = make(session, networks=("10.0.0.0/8",))
    for seconds, used in ((0, "12:00:00"), (59, "12:00:00"), (60, "12:01:00")):
        note_key(session, id_=made.id, now_ms=NOW_MS + seconds * 1000)
        session.expire_all()
        (listed,) = list_keys(session)
        assert listed.used == f"2026-11-20T{used}Z"
    assert (listed.id, listed.role, listed.venues) == (made.id, Role.ANALYST, ("corner-shop",))
    assert (listed.networks, listed.expires, listed.created_by) == (("10.0.0.0/8",), None, "user ada")
    assert made.key not in repr(listed)


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_days_that_make_no_sense_are_refused(days: int) -> None:
    with pytest.raises(Invalid, match="1 to 3650 days"):
        key_expiry_ms(days, now_ms=NOW_MS)
    assert key_expiry_ms(None, now_ms=NOW_MS) is None


def test_a_key_has_a_name_of_one_line() -> None:
    assert key_name(" screen ") == "screen"
    for name in ("", "  ", "x" * 121, "two\nlines"):
        with pytest.raises(Invalid, match="what it is for"):
            key_name(name)


def test_what_is_no_network_is_said() -> None:
    assert read_networks(None) is None
    assert read_networks(["192.0.2.7", " 2001:db8::/32 "]) == ("192.0.2.7/32", "2001:db8::/32")
    for text in ("10.0.0.1/8", "shop", ""):
        with pytest.raises(Invalid, match=r"networks: an address or a network such as 192\.0\.2\.7"):
            read_networks([text])


def test_addresses_are_what_they_are_in_any_spelling() -> None:
    assert [is_loopback(one) for one in ("127.0.0.9", "::1", "::ffff:127.0.0.1", "10.0.0.1", "", "unix")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert is_within("::ffff:192.0.2.7", ["192.0.2.0/24"])
    assert not is_within("192.0.2.7", ["2001:db8::/32"])
    assert prefix_of("2001:db8:1:2:3::4") == prefix_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert prefix_of("192.0.2.7") == "192.0.2.7"
    assert prefix_of("unix") == "unix"
