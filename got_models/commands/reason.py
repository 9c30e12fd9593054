"""``reason``: the chain alone, printed on stdout as it is generated."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..chain.characters import clean
from ..chain.switched_off import switched_on
from ..mllm.prompts import check_prompt
from ..mllm.settings import GenerationSettings
from ..pictures import open_picture
from .inputs import print_notes, print_warnings, read_chain
from .options import Subparsers, add_model_options, load_model


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("reason", help="print the chain alone, as it is generated")
    parser.add_argument("prompt", metavar="PROMPT", help="a caption, or with --image an editing instruction")
    parser.add_argument("--image", type=Path, metavar="IMAGE", help="the picture to edit")
    parser.add_argument(
        "--locked",
        type=Path,
        metavar="FILE",
        help="a chain.txt or chain.json whose phrases and boxes the chain must hold exactly",
    )
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    check_prompt(arguments.prompt)
    source = open_picture(arguments.image) if arguments.image else None
    task = "edit" if source else "generate"
    locked, left_out = switched_on(
        read_chain(arguments.locked, task, arguments.prompt).regions if arguments.locked else ()
    )
    print_notes(left_out)
    model = load_model(arguments)
    chain = model.reason(
        arguments.prompt,
        source,
        settings=GenerationSettings(locked=locked),
        on_text=lambda text: print(clean(text), end="", flush=True),
    )
    print()
    print_warnings(chain)
    print_notes(model.remarks(chain, source))
