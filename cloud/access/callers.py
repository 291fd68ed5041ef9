"""Who asks: a person who has signed in, a program with a key, or the machine's owner."""

from dataclasses import dataclass

from cloud.access.roles import Grant, Role

__all__ = ["OWNER", "Caller"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody known. `name` is for the audit log, unique among all; `session` is the hash of a session's token.

    answers: the user who answers for the keys that the caller makes; None for the machine's owner.
    is_noted: whether it was written down in the last minute that session or key are in use.
    """

    name: str
    grant: Grant
    user: str | None = None
    session: str | None = None
    key: str | None = None
    answers: str | None = None
    is_noted: bool = True


OWNER = Caller(name="owner", grant=Grant(role=Role.ADMIN))
"""Whoever holds the admin key of the settings, or sits at the command line of the cloud's machine."""
