"""What a box says to the cloud by HTTPS: here is my code, or my device key; give me a certificate.

On first contact nobody is trusted. The code ends with the fingerprint of the cloud's authority: whose certificate has
it is that authority, wherever it was fetched from, and only a server that it or the system vouches for gets the code.
"""

import ssl
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from edge.errors import EdgeError
from protocol.enrolment import Code, fingerprint
from protocol.wire import Slug

__all__ = ["EnrolmentRefused", "Given", "GivenAtFirst", "ask_to_enrol", "ask_to_renew"]

TIMEOUT_SECONDS = 20.0
MAX_ANSWER_BYTES = 64 * 1024


class EnrolmentRefused(EdgeError):
    """The cloud did not give a certificate."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


_Model = TypeVar("_Model", bound=_Answer)


class Given(_Answer):
    """The next certificate, and whom to trust; both PEM."""

    certificate: str
    authority: str


class _Broker(_Answer):
    host: str
    port: int


class GivenAtFirst(Given):
    """All that an enrolled box is told."""

    box: Slug
    venue: Slug | None
    key: SecretStr
    broker: _Broker


class _Authority(_Answer):
    certificate: str


def ask_to_enrol(cloud: str, *, code: Code, request: str) -> GivenAtFirst:
    """Enrol at the cloud's address; raises EnrolmentRefused that says why not."""
    _require_privacy(cloud)
    authority = _fetch_authority(cloud, code)
    given = _post(cloud, "enrolment", trust=_trusting(authority), secret=str(code), request=request)
    answer = _read(GivenAtFirst, given, cloud)
    if answer.authority != authority:
        raise EnrolmentRefused(f"{cloud} gave a certificate of another authority than it had shown")
    return answer


def ask_to_renew(cloud: str, *, key: SecretStr, authority: str, request: str) -> Given:
    """The next certificate, for the device key; raises EnrolmentRefused that says why not."""
    trust, secret = _trusting(authority), key.get_secret_value()
    return _read(Given, _post(cloud, "enrolment/renewal", trust=trust, secret=secret, request=request), cloud)


def _require_privacy(cloud: str) -> None:
    try:
        parts = urlsplit(cloud)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", 0
    is_here = host == "localhost" or _is_loopback(host)
    if not host or port == 0 or not (parts.scheme == "https" or (parts.scheme == "http" and is_here)):
        raise EnrolmentRefused(f"--cloud: found {cloud}; needed is https://…, since the answer holds a key")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _fetch_authority(cloud: str, code: Code) -> str:
    """The certificate of the cloud's authority, which proves itself by its fingerprint and not by who sent it."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    with _client(cloud, anybody) as client:
        pem = _read(_Authority, _answer_of(client.build_request("GET", "authority"), client, cloud), cloud).certificate
    try:
        found = fingerprint(ssl.PEM_cert_to_DER_cert(pem))
    except ValueError as error:
        raise EnrolmentRefused(f"{cloud} shows no certificate of an authority") from error
    if found != code.authority:
        raise EnrolmentRefused(
            f"{cloud} is not the cloud that made this code, or somebody stands between: its authority is {found}, the"
            f" code says {code.authority}. The code was not sent"
        )
    return pem


def _trusting(authority: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cadata=authority)
    except (ssl.SSLError, ValueError) as error:
        raise EnrolmentRefused(f"what should be the authority's certificate is none: {error}") from error
    return context


def _post(cloud: str, path: str, *, trust: ssl.SSLContext, secret: str, request: str) -> bytes:
    with _client(cloud, trust) as client:
        headers = {"Authorization": f"Bearer {secret}"}
        return _answer_of(client.build_request("POST", path, json={"request": request}, headers=headers), client, cloud)


def _client(cloud: str, trust: ssl.SSLContext) -> httpx.Client:
    return httpx.Client(base_url=f"{cloud.rstrip('/')}/api/v1/", timeout=TIMEOUT_SECONDS, verify=trust)


def _answer_of(request: httpx.Request, client: httpx.Client, cloud: str) -> bytes:
    """The body of an answer that is good."""
    try:
        answer = client.send(request, stream=True)
        body = _body_of(answer)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise EnrolmentRefused(f"{cloud} cannot be asked: {error}") from error
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise EnrolmentRefused(
            f"{cloud} does not know this code or key: it may be used already, older than a day, mistyped or revoked;"
            " `footfall cloud box enrol-code BOX` makes another"
        )
    if not answer.is_success:
        raise EnrolmentRefused(f"{cloud} refuses: {_detail(body) or f'{answer.status_code} {answer.reason_phrase}'}")
    return body


def _body_of(answer: httpx.Response) -> bytes:
    body = b""
    try:
        for part in answer.iter_bytes():
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                raise EnrolmentRefused(f"{answer.url} answers with more than {MAX_ANSWER_BYTES} bytes")
    finally:
        answer.close()
    return body


class _Problem(_Answer):
    detail: str


def _detail(body: bytes) -> str:
    try:
        return _Problem.model_validate_json(body).detail
    except ValidationError:
        return ""


def _read(model: type[_Model], body: bytes, cloud: str) -> _Model:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise EnrolmentRefused(f"{cloud} gives no answer of Footfall's cloud; is the address right?") from error
