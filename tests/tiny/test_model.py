"""The model as a whole: reasoning is streamed, seeded and stopped, and what cannot be used is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from got_models.chain.chain import ReasoningChain
from got_models.diffusion.settings import GuidanceScales, SamplingSettings
from got_models.edit_area import resize_result
from got_models.errors import GoTError, Interrupted
from got_models.mllm.prompts import TokenIds
from got_models.mllm.reasoner import read_hidden
from got_models.mllm.settings import GenerationSettings
from got_models.pipeline import GoTModel

PROMPT = "a red circle to the left of a blue square"
CHAIN = ReasoningChain.parse(
    "A red circle <|box_start|>(100,200),(400,500)<|box_end|> (red) on a white background.",
    "generate",
    PROMPT,
)
SOURCE = Image.new("RGB", (90, 60), "white")


@pytest.mark.parametrize("source", [None, SOURCE], ids=["generate", "edit"])
def test_streamed_pieces_join_to_the_text(model: GoTModel, source: Image.Image | None) -> None:
    pieces: list[str] = []
    task = "generate" if source is None else "edit"
    text = model.parts.reasoner().write(
        task,
        PROMPT,
        source,
        settings=GenerationSettings(max_new_tokens=24, temperature=1.5, seed=1),
        on_text=pieces.append,
    )
    assert len(pieces) > 3
    assert "".join(pieces) == text


def test_cached_writing_agrees_with_reading_everything_again_at_each_token(model: GoTModel) -> None:
    """Greedy decoding from full passes without a cache, written out, gives the same text."""
    reasoner = model.parts.reasoner()
    text = reasoner.write(
        "edit", PROMPT, SOURCE, settings=GenerationSettings(max_new_tokens=10, temperature=0)
    )
    inputs = reasoner.inputs(reasoner.context("edit", PROMPT, SOURCE))
    start = inputs["input_ids"].shape[1]
    ids = reasoner.token_ids
    penalty = reasoner.mllm.generation_config.repetition_penalty
    assert penalty in (None, 1.0), "the bundled checkpoint decodes without a repetition penalty"
    for _ in range(10):
        types = (inputs["input_ids"] == ids.image_pad).int()
        inputs |= {"attention_mask": torch.ones_like(types)}
        if "mm_token_type_ids" in inputs:
            inputs |= {"mm_token_type_ids": types}
        with torch.no_grad():
            token = reasoner.mllm(**inputs).logits[:, -1:].argmax(-1)
        if token.item() in (ids.image_start, ids.vision_start, ids.end_of_text):
            break
        inputs |= {"input_ids": torch.cat([inputs["input_ids"], token], dim=1)}
    assert text == reasoner.tokenizer.decode(inputs["input_ids"][0, start:])


def test_sampled_text_follows_its_seed_and_leaves_the_global_one_alone(model: GoTModel) -> None:
    def write(seed: int) -> str:
        return model.parts.reasoner().write(
            "generate",
            PROMPT,
            settings=GenerationSettings(max_new_tokens=24, temperature=2.0, top_p=0.99, seed=seed),
        )

    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    first = write(3)
    assert torch.equal(torch.rand(1), before)
    assert write(3) == first
    assert write(4) != first


def test_writing_stops_at_the_next_token_when_asked(model: GoTModel) -> None:
    pieces: list[str] = []
    with pytest.raises(Interrupted):
        model.reason(PROMPT, on_text=pieces.append, should_stop=lambda: len(pieces) == 1)
    assert len(pieces) == 1


def test_task_follows_from_the_picture(model: GoTModel) -> None:
    assert model.reason(PROMPT, settings=GenerationSettings(max_new_tokens=2)).task == "generate"
    assert model.reason(PROMPT, SOURCE, settings=GenerationSettings(max_new_tokens=2)).task == "edit"


@pytest.mark.parametrize("settings", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_p": 0.0}])
def test_unusable_decoding_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(GoTError, match=next(iter(settings))):
        GenerationSettings(**settings)


def test_a_batch_reads_what_each_sequence_reads_alone(model: GoTModel) -> None:
    """Training reads padded batches of both tasks; the hidden states are those of single sequences."""
    reasoner = model.parts.reasoner()
    ids = TokenIds.of(reasoner.tokenizer)
    tail = [ids.image_start, *ids.image_tokens]
    single = [
        reasoner.inputs(reasoner.context("generate", PROMPT, None).followed_by(*tail)),
        reasoner.inputs(reasoner.context("edit", "x", SOURCE).followed_by(*tail)),
    ]
    length = max(row["input_ids"].shape[1] for row in single)
    batch = {
        name: torch.cat(
            [torch.nn.functional.pad(row[name], (0, length - row[name].shape[1])) for row in single]
        )
        for name in ("input_ids", "attention_mask")
    }
    pictures = single[1]["pixel_values"], single[1]["image_grid_thw"]
    with torch.no_grad():
        together = read_hidden(
            reasoner.mllm, batch["input_ids"], batch["attention_mask"], *pictures, ids.image_tokens
        )
        alone = [
            read_hidden(
                reasoner.mllm,
                row["input_ids"],
                row["attention_mask"],
                row.get("pixel_values"),
                row.get("image_grid_thw"),
                ids.image_tokens,
            )
            for row in single
        ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)


def test_guidance_has_the_default_size_of_the_task_and_finite_values(model: GoTModel) -> None:
    guidance = model.encode(CHAIN)
    defaults = model.settings.tasks["generate"]
    assert guidance.size == (defaults.height, defaults.width)
    assert guidance.semantic.shape == (1, 64, model.settings.sizes.cross_attention)
    assert guidance.pooled.shape == (1, model.settings.sizes.pooled)


def test_edited_text_changes_the_semantic_guidance_and_a_moved_box_the_spatial(model: GoTModel) -> None:
    guidance = model.encode(CHAIN)
    renamed = model.encode(CHAIN.rename(0, "a green star"))
    assert not torch.allclose(renamed.semantic, guidance.semantic, atol=1e-3)
    assert torch.equal(renamed.spatial, guidance.spatial)


@pytest.mark.parametrize("size", [(100, 128), (128, 132), (32, 128), (128, 4096)])
def test_sizes_that_do_not_fit_are_refused_with_what_is_needed(
    model: GoTModel, size: tuple[int, int]
) -> None:
    with pytest.raises(GoTError, match="must be a multiple of 8 from 64 to 2048, got"):
        model.encode(CHAIN, size=size)


def test_editing_needs_a_picture_and_generating_takes_none(model: GoTModel) -> None:
    edit = ReasoningChain.parse(CHAIN.text, "edit", PROMPT)
    with pytest.raises(GoTError, match="Editing needs the picture"):
        model.encode(edit)
    with pytest.raises(GoTError, match="leave it out"):
        model.encode(CHAIN, SOURCE)


def test_picture_has_the_size_asked_for(model: GoTModel) -> None:
    guidance = model.encode(CHAIN, size=(96, 160))
    assert model.sample(guidance, SamplingSettings(scales=GuidanceScales(1, 1, 1), steps=1)).size == (160, 96)


def test_decoding_undoes_the_scaling(model: GoTModel) -> None:
    """A picture encoded, scaled and decoded is what the VAE alone makes of it."""
    pixels = torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        latents = model.parts.vae().encode(pixels).latent_dist.mode()
        expected = model.parts.vae().decode(latents).sample[0]
    picture = model.decode(latents * model.parts.vae().config.scaling_factor)
    levels = torch.tensor(np.array(picture), dtype=torch.float32).permute(2, 0, 1)
    assert ((expected.clamp(-1, 1) + 1) * 127.5 - levels).abs().max() < 0.51


@pytest.mark.parametrize(
    ("source", "short_side", "expected"),
    [((300, 200), 128, (192, 128)), ((200, 300), 128, (128, 192)), ((64, 64), 128, (128, 128))],
)
def test_result_gets_the_aspect_of_its_source(
    source: tuple[int, int], short_side: int, expected: tuple[int, int]
) -> None:
    assert resize_result(Image.new("RGB", (128, 128)), source, short_side).size == expected
