"""The MLLM: a prompt (and a picture) becomes a reasoning chain, and a chain becomes 64 hidden states."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from .chain import ReasoningChain, Region
from .decoding import Decoding
from .errors import GoTError, Interrupted
from .finite import check_finite
from .locks import LockedRegions
from .prompts import TokenIds, conversation
from .reading import PrefixCache, modality_ids

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
        *,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        locked: Sequence[Region] = (),
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> str:
        """Let the MLLM write a chain; the raw text with its box tokens, without the token that ended it.

        Decoding follows the MLLM's own generation config. `temperature` 0 means greedy; another `temperature`
        (> 0) or a `top_p` (in (0, 1]) means plain sampling with these two, which `seed` makes reproducible.
        Of `locked` regions the text holds each phrase with its box exactly once (see `locks`).
        `on_text` receives each new piece of text, and with locked regions only what will stay; `should_stop`
        is asked after every token.

        Raises:
            GoTError: an unusable prompt, picture or decoding setting; more locked regions than tokens; values
                that are not finite.
            Interrupted: `should_stop` said so.
        """
        length = self.max_new_tokens if max_new_tokens is None else max_new_tokens
        if length < 1:
            raise GoTError(f"max_new_tokens must be at least 1, got {length}.")
        decoding = Decoding(self.mllm.generation_config, temperature, top_p)
        locks = LockedRegions(self.tokenizer, locked, length)
        sequence = _Sequence(self.mllm, self.cache, self._inputs(task, prompt, image))
        ids = self.token_ids
        stop_ids = (ids.image_start, ids.vision_start, ids.end_of_text)
        stream = _Stream(on_text)
        device = self.mllm.device
        written: list[int] = []
        text = ""
        refused: dict[int, set[int]] = {}  # place in the chain -> tokens that may not stand there
        with torch.random.fork_rng([device] if device.type == "cuda" else [], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            while True:
                missing = locks.missing(text)
                token = ids.end_of_text
                if len(written) + locks.cost(missing) < length:
                    token = sequence.next_token(written, decoding, refused.get(len(written), ()))
                    if should_stop is not None and should_stop():
                        raise Interrupted("Writing the reasoning chain was interrupted.")
                if token in stop_ids and not missing:
                    break
                if token in stop_ids:
                    written = locks.put_in(written, sequence.regret)
                elif token == ids.box_start and missing:
                    written = locks.open_box(written, token, sequence.regret)
                else:
                    written.append(token)
                if locks and locks.refuses(self._decode(written)):
                    place = sequence.least_certain(written, len(locks.without_box(written)), refused)
                    refused.setdefault(place, set()).add(written[place])
                    written = written[:place]
                if locks or on_text is not None:
                    text = self._decode(written)
                    stream.show(locks.certain(written) if locks else text)
        text = self._decode(written)
        stream.show(text, finished=True)
        return text

    @torch.no_grad()
    def read(self, chain: ReasoningChain, image: Image.Image | None = None) -> Tensor:
        """The MLLM's last hidden states [1, 64, hidden] at the image tokens that follow prompt and chain.

        What the MLLM has just written or read is not passed through it again.

        Raises:
            GoTError: the prompt and chain are longer than the MLLM's context; editing without a picture.
        """
        ids = self.token_ids
        text = self.tokenizer(chain.text, add_special_tokens=False)["input_ids"]
        inputs = self._inputs(chain.task, chain.prompt, image, [*text, ids.image_start, *ids.image_tokens])
        hidden = self.cache.read(
            inputs["input_ids"][0].tolist(),
            inputs.get("pixel_values"),
            inputs.get("image_grid_thw"),
            last=len(ids.image_tokens),
        )
        return hidden

    def _decode(self, tokens: list[int]) -> str:
        return str(self.tokenizer.decode(tokens, clean_up_tokenization_spaces=False))

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
        return inputs | modality_ids(self.mllm, input_ids)


def picture_patches(image_processor: Any, image: Image.Image, vision_size: int) -> tuple[Tensor, Tensor]:
    """A picture resized (bicubic) to a square -> (patches [p, d], grid [1, 3] of time, height and width).

    The image processor's own resizing is switched off: the number of visual tokens,
    (vision_size / patch size / merge size) squared, is fixed by the checkpoint.
    """
    square = image.convert("RGB").resize((vision_size, vision_size), Image.Resampling.BICUBIC)
    patches = image_processor(images=[square], do_resize=False, return_tensors="pt")
    return patches["pixel_values"], patches["image_grid_thw"]


@torch.no_grad()
def vision_features(
    mllm: Qwen2_5_VLForConditionalGeneration, pixel_values: Tensor, image_grid_thw: Tensor
) -> Tensor:
    """What the vision tower makes of pictures' patches: [visual tokens, hidden], as the decoder takes it."""
    tower: Any = mllm.model.visual
    features = tower(pixel_values.to(tower.device, tower.dtype), grid_thw=image_grid_thw.to(tower.device))
    tensor: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    return tensor


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

    As `hidden_states`, with the `vision_features` [visual tokens of the batch, hidden] already there.
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
    """One pass through the MLLM -> hidden states [b, 64, hidden] at the image tokens; also for training."""
    states = hidden_states(mllm, input_ids, attention_mask, pixel_values, image_grid_thw)
    return select_image_tokens(states[-1], input_ids, image_tokens)


class _Sequence:
    """A conversation that the MLLM continues. Tokens are those of the chain, without the prompt."""

    def __init__(self, mllm: Any, cache: PrefixCache, inputs: dict[str, Tensor]) -> None:
        self.mllm = mllm
        self.cache = cache
        self.prompt: list[int] = inputs["input_ids"][0].tolist()
        self.picture = inputs.get("pixel_values"), inputs.get("image_grid_thw")

    def next_token(self, tokens: list[int], decoding: Decoding, forbidden: Collection[int]) -> int:
        """What the MLLM writes after tokens."""
        ids = [*self.prompt, *tokens]
        hidden = self.cache.read(ids, *self.picture)
        token_ids = torch.tensor([ids], device=hidden.device)
        return decoding.choose(token_ids, self._logits(hidden[:, -1]), forbidden)

    def regret(self, tokens: list[int], following: list[int]) -> float:
        """By how much the likeliest tokens beat `following` in their places: see `locks.Regret`."""
        scores = self._scores(tokens, following)
        chosen = scores[torch.arange(len(following)), following]
        return float((scores.amax(dim=-1) - chosen).sum())

    def least_certain(self, tokens: list[int], start: int, refused: dict[int, set[int]]) -> int:
        """The place of tokens, from `start` on, where another token not refused would come closest."""
        following = tokens[start:]
        scores = self._scores(tokens[:start], following)
        chosen = scores[torch.arange(len(following)), following]
        for place, token in enumerate(following):
            scores[place, [token, *refused.get(start + place, ())]] = -torch.inf
        return start + int((scores.amax(dim=-1) - chosen).argmax())

    def _scores(self, tokens: list[int], following: list[int]) -> Tensor:
        """Logarithms of the probabilities [following, vocabulary] in the places of `following`."""
        ids = [*self.prompt, *tokens, *following]
        hidden = self.cache.read(ids, *self.picture, last=len(following) + 1)
        return self._logits(hidden[0, :-1]).float().log_softmax(dim=-1)

    def _logits(self, hidden: Tensor) -> Tensor:
        """
        Raises:
            GoTError: they are not finite, so that no token is likelier than another.
        """
        logits: Tensor = self.mllm.lm_head(hidden)
        check_finite(logits, "What the language model gives for the next token", self.mllm)
        return logits


class _Stream:
    """Passes on what is new in a growing text, in whole characters."""

    def __init__(self, on_text: Callable[[str], None] | None) -> None:
        self.on_text = on_text
        self.shown = 0

    def show(self, text: str, finished: bool = False) -> None:
        if self.on_text is None or len(text) <= self.shown:
            return
        if finished or not text.endswith(HALF_CHARACTER):
            self.on_text(text[self.shown :])
            self.shown = len(text)
