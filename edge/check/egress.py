"""What the process that sees pictures can reach, as far as that can be known from here.

Only a process inside vision's own unit can see what vision reaches, or one of vision's user that vision reaches no more
than this: this one looks whether it is one of them. Elsewhere, and on a machine without a way out, where nobody reaches
anything, what the installed unit says is all that can be told, and it is told as that.
"""

import errno
import ipaddress
import os
import pwd
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from edge.check.findings import Finding, fail, ok, warn

__all__ = ["PUBLIC", "Address", "Place", "UnitRules", "check_egress", "obstacle", "unit_rules"]

Address = tuple[str, int]

PUBLIC: tuple[Address, ...] = (("example.com", 443), ("1.1.1.1", 443), ("2606:4700:4700::1111", 443))
"""A public name that exists for examples, and a well-known address of either kind: where no name can be looked up,
addresses may still be reached. A connection to them is opened, and closed without a word."""

UNIT = "footfall-vision.service"
USER = "footfall-vision"
UNIT_FOLDERS = tuple(map(Path, ("/usr/lib/systemd/system", "/usr/local/lib/systemd/system", "/etc/systemd/system")))
"""From the weakest to the strongest, as systemd reads them."""

_CONNECT_SECONDS = 2.0
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""The system has no route to an address, or no address of that kind. Neither lock of vision says so."""
_INSIDE = re.compile(r"/footfall-vision[^/]*\.service")
_WORDS = {"localhost": True, "link-local": True, "multicast": True, "any": False}
"""systemd's names of address ranges, and whether they stay within a venue."""

_UNLESS = "if this machine has no internet at all, this proves nothing"
_INSTALL = "install the units of systemd/, as docs/systemd.md shows"
_TABLE = "load it, as docs/systemd.md shows: systemctl restart footfall-firewall.service"
_NARROW = "let IPAddressAllow= of footfall-vision.service name the cameras' networks only: docs/systemd.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and as whom this process runs, and where units are installed."""

    cgroup: Path = Path("/proc/self/cgroup")
    user: int = field(default_factory=os.geteuid)
    unit_folders: Sequence[Path] = UNIT_FOLDERS

    @property
    def is_inside(self) -> bool:
        """Whether this process runs under a unit whose name begins with footfall-vision."""
        try:
            return _INSIDE.search(self.cgroup.read_text()) is not None
        except OSError:
            return False

    @property
    def is_visions_user(self) -> bool:
        """Whether this process runs as the user of the unit, with that user's limits at least."""
        try:
            return pwd.getpwuid(self.user).pw_name == USER
        except KeyError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRules:
    """IPAddressDeny= and IPAddressAllow= of a unit with its drop-ins, as written."""

    deny: tuple[str, ...]
    allow: tuple[str, ...]

    @property
    def public(self) -> tuple[str, ...]:
        """Those allowed ranges that reach beyond private networks."""
        return tuple(word for word in self.allow if not _stays_private(word))


def check_egress(place: Place | None = None, *, public: Sequence[Address] = PUBLIC) -> Finding:
    """Vision cannot reach the internet; or whether that can be told from here."""
    place = place or Place()
    with ThreadPoolExecutor(max_workers=len(public)) as pool:
        found = pool.map(lambda address: obstacle(*address), public)
        obstacles = dict(zip((host for host, _ in public), found, strict=True))
    reached = [host for host, why_not in obstacles.items() if why_not is None]
    if reached:
        here = f"reaches the internet ({', '.join(reached)})"
        if place.is_inside:
            return fail("egress", f"vision's own unit {here}", f"{_NARROW}; the kernel must support BPF for units")
        if place.is_visions_user:
            return warn("egress", f"vision's user {USER} {here}: the table of nftables is not at work", _TABLE)
        return _told_by_unit(place, here=here)
    refused = {host: why_not for host, why_not in obstacles.items() if why_not is not None}
    seen = "; ".join(f"{host}: {why_not.strerror or why_not}" for host, why_not in refused.items())
    if all(map(_is_no_way, refused.values())):
        return _told_by_unit(place, here=f"has no way to the internet, which proves nothing ({seen})")
    if place.is_inside or place.is_visions_user:
        who = "from inside vision's unit" if place.is_inside else f"as vision's user {USER}"
        return ok("egress", f"no address outside could be reached {who} ({seen}); {_UNLESS}")
    return _told_by_unit(place, here=f"does not reach the internet ({seen})")


def _told_by_unit(place: Place, *, here: str) -> Finding:
    """What the installed unit lets vision reach, which is no proof; `here` is what this shell reaches."""
    rules = unit_rules(place.unit_folders)
    if rules is None:
        return warn("egress", f"{UNIT} is not installed, so nothing confines vision; this shell {here}", _INSTALL)
    if "any" not in rules.deny:
        return warn("egress", f"the installed {UNIT} does not say IPAddressDeny=any; this shell {here}", _INSTALL)
    if rules.public:
        return warn("egress", f"the installed {UNIT} lets vision reach {', '.join(rules.public)}", _NARROW)
    said = f"the installed {UNIT} lets vision reach only {', '.join(rules.allow) or 'nothing'}"
    return ok("egress", f"{said}; not proved from this shell, which {here}")


def obstacle(host: str, port: int) -> OSError | None:
    """Why no connection to this address can be opened; None when one was."""
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        return error
    return None


def _is_no_way(error: OSError) -> bool:
    """Whether this says nothing of vision's locks: there is no way, or nobody to ask where a name leads."""
    return isinstance(error, socket.gaierror) or error.errno in _NO_WAY


def unit_rules(folders: Sequence[Path]) -> UnitRules | None:
    """What the installed unit and its drop-ins say; None where it is not installed."""
    units = [folder / UNIT for folder in folders if (folder / UNIT).is_file()]
    if not units:
        return None
    drop_ins = {path.name: path for folder in folders for path in (folder / f"{UNIT}.d").glob("*.conf")}
    rules: dict[str, list[str]] = {"IPAddressDeny": [], "IPAddressAllow": []}
    for path in (units[-1], *(drop_ins[name] for name in sorted(drop_ins))):
        for line in path.read_text().splitlines():
            key, _, value = line.partition("=")
            if key.strip() in rules:
                # An empty value takes back what stood before.
                rules[key.strip()] = [*rules[key.strip()], *value.split()] if value.strip() else []
    return UnitRules(deny=tuple(rules["IPAddressDeny"]), allow=tuple(rules["IPAddressAllow"]))


def _stays_private(word: str) -> bool:
    if word in _WORDS:
        return _WORDS[word]
    try:
        return ipaddress.ip_network(word, strict=False).is_private
    except ValueError:
        return False
