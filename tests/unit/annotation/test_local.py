"""Folders of Qwen as annotators: what they declare is what they count in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from got_models.annotation.annotator import PIXELS, THOUSANDTHS, AnnotatorError, check_coordinates
from got_models.annotation.local import StockAnnotator
from got_models.errors import Interrupted
from got_models.weights.stock import load_stock
from tests.unit.mllm.stock_folders import write_folder


@pytest.mark.parametrize(("kind", "coordinates"), [("qwen2_5_vl", PIXELS), ("qwen3_vl", THOUSANDTHS)])
def test_a_folder_of_qwen_declares_its_unit_and_answers(kind: str, coordinates: str, tmp_path: Path) -> None:
    model = load_stock(write_folder(tmp_path, kind), torch.float32)
    annotator = StockAnnotator(model, "tiny")
    assert annotator.coordinates == coordinates
    if kind == "qwen2_5_vl":
        assert annotator.size_shown(Image.new("RGB", (100, 50))) == model.size_counted(
            Image.new("RGB", (100, 50))
        )
    with pytest.raises(Interrupted):
        StockAnnotator(model, "tiny", lambda: True).answer("What is it?", Image.new("RGB", (64, 64)))
    model.write = lambda *_, **__: "hello"  # type: ignore[method-assign]
    with pytest.raises(AnnotatorError, match="tiny does not find a red square"):
        check_coordinates(annotator)
