"""``describe``: what a picture shows, in words."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..chain.characters import clean
from ..pictures import open_picture
from .options import Subparsers, add_model_options, load_model


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("describe", help="say what a picture shows")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the picture to look at")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    picture = open_picture(arguments.image)
    load_model(arguments).describe(picture, on_text=lambda text: print(clean(text), end="", flush=True))
    print()
