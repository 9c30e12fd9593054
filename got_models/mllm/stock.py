"""Qwen2.5-VL and Qwen3-VL as published: they plan as an instruction tells them to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from ..chain.chain import ReasoningChain, Region
from ..chain.planner import Size, make_plan
from ..errors import Interrupted
from .decoding import end_tokens
from .detokenizing import Detokenizer, TextStream
from .kv_cache import modality_ids
from .prompts import IMAGE_PAD, VISION_END, VISION_START
from .settings import GenerationSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST_PIXELS = 1024 * 1024  # of a picture to look at: enough for a plan, and the prompt grows with them
DEFAULT_LENGTH, DEFAULT_TEMPERATURE = 1024, 0.7
TURN_START, TURN_END = "<|im_start|>", "<|im_end|>"
NEEDED = (TURN_START, TURN_END, VISION_START, VISION_END, IMAGE_PAD)
"""The tokens of a conversation with Qwen."""


class StockModel:
    """A multimodal LLM that has not been trained to plan.

    Args:
        mllm: on the device to run on.
        image_processor: it resizes pictures to sides that the vision tower can take.
        counts_pixels: whether the model writes boxes in pixels of the resized picture, as Qwen2.5-VL does.
    """

    def __init__(
        self, mllm: Any, tokenizer: PreTrainedTokenizerBase, image_processor: Any, *, counts_pixels: bool
    ) -> None:
        self.mllm = mllm
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.counts_pixels = counts_pixels

    def plan(
        self,
        prompt: str,
        task: str,
        image: Image.Image | None = None,
        locked: Sequence[Region] = (),
        settings: GenerationSettings | None = None,
        *,
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> ReasoningChain:
        """A plan, requested twice if the first reply cannot be read; locked regions are enforced.

        Raises:
            GoTError: no reply could be read.
            Interrupted: `should_stop` returned true.
        """

        def answer(text: str) -> str:
            return self.write(text, image, settings, on_text=on_text, should_stop=should_stop)

        return make_plan(answer, prompt, task, locked, self.size_counted(image))

    def size_counted(self, image: Image.Image | None) -> Size | None:
        """The (width, height) in whose pixels the model counts; None: in thousandths."""
        if image is None or not self.counts_pixels:
            return None
        _, height, width = self._patches(image)["image_grid_thw"][0].tolist()
        patch = self.image_processor.patch_size
        return int(width) * patch, int(height) * patch

    @torch.no_grad()
    def write(
        self,
        text: str,
        image: Image.Image | None = None,
        settings: GenerationSettings | None = None,
        *,
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> str:
        """The model's reply to a request, which may be about a picture.

        Args:
            settings: None: sampling at 0.7, at most 1024 tokens. Its locked regions do not count here.
            on_text: receives each new piece of the reply.
            should_stop: called after every token.

        Raises:
            Interrupted: `should_stop` returned true.
        """
        from transformers import GenerationConfig

        settings = settings or GenerationSettings(temperature=DEFAULT_TEMPERATURE)
        patches = None if image is None else self._patches(image)
        ids = self._conversation(text, patches).to(self.mllm.device)
        temperature = DEFAULT_TEMPERATURE if settings.temperature is None else settings.temperature
        sampling = {"temperature": temperature, "top_p": settings.top_p or 0.95, "top_k": 50}
        ends = list(end_tokens(self.mllm.generation_config)) or [self._id(TURN_END)]
        config = GenerationConfig(
            max_new_tokens=settings.max_new_tokens or DEFAULT_LENGTH,
            do_sample=temperature > 0,
            eos_token_id=ends,
            pad_token_id=ends[0],
            **(sampling if temperature > 0 else {}),
        )
        given = {} if patches is None else {name: value.to(ids.device) for name, value in patches.items()}
        if patches is not None:
            given |= modality_ids(self.mllm, ids)
        streamer = _Streamer(self.tokenizer, set(ends), on_text, should_stop)
        device = self.mllm.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            if settings.seed is not None:
                torch.manual_seed(settings.seed)
            self.mllm.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                generation_config=config,
                streamer=streamer,
                **given,
            )
        return streamer.text

    def _conversation(self, text: str, patches: dict[str, Any] | None) -> torch.Tensor:
        """The tokens [1, length] of the user's turn and of the beginning of the model's."""
        picture = ""
        if patches is not None:
            merged = self.image_processor.merge_size**2
            count = int(patches["image_grid_thw"].prod()) // merged
            picture = f"{VISION_START}{IMAGE_PAD * count}{VISION_END}"
        asked = f"{TURN_START}user\n{picture}{text}{TURN_END}\n{TURN_START}assistant\n"
        return torch.tensor([self.tokenizer(asked, add_special_tokens=False)["input_ids"]])

    def _patches(self, image: Image.Image) -> dict[str, Any]:
        """The picture's patches [p, d] and its grid [1, 3], in time, height and width."""
        image = image.convert("RGB")
        scale = (MOST_PIXELS / (image.width * image.height)) ** 0.5
        if scale < 1:
            image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
        return dict(self.image_processor(images=image, return_tensors="pt"))

    def _id(self, token: str) -> int:
        return int(self.tokenizer.get_vocab()[token])


class _Streamer:
    """What transformers' `generate` hands its tokens to: the text so far, and where it may be stopped."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        ends: set[int],
        on_text: Callable[[str], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self.detokenizer = Detokenizer.of(tokenizer)
        self.ends = ends
        self.should_stop = should_stop
        self.stream = TextStream(on_text)
        self.tokens: list[int] = []
        self.text = ""
        self.has_prompt = False

    def put(self, tokens: torch.Tensor) -> None:
        if self.should_stop is not None and self.should_stop():
            raise Interrupted("Writing the plan was interrupted.")
        if self.has_prompt:  # which comes first
            self.tokens += [token for token in tokens.flatten().tolist() if token not in self.ends]
            self.text = self.detokenizer.text(self.tokens)
            self.stream.show(self.text)
        self.has_prompt = True

    def end(self) -> None:
        self.stream.show(self.text, finished=True)
