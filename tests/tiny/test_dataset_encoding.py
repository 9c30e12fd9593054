"""Latents and vision features of a dataset: those of inference, and computed once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from got_models.dataset.encoding import Encoder
from got_models.dataset.rows import Dataset, read_dataset
from got_models.diffusion.box_masks import MASK_RULES
from got_models.errors import GoTError
from got_models.mllm.reasoner import picture_patches
from got_models.pipeline import GoTModel
from got_models.weights.fingerprints import weights_digest
from got_models.weights.parts import PartLoader, PartName, ResidentParts

CHAIN = "A red cup (100,200),(500,900) and a blue plate (600,200),(900,700)."


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    folder = tmp_path / "dataset"
    folder.mkdir()
    Image.linear_gradient("L").convert("RGB").resize((150, 100)).save(folder / "new.png")
    Image.radial_gradient("L").convert("RGB").resize((150, 100)).save(folder / "old.png")
    rows = [
        {"image": "new.png", "prompt": "a cup", "chain": CHAIN},
        {"image": "new.png", "prompt": "make it red", "chain": CHAIN, "source": "old.png"},
    ]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return read_dataset(folder)


def without_vae(model: GoTModel, dtype: torch.dtype = torch.float32) -> GoTModel:
    """The same checkpoint, whose VAE must not be loaded."""
    load = PartLoader(model.path, model.settings, dtype)

    def refuse(name: PartName) -> Any:
        if name == "vae":
            raise RuntimeError("the VAE was asked for")
        return load(name)

    return GoTModel(model.path, model.settings, ResidentParts(refuse, "cpu", dtype))


def test_reference_and_boxes_are_encoded_as_in_inference(model: GoTModel, dataset: Dataset) -> None:
    edit = dataset.rows[1]
    encoded = Encoder(model, 128, dataset.folder / "cache").encode(edit)
    assert encoded.size == (104, 160)
    guidance = model.encode(edit.chain, Image.open(edit.source.path), encoded.size)
    torch.testing.assert_close(encoded.reference, guidance.reference)
    torch.testing.assert_close(encoded.spatial, guidance.spatial)
    assert encoded.target.shape == encoded.reference.shape == (1, 4, 13, 20)
    assert not torch.equal(encoded.target, encoded.reference)


def test_a_generation_refers_to_a_black_picture(model: GoTModel, dataset: Dataset) -> None:
    row = dataset.rows[0]
    encoded = Encoder(model, 128, dataset.folder / "cache").encode(row)
    guidance = model.encode(row.chain, None, encoded.size)
    torch.testing.assert_close(encoded.reference, guidance.reference)
    assert encoded.vision is None


def test_vision_features_put_in_give_what_the_picture_gives(model: GoTModel, dataset: Dataset) -> None:
    from got_models.mllm.prompts import conversation
    from got_models.mllm.reasoner import hidden_states, hidden_states_of_features

    encoded = Encoder(model, 128, dataset.folder / "cache").encode(dataset.rows[1])
    reasoner = model.parts.reasoner()
    patches, grid = picture_patches(
        reasoner.image_processor, Image.open(dataset.rows[1].source.path), model.settings.vision_size
    )
    text = conversation(reasoner.tokenizer, "edit", "make it red", len(encoded.vision))
    ids = torch.tensor([reasoner.tokenizer(text, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        expected = hidden_states(reasoner.mllm, ids, None, patches, grid)[-1]
        received = hidden_states_of_features(reasoner.mllm, ids, encoded.vision, grid)
    torch.testing.assert_close(received, expected, rtol=1e-4, atol=1e-4)


def test_boxes_drawn_by_one_rule_are_never_those_kept_from_another(
    checkpoint: Path, dataset: Dataset
) -> None:
    spatial = {}
    for rule in MASK_RULES:
        model = GoTModel.from_pretrained(checkpoint)
        model.settings = replace(model.settings, mask_rule=rule)
        encoded = Encoder(model, 128, dataset.folder / "cache").encode(dataset.rows[0])
        guidance = model.encode(dataset.rows[0].chain, None, encoded.size)
        torch.testing.assert_close(encoded.spatial, guidance.spatial)
        spatial[rule] = encoded.spatial
    assert not torch.allclose(spatial["published"], spatial["rounded"], atol=1e-2)


def test_what_is_in_the_cache_is_not_computed_again(model, dataset) -> None:
    cache = dataset.folder / "cache"
    first = [Encoder(model, 128, cache).encode(row) for row in dataset.rows]
    encoder = Encoder(without_vae(model), 128, cache)
    for row, before in zip(dataset.rows, first, strict=True):
        after = encoder.encode(row)
        assert after.size == before.size
        for part in ("target", "reference", "spatial"):
            assert torch.equal(getattr(after, part), getattr(before, part))


def test_another_size_box_or_number_format_is_computed(model, dataset) -> None:
    cache, row = dataset.folder / "cache", dataset.rows[0]
    Encoder(model, 128, cache).encode(row)
    headers = without_vae(model)
    bfloat16 = without_vae(model, torch.bfloat16)
    moved = replace(row, chain=row.chain.move_box(0, row.chain.regions[1].box))
    for encoder, wanted in (
        (Encoder(headers, 64, cache), row),
        (Encoder(headers, 128, cache), moved),
        (Encoder(bfloat16, 128, cache), row),
    ):
        with pytest.raises(RuntimeError, match="was asked for"):
            encoder.encode(wanted)


def test_a_damaged_file_in_the_cache_is_made_again(model, dataset) -> None:
    cache, row = dataset.folder / "cache", dataset.rows[0]
    before = Encoder(model, 128, cache).encode(row)
    for file in cache.rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:50])
    assert torch.equal(Encoder(model, 128, cache).encode(row).target, before.target)


def test_a_picture_that_changes_meanwhile_is_noticed(model, dataset) -> None:
    Image.new("RGB", (150, 100)).save(dataset.rows[0].image.path)
    with pytest.raises(GoTError, match="has changed since the dataset was read"):
        Encoder(model, 128, dataset.folder / "cache").encode(dataset.rows[0])


def test_a_cache_that_cannot_be_written_says_so(model, dataset) -> None:
    (dataset.folder / "cache").write_text("a file in the way")
    with pytest.raises(GoTError, match=r"cannot be written to.*Free some disk space"):
        Encoder(model, 128, dataset.folder / "cache").encode(dataset.rows[0])


def test_the_digest_of_weights_sees_one_number_of_the_part_it_is_asked_for(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    def digest(tower: float, other: float) -> str:
        tensors = {"visual.a": torch.tensor([tower]), "layers.a": torch.tensor([other]).bfloat16()}
        save_file(tensors, tmp_path / "model.safetensors")
        return weights_digest(tmp_path, "visual.")

    assert digest(1.0, 1.0) == digest(1.0, 2.0) != digest(1.5, 1.0)
