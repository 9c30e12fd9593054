"""What did not change is not computed again, and pictures saved from the cache still carry their plan."""

from __future__ import annotations

import json

from got_models.chain.chain import ReasoningChain

from .conftest import Checkpoint
from .prompts import CHAIN, MOVED, Prompt, changed, drawing, everything, node
from .server import Run, Server
from .test_training import DATASET, training


def edited(chain: ReasoningChain) -> str:
    return json.dumps({"upstream": CHAIN.text, "chain": chain.to_json()})


def saved_chain(server: Server, run: Run) -> str:
    (picture,) = server.pictures(run, "save")
    text: str = json.loads(picture.info["got_chain"])["text"]
    return text


def test_a_moved_box_runs_only_what_comes_after_it(server: Server, checkpoint: Checkpoint) -> None:
    first = everything(checkpoint.name, edited_chain=edited(CHAIN))
    assert server.run(first).succeeded
    run = server.run(changed(first, "plan", edited_chain=edited(MOVED)))
    assert run.succeeded
    assert run.cached == {"loader", "reason", "shown"}
    assert saved_chain(server, run) == MOVED.text


def test_the_same_inputs_run_nothing(server: Server, checkpoint: Checkpoint) -> None:
    prompt = everything(checkpoint.name, edited_chain=edited(CHAIN))
    server.run(prompt)
    assert server.run(prompt).cached == set(prompt)


def test_names_that_come_over_a_wire_run_nothing_again(server: Server, checkpoint: Checkpoint) -> None:
    run = server.run(drawing(checkpoint.name, steps=1, size=64))
    (picture,) = run.outputs["save"]["images"]
    whole = {
        **training(checkpoint.name, "over a wire", steps=1),
        "folder": node("PrimitiveString", value=DATASET),
        "name": node("PrimitiveString", value="over a wire"),
        "file": node("PrimitiveString", value=f"{picture['filename']} [output]"),
        "any": node("AnyToAny", value=["file", 0]),
        **reading("any"),
    }
    prompt = changed(changed(whole, "data", folder=["folder", 0]), "read", image=["any", 0])
    prompt["train"]["inputs"]["name"] = ["name", 0]
    assert server.run(prompt).succeeded
    assert server.run(prompt).cached == set(prompt)


def test_a_picture_saved_from_the_cache_carries_its_chain(server: Server, checkpoint: Checkpoint) -> None:
    prompt = everything(checkpoint.name, edited_chain=edited(CHAIN))
    server.run(prompt)
    run = server.run(changed(prompt, "save", filename_prefix="again"))
    assert run.cached == set(prompt) - {"save"}
    assert saved_chain(server, run) == CHAIN.text


def reading(picture: str) -> Prompt:
    """What GoT Chain from Image finds in a file."""
    return {
        "read": node("GoTChainFromImage", image=picture),
        "shown": node("PreviewAny", source=["read", 1]),
    }


def test_a_saved_picture_gives_its_plan_back(server: Server, checkpoint: Checkpoint) -> None:
    run = server.run(drawing(checkpoint.name))
    (file,) = run.outputs["save"]["images"]
    saved = server.folder / "output" / file["subfolder"] / file["filename"]
    (server.folder / "input" / "mine.png").write_bytes(saved.read_bytes())
    for name in ("mine.png", f"{file['filename']} [output]"):
        assert server.run(reading(name)).outputs["shown"]["text"] == [CHAIN.text]


def test_another_picture_under_the_same_name_is_read_again(server: Server, checkpoint: Checkpoint) -> None:
    for chain in (CHAIN, MOVED):
        prompt = changed(drawing(checkpoint.name, steps=1, size=64), "plan", text=chain.text)
        (picture,) = server.run(prompt).outputs["save"]["images"]
        saved = server.folder / "output" / picture["filename"]
        (server.folder / "input" / "again.png").write_bytes(saved.read_bytes())
        assert server.run(reading("again.png")).outputs["shown"]["text"] == [chain.text]
