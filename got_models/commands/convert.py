"""``convert``: the published GoT-6B becomes one checkpoint folder of safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..constants import STORED_DTYPES
from .options import Subparsers, positive_integer


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("convert", help="import the published GoT-6B as a checkpoint")
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="the folder with GoT-6B, Qwen2.5-VL-3B-Instruct and stable-diffusion-xl-base-1.0; or GoT-6B",
    )
    parser.add_argument(
        "destination", type=Path, metavar="DESTINATION", help="the checkpoint folder to create"
    )
    parser.add_argument("--qwen", type=Path, metavar="DIR", help="Qwen2.5-VL-3B-Instruct, if elsewhere")
    parser.add_argument("--sdxl", type=Path, metavar="DIR", help="stable-diffusion-xl-base-1.0, if elsewhere")
    parser.add_argument(
        "--dtype",
        choices=STORED_DTYPES,
        default="bfloat16",
        help="number format of the weights (default: bfloat16)",
    )
    parser.add_argument(
        "--lora-alpha", type=positive_integer, metavar="N", help="default: the LoRA's rank, as in GoT-6B"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ..importing.convert import import_checkpoint
    from ..importing.folders import find_folders

    folders = find_folders(arguments.source, arguments.qwen, arguments.sdxl)
    with tqdm(desc="converting", unit="B", unit_scale=True, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        import_checkpoint(folders, arguments.destination, arguments.dtype, arguments.lora_alpha, show)
    print(arguments.destination)
