"""The MLLM: a prompt (and a picture) becomes a reasoning chain, and a chain becomes 64 hidden states."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor
from transformers.generation.stopping_criteria import StoppingCriteria, StoppingCriteriaList

from .chain import ReasoningChain
from .errors import GoTError, Interrupted
from .prompts import TokenIds, conversation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Qwen2_5_VLForConditionalGeneration

HALF_CHARACTER = "\ufffd"  # how a tokenizer decodes a character whose other tokens are still to come


class Reasoner:
    """Writes and reads reasoning chains.

    Args:
        mllm: the multimodal LLM, on the device it is to run on.
        tokenizer: its tokenizer, with the image tokens added.
        image_processor: its image processor; it normalises and cuts into patches, but never resizes.
        vision_size: side of the square picture that the vision tower sees, in pixels (448 for GoT-6B).
        max_new_tokens: longest chain, in tokens, unless a call says otherwise.
    """

    def __init__(
        self,
        mllm: Qwen2_5_VLForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        image_processor: Any,
        vision_size: int,
        max_new_tokens: int,
    ) -> None:
        self.mllm: Any = mllm  # Any: transformers' hint for generate() refuses its own models
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.vision_size = vision_size
        self.max_new_tokens = max_new_tokens
        self.token_ids = TokenIds.of(tokenizer)

    @torch.no_grad()
    def write(
        self,
        task: str,
        prompt: str,
        image: Image.Image | None = None,
        *,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> str:
        """Let the MLLM write a chain; the raw text with its box tokens, without the token that ended it.

        Decoding follows the MLLM's own generation config. `temperature` 0 means greedy; another `temperature`
        (> 0) or a `top_p` (in (0, 1]) means plain sampling with these two, which `seed` makes reproducible.
        `on_text` receives each new piece of text, `should_stop` is asked after every token.

        Raises:
            GoTError: an unusable prompt, picture or decoding setting.
            Interrupted: `should_stop` said so.
        """
        length = self.max_new_tokens if max_new_tokens is None else max_new_tokens
        if length < 1:
            raise GoTError(f"max_new_tokens must be at least 1, got {length}.")
        decoding = _decoding_settings(temperature, top_p)
        inputs = self._inputs(task, prompt, image)
        ids = self.token_ids
        stop_ids = (ids.image_start, ids.vision_start, ids.end_of_text)
        watcher = _Watcher(self.tokenizer, inputs["input_ids"].shape[1], stop_ids, on_text, should_stop)
        device = self.mllm.device
        with torch.random.fork_rng([device] if device.type == "cuda" else [], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            written = self.mllm.generate(
                **inputs,
                **decoding,
                use_cache=True,
                max_new_tokens=length,
                eos_token_id=list(stop_ids),
                pad_token_id=ids.end_of_text,
                stopping_criteria=StoppingCriteriaList([watcher]),
            )
        return watcher.finish(written[0])

    @torch.no_grad()
    def read(self, chain: ReasoningChain, image: Image.Image | None = None) -> Tensor:
        """The MLLM's last hidden states [1, 64, hidden] at the image tokens that follow prompt and chain.

        Raises:
            GoTError: the prompt and chain are longer than the MLLM's context; editing without a picture.
        """
        ids = self.token_ids
        text = self.tokenizer(chain.text, add_special_tokens=False)["input_ids"]
        inputs = self._inputs(chain.task, chain.prompt, image, [*text, ids.image_start, *ids.image_tokens])
        return read_hidden(
            self.mllm,
            inputs["input_ids"],
            inputs["attention_mask"],
            inputs.get("pixel_values"),
            inputs.get("image_grid_thw"),
            ids.image_tokens,
        )

    def _inputs(
        self, task: str, prompt: str, image: Image.Image | None, tail: Sequence[int] = ()
    ) -> dict[str, Tensor]:
        """The MLLM's keyword arguments for the conversation followed by the token ids in `tail`."""
        device = self.mllm.device
        inputs: dict[str, Tensor] = {}
        visual_tokens = 0
        if image is not None:
            pixel_values, grid = picture_patches(self.image_processor, image, self.vision_size)
            visual_tokens = int(grid.prod()) // self.image_processor.merge_size**2
            inputs = {"pixel_values": pixel_values.to(device), "image_grid_thw": grid.to(device)}
        text = conversation(self.tokenizer, task, prompt, visual_tokens)
        ids = [*self.tokenizer(text, add_special_tokens=False)["input_ids"], *tail]
        context = self.mllm.config.get_text_config().max_position_embeddings
        if len(ids) > context:
            raise GoTError(f"Prompt and chain are {len(ids)} tokens, the MLLM takes {context}; shorten them.")
        input_ids = torch.tensor([ids], device=device)
        inputs |= {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
        return inputs | _modality_ids(self.mllm, input_ids)


def picture_patches(image_processor: Any, image: Image.Image, vision_size: int) -> tuple[Tensor, Tensor]:
    """A picture resized (bicubic) to a square -> (patches [p, d], grid [1, 3] of time, height and width).

    The image processor's own resizing is switched off: the number of visual tokens,
    (vision_size / patch size / merge size) squared, is fixed by the checkpoint.
    """
    square = image.convert("RGB").resize((vision_size, vision_size), Image.Resampling.BICUBIC)
    patches = image_processor(images=[square], do_resize=False, return_tensors="pt")
    return patches["pixel_values"], patches["image_grid_thw"]


def hidden_states(
    mllm: Qwen2_5_VLForConditionalGeneration,
    input_ids: Tensor,
    attention_mask: Tensor | None,
    pixel_values: Tensor | None,
    image_grid_thw: Tensor | None,
) -> tuple[Tensor, ...]:
    """Hidden states [b, length, hidden] before each layer and after the final norm, for padded input_ids.

    pixel_values and image_grid_thw hold the patches of the batch's pictures in order; None without pictures.
    """
    outputs = mllm.model(
        input_ids=input_ids,
        attention_mask=attention_mask,
        pixel_values=pixel_values,
        image_grid_thw=image_grid_thw,
        use_cache=False,
        output_hidden_states=True,
        **_modality_ids(mllm, input_ids),
    )
    states: tuple[Tensor, ...] = outputs.hidden_states
    return states


def select_image_tokens(hidden: Tensor, input_ids: Tensor, image_tokens: Sequence[int]) -> Tensor:
    """The hidden states [b, 64, hidden] at each sequence's last 64 image tokens.

    Raises:
        GoTError: a sequence with fewer image tokens.
    """
    count = len(image_tokens)
    wanted = torch.tensor(image_tokens, device=input_ids.device)
    is_image = torch.isin(input_ids, wanted)
    fewest = int(is_image.sum(dim=1).min())
    if fewest < count:
        raise GoTError(f"Every sequence must end with {count} image tokens, got {fewest}.")
    positions = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
    last = torch.where(is_image, positions, -1).topk(count, dim=1).values.flip(1)  # [b, 64], ascending
    return hidden.gather(1, last.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))


def read_hidden(
    mllm: Qwen2_5_VLForConditionalGeneration,
    input_ids: Tensor,
    attention_mask: Tensor,
    pixel_values: Tensor | None,
    image_grid_thw: Tensor | None,
    image_tokens: Sequence[int],
) -> Tensor:
    """One pass through the MLLM -> hidden states [b, 64, hidden] at the image tokens; also for training."""
    states = hidden_states(mllm, input_ids, attention_mask, pixel_values, image_grid_thw)
    return select_image_tokens(states[-1], input_ids, image_tokens)


def _modality_ids(mllm: Qwen2_5_VLForConditionalGeneration, input_ids: Tensor) -> dict[str, Tensor]:
    """transformers 5 wants token types (0 text, 1 picture) for the 3D positions; 4.5x finds them itself."""
    if "mm_token_type_ids" not in inspect.signature(mllm.model.get_rope_index).parameters:
        return {}
    return {"mm_token_type_ids": (input_ids == mllm.config.image_token_id).int()}


def _decoding_settings(temperature: float | None, top_p: float | None) -> dict[str, Any]:
    """What replaces the generation config's sampling settings in `generate`; nothing when both are None."""
    if temperature is not None and not 0.0 <= temperature < float("inf"):
        raise GoTError(f"The temperature must be a finite number of at least 0, got {temperature}.")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise GoTError(f"top_p must be greater than 0 and at most 1, got {top_p}.")
    if temperature is None and top_p is None:
        return {}
    if temperature == 0.0:
        return {"do_sample": False}
    return {
        "do_sample": True,
        "temperature": 1.0 if temperature is None else temperature,
        "top_p": 1.0 if top_p is None else top_p,
        "top_k": 0,
    }


class _Watcher(StoppingCriteria):
    """Sees every new token: passes new text on, and raises Interrupted when asked to stop."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        prompt_length: int,
        stop_ids: Sequence[int],
        on_text: Callable[[str], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self.tokenizer = tokenizer
        self.prompt_length = prompt_length
        self.stop_ids = frozenset(stop_ids)
        self.on_text = on_text
        self.should_stop = should_stop
        self.shown = 0

    def text(self, ids: Tensor) -> str:
        """The text written so far in ids [length] (prompt included), up to the token that ends it."""
        written = ids[self.prompt_length :].tolist()
        end = next((index for index, token in enumerate(written) if token in self.stop_ids), len(written))
        return str(self.tokenizer.decode(written[:end], clean_up_tokenization_spaces=False))

    def finish(self, ids: Tensor) -> str:
        """The whole text; what has not been passed on yet is passed on now."""
        text = self.text(ids)
        if self.on_text is not None and len(text) > self.shown:
            self.on_text(text[self.shown :])
        return text

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        if self.should_stop is not None and self.should_stop():
            raise Interrupted("Writing the reasoning chain was interrupted.")
        if self.on_text is not None:
            text = self.text(input_ids[0])
            if len(text) > self.shown and not text.endswith(HALF_CHARACTER):
                self.on_text(text[self.shown :])
                self.shown = len(text)
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
