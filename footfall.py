"""The `footfall` command: it knows which module serves which word, and imports no more than that.

So a box without the cloud's packages, or a cloud without the edge's, still has the commands it can run. A module offers
`add_commands(subparsers)`; each command's parser carries its handler as the default `handler`, which takes the parsed
arguments and gives the exit code: 0 done, 1 failed, 2 wrongly used or configured.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import cast

__all__ = ["main"]

_OWN_PACKAGES = frozenset({"cloud", "edge", "protocol"})
_INTERRUPTED = 130  # as shells report a program that Ctrl-C ended


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """The commands behind one first word."""

    module: str
    extra: str
    help: str


_GROUPS = {  # in the order in which a newcomer needs them
    "models": _Group(module="edge.models.commands", extra="edge", help="list, fetch and verify detector models"),
    "edge": _Group(module="edge.cli", extra="edge", help="watch cameras: run, replay a video, check this box"),
    "fleet": _Group(module="edge.fleet.commands", extra="edge", help="try out many boxes on a broker and a cloud"),
    "cloud": _Group(module="cloud.cli", extra="cloud", help="collect what boxes send, and serve it"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, and give its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    word = next((argument for argument in arguments if not argument.startswith("-")), None)
    try:
        return _run(arguments, word)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if word not in _GROUPS or missing in _OWN_PACKAGES:
            raise
        print(f"footfall {word}: {missing} is not installed; {_how_to_install(_GROUPS[word].extra)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED


def _run(arguments: Sequence[str], word: str | None) -> int:
    parser = argparse.ArgumentParser(
        prog="footfall", description="Private people analytics from the cameras a venue already has."
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, group in _GROUPS.items():
        if name == word:
            importlib.import_module(group.module).add_commands(subparsers)
        else:
            subparsers.add_parser(name, help=group.help)
    parsed = parser.parse_args(arguments)
    if parsed.version:
        print(f"footfall {version('footfall')}")
        return 0
    if "handler" not in parsed:
        _parser_of(word, parser=parser, subparsers=subparsers).print_help()
        return 0 if word is None else 2
    return cast("Callable[[argparse.Namespace], int]", parsed.handler)(parsed)


def _parser_of(
    word: str | None,
    *,
    parser: argparse.ArgumentParser,
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> argparse.ArgumentParser:
    return parser if word is None else subparsers.choices[word]


def _how_to_install(extra: str) -> str:
    return f"it comes with the extra `{extra}`: pip install 'footfall[{extra}]'"


if __name__ == "__main__":
    raise SystemExit(main())
