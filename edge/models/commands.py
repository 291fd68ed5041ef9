"""`footfall models list | pull | verify | export`: what a person at a terminal sees of the folder of models.

Knows arguments, questions, tables and progress. Refuses to know how any of it is done: see `store.py`.
"""

import argparse
import datetime as dt
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from edge.detector.providers import BUILDERS, OPENVINO_DEVICES, title_of
from edge.errors import ConfigurationError, ModelError
from edge.models.agreement import GATE
from edge.models.download import Report, new_client
from edge.models.manifest import Entry, load_manifest
from edge.models.store import Checked, Installed, ModelStore, State, default_folder, sha256_of

__all__ = ["add_commands"]

OK, FAILED, MISTAKEN = 0, 1, 2
_WHERE_PROVIDERS_ARE = {
    "tensorrt": "TensorRT comes with footfall[gpu] on a machine that has it",
    "openvino": "OpenVINO comes with the package onnxruntime-openvino in the place of onnxruntime",
}
_PIPE_COLUMNS = 500
"""Wider than any row."""


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `models` to a command; each leaf sets `handler`, which takes the arguments and gives an exit code."""
    models = subparsers.add_parser("models", help="list, fetch and check the networks that find people")
    leaves = models.add_subparsers(dest="models_command", metavar="COMMAND", required=True)
    listing = _leaf(leaves, "list", "which models there are, and which are installed here")
    listing.set_defaults(handler=_list)
    pull = _leaf(leaves, "pull", "fetch a model, continuing where an earlier attempt stopped")
    pull.add_argument("name", help="a name that `footfall models list` shows")
    pull.add_argument("--from", dest="source", type=Path, metavar="FILE", help="take it from a file, without internet")
    pull.add_argument("--accept-licence", action="store_true", help="say that you read and accept its licence")
    pull.set_defaults(handler=_pull)
    export = _leaf(leaves, "export", "make another form of a model: ONNX of weights, whole numbers, an engine")
    export.add_argument("name", help="a name that `footfall models list` shows")
    export.add_argument("--to", choices=("onnx", *BUILDERS), required=True, help="a file, or an engine of this machine")
    export.add_argument("--int8", action="store_true", help="in whole numbers, if it finds the same people")
    export.add_argument(
        "--calibration", type=Path, metavar="FOLDER_OR_VIDEO", help="pictures of people, as your cameras show them"
    )
    export.add_argument("--openvino-device", choices=OPENVINO_DEVICES, default="CPU", help="as it is configured")
    export.add_argument("--engines", type=Path, metavar="FOLDER", help="where to keep engines (FOOTFALL_ENGINES)")
    export.set_defaults(handler=_export)
    verify = _leaf(leaves, "verify", "hash every installed model anew")
    verify.set_defaults(handler=_verify)


def _leaf(
    leaves: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    leaf = leaves.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    leaf.add_argument("--folder", type=Path, help="the folder of models (default: FOOTFALL_MODELS, else your own data)")
    leaf.add_argument("--manifest", type=Path, metavar="FILE", help="a TOML file with entries of your own")
    return leaf


def _list(arguments: argparse.Namespace) -> int:
    with _told() as outcome:
        store = _store(arguments)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("name", "installed", "size", "licence", "note"):
            table.add_column(heading, justify="right" if heading == "size" else "left", overflow="fold")
        for each in store.listing():
            table.add_row(each.entry.name, _installed(each), _size(each.entry.bytes), _licence(each), each.entry.note)
        _print_fitting(table)
        print(f"\nFolder: {store.folder}\nFetch one: footfall models pull NAME")
    return outcome.code


def _print_fitting(table: Table) -> None:
    """As wide as the terminal; elsewhere each row on one line, so that a program can read it, without padding."""
    if sys.stdout.isatty():
        Console().print(table)
        return
    console = Console(width=_PIPE_COLUMNS, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _pull(arguments: argparse.Namespace) -> int:
    with _told() as outcome:
        store = _store(arguments)
        entry = store.entry(arguments.name)
        if not _consented(store, entry, said=arguments.accept_licence):
            return MISTAKEN
        pinned_before = store.checksum(entry) is not None
        with _progress(entry.name) as report:
            if arguments.source is not None:
                path = store.install(entry.name, source=arguments.source, report=report)
            else:
                with new_client() as client:
                    path = store.pull(entry.name, client=client, report=report)
        print(f"{entry.name} is installed: {path}")
        if not pinned_before:
            print(f"No checksum is published for it; pinned at this first pull: sha256 {store.checksum(entry)}")
        if entry.kind == "pytorch":
            print(f"It can't serve as it is: {store.how_to_export(entry)}")
    return outcome.code


def _export(arguments: argparse.Namespace) -> int:
    from edge.models.exporting import export_weights

    with _told() as outcome:
        if arguments.int8 != (arguments.calibration is not None):
            raise ConfigurationError("--int8 and --calibration go together: allowed is both, or neither")
        store, name = _store(arguments), str(arguments.name)
        entry = store.entry(name)
        if entry.kind == "pytorch" and not (store.folder / entry.serving_file).is_file():
            print(f"{name} is exported: {export_weights(store, entry)}")
        elif arguments.to == "onnx" and not arguments.int8:
            print(f"{name} is ready to serve: {store.resolve(name).path}")
        if arguments.int8:
            name = _quantised(store, entry, arguments.calibration)
            store = _store(arguments)
        if arguments.to != "onnx":
            _engine(store, name, arguments)
    return outcome.code


def _quantised(store: ModelStore, entry: Entry, calibration: Path) -> str:
    """Install a model in whole numbers, if it passes; its name."""
    from edge.models.pictures import Pictures
    from edge.models.quantising import quantise

    name = f"{entry.name}-int8"
    source = store.resolve(entry.name)
    pictures = Pictures.of(calibration)
    store.folder.mkdir(parents=True, exist_ok=True)
    print(f"{name}: measuring on {pictures.count} pictures of {calibration}", flush=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=store.folder) as folder:
        made = Path(folder) / f"{name}.onnx"
        found = quantise(source, made, pictures)
        print(f"{name} {found.agreement}")
        print(f"A picture takes {found.quantised_ms:.0f} ms of this processor; it took {found.original_ms:.0f} ms")
        if not found.agreement.passes:
            raise ModelError(f"{name} is not installed: allowed is {GATE:.0%} or more of either")
        how = {"how": f"in whole numbers; {found.agreement}", "calibration": calibration.name}
        print(f"{name} is installed: {store.adopt(made, name=name, origin=entry, how=how)}")
    return name


def _engine(store: ModelStore, name: str, arguments: argparse.Namespace) -> None:
    """Build the engine that vision will find when it has this model and provider."""
    from edge.detector.engines import Build, folder_of
    from edge.detector.engines import default_folder as default_engines
    from edge.detector.recipe import Recipe

    path, description = store.resolve(name)
    recipe = Recipe(
        path=path,
        providers=(arguments.to,),
        openvino_device=arguments.openvino_device,
        description=description,
    )
    try:
        folder = folder_of(recipe, digest=sha256_of(path), among=arguments.engines or default_engines(os.environ))
    except ModelError as error:
        raise ModelError(f"{error}; {_WHERE_PROVIDERS_ARE[arguments.to]}") from error
    if not folder.is_dir():
        print(f"{name}: building an engine for {title_of(arguments.to)}, which may take minutes", flush=True)
        Build(recipe, folder).wait()
    print(f"{name} has its engine for {title_of(arguments.to)}: {folder}")


def _verify(arguments: argparse.Namespace) -> int:
    with _told() as outcome:
        store = _store(arguments)
        checked = store.verify()
        for each in checked:
            print(_verdict(each))
        if not checked:
            print(f"No model is installed in {store.folder}")
        if any(each.state is State.CHANGED for each in checked):
            outcome.code = FAILED
    return outcome.code


class _Outcome:
    """The exit code of a command."""

    def __init__(self) -> None:
        self.code = OK


@contextmanager
def _told() -> Iterator[_Outcome]:
    """Say what went wrong on standard error, and turn it into an exit code."""
    outcome = _Outcome()
    try:
        yield outcome
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        outcome.code = MISTAKEN
    except ModelError as error:
        print(f"error: {error}", file=sys.stderr)
        outcome.code = FAILED


def _store(arguments: argparse.Namespace) -> ModelStore:
    folder: Path = arguments.folder or default_folder(os.environ)
    return ModelStore(folder=folder, manifest=load_manifest(arguments.manifest))


def _consented(store: ModelStore, entry: Entry, *, said: bool) -> bool:
    """Whether the licence is, or now was, accepted: by the flag, or by an answer at a terminal."""
    if store.permits(entry.name):
        return True
    terms = f"{entry.name} is under {entry.licence.spdx}: {entry.licence.url}"
    if not said and sys.stdin.isatty():
        print(terms)
        said = input("Did you read this licence, and do you accept it? [y/N] ").strip().lower() in ("y", "yes")
        if not said:
            print("Not accepted; nothing was fetched.", file=sys.stderr)
            return False
    if not said:
        print(
            f"error: {terms}\nIt has to be accepted once. Read it, then run: "
            f"footfall models pull {entry.name} --accept-licence",
            file=sys.stderr,
        )
        return False
    store.accept_licence(entry.name, on=dt.datetime.now(dt.UTC).date())
    return True


@contextmanager
def _progress(name: str) -> Iterator[Report]:
    """A bar on a terminal; elsewhere a line for each tenth, so that a log stays readable."""
    if not sys.stdout.isatty():
        yield _plain_lines(name)
        return
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain_lines(name: str) -> Report:
    told = -1

    def report(done: int, total: int | None) -> None:
        nonlocal told
        tenth = done * 10 // total if total else done // 10_000_000
        if tenth > told:
            told = tenth
            share = f"{done * 100 // total} % of {_size(total)}" if total else _size(done)
            print(f"{name}: {share}", flush=True)

    return report


def _installed(each: Installed) -> str:
    if each.path is None:
        return "exported" if each.exported else "no"
    if each.entry.kind == "built-in":
        return "built in"
    if each.entry.kind == "pytorch":
        return "yes" if each.exported else "to be exported"
    return "yes"


def _licence(each: Installed) -> str:
    return each.entry.licence.spdx + ("" if each.permitted else " (to be accepted)")


def _size(size: int | None) -> str:
    return "?" if size is None else f"{size / 1e6:.1f} MB"


def _verdict(each: Checked) -> str:
    if each.state is State.WHOLE:
        return f"{each.name}: whole"
    if each.state is State.UNPINNED:
        return f"{each.name}: no checksum is known for {each.path}; it has sha256 {each.found}"
    return (
        f"{each.name}: CHANGED: {each.path} should have sha256 {each.expected}, has {each.found}; "
        f"remove it and run: footfall models pull {each.name}"
    )
