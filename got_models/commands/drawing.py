"""The walk that ``generate``, ``edit`` and ``demo`` share: a chain, then its guidance, then a picture."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from PIL import Image
from tqdm import tqdm

from ..chain import ReasoningChain
from ..prompts import check_prompt
from ..whole_files import check_writable, write_files
from .inputs import print_warnings, read_chain
from .options import load_model
from .outputs import Drawing

if TYPE_CHECKING:
    from ..guidance import GuidanceScales
    from ..model import GoTModel
    from ..sampler import Step


def run_drawing(
    arguments: argparse.Namespace,
    task: str,
    prompt: str,
    source: Image.Image | None = None,
    *,
    keep_outside: bool = True,
) -> None:
    """Check all input, draw one picture with the options of ``add_drawing_options``, write all results."""
    check_prompt(prompt)
    check_writable(arguments.out)
    chain = read_chain(arguments.chain, task, prompt) if arguments.chain else None
    model = load_model(arguments)
    if arguments.size:
        model.check_size(arguments.size)
    chain = chain or reason(model, prompt, source)
    given = {name: getattr(arguments, f"{name}_scale") for name in ("semantic", "spatial", "reference")}
    scales = dataclasses.replace(
        model.default_scales(task), **{name: scale for name, scale in given.items() if scale is not None}
    )
    drawing = draw(
        model,
        chain,
        source,
        scales=scales,
        seed=arguments.seed,
        steps=arguments.steps,
        scheduler=arguments.scheduler,
        size=arguments.size,
        keep_outside=keep_outside,
    )
    files = drawing.files()
    write_files(arguments.out, files)
    print(chain.text)
    for name in files:
        print(arguments.out / name)


def reason(model: GoTModel, prompt: str, source: Image.Image | None = None) -> ReasoningChain:
    """The chain that the model writes; its progress, and what is wrong with it, on stderr."""
    with tqdm(desc="reasoning", unit=" tokens", leave=False) as bar:

        def on_text(text: str) -> None:
            bar.update()

        chain = model.reason(prompt, source, on_text=on_text)
    print_warnings(chain)
    return chain


def draw(
    model: GoTModel,
    chain: ReasoningChain,
    source: Image.Image | None = None,
    *,
    scales: GuidanceScales | None = None,
    seed: int = 0,
    steps: int | None = None,
    scheduler: str = "ddpm",
    size: tuple[int, int] | None = None,
    keep_outside: bool = True,
) -> Drawing:
    """Draw a chain; scales, steps and size (height, width) default to the checkpoint's own for the task.

    An edited picture takes the aspect of its source, with the short side of the size it was drawn at, and
    outside the chain's boxes it is the source, unless `keep_outside` is false.
    """
    from ..edit_area import keep_outside_boxes
    from ..model import resize_result

    scales = scales or model.default_scales(chain.task)
    steps = steps or model.settings.tasks[chain.task].steps
    guidance = model.encode(chain, source, size)
    height, width = guidance.size
    with tqdm(desc="drawing", total=steps, unit=" steps", leave=False) as bar:

        def on_step(step: Step) -> None:
            bar.update()

        picture = model.sample(guidance, scales, seed, steps, scheduler, on_step)
    settings = {
        "seed": seed,
        "steps": steps,
        "scheduler": scheduler,
        "size": f"{width}x{height}",
        "scales": dataclasses.asdict(scales),
        "checkpoint": model.path.name,
    }
    if source is not None:
        picture = resize_result(picture, source.size, min(height, width))
        if keep_outside:
            picture = keep_outside_boxes(picture, source, chain.regions)
        settings["keep_outside_boxes"] = keep_outside
    return Drawing(chain, picture, settings)
