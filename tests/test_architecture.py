"""Who may import whom, what a module may be called, where a broad `except` may stand: proved by reading the source."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("edge", "cloud", "protocol")
FORBIDDEN_NAMES = {"common", "helper", "helpers", "manager", "managers", "util", "utils"}
MAY_IMPORT_TRACKERS = Path("edge/tracker.py")
MAY_IMPORT_ULTRALYTICS = Path("tests/support/followers.py")
"""To measure beside it, where a developer has it: its licence would bind whatever is shipped with it."""


def source_files(*folders: str) -> list[Path]:
    """The Python files of these folders, relative to the root."""
    return sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))


PRODUCT = [*source_files(*PACKAGES), Path("footfall.py")]
EVERYTHING = [*PRODUCT, *source_files("tests", "tools")]


def imported_packages(source: str, package: str) -> set[str]:
    """The first names of all that a module imports, wherever the import stands; `package` is what `from .` means."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(package if node.level else (node.module or "").partition(".")[0])
        elif isinstance(node, ast.Call) and _called_name(node) in {"import_module", "__import__"}:
            found |= {str(name.value).partition(".")[0] for name in node.args[:1] if isinstance(name, ast.Constant)}
    return found


def broad_catches_without_reason(source: str) -> list[int]:
    """The lines that catch everything with no words of why beside them."""
    lines = source.splitlines()
    return [line for line in _broad_catches(ast.parse(source)) if not _reason(lines[line - 1])]


def _broad_catches(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = [node.type]
        elif isinstance(node, ast.Call) and _called_name(node) == "suppress":
            caught = [*node.args]
        else:
            continue
        if any(map(_is_broad, caught)):
            yield node.lineno


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(map(_is_broad, caught.elts))
    return caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})


def _reason(line: str) -> str:
    comment = line.partition("#")[2]
    return re.sub(r"(noqa|type: ignore)(: ?[A-Z0-9, ]+|\[[a-z, -]+\])?|[^\w]", "", comment)


def _called_name(call: ast.Call) -> str:
    return str(getattr(call.func, "id", None) or getattr(call.func, "attr", ""))


def _imports(path: Path) -> set[str]:
    return imported_packages((ROOT / path).read_text(), package=path.parts[0])


@pytest.mark.parametrize(("package", "other"), [("edge", "cloud"), ("cloud", "edge")])
def test_edge_and_cloud_never_import_each_other(package: str, other: str) -> None:
    assert [str(path) for path in source_files(package) if other in _imports(path)] == []


def test_the_contract_imports_only_the_standard_library_and_pydantic() -> None:
    allowed = {"protocol", "pydantic", "pydantic_core", *sys.stdlib_module_names}
    # pydantic_core is pydantic's own engine, and the only place of its error class for custom messages.
    strangers = {str(path): _imports(path) - allowed for path in source_files("protocol")}
    assert {path: names for path, names in strangers.items() if names} == {}


def test_the_product_never_imports_its_tests_or_tools() -> None:
    assert [str(path) for path in PRODUCT if _imports(path) & {"tests", "tools"}] == []


def test_only_the_tracker_knows_the_trackers_library() -> None:
    assert [str(path) for path in PRODUCT if "trackers" in _imports(path) and path != MAY_IMPORT_TRACKERS] == []


def test_only_a_benchmark_imports_ultralytics() -> None:
    assert {path for path in EVERYTHING if "ultralytics" in _imports(path)} == {MAY_IMPORT_ULTRALYTICS}


def test_each_package_has_source_to_check() -> None:
    assert {path.parts[0] for path in PRODUCT if len(path.parts) > 1} == set(PACKAGES)


def test_no_tests_folder_is_a_package() -> None:
    assert [str(path) for path in source_files("tests") if path.name == "__init__.py"] == []


def test_modules_are_named_for_what_they_are() -> None:
    assert [str(path) for path in EVERYTHING if {*path.parts[:-1], path.stem} & FORBIDDEN_NAMES] == []


def test_a_broad_except_carries_its_reason_beside_it() -> None:
    found = {str(path): broad_catches_without_reason((ROOT / path).read_text()) for path in EVERYTHING}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("import cloud.store as s", {"cloud"}, id="import of a part"),
        pytest.param("from cloud import store", {"cloud"}, id="from"),
        pytest.param("def f():\n    from cloud.store import x", {"cloud"}, id="inside a function"),
        pytest.param("from . import x", {"edge"}, id="relative"),
        pytest.param("import importlib\nimportlib.import_module('cloud.cli')", {"importlib", "cloud"}, id="by name"),
        pytest.param("'import cloud'  # import cloud", set(), id="in words only"),
    ],
)
def test_imports_are_found_wherever_they_stand(source: str, expected: set[str]) -> None:
    assert imported_packages(source, package="edge") == expected


@pytest.mark.parametrize(
    ("caught", "is_told"),
    [
        pytest.param("except:", True, id="bare"),
        pytest.param("except Exception:", True, id="all errors"),
        pytest.param("except (OSError, BaseException) as error:", True, id="in a tuple"),
        pytest.param("except Exception:  # noqa: BLE001", True, id="only silenced"),
        pytest.param("except Exception:  # noqa: BLE001  a plug-in may raise anything", False, id="reason after noqa"),
        pytest.param(
            "except Exception:  # noqa: BLE001 - a plug-in may raise anything", False, id="reason after a dash"
        ),
        pytest.param("except Exception:  # a plug-in may raise anything", False, id="reason"),
        pytest.param("except OSError:", False, id="narrow"),
    ],
)
def test_broad_excepts_are_found(caught: str, is_told: bool) -> None:
    source = f"try:\n    pass\n{caught}\n    pass\n"
    assert broad_catches_without_reason(source) == ([3] if is_told else [])
