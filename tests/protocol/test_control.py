from protocol.control import signed_content
from tests.support.golden import read_golden


def test_what_is_signed_is_everything_but_the_signature_in_one_order() -> None:
    command = read_golden("command")
    assert signed_content(command) == (
        b'{"box":"box-7","command":"resend-2026-03-14","expires_at":"2026-03-14T10:28:00Z",'
        b'"issued_at":"2026-03-14T10:18:00Z","kind":"resend"}'
    )
    assert signed_content(dict(reversed(command.items()))) == signed_content(command)


def test_what_a_later_version_adds_is_signed_too() -> None:
    command = read_golden("command-unknown-kind", "later")
    assert b'"kind":"dance"' in signed_content(command)
    assert b'"tempo":120' in signed_content(command)
