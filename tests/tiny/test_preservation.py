"""What a model plans and draws before it is trained, so that it forgets less."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from got_models.dataset.rows import read_dataset
from got_models.diffusion.settings import SamplingSettings
from got_models.errors import GoTError
from got_models.mllm.settings import GenerationSettings
from got_models.pipeline import GoTModel
from got_models.training.config import LoraTraining
from got_models.training.run_files import PRESERVED_FOLDER
from got_models.training.trainer import train_lora

from .lora_runs import assert_same_tensors, logged, observing, tensors

COUNT = 3
LIKE = {"circle": "square star", "square": "circle star", "triangle": "star", "star": "circle"}


@pytest.fixture
def preserving(config: LoraTraining) -> LoraTraining:
    """Of the fixture's words some count as new ones."""
    mllm = replace(config.mllm, new_words=LIKE)
    return replace(config, preserved_rows=COUNT, validation_steps=2, resolution_px=80, mllm=mllm)


def folder(config: LoraTraining) -> Path:
    return Path(config.out) / PRESERVED_FOLDER


def test_rows_are_what_the_untrained_model_plans_and_draws_of_the_prompts_in_known_words(
    preserving: LoraTraining,
) -> None:
    train_lora(preserving, stop_after_steps=1)
    model = GoTModel.from_pretrained(preserving.checkpoint)
    prompts = [row.chain.prompt for row in read_dataset(preserving.dataset).rows]
    speaking = [prompt for prompt in prompts if re.search(rf"\b({'|'.join(LIKE)})\b", prompt)]
    rows = [json.loads(line) for line in (folder(preserving) / "data.jsonl").read_text().splitlines()]
    assert len(rows) == COUNT
    for number, row in enumerate(rows):
        before, after = speaking[number % len(speaking)].split(" "), row["prompt"].split(" ")
        for old, new in zip(before, after, strict=True):
            word = re.sub(r"\W", "", old)
            assert new == old if word not in LIKE else re.sub(r"\W", "", new) in LIKE[word].split()
        source = Image.open(folder(preserving) / row["source"]) if "source" in row else None
        plan = model.reason(row["prompt"], source, settings=GenerationSettings(temperature=0.0))
        drawn = Image.open(folder(preserving) / row["image"])
        guidance = model.encode(plan, source, (drawn.height, drawn.width))
        assert row["chain"] == plan.text
        assert drawn.tobytes() == model.sample(guidance, SamplingSettings(seed=number, steps=2)).tobytes()


def test_the_rows_are_learned_as_well(preserving: LoraTraining) -> None:
    train_lora(preserving, stop_after_steps=1)
    alone = replace(preserving, out=f"{preserving.out}-alone", preserved_rows=0)
    train_lora(alone, stop_after_steps=1)
    assert logged(preserving) != logged(alone)


def test_stopped_while_drawing_it_goes_on_where_it_was_and_ends_with_the_same_bits(
    preserving: LoraTraining,
) -> None:
    whole = replace(preserving, out=f"{preserving.out}-whole")
    train_lora(whole)
    drawn: list[int] = []
    counting = observing(on_preserve=lambda done, total: drawn.append(done))
    stopping = observing(on_preserve=counting.on_preserve, should_stop=lambda: len(drawn) == 1)
    assert train_lora(preserving, observer=stopping) is None
    assert drawn == [1]
    assert not list(folder(preserving).glob("*.part"))
    train_lora(preserving, resume=True, observer=counting)
    assert drawn == [1, 2, 3]
    assert read_dataset(folder(preserving)).digest == read_dataset(folder(whole)).digest
    assert_same_tensors(tensors(preserving), tensors(whole))


def test_a_stop_before_the_first_row_leaves_a_run_that_goes_on(preserving: LoraTraining) -> None:
    begun: list[bool] = []
    stopped = train_lora(
        preserving, observer=observing(on_begin=lambda: begun.append(True), should_stop=lambda: bool(begun))
    )
    assert stopped is None
    assert train_lora(preserving, resume=True) is not None


@pytest.mark.parametrize("new_words", [{}, {"circle": ""}, {"teal": "blue green"}])
def test_without_a_new_word_in_the_prompts_it_says_what_is_missing(
    preserving: LoraTraining, new_words: dict[str, str]
) -> None:
    config = replace(preserving, mllm=replace(preserving.mllm, new_words=new_words))
    with pytest.raises(GoTError, match=r"no prompt of the dataset has a word of mllm\.new_words"):
        train_lora(config)
    assert not Path(config.out).exists()
