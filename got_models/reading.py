"""Reading on: the keys and values of what the MLLM read last, kept for what begins alike."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import DynamicCache

if TYPE_CHECKING:
    from transformers import Qwen2_5_VLForConditionalGeneration


class PrefixCache:
    """Reads one sequence after the other, each only from the first token that the one before did not have.

    Writing a chain token by token, reading it back with image tokens behind it, and reading it once more
    after an edit thus pass each token through the MLLM once. Holds one sequence, for GoT-6B in bfloat16 about
    36 kB per token, and forgets it when the MLLM has moved. Whoever changes the weights must call `forget`.
    """

    def __init__(self, mllm: Qwen2_5_VLForConditionalGeneration) -> None:
        self.mllm: Any = mllm
        arguments = inspect.signature(mllm.model.forward).parameters
        # Renamed in transformers 5.24, which warns of the old name.
        self._cache_argument = "cache" if "cache" in arguments else "past_key_values"
        self.forget()

    def forget(self) -> None:
        """Start from nothing, and free the memory."""
        self._token_ids: list[int] = []
        self._pixel_values: Tensor | None = None
        self._beginning: Tensor | None = None  # positions [3, 1, length] up to the end of the picture
        self._place: tuple[torch.device, torch.dtype] | None = None
        self._keys_and_values = DynamicCache()

    def release_if_moved(self) -> None:
        """Free the memory if the MLLM is no longer where it was when it read."""
        if self._place != (self.mllm.device, self.mllm.dtype):
            self.forget()

    @torch.no_grad()
    def read(
        self,
        token_ids: Sequence[int],
        pixel_values: Tensor | None,
        image_grid_thw: Tensor | None,
        last: int = 1,
    ) -> Tensor:
        """The hidden states [1, last, hidden] after the final norm, at the last tokens of a sequence.

        Args:
            token_ids: the whole sequence, prompt included, with at most one picture in it.
            pixel_values, image_grid_thw: patches [p, d] and grid [1, 3] of the picture; None without one.
            last: how many hidden states to give, at most the length of the sequence.
        """
        self.release_if_moved()
        device = self.mllm.device
        ids = list(token_ids)
        kept = min(_common_length(self._token_ids, ids), len(ids) - last)
        beginning = torch.zeros(3, 1, 0, dtype=torch.long, device=device)
        following = 0
        picture: dict[str, Tensor] = {}
        if pixel_values is not None and image_grid_thw is not None:
            pad = self.mllm.config.image_token_id
            first = ids.index(pad)
            end = next(place for place in range(first, len(ids)) if ids[place] != pad)
            if self._beginning is not None and kept >= end and _same(self._pixel_values, pixel_values):
                beginning = self._beginning
            else:
                kept = min(kept, first)
                picture = {"pixel_values": pixel_values, "image_grid_thw": image_grid_thw}
                beginning = self._positions(torch.tensor([ids[:end]], device=device), image_grid_thw)
            following = int(beginning.max()) + 1
        rest = torch.arange(len(ids) - beginning.shape[-1], device=device) + following
        positions = torch.cat([beginning, rest.expand(3, 1, -1)], dim=-1)

        keys_and_values, surplus = self._keys_and_values, len(self._token_ids) - kept
        self.forget()  # whatever goes wrong from here on leaves nothing half read
        if kept == 0:
            keys_and_values = DynamicCache()
        elif surplus:
            keys_and_values.crop(-surplus)
        outputs = self.mllm.model(
            input_ids=torch.tensor([ids[kept:]], device=device),
            position_ids=positions[..., kept:],
            use_cache=True,
            **{self._cache_argument: keys_and_values},
            **picture,
        )
        self._token_ids, self._pixel_values, self._beginning = ids, pixel_values, beginning
        self._place = (device, self.mllm.dtype)
        self._keys_and_values = keys_and_values
        hidden: Tensor = outputs.last_hidden_state
        return hidden[:, -last:]

    def _positions(self, input_ids: Tensor, image_grid_thw: Tensor) -> Tensor:
        """Positions [3, 1, length] in time, height and width of a sequence with a picture."""
        positions: Tensor = self.mllm.model.get_rope_index(
            input_ids, image_grid_thw=image_grid_thw, **modality_ids(self.mllm, input_ids)
        )[0]
        return positions


def modality_ids(mllm: Qwen2_5_VLForConditionalGeneration, input_ids: Tensor) -> dict[str, Tensor]:
    """transformers 5 wants token types (0 text, 1 picture) for the 3D positions; 4.5x finds them itself."""
    if "mm_token_type_ids" not in inspect.signature(mllm.model.get_rope_index).parameters:
        return {}
    return {"mm_token_type_ids": (input_ids == mllm.config.image_token_id).int()}


def _common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences share at their beginning."""
    both = enumerate(zip(first, second, strict=False))
    return next((place for place, (a, b) in both if a != b), min(len(first), len(second)))


def _same(first: Tensor | None, second: Tensor) -> bool:
    return first is not None and torch.equal(first, second)
