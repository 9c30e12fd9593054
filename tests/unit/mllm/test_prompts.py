from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from got_models.errors import GoTError
from got_models.mllm.prompts import (
    IMAGE_TOKENS,
    SPECIAL_TOKENS,
    TokenIds,
    add_special_tokens,
    check_prompt,
    conversation,
    instruction,
)

CHAT_TEMPLATE = (
    "{% if messages[0].role != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|box_start|>", "<|box_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|image_pad|>"),
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, Qwen's special tokens and its form of conversation."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    tokenizer.add_tokens(list(QWEN_TOKENS), special_tokens=True)
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = build_tokenizer()
    add_special_tokens(tokenizer)
    return tokenizer


def test_special_tokens_come_last_and_in_order():
    tokenizer = build_tokenizer()
    before = len(tokenizer)
    assert add_special_tokens(tokenizer) == 66
    ids = tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS))
    assert ids == list(range(before, before + 66))
    assert SPECIAL_TOKENS[:4] == ("<|im_gen_start|>", "<|im_gen_end|>", "<|im_gen_0000|>", "<|im_gen_0001|>")
    assert SPECIAL_TOKENS[-1] == "<|im_gen_0063|>"
    assert add_special_tokens(tokenizer) == 0
    assert len(tokenizer) == before + 66


def test_token_ids_are_those_of_the_tokenizer(tokenizer):
    ids = TokenIds.of(tokenizer)
    assert tokenizer.convert_ids_to_tokens(list(ids.image_tokens)) == list(IMAGE_TOKENS)
    singles = [ids.image_start, ids.image_end, ids.vision_start, ids.image_pad, ids.end_of_text]
    assert tokenizer.convert_ids_to_tokens(singles) == [
        *("<|im_gen_start|>", "<|im_gen_end|>", "<|vision_start|>", "<|image_pad|>", "<|endoftext|>")
    ]
    assert tokenizer("".join(IMAGE_TOKENS)).input_ids == list(ids.image_tokens)


def test_token_ids_survive_saving(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    assert TokenIds.of(PreTrainedTokenizerFast.from_pretrained(tmp_path)) == TokenIds.of(tokenizer)


def test_missing_tokens_are_listed():
    with pytest.raises(GoTError, match=r"lacks 66 of the 72 .*<\|im_gen_start\|>.*<\|im_gen_0063\|>"):
        TokenIds.of(build_tokenizer())


def test_conversation_to_generate(tokenizer):
    assert conversation(tokenizer, "generate", "a red circle", 0) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n"
        "Follow the caption to generate an image through a chain of thought process: a red circle<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_conversation_to_edit_has_the_picture_first(tokenizer):
    assert conversation(tokenizer, "edit", "remove {it}", 3) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n"
        "<|vision_start|><|image_pad|><|image_pad|><|image_pad|><|vision_end|>"
        "Follow the instruction to edit the given image through a chain of thought process: remove {it}"
        "<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(("task", "visual_tokens"), [("generate", 4), ("edit", 0)])
def test_a_picture_belongs_to_editing_alone(tokenizer, task, visual_tokens):
    with pytest.raises(GoTError, match=f"'{task}' came with {visual_tokens} visual tokens"):
        conversation(tokenizer, task, "a prompt", visual_tokens)


def test_a_chat_template_without_a_picture_is_refused(tokenizer):
    tokenizer.chat_template = CHAT_TEMPLATE.replace("<|image_pad|>", "")
    with pytest.raises(GoTError, match="chat template"):
        conversation(tokenizer, "edit", "a prompt", 4)


def test_unknown_task_is_refused():
    with pytest.raises(GoTError, match="'paint'"):
        instruction("paint", "a prompt")


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("a" * 20_001, "20000 characters, got 20001"),
        ("a cat <|image_pad|>", "special token"),
        ("a \udcff cat", "character 2"),
    ],
)
def test_prompts_that_cannot_work_are_refused(prompt, says):
    with pytest.raises(GoTError) as caught:
        instruction("generate", prompt)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 200


def test_the_longest_prompt_and_any_script_are_taken():
    check_prompt("a" * 20_000)
    check_prompt("一只猫 🎈 <b> | {prompt} %s")
