"""The files of others that the pages are served with: none is committed, `tools.front_end` fetches them from npm.

Without them the pages still show every number; the type is the system's, and the maps and the API's page say what is
missing.
"""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["FILES", "FOLDER", "PACKAGES", "NpmFile", "absent"]

PACKAGES = Path(__file__).parent
"""The folder of package.json and its lock file."""
FOLDER = PACKAGES / "static" / "vendor"


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmFile:
    """A file of a package, and the name under which it is served."""

    package: str
    path: str
    name: str


FILES = (
    NpmFile(package="@fontsource-variable/inter", path="files/inter-latin-wght-normal.woff2", name="inter/latin.woff2"),
    NpmFile(
        package="@fontsource-variable/inter",
        path="files/inter-latin-ext-wght-normal.woff2",
        name="inter/latin-ext.woff2",
    ),
    NpmFile(package="@fontsource-variable/inter", path="LICENSE", name="inter/LICENSE"),
    NpmFile(package="leaflet", path="dist/leaflet.js", name="leaflet/leaflet.js"),
    NpmFile(package="leaflet", path="dist/leaflet.css", name="leaflet/leaflet.css"),
    NpmFile(package="leaflet", path="LICENSE", name="leaflet/LICENSE"),
    NpmFile(package="swagger-ui-dist", path="swagger-ui-bundle.js", name="swagger-ui/swagger-ui-bundle.js"),
    NpmFile(package="swagger-ui-dist", path="swagger-ui.css", name="swagger-ui/swagger-ui.css"),
    NpmFile(package="swagger-ui-dist", path="LICENSE", name="swagger-ui/LICENSE"),
    NpmFile(package="swagger-ui-dist", path="NOTICE", name="swagger-ui/NOTICE"),
)


def absent() -> tuple[str, ...]:
    """The names of those that are not there."""
    return tuple(file.name for file in FILES if not (FOLDER / file.name).is_file())
