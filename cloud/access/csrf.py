"""The token that stands in every form: only a page of ours can know it, so only a page of ours can send one. Pure."""

import hashlib
import hmac
import secrets

__all__ = ["form_token", "is_form_token", "new_form_secret"]

_PURPOSE = b"footfall form"
_SECRET_BYTES = 32


def new_form_secret() -> str:
    """For the cookie of a browser in which nobody has signed in."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def form_token(secret: str) -> str:
    """The token of a browser, made from the secret in its cookie; it does not tell the secret."""
    return hmac.new(secret.encode(), _PURPOSE, hashlib.sha256).hexdigest()


def is_form_token(presented: str, *, secret: str) -> bool:
    """Whether a form came with the token of this browser, compared in constant time."""
    return hmac.compare_digest(presented.encode(), form_token(secret).encode())
