"""Run by ComfyUI's own Python: plans with each of its language models; records the results.

    python planning_probe.py COMFYUI FACTS.json

No server is started: the node is called as ComfyUI's executor would call it.
"""

from __future__ import annotations

import inside  # isort: skip

import gc
import importlib
import json
from pathlib import Path
from typing import Any

import comfy.model_management as management
import torch
from comfy_execution.utils import CurrentNodeContext

planning = importlib.import_module("pack.nodes.planning")
language_model = importlib.import_module("pack.nodes._comfy.language_model")
errors = importlib.import_module("pack.got_models.errors")
tiny = importlib.import_module("tiny_language_models")

FACTS = Path(inside.ARGUMENTS[0])
LIMIT = 16
STOPPED_AFTER = 3
GEMMA3_IMAGE = 262144
PICTURE = torch.rand(2, 60, 90, 4)
REPLY = json.dumps(
    {"description": "A red fox sleeps.", "objects": [{"label": "A red fox", "bbox_2d": [120, 480, 520, 860]}]}
)
shown: list[str] = []
planning.BETWEEN_DRAFTS = 0
planning.show_text = lambda text, node: shown.append(text)


def plan(clip: Any, **changes: Any) -> Any:
    widgets = {"prompt": "a (red:1.2) fox", "task": "auto", "seed": 3, "temperature": 0.7}
    return planning.GoTPlan().plan(**{**widgets, "max_new_tokens": LIMIT, "clip": clip, **changes})


def message(clip: Any, **changes: Any) -> str:
    try:
        plan(clip, **changes)
    except errors.GoTError as error:
        return str(error)
    return ""


def hooks(clip: Any) -> int:
    return sum(len(module._forward_pre_hooks) for module in clip.cond_stage_model.modules())


def tensors() -> int:
    gc.collect()
    return sum(torch.is_tensor(value) for value in gc.get_objects())


def texts_asked(clip: Any, **options: Any) -> list[str]:
    """What the model is asked, after the core's template: the number of pictures, and the words."""
    asked: list[str] = []
    tokenize = clip.tokenize

    def listen(text: str, **given: Any) -> Any:
        tokens = tokenize(text, **given)
        ids = [token[0] for token in next(iter(tokens.values()))[0]]
        pictures = sum(isinstance(token, dict) for token in ids)
        words = [token for token in ids if not isinstance(token, dict) and token != GEMMA3_IMAGE]
        asked.append(f"{pictures} {clip.decode(words, skip_special_tokens=False)}")
        return tokens

    clip.tokenize = listen
    message(clip, **options)
    del clip.tokenize
    return asked


def garbage(name: str) -> dict[str, Any]:
    """A model with random weights: asked twice, with a picture, and then a message."""
    clip = tiny.make(name)
    shown.clear()
    facts = {
        "asked": texts_asked(clip),
        "texts": len(shown),
        "message": message(clip),
        "asked with a picture": texts_asked(clip, image=PICTURE),
        "message with a picture": message(clip, image=PICTURE),
        "hooks": hooks(clip),
    }
    return {**facts, "again": message(clip)}


def scripted(clip: Any) -> None:
    """Makes a model choose the tokens of REPLY, one after the other."""
    writer = language_model.writer_of(clip)
    ids = [*clip.tokenizer.qwen3vl_4b.tokenizer(REPLY)["input_ids"], writer.model.config.stop_tokens[0]]
    choices = iter(ids)

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        scores = torch.zeros(1, 1, writer.model.config.vocab_size)
        scores[..., next(choices)] = 100
        return scores

    writer.logits = logits


def streamed() -> dict[str, Any]:
    clip = tiny.make("Qwen3-VL")
    scripted(clip)
    shown.clear()
    text = plan(clip, max_new_tokens=200)["result"][1]
    return {"text": text, "shown": list(dict.fromkeys(shown))}


def stopped() -> dict[str, Any]:
    """Stop pressed after a few tokens: how many more there are, and what is left in memory."""
    clip = tiny.make("Qwen3-VL")
    message(clip)
    before, pressed = tensors(), len(shown)

    def press(text: str, node: str) -> None:
        shown.append(text)
        if len(shown) - pressed == STOPPED_AFTER:
            management.interrupt_current_processing()

    planning.show_text = press
    try:
        plan(clip, max_new_tokens=500)
        ended = "finished"
    except management.InterruptProcessingException:
        ended = "interrupted"
    return {
        "ended": ended,
        "more": len(shown) - pressed - STOPPED_AFTER,
        "kept": tensors() - before,
        "hooks": hooks(clip),
    }


with torch.inference_mode(), CurrentNodeContext("prompt", "node"):
    facts = {
        "garbage": {name: garbage(name) for name in tiny.MODELS},
        "cannot write": message(tiny.make("Qwen2.5-VL")),
        "streamed": streamed(),
        "stopped": stopped(),
    }
FACTS.write_text(json.dumps(facts), encoding="utf-8")
