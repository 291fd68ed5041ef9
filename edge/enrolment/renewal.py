"""Keeps the box's certificate good: asks for the next one when a third of its time is left, with a new key."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from edge.enrolment.cloud import EnrolmentRefused, ask_to_renew
from edge.enrolment.identity import (
    Certificate,
    make_request,
    read_authority,
    read_certificate,
    read_enrolment,
    write_certificate,
)
from edge.errors import ConfigurationError

__all__ = ["is_due", "keep_renewed", "renew"]

LOOK_SECONDS = 3600.0
_log = logging.getLogger(__name__)


def keep_renewed(folder: Path, stop: threading.Event, *, now: Callable[[], datetime]) -> None:
    """Look once an hour, until stopped; what fails is tried again an hour later."""
    while not stop.is_set():
        try:
            certificate = read_certificate(folder)
            if is_due(certificate, now=now()):
                renew(folder)
                until = read_certificate(folder).until
                _log.info("The certificate was renewed, until %s", until, extra={"action": "renew"})
        except (EnrolmentRefused, ConfigurationError) as trouble:
            _log.warning("The certificate was not renewed: %s", trouble, extra={"action": "renew"})
        stop.wait(LOOK_SECONDS)


def is_due(certificate: Certificate, *, now: datetime) -> bool:
    """Whether no more than a third of a certificate's time is left."""
    return certificate.until - now <= (certificate.until - certificate.since) / 3


def renew(folder: Path) -> None:
    """Put the next key and certificate in place, which the next connection to the broker uses."""
    enrolment = read_enrolment(folder)
    if enrolment is None:
        raise ConfigurationError(f"{folder}: this box is not enrolled")
    request = make_request()
    authority = read_authority(folder)
    given = ask_to_renew(enrolment.cloud, key=enrolment.key, authority=authority, request=request.pem)
    write_certificate(folder, key_pem=request.key_pem, certificate=given.certificate)
