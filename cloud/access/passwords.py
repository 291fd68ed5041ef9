"""Passwords: what makes a good one, and how it is kept. Argon2id with the parameters of RFC 9106.

A verification takes 64 MiB of memory and some 50 ms of a processor on purpose, so only a few run at a time.
"""

import functools
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import SecretStr

from cloud.errors import Invalid
from cloud.turns import Turns

__all__ = ["Passwords", "check_password"]

FEWEST, MOST = 12, 200
"""Characters. Length is what counts; rules about their kinds make people choose worse ones."""
_AT_ONCE = 2
_WAITING = 6
"""Each that waits holds one of the server's forty threads; these are served within a second."""
_TOO_MANY = "too many are signing in right now; try again soon"


class Passwords:
    """Makes and verifies hashes, a few at a time."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = Turns(at_once=_AT_ONCE, waiting=_WAITING)

    def hash(self, password: SecretStr) -> str:
        """What is stored of a password; raises Busy."""
        with self._turns.take(_TOO_MANY):
            return self._hasher.hash(_plain(password))

    def matches(self, password: SecretStr, stored: str | None) -> bool:
        """Whether it is the password of this hash; without one it takes as long, and is wrong. Raises Busy."""
        with self._turns.take(_TOO_MANY):
            try:
                self._hasher.verify(stored or self._of_nobody, _plain(password))
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether it was made with other parameters than today's, and should be made anew."""
        return self._hasher.check_needs_rehash(stored)

    @functools.cached_property
    def _of_nobody(self) -> str:
        """Who does not exist is verified against this, so that time tells nothing."""
        return self._hasher.hash(secrets.token_urlsafe())


def check_password(password: SecretStr, *, user: str) -> None:
    """Raise Invalid, saying what would be right, for a password that is too easy."""
    plain = _plain(password)
    if not FEWEST <= len(plain) <= MOST:
        raise Invalid(f"the password must have {FEWEST} to {MOST} characters; this one has {len(plain)}")
    if len(set(plain)) < FEWEST // 2 or plain.casefold() in {user, user * 2}:
        raise Invalid("this password is guessed at once; several words that do not belong together make a good one")


def _plain(password: SecretStr) -> str:
    """The same password typed on another keyboard is the same text."""
    return unicodedata.normalize("NFKC", password.get_secret_value())
