"""Says as JSON what this environment has: the sha256 of Footfall's wheel, and how many installed files are gone."""

import json
from importlib.metadata import PackageNotFoundError, distribution, distributions

try:
    origin = json.loads(distribution("footfall").read_text("direct_url.json") or "{}")
except PackageNotFoundError:
    origin = {}
files = [file for package in distributions() for file in package.files or () if file.suffix != ".pyc"]
print(
    json.dumps(
        {
            "wheel": origin.get("archive_info", {}).get("hashes", {}).get("sha256", ""),
            "lost": sum(not file.locate().exists() for file in files),
        }
    )
)
