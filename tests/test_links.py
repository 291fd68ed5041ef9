"""Every relative link of the pages that people read leads to a committed file, or to a folder of them."""

import re
from pathlib import Path

import pytest

from tests.test_repository import ROOT, repository_files

PAGES = [
    Path("README.md"),
    Path("CONTRIBUTING.md"),
    *sorted(path for path in repository_files() if path.match("docs/*.md")),
]
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_to_a_committed_file(page: Path) -> None:
    targets = LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    files = [(ROOT / path).resolve() for path in repository_files()]
    committed = {*files, *(file.parent for file in files)}
    assert [target for target in targets if (ROOT / page.parent / target).resolve() not in committed] == []


def test_links_are_found() -> None:
    assert LINK.findall("[a](docs/a.md), [b](b.md#part) not [c](https://example.org) or [d](#here)") == [
        "docs/a.md",
        "b.md",
    ]
