"""``check``: whether a picture obeys its plan, object by object."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..chain.chain import ReasoningChain
from ..errors import printable
from ..files.whole_files import check_writable, write_files
from ..pictures import open_picture
from ..saved_plans import read_chain
from .inputs import read_chain as read_chain_file
from .options import Subparsers, add_model_options, load_model
from .outputs import png


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("check", help="say whether a picture obeys its plan")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the picture to look at")
    parser.add_argument(
        "--chain", type=Path, metavar="FILE", help="its plan; by default the one saved in the picture"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="also write checked.png: what was found where"
    )
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from ..judge.looking import check_plan, judge
    from ..judge.report import draw_verdict, report

    picture, chain = open_picture(arguments.image), plan_of(arguments.image, arguments.chain)
    check_plan(chain)
    if arguments.out:
        check_writable(arguments.out)
    verdict = judge(load_model(arguments), chain, picture)
    print(printable(report(verdict)))
    if arguments.out:
        write_files(arguments.out, {"checked.png": png(draw_verdict(chain, picture, verdict))})


def plan_of(image: Path, file: Path | None) -> ReasoningChain:
    """The plan in a file, or the one that the picture was saved with."""
    return read_chain_file(file, "generate", "") if file else read_chain(image)
