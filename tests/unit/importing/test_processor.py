"""The tokenizer and its chat template."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from got_models.pipeline import GoTModel

from .published_tree import LETTERS, QWEN_TOKENS, Refused


def test_the_tokenizer_is_extended_in_order_and_keeps_its_chat_template(imported: Path) -> None:
    tokenizer = GoTModel.from_pretrained(imported).parts.reasoner().tokenizer
    first = LETTERS + len(QWEN_TOKENS)
    assert tokenizer.convert_tokens_to_ids("<|im_gen_start|>") == first
    assert tokenizer.convert_tokens_to_ids("<|im_gen_end|>") == first + 1
    assert tokenizer("a<|im_gen_0000|><|im_gen_0063|>")["input_ids"][1:] == [first + 2, first + 65]
    assert len(tokenizer) == first + 66
    assert tokenizer.apply_chat_template([{"role": "user", "content": ""}], tokenize=False) == "user"


@pytest.mark.parametrize(
    ("name", "content"),
    [("tokenizer.json", "{}"), ("config.json", "{"), ("preprocessor_config.json", "[]")],
)
def test_a_damaged_file_of_qwen_is_named(name: str, content: str, source: Path, refused: Refused) -> None:
    (source / "Qwen2.5-VL-3B-Instruct" / name).write_text(content)
    assert str(source / "Qwen2.5-VL-3B-Instruct" / name) in refused(source)


def test_a_tokenizer_over_which_its_library_panics_is_named(source: Path, refused: Refused) -> None:
    file = source / "Qwen2.5-VL-3B-Instruct/tokenizer.json"
    values = json.loads(file.read_text())
    values["model"]["merges"] = [["a", "b"]]
    values["model"]["vocab"] |= {"a": 0, "b": 1}
    values["model"]["continuing_subword_prefix"] = "((("
    file.write_text(json.dumps(values))
    assert str(file) in refused(source)


def test_a_missing_chat_template_is_named(source: Path, refused: Refused) -> None:
    (source / "Qwen2.5-VL-3B-Instruct/chat_template.json").unlink()
    assert "no chat template" in refused(source)
