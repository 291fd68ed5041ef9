"""Writes the audit log: each write, each export, each wrong key, with how it ended, before the answer goes out."""

import logging
from dataclasses import dataclass

from anyio.to_thread import run_sync
from sqlmodel import Session
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.access.audit import Outcome, record
from cloud.errors import CloudError
from cloud.store.engine import writing
from cloud.store.moments import to_ms

__all__ = ["Audited", "Trail"]

_LOG = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Trail:
    """What will stand in the log of a request, once somebody has decided that it should; routes fill in the subject."""

    what: str
    address: str
    subject: str
    venue: str | None
    who: str = "nobody"
    is_recorded: bool = False


class Audited:
    """Records what the guard marked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_answered = False

        async def noted(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                await _note(scope, _outcome(message["status"]))
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:  # whatever it was, somebody tried something, and the next layer answers
            if not is_answered:
                await _note(scope, Outcome.FAILED)
            raise


def _outcome(status: int) -> Outcome:
    if status < 400:
        return Outcome.DONE
    return Outcome.REFUSED if status < 500 else Outcome.FAILED


async def _note(scope: Scope, outcome: Outcome) -> None:
    trail = scope.get("state", {}).get("trail")
    if isinstance(trail, Trail) and trail.is_recorded:
        await run_sync(_write, scope, trail, outcome)


def _write(scope: Scope, trail: Trail, outcome: Outcome) -> None:
    around = scope["app"].state.surroundings
    try:
        with writing(around.engine) as connection, Session(connection) as session:
            record(
                session,
                who=trail.who,
                what=trail.what,
                subject=trail.subject,
                venue=trail.venue,
                address=trail.address,
                outcome=outcome,
                now_ms=to_ms(around.clock()),
            )
    except CloudError as error:
        # It has happened already, so the answer stays what it is; the process's own log knows of it instead.
        facts = {"who": trail.who, "what": trail.what, "subject": trail.subject, "outcome": str(outcome)}
        _LOG.error("The audit log cannot be written: %s; %s", error, facts, extra={"action": "audit", **facts})
