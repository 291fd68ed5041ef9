"""`footfall edge …`: run a box, or one of its two processes; replay a video; check, measure, try, certify, keep it."""

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from edge.backup.commands import add_backup
from edge.check.commands import add_bench, add_camera, add_check
from edge.configuration import CONFIG_VARIABLE, load, load_camera
from edge.enrolment.commands import add_enrol
from edge.errors import ConfigurationError, EdgeError
from edge.process import guarded, stopping
from edge.settings import BoxSettings, CameraSettings, DetectorSettings, Settings
from edge.side import Side

if TYPE_CHECKING:
    from edge.accuracy.account import Truth
    from edge.camera.file import Footage

__all__ = ["add_commands"]

_SHARED_UMASK = 0o007
"""Vision and uplink are two users of one group, and share the exchange's files."""
_FIRST_START, _LAST_START = datetime(2000, 1, 1, tzinfo=UTC), datetime(2198, 12, 31, tzinfo=UTC)
"""An item's moment lies between 2000 and 2199, and a film may last some months."""
_START_EXAMPLE = "2026-03-01T09:00:00Z"

_MOST_COUNTED = 100_000

_DRAIN_SECONDS = 10.0
"""How long `run` goes on delivering when its films are over."""


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `edge` and its commands."""
    edge = subparsers.add_parser("edge", help="watch cameras: run, replay a video, check this box")
    commands = edge.add_subparsers(title="commands", metavar="COMMAND")
    for name, handler, text in (
        ("run", _run, "run vision and uplink together in one process: for a desk"),
        ("vision", _vision, "run the process that sees the cameras"),
        ("uplink", _uplink, "run the process that delivers to the cloud"),
    ):
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.add_argument(
            "--config", type=Path, default=os.environ.get(CONFIG_VARIABLE, "/etc/footfall/edge.toml"),
            help=f"configuration file (default: ${CONFIG_VARIABLE}, else /etc/footfall/edge.toml)",
        )  # fmt: skip
        command.set_defaults(handler=guarded(_serving(handler)))
    _add_replay(commands)
    add_enrol(commands)
    add_check(commands)
    add_camera(commands)
    add_bench(commands)
    _add_certify(commands)
    add_backup(commands, guarded=lambda handler: guarded(_serving(handler)))


def _add_replay(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "replay",
        help="run the whole pipeline on a video file, as fast as this machine can",
        description="Run the whole pipeline on a video file. The same input gives the same bytes.",
        epilog="The last line of output is JSON: frames, analysed, seconds, cpu_ms_per_frame, visits; and accuracy.",
    )
    command.add_argument("video", type=Path, metavar="VIDEO")
    command.add_argument("--camera", type=Path, metavar="FILE.toml", help="zones, lines, masks and calibration")
    command.add_argument("--model", default="motion", metavar="NAME_OR_PATH", help="detector (default: motion)")
    command.add_argument(
        "--truth", type=Path, metavar="FILE", help="say how far the counts are from this truth, at three rates"
    )
    command.add_argument(
        "--certificate",
        type=Path,
        metavar="OUT.json",
        help="write how well lines count, for `edge certify --from`",
    )
    command.add_argument("--tracks", type=Path, metavar="OUT.txt", help="write tracks in MOT format")
    command.add_argument("--events", type=Path, metavar="OUT.jsonl", help="write the items a box would send")
    command.add_argument("--summary", type=Path, metavar="OUT.json", help="write each visit: when, how long, where")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="names the epoch of the items (default: 0)")
    command.add_argument("--mode", choices=("statistics", "live"), default="statistics", help="what may leave a box")
    command.add_argument(
        "--start", type=_moment, default="2000-01-01T00:00:00Z", metavar="UTC", help="when the video begins"
    )
    command.set_defaults(handler=guarded(_replay))


def _add_certify(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "certify",
        help="check a line's counts against your own, and keep the result as its certificate",
        description="Count by hand who crosses a line while this box counts too, and keep how well it does as the"
        " line's certificate, for the cloud as well. Without LINE: each line's certificate, and whether it holds.",
        epilog="It follows the vision that runs on this box; where none does, it runs meanwhile. Exit code 0: kept.",
    )
    command.add_argument("line", nargs="?", metavar="LINE", help="a line of the configuration")
    command.add_argument(
        "--config", type=Path, default=os.environ.get(CONFIG_VARIABLE, "/etc/footfall/edge.toml"),
        help=f"configuration (default: ${CONFIG_VARIABLE}, else /etc/footfall/edge.toml)",
    )  # fmt: skip
    command.add_argument("--totals", action="store_true", help="press no keys at crossings; two sums at the end")
    command.add_argument("--in", dest="inward", type=_count, metavar="N", help="your sum of those who walked in")
    command.add_argument("--out", dest="outward", type=_count, metavar="N", help="your sum of those who walked out")
    command.add_argument("--seconds", type=_count, metavar="S", help="end by itself after so long")
    command.add_argument(
        "--from", dest="film", type=Path, metavar="FILE.json", help="keep what `edge replay --certificate` wrote"
    )
    command.set_defaults(handler=guarded(_serving(_certify)))


def _run(arguments: argparse.Namespace) -> None:
    from edge.assembly import run_vision
    from edge.uplink.assembly import drain, run_uplink

    settings = load(arguments.config, places=True)
    with stopping() as stop:
        uplink = Side(lambda: run_uplink(settings, stop, environment=dict(os.environ)), stop)
        uplink.start()
        try:
            run_vision(settings, stop, environment=dict(os.environ))
            drain(settings, stop, limit_seconds=_DRAIN_SECONDS)
        finally:
            stop.set()
            uplink.finish()


def _vision(arguments: argparse.Namespace) -> None:
    from edge.assembly import run_vision

    settings = load(arguments.config, places=True)
    with stopping() as stop:
        run_vision(settings, stop, environment=dict(os.environ))


def _uplink(arguments: argparse.Namespace) -> None:
    from edge.uplink.assembly import run_uplink

    settings: Settings = load(arguments.config)
    with stopping() as stop:
        run_uplink(settings, stop, environment=dict(os.environ))


def _certify(arguments: argparse.Namespace) -> None:
    from edge.accuracy.commands import certify

    certify(arguments)


def _replay(arguments: argparse.Namespace) -> None:
    from edge.accuracy.film import film_certificates
    from edge.accuracy.rates import judge
    from edge.accuracy.reading import Accuracy
    from edge.assembly import eyes
    from edge.detector.detections import Detector
    from edge.output_files import refuse_clashes, written
    from edge.replay import Outputs, Replay, Result, footage, replay

    if arguments.certificate and not arguments.truth:
        raise ConfigurationError("--certificate: needed is --truth FILE too, with crossings")
    refuse_clashes(inputs=dict(_inputs(arguments)), outputs=dict(_outputs(arguments)))
    camera = load_camera(arguments.camera) if arguments.camera else CameraSettings.model_construct(id="camera")
    detecting = DetectorSettings(model=arguments.model)
    seen_with = eyes(detecting, environment=dict(os.environ))
    plan = Replay(
        video=arguments.video,
        camera=camera,
        box=BoxSettings(id="replay", venue="replay", mode=arguments.mode),
        seed=arguments.seed,
        start=arguments.start,
        detector=detecting,
        models=seen_with.models(),
    )
    film = footage(arguments.video)
    truth = _truth(arguments, camera, film)

    def detector() -> Detector:
        return eyes(detecting, environment=dict(os.environ)).watching([camera])

    outputs = Outputs(tracks=arguments.tracks, events=arguments.events, summary=arguments.summary)
    try:
        with (
            _progress(arguments.video.name, film.frames and film.frames * (3 if truth else 1)) as progress,
            written(arguments.certificate) as certificate,
        ):

            def judged(result: Result, truth: "Truth") -> Accuracy:
                if arguments.certificate:
                    certificate.write(film_certificates(plan, result, truth.account(result.film)))
                return judge(plan, truth, result, film_rate=film.rate, detector=detector, progress=progress)

            judging = partial(judged, truth=truth) if truth else None
            result = replay(plan, seen_with.watching([camera]), outputs, progress=progress, judge=judging)
    except OSError as error:
        raise EdgeError(f"writing the results of {arguments.video}: {error.strerror}") from error
    if result.accuracy is not None:
        print(*result.accuracy.lines(), sep="\n")
    print(result.to_json())


def _truth(arguments: argparse.Namespace, camera: CameraSettings, film: "Footage") -> "Truth | None":
    """What truly happened in the film, where that is told; with crossings, where a certificate is to be made of it."""
    from edge.accuracy.truth import read_truth

    truth = read_truth(arguments.truth, camera=camera, footage=film) if arguments.truth else None
    if arguments.certificate and truth is not None and not truth.tells_crossings:
        raise ConfigurationError(
            f"--certificate: {arguments.truth} has no crossing of a line of the camera; needed are some"
        )
    return truth


def _inputs(arguments: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """What a replay reads, under the names of the command line; a model's name that is no file is not among it."""
    yield "VIDEO", arguments.video
    if arguments.camera:
        yield "--camera", arguments.camera
    if arguments.truth:
        yield "--truth", arguments.truth
    if Path(arguments.model).is_file():
        yield "--model", Path(arguments.model)


def _outputs(arguments: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    for name in ("certificate", "tracks", "events", "summary"):
        path: Path | None = getattr(arguments, name)
        if path is not None:
            yield f"--{name}", path


def _serving(handler: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
    """A process of the box: its files are shared with the group."""

    def serving(arguments: argparse.Namespace) -> None:
        os.umask(_SHARED_UMASK)
        handler(arguments)

    return serving


@contextmanager
def _progress(name: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total)
        yield lambda index: progress.update(task, completed=index + 1)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        is_allowed = moment.tzinfo is not None and _FIRST_START <= moment <= _LAST_START
    except ValueError:
        is_allowed = False
    if not is_allowed:
        msg = f"found {text!r}; allowed is a moment with its time zone between 2000 and 2198, as in {_START_EXAMPLE}"
        raise argparse.ArgumentTypeError(msg)
    return moment


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > _MOST_COUNTED:
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed is a whole number up to {_MOST_COUNTED}")
    return int(text)
