"""The command line: ``python -m got_models <command>``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .commands import (
    bench,
    check,
    convert,
    dataset,
    demo,
    describe,
    edit,
    evaluate,
    generate,
    locate,
    merge,
    reason,
    report,
    sweep,
    train,
)
from .commands.program import run_program

COMMANDS = (
    generate,
    edit,
    reason,
    describe,
    locate,
    check,
    sweep,
    dataset,
    train,
    merge,
    convert,
    bench,
    evaluate,
    report,
    demo,
)


def build_parser() -> argparse.ArgumentParser:
    """The parser with one subcommand per file in ``commands/``."""
    parser = argparse.ArgumentParser(
        prog="python -m got_models",
        description="From a sentence to a reasoned plan, and from the plan to a picture.",
    )
    subcommands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(subcommands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return run_program(build_parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
