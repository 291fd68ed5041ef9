from sqlmodel import Session

from cloud.access.audit import AuditFigures, Outcome, list_audit, record
from cloud.store.moments import to_ms
from tests.support.envelopes import NOW


def say(session: Session, minute: int, *, who: str = "user ada", venue: str | None = None, subject: str = "x") -> None:
    record(
        session, who=who, what="POST /venues", subject=subject, venue=venue, address="::1", outcome=Outcome.DONE,
        now_ms=to_ms(NOW) + minute * 60_000,
    )  # fmt: skip


def listed(
    session: Session, *, who: str | None = None, venue: str | None = None, before: str | None = None
) -> list[AuditFigures]:
    return list_audit(session, who=who, venue=venue, before=before, limit=2)


def test_the_log_is_read_newest_first_by_who_by_venue_and_page_by_page(session: Session) -> None:
    for minute, who, venue in ((0, "owner", None), (1, "user ada", "corner-shop"), (2, "user ada", None)):
        say(session, minute, who=who, venue=venue)
    page = listed(session)
    assert [one.at for one in page] == ["2026-11-20T12:02:00Z", "2026-11-20T12:01:00Z"]
    assert [one.who for one in listed(session, before=page[-1].id)] == ["owner"]
    assert len(listed(session, who="user ada")) == 2
    assert [one.venue for one in listed(session, venue="corner-shop")] == ["corner-shop"]


def test_what_a_stranger_typed_is_one_short_line(session: Session) -> None:
    say(session, 0, subject="eve\nuser ada signed in\0\x1b[31m" + "x" * 300)
    (line,) = listed(session)
    assert line.subject.startswith("eve�user ada signed in��[31mxxx")
    assert len(line.subject) == 200
