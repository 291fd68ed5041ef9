"""How a line's crossings compare with those that somebody counted by hand, and what leaves the box of that.

Two lists of moments can be matched, each crossing with one within two seconds. Two sums can't: as many are taken for
the same as there can be, so that one missed and one invented hide each other, and the shares are the best possible.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from edge.accuracy.account import Passage
from edge.accuracy.comparison import TOLERANCE_SECONDS, Share, in_step
from edge.anonymity import draft
from edge.errors import ConfigurationError
from protocol.events import CameraCertificate, Checked, CheckMethod
from protocol.wire import JsonObject

__all__ = ["Certificate", "by_moments", "by_sums", "checked_of", "worth"]

_METHODS = {
    CheckMethod.MOMENTS: "matched by moments",
    CheckMethod.FILM: "matched by moments, on film",
    CheckMethod.TOTALS: "by sums alone",
}
_FEW = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One line's check, with the fields of the wire; None for a direction in which nothing is known."""

    scene: str
    camera: str
    line: str
    setup: str
    model: str
    model_digest: str | None = None
    method: CheckMethod
    length_seconds: int
    inward: Annotated[Checked | None, Field(alias="in")] = None
    outward: Annotated[Checked | None, Field(alias="out")] = None

    def item(self) -> JsonObject:
        """As it leaves the box, but for its name and place in time."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return draft(CameraCertificate, at=0.0, **fields).body

    @staticmethod
    def read(item: object) -> "Certificate":
        """What `item` gave; raises ConfigurationError."""
        try:
            certificate = _CERTIFICATE.validate_python(item)
            certificate.item()
        except ValidationError as error:
            raise ConfigurationError(f"found no certificate: {error.errors()[0]['msg']}") from None
        return certificate

    @property
    def directions(self) -> tuple[tuple[str, Checked], ...]:
        """Those that something is known of."""
        both = (("in", self.inward), ("out", self.outward))
        return tuple((name, checked) for name, checked in both if checked is not None)

    def lines(self) -> Iterator[str]:
        """A small table, and what to think of it."""
        minutes, seconds = divmod(self.length_seconds, 60)
        told = f"{self.line} of camera {self.camera}, {self.model}, {minutes} min {seconds} s, {_METHODS[self.method]}"
        yield told
        yield f"  {'':<4}{'counted':>8}{'by hand':>9}{'found':>22}{'right':>22}"
        for name, checked in self.directions:
            shares = (_shown(share) for share in _shares(checked))
            yield f"  {name:<4}{checked.counted:>8}{checked.by_hand:>9}{''.join(f'{share:>22}' for share in shares)}"
        if self.method is CheckMethod.TOTALS:
            yield "Sums hide one that was missed behind one that was invented: these shares are the best that can be."
        if any(checked.by_hand < _FEW for _, checked in self.directions):
            yield f"Fewer than {_FEW} crossings of a direction tell little, as the intervals show."


_CERTIFICATE = TypeAdapter(Certificate)


def by_moments(counted: Sequence[float], by_hand: Sequence[float]) -> Checked:
    """Two lists of moments in the same seconds."""
    matched = in_step(counted, by_hand, tolerance=TOLERANCE_SECONDS)
    return Checked(counted=len(counted), by_hand=len(by_hand), matched=matched)


def by_sums(counted: int, by_hand: int) -> Checked:
    """Two sums; the most that they can have in common."""
    return Checked(counted=counted, by_hand=by_hand, matched=min(counted, by_hand))


def checked_of(counted: Iterable[Passage], by_hand: Iterable[Passage], *, line: str) -> dict[str, Checked | None]:
    """Both directions of a line, by their names in a certificate."""
    ours, theirs = ([one for one in passages if one.line == line] for passages in (counted, by_hand))

    def direction(way: str) -> Checked | None:
        moments = [[one.at for one in passages if one.direction == way] for passages in (ours, theirs)]
        return worth(by_moments(*moments))

    return {"inward": direction("in"), "outward": direction("out")}


def worth(checked: Checked) -> Checked | None:
    """Of a direction in which nobody went by hand nothing is known."""
    return checked if checked.by_hand else None


def _shares(checked: Checked) -> tuple[Share, Share]:
    return Share(part=checked.matched, whole=checked.by_hand), Share(part=checked.matched, whole=checked.counted)


def _shown(share: Share) -> str:
    low, high = share.interval or (0.0, 1.0)
    return f"{share.part} of {share.whole} ({100 * low:.0f}–{100 * high:.0f} %)"
