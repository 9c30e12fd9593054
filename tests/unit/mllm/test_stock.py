"""Qwen2.5-VL and Qwen3-VL as published: loaded, asked, streamed and stopped."""

from __future__ import annotations

import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image

from got_models.chain.chain import ReasoningChain
from got_models.chain.region import Box
from got_models.errors import GoTError, Interrupted
from got_models.mllm.settings import GenerationSettings
from got_models.mllm.stock import MOST_PIXELS, StockModel
from got_models.weights.stock import load_stock
from got_models.weights.stock_folders import is_stock

from .stock_folders import write_folder

TYPES = ["qwen2_5_vl", "qwen3_vl"]
PICTURE = Image.effect_noise((300, 200), 60)
SHORT = GenerationSettings(max_new_tokens=8, temperature=1.0, seed=5)


@pytest.fixture(scope="module", params=TYPES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("stock") / request.param, request.param)


@pytest.fixture(scope="module")
def model(folder: Path) -> StockModel:
    return load_stock(folder, torch.float32)


def test_it_writes_token_by_token_and_the_same_for_the_same_seed(model: StockModel) -> None:
    for picture in (None, PICTURE):
        pieces: list[str] = []
        text = model.write("Where?", picture, SHORT, on_text=pieces.append)
        assert "".join(pieces) == text
        assert len(pieces) > 1
        assert model.write("Where?", picture, SHORT) == text


def test_it_looks_at_the_picture(model: StockModel) -> None:
    def scores(picture: Image.Image | None) -> torch.Tensor:
        given: dict[str, Any] = {}
        generate = model.mllm.generate
        model.mllm.generate = lambda **options: given.update(options)
        model.write("Where?", picture, SHORT)
        del model.mllm.generate
        assert generate == model.mllm.generate
        options = {key: value for key, value in given.items() if key not in ("generation_config", "streamer")}
        with torch.no_grad():
            result: torch.Tensor = model.mllm(**options).logits[0, -1]
        return result

    other = Image.new("RGB", PICTURE.size, "red")
    assert not torch.equal(scores(PICTURE), scores(other))


def test_stop_ends_it_at_the_next_token(model: StockModel) -> None:
    calls: list[None] = []

    def third() -> bool:
        calls.append(None)
        return len(calls) == 3

    with pytest.raises(Interrupted):
        model.write("Where?", None, GenerationSettings(max_new_tokens=500), should_stop=third)
    assert len(calls) == 3


def test_the_size_in_which_qwen2_5_counts_is_that_of_the_picture_it_sees(model: StockModel) -> None:
    huge = Image.new("RGB", (6000, 3000))
    if not model.counts_pixels:
        assert model.size_counted(huge) is None
        return
    assert model.size_counted(None) is None
    width, height = model.size_counted(huge) or (0, 0)
    assert 0.9 * MOST_PIXELS < width * height < 1.1 * MOST_PIXELS
    assert width % 28 == height % 28 == 0 and 1.9 < width / height < 2.1


def reply(model: StockModel) -> dict[str, Any]:
    """The left upper quarter, in the unit in which the model was asked."""
    width, height = model.size_counted(PICTURE) or (1000, 1000)
    return {
        "description": "A fox.",
        "objects": [{"label": "A fox", "bbox_2d": [0, 0, width // 2, height // 2]}],
    }


def test_boxes_arrive_in_the_right_place_whatever_the_model_counts(
    model: StockModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def write(text: str, *given: Any, **options: Any) -> str:
        asked.append(text)
        return json.dumps(reply(model))

    monkeypatch.setattr(model, "write", write)
    chain = model.plan("make it a cat", "edit", PICTURE)
    assert ("in pixels of the picture, which is" in asked[0]) == model.counts_pixels
    assert chain.regions[0].box == Box(0, 0, 500, 500)
    locked = ReasoningChain.parse("a fox (100,200),(300,400)", "edit", "x").regions
    assert model.plan("make it a cat", "edit", PICTURE, locked).regions[0].box == Box(100, 200, 300, 400)


def test_garbage_is_requested_twice_and_then_a_message(model: StockModel) -> None:
    with pytest.raises(GoTError, match="asked twice"):
        model.plan("a fox", "generate", settings=SHORT)


def test_what_cannot_be_loaded_says_why(folder: Path, tmp_path: Path) -> None:
    assert is_stock(folder) and not is_stock(tmp_path)
    for name, change, message in [
        ("quantized", {"quantization_config": {"quant_method": "awq"}}, "quantized"),
        ("other", {"model_type": "llava"}, "no Qwen2.5-VL or Qwen3-VL"),
        (
            "wide",
            {
                "text_config": {
                    **json.loads((folder / "config.json").read_text())["text_config"],
                    "intermediate_size": 48,
                }
            },
            "wide",
        ),
    ]:
        copy = tmp_path / name
        shutil.copytree(folder, copy)
        file = copy / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
        with pytest.raises(GoTError, match=message):
            load_stock(copy, torch.float32)
    (tmp_path / "quantized" / "model.safetensors").unlink()
    (tmp_path / "quantized" / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(GoTError, match="holds no weights"):
        load_stock(tmp_path / "quantized", torch.float32)


def test_an_older_transformers_names_the_version_that_is_needed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = types.ModuleType("transformers")
    older.__version__ = "4.52.0"
    older.Qwen2_5_VLForConditionalGeneration = transformers.Qwen2_5_VLForConditionalGeneration
    monkeypatch.setitem(sys.modules, "transformers", older)
    if not (folder / "config.json").read_text().count('"qwen3_vl"'):
        return
    with pytest.raises(GoTError, match=r"needs transformers 4\.57 or newer, and here is 4\.52"):
        load_stock(folder, torch.float32)
