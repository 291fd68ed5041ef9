import pytest

from protocol.enrolment import Code, fingerprint

AUTHORITY = fingerprint(b"a certificate")


def test_a_code_reads_as_it_was_written_in_small_letters_too() -> None:
    code = Code.make(authority=AUTHORITY)
    assert Code.parse(str(code)) == Code.parse(f"  {str(code).lower()}\n") == code


def test_no_two_codes_are_alike() -> None:
    made = [Code.make(authority=AUTHORITY) for _ in range(100)]
    assert len({code.id for code in made}) == len({code.secret for code in made}) == 100


def test_a_code_does_not_show_its_secret_by_accident() -> None:
    code = Code.make(authority=AUTHORITY)
    assert code.secret not in repr(code)


@pytest.mark.parametrize(
    "text", ["", "ABC", "1" * 52, f"{'A' * 8}-{'A' * 16}", f"{'A' * 8}-{'A' * 16}-{'A' * 25}", "A" * 50]
)
def test_what_is_no_code_is_told_what_one_looks_like(text: str) -> None:
    with pytest.raises(ValueError, match="three groups of 8, 16 and 26 letters"):
        Code.parse(text)
