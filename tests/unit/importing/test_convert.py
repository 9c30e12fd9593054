"""The imported checkpoint, and what an import checks before it writes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from got_models.__main__ import main
from got_models.importing import convert
from got_models.importing.convert import import_checkpoint
from got_models.importing.folders import find_folders
from got_models.pipeline import GoTModel

from ...published import older
from .published_tree import (
    QWEN_CONFIG,
    ROWS,
    UNET_CONFIG,
    VAE_CONFIG,
    Refused,
    assert_same,
    change_state,
    expected_parts,
    trained,
    written_parts,
)


@pytest.mark.parametrize(("dtype", "kind"), [("float16", torch.float16), ("bfloat16", torch.bfloat16)])
def test_weights_are_rounded_to_the_dtype_after_merging(
    dtype: str, kind: torch.dtype, published: Path, tmp_path: Path
) -> None:
    assert main(["convert", str(published), str(tmp_path / "out"), "--dtype", dtype]) == 0
    expected = {
        part: {key: value.to(kind) for key, value in state.items()}
        for part, state in expected_parts(trained()[1]).items()
    }
    assert_same(written_parts(tmp_path / "out"), expected)


def test_every_part_of_an_imported_checkpoint_loads(imported: Path) -> None:
    model = GoTModel.from_pretrained(imported)
    merged = older(trained()[1])
    embedding = model.parts.reasoner().mllm.get_input_embeddings().weight
    assert torch.equal(embedding, merged["mllm.model.embed_tokens.weight"].bfloat16().float())
    assert torch.equal(model.parts.unet().conv_in.weight, merged["unet.conv_in.weight"].bfloat16().float())
    assert torch.equal(model.parts.vae().quant_conv.bias, merged["vae.quant_conv.bias"].bfloat16().float())
    bias = model.parts.ssgm().output_projector_add.projector.bias
    assert torch.equal(bias, merged["output_projector_add.projector.bias"].bfloat16().float())


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        ({"force_upcast": True}, torch.float32),
        ({}, torch.float32),
        ({"force_upcast": False}, torch.float16),
    ],
)
def test_a_vae_stays_in_float32_in_half_precision_unless_its_config_says_that_it_need_not(
    entry: dict[str, bool], kept: torch.dtype, imported: Path, tmp_path: Path
) -> None:
    checkpoint = Path(shutil.copytree(imported, tmp_path / "copy"))
    config = {key: value for key, value in VAE_CONFIG.items() if key != "force_upcast"}
    (checkpoint / "vae/config.json").write_text(json.dumps(config | entry))
    model = GoTModel.from_pretrained(checkpoint, dtype=torch.float16)
    assert (model.parts.unet().dtype, model.parts.vae().dtype) == (torch.float16, kept)


def test_settings_are_those_of_the_published_inference(imported: Path, published: Path) -> None:
    settings = json.loads((imported / "got.json").read_text())
    assert (settings["vision_size"], settings["max_new_tokens"]) == (448, 1024)
    assert settings["mask_rule"] == "published"
    assert settings["sizes"] == {"hidden": 32, "cross_attention": 48, "pooled": 16, "image_tokens": 64}
    shared = {"steps": 50, "width": 1024, "height": 1024}
    assert settings["tasks"]["generate"] == {"semantic": 7.5, "spatial": 4.0, "reference": 1.0, **shared}
    assert settings["tasks"]["edit"] == {"semantic": 4.0, "spatial": 3.0, "reference": 1.5, **shared}
    scheduler = json.loads((imported / "scheduler/scheduler_config.json").read_text())
    assert scheduler["_class_name"] == "DDPMScheduler"
    assert (scheduler["beta_start"], scheduler["beta_end"]) == (0.00085, 0.012)
    assert scheduler["beta_schedule"] == "scaled_linear"
    qwen = published / "Qwen2.5-VL-3B-Instruct"
    for copied, original in (
        ("mllm/generation_config.json", "generation_config.json"),
        ("processor/preprocessor_config.json", "preprocessor_config.json"),
    ):
        assert (imported / copied).read_bytes() == (qwen / original).read_bytes()


def test_configs_are_the_publishers_but_for_what_training_has_changed(imported: Path) -> None:
    mllm = json.loads((imported / "mllm/config.json").read_text())
    assert mllm == {k: v for k, v in QWEN_CONFIG.items() if k != "torch_dtype"} | {"vocab_size": ROWS}
    assert json.loads((imported / "unet/config.json").read_text()) == UNET_CONFIG | {"in_channels": 12}
    assert json.loads((imported / "vae/config.json").read_text()) == VAE_CONFIG


def test_the_manifest_has_the_checksum_of_every_file(imported: Path) -> None:
    files = {file.relative_to(imported).as_posix(): file for file in imported.rglob("*") if file.is_file()}
    del files["manifest.json"]
    manifest = json.loads((imported / "manifest.json").read_text())
    assert manifest["sha256"] == {
        name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()
    }
    assert str(imported.parent) not in json.dumps(manifest)


def test_nothing_but_the_checkpoint_is_left_behind(imported: Path) -> None:
    assert os.listdir(imported.parent) == [imported.name]


def test_large_parts_are_written_as_shards_that_load(
    published: Path, imported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "SHARD_BYTES", 50_000)
    import_checkpoint(find_folders(published), tmp_path / "out")
    for part in ("mllm", "unet", "vae"):
        assert len(list((tmp_path / "out" / part).glob("*-00001-of-*.safetensors"))) == 1
    assert_same(written_parts(tmp_path / "out"), written_parts(imported))
    model = GoTModel.from_pretrained(tmp_path / "out")
    assert (
        model.parts.unet().config.in_channels == 12
        and model.parts.reasoner().mllm is not None
        and model.parts.vae() is not None
    )


def test_the_command_says_where_the_checkpoint_is_and_shows_progress(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(published), str(tmp_path / "out")]) == 0
    output = capsys.readouterr()
    assert output.out == f"{tmp_path / 'out'}\n"
    assert "converting" in output.err and "%|" in output.err


def test_weights_that_are_not_finite_are_refused(source: Path, refused: Refused) -> None:
    change_state(source, lambda state: state["unet.conv_out.bias"].fill_(float("nan")))
    assert "conv_out.bias has values that are not finite" in refused(source)


def test_weights_too_large_for_float16_are_refused_and_fit_into_bfloat16(
    source: Path, refused: Refused, tmp_path: Path
) -> None:
    change_state(source, lambda state: state["unet.conv_out.bias"].fill_(70_000.0))
    assert "70000. Choose bfloat16" in refused(source, None, "--dtype", "float16")
    assert main(["convert", str(source), str(tmp_path / "out"), "--dtype", "bfloat16"]) == 0


@pytest.mark.parametrize("name", [".", "GoT-6B", "Qwen2.5-VL-3B-Instruct", "GoT-6B/../GoT-6B"])
def test_a_destination_that_is_the_source_is_refused(name: str, source: Path, refused: Refused) -> None:
    assert "is a source of the import" in refused(source, source / name)


def test_a_destination_that_exists_is_refused(source: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("folder", "file", "link"):
        assert "exists already" in refused(source, tmp_path / name)
    assert "cannot be written" in refused(source, tmp_path / "file/out")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="/proc is a folder that nobody can write to")
def test_a_folder_without_write_permission_is_refused(
    source: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10**12))
    assert "/proc/out cannot be written" in refused(source, Path("/proc/out"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(source: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir(mode=0o555)
    assert "Permission denied" in refused(source, tmp_path / "models/out")


def test_too_little_room_on_the_disk_is_found_out_before_the_work(
    source: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10_000_000))
    message = refused(source)
    assert "takes 0.1 GB" in message and "only 0.0 GB free" in message
