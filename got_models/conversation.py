"""Several steps in one conversation: the MLLM plans, looks at what was drawn, and plans on.

In the published order. After the image tokens of a picture the MLLM goes on writing. If it ends with
`<|vision_start|>`, the picture follows for it to look at, and behind that the next chain, which changes the
picture. Any other end, or no room, ends the conversation, and so does a chain that no picture is to follow.
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
    """One step: the picture that was changed (None for a picture from nothing), the chain, the result."""

    source: Image.Image | None
    chain: ReasoningChain
    picture: Image.Image


class Conversation:
    """Steps taken all at once by `turns`, or one by one: `reason`, `encode`, draw, `show`, and so on.

    Args:
        prompt: the caption, or the instruction to edit.
        image: the picture to edit; None to generate one.

    Attributes:
        source: the picture that the next chain changes: the last one shown; None before there is one.
    """

    def __init__(self, model: GoTModel, prompt: str, image: Image.Image | None = None) -> None:
        self.model = model
        self.prompt = prompt
        self.source = image
        self._drawn: Image.Image | None = None  # and not yet looked at
        self._context = model.parts.reasoner().context(self._task, prompt, image)

    def reason(
        self,
        settings: GenerationSettings = GENERATION_DEFAULTS,
        *,
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> ReasoningChain | None:
        """The next chain; None where the MLLM wants no more. The first one is that of `GoTModel.reason`.

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
        """Guidance for the next picture; the MLLM reads the chain as the next words of the conversation."""
        return self.model.encode(chain, self.source, size, self._context)

    def show(self, chain: ReasoningChain, picture: Image.Image) -> None:
        """A picture was drawn from a chain: the conversation goes on behind both."""
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

        How many there are is the MLLM's choice; one that never learned to look at its results makes one. What
        one turn gives is what the next one changes. The seed is the same for all.

        Args:
            first_chain: the first chain, if the MLLM is not to write it.
            size: (height, width) in pixels of all drawing; by default the checkpoint's for the first task.
            writing, drawing: for every turn alike.
            scales: of "semantic", "spatial" and "reference" those that are not to be the task's default.
            keep_outside: in edits, take what lies outside the chain's boxes from the source.
            on_text, should_stop: as in `Reasoner.write`.
            on_step: as in `GoTModel.sample`.

        Raises:
            GoTError: less than one turn; and when a turn comes, what `reason`, `encode` and `sample` raise.
            Interrupted: `should_stop` said so.
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
            if source is not None and model.leaves_as_it_is(chain):
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
