"""Several turns in one conversation: the MLLM plans, looks at the result, and plans again.

In the published token order. After a picture's image tokens the MLLM continues. If it ends with
`<|vision_start|>`, the picture is appended for it to look at, followed by the next chain, which edits the
picture. Any other end, a full context, or a chain without image tokens ends the conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from PIL import Image

from .chain.chain import ReasoningChain
from .diffusion.settings import SAMPLING_DEFAULTS, SamplingSettings
from .edit_area import finish_edit
from .errors import GoTError
from .mllm.settings import GENERATION_DEFAULTS, GenerationSettings

if TYPE_CHECKING:
    from .diffusion.guidance import Guidance
    from .diffusion.sampler import Step
    from .pipeline import GoTModel


@dataclass(frozen=True)
class Turn:
    """One turn: the picture that was edited (None for a new picture), the chain, the result."""

    source: Image.Image | None
    chain: ReasoningChain
    picture: Image.Image


class Conversation:
    """All turns at once with `turns`, or one by one: `reason`, `encode`, draw, `show`, and so on.

    Args:
        prompt: the caption, or the editing instruction.
        image: the picture to edit; None to generate one.

    Attributes:
        source: the picture that the next chain edits: the last one shown, or None if there is none yet.
    """

    def __init__(self, model: GoTModel, prompt: str, image: Image.Image | None = None) -> None:
        self.model = model
        self.prompt = prompt
        self.source = image
        self._drawn: Image.Image | None = None  # not shown to the MLLM yet
        self._context = model.parts.reasoner().context(self._task, prompt, image)

    def reason(
        self,
        settings: GenerationSettings = GENERATION_DEFAULTS,
        *,
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> ReasoningChain | None:
        """The next chain; None if the MLLM ends the conversation. The first one equals `GoTModel.reason`'s.

        Arguments and errors as in `Reasoner.write`.
        """
        reasoner = self.model.parts.reasoner()
        ids = reasoner.token_ids
        write = partial(
            reasoner.continue_conversation, settings=settings, on_text=on_text, should_stop=should_stop
        )
        written = write(self._context)
        if self._drawn is not None:
            if written.end != ids.vision_start:
                return None
            looking = self._context.followed_by(*written.tokens)
            self._context, self._drawn = reasoner.with_picture(looking, self._drawn), None
            written = write(self._context)
            if written.end != ids.image_start:
                return None
        return ReasoningChain.read(written.text, self._task, self.prompt)

    def encode(self, chain: ReasoningChain, size: tuple[int, int] | None = None) -> Guidance:
        """Guidance for the next picture; the MLLM reads the chain as a continuation of the conversation."""
        return self.model.encode(chain, self.source, size, self._context)

    def show(self, chain: ReasoningChain, picture: Image.Image) -> None:
        """Append a chain and the picture drawn from it to the conversation."""
        self._context = self.model.parts.reasoner().with_chain(self._context, chain)
        self.source = self._drawn = picture

    def turns(
        self,
        most: int,
        *,
        first_chain: ReasoningChain | None = None,
        size: tuple[int, int] | None = None,
        writing: GenerationSettings = GENERATION_DEFAULTS,
        drawing: SamplingSettings = SAMPLING_DEFAULTS,
        scales: Mapping[str, float] | None = None,
        keep_outside: bool = True,
        on_text: Callable[[str], None] | None = None,
        on_step: Callable[[Step], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Iterator[Turn]:
        """Plan, draw and look, at most `most` times, one picture after the other.

        The MLLM decides how many; one that was never trained to look at its results makes one. Each turn
        edits the previous turn's result. The seed is the same for all.

        Args:
            first_chain: the first chain, if the MLLM is not to generate it.
            size: (height, width) in pixels for all turns; by default the checkpoint's for the first task.
            writing, drawing: the settings, the same for every turn.
            scales: those of "semantic", "spatial" and "reference" that differ from the task's defaults.
            keep_outside: in edits, keep the source outside the chain's boxes.
            on_text, should_stop: as in `Reasoner.write`.
            on_step: as in `GoTModel.sample`.

        Raises:
            GoTError: fewer than one turn; and during a turn, the errors of `reason`, `encode` and `sample`.
            Interrupted: `should_stop` returned true.
        """
        if most < 1:
            raise GoTError(
                f"A conversation must have at least 1 turn, got {most}. Each turn draws a picture."
            )
        model = self.model
        defaults = model.settings.tasks[self._task]
        size = size or (defaults.height, defaults.width)
        chain = first_chain
        for _ in range(most):
            chain = chain or self.reason(writing, on_text=on_text, should_stop=should_stop)
            if chain is None:
                return
            source = self.source
            chosen = replace(model.default_scales(chain.task), **(scales or {}))
            settings = replace(drawing, scales=chosen)
            if source is not None and model.leaves_unchanged(chain):
                picture = source
            else:
                guidance = self.encode(chain, size)
                picture = model.sample(guidance, settings, on_step=on_step, should_stop=should_stop)
                if source is not None:
                    picture = finish_edit(picture, source, chain, keep_outside=keep_outside)
            self.show(chain, picture)
            yield Turn(source, chain, picture)
            chain = None

    @property
    def _task(self) -> str:
        return "generate" if self.source is None else "edit"
