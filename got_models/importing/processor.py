"""The processor folder: Qwen's tokenizer with GoT's tokens, its chat template and its image processor."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from ..errors import GoTError
from ..files.json_objects import read_json
from ..mllm.prompts import SPECIAL_TOKENS
from ..weights.loading import is_panic


@dataclass(frozen=True)
class Processor:
    """The contents of Qwen's folder; `tokenizer` already has GoT's 66 tokens at its end."""

    folder: Path
    tokenizer: Tokenizer
    chat_template: str

    @property
    def vocabulary_size(self) -> int:
        size: int = self.tokenizer.get_vocab_size(with_added_tokens=True)
        return size

    def write(self, target: Path) -> None:
        """Write the folder so that transformers 4.52 to 5.x all read it.

        The template goes into tokenizer_config.json, and the added tokens as well: transformers 5 ignores all
        others if some are listed there, as Qwen's are.
        """
        target.mkdir(parents=True, exist_ok=True)
        tokenizer = self.tokenizer.to_str(pretty=True)
        (target / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
        added = {str(token.pop("id")): token for token in json.loads(tokenizer)["added_tokens"]}
        config = read_json(self.folder / "tokenizer_config.json")
        config |= {"chat_template": self.chat_template, "added_tokens_decoder": added}
        (target / "tokenizer_config.json").write_text(
            json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        shutil.copyfile(self.folder / "preprocessor_config.json", target / "preprocessor_config.json")


def read_processor(folder: Path) -> Processor:
    """
    Raises:
        GoTError: a file is damaged, or the folder has no chat template.
    """
    file = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.add_special_tokens(list(SPECIAL_TOKENS))

    except BaseException as error:  # the library raises nothing more specific
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise GoTError(f"{file} is not a tokenizer: {error}. Download it again.") from error
    read_json(folder / "preprocessor_config.json")
    return Processor(folder, tokenizer, _chat_template(folder))


def _chat_template(folder: Path) -> str:
    """transformers has stored the template in three places over time; the newest comes first."""
    if (folder / "chat_template.jinja").is_file():
        return _read_text(folder / "chat_template.jinja")
    for name in ("chat_template.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            template = read_json(folder / name).get("chat_template")
            if isinstance(template, str):
                return template
    raise GoTError(
        f"{folder} has no chat template: expected chat_template.json, or one in tokenizer_config.json."
    )


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GoTError(f"{file} cannot be read: {error}. Download it again.") from error
