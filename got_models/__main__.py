"""The command line: ``python -m got_models <command>``.

Exit codes: 0 done, 2 unusable input or a disk that cannot be written to (one line on stderr, nothing
half-written), 130 stopped with Ctrl-C, 141 when nobody reads the output any more.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from .commands import bench, convert, dataset, demo, edit, evaluate, generate, merge, reason, train
from .errors import GoTError


def build_parser() -> argparse.ArgumentParser:
    """The parser with one subcommand per file in ``commands/``; each names its own ``run``."""
    parser = argparse.ArgumentParser(
        prog="python -m got_models",
        description="From a sentence to a reasoned plan, and from the plan to a picture.",
    )
    subcommands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (generate, edit, reason, evaluate, dataset, train, merge, convert, bench, demo):
        command.add_parser(subcommands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; argparse itself exits (2) on malformed arguments."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal that lacks a character must not end the run
    warnings.filterwarnings("ignore", module=r"PIL\.")  # whatever matters in a picture is told by ourselves
    options = build_parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()  # here, where a full disk can still be told
    except GoTError as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of stdout, such as `head`, has gone
        _send_nowhere(sys.stdout)
        return 141
    except OSError as error:
        return _failed(f"{error.filename or 'The output'}: {error.strerror or error}.")
    return 0


def _failed(message: str) -> int:
    """Tell what went wrong in one line; the exit code."""
    try:
        print("error:", " ".join(message.splitlines()), file=sys.stderr, flush=True)
    except OSError:
        _send_nowhere(sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        _send_nowhere(sys.stdout)
    return 2


def _send_nowhere(stream: TextIO) -> None:
    """What is left of a stream that cannot be written to: the end of the program would try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
