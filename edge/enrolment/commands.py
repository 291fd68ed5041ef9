"""`footfall edge enrol`: what an installer types, and what he reads."""

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import ConfigurationError, EdgeError
from edge.settings import ENROLMENT_FOLDER, ENVIRONMENT_PREFIX
from protocol.enrolment import Code

if TYPE_CHECKING:
    from edge.enrolment.identity import Enrolment

__all__ = ["add_enrol"]

FOLDER_VARIABLE = f"{ENVIRONMENT_PREFIX}ENROLMENT__FOLDER"
DONE, FAILED, MISTAKEN = 0, 1, 2


def add_enrol(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `enrol` to `edge`."""
    command = commands.add_parser(
        "enrol",
        help="make this box known to its cloud: a key, a certificate, and where the broker is",
        description="Make a private key, which stays on this box, and have the cloud certify it by a one-time code.",
        epilog="The code comes from `footfall cloud box enrol-code BOX`. It may stand in a file, or come on standard"
        " input (--code-file -), so that no list of processes shows it.",
    )
    command.add_argument("--cloud", required=True, metavar="URL", help="the cloud's address, https://…")
    code = command.add_mutually_exclusive_group(required=True)
    code.add_argument("--code", metavar="CODE", help="the one-time code")
    code.add_argument("--code-file", metavar="FILE", help="a file with the code, or - for standard input")
    command.add_argument(
        "--folder",
        type=Path,
        default=os.environ.get(FOLDER_VARIABLE, ENROLMENT_FOLDER),
        metavar="DIR",
        help=f"where it is kept (default: ${FOLDER_VARIABLE}, else {ENROLMENT_FOLDER})",
    )
    command.set_defaults(handler=_enrol)


def _enrol(arguments: argparse.Namespace) -> int:
    from edge.enrolment.cloud import ask_to_enrol
    from edge.enrolment.identity import Enrolment, make_request, read_certificate, staged, write_enrolment

    try:
        code = _code(_typed(arguments))
        request = make_request()
        with staged(arguments.folder, request.key_pem):
            given = ask_to_enrol(arguments.cloud, code=code, request=request.pem)
            enrolment = Enrolment(
                cloud=arguments.cloud,
                box=given.box,
                venue=given.venue,
                host=given.broker.host,
                port=given.broker.port,
                key=given.key,
            )
            write_enrolment(
                arguments.folder,
                enrolment,
                key_pem=request.key_pem,
                certificate=given.certificate,
                authority=given.authority,
            )
        until = read_certificate(arguments.folder).until
    except ConfigurationError as error:
        print(f"footfall edge: {error}", file=sys.stderr)
        return MISTAKEN
    except EdgeError as error:
        print(f"footfall edge: {error}", file=sys.stderr)
        return FAILED
    print(_told(enrolment, arguments.folder, until=until))
    return DONE


def _code(text: str) -> Code:
    try:
        return Code.parse(text)
    except ValueError as error:
        raise ConfigurationError(f"--code: found no code; a code is {error}") from error


def _typed(arguments: argparse.Namespace) -> str:
    if arguments.code is not None:
        return str(arguments.code)
    try:
        if arguments.code_file == "-":
            return sys.stdin.readline()
        return Path(arguments.code_file).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--code-file: {arguments.code_file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"--code-file: {arguments.code_file}: this is no text, and so no code") from error


def _told(enrolment: "Enrolment", folder: Path, *, until: datetime) -> str:
    assigned = f'venue = "{enrolment.venue}"'
    place = assigned if enrolment.venue else "venue = …, to which the cloud must assign this box still"
    return (
        f"This box is {enrolment.box}; its certificate in {folder} renews itself before {until:%Y-%m-%d}.\n"
        f"It delivers to {enrolment.host}:{enrolment.port}. /etc/footfall/edge.toml needs no [broker] for that, but\n\n"
        f'    [box]\n    id = "{enrolment.box}"\n    {place}\n\n'
        "Next: footfall edge check, then systemctl restart footfall-vision footfall-uplink"
    )
