"""A CLIP of ComfyUI that can write, used as ComfyUI's own Generate Text does."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...got_models.errors import GoTError
from ...got_models.mllm.detokenizing import Detokenizer
from .feedback import stop_if_interrupted

if TYPE_CHECKING:
    from torch import Tensor

CAN_WRITE = "Qwen3-VL, Qwen3.5, Gemma 3, Gemma 4 or Ministral 3, from Load CLIP"
CAN_LOOK = "Qwen3-VL, Qwen3.5, Gemma 3 or Gemma 4, each with its vision tower"
MOST_PIXELS = 1024 * 1024  # of a picture to look at: enough for a plan, and the prompt grows with them
INSTRUCT = "[INST]{}[/INST]"
"""Mistral's chat template, for a tokenizer of ComfyUI that has none."""


def write(
    clip: Any,
    text: str,
    image: Tensor | None,
    *,
    seed: int,
    temperature: float,
    max_new_tokens: int,
    on_text: Callable[[str], None],
) -> str:
    """The output of ComfyUI's language model.

    ComfyUI's progress bar counts its tokens. Stop ends it at the next one.

    Args:
        image: [b, height, width, channels]; the model sees the first picture of the batch.
        on_text: receives all text so far after each token.

    Raises:
        GoTError: the CLIP cannot write, or not look at a picture.
    """
    writer = writer_of(clip)
    if writer is None:
        raise GoTError(
            f"This CLIP cannot write, it only encodes prompts. Load one that can: {CAN_WRITE}, in ComfyUI "
            "0.33 or newer."
        )
    picture = _picture(image)
    tokens = clip.tokenize(
        _templated(clip, text), skip_template=False, min_length=1, thinking=False, **picture
    )
    if picture and not _holds_picture(tokens):
        raise GoTError(
            f"This language model cannot look at pictures, and so plans no edit and annotates nothing. Load "
            f"{CAN_LOOK}."
        )
    # Speculative decoding, in newer versions, gives another plan for the same seed.
    newer = {"mtp": False} if "mtp" in inspect.signature(clip.generate).parameters else {}
    detokenizer = Detokenizer(lambda written: str(clip.decode(written)))
    with _watched(writer, lambda written: on_text(detokenizer.text(written))):
        written = clip.generate(
            tokens,
            do_sample=temperature > 0,
            max_length=max_new_tokens,
            temperature=temperature or 1.0,
            seed=seed,
            **newer,
        )
    return str(clip.decode(written))


def writer_of(clip: Any) -> Any:
    """The module of a CLIP that generates tokens; None if there is none (0.33 has some, 0.3.64 has not)."""
    if not all(hasattr(clip, name) for name in ("tokenize", "generate", "decode")):
        return None
    return next((module for module in clip.cond_stage_model.modules() if _generates(module)), None)


def _generates(module: Any) -> bool:
    """Whether a module generates, and knows where to stop: ComfyUI's Qwen2.5-VL has the method alone."""
    if not (hasattr(module, "generate") and hasattr(module, "get_input_embeddings")):
        return False
    config = module.model.config
    return hasattr(config, "stop_tokens") and getattr(config, "can_generate", True)


def _templated(clip: Any, text: str) -> str:
    """The text as a question, for a tokenizer that does not make it one itself."""
    is_bare = hasattr(clip.tokenizer, "ministral3_3b") and not hasattr(clip.tokenizer, "llama_template")
    return INSTRUCT.format(text) if is_bare else text


def _picture(image: Tensor | None) -> dict[str, Any]:
    """The first picture of a batch, under both names that ComfyUI's tokenizers take it by."""
    if image is None:
        return {}
    from torch.nn.functional import interpolate

    first = image[:1, ..., :3].movedim(-1, 1)
    scale = (MOST_PIXELS / (first.shape[2] * first.shape[3])) ** 0.5
    if scale < 1:
        size = [max(1, round(side * scale)) for side in first.shape[2:]]
        first = interpolate(first, size, mode="area")
    picture = first.movedim(1, -1)
    return {"image": picture, "images": [picture]}


def _holds_picture(tokens: Any) -> bool:
    """Whether a picture has come among the tokens, as ComfyUI's tokenizers put it there."""
    rows = next(iter(tokens.values())) if isinstance(tokens, dict) else tokens
    return any(isinstance(token[0], dict) for row in rows for token in row)


@contextmanager
def _watched(writer: Any, on_tokens: Callable[[list[int]], None]) -> Iterator[None]:
    """A context in which `on_tokens` receives all tokens so far whenever the model reads the last one."""
    tokens: list[int] = []

    def see(module: Any, given: tuple[Any, ...]) -> None:
        if given[0].numel() == 1:  # the prompt is read at once, and is longer
            stop_if_interrupted()
            tokens.append(int(given[0]))
            on_tokens(tokens)

    handle = writer.get_input_embeddings().register_forward_pre_hook(see)
    try:
        yield
    finally:
        handle.remove()
