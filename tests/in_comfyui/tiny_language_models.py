"""ComfyUI's own text encoders that write, at a tiny width, with random weights and small vocabularies.

For use inside ComfyUI's Python only. Each gets its width as ComfyUI passes options to text encoders; vision
towers have theirs in tables of the core's modules, which are changed here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import comfy.sd
import comfy.text_encoders.ernie
import comfy.text_encoders.gemma4
import comfy.text_encoders.llama
import comfy.text_encoders.lt
import comfy.text_encoders.lumina2
import comfy.text_encoders.qwen3vl
import comfy.text_encoders.qwen35
import comfy.text_encoders.qwen_image
import sentencepiece
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

encoders = comfy.text_encoders
WIDTH = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
TOWER = {"hidden_size": 32, "intermediate_size": 32, "depth": 1, "num_heads": 2}
SIGLIP = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
GEMMA4_IMAGE = 258880  # the id that ComfyUI looks for
QWEN3_IMAGE, QWEN35_IMAGE = 151655, 248056
PIECES = 400


def make(name: str) -> Any:
    """A CLIP as Load CLIP gives it."""
    torch.manual_seed(0)
    target, options, tokenizer_data = {**MODELS, "Qwen2.5-VL": _qwen25}[name]()
    clip = comfy.sd.CLIP(target, model_options=options, tokenizer_data=tokenizer_data)
    for parameter in clip.cond_stage_model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return clip


def _qwen3vl() -> Any:
    tower = {**TOWER, "deepstack_visual_indexes": [0]}
    encoders.qwen3vl.QWEN3VL_VISION["qwen3vl_4b"] = tower
    module = encoders.qwen3vl
    return _of_type(module, "qwen3vl_4b"), {"qwen3vl_4b_model_config": WIDTH}, {}


class _Qwen35Vocabulary(encoders.qwen3vl.Qwen3VLSDTokenizer):
    """Qwen3.5's, with the words of Qwen3-VL, whose files are in every copy of ComfyUI."""

    def tokenize_with_weights(self, *text: Any, **options: Any) -> list[list[tuple[Any, ...]]]:
        rows = super().tokenize_with_weights(*text, **options)
        return [[(QWEN35_IMAGE if one == QWEN3_IMAGE else one, *rest) for one, *rest in row] for row in rows]


def _qwen35() -> Any:
    encoders.qwen35.Qwen35Tokenizer = _Qwen35Vocabulary
    encoders.qwen35.QWEN35_MODELS["qwen35_08b"] = {"vision": TOWER}
    linear = {"linear_num_key_heads": 2, "linear_num_value_heads": 2}
    layers = ["linear_attention", "linear_attention", "full_attention"]
    width = {**WIDTH, **linear, "layer_types": layers}
    return _of_type(encoders.qwen35, "qwen35_08b"), {"qwen35_08b_model_config": width}, {}


def _qwen25() -> Any:
    tower = partial(
        encoders.qwen_vl.Qwen2VLVisionTransformer, num_layers=1, num_heads=2, intermediate_size=32
    )
    encoders.llama.qwen_vl.Qwen2VLVisionTransformer = lambda **given: tower(**{**given, "hidden_size": 32})
    module = encoders.qwen_image
    return (
        _target(module.te(), module.QwenImageTokenizer),
        {"qwen25_7b_model_config": WIDTH},
        {},
    )


def _gemma3() -> Any:
    encoders.llama.GEMMA3_VISION_CONFIG.update(SIGLIP)
    module = encoders.lumina2
    model, pieces = _spiece()
    options = {"gemma3_4b_vision_model_config": {**WIDTH, "vocab_size": pieces}}
    return _target(module.te(model_type="gemma3_4b_vision"), module.NTokenizer), options, model


def _gemma3_of_ltx() -> Any:
    encoders.llama.GEMMA3_VISION_CONFIG.update(SIGLIP)
    model, pieces = _spiece()
    options = {"_model_config": {**WIDTH, "vocab_size": pieces}}
    return _target(encoders.lt.ltxav_te(), encoders.lt.LTXAVGemmaTokenizer), options, model


def _gemma4() -> Any:
    module = encoders.gemma4
    module.GEMMA4_VISION_31B_CONFIG.update(SIGLIP, head_dim=16)
    target = _target(module.gemma4_te(model_class=module.Gemma4_31B), module.Gemma4_31B.tokenizer)
    return target, {"gemma4_model_config": WIDTH}, {"tokenizer_json": _gemma4_vocabulary()}


def _ministral() -> Any:
    target = _target(encoders.ernie.te(), encoders.ernie.ErnieTokenizer)
    options = {"ministral3_3b_model_config": {**WIDTH, "vocab_size": PIECES}}
    return target, options, {"tekken_model": _tekken()}


MODELS: dict[str, Callable[[], Any]] = {
    "Qwen3-VL": _qwen3vl,
    "Qwen3.5": _qwen35,
    "Gemma 3": _gemma3,
    "Gemma 3 of LTX": _gemma3_of_ltx,
    "Gemma 4": _gemma4,
    "Ministral 3": _ministral,
}


def _of_type(module: Any, model_type: str) -> SimpleNamespace:
    return _target(module.te(model_type=model_type), module.tokenizer(model_type=model_type))


def _target(clip: Any, tokenizer: Any) -> SimpleNamespace:
    return SimpleNamespace(clip=clip, tokenizer=tokenizer, params={})


def _spiece() -> tuple[dict[str, bytes], int]:
    """A SentencePiece model, and its number of pieces."""
    model = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a red fox on a mossy rock"] * 20),
        model_writer=model,
        vocab_size=PIECES,
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).get_piece_size()
    return {"spiece_model": model.getvalue()}, pieces


def _gemma4_vocabulary() -> bytes:
    vocabulary = {sign: place for place, sign in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    tokenizer = Tokenizer(models.BPE({**vocabulary, "<|image|>": GEMMA4_IMAGE}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|image|>"), AddedToken("<|turn>"), AddedToken("<turn|>")])
    return tokenizer.to_str().encode()


def _tekken() -> bytes:
    names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    special = [{"rank": rank, "token_str": name} for rank, name in enumerate(names)]
    pieces = [{"rank": byte, "token_bytes": base64.b64encode(bytes([byte])).decode()} for byte in range(256)]
    config = {"default_num_special_tokens": 16, "default_vocab_size": PIECES}
    return json.dumps({"config": config, "vocab": pieces, "special_tokens": special}).encode()
