"""``merge``: a checkpoint and an adapter become one checkpoint folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from .options import Subparsers, add_strength_options


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("merge", help="merge an adapter into a checkpoint")
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="the checkpoint that the adapter was trained on"
    )
    parser.add_argument("adapter", type=Path, metavar="ADAPTER", help="an adapter written by `train CONFIG`")
    parser.add_argument(
        "destination", type=Path, metavar="DESTINATION", help="the checkpoint folder to create"
    )
    add_strength_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from transformers.utils import logging

    from ..weights.merging import merge_adapter

    logging.disable_progress_bar()
    with tqdm(desc="merging", unit="B", unit_scale=True, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        merge_adapter(
            arguments.checkpoint,
            arguments.adapter,
            arguments.destination,
            arguments.mllm_strength,
            arguments.unet_strength,
            show,
        )
    print(arguments.destination)
