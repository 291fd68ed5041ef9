import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.access.links import make_link, make_setup_link, open_link, use_link
from cloud.access.passwords import Passwords
from cloud.access.roles import Grant, Role, checked_grant
from cloud.access.sessions import (
    Lifetime,
    begin_session,
    caller_of_session,
    end_session_of,
    list_sessions,
    note_session,
)
from cloud.access.users import (
    add_user,
    change_grant,
    find_user,
    has_chief_admin,
    list_users,
    prove_user,
    remove_user,
    set_password_hash,
)
from cloud.auth import sha256_of
from cloud.errors import Conflict, Invalid, NotFound
from cloud.store.engine import reading, writing
from cloud.store.moments import to_ms
from cloud.store.tables import OneTimeLink, User, UserSession
from tests.support.api import ON_SQLITE
from tests.support.envelopes import NOW, enrol, rows_of

NOW_MS = to_ms(NOW)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
LIFETIME = Lifetime(idle_ms=HOUR, absolute_ms=DAY)
VIEWER, CHIEF = Grant(role=Role.VIEWER, venues=frozenset({"corner-shop"})), Grant(role=Role.ADMIN)
PASSWORD = SecretStr("correct horse battery")


def add(session: Session, user: str = "ada", grant: Grant = VIEWER, password_hash: str | None = "hash") -> User:  # noqa: S107  no password
    return add_user(session, user=user, grant=grant, password_hash=password_hash, now_ms=NOW_MS)


def begin(session: Session, user: str = "ada", *, password_hash: str = "hash", now_ms: int = NOW_MS) -> str:  # noqa: S107  no password
    token, _ = begin_session(
        session, user=user, password_hash=password_hash, address="::1", browser="b" * 300, now_ms=now_ms,
        lifetime=LIFETIME,
    )  # fmt: skip
    return token


def grant_of(session: Session, token: str, now_ms: int = NOW_MS) -> Grant | None:
    found = caller_of_session(session, token_sha256=sha256_of(token), now_ms=now_ms, lifetime=LIFETIME)
    return found.grant if found else None


@ON_SQLITE
@pytest.mark.parametrize("role", Role)
def test_a_role_includes_those_before_it_and_none_behind_it(role: Role, session: Session) -> None:
    included = [other for other in Role if role.includes(other)]
    assert included == list(Role)[: list(Role).index(role) + 1]


@ON_SQLITE
def test_a_grant_covers_its_venues_and_what_belongs_to_none_takes_all(session: Session) -> None:
    assert (VIEWER.covers("corner-shop"), VIEWER.covers("other"), VIEWER.covers(None)) == (True, False, False)
    assert (CHIEF.covers("corner-shop"), CHIEF.covers(None)) == (True, True)


def test_a_grant_of_a_venue_that_does_not_exist_is_refused(engine: Engine) -> None:
    enrol(engine)
    with reading(engine) as connection, Session(connection) as session:
        assert checked_grant(session, role=Role.VIEWER, venues=["corner-shop"]) == VIEWER
        assert checked_grant(session, role=Role.ADMIN, venues=None) == CHIEF
        with pytest.raises(Invalid, match="there is no venue nowhere"):
            checked_grant(session, role=Role.VIEWER, venues=["nowhere", "corner-shop"])
        with pytest.raises(Invalid, match="one venue or more"):
            checked_grant(session, role=Role.VIEWER, venues=[])


def test_a_users_name_is_one_however_it_is_written(session: Session) -> None:
    add(session, " Ada@Example.org ")
    assert find_user(session, user="ADA@example.ORG").user == "ada@example.org"
    with pytest.raises(Conflict, match=r"there is a user ada@example\.org already"):
        add(session, "ada@example.org")
    for name in ("", "-x", "two words", "ада", "a" * 101, "a\0b"):
        with pytest.raises(Invalid, match="a user's name has"):
            add(session, name)
    with pytest.raises(NotFound):
        find_user(session, user="a\0")


def test_only_an_admin_of_all_venues_with_a_password_is_a_chief(session: Session) -> None:
    add(session, "limited", Grant(role=Role.ADMIN, venues=frozenset({"corner-shop"})))
    add(session, "analyst", Grant(role=Role.ANALYST))
    add(session, "invited", CHIEF, password_hash=None)
    assert not has_chief_admin(session)
    add(session, "chief", CHIEF)
    assert has_chief_admin(session)
    assert [one.user for one in list_users(session)] == ["analyst", "chief", "invited", "limited"]


def test_a_password_is_proved_and_a_hash_of_other_parameters_is_renewed(engine: Engine, passwords: Passwords) -> None:
    older = Passwords(PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    with writing(engine) as connection, Session(connection) as session:
        add(session, password_hash=older.hash(PASSWORD))
        add(session, "invited", password_hash=None)
    assert prove_user(engine, passwords, user="Ada ", password=PASSWORD)
    (row,) = rows_of(engine, User, box=None)[:1]
    assert not passwords.is_outdated(str(row["password_hash"]))
    assert prove_user(engine, passwords, user="ada", password=PASSWORD)
    for user, password in (("ada", "correct horse batterz"), ("nobody", "correct horse battery"), ("invited", "")):
        assert not prove_user(engine, passwords, user=user, password=SecretStr(password))


@pytest.mark.parametrize("is_outdated", [False, True])
def test_a_password_that_is_changed_while_it_is_proved_stays_changed(
    engine: Engine, passwords: Passwords, monkeypatch: pytest.MonkeyPatch, is_outdated: bool
) -> None:
    made_with = Passwords(PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)) if is_outdated else passwords
    with writing(engine) as connection, Session(connection) as session:
        add(session, password_hash=made_with.hash(PASSWORD))
    matches = passwords.matches

    def slowly(password: SecretStr, stored: str | None) -> bool:
        with writing(engine) as connection, Session(connection) as session:
            set_password_hash(session, user="ada", password_hash="new")
        return matches(password, stored)

    monkeypatch.setattr(passwords, "matches", slowly)
    proved = prove_user(engine, passwords, user="ada", password=PASSWORD)
    assert proved is not None
    assert [row["password_hash"] for row in rows_of(engine, User, box=None)] == ["new"]
    with writing(engine) as connection, Session(connection) as session:
        with pytest.raises(Conflict, match="changed meanwhile"):
            begin(session, password_hash=proved)
        with pytest.raises(Conflict, match="changed meanwhile"):
            set_password_hash(session, user="ada", password_hash="newer", instead_of=proved)
        assert begin(session, password_hash="new")


def test_a_session_is_kept_as_a_hash_alone(session: Session) -> None:
    add(session)
    token = begin(session)
    row = session.get_one(UserSession, sha256_of(token))
    assert token not in row.model_dump_json()
    assert len(token) >= 43
    assert len(row.browser) == 200
    assert grant_of(session, token) == VIEWER
    assert grant_of(session, token[:-1]) is None
    assert begin(session) != token


def test_a_session_ends_when_it_lies_idle_and_at_last_in_any_case(session: Session) -> None:
    add(session)
    token = begin(session)
    assert grant_of(session, token, NOW_MS + HOUR - 1) is not None
    assert grant_of(session, token, NOW_MS + HOUR) is None
    for now_ms in range(NOW_MS, NOW_MS + 2 * DAY, HOUR // 2):
        note_session(session, token_sha256=sha256_of(token), now_ms=now_ms)
        session.expire_all()
        assert (grant_of(session, token, now_ms) is not None) == (now_ms < NOW_MS + DAY)


def test_that_a_session_is_in_use_is_written_at_most_once_a_minute(session: Session) -> None:
    add(session)
    hashed = sha256_of(begin(session))
    for seconds, written in ((59, 0), (60, 60), (100, 60), (121, 121)):
        note_session(session, token_sha256=hashed, now_ms=NOW_MS + seconds * 1000)
        session.expire_all()
        assert session.get_one(UserSession, hashed).seen_ms == NOW_MS + written * 1000


def test_what_an_admin_changes_holds_for_open_sessions_at_once(session: Session) -> None:
    add(session)
    token = begin(session)
    change_grant(session, user="ada", grant=CHIEF)
    assert grant_of(session, token) == CHIEF
    remove_user(session, user="ada")
    session.expire_all()
    assert grant_of(session, token) is None


def test_a_new_password_ends_every_other_session_and_every_link(session: Session) -> None:
    add(session)
    kept, other = begin(session), begin(session)
    link = make_link(session, user="ada", now_ms=NOW_MS)
    set_password_hash(session, user="ada", password_hash="new", keep=sha256_of(kept))
    session.expire_all()
    assert (grant_of(session, kept), grant_of(session, other)) == (VIEWER, None)
    with pytest.raises(NotFound):
        open_link(session, token=link.partition("=")[2], now_ms=NOW_MS)


def test_a_user_ends_their_own_sessions_alone(session: Session) -> None:
    for user in ("ada", "bob"):
        add(session, user)
    mine, theirs = begin(session), begin(session, "bob")
    (figures,) = list_sessions(session, user="ada", this=sha256_of(mine), now_ms=NOW_MS, lifetime=LIFETIME)
    assert figures.is_this
    assert not list_sessions(session, user="ada", this=None, now_ms=NOW_MS + DAY, lifetime=LIFETIME)
    end_session_of(session, user="ada", id_=sha256_of(theirs)[:16])
    assert grant_of(session, theirs) is not None
    end_session_of(session, user="ada", id_=figures.id)
    session.expire_all()
    assert grant_of(session, mine) is None


def test_sessions_that_have_expired_are_forgotten_when_somebody_signs_in(session: Session) -> None:
    add(session)
    old = sha256_of(begin(session))
    begin(session, now_ms=NOW_MS + HOUR)
    session.expire_all()
    assert session.get(UserSession, old) is None


def token_of(path: str | None) -> str:
    assert path is not None
    assert path.startswith("/welcome?token=")
    return path.partition("=")[2]


def test_a_set_up_link_makes_one_admin_once(session: Session) -> None:
    token = token_of(make_setup_link(session, now_ms=NOW_MS))
    assert open_link(session, token=token, now_ms=NOW_MS).user is None
    row = use_link(session, token=token, user="Ada", password_hash="hash", now_ms=NOW_MS)
    assert (row.user, row.role, row.venues) == ("ada", "admin", None)
    with pytest.raises(NotFound, match="used already"):
        use_link(session, token=token, user="eve", password_hash="hash", now_ms=NOW_MS)
    assert make_setup_link(session, now_ms=NOW_MS) is None


def test_a_set_up_link_is_void_after_a_day_after_a_newer_one_and_once_there_is_an_admin(session: Session) -> None:
    first = token_of(make_setup_link(session, now_ms=NOW_MS))
    second = token_of(make_setup_link(session, now_ms=NOW_MS))
    for token, now_ms in ((first, NOW_MS), (second, NOW_MS + DAY), ("", NOW_MS), (f"{second}x", NOW_MS)):
        with pytest.raises(NotFound):
            open_link(session, token=token, now_ms=now_ms)
    assert open_link(session, token=second, now_ms=NOW_MS + DAY - 1).user is None
    add(session, grant=CHIEF)
    with pytest.raises(NotFound):
        open_link(session, token=second, now_ms=NOW_MS)


@pytest.mark.parametrize("way", ["added", "granted", "given a password"])
def test_a_set_up_link_stays_void_when_the_admin_is_removed(session: Session, way: str) -> None:
    token = token_of(make_setup_link(session, now_ms=NOW_MS))
    match way:
        case "added":
            add(session, grant=CHIEF)
        case "granted":
            add(session)
            assert open_link(session, token=token, now_ms=NOW_MS).user is None
            change_grant(session, user="ada", grant=CHIEF)
        case _:
            add(session, grant=CHIEF, password_hash=None)
            assert open_link(session, token=token, now_ms=NOW_MS).user is None
            set_password_hash(session, user="ada", password_hash="hash")
    remove_user(session, user="ada")
    session.expire_all()
    assert not has_chief_admin(session)
    with pytest.raises(NotFound):
        open_link(session, token=token, now_ms=NOW_MS)


def test_a_users_link_gives_that_user_a_password(session: Session) -> None:
    add(session, password_hash=None)
    first = token_of(make_link(session, user="ada", now_ms=NOW_MS))
    token = token_of(make_link(session, user="ada", now_ms=NOW_MS))
    with pytest.raises(NotFound):
        open_link(session, token=first, now_ms=NOW_MS)
    assert open_link(session, token=token, now_ms=NOW_MS).user == "ada"
    assert use_link(session, token=token, user="eve", password_hash="new", now_ms=NOW_MS).user == "ada"
    session.expire_all()
    assert find_user(session, user="ada").password_hash == "new"
    assert session.get(OneTimeLink, sha256_of(token)) is None
