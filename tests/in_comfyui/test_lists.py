"""A picture carries its own plan or none: in lists, beside and after other pictures, and from the cache."""

from __future__ import annotations

import json
from typing import Any

import pytest

from got_models.chain.chain import ReasoningChain

from .conftest import OLD, SERVED, Checkpoint
from .prompts import CHAIN, MOVED, Prompt, changed, drawing, node
from .server import Run, Server

Plans = list[str | None]


@pytest.fixture(scope="module", params=[OLD, SERVED])
def comfy(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue(request.param)
    return server


def small(checkpoint: str, seed: int = 1) -> Prompt:
    return drawing(checkpoint, steps=1, seed=seed, size=64)


def carried(server: Server, run: Run, name: str = "save") -> Plans:
    """The text of the plan in each picture that a node has saved."""
    assert run.succeeded, run.error
    plans = [picture.info.get("got_chain") for picture in server.pictures(run, name)]
    return [plan and ReasoningChain.from_json(json.loads(plan)).text for plan in plans]


def saved_again(server: Server, prompt: Prompt, *names: str) -> list[Plans]:
    """As they are drawn, and once more with all but the save nodes from the cache."""
    first = server.run(prompt)
    for name in names:
        prompt = changed(prompt, name, filename_prefix=f"again {name}")
    again = server.run(prompt)
    assert again.cached == set(prompt) - set(names)
    plans = [carried(server, first, name) for name in names]
    assert [carried(server, again, name) for name in names] == plans
    return plans


def beside(checkpoint: str, text: str) -> dict[str, Any]:
    """The parts of a second picture, drawn from another plan in the same run."""
    other = small(checkpoint)
    return {
        "plan 2": changed(other, "plan", text=text)["plan"],
        "encode 2": changed(other, "encode", chain=["plan 2", 0])["encode"],
        "sampler 2": changed(other, "sampler", guidance=["encode 2", 0])["sampler"],
        "save 2": changed(other, "save", images=["sampler 2", 1], filename_prefix="second")["save"],
    }


def test_of_a_list_of_plans_each_picture_carries_its_own_or_none(
    comfy: Server, checkpoint: Checkpoint
) -> None:
    prompt = small(checkpoint.name, seed=11)
    prompt["masks"] = node("GoTChainToMasks", chain=["plan", 0], width=64, height=64)
    prompt["plans"] = node("GoTChainFromText", task="generate", prompt="two", text=["masks", 2])
    prompt["encode"]["inputs"]["chain"] = ["plans", 0]
    assert saved_again(comfy, prompt, "save") == [[None, None]]


def test_a_list_of_pictures_of_one_plan_carries_it(comfy: Server, checkpoint: Checkpoint) -> None:
    prompt = changed(small(checkpoint.name, seed=12), "sampler", batch_size=2)
    prompt["masks"] = node("GoTChainToMasks", chain=["plan", 0], width=64, height=64)
    prompt["same"] = node("GoTChainFromText", task="generate", prompt="one", text=CHAIN.text)
    prompt["encode"]["inputs"]["chain"] = ["same", 0]
    prompt["save"]["inputs"]["filename_prefix"] = ["masks", 2]  # a list: the batch is saved once for each
    first = comfy.run(prompt)
    assert carried(comfy, first) == [CHAIN.text] * 4


def test_two_plans_in_one_run_go_into_their_own_pictures(comfy: Server, checkpoint: Checkpoint) -> None:
    prompt = {**small(checkpoint.name, seed=13), **beside(checkpoint.name, MOVED.text)}
    assert saved_again(comfy, prompt, "save", "save 2") == [[CHAIN.text], [MOVED.text]]


def test_a_picture_made_of_two_carries_none(comfy: Server, checkpoint: Checkpoint) -> None:
    prompt = {**small(checkpoint.name, seed=14), **beside(checkpoint.name, MOVED.text)}
    prompt["both"] = node("ImageBatch", image1=["sampler", 1], image2=["sampler 2", 1])
    prompt["save"]["inputs"]["images"] = ["both", 0]
    assert saved_again(comfy, prompt, "save", "save 2") == [[None, None], [MOVED.text]]


def test_a_picture_that_no_plan_was_drawn_for_carries_none(comfy: Server, checkpoint: Checkpoint) -> None:
    prompt = small(checkpoint.name, seed=15)
    prompt["empty"] = node("EmptyImage", width=64, height=64, batch_size=1, color=0)
    prompt["other"] = node("SaveImage", images=["empty", 0], filename_prefix="other")
    assert saved_again(comfy, prompt, "save", "other") == [[CHAIN.text], [None]]


def test_one_plan_drawn_twice_goes_into_both_pictures(comfy: Server, checkpoint: Checkpoint) -> None:
    prompt = {**small(checkpoint.name, seed=16), **beside(checkpoint.name, MOVED.text)}
    prompt["sampler 2"]["inputs"] |= {"guidance": ["encode", 0], "seed": 17}
    del prompt["plan 2"], prompt["encode 2"]
    assert saved_again(comfy, prompt, "save", "save 2") == [[CHAIN.text], [CHAIN.text]]


def test_when_one_of_two_plans_has_changed_the_cached_one_is_still_known(
    comfy: Server, checkpoint: Checkpoint
) -> None:
    prompt = {**small(checkpoint.name, seed=18), **beside(checkpoint.name, MOVED.text)}
    assert comfy.run(prompt).succeeded
    prompt = changed(changed(prompt, "plan 2", text=CHAIN.text), "save", filename_prefix="kept")
    run = comfy.run(prompt)
    assert "encode" in run.cached
    assert "encode 2" not in run.cached
    assert carried(comfy, run, "save") == [CHAIN.text]
    assert carried(comfy, run, "save 2") == [CHAIN.text]


@pytest.mark.parametrize("foreign", [{"got_chain": {"text": "of another"}}, {"got_chain": None}])
def test_what_a_client_sends_as_a_plan_is_not_passed_on(
    comfy: Server, checkpoint: Checkpoint, foreign: dict[str, Any]
) -> None:
    prompt = small(checkpoint.name, seed=19)
    for wanted in (CHAIN.text, CHAIN.text):
        data = {"prompt": prompt, "extra_data": {"extra_pnginfo": foreign}}
        run = comfy.wait(comfy.post("/prompt", data)["prompt_id"])
        assert carried(comfy, run) == [wanted]
        prompt = changed(prompt, "save", filename_prefix="again")
