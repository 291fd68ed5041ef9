"""Compiles the pinned, hashed requirement files from the extras of pyproject.toml.

It knows which extras make a file and which package of a clashing pair stays. The index is uv's own setting: no address
is written anywhere.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FILES", "RequirementFile", "main"]

_DEVELOPERS_FILE = Path("requirements/dev.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementFile:
    """One kind of machine: the extras it needs, and the overrides that keep one package of each clashing pair."""

    path: Path
    extras: tuple[str, ...]
    overrides: Path = Path("requirements/overrides-cpu.txt")

    def command(self, *, upgrade: bool) -> list[str]:
        """The command that writes this file; all files agree on versions with the developers'."""
        extras = [argument for extra in self.extras for argument in ("--extra", extra)]
        agreeing = [] if self.path == _DEVELOPERS_FILE else ["--constraints", str(_DEVELOPERS_FILE)]
        plain = ["--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--no-header"]
        options = ["--quiet", "--universal", "--generate-hashes", *plain, "--overrides", str(self.overrides)]
        uv = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml"]
        return [*uv, *options, *extras, *agreeing, *(["--upgrade"] if upgrade else []), "-o", str(self.path)]


FILES = (
    RequirementFile(path=_DEVELOPERS_FILE, extras=("edge", "cloud", "dev")),
    RequirementFile(path=Path("requirements/edge.txt"), extras=("edge",)),
    RequirementFile(path=Path("requirements/edge-faces.txt"), extras=("edge", "faces")),
    RequirementFile(
        path=Path("requirements/edge-gpu.txt"),
        extras=("edge", "gpu", "faces"),
        overrides=Path("requirements/overrides-gpu.txt"),
    ),
    RequirementFile(path=Path("requirements/edge-export.txt"), extras=("edge", "export")),
    RequirementFile(path=Path("requirements/cloud.txt"), extras=("cloud",)),
    RequirementFile(path=Path("requirements/front-end.txt"), extras=("front-end",)),
)


def main(arguments: list[str] | None = None) -> int:
    """Compile every file; the first that cannot be resolved ends it, with uv's own words."""
    parser = argparse.ArgumentParser(description="Compile requirements/*.txt from pyproject.toml.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions instead of keeping the pins")
    upgrade: bool = parser.parse_args(arguments).upgrade
    for file in FILES:
        print(file.path)
        if code := subprocess.run(file.command(upgrade=upgrade), check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
