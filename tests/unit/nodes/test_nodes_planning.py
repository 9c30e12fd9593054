"""GoT Plan with a CLIP that answers by a script, and with answers that come as text."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.got_models.errors import GoTError
from got_pack.nodes.planning import GoTPlan, can_write

GOOD = json.dumps(
    {"description": "A red fox sleeps.", "objects": [{"label": "A red fox", "bbox_2d": [120, 480, 520, 860]}]}
)


class Writer:
    """A CLIP of ComfyUI 0.33 that answers by a script."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Any]] = []
        self.chosen: dict[str, Any] = {}
        writes = SimpleNamespace(transformer=SimpleNamespace(generate=None))
        self.cond_stage_model = SimpleNamespace(clip="qwen", qwen=writes)

    def tokenize(self, text: str, image: Any = None, **options: Any) -> str:
        self.asked.append((text, image))
        return text

    def generate(self, tokens: str, **options: Any) -> str:
        self.chosen = options
        return self.answers.pop(0)

    def decode(self, tokens: str) -> str:
        return tokens


def plan(**changes: Any) -> tuple[ReasoningChain, str, str]:
    widgets = {"prompt": "a fox", "task": "auto", "seed": 3, "temperature": 0.7, "max_new_tokens": 64}
    result: tuple[ReasoningChain, str, str] = GoTPlan().plan(**{**widgets, **changes})["result"]
    return result


def test_a_clip_that_writes_is_asked_and_its_answer_is_a_plan() -> None:
    clip = Writer("no", GOOD)
    chain, text, instruction = plan(clip=clip)
    assert [region.phrase for region in chain.regions] == ["A red fox"] and text == chain.text
    assert [asked.startswith(instruction) for asked, _ in clip.asked] == [True, True]
    assert clip.chosen == {"do_sample": True, "max_length": 64, "temperature": 0.7, "seed": 3}


def test_a_picture_makes_it_an_edit_and_goes_to_the_model() -> None:
    clip, picture = Writer(GOOD), torch.zeros(1, 8, 8, 3)
    chain, _, _ = plan(clip=clip, image=picture)
    assert chain.task == "edit"
    assert clip.asked[0][1] is picture


def test_an_answer_that_comes_as_text_needs_no_model() -> None:
    assert plan(answer=GOOD)[0].regions[0].box.x1 == 120
    with pytest.raises(GoTError, match="No box"):
        plan(answer="{}")


def test_without_a_model_that_writes_it_names_ones_that_can() -> None:
    with pytest.raises(GoTError, match="connect a CLIP that can write"):
        plan()
    encoder = SimpleNamespace(
        cond_stage_model=SimpleNamespace(clip="l", l=SimpleNamespace(transformer=object()))
    )
    for method in ("tokenize", "generate", "decode"):
        setattr(encoder, method, None)
    assert not can_write(encoder)
    with pytest.raises(GoTError, match=r"cannot write.*Qwen3-VL"):
        plan(clip=encoder)
