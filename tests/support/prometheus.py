"""What a process tells Prometheus, read by Prometheus' own parser; and what the documentation says that it tells."""

import re
from collections.abc import Mapping
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["PAGE", "Scrape", "documented", "scrape"]

PAGE = Path(__file__).parents[2] / "docs" / "metrics-prometheus.md"
_SUFFIX = {"counter": "_total"}


class Scrape:
    """One answer: its families by name, and the value of each series."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self.text = text
        self.types = {family.name + _SUFFIX.get(family.type, ""): family.type for family in families}
        self.helps = {family.name: family.documentation for family in families}
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }
        self.labels = {
            family.name + _SUFFIX.get(family.type, ""): {
                label for sample in family.samples for label in sample.labels if label != "le"
            }
            for family in families
        }

    def __contains__(self, name: str) -> bool:
        return name in self.types

    def value(self, name: str, labels: Mapping[str, str] | None = None, /, **more: str) -> float:
        """The value of one series."""
        return self._values[name, frozenset({**(labels or {}), **more}.items())]


def scrape(url: str) -> Scrape:
    """What is told at this address."""
    answer = httpx.get(url, timeout=10, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return Scrape(answer.text)


def documented(*sections: str) -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each metric that the page names under these headings."""
    found = {}
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        if section.partition("\n")[0] in sections:
            for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", section, flags=re.MULTILINE):
                found[name] = (kind, set(re.findall(r"`(\w+)`", labels)))
    return found
