"""Whether this box is known to its cloud: for whom its certificate is, until when, and who may read its key."""

from collections.abc import Iterator
from datetime import datetime

from edge.check.findings import Finding, fail, ok, warn
from edge.enrolment.identity import Enrolment, broker_of, is_open_to_others, read_certificate, read_enrolment
from edge.enrolment.renewal import is_due
from edge.errors import ConfigurationError
from edge.settings import Settings

__all__ = ["check_enrolment"]

TOPIC = "enrolment"
_ANEW = "enrol it: footfall cloud box enrol-code BOX on the cloud, then footfall edge enrol here"


def check_enrolment(settings: Settings, *, now: datetime) -> Iterator[Finding]:
    """What there is to say of a box's enrolment; nothing where it never enrolled."""
    try:
        enrolment = read_enrolment(settings.enrolment.folder)
        if enrolment is not None:
            yield _finding(settings, enrolment, now=now)
    except ConfigurationError as error:
        yield warn(TOPIC, str(error), "run this check as root, or mend what it says")


def _finding(settings: Settings, enrolment: Enrolment, *, now: datetime) -> Finding:
    folder = settings.enrolment.folder
    certificate = read_certificate(folder)
    until = f"{certificate.until:%Y-%m-%d %H:%M} UTC"
    if certificate.box != enrolment.box:
        return fail(TOPIC, f"the certificate in {folder} is for {certificate.box}, not for {enrolment.box}", _ANEW)
    if certificate.until <= now:
        return fail(TOPIC, f"the certificate of {enrolment.box} ended on {until}, so the broker refuses it", _ANEW)
    if is_due(certificate, now=now):
        said = f"the certificate of {enrolment.box} ends on {until} and was not renewed yet"
        return warn(TOPIC, said, f"uplink renews it, if it reaches {enrolment.cloud}; its log says what failed")
    said = f"{enrolment.box}, known to {enrolment.cloud}; its certificate is good until {until}"
    return _disagreement(settings, enrolment) or ok(TOPIC, said)


def _disagreement(settings: Settings, enrolment: Enrolment) -> Finding | None:
    """Where the files are not as they should be, or the configuration says something else than they."""
    folder = settings.enrolment.folder
    if is_open_to_others(folder):
        advice = f"chmod 600 {folder}/*, and enrol anew if somebody may have copied the key"
        return warn(TOPIC, f"others than their owner may read files in {folder}", advice)
    if broker_of(settings).certificate_file is None:
        said = f"it is enrolled for {enrolment.host}:{enrolment.port}, but [broker] names another way in"
        return warn(TOPIC, said, "remove host, port and username from [broker] to use the enrolment")
    if enrolment.venue != settings.box.venue:
        said = f"the cloud had this box in {enrolment.venue or 'no venue'}, the configuration in {settings.box.venue}"
        return warn(TOPIC, said, "if it is so still, what it counts is held: assign it there, or mend box.venue")
    return None
