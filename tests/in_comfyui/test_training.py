"""Training in the real server: to a picture, stopped and gone on with, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from got_models.diffusion.settings import SamplingSettings
from got_models.pipeline import GoTModel

from .conftest import Checkpoint
from .prompts import CHAIN, Prompt, changed, drawing, loading, node
from .server import Run, Server
from .test_mistakes import complaint

DATASET = "brown crosses (bundled)"
STEPS = 4
STOP_AT = 3  # of the UNet's evaluations: one for each batch, none before the first validation
RUNS, SETTLED = 6, 2
MAX_GROWTH = 50.0  # MiB


def training(checkpoint: str, name: str, **inputs: Any) -> Prompt:
    """A training that learns next to nothing."""
    whole = {
        **loading(checkpoint),
        "data": node("GoTDataset", folder=DATASET, bad_rows="stop", preview_rows=1),
        "train": node(
            "GoTTrain",
            model=["loader", 0],
            dataset=["data", 0],
            name=name,
            when_it_exists="go on",
            steps=STEPS,
            learning_rate=1e-2,
            rank=2,
            resolution_px=64,
            batch_rows=1,
            batches_per_step=1,
            seed=0,
            validation_rows=0,
            validate_every_steps=0,
            settings="gradient_checkpointing: false",
        ),
    }
    return changed(whole, "train", **inputs)


def adapted(prompt: Prompt, **strengths: float) -> Prompt:
    """A plan drawn by the checkpoint after the training."""
    whole = {**drawing(prompt["loader"]["inputs"]["checkpoint"]), **prompt}
    whole["lora"] = node(
        "GoTLoraLoader",
        model=["loader", 0],
        adapter="from GoT Train",
        trained=["train", 0],
        **{"mllm_strength": 1.0, "unet_strength": 1.0, **strengths},
    )
    for name in ("encode", "sampler"):
        whole[name]["inputs"]["model"] = ["lora", 0]
    return whole


def folder(server: Server, name: str) -> Path:
    return server.folder / "output" / "got_training" / name


def adapter(server: Server, name: str) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(folder(server, name) / "adapter.safetensors")
    return tensors


def logged_steps(server: Server, name: str) -> list[int]:
    lines = (folder(server, name) / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["step"] for line in lines]


def picture(server: Server, run: Run) -> np.ndarray:
    assert run.succeeded, run.error
    (drawn,) = server.pictures(run, "save")
    return np.asarray(drawn.convert("RGB"), dtype=float)


def test_a_training_is_drawn_with_and_the_model_that_others_use_stays_as_it_is(
    server: Server, checkpoint: Checkpoint, library: GoTModel
) -> None:
    prompt = training(checkpoint.name, "drawn with", validation_rows=1, validate_every_steps=STEPS)
    prompt["train"]["inputs"]["settings"] += "\nvalidation_steps: 1"
    learned = picture(server, server.run(adapted(prompt)))
    plain = np.asarray(
        library.sample(library.encode(CHAIN), SamplingSettings(seed=1, steps=3, scheduler="ddpm")),
        dtype=float,
    )
    assert np.abs(learned - plain).max() > 20

    # The same loader's model, without the adapter, and with one of no strength; levels of 255.
    assert np.abs(picture(server, server.run(drawing(checkpoint.name))) - plain).max() <= 2
    without = adapted(prompt, mllm_strength=0.0, unet_strength=0.0)
    assert np.abs(picture(server, server.run(without)) - plain).max() <= 2
    half = picture(server, server.run(adapted(prompt, mllm_strength=0.0)))
    assert min(np.abs(half - plain).max(), np.abs(half - learned).max()) > 2

    report = server.get_json("/got/training/drawn%20with")
    assert (report["state"], report["step"], report["samples"]) == ("done", STEPS, "step-000004.png")
    assert [len(report["curves"][name]) for name in ("chain", "diffusion", "layout_iou")] == [STEPS, STEPS, 2]
    assert server.get(f"/view?filename={report['samples']}&subfolder=got_training/drawn%20with/samples")


def test_a_file_of_the_list_does_what_the_link_does(server: Server, checkpoint: Checkpoint) -> None:
    prompt = training(checkpoint.name, "from a file")
    linked = picture(server, server.run(adapted(prompt)))
    options = server.get_json("/object_info/GoTLoraLoader")["GoTLoraLoader"]["input"]["required"]["adapter"]
    assert "got_training/from a file/adapter.safetensors" in options[0]
    listed = adapted(prompt)
    listed["lora"]["inputs"] |= {"adapter": "got_training/from a file/adapter.safetensors"}
    del listed["lora"]["inputs"]["trained"], listed["train"], listed["data"]
    assert np.array_equal(picture(server, server.run(listed)), linked)


def test_stop_saves_and_the_same_inputs_go_on_to_the_same_adapter(
    server: Server, checkpoint: Checkpoint
) -> None:
    straight, stopped = (training(checkpoint.name, name) for name in ("straight", "stopped"))
    assert server.run(straight).succeeded

    server.post("/test/stop", {"kind": "UNet2DConditionModel", "count": STOP_AT})
    run = server.run(stopped)
    evaluations = server.get_json("/test/evaluations")
    assert run.interrupted
    assert evaluations == STOP_AT, "the step is finished, and no other is begun"
    assert (folder(server, "stopped") / f"state-lora-{STOP_AT}").is_dir()

    run = server.run(stopped)
    assert run.succeeded, run.error
    assert logged_steps(server, "stopped") == list(range(STEPS))
    first, second = adapter(server, "straight"), adapter(server, "stopped")
    assert all(torch.equal(first[name], second[name]) for name in first | second)


def test_a_training_that_has_ended_is_not_done_again(server: Server, checkpoint: Checkpoint) -> None:
    prompt = training(checkpoint.name, "ended")
    assert server.run(prompt).succeeded
    before = (folder(server, "ended") / "adapter.safetensors").stat().st_mtime_ns
    server.post("/test/stop", {"kind": "UNet2DConditionModel", "count": 1000})
    assert "train" in server.run(prompt).cached
    assert server.run(changed(prompt, "data", preview_rows=2)).succeeded
    assert server.get_json("/test/evaluations") == 0
    assert (folder(server, "ended") / "adapter.safetensors").stat().st_mtime_ns == before


def test_training_in_other_number_formats_follows_one_another(server: Server, checkpoint: Checkpoint) -> None:
    for dtype in ("bfloat16", "float32"):
        prompt = changed(training(checkpoint.name, dtype, steps=1), "loader", dtype=dtype)
        run = server.run(prompt)
        assert run.succeeded, run.error


def test_training_after_training_the_server_takes_no_more_memory(
    server: Server, checkpoint: Checkpoint
) -> None:
    resident = []
    for number in range(RUNS):
        run = server.run(training(checkpoint.name, f"memory {number}", steps=1))
        assert run.succeeded, run.error
        resident.append(server.memory())
    assert resident[-1] - resident[SETTLED - 1] < MAX_GROWTH, resident


MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a name that is a path": ({"name": "../../etc"}, ["'../../etc'", "name of a training"]),
    "a setting misspelt": (
        {"settings": "conditioning_dropuot: 0.1"},
        ["conditioning_dropuot", "conditioning_dropout"],
    ),
    "settings that are no YAML": ({"settings": "unet: {"}, ["settings cannot be read as YAML"]),
    "settings that are prose": ({"settings": "a lot"}, ["'steps: 2000'", "'a lot'"]),
    "a path among the settings": ({"settings": "out: /etc"}, ["cannot hold out"]),
    "half of a validation": ({"validation_rows": 2}, ["validation_rows", "validate_every_steps", "both"]),
    "a learning rate out of this world": (
        {"learning_rate": 1.0, "settings": "mllm: {learning_rate: 1e30}\ngradient_clip_norm: 0"},
        ["learning rates are too high", "tenth"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_training_says_what_is_wrong(server: Server, checkpoint: Checkpoint, mistake: str) -> None:
    inputs, words = MISTAKES[mistake]
    prompt = training(checkpoint.name, mistake)
    prompt["train"]["inputs"] |= inputs
    at_fault, message = complaint(server, prompt)
    assert at_fault == "train", message
    assert [word for word in words if word not in message] == [], message


def test_other_inputs_under_an_old_name_are_refused(server: Server, checkpoint: Checkpoint) -> None:
    prompt = training(checkpoint.name, "old name", steps=1)
    assert server.run(prompt).succeeded
    at_fault, message = complaint(server, changed(prompt, "train", steps=2))
    assert at_fault == "train"
    assert "steps: 1 -> 2" in message
    at_fault, message = complaint(server, changed(prompt, "train", when_it_exists="stop"))
    assert "already" in message


def test_changed_pictures_are_said_and_can_be_gone_on_with(
    server: Server, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    row = {"image": "red.png", "prompt": "red", "chain": "all red (0,0),(999,999)"}
    (tmp_path / "data.jsonl").write_text(json.dumps(row))
    prompt = changed(training(checkpoint.name, "pictures", steps=1), "data", folder=str(tmp_path))
    assert server.run(prompt).succeeded
    (tmp_path / "data.jsonl").write_text(json.dumps(row | {"prompt": "quite red"}))
    at_fault, message = complaint(server, prompt)
    assert at_fault == "train"
    assert "dataset has changed" in message
    assert "'go on with changed pictures'" in message
    run = server.run(changed(prompt, "train", when_it_exists="go on with changed pictures"))
    assert run.succeeded, run.error


def test_a_training_starts_from_no_adapted_model(server: Server, checkpoint: Checkpoint) -> None:
    prompt = adapted(training(checkpoint.name, "first of two", steps=1))
    second = training(checkpoint.name, "second of two", steps=1)["train"]
    prompt["second"] = changed({"second": second}, "second", model=["lora", 0])["second"]
    at_fault, message = complaint(server, prompt)
    assert at_fault == "second"
    assert "GoT Model Loader itself" in message


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"adapter": "from GoT Train"}, ["connect GoT Train", "choose a file"]),
        ({"adapter": "got/../../etc"}, ["There is no GoT adapter", "loras"]),
        ({"adapter": "got/of another.safetensors"}, ["does not fit this checkpoint"]),
        ({"adapter": "got/not one.safetensors"}, ["not a safetensors file"]),
    ],
)
def test_the_lora_loader_says_what_is_wrong(
    server: Server, checkpoint: Checkpoint, inputs: dict[str, Any], words: list[str]
) -> None:
    from got_models.weights.adapter import Adapter
    from got_models.weights.adapter_files import save_adapter

    loras = server.folder / "models" / "loras" / "got"
    loras.mkdir(parents=True, exist_ok=True)
    save_adapter(loras / "of another.safetensors", Adapter({"unet.conv_in.bias": torch.ones(3)}, 1, 1, {}))
    (loras / "not one.safetensors").write_bytes(b"pickled")
    lora = node("GoTLoraLoader", model=["loader", 0], mllm_strength=1.0, unet_strength=1.0, **inputs)
    prompt = {
        **loading(checkpoint.name),
        "lora": lora,
        "shown": node("PreviewAny", source=["lora", 0]),
    }
    at_fault, message = complaint(server, prompt)
    assert at_fault == "lora", message
    assert [word for word in words if word not in message] == [], message
