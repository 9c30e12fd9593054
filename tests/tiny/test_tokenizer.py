"""transformers 5 rebuilds Qwen2's tokenizer from the vocabulary of tokenizer.json; 4 reads all of it."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer

TEXT = "A red circle <|box_start|>(62,312),(438,688)<|box_end|> (red), 1234 and a café."


def test_the_tokenizer_cuts_text_in_every_transformers_as_its_file_says(checkpoint: Path) -> None:
    loaded = AutoTokenizer.from_pretrained(checkpoint / "processor")
    file = Tokenizer.from_file(str(checkpoint / "processor" / "tokenizer.json"))
    assert (
        loaded(TEXT, add_special_tokens=False)["input_ids"] == file.encode(TEXT, add_special_tokens=False).ids
    )
