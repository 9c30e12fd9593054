"""Models on this machine as annotators: a GoT checkpoint, and Qwen2.5-VL and Qwen3-VL as published."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL import Image

from ..chain.planner import Size
from ..mllm.settings import GenerationSettings
from .annotator import PIXELS, THOUSANDTHS, AnswerError

if TYPE_CHECKING:
    from ..mllm.stock import StockModel
    from ..pipeline import GoTModel

LONGEST_ANSWER = 1024  # tokens


class CheckpointAnnotator:
    """A GoT checkpoint. It says what a picture shows and where things are, and nothing else.

    Args:
        should_stop: called after every token; true stops with `Interrupted`.
    """

    coordinates = PIXELS
    follows_instructions = False
    tokens = 0

    def __init__(self, model: GoTModel, should_stop: Callable[[], bool] | None = None) -> None:
        self.name = f"the checkpoint {model.path.name}"
        self._model = model
        self._should_stop = should_stop

    def size_shown(self, picture: Image.Image) -> Size:
        """A square, whatever the picture's shape."""
        side = self._model.settings.vision_size
        return side, side

    def answer(self, question: str, picture: Image.Image | None = None) -> str:
        if picture is None:
            raise AnswerError(f"{self.name} answers questions about pictures alone.")
        reasoner = self._model.parts.reasoner()
        return reasoner.answer(question, picture, should_stop=self._should_stop)


class StockAnnotator:
    """Qwen2.5-VL, which counts pixels, or Qwen3-VL, which counts thousandths.

    Args:
        should_stop: as for a checkpoint.
    """

    follows_instructions = True
    tokens = 0

    def __init__(self, model: StockModel, name: str, should_stop: Callable[[], bool] | None = None) -> None:
        self.name = name
        self.coordinates = PIXELS if model.counts_pixels else THOUSANDTHS
        self._model = model
        self._should_stop = should_stop

    def size_shown(self, picture: Image.Image) -> Size:
        return self._model.size_counted(picture) or picture.size

    def answer(self, question: str, picture: Image.Image | None = None) -> str:
        settings = GenerationSettings(max_new_tokens=LONGEST_ANSWER, temperature=0.0)
        return self._model.write(question, picture, settings, should_stop=self._should_stop)
