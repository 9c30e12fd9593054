"""The command line: ``python -m got_models <command>``.

Exit codes: 0 done, 2 unusable input (one line on stderr, nothing written), 130 stopped with Ctrl-C, 141 when
nobody reads the output any more.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

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
    options = build_parser().parse_args(arguments)
    try:
        options.run(options)
    except GoTError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of stdout, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


if __name__ == "__main__":
    sys.exit(main())
