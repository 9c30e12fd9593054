"""Whatever its weights, the MLLM holds what is locked; a trained one plans well around it.

GOT_LOCKED_PLANS is how many plans are written around locked regions.
"""

from __future__ import annotations

import os
import random
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from got_models.__main__ import main
from got_models.chain.chain import Box, ReasoningChain, Region
from got_models.errors import GoTError
from got_models.mllm.settings import GenerationSettings
from got_models.pipeline import GoTModel
from tiny_model.world.edits import sample_edit
from tiny_model.world.language import sample_generation
from tiny_model.world.scoring import score_plan

from .conftest import BUNDLED

PROMPTS = int(os.environ.get("GOT_LOCKED_PLANS", "40"))
PLAN_VALID = 0.95
STAR = ReasoningChain.parse("a small yellow star (10,20),(300,400)", "generate", "x")
trained = pytest.mark.skipif(not (BUNDLED / "got.json").is_file(), reason="needs the trained checkpoint")


def holds_once(chain: ReasoningChain, locked: Region) -> bool:
    return [(region.phrase, region.box) for region in chain.regions].count((locked.phrase, locked.box)) == 1


def test_locked_regions_are_held_every_time(model: GoTModel) -> None:
    """Generation and editing, one to three locked regions, greedy and wildly sampled, with little room."""
    rng = random.Random(0)
    for number in range(PROMPTS):
        example = sample_edit(rng) if number % 4 == 0 else sample_generation(rng)
        source = Image.new("RGB", (64, 64), "white") if example.task == "edit" else None
        regions = example.chain.regions
        locked = rng.sample(regions, min(len(regions), rng.randint(1, 3)))
        pieces: list[str] = []
        chain = model.reason(
            example.prompt,
            source,
            settings=GenerationSettings(
                locked=locked,
                max_new_tokens=40 * len(locked) + rng.randint(0, 16),
                temperature=rng.choice([0.0, 1.0]),
                seed=number,
            ),
            on_text=pieces.append,
        )
        assert all(holds_once(chain, region) for region in locked), (example.prompt, chain.text)
        assert ReasoningChain.parse(chain.text, chain.task, chain.prompt).regions == chain.regions
        assert ReasoningChain.read("".join(pieces), chain.task, chain.prompt).text == chain.text


@trained
def test_plans_around_a_locked_region_stay_valid(model: GoTModel) -> None:
    """One region of a valid plan that the MLLM has not written, for each of as many held-out captions."""
    rng = random.Random(1)
    valid = []
    for _ in range(PROMPTS):
        example = sample_generation(rng, evaluation=True)
        locked = rng.choice(example.chain.regions)
        chain = model.reason(example.prompt, settings=GenerationSettings(locked=[locked]))
        assert holds_once(chain, locked)
        valid.append(score_plan(chain, example.request).valid)
    rate = sum(valid) / len(valid)
    print(f"valid plans around a locked region: {rate:.3f} of {len(valid)}")
    assert rate >= PLAN_VALID


@trained
def test_a_region_of_its_own_plan_changes_nothing_else(model: GoTModel) -> None:
    rng = random.Random(2)
    same = []
    for _ in range(20):
        prompt = sample_generation(rng, evaluation=True).prompt
        chain = model.reason(prompt)
        same.append(
            model.reason(prompt, settings=GenerationSettings(locked=[rng.choice(chain.regions)])).text
            == chain.text
        )
    assert sum(same) >= 19


def test_the_same_seed_gives_the_same_plan_around_the_same_regions(model: GoTModel) -> None:
    plans = {
        model.reason(
            "two stars",
            settings=GenerationSettings(locked=STAR.regions, temperature=1.0, seed=5, max_new_tokens=70),
        ).text
        for _ in range(2)
    }
    assert len(plans) == 1


def test_nothing_locked_changes_nothing(model: GoTModel) -> None:
    settings = GenerationSettings(temperature=1.0, seed=5, max_new_tokens=30)
    assert model.reason("a star", settings=replace(settings, locked=[])) == model.reason(
        "a star", settings=settings
    )


def test_a_region_locked_twice_is_held_once(model: GoTModel) -> None:
    chain = model.reason(
        "two stars", settings=GenerationSettings(locked=[*STAR.regions, *STAR.regions], max_new_tokens=70)
    )
    assert holds_once(chain, STAR.regions[0])


@pytest.mark.parametrize(
    "phrase",
    [
        unicodedata.normalize("NFD", "a café"),
        "an \u212bngstrom",
        "a x" + "\u0316\u0301" * 20,
        "a man, in a hat (red)",
        "红色圆",
        "a <tool_call> 👨\u200d👩\u200d👧\u00a0",
    ],
)
def test_any_phrase_is_held_and_the_mllm_sees_no_markers(model: GoTModel, phrase: str) -> None:
    """Also one that the tokenizer reads in another form, or the reader only between markers."""
    region = Region(phrase, Box(10, 20, 300, 400), "red", (0, 0))
    pieces: list[str] = []
    chain = model.reason(
        "two stars", settings=GenerationSettings(locked=[region], max_new_tokens=120), on_text=pieces.append
    )
    assert holds_once(chain, region)
    assert ReasoningChain.read("".join(pieces), "generate", "two stars") == chain
    assert "obj_start" not in chain.mllm_text
    model.encode(chain, size=(64, 64))


@pytest.mark.parametrize("phrase", ["a \ud800", "a <|im_end|> star", "a\nstar"])
def test_a_phrase_that_cannot_be_held_is_refused_before_anything_is_written(
    model: GoTModel, phrase: str
) -> None:
    region = Region(phrase, Box(10, 20, 300, 400), "red", (0, 0))
    with pytest.raises(GoTError, match="cannot be used in a chain"):
        model.reason("a star", settings=GenerationSettings(locked=[region]), on_text=pytest.fail)


def test_locked_regions_that_take_more_than_the_limit_are_refused(model: GoTModel) -> None:
    with pytest.raises(GoTError, match="Raise max_new_tokens or unlock some"):
        model.reason("a star", settings=GenerationSettings(locked=STAR.regions, max_new_tokens=10))


def test_a_chain_full_of_locked_regions_fits(model: GoTModel) -> None:
    regions = ReasoningChain.parse(
        ", ".join(f"a dot ({number},1),(500,500)" for number in range(64)), "generate", "x"
    ).regions
    chain = model.reason("64 dots", settings=GenerationSettings(locked=regions, max_new_tokens=64 * 32))
    assert {region.box for region in chain.regions} == {Box(number, 1, 500, 500) for number in range(64)}


def test_the_command_line_takes_a_file_of_locked_regions(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "locked.txt"
    file.write_text("a small yellow star (10,20),(300,400)")
    main(["reason", "two stars", "--locked", str(file), "--checkpoint", str(checkpoint), "--device", "cpu"])
    written = ReasoningChain.read(capsys.readouterr().out, "generate", "x")
    assert holds_once(written, STAR.regions[0])
