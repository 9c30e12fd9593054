"""``report``: one Markdown file and a contact sheet about a checkpoint, for its owner to post."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..chain.layout import contact_sheet, draw_layout, side_by_side
from ..files.whole_files import check_writable, write_files
from .options import (
    Subparsers,
    add_loading_options,
    add_out_option,
    add_sampling_options,
    load_model,
    sampling_settings,
)
from .outputs import png

if TYPE_CHECKING:
    from ..pipeline import GoTModel

PACKAGES = ("torch", "transformers", "diffusers", "accelerate", "safetensors", "pillow", "numpy")


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser(
        "report", help="try a checkpoint on twenty prompts: a report to post, without paths or names"
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the checkpoint's folder")
    add_out_option(parser)
    add_loading_options(parser)
    add_sampling_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from ..evaluation.report import Setting, markdown
    from ..evaluation.trial import tried
    from ..evaluation.twenty_prompts import TWENTY

    check_writable(arguments.out)
    model = load_model(arguments)
    settings = sampling_settings(arguments, None)
    trials = [tried(model, prompt, settings) for prompt in tqdm(TWENTY, desc="prompts", leave=False)]
    defaults, used = model.settings.tasks["generate"], model.sampling(settings, "generate")
    drawing = {
        "size": f"{defaults.width} x {defaults.height}",
        "steps": f"{used.steps}, {used.scheduler}, seed {used.seed}",
        "scales": f"{defaults.semantic:g} / {defaults.spatial:g} / {defaults.reference:g}",
        "adapter": "yes" if arguments.adapter else "no",
    }
    setting = Setting(versions(), machine(model, arguments.dtype), drawing)
    rows = [
        (prompt.prompt, side_by_side(draw_layout(trial.chain, None, trial.picture.size), trial.picture))
        for prompt, trial in zip(TWENTY, trials, strict=True)
        if trial.picture
    ]
    text = markdown(setting, TWENTY, trials, model.vocabulary)
    files = {"report.md": text.encode(), "contact_sheet.png": png(contact_sheet(rows))}
    write_files(arguments.out, files)
    for name in files:
        print(arguments.out / name)


def versions() -> dict[str, str]:
    """Of this pack, Python and the libraries that draw."""
    found = {"Python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in ("got", *PACKAGES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine(model: GoTModel, dtype: str) -> Mapping[str, str]:
    """The card, its memory and the most that was used; the parts' sizes and number formats."""
    import torch

    from ..weights.parts import weights_of

    facts: dict[str, str] = {}
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        facts["card"] = f"{card.name}, {card.total_memory / 2**30:.1f} GiB"
        facts["most memory used"] = f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"
    else:
        facts["card"] = "none: everything ran on the processor"
    parts = {
        "language model": model.parts.reasoner(),
        "projectors": model.parts.ssgm(),
        "UNet": model.parts.unet(),
        "VAE": model.parts.vae(),
    }
    for name, part in parts.items():
        weights = list(weights_of(part).parameters())
        count = sum(weight.numel() for weight in weights) / 1e6
        facts[name] = f"{count:.1f} million weights, {str(weights[0].dtype).removeprefix('torch.')}"
    return facts
