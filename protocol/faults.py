"""What was wrong with something that could not be read, in one line and without quoting it."""

from pydantic import ValidationError

__all__ = ["first_fault"]


def first_fault(error: ValueError, *, whole: str) -> str:
    """The first fault and where it is; `whole` names what was read, where the fault is not in a part of it."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or whole
    return f"{where}: {first['msg']}"
