"""The prompt follows a changed plan, and the plan's sentence stays sound. JavaScript has the same vectors."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from got_models.chain.chain import Box, ChainError, ReasoningChain
from got_models.chain.english import number_like, plural, with_article
from got_models.chain.prompt_update import updated_prompt
from got_models.chain.sentences import BESIDE_IT
from tiny_model.world.language import sample_generation

VECTORS = json.loads((Path(__file__).parents[2] / "fixtures" / "prompts.json").read_text(encoding="utf-8"))
BOX = Box(500, 500, 900, 900)
WORDS = st.sampled_from(
    """a an the one two three cat cats dog red circle circles small large and , . above on white background
    with in of there is are 猫 一只 和 、 。 man men A The \n 3""".split(" ")  # noqa: SIM905
)
PROMPTS = st.lists(WORDS, max_size=14).map(" ".join) | st.text(max_size=20)


def named(vectors):
    return pytest.mark.parametrize("vector", vectors, ids=[vector["name"] for vector in vectors])


def parse(text, task="generate"):
    return ReasoningChain.parse(text, task, "")


@named(VECTORS["updates"])
def test_the_prompt_follows_the_plan(vector):
    before, after = parse(vector["before"], vector["task"]), parse(vector["after"], vector["task"])
    update = updated_prompt(vector["prompt"], before, after)
    assert (update.prompt, list(update.missed)) == (vector["updated"], vector["missed"])


@named(VECTORS["adds"])
def test_a_new_object_joins_its_sentence(vector):
    chain = parse(vector["text"])
    assert chain.add(vector["phrase"], Box(*vector["box"])).text == vector["canonical"]


@named(VECTORS["removes"])
def test_a_sentence_stays_sound_without_an_object(vector):
    chain = parse(vector["text"])
    assert chain.remove(vector["index"]).text == vector["canonical"]


@pytest.mark.parametrize(("phrase", "fitting"), VECTORS["articles"])
def test_the_article_fits_where_that_is_certain(phrase, fitting):
    assert with_article(phrase) == fitting
    assert parse("the dog (1,2),(3,4)").rename(0, phrase).regions[0].phrase == fitting


def test_a_plural_is_english():
    singular = ["red circle", "cross", "box", "city", "boy", "woman", "human", "person", "leaf", "brush"]
    assert [plural(noun) for noun in singular] == [
        *(
            "red circles",
            "crosses",
            "boxes",
            "cities",
            "boys",
            "women",
            "humans",
            "people",
            "leaves",
            "brushes",
        )
    ]
    assert [number_like(count, "Two") for count in (1, 10, 11)] == ["One", "Ten", "11"]


@settings(max_examples=100, deadline=None)
@given(PROMPTS, PROMPTS, st.randoms(use_true_random=False))
def test_a_plan_that_did_not_change_changes_no_letter(prompt, text, chance):
    chain = ReasoningChain.read(f"{text} (1,2),(3,4) and a cat (5,6),(7,8)", "generate", "")
    moved = chain.move_box(chance.randrange(len(chain.regions)), BOX)
    prompt = ReasoningChain.parse("", "generate", prompt).prompt  # composed
    for other in (chain, moved):
        assert updated_prompt(prompt, chain, other).prompt == prompt
        assert updated_prompt(prompt, chain, other).missed == ()


@settings(max_examples=150, deadline=None)
@given(PROMPTS, PROMPTS, PROMPTS, st.sampled_from(["generate", "edit"]))
def test_any_prompt_and_any_plans_go_together(prompt, before, after, task):
    chains = [
        ReasoningChain.read(f"{text} (1,2),(3,4) and a cat (5,6),(7,8)", task, "") for text in (before, after)
    ]
    update = updated_prompt(prompt, *chains)
    assert all(message.endswith(".") for message in update.missed)


@pytest.mark.parametrize("seed", range(60))
def test_in_the_shapes_world_prompt_and_plan_name_the_same_objects_after_every_change(seed):
    """And the way back from a change gives the first prompt back."""
    chance = random.Random(seed)
    chain = sample_generation(chance, explicit=True).chain
    index = chance.randrange(len(chain.regions))
    size = chain.regions[index].phrase.split()[1]
    renamed = chain.rename(index, f"a {size} brown cross")
    update = updated_prompt(chain.prompt, chain, renamed)
    assert update.missed == ()
    assert update.prompt.count("brown cross") == 1
    longer = chain.add("a small brown cross", BOX)
    assert updated_prompt(chain.prompt, chain, longer).prompt.count("a small brown cross") == 1
    if not BESIDE_IT.search(chain.text):  # else a relation of two has become a list of three
        new = [region.phrase for region in longer.regions].index("a small brown cross")
        assert longer.remove(new) == chain
        assert updated_prompt(chain.prompt, chain, longer.remove(new)).prompt == chain.prompt
    if len(chain.regions) > 1:
        update = updated_prompt(chain.prompt, chain, chain.remove(index))
        assert update.missed == ()
        assert update.prompt != chain.prompt


@pytest.mark.parametrize(
    "piece", ["a cat ", "a", "cat, ", "the ", "on a ", "猫", " and ", "there is ", "to the left of ", ". "]
)
def test_long_hostile_prompts_take_no_long(piece):
    chain = ReasoningChain.read("a cat (1,2),(3,4), " * 64, "generate", "")
    start = time.process_time()
    updated_prompt(piece * (10_000 // len(piece)), chain, chain.rename(0, "a dog").remove(5))
    assert time.process_time() - start < 5


def test_a_phrase_that_would_make_a_token_is_refused_where_the_prompt_is_read():
    chain = parse("a cat (1,2),(3,4)")
    with pytest.raises(ChainError):
        chain.rename(0, "<|im_end|>")
