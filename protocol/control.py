"""What the cloud asks of a box, and its replies: signed, versioned, and never with a camera's secrets."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from protocol.configuration import Layout
from protocol.json_text import canonical_json
from protocol.wire import JsonObject, Slug, UtcTime, WireEnum, WireMessage, known

__all__ = ["Command", "CommandKind", "DesiredConfiguration", "Outcome", "Reply", "signed_content"]

Signature = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_-]{86}$")]
"""Ed25519, URL-safe base64 without padding."""


class CommandKind(WireEnum):
    """What a box can be asked to do."""

    RESTART = "restart"
    RESEND = "resend"
    REPORT = "report"
    UNKNOWN = "unknown"


class Outcome(WireEnum):
    """How a command ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"


class DesiredConfiguration(WireMessage):
    """When a person changes a box's layout in the cloud; retained."""

    box: Slug
    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
    issued_at: UtcTime
    layout: Layout
    signature: Signature


class Command(WireMessage):
    """When the cloud asks a box for something; void after `expires_at`."""

    box: Slug
    command: Slug
    kind: Annotated[CommandKind, AfterValidator(known)]
    issued_at: UtcTime
    expires_at: UtcTime
    signature: Signature


class Reply(WireMessage):
    """When a box has carried out or refused a command."""

    box: Slug
    command: Slug
    outcome: Annotated[Outcome, AfterValidator(known)]
    at: UtcTime


def signed_content(message: JsonObject) -> bytes:
    """What the signature of a message is over: the canonical JSON of everything else, as it came."""
    return canonical_json({name: value for name, value in message.items() if name != "signature"}).encode()
