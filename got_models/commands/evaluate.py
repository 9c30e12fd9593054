"""``evaluate``: points to its new location."""

from __future__ import annotations

import argparse

from ..errors import GoTError
from .options import Subparsers


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("evaluate", add_help=False, prefix_chars="\0")
    parser.add_argument("arguments", nargs="*")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    raise GoTError(
        "evaluate measures the bundled model, and has moved: `python -m tiny_model evaluate`, with the same "
        "options, in a clone of the repository."
    )
