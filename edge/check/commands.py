"""`footfall edge check`, `camera test` and `bench`: what a person at a terminal, or a program, sees of them."""

import argparse
import json
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.text import Text

from edge.check.findings import Finding, Verdict
from edge.configuration import CONFIG_VARIABLE, load
from edge.errors import ConfigurationError, EdgeError
from edge.settings import DetectorSettings

__all__ = ["add_bench", "add_camera", "add_check"]

OK, FAILED, MISTAKEN = 0, 1, 2
DEFAULT_CONFIG = Path("/etc/footfall/edge.toml")
_COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
_TOPIC_WIDTH = 16
_INDENT = " " * (4 + 2)


def add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `check` to `edge`."""
    check = commands.add_parser(
        "check",
        help="say in plain words what this box has, and what it lacks",
        description="Say what this box has and what it lacks, a line a topic, with what to do. It changes nothing.",
        epilog="Exit code 0: nothing fails. 1: something does.",
    )
    _add_config(check)
    check.add_argument("--json", action="store_true", help="for programs: one JSON object")
    check.add_argument(
        "--only-configuration", action="store_true", help="read the configuration; open no camera, ask no broker"
    )
    check.set_defaults(handler=_check)


def add_camera(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `camera` with its one command to `edge`."""
    camera = commands.add_parser("camera", help="try a camera", description="Try a camera.")
    leaves = camera.add_subparsers(title="commands", metavar="COMMAND", required=True)
    test = leaves.add_parser(
        "test",
        help="show a camera's resolution, rate, codec, delay, losses and a coarse still",
        description="Show what a camera sends, how steadily, and a still so coarse that nobody can be recognised.",
        epilog="A url whose password should not stand in the shell's history: 'rtsp://viewer:${NAME}@192.0.2.10/stream'"
        " in single quotes, with NAME set in the environment.",
    )
    test.add_argument(
        "camera", metavar="NAME_OR_URL", help="a camera of the configuration, an rtsp url, a device or file"
    )
    _add_config(test)
    test.add_argument("--seconds", type=_seconds, default=5.0, metavar="N", help="how long to look (default: 5)")
    test.add_argument("--still", type=Path, metavar="OUT.png", help="write the coarse still to this file")
    test.set_defaults(handler=_camera_test)


def add_bench(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bench` to `edge`."""
    bench = commands.add_parser(
        "bench",
        help="measure how many cameras this box carries",
        description="Measure how many cameras this box carries, on a film of a made-up shop: no camera, no network.",
    )
    _add_config(bench)
    bench.add_argument("--model", metavar="NAME_OR_PATH", help="detector (default: that of the configuration)")
    bench.add_argument("--duration", type=_seconds, default=20.0, metavar="S", help="seconds to measure (default: 20)")
    bench.add_argument("--json", action="store_true", help="for programs: one JSON object")
    bench.set_defaults(handler=_bench)


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"configuration (default: ${CONFIG_VARIABLE}, else {DEFAULT_CONFIG})",
    )


def _check(arguments: argparse.Namespace) -> int:
    from edge.check.survey import check_configuration, survey

    config, is_named = _config(arguments)
    console = Console()
    findings = (
        iter(check_configuration(config))
        if arguments.only_configuration
        else survey(config, is_named=is_named, environment=os.environ)
    )
    if arguments.json:
        told = list(findings)
        worst = max((finding.verdict for finding in told), key=list(Verdict).index)
        print(json.dumps({"verdict": worst, "findings": [asdict(finding) for finding in told]}, indent=2))
    else:
        told = list(_shown(findings, console))
        print(_summed(told))
    return FAILED if any(finding.verdict is Verdict.FAIL for finding in told) else OK


def _shown(findings: Iterator[Finding], console: Console) -> Iterator[Finding]:
    """Print findings as they come; on a terminal something moves while the next is looked for."""
    with console.status("looking …") if console.is_terminal else nullcontext():
        for finding in findings:
            console.print(_text(finding, console), soft_wrap=True, highlight=False)
            yield finding


def _text(finding: Finding, console: Console) -> Text:
    topic = f"{finding.topic:<{_TOPIC_WIDTH}}"
    said = _wrapped(f"{topic}  {finding.said}", console)
    text = Text(f"{finding.verdict:<4}  ", style=_COLOURS[finding.verdict]).append(said.lstrip(), style="default")
    if finding.advice:
        text.append(f"\n{_wrapped('→ ' + finding.advice, console)}", style="default")
    return text


def _wrapped(text: str, console: Console) -> str:
    """Indented; folded at words on a terminal, and one line elsewhere, so that it can be searched."""
    if not console.is_terminal:
        return f"{_INDENT}{text}"
    width = max(40, shutil.get_terminal_size().columns)
    indent = _INDENT + "  "
    return textwrap.fill(text, width, initial_indent=_INDENT, subsequent_indent=indent, break_on_hyphens=False)


def _summed(findings: list[Finding]) -> str:
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    return "\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def _camera_test(arguments: argparse.Namespace) -> int:
    from edge.check.camera_test import chosen_camera, described, still_of
    from edge.check.cameras import look_at
    from edge.check.still import half_blocks, write_png

    console = Console()
    try:
        camera = chosen_camera(arguments.camera, _config(arguments)[0])
        with console.status(f"looking for {arguments.seconds:g} s …") if console.is_terminal else nullcontext():
            trial = look_at(camera, seconds=arguments.seconds)
        if trial.last is not None:
            for name, said in described(camera, trial):
                print(f"{name:<11} {said}")
            cells = still_of(camera, trial.last)
            if arguments.still is not None:
                write_png(cells, arguments.still)
                print(f"{'still':<11} {arguments.still}, {len(cells)} cells high: nobody can be recognised")
            if console.is_terminal:
                console.print(half_blocks(cells))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return MISTAKEN
    except EdgeError as error:
        print(f"footfall edge: {error}", file=sys.stderr)
        return FAILED
    if trial.trouble is not None or trial.last is None:
        print(f"footfall edge: {trial.trouble or 'it ended without one picture'}", file=sys.stderr)
        return FAILED
    return OK


def _bench(arguments: argparse.Namespace) -> int:
    from edge.assembly import eyes
    from edge.check.capacity import capacity_of, in_words, to_object

    console = Console(stderr=True)
    try:
        seeing = eyes(_detector(arguments), environment=dict(os.environ))
        with console.status(f"measuring for {arguments.duration:g} s …") if console.is_terminal else nullcontext():
            capacity = capacity_of(seeing, seconds=arguments.duration)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return MISTAKEN
    except EdgeError as error:
        print(f"footfall edge: {error}", file=sys.stderr)
        return FAILED
    if arguments.json:
        print(json.dumps(to_object(capacity), indent=2))
    else:
        for name, said in in_words(capacity):
            print(f"{name:<11} {said}")
    return OK


def _detector(arguments: argparse.Namespace) -> DetectorSettings:
    """What the configuration says of the detector; a model that is named alone needs no configuration."""
    config, is_named = _config(arguments)
    if arguments.model and not is_named and not config.exists():
        return DetectorSettings(model=arguments.model)
    settings = load(config).detector
    return settings.model_copy(update={"model": arguments.model}) if arguments.model else settings


def _config(arguments: argparse.Namespace) -> tuple[Path, bool]:
    """The configuration, and whether somebody named it."""
    named = arguments.config or os.environ.get(CONFIG_VARIABLE)
    return (Path(named), True) if named else (DEFAULT_CONFIG, False)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 600:
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed is more than 0 and at most 600 seconds")
    return seconds
