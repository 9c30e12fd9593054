"""``lesson``: writes the forty examples of ``lessons/brown_crosses``."""

from __future__ import annotations

import argparse

from got_models.commands.options import Subparsers, add_out_option
from got_models.files.whole_files import write_files


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("lesson", help="write the pictures and rows of lessons/brown_crosses")
    add_out_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from ..world.lesson import lesson_files

    write_files(arguments.out, lesson_files())
