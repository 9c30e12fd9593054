"""Chains and locked phrases against the tokenizer of Qwen2.5-VL itself, which ComfyUI brings along."""

from __future__ import annotations

import json
import os
import random
import shutil
import unicodedata
import warnings
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from got_models.chain.chain import BOX_END, BOX_START, Box, ReasoningChain, Region
from got_models.errors import GoTError
from got_models.mllm.constrained_decoding import LockedRegions
from got_models.mllm.detokenizing import Detokenizer
from got_models.mllm.prompts import add_special_tokens

COMFYUI = Path(os.environ.get("COMFYUI_PATH") or "~/.cache/comfyui-got/ComfyUI").expanduser()
FIRST_FOREIGN = 151665  # ComfyUI's copy goes on with tokens of another model
BOX = Box(1, 2, 300, 400)
VECTORS = json.loads((Path(__file__).parents[2] / "fixtures" / "chains.json").read_text(encoding="utf-8"))
PHRASES = [
    unicodedata.normalize("NFD", "a café"),
    "an \u212bngstrom",
    "\u1100\u1161\u11a8",
    "\u0958",
    "a x" + "\u0316\u0301" * 20,
    "\u0301",
    "a man in a hat",
    "红色圆",
    "红色圆，很大（在左）",  # noqa: RUF001
    "ein blauer Stern",
    "a <tool_call> cat",
    "</tool_call>",
    "a cat <think> </think>",
    "a <|cat",
    "a 👨\u200d👩\u200d👧 🇩🇪 ❤️",
    "a cat\u00a0\u2009\u3000asleep",
    "\u3000a cat\u00a0\n",
    "a \u202b\u05e9\u05dc\u05d5\u05dd\u202c cat",
    "नमस्ते दुनिया",
    "สวัสดี",
    "a cat's, won't, I'LL",
    "a\tcat  with   gaps",
    "...",
    "a 1234567890 cat",
    "a \u00adsoft\u200b cat",
    "a \x00 \x1b[2J cat",
    "\ue000 private \U0010ffff",
    "",
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    source = COMFYUI / "comfy" / "text_encoders" / "qwen25_tokenizer"
    if not (source / "vocab.json").is_file():
        warnings.warn(f"skipped: no tokenizer of Qwen2.5 in {source}; set COMFYUI_PATH", stacklevel=2)
        pytest.skip("no ComfyUI with a tokenizer of Qwen2.5")
    folder = tmp_path_factory.mktemp("qwen") / "tokenizer"
    shutil.copytree(source, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    added = settings["added_tokens_decoder"]
    settings["added_tokens_decoder"] = {key: added[key] for key in added if int(key) < FIRST_FOREIGN}
    kept = {token["content"] for token in settings["added_tokens_decoder"].values()}
    settings["additional_special_tokens"] = [
        token for token in settings.get("additional_special_tokens", []) if token in kept
    ]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    add_special_tokens(tokenizer)
    return tokenizer


def tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_it_is_the_tokenizer_that_the_published_model_has(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokens(tokenizer, "<|im_gen_0000|>") == [151667]
    assert tokens(tokenizer, f"{BOX_START}{BOX_END}<|object_ref_start|>") == [151648, 151649, 151646]
    assert len(tokens(tokenizer, "<|obj_start|>")) == 6


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_locked_phrase_is_held_or_refused_before_anything_is_written(
    tokenizer: PreTrainedTokenizerBase, phrase: str
) -> None:
    region = Region(phrase, BOX, "red", (0, 0))
    locks = LockedRegions(tokenizer, [region], 1024)
    for before in (
        "",
        "There is a circle",
        "画面上有",
        "A list:\n",
        f"a dog {BOX_START}(5,6),(7,8){BOX_END} (red).",
    ):
        written = locks.insert_missing(tokens(tokenizer, before), lambda *_: 0.0)
        text = str(tokenizer.decode(written))
        assert locks.missing(text) == []
        assert "obj_start" not in text
        chain = ReasoningChain.read(locks.marked(text), "generate", "x")
        assert (region.phrase, BOX) in [(held.phrase, held.box) for held in chain.regions]


@pytest.mark.parametrize(
    "phrase", ["a \ud800 cat", "a <|im_end|> cat", "a <|object_ref_start|> cat", "a\ncat", "(1,2),(3,4)"]
)
def test_a_phrase_that_cannot_stand_in_a_chain_is_refused(
    tokenizer: PreTrainedTokenizerBase, phrase: str
) -> None:
    with pytest.raises(GoTError, match="cannot be used in a chain"):
        LockedRegions(tokenizer, [Region(phrase, BOX, "red", (0, 0))], 1024)


@pytest.mark.parametrize("vector", VECTORS["parses"], ids=lambda vector: vector["name"])
def test_what_the_mllm_reads_is_the_text_and_nothing_else(
    tokenizer: PreTrainedTokenizerBase, vector: dict[str, str]
) -> None:
    text = ReasoningChain.parse(vector["text"], "generate", "x").mllm_text
    assert str(tokenizer.decode(tokens(tokenizer, text))) == text


def test_text_while_it_is_written_is_that_of_the_whole_list(tokenizer: PreTrainedTokenizerBase) -> None:
    """Also where tokens end within a character, are cut back, and are no text at all."""
    rng = random.Random(3)
    whole = tokens(tokenizer, "，".join([*PHRASES[:-1], f"猫 {BOX_START}(1,2),(3,4){BOX_END} 🇩🇪龘"]))  # noqa: RUF001
    garbage = [rng.randrange(FIRST_FOREIGN) for _ in range(300)]
    for ids in (whole, garbage):
        detokenizer = Detokenizer.of(tokenizer)
        length = 0
        for _ in range(3 * len(ids)):
            length = max(0, min(len(ids), length + rng.choice([1, 1, 1, 1, 2, -3])))
            assert detokenizer.text(ids[:length]) == tokenizer.decode(ids[:length])
    assert any(tokenizer.decode(whole[:length]).endswith("\ufffd") for length in range(len(whole)))
