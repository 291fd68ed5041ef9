"""What may be granted: a role, and the venues that it holds for."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from sqlmodel import Session, col, select

from cloud.errors import Invalid, NotFound
from cloud.store.tables import Venue

__all__ = ["Grant", "Role", "checked_grant"]


class Role(StrEnum):
    """Each may do what those before it may: see figures; take raw events and compare venues; change things."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether whoever has this role may do what the other may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role in some venues; `venues` is None for all of them, those still to come too."""

    role: Role
    venues: frozenset[str] | None = None

    def covers(self, venue: str | None) -> bool:
        """Whether it holds in a venue; what belongs to no venue (None) takes a grant of all."""
        return self.venues is None or venue in self.venues

    def require(self, venue: str) -> None:
        """Raise NotFound for a venue that it does not cover, as if there were none."""
        if not self.covers(venue):
            raise NotFound(f"there is no venue {venue}")

    def includes(self, other: "Grant") -> bool:
        """Whether whoever has this may do, everywhere, what the other allows."""
        is_everywhere = self.venues is None or (other.venues is not None and other.venues <= self.venues)
        return is_everywhere and self.role.includes(other.role)

    @property
    def stored_venues(self) -> str | None:
        """The venues as the tables keep them: JSON, null for all."""
        return None if self.venues is None else json.dumps(sorted(self.venues))

    @classmethod
    def stored(cls, *, role: str, venues: str | None) -> Self:
        """What the tables keep, read."""
        return cls(role=Role(role), venues=None if venues is None else frozenset(json.loads(venues)))


def checked_grant(session: Session, *, role: Role, venues: Iterable[str] | None) -> Grant:
    """A grant whose venues exist; raises Invalid that names one which does not."""
    grant = Grant(role=role, venues=None if venues is None else frozenset(venues))
    if grant.venues is not None:
        if not grant.venues:
            raise Invalid("`venues` must name one venue or more; leave it out to grant all of them")
        known = set(session.exec(select(Venue.venue).where(col(Venue.venue).in_(grant.venues))))
        if unknown := sorted(grant.venues - known):
            raise Invalid(f"there is no venue {unknown[0]}")
    return grant
