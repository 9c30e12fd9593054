"""``generate``: a prompt becomes a chain and a picture."""

from __future__ import annotations

import argparse

from .drawing import run_drawing
from .options import Subparsers, add_drawing_options, positive_integer


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("generate", help="generate a picture from a prompt, via a chain")
    parser.add_argument("prompt", metavar="PROMPT", help='such as "a red circle above a blue square"')
    add_drawing_options(parser)
    parser.add_argument(
        "--best-of",
        type=positive_integer,
        default=1,
        metavar="N",
        help="draw with up to N seeds until the picture obeys its plan, and keep the best (default 1)",
    )
    parser.add_argument(
        "--look-again",
        type=positive_integer,
        metavar="N",
        help="let the model look at the picture and edit what does not obey the plan, at most N times",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    run_drawing(
        arguments,
        "generate",
        arguments.prompt,
        best_of=arguments.best_of,
        look_again=arguments.look_again or 0,
    )
