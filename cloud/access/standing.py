"""Whether somebody who came in long ago may stay, for answers that go on and on."""

from sqlmodel import Session

from cloud.access.callers import Caller
from cloud.access.keys import key_lives
from cloud.access.roles import Role
from cloud.access.sessions import Lifetime, caller_of_session

__all__ = ["still_covers"]


def still_covers(session: Session, caller: Caller, *, role: Role, venue: str, now_ms: int, lifetime: Lifetime) -> bool:
    """Whether the session or the key lives, and its grant still is of the role and covers the venue."""
    if caller.session is not None:
        found = caller_of_session(session, token_sha256=caller.session, now_ms=now_ms, lifetime=lifetime)
        return found is not None and found.grant.role.includes(role) and found.grant.covers(venue)
    return caller.key is None or key_lives(session, id_=caller.key, now_ms=now_ms)
