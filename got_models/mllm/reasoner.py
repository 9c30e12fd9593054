"""The MLLM: a prompt (and a picture) becomes a reasoning chain, and a chain becomes 64 hidden states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from ..chain.chain import ReasoningChain
from ..errors import GoTError
from ..mllm.settings import GENERATION_DEFAULTS, GenerationSettings
from .constrained_decoding import LockedRegions
from .decoding import Decoding, end_tokens
from .generation import Continuation, Writing, Written
from .kv_cache import Context, PrefixCache, modality_ids
from .prompts import TokenIds, conversation, user_turn
from .speculative_decoding import DraftedPasses, Drafts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Qwen2_5_VLForConditionalGeneration

Patches = tuple[int, Tensor, Tensor]
"""A picture's number of tokens, its patches, and their grid."""


class Reasoner:
    """Writes and reads reasoning chains.

    Args:
        mllm: the multimodal LLM, on the device to run on.
        tokenizer: its tokenizer, with the image tokens added.
        image_processor: its image processor; it normalizes and cuts into patches, but never resizes.
        vision_size: side of the square picture for the vision tower, in pixels (448 for GoT-6B).
        max_new_tokens: the maximum length of a chain, in tokens, unless a call overrides it.
    """

    def __init__(
        self,
        mllm: Qwen2_5_VLForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        image_processor: Any,
        vision_size: int,
        max_new_tokens: int,
    ) -> None:
        self.mllm: Any = mllm
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.vision_size = vision_size
        self.max_new_tokens = max_new_tokens
        self.token_ids = TokenIds.of(tokenizer)
        self.cache = PrefixCache(mllm)

    @torch.no_grad()
    def write(
        self,
        task: str,
        prompt: str,
        image: Image.Image | None = None,
        settings: GenerationSettings = GENERATION_DEFAULTS,
        *,
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> str:
        """Generate a chain; the raw text with its box tokens, without the token that ended it.

        Decoding follows the MLLM's generation config where the settings leave it to the checkpoint. A
        `temperature` above 0 or a `top_p` means plain sampling with these two. With `locked` regions the text
        holds each phrase with its box exactly once (see `constrained_decoding`).

        Args:
            on_text: receives each new piece of text; with locked regions only text that is final.
            should_stop: called after every token, and for every position that is tried for a locked region.

        Raises:
            GoTError: an invalid prompt or picture; more locked regions than tokens; one that cannot be
                placed; values that are not finite.
            Interrupted: `should_stop` returned true.
        """
        context = self.context(task, prompt, image)
        return self.continue_conversation(context, settings, on_text=on_text, should_stop=should_stop).text

    @torch.no_grad()
    def continue_conversation(
        self,
        context: Context,
        settings: GenerationSettings = GENERATION_DEFAULTS,
        *,
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Written:
        """Generate the continuation of a conversation. Arguments and errors as in `write`."""
        length = self.max_new_tokens if settings.max_new_tokens is None else settings.max_new_tokens
        decoding = Decoding(self.mllm.generation_config, settings.temperature, settings.top_p)
        locks = LockedRegions(self.tokenizer, settings.locked, length)
        drafts = Drafts(self.tokenizer, context.tokens)
        passes = DraftedPasses(self.mllm, self.cache, self._fitting(context), drafts)
        continuation = Continuation(self.mllm, passes, should_stop)
        box_start = self.token_ids.box_start
        writing = Writing(
            continuation, self.tokenizer, decoding, locks, box_start, self.stop_ids, length, on_text
        )
        device = self.mllm.device
        with torch.random.fork_rng(
            [device] if device.type == "cuda" else [], enabled=settings.seed is not None
        ):
            if settings.seed is not None:
                torch.manual_seed(settings.seed)
            return writing.run()

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """The tokens that end a chain: GoT's and the MLLM's own."""
        ids = self.token_ids
        return ids.end_of_text, ids.image_start, ids.vision_start, *end_tokens(self.mllm.generation_config)

    @torch.no_grad()
    def read(
        self, chain: ReasoningChain, image: Image.Image | None = None, context: Context | None = None
    ) -> Tensor:
        """The MLLM's last hidden states [1, 64, hidden] at the image tokens that follow prompt and chain.

        They depend on these alone, to the last bit, and not on earlier calls: from the cache only whole
        blocks of a common prefix are reused (see `kv_cache`).

        Args:
            context: what precedes the chain, if more than its prompt and the picture.

        Raises:
            GoTError: prompt and chain exceed the MLLM's context; editing without a picture.
        """
        if context is None:
            context = self.context(chain.task, chain.prompt, image)
        whole = self._fitting(self.with_chain(context, chain))
        return self.cache.read(whole.tokens, whole.pictures, last=len(self.token_ids.image_tokens))

    def answer(
        self,
        words: str,
        image: Image.Image,
        settings: GenerationSettings = GENERATION_DEFAULTS,
        *,
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> str:
        """Answer a question about a picture. Arguments and errors as in `write`."""
        context = self.question(words, image)
        return self.continue_conversation(context, settings, on_text=on_text, should_stop=should_stop).text

    def question(self, words: str, image: Image.Image) -> Context:
        """The context of an answer: a question about a picture."""
        patches = self._patches(image)
        return self._with_patches(user_turn(self.tokenizer, words, patches[0]), patches)

    def context(self, task: str, prompt: str, image: Image.Image | None) -> Context:
        """The context of a first chain: the instruction, and the picture if there is one."""
        patches = None if image is None else self._patches(image)
        text = conversation(self.tokenizer, task, prompt, patches[0] if patches else 0)
        return self._with_patches(text, patches)

    def _with_patches(self, text: str, patches: Patches | None) -> Context:
        context = Context(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if patches is None:
            return context
        pad = self.token_ids.image_pad
        count, *picture = patches
        first = context.tokens.index(pad)
        before, behind = context.tokens[:first], context.tokens[first + count :]
        return Context(before).followed_by_picture(pad, count, *picture).followed_by(*behind)

    def with_chain(self, context: Context, chain: ReasoningChain) -> Context:
        """A conversation extended by a chain and the image tokens of its picture."""
        ids = self.token_ids
        text = self.tokenizer(chain.mllm_text, add_special_tokens=False)["input_ids"]
        return context.followed_by(*text, ids.image_start, *ids.image_tokens)

    def with_picture(self, context: Context, image: Image.Image) -> Context:
        """A conversation extended by a picture to look at."""
        ids = self.token_ids
        seen = context.followed_by(ids.vision_start)
        seen = seen.followed_by_picture(ids.image_pad, *self._patches(image))
        return seen.followed_by(ids.vision_end)

    def _patches(self, image: Image.Image) -> Patches:
        """The number of tokens for a picture, its patches, and their grid."""
        pixel_values, grid = picture_patches(self.image_processor, image, self.vision_size)
        return int(grid.prod()) // self.image_processor.merge_size**2, pixel_values, grid

    def _fitting(self, context: Context) -> Context:
        """
        Raises:
            GoTError: the conversation exceeds the MLLM's context.
        """
        length, most = len(context.tokens), self.mllm.config.get_text_config().max_position_embeddings
        if length > most:
            raise GoTError(f"Prompt and chain are {length} tokens, the MLLM takes {most}; shorten them.")
        return context

    def inputs(self, context: Context) -> dict[str, Tensor]:
        """The MLLM's keyword arguments for a conversation.

        Raises:
            GoTError: it exceeds the MLLM's context.
        """
        tokens = self._fitting(context).tokens
        input_ids = torch.tensor([tokens], device=self.mllm.device)
        inputs = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
        for picture in context.pictures:
            inputs["pixel_values"] = picture.pixel_values.to(input_ids.device)
            inputs["image_grid_thw"] = picture.grid.to(input_ids.device)
        return inputs | modality_ids(self.mllm, input_ids)


def picture_patches(image_processor: Any, image: Image.Image, vision_size: int) -> tuple[Tensor, Tensor]:
    """A picture resized (bicubic) to a square -> (patches [p, d], grid [1, 3] of time, height and width).

    The image processor's own resizing is disabled: the number of visual tokens,
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
        **modality_ids(mllm, input_ids),
    )
    states: tuple[Tensor, ...] = outputs.hidden_states
    return states


def hidden_states_of_features(
    mllm: Qwen2_5_VLForConditionalGeneration,
    input_ids: Tensor,
    features: Tensor | None,
    image_grid_thw: Tensor | None,
) -> Tensor:
    """Hidden states [b, length, hidden] after the final norm, for input_ids padded on the right.

    As `hidden_states`, with precomputed `vision_features` [visual tokens of the batch, hidden].
    """
    embeddings = mllm.get_input_embeddings()(input_ids)
    if features is not None:
        pictured = (input_ids == mllm.config.image_token_id).unsqueeze(-1)
        embeddings = embeddings.masked_scatter(pictured, features.to(embeddings))
    positions = mllm.model.get_rope_index(
        input_ids, image_grid_thw=image_grid_thw, **modality_ids(mllm, input_ids)
    )[0]
    hidden: Tensor = mllm.model(
        inputs_embeds=embeddings, position_ids=positions, use_cache=False
    ).last_hidden_state
    return hidden


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
    """One forward pass -> hidden states [b, 64, hidden] at the image tokens; also used for training."""
    states = hidden_states(mllm, input_ids, attention_mask, pixel_values, image_grid_thw)
    return select_image_tokens(states[-1], input_ids, image_tokens)
