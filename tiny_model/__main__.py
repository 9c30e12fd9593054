"""The command line: ``python -m tiny_model <command>``. Exit codes as those of ``got_models``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from got_models.commands.program import run_program

from .commands import distill, evaluate, lesson, speeds, train


def build_parser() -> argparse.ArgumentParser:
    """The parser with one subcommand per file in ``commands/``."""
    parser = argparse.ArgumentParser(
        prog="python -m tiny_model", description="How the bundled model is made, and how well it obeys."
    )
    subcommands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (train, distill, evaluate, speeds, lesson):
        command.add_parser(subcommands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return run_program(build_parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
