"""The steps that ``generate``, ``edit`` and ``demo`` share: a chain, its guidance, a picture."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image
from tqdm import tqdm

from ..chain.chain import ReasoningChain
from ..chain.prompt_update import updated_prompt
from ..chain.switched_off import drawn_part
from ..diffusion.settings import SAMPLING_DEFAULTS, SamplingSettings
from ..errors import GoTError, printable
from ..files.whole_files import check_writable, write_files
from ..mllm.prompts import check_prompt
from .inputs import print_notes, print_warnings, read_chain
from .options import load_model, sampling_settings
from .outputs import Drawing

if TYPE_CHECKING:
    from ..conversation import Conversation
    from ..diffusion.sampler import Step
    from ..judge.verdict import Verdict
    from ..pipeline import GoTModel

MaybeChain = TypeVar("MaybeChain", ReasoningChain, ReasoningChain | None)


def run_drawing(
    arguments: argparse.Namespace,
    task: str,
    prompt: str,
    source: Image.Image | None = None,
    *,
    keep_outside: bool = True,
    turns: int = 1,
    best_of: int = 1,
    look_again: int = 0,
) -> None:
    """Check all input, draw with the options of ``add_drawing_options``, write all results.

    With several turns the model may look at its picture and edit it again, in folders ``turn-1`` etc. Of
    several attempts (``best_of``) the model looks at each, and the best is kept. With ``look_again`` it then
    edits what does not obey the plan, at most so many times.
    """
    check_prompt(prompt)
    check_writable(arguments.out)
    given = {name: getattr(arguments, f"{name}_scale") for name in ("semantic", "spatial", "reference")}
    chain = given_chain(arguments, task, prompt)
    prompt = chain.prompt if chain else prompt
    model = load_model(arguments)
    if arguments.size:
        model.check_size(arguments.size)
    load_while_planning(model)
    conversation = model.converse(prompt, source)
    upcoming: ReasoningChain | None = chain or reason(partial(model.reason, prompt, source))
    drawings: list[Drawing] = []
    while upcoming is not None:
        if best_of > 1 or look_again:
            from ..judge.looking import check_generated

            check_generated(upcoming)  # before anything is drawn
        print_notes(model.remarks(upcoming, conversation.source))
        changed = {name: scale for name, scale in given.items() if scale is not None}
        scales = dataclasses.replace(model.default_scales(upcoming.task), **changed)
        settings = sampling_settings(arguments, scales)
        draw_with = partial(
            draw,
            model,
            upcoming,
            conversation.source,
            settings=settings,
            size=arguments.size,
            keep_outside=keep_outside,
            conversation=conversation,
        )
        drawing = draw_with() if best_of == 1 else draw_best(model, upcoming, draw_with, best_of)
        if look_again:
            drawing = mended(model, drawing, look_again, settings)
        drawings.append(drawing)
        conversation.show(upcoming, drawing.picture)
        upcoming = reason(conversation.reason) if len(drawings) < turns else None
    write_drawings(arguments.out, drawings, turns)


def load_while_planning(model: GoTModel) -> None:
    """Let UNet and VAE load while the plan is written, from when the MLLM is there: it is needed first."""
    from ..weights.parts import ResidentParts

    parts = model.parts
    if isinstance(parts, ResidentParts):
        parts.reasoner()
        parts.load_ahead("unet", "vae")


def given_chain(arguments: argparse.Namespace, task: str, prompt: str) -> ReasoningChain | None:
    """The user's own chain without the boxes that are switched off; its prompt follows ``--edited-from``.

    Raises:
        GoTError: a chain that cannot be read, or ``--edited-from`` without one.
    """
    chain = read_chain(arguments.chain, task, prompt) if arguments.chain else None
    if arguments.edited_from:
        chain = following(chain, read_chain(arguments.edited_from, task, prompt))
    if chain is None:
        return None
    chain, left_out = drawn_part(chain)
    print_notes(left_out)
    return chain


def following(chain: ReasoningChain | None, before: ReasoningChain) -> ReasoningChain:
    """An edited chain with the previous chain's prompt updated; prints the new prompt on stderr.

    Raises:
        GoTError: there is no edited chain.
    """
    if chain is None:
        raise GoTError("--edited-from names the chain before a change; give the changed one to --chain.")
    update = updated_prompt(before.prompt, before, chain)
    for missed in update.missed:
        print(f"warning: {printable(missed)}", file=sys.stderr)
    print(f"prompt: {printable(update.prompt)}", file=sys.stderr)
    return dataclasses.replace(chain, prompt=update.prompt)


def write_drawings(out: Path, drawings: Sequence[Drawing], turns: int) -> None:
    """Write one drawing into ``out`` itself, those of several turns into subfolders, and report it."""
    if len(drawings) < turns:
        print(f"the model ended after {len(drawings)} of {turns} turns", file=sys.stderr)
    folders = ["."] if turns == 1 else [f"turn-{number}" for number in range(1, len(drawings) + 1)]
    files = [
        {str(PurePosixPath(folder, name)): content for name, content in drawing.files().items()}
        for folder, drawing in zip(folders, drawings, strict=True)
    ]
    write_files(out, {name: content for of_one in files for name, content in of_one.items()})
    for drawing, of_one in zip(drawings, files, strict=True):
        print(drawing.chain.text)
        for name in of_one:
            print(out / name)


def reason(write: Callable[..., MaybeChain]) -> MaybeChain:
    """The chain returned by ``write``; its progress and warnings are printed on stderr."""
    with tqdm(desc="reasoning", unit=" tokens", leave=False) as bar:

        def on_text(text: str) -> None:
            bar.update()

        chain = write(on_text=on_text)
    if chain is not None:
        print_warnings(chain)
    return chain


def draw_best(model: GoTModel, chain: ReasoningChain, draw_with: partial[Drawing], most: int) -> Drawing:
    """The best of several drawings, with seeds from the first one's on; says how each follows its plan.

    Raises:
        GoTError: the plan cannot be compared with a picture.
    """
    from ..judge.best import best_of
    from ..judge.looking import judge
    from ..judge.report import summary

    settings: SamplingSettings = draw_with.keywords["settings"]

    def draw_seed(seed: int) -> Drawing:
        return draw_with(settings=dataclasses.replace(settings, seed=seed))

    def look(drawing: Drawing) -> Verdict:
        verdict = judge(model, chain, drawing.picture)
        print(f"seed {drawing.settings['seed']}: {summary(verdict)}", file=sys.stderr)
        return verdict

    seeds = [(settings.seed + number) % 2**63 for number in range(most)]
    return best_of(seeds, draw_seed, look).drawn


def mended(model: GoTModel, drawing: Drawing, most: int, settings: SamplingSettings) -> Drawing:
    """The drawing after at most `most` edits; what each turn did is printed on stderr.

    Its settings name the edits, because the seed alone no longer gives the same picture.

    Args:
        settings: seed, steps and scheduler of the first edit; the next have seed + 1, seed + 2 and so on.

    Raises:
        GoTError: the plan cannot be compared with a picture.
    """
    from ..judge.again import look_again, told
    from ..judge.looking import judge

    def edited(edit: ReasoningChain, picture: Image.Image, turn: int) -> Image.Image:
        seed = (settings.seed + turn - 1) % 2**63
        return draw(
            model, edit, picture, settings=dataclasses.replace(settings, scales=None, seed=seed)
        ).picture

    def look(picture: Image.Image) -> Verdict:
        return judge(model, drawing.chain, picture)

    result = look_again(drawing.chain, drawing.picture, most, edited, look)
    print(printable(told(result)), file=sys.stderr)
    kept = result.turns[: result.turns.index(result.best) + 1]
    edits = [turn.edit.prompt for turn in kept if turn.edit]
    return dataclasses.replace(
        drawing, picture=result.best.picture, settings=drawing.settings | {"edits": edits}
    )


def draw(
    model: GoTModel,
    chain: ReasoningChain,
    source: Image.Image | None = None,
    *,
    settings: SamplingSettings = SAMPLING_DEFAULTS,
    size: tuple[int, int] | None = None,
    keep_outside: bool = True,
    conversation: Conversation | None = None,
) -> Drawing:
    """Draw a chain; unset settings and size (height, width) are the checkpoint's for the task.

    An edit is its source outside the chain's boxes and has its size; with `keep_outside` false it has the
    source's aspect and the short side of the size that it was drawn at. In a conversation the model reads the
    chain as a continuation of what came before.
    """
    from ..edit_area import enlargement, finish_edit

    defaults = model.settings.tasks[chain.task]
    settings = model.sampling(settings, chain.task)
    height, width = size = size or (defaults.height, defaults.width)
    scales = settings.scales or model.default_scales(chain.task)
    used: dict[str, Any] = {
        "seed": settings.seed,
        "steps": settings.steps,
        "scheduler": settings.scheduler,
        **({"speed": settings.speed} if settings.speed else {}),
        "size": f"{width}x{height}",
        "scales": dataclasses.asdict(scales),
        "checkpoint": model.path.name,
    }
    if source is not None:
        used["keep_outside_boxes"] = keep_outside
        if model.leaves_unchanged(chain):
            return Drawing(chain, source, used)
        if keep_outside:
            print_notes(enlargement(size, (source.height, source.width)))
    guidance = conversation.encode(chain, size) if conversation else model.encode(chain, source, size)
    with tqdm(desc="drawing", total=settings.steps, unit=" steps", leave=False) as bar:

        def on_step(step: Step) -> None:
            bar.update()

        picture = model.sample(guidance, settings, on_step=on_step)
    if source is not None:
        picture = finish_edit(picture, source, chain, keep_outside=keep_outside)
    return Drawing(chain, picture, used)
