"""Runs the benchmarks of tests/benchmarks, and writes docs/benchmarks.md, or one section, from their figures.

A benchmark is a module that runs by itself and ends with one line: a JSON object of figures, the ratios first. Its
docstring stands above its figures and says what they are. This file knows nothing about what is measured.
"""

import argparse
import ast
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

__all__ = ["Result", "about", "main", "page", "read_result", "with_section"]

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

_FOLDER = Path("tests/benchmarks")
_PAGE = Path("docs/benchmarks.md")
_BEGINNING = """
Measured on {on} by `make bench`, which writes this page; `make bench NAME=…` runs one benchmark, with `KEEP=1` its
section is written anew and says when. Ratios stand first, because they say most about other machines. All else holds
for this one:
""".strip()
_PACKAGES_THAT_MATTER = ("numpy", "onnxruntime", "opencv-python-headless", "av", "trackers", "sqlalchemy", "paho-mqtt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one benchmark measured."""

    name: str
    about: str
    figures: Mapping[str, Json]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark that is named, or all of them and write their page; 1 if one failed or gave no figures."""
    parser = argparse.ArgumentParser(description="Run benchmarks; without a name, all, and write docs/benchmarks.md.")
    parser.add_argument("name", nargs="?", help=f"one of: {', '.join(_names())}")
    parser.add_argument("--keep", action="store_true", help="write the section of the one that is named")
    parsed = parser.parse_args(arguments)
    name: str | None = parsed.name
    if name is not None and name not in _names():
        parser.error(f"there is no benchmark {name}; there are: {', '.join(_names())}")
    results = [_run(each) for each in ([name] if name else _names())]
    measured = [result for result in results if result is not None]
    if len(measured) < len(results) or not results:
        print("Not every benchmark gave its figures, so the page stays as it was.", file=sys.stderr)
        return 1
    today = datetime.now(UTC).date()
    if name is None:
        _PAGE.write_text(page(measured, machine=_machine(), on=today))
    elif parsed.keep:
        _PAGE.write_text(with_section(_PAGE.read_text(), measured[0], on=today))
    else:
        return 0
    print(f"wrote {_PAGE}", file=sys.stderr)
    return 0


def read_result(name: str, *, about: str, output: str) -> Result | None:
    """The result whose figures stand in the last line of a benchmark's output, or None if no object stands there."""
    lines = output.strip().splitlines()
    try:
        figures = json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        return None
    return Result(name=name, about=about, figures=figures) if isinstance(figures, dict) else None


def page(results: Sequence[Result], *, machine: Mapping[str, str], on: date) -> str:
    """The page as Markdown: the machine, then a table for each benchmark."""
    parts = [
        "# Benchmarks",
        _BEGINNING.format(on=on.isoformat()),
        _table([("machine", ""), *machine.items()]),
    ]
    for result in sorted(results, key=lambda each: each.name):
        parts += _section(result)
    return "\n\n".join(part for part in parts if part) + "\n"


def with_section(page: str, result: Result, *, on: date) -> str:
    """The page with the figures of one benchmark in the place of those it had, or in their order where it had none."""
    head, *sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    others = {section.split("\n", 1)[0]: section.strip() for section in sections}
    others[f"## {result.name}"] = "\n\n".join(part for part in _section(result, on=on) if part)
    return "\n\n".join([head.strip(), *(others[name] for name in sorted(others))]) + "\n"


def _section(result: Result, *, on: date | None = None) -> list[str]:
    when = f"Measured by itself on {on.isoformat()}." if on else ""
    return [f"## {result.name}", when, result.about, *_tables(result.figures)]


def _names() -> list[str]:
    return sorted(path.stem for path in _FOLDER.glob("*.py") if not path.stem.startswith("_"))


def _run(name: str) -> Result | None:
    print(f"== {name}", file=sys.stderr)
    command = [sys.executable, "-m", f"tests.benchmarks.{name}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    result = read_result(name, about=about(name), output="".join(lines))
    if process.returncode or result is None:
        print(f"{name} ended with code {process.returncode}, its last line must be a JSON object", file=sys.stderr)
        return None
    return result


def about(name: str) -> str:
    """What a benchmark says of itself."""
    return ast.get_docstring(ast.parse((_FOLDER / f"{name}.py").read_text())) or ""


def _machine() -> dict[str, str]:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = [f"{package} {found}" for package in _PACKAGES_THAT_MATTER if (found := _version(package))]
    return {
        "processor": _processor(),
        "cores this process may use": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory_gib:.0f} GiB",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "packages": ", ".join(versions),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _tables(figures: Mapping[str, Json]) -> Iterator[str]:
    """One for the plain figures, and one for each group of things compared: a row each, a column a figure."""
    plain = [(_words(key), _shown(value)) for key, value in figures.items() if not isinstance(value, Mapping)]
    if plain:
        yield _table([("figure", "value"), *plain])
    for name, group in figures.items():
        if isinstance(group, Mapping):
            yield _table(list(_rows(name, group)))


def _rows(name: str, group: Mapping[str, Json]) -> Iterator[tuple[str, ...]]:
    """A heading and a row each thing; null is what could not be measured here."""
    there = {key: value for key, value in group.items() if value is not None}
    things = {key: value if isinstance(value, Mapping) else {"value": value} for key, value in there.items()}
    columns = list(dict.fromkeys(column for thing in things.values() for column in thing))
    yield (_words(name), *map(_words, columns))
    for key in group:
        cells = [_shown(things[key].get(column, "")) for column in columns] if key in things else ["absent"]
        yield (_words(key), *cells, *[""] * (len(columns) - len(cells)))


def _words(key: str) -> str:
    return key.replace("_", " ")


def _shown(value: Json) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value if isinstance(value, str) else json.dumps(value)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    raise SystemExit(main())
