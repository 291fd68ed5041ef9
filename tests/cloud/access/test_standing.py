import pytest
from sqlmodel import Session

from cloud.access.callers import OWNER, Caller
from cloud.access.keys import caller_of_key, make_key, revoke_key
from cloud.access.roles import Grant, Role
from cloud.access.sessions import Lifetime, begin_session
from cloud.access.standing import still_covers
from cloud.access.users import add_user, change_grant, set_password_hash

ANALYST = Grant(role=Role.ANALYST, venues=frozenset({"corner-shop"}))
LIFETIME = Lifetime(idle_ms=1000, absolute_ms=2000)


def may_stay(session: Session, caller: Caller, *, now_ms: int = 0) -> bool:
    session.expire_all()
    return still_covers(session, caller, role=Role.ANALYST, venue="corner-shop", now_ms=now_ms, lifetime=LIFETIME)


@pytest.mark.parametrize(
    ("grant", "stays"),
    [
        pytest.param(ANALYST, True, id="the same"),
        pytest.param(Grant(role=Role.ADMIN), True, id="more"),
        pytest.param(Grant(role=Role.VIEWER), False, id="a lesser role"),
        pytest.param(Grant(role=Role.ADMIN, venues=frozenset({"other"})), False, id="another venue"),
    ],
)
def test_a_user_stays_as_far_as_the_grant_goes(session: Session, grant: Grant, stays: bool) -> None:
    add_user(session, user="ada", grant=ANALYST, password_hash="hash", now_ms=0)
    _, caller = begin_session(
        session, user="ada", password_hash="hash", address="", browser="", now_ms=0, lifetime=LIFETIME
    )
    change_grant(session, user="ada", grant=grant)
    assert may_stay(session, caller) == stays
    assert not may_stay(session, caller, now_ms=1000)
    set_password_hash(session, user="ada", password_hash="new")
    assert not may_stay(session, caller)


def test_a_key_stays_until_it_is_void_and_the_owner_for_ever(session: Session) -> None:
    made = make_key(session, name="till", grant=ANALYST, networks=None, expires_ms=1000, by=OWNER, now_ms=0)
    caller = caller_of_key(session, presented=made.key, address="", now_ms=0)
    assert caller is not None
    assert [may_stay(session, caller, now_ms=now_ms) for now_ms in (999, 1000)] == [True, False]
    revoke_key(session, id_=made.id)
    assert not may_stay(session, caller)
    assert may_stay(session, OWNER)
