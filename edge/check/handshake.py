"""A TLS handshake with the broker, and no word of MQTT."""

import socket
import ssl

from edge.uplink.link import Address, LinkLost, clock_hint

__all__ = ["shake_hands"]

CONNECT_SECONDS = 10.0
REFUSAL_SECONDS = 2.0
_SHUT_OUT = (
    "; the box was shut out (`footfall cloud box revoke`), or enrolled anew elsewhere: enrol it again to let it in"
)
"""In TLS 1.3 a server refuses a client's certificate after the client takes the handshake to be over."""


def shake_hands(address: Address) -> None:
    """Come to terms with the broker about both certificates, or raise LinkLost that says who did not accept whose."""
    context = _context(address)
    try:
        with (
            socket.create_connection((address.host, address.port), timeout=CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=address.host) as secured,
        ):
            if _is_refused(secured):
                raise LinkLost(f"broker {address} closed the connection: it does not accept this box's certificate")
    except ssl.SSLCertVerificationError as error:
        said = f"{error.verify_message}{clock_hint(error)}"
        raise LinkLost(f"broker {address} shows a certificate that is not good: {said}") from error
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        hint = _SHUT_OUT if "revoked" in reason else ""
        raise LinkLost(f"broker {address} does not accept this box's certificate: {reason}{hint}") from error
    except OSError as error:
        raise LinkLost(f"broker {address} is not reachable: {error}") from error


def _is_refused(secured: ssl.SSLSocket) -> bool:
    """Whether the other end closes; one that has accepted us waits for our first word."""
    secured.settimeout(REFUSAL_SECONDS)
    try:
        return not secured.recv(1)
    except TimeoutError:
        return False


def _context(address: Address) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=address.ca_file)
    except OSError as error:
        raise LinkLost(f"broker {address}: {address.ca_file} cannot be used: {error}; enrol the box anew") from error
    if address.certificate_file is not None:
        try:
            context.load_cert_chain(address.certificate_file, address.key_file)
        except OSError as error:
            raise LinkLost(f"broker {address}: {address.certificate_file} cannot be used: {error}") from error
    return context
