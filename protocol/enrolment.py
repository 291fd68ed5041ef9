"""The code by which a box is enrolled: typed by an installer, read at both ends.

`ID-SECRET-AUTHORITY`: which code it is, what proves that one holds it, and the fingerprint of the cloud's own
certificate authority, by which a box knows that authority before it trusts anything else. Knows no cryptography but
hashes, and nothing of how codes are kept.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Self

__all__ = ["Code", "fingerprint"]

_ID, _SECRET, _AUTHORITY = 8, 16, 26
"""Characters of five bits: 40 to find the code by, 80 to guess, 128 that no other authority has."""
_WRITTEN = re.compile(rf"([A-Z2-7]{{{_ID}}})-([A-Z2-7]{{{_SECRET}}})-([A-Z2-7]{{{_AUTHORITY}}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An enrolment code."""

    id: str
    secret: str = field(repr=False)
    authority: str

    @classmethod
    def make(cls, *, authority: str) -> Self:
        """A new one; `authority` is the fingerprint of who will sign the box's certificate."""
        return cls(id=_random(_ID), secret=_random(_SECRET), authority=authority)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The code as it was typed, in small letters too; raises ValueError that says what one looks like."""
        match = _WRITTEN.fullmatch(text.strip().upper())
        if match is None:
            raise ValueError(
                f"three groups of {_ID}, {_SECRET} and {_AUTHORITY} letters and digits 2 to 7, with hyphens"
            )
        return cls(id=match[1], secret=match[2], authority=match[3])

    def __str__(self) -> str:
        return f"{self.id}-{self.secret}-{self.authority}"


def fingerprint(certificate: bytes) -> str:
    """The first 128 bits of the SHA-256 of a certificate in DER, as 26 letters and digits."""
    return base64.b32encode(hashlib.sha256(certificate).digest()[:16]).decode().rstrip("=")


def _random(length: int) -> str:
    return base64.b32encode(secrets.token_bytes(length)).decode()[:length]
