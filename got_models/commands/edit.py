"""``edit``: a picture and an instruction become a chain and the changed picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..pictures import open_picture
from .drawing import run_drawing
from .options import Subparsers, add_drawing_options, positive_integer


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("edit", help="edit a picture by an instruction, via a chain")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the picture to edit")
    parser.add_argument("instruction", metavar="INSTRUCTION", help='such as "make the blue square green"')
    add_drawing_options(parser)
    parser.add_argument(
        "--keep-outside-boxes",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="take everything outside the plan's boxes from IMAGE, at its full size (default: yes)",
    )
    parser.add_argument(
        "--turns",
        type=positive_integer,
        default=1,
        metavar="N",
        help="let the model look at its result and edit it again, at most N turns in all (default 1); each "
        "turn gets a folder of its own",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    run_drawing(
        arguments,
        "edit",
        arguments.instruction,
        open_picture(arguments.image),
        keep_outside=arguments.keep_outside_boxes,
        turns=arguments.turns,
    )
