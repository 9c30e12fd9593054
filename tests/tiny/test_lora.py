"""LoRA training loses no work, goes on exactly and moves what it should; its adapter is what it learned.

GOT_DEATHS is how often a training is killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from got_models.dataset.encoding import Encoder
from got_models.dataset.row_batches import RowBatches, batches_of_pass
from got_models.dataset.rows import read_dataset
from got_models.errors import GoTError
from got_models.pipeline import GoTModel
from got_models.training.config import LoraTraining, as_dictionary
from got_models.training.modules import LoraModules
from got_models.training.run_files import ADAPTER_FILE, TRAINED_FILE, UNET_LORA_FILE
from got_models.training.trainer import train_lora
from got_models.weights.adapter import TOKENS, Adapter
from got_models.weights.adapter_files import load_adapter, save_adapter
from got_models.weights.adapting import check_adapter

from .conftest import STEPS
from .lora_runs import assert_same_tensors, full_disk, logged, observing, saved, tensors

ROOT = Path(__file__).parents[2]
DEATHS = int(os.environ.get("GOT_DEATHS", "2"))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Filled by the first test that runs the config without a stop."""
    return {}


def never_stopped(config: LoraTraining, straight: dict[str, Any]) -> dict[str, Any]:
    """The adapter and the log of a run of this config that was never stopped."""
    if not straight:
        whole = replace(config, out=config.out + "-straight")
        assert train_lora(whole) == Path(whole.out) / ADAPTER_FILE
        straight |= {"tensors": tensors(whole), "log": logged(whole), "saved": saved(whole)}
    return straight


def assert_same(config: LoraTraining, expected: dict[str, Any]) -> None:
    assert_same_tensors(tensors(config), expected["tensors"])
    assert logged(config) == expected["log"]


def modules_of(config: LoraTraining) -> tuple[LoraModules, RowBatches]:
    model = GoTModel.from_pretrained(config.checkpoint)
    rows = read_dataset(config.dataset).rows
    encoder = Encoder(model, config.resolution_px, Path(config.dataset) / ".got-cache")
    for row in rows:
        encoder.encode(row)
    batches = RowBatches(rows, encoder, model, config.batch_rows, config.seed)
    return LoraModules(model, config), batches


def nothing_to_check(done: int, total: int) -> None:
    raise AssertionError("the fingerprints are known")


# Never lose work


def test_a_run_stopped_after_any_step_ends_with_the_same_bits(config, straight) -> None:
    expected = never_stopped(config, straight)
    assert [line["step"] for line in expected["log"]] == list(range(STEPS))
    assert expected["saved"] == ["state-lora-4", "state-lora-6"]
    assert train_lora(config, stop_after_steps=1) is None
    unread = observing(on_check=nothing_to_check)
    assert train_lora(config, resume=True, stop_after_steps=2, observer=unread) is None
    assert train_lora(config, resume=True, observer=unread) == Path(config.out) / ADAPTER_FILE
    assert_same(config, expected)


def test_a_run_killed_at_random_points_ends_with_the_same_bits(config, tmp_path) -> None:
    settings = {"steps": 20, "batch_rows": 1, "batches_per_step": 1}
    files = {}
    for name in ("killed", "undisturbed"):
        run = replace(config, out=str(tmp_path / name), **settings)
        files[name] = tmp_path / f"{name}.yaml"
        files[name].write_text(yaml.safe_dump(as_dictionary(run)))
    program = Path(__file__).with_name("killed_training.py")
    result = subprocess.run(
        [sys.executable, program, files["killed"], files["undisturbed"], "a seed", str(DEATHS)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=900,
    )
    deaths = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    assert [death["ended"] for death in deaths] == [-signal.SIGKILL] * DEATHS
    for death in deaths:
        half_written = any(name.startswith("state-") and name.endswith(".part") for name in death["left"])
        assert half_written or death["kind"] != "in_the_writing_of_a_state"
    killed, undisturbed = (replace(config, out=str(tmp_path / name)) for name in files)
    assert_same_tensors(tensors(killed), tensors(undisturbed))
    assert logged(killed) == logged(undisturbed)
    assert [line["step"] for line in logged(killed)] == list(range(20))
    folders = [Path(run.out) for run in (killed, undisturbed)]
    assert_same_tensors(*(load_file(folder / "state-lora-20" / TRAINED_FILE) for folder in folders))
    assert_same_tensors(*(load_file(folder / UNET_LORA_FILE) for folder in folders))
    names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    assert names[0] == names[1]


def test_two_processes_have_the_losses_of_one_and_one_of_them_validates(config, tmp_path) -> None:
    mllm = replace(config.mllm, new_words={"circle": "square star"})
    config = replace(config, resolution_px=80, preserved_rows=3, validation_steps=2, mllm=mllm, fp8_base=True)
    config = replace(config, validation_rows=2, validate_every_steps=2)
    expected = never_stopped(config, {})
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(as_dictionary(config)))
    program = Path(__file__).with_name("stopped_training.py")
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes=2"]
    command = [*launcher, "--num_machines=1", "--mixed_precision=no", str(program), str(file)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=900)
    received = logged(config)
    assert [line["step"] for line in received if "chain" in line] == list(range(STEPS))
    assert [line["step"] for line in received if "layout_iou" in line] == [0, 2, 4, 6]
    for line, other in zip(received, expected["log"], strict=True):
        assert line == pytest.approx(other, abs=1e-4)


def test_a_stop_that_is_asked_for_saves_first(config, straight) -> None:
    expected = never_stopped(config, straight)
    steps = []
    stopping = observing(on_step=steps.append, should_stop=lambda: len(steps) == 3)
    assert train_lora(config, observer=stopping) is None
    assert saved(config)[-1] == "state-lora-3"
    train_lora(config, resume=True)
    assert_same(config, expected)


def test_a_stop_while_the_checkpoint_is_read_leaves_no_run(config, tmp_path) -> None:
    config, told = replace(config, cache=str(tmp_path / "cache")), []

    def stop() -> bool:
        return bool(told)

    stopping = observing(on_check=lambda *seen: told.append(seen), should_stop=stop)
    assert train_lora(config, observer=stopping) is None
    assert len(told) == 1
    assert told[0][0] < told[0][1]
    at_once = observing(should_stop=lambda: True)  # while the dataset is read
    assert train_lora(config, observer=at_once) is None
    assert not (Path(config.out) / "run.json").exists()


def test_a_learning_rate_that_explodes_stops_and_keeps_the_last_good_state(config) -> None:
    train_lora(config, stop_after_steps=2)
    before = tensors(config)
    wild = replace(config, out=config.out + "-wild", unet=replace(config.unet, learning_rate=1e30))
    with pytest.raises(GoTError, match=r"has left the numbers at step \d.*tenth of the learning rates"):
        train_lora(wild)
    assert all(tensor.isfinite().all() for tensor in before.values())
    if (Path(wild.out) / ADAPTER_FILE).exists():
        assert all(tensor.isfinite().all() for tensor in tensors(wild).values())
    assert logged(wild)[-1]["step"] < STEPS - 1


def test_a_disk_that_fills_up_stops_the_run_and_leaves_the_last_state(config) -> None:
    train_lora(config, stop_after_steps=2)
    before = tensors(config)
    with (
        full_disk(),
        pytest.raises(GoTError, match=r"state of step 4 cannot be written.*last good state is state-lora-2"),
    ):
        train_lora(config, resume=True)
    assert saved(config) == ["state-lora-2"]
    after = tensors(config)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_what_a_killed_write_of_an_adapter_leaves_is_cleared_by_the_next(tmp_path, monkeypatch) -> None:
    def killed(tensors, target, metadata) -> None:
        target.with_name(".tmp-of-safetensors").write_bytes(b"half")
        os._exit(9)

    adapter = Adapter({"unet.conv_in.bias": torch.ones(3)}, 1.0, 1.0, {})
    child = os.fork()
    if child == 0:
        monkeypatch.setattr("got_models.weights.adapter_files.save_file", killed)
        try:
            save_adapter(tmp_path / ADAPTER_FILE, adapter)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert ".tmp-of-safetensors" in [path.name for path in tmp_path.rglob("*")]
    save_adapter(tmp_path / ADAPTER_FILE, adapter)
    assert os.listdir(tmp_path) == [ADAPTER_FILE]


def test_what_has_changed_between_runs_is_said(config, dataset) -> None:
    train_lora(config, stop_after_steps=1)
    with pytest.raises(GoTError, match=r"config has changed.*unet.rank: 4 -> 5"):
        train_lora(replace(config, unet=replace(config.unet, rank=5)), resume=True)
    data = dataset / "data.jsonl"
    content = data.read_text()
    data.write_text(content + "\n" + content.splitlines()[0])
    try:
        with pytest.raises(GoTError, match="dataset has changed"):
            train_lora(config, resume=True)
        assert train_lora(config, resume=True, changed_dataset=True, stop_after_steps=1) is None
    finally:
        data.write_text(content)


def test_a_run_goes_on_that_began_before_a_key_of_the_config_was_known(config) -> None:
    train_lora(config, stop_after_steps=1)
    file = Path(config.out) / "run.json"
    begun = json.loads(file.read_text())
    del begun["config"]["fp8_base"], begun["config"]["mllm"]["new_words"]
    file.write_text(json.dumps(begun))
    train_lora(config, resume=True, stop_after_steps=1)
    assert [line["step"] for line in logged(config)] == [0, 1]


def test_a_run_is_not_overwritten_and_none_is_resumed_where_there_is_none(config) -> None:
    with pytest.raises(GoTError, match="no training run to resume"):
        train_lora(config, resume=True)
    train_lora(config, stop_after_steps=1)
    with pytest.raises(GoTError, match="already holds a training run"):
        train_lora(config)


# What learns


def test_the_diffusion_loss_alone_moves_the_mllms_lora_and_the_token_embeddings(config) -> None:
    modules, batches = modules_of(replace(config, ema_decay=0.0))
    optimizer = torch.optim.SGD(modules.trained(), lr=0.1)
    for _ in range(2):  # the factors A have no gradient while their B is zero
        optimizer.zero_grad()
        modules(batches[0], 1)["diffusion"].backward()
        optimizer.step()
    moved = {
        name for name, value in modules.named_parameters() if value.grad is not None and value.grad.any()
    }
    for part in ("layers.0.self_attn.q_proj.lora_A", "layers.3.mlp.down_proj.lora_B", "trainable_tokens"):
        assert any(part in name for name in moved), part
    assert any("output_projector_add" in name for name in moved)
    assert any("unet" in name and "lora_A" in name for name in moved)


@pytest.mark.parametrize("way", ["lora", "full", "frozen"])
def test_frozen_parts_stay_as_they_are_and_trained_ones_do_not(config, way) -> None:
    modules, batches = modules_of(replace(config, unet=replace(config.unet, train=way)))
    before = {name: value.detach().clone() for name, value in modules.named_parameters()}
    optimizer = torch.optim.AdamW(modules.parameter_groups())
    for number in range(2):
        sum(modules(batches[number], number).values()).backward()
        optimizer.step()
    changed = {
        name for name, value in modules.named_parameters() if not torch.equal(value.detach(), before[name])
    }
    trained = {name for name, value in modules.named_parameters() if value.requires_grad}
    assert changed == trained
    assert any(name.startswith("unet.") for name in changed) == (way != "frozen")
    assert not any("visual" in name for name in changed)


def test_rows_of_one_size_go_together_and_every_row_comes_once_in_each_pass() -> None:
    sizes = ("a", "b", "a", "a", "b", "c")
    passes = [batches_of_pass(sizes, 2, 7, number) for number in range(3)]
    for batches in passes:
        assert sorted(index for batch in batches for index in batch) == list(range(6))
        assert all(len({sizes[index] for index in batch}) == 1 for batch in batches)
        assert len(batches) == 4
    assert passes[0] != passes[1]
    assert batches_of_pass(sizes, 2, 7, 1) == passes[1]


def test_a_chain_longer_than_the_context_is_refused_with_its_line(config, dataset, tmp_path) -> None:
    row = json.loads((dataset / "data.jsonl").read_text().splitlines()[0])
    row |= {"image": str(row["image"]), "chain": "A circle. " * 3000}
    folder = tmp_path / "long"
    folder.mkdir()
    (folder / row["image"]).write_bytes((dataset / row["image"]).read_bytes())
    (folder / "data.jsonl").write_text("\n" + json.dumps(row))
    with pytest.raises(GoTError, match=r"line 2: prompt and chain are \d+ tokens, the MLLM takes 4096"):
        train_lora(replace(config, dataset=str(folder)))


# The adapter


@pytest.mark.parametrize("way", ["lora", "full"])
def test_a_model_with_the_adapter_is_the_model_that_was_trained(config, way, tmp_path) -> None:
    settings = replace(config, unet=replace(config.unet, train=way, convolutions=True))
    modules, batches = modules_of(settings)
    optimizer = torch.optim.AdamW(modules.parameter_groups())
    for number in range(2):
        sum(modules(batches[number], number).values()).backward()
        optimizer.step()
    save_adapter(tmp_path / ADAPTER_FILE, modules.adapter({}))
    modules.eval()

    row = next(row for row in read_dataset(config.dataset).rows if row.source is None)
    fresh = GoTModel.from_pretrained(config.checkpoint)
    plain = fresh.encode(row.chain, size=(64, 64))
    noise = torch.randn(1, 12, 8, 8, generator=torch.Generator().manual_seed(0))

    def predicted(unet: Any, semantic: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
        added = {"text_embeds": pooled, "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]])}
        with torch.no_grad():
            return unet(noise, 500, encoder_hidden_states=semantic, added_cond_kwargs=added).sample

    adapter = load_adapter(tmp_path / ADAPTER_FILE)
    unchanged = GoTModel.from_pretrained(config.checkpoint)
    unchanged.apply_adapter(adapter, 0.0, 0.0)
    assert torch.equal(unchanged.encode(row.chain, size=(64, 64)).semantic, plain.semantic)

    fresh.apply_adapter(adapter)
    guidance = fresh.encode(row.chain, size=(64, 64))
    assert not torch.allclose(guidance.semantic, plain.semantic, atol=1e-3)
    batch = batches.collate([row])
    from got_models.mllm.reasoner import hidden_states_of_features, select_image_tokens

    with torch.no_grad():
        language = modules.mllm.get_base_model()
        hidden = hidden_states_of_features(language, batch.input_ids, None, None)
        selected = select_image_tokens(hidden, batch.input_ids, modules.image_tokens)
        semantic, _, pooled = modules.ssgm.semantic(selected)
        logits = language.lm_head(hidden)
        merged = fresh.parts.reasoner().mllm(batch.input_ids).logits
    torch.testing.assert_close(guidance.semantic, semantic, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(merged, logits, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(
        predicted(fresh.parts.unet(), semantic, pooled),
        predicted(modules.unet, semantic, pooled),
        rtol=1e-3,
        atol=1e-3,
    )
    assert not torch.allclose(
        predicted(fresh.parts.unet(), semantic, pooled),
        predicted(unchanged.parts.unet(), semantic, pooled),
        atol=1e-3,
    )


def test_the_unet_half_is_saved_under_the_names_of_sdxl_loras_with_the_scale_of_the_adapter(config) -> None:
    train_lora(config, stop_after_steps=2)
    adapter, lora = tensors(config), load_file(Path(config.out) / UNET_LORA_FILE)
    factors = {name for name in adapter if name.startswith("unet.") and name.endswith(".lora_A")}
    assert len(lora) == 3 * len(factors)
    ours = "unet.up_blocks.0.attentions.1.transformer_blocks.0.attn2.to_out.0"
    theirs = "lora_unet_up_blocks_0_attentions_1_transformer_blocks_0_attn2_to_out_0"
    assert torch.equal(lora[f"{theirs}.lora_down.weight"], adapter[f"{ours}.lora_A"])
    assert torch.equal(lora[f"{theirs}.lora_up.weight"], adapter[f"{ours}.lora_B"])
    assert lora[f"{theirs}.lora_up.weight"].any()
    assert {float(value) for name, value in lora.items() if name.endswith(".alpha")} == {config.unet.alpha}
    frozen = replace(config, out=config.out + "-frozen", unet=replace(config.unet, train="frozen"))
    train_lora(frozen, stop_after_steps=1)
    assert not (Path(frozen.out) / UNET_LORA_FILE).exists()


def test_an_optimizer_that_is_not_installed_is_named_before_anything_is_written(config) -> None:
    if find_spec("bitsandbytes") is not None:
        pytest.skip("bitsandbytes is installed")
    message = "needs bitsandbytes, which is not installed. Install it .* or set optimizer: adamw"
    with pytest.raises(GoTError, match=message):
        train_lora(replace(config, optimizer="adamw-8bit"))
    assert not Path(config.out).exists()


def test_adam_in_8_bits_resumes_with_the_same_bits(config) -> None:
    pytest.importorskip("bitsandbytes")
    runs = [replace(config, out=config.out + name, optimizer="adamw-8bit") for name in ("-once", "-twice")]
    train_lora(runs[0])
    train_lora(runs[1], stop_after_steps=3)
    train_lora(runs[1], resume=True)
    assert_same_tensors(tensors(runs[1]), tensors(runs[0]))
    plain = replace(config, out=config.out + "-plain")
    train_lora(plain)
    assert not torch.equal(tensors(plain)[TOKENS], tensors(runs[0])[TOKENS])


def test_an_adapter_for_another_checkpoint_or_none_at_all_is_refused(checkpoint, tmp_path) -> None:
    model = GoTModel.from_pretrained(checkpoint)
    before = model.parts.unet().conv_in.weight.clone()
    good = {"unet.conv_in.bias": torch.ones_like(model.parts.unet().conv_in.bias)}
    for wrong, message in (
        ({"unet.nothing.weight": torch.ones(3)}, "no such weight"),
        ({"unet.conv_out.bias": torch.ones(3)}, r"conv_out.bias of shape \[3\]"),
        ({"other.weight": torch.ones(3)}, "no such weight"),
    ):
        with pytest.raises(GoTError, match=message):
            model.apply_adapter(Adapter(good | wrong, 1.0, 1.0, {}))
        with pytest.raises(GoTError, match=message):
            check_adapter(checkpoint, model.settings.sizes, Adapter(good | wrong, 1.0, 1.0, {}))
    assert torch.equal(model.parts.unet().conv_in.weight, before)
    file = tmp_path / ADAPTER_FILE
    with pytest.raises(GoTError, match="missing, truncated"):
        load_adapter(file)
    save_adapter(file, Adapter(good, 2.0, 0.5, {"steps": 3}))
    assert load_adapter(file).information == {"steps": 3}
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(GoTError, match="missing, truncated"):
        load_adapter(file)
    with pytest.raises(GoTError, match="is not a GoT adapter"):
        load_adapter(checkpoint / "projectors.safetensors")
