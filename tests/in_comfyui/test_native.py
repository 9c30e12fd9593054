"""The native nodes in ComfyUI: the same pictures as the library's, with all that ComfyUI's SDXL can do.

The measurements are made once, by ComfyUI's own Python, in `native_probe.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import Checkpoint
from .place import ComfyUI

PROBE = Path(__file__).with_name("native_probe.py")
Facts = dict[str, Any]


def measured(comfyui: ComfyUI, checkpoint: Checkpoint, folder: Path, *names: str) -> list[Facts]:
    files = [folder / name for name in names]
    command = [comfyui.python, PROBE, comfyui.folder, checkpoint.folder, *files]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # a process with threads of its own cannot be forked
    result = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=one_thread,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


@pytest.fixture(scope="module")
def newest(comfyui: ComfyUI, checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> list[Facts]:
    return measured(comfyui, checkpoint, tmp_path_factory.mktemp("newest"), "facts.json", "dynamic.json")


@pytest.fixture(scope="module")
def facts(newest: list[Facts]) -> Facts:
    """All that the probe can measure, in the newest ComfyUI."""
    return newest[0]


@pytest.fixture(scope="module")
def dynamic(newest: list[Facts]) -> Facts:
    return newest[1]


@pytest.fixture(scope="module")
def oldest(
    oldest_comfyui: ComfyUI, checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> Facts:
    return measured(oldest_comfyui, checkpoint, tmp_path_factory.mktemp("oldest"), "facts.json")[0]


@pytest.fixture(scope="module", params=["facts", "oldest", "dynamic"])
def loaded(request: pytest.FixtureRequest) -> Facts:
    """What depends on how ComfyUI loads a checkpoint: the newest, the oldest, and with dynamic VRAM."""
    measurements: Facts = request.getfixturevalue(request.param)
    return measurements


def test_regions_hear_their_own_words_in_one_pass(facts: Facts) -> None:
    regional = facts["regional"]
    assert regional["one region over all"] < 1e-4 * regional["largest"]
    assert regional["no share for regions"] < 1e-4 * regional["largest"]
    assert min(*regional["half"], regional["a lora's own"]) > 1e-2 * regional["largest"]
    assert regional["as masked conditioning"] < 1e-4 * regional["largest"]
    assert regional["model untouched"] == 0.0


def test_one_evaluation_of_the_unet_is_the_librarys(loaded: Facts) -> None:
    assert loaded["forward"]["difference"] < 1e-5 * max(1.0, loaded["forward"]["largest"])


def test_the_vae_encodes_as_the_library_does(loaded: Facts) -> None:
    assert loaded["vae"]["difference"] < 1e-4 * max(1.0, loaded["vae"]["largest"])


@pytest.mark.parametrize("task", ["generate", "edit"])
def test_the_picture_is_the_librarys_from_the_same_seed_with_euler(loaded: Facts, task: str) -> None:
    assert loaded["parity"][task]["psnr"] >= 40


def test_the_guiders_own_sampler_and_steps_draw_the_librarys_picture_at_that_speed(loaded: Facts) -> None:
    speeds = loaded["speeds"]
    assert speeds["steps"] == {"exact": 50, "fast": 8}
    assert speeds["psnr"] > 40
    assert "needs an adapter distilled from this checkpoint" in speeds["fastest without a LoRA"]


@pytest.mark.parametrize("task", ["generate", "edit"])
def test_the_latents_are_the_librarys_from_the_same_start(loaded: Facts, task: str) -> None:
    assert loaded["parity"][task]["latents from the same start"] < 1e-4


@pytest.mark.parametrize("task", ["generate", "edit"])
def test_that_comparison_is_not_blind(loaded: Facts, task: str) -> None:
    assert loaded["parity"][task]["psnr of another seed and plan"] < 30


def test_only_branches_with_a_coefficient_are_evaluated_and_all_in_one_batch(facts: Facts) -> None:
    assert facts["branches"] == {
        "all four": [4, 4, 4],
        "reference 1": [3, 3, 3],
        "semantic and reference 1": [2, 2, 2],
        "all 1": [1, 1, 1],
        "generation by default, two pictures": [4, 4],
    }


def test_plain_ksampler_draws_full_guidance_against_none(facts: Facts) -> None:
    assert facts["ksampler"]["difference"] < 1e-4
    assert facts["ksampler"]["absent latents are zeros"]


def test_a_batch_of_guidance_is_dealt_out_in_turn(facts: Facts) -> None:
    assert facts["batch"]["first and third"] < 1e-4
    assert facts["batch"]["second and fourth"] < 1e-4
    assert facts["batch"]["first and second"] > 1e-2


@pytest.mark.parametrize(("stored", "bar"), [("default", 40), ("fp8_e4m3fn", 30)])
def test_an_sdxl_lora_works_and_leaves_no_trace(loaded: Facts, stored: str, bar: float) -> None:
    lora = loaded["lora"][stored]
    assert lora["psnr against the merged weights"] >= bar
    assert lora["psnr against no LoRA"] < bar
    assert lora["bytes differ while it is applied"]
    assert lora["bytes are restored"]
    assert lora["picture is restored"]


def test_the_unet_half_of_an_adapter_is_a_lora_for_comfyuis_own_loader(facts: Facts) -> None:
    half = facts["unet half of an adapter"]
    assert half["complaints"] == []
    assert half["weights that change"] == half["layers"] > 100
    assert half["largest difference"] < 1e-5 < 1e-2 < half["smallest change"]


def test_torch_compile_draws_the_same(facts: Facts) -> None:
    assert facts["compiled"]["difference"] < 1e-3


@pytest.mark.parametrize(
    ("name", "stored", "bar"),
    [
        ("default", "torch.float32", 40),
        ("float32", "torch.float32", 40),
        ("float16", "torch.float16", 40),
        ("bfloat16", "torch.bfloat16", 40),
        ("fp8_e4m3fn", "torch.float8_e4m3fn", 30),
        ("fp8_e5m2", "torch.float8_e5m2", 25),
    ],
)
def test_weights_are_stored_as_asked(loaded: Facts, name: str, stored: str, bar: float) -> None:
    assert loaded["weight types"][name]["stored as"] == stored
    assert loaded["weight types"][name]["psnr"] >= bar


def test_previews_show_the_pictures_colours(facts: Facts) -> None:
    assert facts["preview"]["size"] == [20, 13]
    assert facts["preview"]["difference"] < 0.5 * facts["preview"]["difference in SDXL's colours"]


def test_dynamic_vram_changes_no_number(facts: Facts, dynamic: Facts) -> None:
    for name in ("forward", "vae", "parity", "lora", "weight types"):
        assert dynamic[name] == facts[name], name


def test_parts_go_whole_to_the_card_with_novram_too(loaded: Facts) -> None:
    assert loaded["parts with --novram"] == ["meta"] * 4


def test_a_language_model_that_no_card_can_hold_works_on_the_cpu(loaded: Facts) -> None:
    assert loaded["parts too large"] == {"unet": "meta", "language": "cpu"}


def test_the_cache_knows_that_a_got_model_holds_weights(facts: Facts) -> None:
    assert facts["counted as a model"] == [False, True]


def test_every_sampler_and_scheduler_of_comfyui_works(facts: Facts) -> None:
    assert facts["failed"] == {"samplers": [], "schedulers": []}


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("another MODEL", ["GoT Native Model Loader", "SDXL"]),
        ("another size", ["104 high and 160 wide", "128 high and 128 wide"]),
        ("another checkpoint's guidance", ["cross_attn", "2048"]),
        ("a path as name", ["../../etc", "There is no GoT checkpoint"]),
        ("a UNet tensor is missing", ["unet", "missing: down_blocks.1", "attn1.to_out.0.weight"]),
        ("a UNet tensor too many", ["unet", "unexpected: extra"]),
        ("a UNet tensor of another shape", ["attn1.to_out.0.weight", "[2, 2]"]),
        ("a VAE tensor is missing", ["vae", "missing: quant_conv.weight"]),
        ("NaN in the VAE", ["vae", "quant_conv.bias", "NaN", "again"]),
        ("KSampler, NaN in the UNet", ["What the sampler has made holds NaN", "out.2.bias", "again"]),
        ("GoT Guider, NaN in the UNet", ["What the sampler has made holds NaN", "out.2.bias", "again"]),
        ("another activation", ["unet/config.json", "act_fn", "'gelu'", "'silu'"]),
        ("heads of two widths", ["unet/config.json", "heads"]),
        ("another prediction", ["scheduler_config.json", "v_prediction"]),
    ],
)
def test_a_mistake_is_named(loaded: Facts, mistake: str, words: list[str]) -> None:
    message = loaded["messages"][mistake]
    assert [word for word in words if word not in message] == [], message


def test_an_sdxl_sized_checkpoint_fits_comfyuis_classes(facts: Facts) -> None:
    assert facts["sdxl size"] == {
        "LoRA layers": 790,
        "LoRA layers without a place": [],
        "every tensor has its place": True,
        "differs from ComfyUI's SDXL in": ["in_channels"],
    }
