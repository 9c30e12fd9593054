"""The MLLM's instructions, and the special tokens around its answer, whose ids only the tokenizer knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..chain.chain import BOX_END, BOX_START, SPECIAL_TOKEN, TASKS
from ..errors import GoTError, short_repr
from ..notes import Note

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GENERATE_TEMPLATE = "Follow the caption to generate an image through a chain of thought process: {prompt}"
EDIT_TEMPLATE = "Follow the instruction to edit the given image through a chain of thought process: {prompt}"
DESCRIBE = "Describe this picture: name every object in it, and the background."
LOCATE_ALL = "Locate every object in this picture and output the bounding boxes in JSON format."
LOCATE = "Locate {phrases} in this picture and output the bounding boxes in JSON format."
MAX_PROMPT_CHARACTERS = 20_000

IMAGE_START, IMAGE_END = "<|im_gen_start|>", "<|im_gen_end|>"
IMAGE_TOKENS = tuple(f"<|im_gen_{index:04d}|>" for index in range(64))
SPECIAL_TOKENS = (IMAGE_START, IMAGE_END, *IMAGE_TOKENS)
"""The tokens that GoT adds to the tokenizer of Qwen2.5-VL, in the order of their ids."""

VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
IMAGE_PAD, END_OF_TEXT = "<|image_pad|>", "<|endoftext|>"
END_OF_TURN = "<|im_end|>"
NEEDED = (*SPECIAL_TOKENS, BOX_START, BOX_END, VISION_START, VISION_END, IMAGE_PAD, END_OF_TEXT)
"""What reading and writing a chain needs."""


def add_special_tokens(tokenizer: PreTrainedTokenizerBase) -> int:
    """Appends those of GoT's 66 tokens that the vocabulary lacks. Returns how many were added."""
    return tokenizer.add_tokens(list(SPECIAL_TOKENS), special_tokens=True)


@dataclass(frozen=True)
class TokenIds:
    """The token ids needed to write and read a chain."""

    image_start: int
    image_end: int
    image_tokens: tuple[int, ...]
    box_start: int
    vision_start: int
    vision_end: int
    image_pad: int
    end_of_text: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> TokenIds:
        """
        Raises:
            GoTError: the tokenizer lacks some of the tokens; the message lists them.
        """
        vocabulary = tokenizer.get_vocab()
        missing = [token for token in NEEDED if token not in vocabulary]
        if missing:
            raise GoTError(
                f"The tokenizer lacks {len(missing)} of the {len(NEEDED)} tokens that GoT needs:"
                f" {', '.join(missing)}. Use the tokenizer of the checkpoint."
            )
        return cls(
            image_start=vocabulary[IMAGE_START],
            image_end=vocabulary[IMAGE_END],
            image_tokens=tuple(vocabulary[token] for token in IMAGE_TOKENS),
            box_start=vocabulary[BOX_START],
            vision_start=vocabulary[VISION_START],
            vision_end=vocabulary[VISION_END],
            image_pad=vocabulary[IMAGE_PAD],
            end_of_text=vocabulary[END_OF_TEXT],
        )


def check_prompt(prompt: str) -> None:
    """
    Raises:
        GoTError: the prompt is empty, too long, or holds a special token, which would corrupt the
            conversation.
    """
    if not prompt.strip():
        raise GoTError(Note("prompt_empty"))
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise GoTError(Note("prompt_too_long", most=str(MAX_PROMPT_CHARACTERS), count=str(len(prompt))))
    special = SPECIAL_TOKEN.search(prompt)
    if special:
        raise GoTError(Note("prompt_special", token=repr(special[0]), place=str(special.start())))


def instruction(task: str, prompt: str) -> str:
    """The text of the user's turn.

    Raises:
        GoTError: unknown task, or a prompt that `check_prompt` rejects.
    """
    if task not in TASKS:
        raise GoTError(f"Unknown task {short_repr(task)}: expected one of {', '.join(TASKS)}.")
    check_prompt(prompt)
    return (GENERATE_TEMPLATE if task == "generate" else EDIT_TEMPLATE).format(prompt=prompt)


def conversation(tokenizer: PreTrainedTokenizerBase, task: str, prompt: str, visual_tokens: int) -> str:
    """All text before the chain, by the tokenizer's chat template, with the picture first when editing.

    `visual_tokens` is the number of tokens for the picture, 0 for a task without a picture.

    Raises:
        GoTError: unknown task, rejected prompt, a missing or unexpected picture, or a template without one.
    """
    words = instruction(task, prompt)
    if (task == "edit") != (visual_tokens > 0):
        raise GoTError(
            f"The task {short_repr(task)} came with {visual_tokens} visual tokens:"
            " editing needs a picture, generating none."
        )
    return user_turn(tokenizer, words, visual_tokens)


def locating(phrases: Sequence[str] | None) -> str:
    """The question where these things are in a picture, or, without phrases, where everything is.

    Raises:
        GoTError: a phrase that `check_prompt` rejects.
    """
    if phrases is None:
        return LOCATE_ALL
    for phrase in phrases:
        check_prompt(phrase)
    return LOCATE.format(phrases=", ".join(phrases))


def user_turn(tokenizer: PreTrainedTokenizerBase, words: str, visual_tokens: int) -> str:
    """The conversation up to the MLLM's answer to these words, about a picture of so many tokens (0: none).

    Raises:
        GoTError: a chat template that does not write one place for the picture.
    """
    content: list[dict[str, str]] = [{"type": "text", "text": words}]
    if visual_tokens:
        content.insert(0, {"type": "image"})
    messages: list[Any] = [{"role": "user", "content": content}]
    text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    if text.count(IMAGE_PAD) != (visual_tokens > 0):
        raise GoTError(
            f"The tokenizer's chat template wrote {text.count(IMAGE_PAD)} {IMAGE_PAD} for"
            f" {int(visual_tokens > 0)} picture(s). Use the chat template of Qwen2.5-VL."
        )
    return text.replace(IMAGE_PAD, IMAGE_PAD * visual_tokens)
