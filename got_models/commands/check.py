"""``check``: whether a picture obeys its plan, object by object."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..chain.chain import ReasoningChain
from ..chain.switched_off import drawn_part
from ..errors import printable
from ..files.whole_files import check_writable, write_files
from ..pictures import open_picture
from ..saved_plans import read_chain
from .inputs import print_notes, print_warnings
from .options import Subparsers, add_model_options, load_model
from .outputs import png


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("check", help="say whether a picture obeys its plan")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the picture to look at")
    parser.add_argument(
        "--chain", type=Path, metavar="FILE", help="its plan; by default the one saved in the picture"
    )
    parser.add_argument(
        "--source",
        type=Path,
        metavar="IMAGE",
        help="for an edit: the picture before, which it is compared with",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="also write checked.png: what was found where"
    )
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from ..judge.looking import check_plan, judge
    from ..judge.report import draw_verdict, report

    picture = open_picture(arguments.image)
    source = open_picture(arguments.source) if arguments.source else None
    task = "edit" if source else "generate"
    chain, left_out = drawn_part(plan_of(arguments.image, arguments.chain, task))
    print_notes(left_out)
    check_plan(chain, source)
    if arguments.out:
        check_writable(arguments.out)
    verdict = judge(load_model(arguments), chain, picture, source)
    print(printable(report(verdict)))
    if arguments.out:
        write_files(arguments.out, {"checked.png": png(draw_verdict(chain, picture, verdict))})


def plan_of(image: Path, file: Path | None, task: str) -> ReasoningChain:
    """The plan in a file, or the one that the picture was saved with; `task` is that of a bare text."""
    if file is None:
        return read_chain(image)
    bare = file.suffix.lower() != ".json"
    chain = ReasoningChain.load(file, task if bare else None, "" if bare else None)
    print_warnings(chain)
    return chain
