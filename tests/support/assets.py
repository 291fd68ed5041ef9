"""Where the real weights and films are, which are not in the repository."""

import os
from pathlib import Path

__all__ = ["assets_folder"]


def assets_folder() -> Path:
    """The folder that FOOTFALL_ASSETS names; ends the program in a sentence where it names none."""
    named = os.environ.get("FOOTFALL_ASSETS")
    if not named:
        raise SystemExit("This needs real weights and video: set FOOTFALL_ASSETS to a folder with models/ and videos/.")
    return Path(named)
