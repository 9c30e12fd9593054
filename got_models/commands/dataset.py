"""``dataset``: annotate, check, count, show, import and export the pictures for a training."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..dataset.coco import export_coco
from ..dataset.published import FIELDS, import_dataset
from ..dataset.rows import read_dataset
from ..dataset.summary import preview, statistics
from ..files.whole_files import check_writable, write_files
from . import annotate
from .options import Subparsers, add_out_option, positive_integer
from .outputs import png

PREVIEW_FILE = "preview.png"


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser(
        "dataset", help="annotate, check, count, show, import or export training pictures"
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")

    check = actions.add_parser("check", help="list every row that cannot be used, and why")
    check.set_defaults(run=run_check)

    stats = actions.add_parser("stats", help="print figures about the dataset")
    stats.add_argument(
        "--resolution-px",
        type=positive_integer,
        default=1024,
        help="side of the square whose area pictures are trained at",
    )
    stats.set_defaults(run=run_stats)

    show = actions.add_parser("preview", help="draw pictures with their plans on one sheet")
    add_out_option(show)
    show.add_argument("--rows", type=positive_integer, default=12, help="how many rows (default 12)")
    show.set_defaults(run=run_preview)

    published = actions.add_parser(
        "import", help="write data.jsonl from published JSON, JSONL or parquet, or from COCO"
    )
    published.add_argument("source", type=Path, metavar="SOURCE", help="a file of rows, or a folder of them")
    published.add_argument(
        "--field",
        type=field,
        action="append",
        default=[],
        metavar="OURS=THEIRS",
        help=f"what the rows call an entry ({', '.join(FIELDS)}), if not a usual name",
    )
    published.set_defaults(run=run_import)

    export = actions.add_parser("export", help="write the boxes as COCO's JSON, for labelling tools")
    export.add_argument("--coco", type=Path, required=True, metavar="FILE", help="the file to write")
    export.set_defaults(run=run_export)

    for action in (annotate.add_action(actions), check, stats, show, published, export):
        action.add_argument("folder", type=Path, metavar="FOLDER", help="the dataset: pictures, data.jsonl")


def field(text: str) -> tuple[str, str]:
    """``chain=reasoning`` -> ("chain", "reasoning")."""
    ours, equals, theirs = text.partition("=")
    if not equals or not theirs or ours not in FIELDS:
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(FIELDS)}, then = and the name in the rows, received {text!r}"
        )
    return ours, theirs


def run_check(arguments: argparse.Namespace) -> None:
    dataset = read_dataset(arguments.folder)
    print(dataset.report())
    dataset.usable(leave_out_bad_rows=False)


def run_stats(arguments: argparse.Namespace) -> None:
    for name, figure in statistics(read_dataset(arguments.folder), arguments.resolution_px).items():
        print(f"{name}: {figure}")


def run_preview(arguments: argparse.Namespace) -> None:
    check_writable(arguments.out)
    dataset = read_dataset(arguments.folder).usable(leave_out_bad_rows=True)
    write_files(arguments.out, {PREVIEW_FILE: png(preview(dataset, arguments.rows))})
    print(arguments.out / PREVIEW_FILE)


def run_export(arguments: argparse.Namespace) -> None:
    check_writable(arguments.coco.parent)
    dataset = read_dataset(arguments.folder).usable(leave_out_bad_rows=False)
    print(f"{export_coco(dataset, arguments.coco)} pictures into {arguments.coco}.")


def run_import(arguments: argparse.Namespace) -> None:
    print(import_dataset(arguments.source, arguments.folder, dict(arguments.field)).text())
