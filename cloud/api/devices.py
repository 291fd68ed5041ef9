"""Devices: codes by which boxes enrol, their certificates, and shutting one out."""

from typing import Annotated

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field

from cloud.access.roles import Role
from cloud.api.dependencies import (
    Around,
    AuthorityInUse,
    BoxId,
    CallerOrStranger,
    DeviceBox,
    DevicesInUse,
    EnrolmentCodeId,
    Now,
    ReadSession,
    TrailInUse,
    WriteSession,
)
from cloud.api.guard import GuardedRoute
from cloud.api.needs import BoxProof, for_boxes, needs, open_to_all
from cloud.devices.access import BrokerAccess, broker_access
from cloud.devices.codes import NewCode, make_code
from cloud.devices.enrolment import EnrolledBox, RenewedBox, enrol, renew
from cloud.devices.following import FOLLOWER_HEADER, note_asked
from cloud.devices.revocation import RevokedBox, revoke_box
from cloud.errors import TooOften

__all__ = ["router"]

router = APIRouter(tags=["devices"], route_class=GuardedRoute)


class AuthorityFigures(BaseModel):
    """The cloud's own certificate authority, and the fingerprint that enrolment codes end with."""

    certificate: str
    fingerprint: str


class CertificateRequest(BaseModel):
    """A request for a certificate."""

    model_config = ConfigDict(extra="forbid")

    request: str = Field(
        max_length=8192, description="PKCS #10 as PEM, for a P-256 key that was made on the box and stays there"
    )


@router.get("/authority")
@open_to_all
def show_authority(authority: AuthorityInUse) -> AuthorityFigures:
    """Show the certificate of the cloud's own authority."""
    return AuthorityFigures(certificate=authority.pem, fingerprint=authority.fingerprint)


@router.post("/boxes/{box}/enrolment-codes", status_code=201)
@needs(Role.ADMIN)
def make(session: WriteSession, authority: AuthorityInUse, now: Now, box: BoxId) -> NewCode:
    """Make a code by which a box enrols within a day, once; it is in the answer, and nowhere else ever after."""
    return make_code(session, box=box, authority=authority.fingerprint, now=now)


@router.post("/enrolment", status_code=201)
@for_boxes(BoxProof.ENROLMENT_CODE, recorded=True)
def take_in(
    code: EnrolmentCodeId,
    session: WriteSession,
    authority: AuthorityInUse,
    devices: DevicesInUse,
    now: Now,
    body: CertificateRequest,
) -> EnrolledBox:
    """Enrol the box whose code is shown: its certificate, its device key, and where the broker is."""
    return enrol(
        session,
        authority,
        code_id=code,
        request=body.request,
        broker=devices.broker,
        now=now,
        days=devices.certificate_days,
    )


@router.post("/enrolment/renewal", status_code=201)
@for_boxes(BoxProof.DEVICE_KEY, recorded=True)
def prolong(
    box: DeviceBox,
    session: WriteSession,
    authority: AuthorityInUse,
    devices: DevicesInUse,
    now: Now,
    trail: TrailInUse,
    body: CertificateRequest,
) -> RenewedBox:
    """Give the box whose device key is shown its next certificate."""
    try:
        return renew(
            session,
            authority,
            box=box.box,
            key_sha256=box.key_sha256,
            request=body.request,
            now=now,
            days=devices.certificate_days,
        )
    except TooOften:
        trail.is_recorded = False
        raise


@router.post("/boxes/{box}/revocation")
@needs(Role.ADMIN)
def revoke(session: WriteSession, authority: AuthorityInUse, now: Now, box: BoxId) -> RevokedBox:
    """Shut a box out: its certificates and its device key are void, and what it sends is ignored."""
    return revoke_box(session, authority.journal, box=box, now=now)


@router.get("/broker/access")
@needs(Role.VIEWER, everywhere=True, open_here=True)
def show_access(
    session: ReadSession,
    around: Around,
    authority: AuthorityInUse,
    now: Now,
    caller: CallerOrStranger,
    follower: Annotated[
        str | None,
        Header(alias=FOLLOWER_HEADER, max_length=64, description="sent by `footfall cloud broker follow` alone"),
    ] = None,
) -> BrokerAccess:
    """Show who may speak to the broker, as the program beside the broker asks every few seconds."""
    is_program = caller is None or caller.session is None
    if follower is not None and is_program:
        note_asked(around.engine, now=now)
    return broker_access(session.connection(), authority, now=now)
