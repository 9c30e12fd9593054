"""``sweep``: one plan drawn with many settings, on a labelled grid."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import GoTError
from ..files.whole_files import check_writable, write_files
from ..mllm.prompts import check_prompt
from ..pictures import open_picture
from ..sweep.axes import ADAPTER, SCALES, Axis, read_axis
from ..sweep.drawing import check_axes, sweep
from .drawing import given_chain, reason
from .options import Subparsers, add_drawing_options, load_model, sampling_settings
from .outputs import png

if TYPE_CHECKING:
    from PIL import Image

    from ..chain.chain import ReasoningChain
    from ..diffusion.settings import SamplingSettings
    from ..pipeline import GoTModel
    from ..weights.adapter import Adapter


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("sweep", help="draw one plan with many settings, on a labelled grid")
    parser.add_argument("prompt", metavar="PROMPT", help="what to draw, or how to edit --image")
    parser.add_argument("--image", type=Path, metavar="IMAGE", help="the picture to edit")
    parser.add_argument(
        "--across",
        type=axis,
        required=True,
        metavar="NAME=VALUES",
        help="what varies from left to right, such as spatial=0,2,4; also semantic, reference, steps, seed, "
        "and adapter, the strength of --adapter in pictures",
    )
    parser.add_argument(
        "--down", type=axis, metavar="NAME=VALUES", help="what varies from top to bottom; nothing by default"
    )
    parser.add_argument(
        "--check", action="store_true", help="write below each picture how far it obeys the plan"
    )
    parser.add_argument(
        "--keep-outside-boxes",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="of an edit, take everything outside the plan's boxes from IMAGE (default: yes)",
    )
    add_drawing_options(parser)
    parser.set_defaults(run=run)


def axis(text: str) -> Axis:
    """``NAME=VALUES``."""
    name, _, values = text.partition("=")
    try:
        return read_axis(name.strip(), values)
    except GoTError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(arguments: argparse.Namespace) -> None:
    from ..edit_area import finish_edit
    from ..judge.looking import check_plan
    from ..sweep.branches import BranchRecorder

    check_prompt(arguments.prompt)
    check_axes(arguments.across, arguments.down)
    check_writable(arguments.out)
    adapter, strength = variable_adapter(arguments), arguments.unet_strength
    if adapter:
        arguments.unet_strength = 0.0  # it is applied below, at one strength after another
    task = "edit" if arguments.image else "generate"
    source = open_picture(arguments.image) if arguments.image else None
    chain = given_chain(arguments, task, arguments.prompt)
    model = load_model(arguments)
    if arguments.size:
        model.check_size(arguments.size)
    chain = chain or reason(partial(model.reason, arguments.prompt, source))
    caption = partial(checked, model, chain, source) if arguments.check else None
    if arguments.check:
        check_plan(chain, source)
    guidance = model.encode(chain, source, arguments.size)
    given = {name: getattr(arguments, f"{name}_scale") for name in SCALES}
    scales = replace(
        model.default_scales(task), **{name: scale for name, scale in given.items() if scale is not None}
    )
    settings = model.sampling(sampling_settings(arguments, scales), task)
    set_strength = strength_setter(model, adapter) if adapter else None
    if set_strength:
        set_strength(strength)
    recorder = BranchRecorder()
    model.sample(guidance, settings, on_step=recorder.record, every_branch=True)
    branches = recorder.picture()

    keep = arguments.keep_outside_boxes

    def draw(with_settings: SamplingSettings) -> Image.Image:
        picture = model.sample(guidance, with_settings)
        return finish_edit(picture, source, chain, keep_outside=keep) if source else picture

    swept = sweep(draw, settings, arguments.across, arguments.down, caption, set_strength)
    files = {"sweep.png": png(swept.sheet()), "branches.png": png(branches)}
    write_files(arguments.out, files)
    print(chain.text)
    for name in files:
        print(arguments.out / name)


def variable_adapter(arguments: argparse.Namespace) -> Adapter | None:
    """The adapter whose strength an axis varies; None: no axis does.

    Raises:
        GoTError: none is given, or its strength cannot vary so.
    """
    from ..weights.adapter_files import load_adapter
    from ..weights.adapting import check_variable

    axes = [axis for axis in (arguments.across, arguments.down) if axis and axis.name == ADAPTER]
    if not axes:
        return None
    if not arguments.adapter:
        raise GoTError("A grid over adapter varies the strength of --adapter FILE in pictures: give one.")
    adapter = load_adapter(arguments.adapter)
    check_variable(adapter, [arguments.unet_strength, *axes[0].values])
    return adapter


def strength_setter(model: GoTModel, adapter: Adapter) -> Callable[[float], None]:
    """Applies an adapter to the UNet, at another strength each time."""
    from ..weights.patching import ReversiblePatches

    patches = ReversiblePatches(model.parts.unet())

    def set_strength(strength: float) -> None:
        patches.restore()
        patches.apply(adapter.changes("unet", strength))

    return set_strength


def checked(model: GoTModel, chain: ReasoningChain, source: Image.Image | None, picture: Image.Image) -> str:
    """The judge's score of a picture."""
    from ..judge.looking import judge

    return f"score {judge(model, chain, picture, source).score:.2f}"
