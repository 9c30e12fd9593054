"""Options that several commands share, and parsing of their values."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..constants import BUNDLED_CHECKPOINT, DTYPES, FASTEST, SCHEDULERS, SPEEDS
from ..diffusion.settings import GuidanceScales, SamplingSettings
from ..errors import GoTError, short_repr
from ..startup import collector_paused

if TYPE_CHECKING:
    import torch

    from ..pipeline import GoTModel

DEVICES = ("auto", "cpu", "cuda")
MAX_NUMBER = 40  # characters; Python converts no text of more than 4300 digits to a number

Subparsers = (
    argparse._SubParsersAction
)  # the type that argparse's add_subparsers() returns has no public name


def positive_integer(text: str) -> int:
    """An integer of at least 1."""
    number = int(text) if text.isdecimal() and len(text) < MAX_NUMBER else 0
    if number < 1:
        raise argparse.ArgumentTypeError(
            f"expected a whole number of at least 1, received {short_repr(text)}"
        )
    return number


def seed(text: str) -> int:
    """A seed that torch.Generator takes on every device: 0 to 2**63 - 1."""
    number = int(text) if text.isdecimal() and len(text) < MAX_NUMBER else -1
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 0 to 2**63 - 1, received {short_repr(text)}"
        )
    return number


def scale(text: str) -> float:
    """A finite guidance scale."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"expected a finite number such as 4.0, received {short_repr(text)}")
    return number


def size(text: str) -> tuple[int, int]:
    """``WIDTHxHEIGHT`` in pixels -> (height, width), the order of tensors."""
    sides = text.lower().split("x")
    if (
        len(sides) != 2
        or len(text) > MAX_NUMBER
        or not all(side.isdecimal() and int(side) % 8 == 0 for side in sides)
    ):
        raise argparse.ArgumentTypeError(
            f"expected WIDTHxHEIGHT in multiples of 8 pixels, such as 128x128, received {short_repr(text)}"
        )
    width, height = sides
    return int(height), int(width)


def add_out_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=BUNDLED_CHECKPOINT,
        metavar="DIR",
        help="default: the bundled checkpoint",
    )
    add_loading_options(parser)


def add_loading_options(parser: argparse.ArgumentParser) -> None:
    """How a checkpoint is loaded."""
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        help="auto uses the GPU if there is one",
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="auto",
        help="number format of the weights; auto is bfloat16 on a GPU that supports it, otherwise float32",
    )
    parser.add_argument("--adapter", type=Path, metavar="FILE", help="an adapter written by `train CONFIG`")
    add_strength_options(parser)


def add_strength_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mllm-strength", type=scale, default=1.0, metavar="S", help="of the adapter, for plans (default 1)"
    )
    parser.add_argument(
        "--unet-strength", type=scale, default=1.0, metavar="S", help="of the adapter, for pictures"
    )


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """Seed, speed, steps and scheduler. Unset ones come from the checkpoint's settings."""
    parser.add_argument(
        "--seed", type=seed, default=0, help="the same seed gives the same picture (default 0)"
    )
    parser.add_argument(
        "--speed",
        choices=SPEEDS,
        help="exact: as published; fast: 8 steps of euler; fastest: 4 steps of one branch, with a distilled"
        " adapter (default: the checkpoint's own; fast for the bundled one)",
    )
    parser.add_argument("--steps", type=positive_integer, help="denoising steps (default: the speed's)")
    parser.add_argument("--scheduler", choices=SCHEDULERS, help="default: the speed's")


def add_drawing_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``generate`` and ``edit``. Unset ones come from the checkpoint's settings."""
    add_out_option(parser)
    add_model_options(parser)
    add_sampling_options(parser)
    parser.add_argument("--size", type=size, metavar="WxH", help="size to draw at, in pixels, multiples of 8")
    parser.add_argument("--semantic-scale", type=scale, metavar="S", help="how closely to follow the words")
    parser.add_argument("--spatial-scale", type=scale, metavar="S", help="how closely to follow the boxes")
    parser.add_argument(
        "--reference-scale", type=scale, metavar="S", help="how closely to follow the source picture"
    )
    parser.add_argument(
        "--chain", type=Path, metavar="FILE", help="use this chain.txt or chain.json and skip the reasoning"
    )
    parser.add_argument(
        "--edited-from",
        type=Path,
        metavar="FILE",
        help="the chain before your edits to --chain: the prompt then follows what you renamed,"
        " added, removed or reworded",
    )


def sampling_settings(arguments: argparse.Namespace, scales: GuidanceScales | None) -> SamplingSettings:
    """The settings of ``add_sampling_options``."""
    return SamplingSettings(scales, arguments.seed, arguments.steps, arguments.scheduler, arguments.speed)


def load_model(arguments: argparse.Namespace) -> GoTModel:
    """The checkpoint selected by the options, on the selected device.

    Raises:
        GoTError: the checkpoint is missing, damaged or inconsistent, an adapter is damaged or was trained on
            another checkpoint, or there is no such device.
    """
    print(f"loading {arguments.checkpoint}", file=sys.stderr)
    with collector_paused():
        from transformers.utils import logging

        from ..pipeline import GoTModel
        from ..weights.distilled import own_distilled_adapter

    logging.disable_progress_bar()
    device = choose_device(arguments.device)
    model = GoTModel.from_pretrained(arguments.checkpoint, device, choose_dtype(arguments.dtype, device))
    if arguments.adapter:
        from ..weights.adapter_files import load_adapter

        model.apply_adapter(load_adapter(arguments.adapter), arguments.mllm_strength, arguments.unet_strength)
    if getattr(arguments, "speed", None) == FASTEST and model.distilled is None:
        own = own_distilled_adapter(model.path)
        if own is not None:
            model.apply_adapter(own)
    return model


def choose_dtype(name: str, device: str) -> torch.dtype:
    """The dtype selected by --dtype, for a device "cpu" or "cuda"."""
    import torch

    if name == "auto":
        name = "bfloat16" if device == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def choose_device(name: str) -> str:
    """The device selected by --device, "cpu" or "cuda".

    Raises:
        GoTError: there is no GPU.
    """
    import torch

    cuda = torch.cuda.is_available()
    if name == "cuda" and not cuda:
        raise GoTError("There is no CUDA device here. Use --device cpu.")
    return ("cuda" if cuda else "cpu") if name == "auto" else name
