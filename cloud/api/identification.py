"""Who asks, by what a request shows: an API key, a session's cookie, a box's device key, an enrolment code.

Says who it is and whether what was shown is right; what they may do is for `guard`.
"""

from fastapi import Request
from sqlmodel import Session

from cloud.access.callers import OWNER, Caller
from cloud.access.keys import PREFIX, caller_of_key, note_key
from cloud.access.sessions import caller_of_session, note_session
from cloud.api.needs import BoxProof
from cloud.api.origins import address_of, session_cookie
from cloud.api.surroundings import Surroundings
from cloud.auth import box_of_key, key_matches, sha256_of
from cloud.devices.codes import find_code
from cloud.store.engine import reading, writing
from cloud.store.moments import to_ms
from cloud.store.tables import Box

__all__ = ["caller_of_cookie", "caller_of_shown_key", "identify_box", "shown_key"]


def shown_key(request: Request) -> str | None:
    """What stands in `Authorization: Bearer …`; None where there is no such header."""
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    return presented.strip() if scheme.lower() == "bearer" else None


def caller_of_shown_key(request: Request, around: Surroundings, presented: str) -> Caller | None:
    """Who shows this key; None for a key that opens nothing."""
    if around.admin.matches(presented):
        return OWNER
    if not presented.startswith(PREFIX):
        return None
    now_ms = to_ms(around.clock())
    with reading(around.engine) as connection, Session(connection) as session:
        caller = caller_of_key(session, presented=presented, address=address_of(request), now_ms=now_ms)
    if caller is not None and not caller.is_noted:
        with writing(around.engine) as connection, Session(connection) as session:
            note_key(session, id_=caller.key or "", now_ms=now_ms)
    return caller


def caller_of_cookie(request: Request, around: Surroundings) -> Caller | None:
    """Who has signed in with the browser that asks; None for a stranger."""
    token = session_cookie(request)
    if not token:
        return None
    now_ms, token_sha256 = to_ms(around.clock()), sha256_of(token)
    with reading(around.engine) as connection, Session(connection) as session:
        caller = caller_of_session(session, token_sha256=token_sha256, now_ms=now_ms, lifetime=around.lifetime)
    if caller is not None and not caller.is_noted:
        with writing(around.engine) as connection, Session(connection) as session:
            note_session(session, token_sha256=token_sha256, now_ms=now_ms)
    return caller


def identify_box(request: Request, around: Surroundings, proof: BoxProof, presented: str) -> str | None:
    """The id of the box that shows this; None where it is wrong. What it showed is then in the request's state."""
    match proof:
        case BoxProof.DEVICE_KEY:
            row = _box_of_key(around, presented)
            request.state.box = row
            return row.box if row else None
        case BoxProof.ENROLMENT_CODE:
            code = find_code(around.engine, presented, now=around.clock())
            request.state.code = code.id if code else None
            return code.box if code else None


def _box_of_key(around: Surroundings, key: str) -> Box | None:
    with reading(around.engine) as connection, Session(connection, expire_on_commit=False) as session:
        row = session.get(Box, box_of_key(key).replace("\0", ""))
        session.expunge_all()
    # An unknown box takes as long as a wrong key.
    is_right = key_matches(key, row.key_sha256 if row and row.key_sha256 else "0" * 64)
    return row if is_right else None
