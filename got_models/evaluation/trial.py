"""One prompt tried on a checkpoint: planned, drawn, looked at, with the time of each stage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..chain.chain import ReasoningChain
from ..diffusion.settings import SamplingSettings
from ..errors import GoTError
from ..judge.looking import check_plan, definite, judge
from ..judge.verdict import Verdict
from .prompts import Prompt
from .rules import Met, Thing, met

if TYPE_CHECKING:
    from PIL import Image

    from ..pipeline import GoTModel


@dataclass(frozen=True)
class Trial:
    """What a checkpoint made of a prompt.

    Attributes:
        written: the plan as the language model wrote it.
        ended: whether it ended the plan itself, before the longest one allowed.
        picture: None where none was drawn.
        verdict: on the picture, by its plan; None where it could not be looked at.
        unseen: why it could not.
        plan_met, picture_met: what of the prompt's wishes the plan and the picture meet; None as above.
        seconds: of each stage.
    """

    chain: ReasoningChain
    written: str
    ended: bool
    plan_met: Met
    picture: Image.Image | None = None
    verdict: Verdict | None = None
    unseen: str = ""
    picture_met: Met | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def tried(model: GoTModel, prompt: Prompt, settings: SamplingSettings | None) -> Trial:
    """Plans a prompt and, with settings, draws and looks at the picture.

    Raises:
        GoTError: the prompt is too long for the model, or values are not finite.
    """
    seconds: dict[str, float] = {}
    with _timed("planning", seconds):
        reasoner = model.parts.reasoner()
        context = reasoner.context("generate", prompt.prompt, None)
        written = reasoner.continue_conversation(context)
    chain = ReasoningChain.read(written.text, "generate", prompt.prompt)
    ended = len(written.tokens) < reasoner.max_new_tokens
    plan_met = met(prompt, [(region.phrase, region.box) for region in chain.regions])
    if settings is None:
        return Trial(chain, written.text, ended, plan_met, seconds=seconds)
    with _timed("reading the plan", seconds):
        guidance = model.encode(chain)
    with _timed("drawing", seconds):
        latents = model.sample_latents(guidance, settings)
    with _timed("decoding", seconds):
        picture = model.decode(latents)
    verdict, seen, unseen = None, None, ""
    with _timed("looking", seconds):
        try:
            check_plan(chain)
            verdict = judge(model, chain, picture)
            seen = met(prompt, _sought(model, prompt, picture))
        except GoTError as error:
            unseen = str(error)
    return Trial(chain, written.text, ended, plan_met, picture, verdict, unseen, seen, seconds)


def _sought(model: GoTModel, prompt: Prompt, picture: Image.Image) -> Sequence[Thing]:
    """What the model finds of the things that a prompt is about, each asked for alone."""
    classes = {item.name for item in prompt.include}
    asked = (*prompt.include, *(item for item in prompt.exclude if item.name not in classes))
    names = dict.fromkeys(f"{item.color} {item.name}".strip() for item in asked)
    return [
        (name, element.grid_box)
        for name in names
        for element in model.locate(picture, [definite(f"a {name}")]).elements
        if element.grid_box
    ]


@contextmanager
def _timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Records the wall-clock seconds of a block, with the work that it has given to a GPU."""
    start = time.perf_counter()
    yield
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds[name] = time.perf_counter() - start
