"""``locate``: where things are in a picture, as JSON in its own pixels and as boxes drawn over it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..chain.layout import draw_layout
from ..chain.notations import qwen
from ..chain.notations.to_chain import plan_to_chain
from ..files.whole_files import check_writable, write_files
from ..mllm.prompts import locating
from ..pictures import open_picture
from .options import Subparsers, add_model_options, load_model
from .outputs import png


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("locate", help="find things in a picture, as JSON with boxes in pixels")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the picture to look at")
    parser.add_argument(
        "phrases", nargs="*", metavar="PHRASE", help='what to find, such as "the red circle"; all by default'
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="also write located.json, and the boxes in located.png"
    )
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    phrases = arguments.phrases or None
    locating(phrases)
    if arguments.out:
        check_writable(arguments.out)
    picture = open_picture(arguments.image)
    found = load_model(arguments).locate(picture, phrases)
    for note in found.notes:
        print(note, file=sys.stderr)
    written = qwen.write(found, picture.size)
    print(written)
    if arguments.out:
        boxes = draw_layout(plan_to_chain(found, "generate", "what was found"), picture, picture.size)
        write_files(arguments.out, {"located.json": f"{written}\n".encode(), "located.png": png(boxes)})
