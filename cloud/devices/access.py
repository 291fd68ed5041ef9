"""What the broker must know: the list of revoked certificates, the workers, and who is shut out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlalchemy import Connection, select

from cloud.devices.authority import Authority
from cloud.devices.certificates import Revocation, list_of_revoked, revocations, workers
from cloud.store.tables import Box
from cloud.store.upsert import table_of

__all__ = ["BrokerAccess", "broker_access"]

_BOX = table_of(Box)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccess:
    """Who may speak to the broker."""

    revocation_list: Annotated[str, Field(description="PEM, signed by the authority")]
    workers: Annotated[tuple[str, ...], Field(description="users that are the cloud's own")]
    blocked: Annotated[tuple[str, ...], Field(description="users that may neither send nor receive anything")]
    revoked: Annotated[tuple[Revocation, ...], Field(description="certificates whose connections must end")]


def broker_access(connection: Connection, authority: Authority, *, now: datetime) -> BrokerAccess:
    """Who may speak to the broker now."""
    blocked = select(_BOX.c.box).where(_BOX.c.revoked_ms.is_not(None)).order_by(_BOX.c.box)
    return BrokerAccess(
        revocation_list=list_of_revoked(connection, authority, now=now),
        workers=workers(connection, now=now),
        blocked=tuple(connection.execute(blocked).scalars()),
        revoked=revocations(connection, now=now),
    )
