"""Reading in blocks with a prefix cache: the KV cache of the last sequence, reused for a common prefix."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import DynamicCache

from .detokenizing import common_length

if TYPE_CHECKING:
    from transformers import Qwen2_5_VLForConditionalGeneration

BLOCK = 64
"""Tokens per block, counted from the beginning of the sequence.

In bfloat16 a token's keys and values depend, in their last bits, on which tokens are processed with it. With
fixed block boundaries a sequence gives the same hidden states whatever was read before it.
"""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in a sequence.

    Attributes:
        first: the position of its first token.
        pixel_values: its patches [p, d], on the CPU.
        grid: the number of patches in time (1), height and width: [1, 3], on the CPU.
    """

    first: int
    pixel_values: Tensor
    grid: Tensor

    def shows(self, other: Picture) -> bool:
        """Whether the other has the same pixels."""
        return self.pixel_values is other.pixel_values or (
            torch.equal(self.grid, other.grid) and torch.equal(self.pixel_values, other.pixel_values)
        )


@dataclass(frozen=True, eq=False)
class Context:
    """The MLLM's context: the tokens of a conversation, and the pictures among them."""

    tokens: Sequence[int]
    pictures: Sequence[Picture] = ()

    def followed_by(self, *tokens: int) -> Context:
        """This context with tokens appended."""
        return Context([*self.tokens, *tokens], self.pictures)

    def followed_by_picture(self, token: int, count: int, pixel_values: Tensor, grid: Tensor) -> Context:
        """This context with a picture appended, as `count` copies of `token`."""
        picture = Picture(len(self.tokens), pixel_values, grid)
        return Context([*self.tokens, *[token] * count], [*self.pictures, picture])


class PrefixCache:
    """Reads one sequence after another and reuses the KV cache of their common prefix.

    Reading a chain again after an edit thus computes only the blocks from the first change on. Holds one
    sequence, for GoT-6B in bfloat16 about 36 kB per token, and drops it when the MLLM has moved. Whoever
    changes the weights must call `forget`.
    """

    def __init__(self, mllm: Qwen2_5_VLForConditionalGeneration) -> None:
        self.mllm: Any = mllm
        arguments = inspect.signature(mllm.model.forward).parameters
        # Renamed in transformers 5.24, which warns about the old name.
        self.cache_argument = "cache" if "cache" in arguments else "past_key_values"
        self.forget()

    def forget(self) -> None:
        """Clear the cache and free its memory."""
        self._token_ids: list[int] = []
        self._in_blocks = 0  # how many of these were read in full blocks
        self._pictures: list[tuple[Picture, Tensor]] = []  # with their features
        self._place: tuple[torch.device, torch.dtype] | None = None
        self._keys_and_values = DynamicCache()

    def release_if_moved(self) -> None:
        """Free the memory if the MLLM is no longer on the device where the cache was computed."""
        if self._place != (self.mllm.device, self.mllm.dtype):
            self.forget()

    @torch.no_grad()
    def read(
        self,
        token_ids: Sequence[int],
        pictures: Sequence[Picture] = (),
        last: int = 1,
    ) -> Tensor:
        """The hidden states [1, last, hidden] after the final norm, at the last tokens of a sequence.

        Args:
            token_ids: the whole sequence, prompt included.
            pictures: those in it, from left to right.
            last: how many hidden states to return, at most the length of the sequence.
        """
        self.release_if_moved()
        ids = list(token_ids)
        in_blocks = (len(ids) - last) // BLOCK * BLOCK
        kept = min(self._shared(ids, pictures), self._in_blocks, in_blocks) // BLOCK * BLOCK
        ends = [*range(kept + BLOCK, in_blocks + 1, BLOCK), len(ids)]

        known, keys_and_values = self._pictures, self._keys_and_values
        surplus = len(self._token_ids) - kept
        self.forget()  # so that an error from here on leaves no partial state
        if kept == 0:
            keys_and_values = DynamicCache()
        elif surplus:
            keys_and_values.crop(-surplus)
        seen = [(picture, self._features(picture, known)) for picture in pictures]
        embeddings = self._embeddings(ids, seen, kept)
        positions = self._positions(len(ids), pictures).to(self.mllm.device)
        start = kept
        for end in ends:
            hidden: Tensor = self.mllm.model(
                inputs_embeds=embeddings[:, start - kept : end - kept],
                position_ids=positions[..., start:end],
                use_cache=True,
                **{self.cache_argument: keys_and_values},
            ).last_hidden_state
            start = end
        self._token_ids, self._in_blocks, self._pictures = ids, in_blocks, seen
        self._place = (self.mllm.device, self.mllm.dtype)
        self._keys_and_values = keys_and_values
        return hidden[:, -last:]

    def keys_and_values(self) -> list[tuple[Tensor, Tensor]]:
        """Those of the last sequence in each layer, [1, heads, length, width]."""
        cache: Any = self._keys_and_values
        if hasattr(cache, "layers"):
            return [(layer.keys, layer.values) for layer in cache.layers]
        return list(zip(cache.key_cache, cache.value_cache, strict=True))  # before transformers 4.54

    def next_position(self, context: Context) -> int:
        """The position of the text that follows a context."""
        return int(self._positions(len(context.tokens), context.pictures).amax()) + 1

    def _shared(self, ids: list[int], pictures: Sequence[Picture]) -> int:
        """The length of the common prefix with the last sequence, pictures included."""
        shared = common_length(self._token_ids, ids)
        for before, now in zip_longest((picture for picture, _ in self._pictures), pictures):
            if before is None or now is None or before.first != now.first or not before.shows(now):
                return min(shared, *(picture.first for picture in (before, now) if picture is not None))
        return shared

    def _features(self, picture: Picture, known: Sequence[tuple[Picture, Tensor]]) -> Tensor:
        """The vision tower's features of a picture, cached or computed: [visual tokens, hidden]."""
        for other, features in known:
            if other.shows(picture):
                return features
        return vision_features(self.mllm, picture.pixel_values, picture.grid)

    def _embeddings(self, ids: list[int], seen: Sequence[tuple[Picture, Tensor]], start: int) -> Tensor:
        """The decoder's input embeddings [1, length - start, hidden] for the tokens from `start` on."""
        rest = torch.tensor([ids[start:]], device=self.mllm.device)
        embeddings: Tensor = self.mllm.get_input_embeddings()(rest)
        for picture, features in seen:
            begin, end = max(picture.first, start), picture.first + len(features)
            if begin < end:
                embeddings[0, begin - start : end - start] = features[begin - picture.first :].to(embeddings)
        return embeddings

    def _positions(self, length: int, pictures: Sequence[Picture]) -> Tensor:
        """Positions [3, 1, length] in time, height and width, on the CPU.

        Text advances all three. A picture's tokens share one time and are numbered by row and column; the
        text after it continues from the larger of these. An image token that the MLLM wrote itself counts as
        text.
        """
        merged = self.mllm.config.vision_config.spatial_merge_size
        parts: list[Tensor] = []
        place = following = 0
        for picture in pictures:
            words = picture.first - place
            parts.append(torch.arange(following, following + words).expand(3, -1))
            following += words
            _, rows, columns = (side // merged for side in picture.grid[0].tolist())
            corner = torch.zeros(rows, columns, dtype=torch.long)
            row, column = corner + torch.arange(rows)[:, None], corner + torch.arange(columns)
            parts.append(torch.stack([corner, row, column]).flatten(1) + following)
            following += max(rows, columns)
            place = picture.first + rows * columns
        parts.append(torch.arange(following, following + length - place).expand(3, -1))
        return torch.cat(parts, dim=-1)[:, None]


def modality_ids(mllm: Qwen2_5_VLForConditionalGeneration, input_ids: Tensor) -> dict[str, Tensor]:
    """transformers 5 needs token types (0 text, 1 picture) for the 3D positions; 4.5x derives them itself."""
    if "mm_token_type_ids" not in inspect.signature(mllm.model.get_rope_index).parameters:
        return {}
    return {"mm_token_type_ids": (input_ids == mllm.config.image_token_id).int()}


@torch.no_grad()
def vision_features(
    mllm: Qwen2_5_VLForConditionalGeneration, pixel_values: Tensor, image_grid_thw: Tensor
) -> Tensor:
    """The vision tower's features of patches, as the decoder takes them: [visual tokens, hidden]."""
    tower: Any = mllm.model.visual
    features = tower(pixel_values.to(tower.device, tower.dtype), grid_thw=image_grid_thw.to(tower.device))
    tensor: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    return tensor
