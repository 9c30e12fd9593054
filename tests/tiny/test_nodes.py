"""The nodes one after the other, as a workflow runs them, on a small checkpoint and without ComfyUI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.got_models.chain.details import Detail, Stated
from got_pack.got_models.diffusion.settings import GuidanceScales, SamplingSettings
from got_pack.got_models.edit_area import edited_area, paste
from got_pack.got_models.errors import GoTError
from got_pack.got_models.mllm.settings import GenerationSettings
from got_pack.nodes._images import pictures_to_image
from got_pack.nodes._model import ManagedModel
from got_pack.nodes._png import prepare
from got_pack.nodes.guidance import EncodedPlan, GoTSSGMEncode
from got_pack.nodes.loaders import GoTModelLoader
from got_pack.nodes.reasoning import GoTReason
from got_pack.nodes.sampling import GoTSampler

PROMPT = "a red circle to the left of a blue square"
TEXT = "A red circle (250,250),(500,500) on a white background."
CHAIN = ReasoningChain.parse(TEXT, "generate", PROMPT)
EDIT = ReasoningChain.parse(TEXT, "edit", "make it green")


@pytest.fixture(scope="module")
def got(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> ManagedModel:
    """GOT_MODEL from the loader: the checkpoint lies in models/got of the working directory."""
    place = tmp_path_factory.mktemp("comfyui")
    (place / "models" / "got").mkdir(parents=True)
    (place / "models" / "got" / "small").symlink_to(checkpoint, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        (model,) = GoTModelLoader().load("small", "auto")
    return model


def pictures(count: int, height: int = 96, width: int = 96) -> torch.Tensor:
    levels = torch.randint(0, 256, (count, height, width, 3), generator=torch.Generator().manual_seed(1))
    return levels.float() / 255


def reason(got: ManagedModel, image: torch.Tensor | None = None, **changes: Any) -> dict[str, Any]:
    widgets = {"task": "auto", "max_new_tokens": 4, "temperature": -1.0, "top_p": 1.0, "seed": 0}
    return GoTReason().reason(got, **{"prompt": PROMPT, **widgets, **changes}, image=image)


def encode(
    got: ManagedModel, chain: ReasoningChain = CHAIN, reference: torch.Tensor | None = None, **changes: Any
) -> tuple[EncodedPlan, Any, Any, torch.Tensor]:
    result: tuple[EncodedPlan, Any, Any, torch.Tensor] = encoded(got, chain, reference, **changes)["result"]
    return result


def encoded(
    got: ManagedModel, chain: ReasoningChain = CHAIN, reference: torch.Tensor | None = None, **changes: Any
) -> dict[str, Any]:
    size = {"width": 64, "height": 64}
    return GoTSSGMEncode().encode(got, chain, **{**size, **changes}, reference=reference)


def sampler_answer(got: ManagedModel, plan: EncodedPlan, **changes: Any) -> dict[str, Any]:
    widgets = {"seed": 3, "steps": 2, "scheduler": "euler", "keep_outside_boxes": True, "batch_size": 1}
    scales = {"semantic_scale": -1.0, "spatial_scale": -1.0, "reference_scale": -1.0}
    return GoTSampler().sample(got, plan, **{**widgets, **scales, **changes})


def sample(got: ManagedModel, plan: EncodedPlan, **changes: Any) -> tuple[torch.Tensor, torch.Tensor]:
    latent, image = sampler_answer(got, plan, **changes)["result"]
    return latent["samples"], image


def test_parts_load_when_they_are_first_used(got: ManagedModel) -> None:
    fresh = ManagedModel.open(got.path)
    assert fresh.parts.shared.parts == {}
    assert fresh.parts.unet() is fresh.parts.unet()
    assert list(fresh.parts.shared.parts) == ["unet"]


# Reason


def test_reasoning_gives_a_chain_its_text_and_text_on_the_node(got: ManagedModel) -> None:
    answer = reason(got)
    chain, text = answer["result"]
    assert (chain.task, chain.prompt) == ("generate", PROMPT)
    assert text == chain.text
    assert answer["ui"]["text"][0].startswith(text)


def test_the_library_alone_writes_the_same(got: ManagedModel) -> None:
    chain = reason(got, temperature=1.5, top_p=0.9, seed=4, max_new_tokens=12)["result"][0]
    settings = GenerationSettings(temperature=1.5, top_p=0.9, seed=4, max_new_tokens=12)
    assert chain == got.reason(PROMPT, settings=settings)


def test_several_plans_are_written_with_one_seed_after_the_other(got: ManagedModel) -> None:
    answer = reason(got, seed=4, variants=3)
    plans = answer["ui"]["variants"]
    assert plans[0] == answer["result"][0].to_json() == reason(got, seed=4)["result"][0].to_json()
    assert plans[2] == reason(got, seed=6, temperature=1.0)["result"][0].to_json()
    assert "variants" not in reason(got)["ui"]


def test_a_picture_makes_it_an_edit_and_of_a_batch_the_first_counts(got: ManagedModel) -> None:
    batch = pictures(2)
    chain = reason(got, batch)["result"][0]
    assert chain.task == "edit"
    assert chain == reason(got, batch[:1])["result"][0]


def test_locked_objects_are_in_the_plan(got: ManagedModel) -> None:
    chain = reason(got, locked=CHAIN, max_new_tokens=60)["result"][0]
    wanted = [(region.phrase, region.box) for region in CHAIN.regions]
    assert [
        (region.phrase, region.box) for region in chain.regions if region.phrase == wanted[0][0]
    ] == wanted
    (region,) = CHAIN.regions
    box = region.box
    text = f"{region.phrase} ({box.x1},{box.y1}),({box.x2},{box.y2})"
    assert reason(got, locked_objects=text, max_new_tokens=60)["result"][0] == chain


@pytest.mark.parametrize(
    ("image", "changes", "message"),
    [
        (None, {"prompt": " "}, "prompt is empty"),
        (None, {"locked": EDIT}, "from a plan to edit"),
        (None, {"locked_objects": "a red circle"}, "holds no box"),
        (None, {"locked_objects": "a red circle (1,2),(3,4000)"}, "locked_objects cannot be read"),
        (None, {"task": "edit"}, "no picture is connected"),
        (pictures(1), {"task": "generate"}, "Disconnect it"),
        (torch.zeros(0, 8, 8, 3), {}, "batch is empty"),
        (None, {"temperature": 1.0, "top_p": 2.0}, "top_p"),
    ],
)
def test_what_reason_cannot_use_is_said(
    got: ManagedModel, image: torch.Tensor | None, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(GoTError, match=message):
        reason(got, image, **changes)


# Encode


def test_guidance_is_what_the_library_makes(got: ManagedModel) -> None:
    plan, *_ = encode(got)
    expected = got.encode(CHAIN, size=(64, 64))
    assert torch.equal(plan.guidance.semantic, expected.semantic)
    assert torch.equal(plan.guidance.spatial, expected.spatial)
    assert plan.guidance.size == (64, 64)


def test_size_zero_is_the_checkpoints_own(got: ManagedModel) -> None:
    defaults = got.settings.tasks["generate"]
    plan, *_ = encode(got, width=0, height=0)
    assert plan.guidance.size == (defaults.height, defaults.width)


def test_conditioning_is_full_against_null_with_a_shared_pooled_embedding(got: ManagedModel) -> None:
    plan, positive, negative, _ = encode(got, EDIT, pictures(1), width=96, height=64)
    (states, entries), (null_states, null_entries) = positive[0], negative[0]
    assert torch.equal(states, plan.guidance.semantic)
    assert torch.equal(null_states, plan.guidance.null_semantic)
    assert entries["got_reference"].shape == entries["got_spatial"].shape == (1, 4, 8, 12)
    assert torch.equal(entries["got_reference"], plan.guidance.reference)
    assert torch.equal(entries["got_spatial"], plan.guidance.spatial)
    assert null_entries["got_reference"].abs().max() == null_entries["got_spatial"].abs().max() == 0
    assert null_entries["pooled_output"] is entries["pooled_output"]
    sizes = {"width": 96, "height": 64, "target_width": 96, "target_height": 64, "crop_w": 0, "crop_h": 0}
    assert {key: entries[key] for key in sizes} == sizes


def test_spatial_masks_show_each_box_in_its_colour(got: ManagedModel) -> None:
    *_, masks = encode(got)
    assert masks.shape == (1, 64, 64, 3)
    assert masks[0, 24, 24].tolist() == [1, 0, 0]
    assert masks[0, 8, 8].tolist() == [0, 0, 0]


def test_a_batch_of_pictures_gives_each_its_own_guidance(got: ManagedModel) -> None:
    batch = pictures(2)
    plan, *_ = encode(got, EDIT, batch)
    alone, *_ = encode(got, EDIT, batch[1:])
    assert plan.guidance.semantic.shape[0] == plan.guidance.reference.shape[0] == 2
    assert torch.equal(plan.guidance.semantic[1:], alone.guidance.semantic)
    assert torch.equal(plan.guidance.reference[1:], alone.guidance.reference)


@pytest.mark.parametrize(
    ("chain", "reference", "changes", "message"),
    [
        (EDIT, None, {}, "Editing needs the picture"),
        (CHAIN, pictures(1), {}, "leave it out"),
        (EDIT, torch.zeros(0, 8, 8, 3), {}, "batch is empty"),
        (CHAIN, None, {"width": 100}, "width must be a multiple of 8"),
        (CHAIN, None, {"height": 16}, "height must be"),
    ],
)
def test_what_encode_cannot_use_is_said(
    got: ManagedModel,
    chain: ReasoningChain,
    reference: torch.Tensor | None,
    changes: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(GoTError, match=message):
        encode(got, chain, reference, **changes)


def test_the_chain_goes_into_the_pictures_of_the_run(got: ManagedModel) -> None:
    prompt = {
        "1": {"class_type": "GoTSSGMEncode", "inputs": {}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 3]}},
    }
    information = prepare({"prompt": prompt}, lambda: "2")["extra_data"]["extra_pnginfo"]
    encode(got, extra_pnginfo=information, unique_id="1")
    assert information["got_chain"] == CHAIN.to_json()


def test_what_is_switched_off_is_not_encoded_and_what_cannot_be_obeyed_is_told(got: ManagedModel) -> None:
    text = "A red circle (250,250),(500,500) (red) and a star (600,600),(900,900) (green)."
    chain = ReasoningChain.parse(text, "generate", "a red circle and a star").with_details(
        [
            Stated("red", "A red circle", Detail("OPEN", strength=0.5)),
            Stated("green", "a star", Detail(on=False)),
        ]
    )
    answer = encoded(got, chain)
    plan, _, _, masks = answer["result"]
    assert [region.phrase for region in plan.chain.regions] == ["A red circle"]
    assert "a star" not in plan.chain.text + plan.chain.prompt
    assert len(masks) == 1
    off, note = answer["ui"]["notes"]
    assert "switched off in the plan: 'a star'" in off["en"]
    assert "lettering and strength" in note["en"]
    without = ReasoningChain.parse(plan.chain.text, "generate", plan.chain.prompt)
    assert torch.equal(plan.guidance.semantic, encode(got, without)[0].guidance.semantic)
    assert encoded(got)["ui"]["notes"] == []


# Sample


def test_the_picture_is_the_librarys_and_the_latent_is_unscaled(got: ManagedModel) -> None:
    plan, *_ = encode(got)
    samples, image = sample(got, plan)
    latents = got.sample_latents(plan.guidance, SamplingSettings(seed=3, steps=2, scheduler="euler"))
    assert torch.equal(samples, latents / got.parts.vae().config["scaling_factor"])
    assert torch.equal(image, pictures_to_image([got.decode(latents)]))


def test_pictures_of_a_batch_can_be_drawn_again_alone(got: ManagedModel) -> None:
    plan, *_ = encode(got)
    samples, image = sample(got, plan, batch_size=3)
    assert image.shape == (3, 64, 64, 3)
    alone_samples, alone = sample(got, plan, seed=5)
    assert torch.equal(samples[2:], alone_samples)
    assert torch.equal(image[2:], alone)
    assert not torch.equal(samples[0], samples[1])


def test_the_vae_comes_to_its_device_only_after_all_sampling(got: ManagedModel) -> None:
    """So that UNet and VAE need not share the card."""
    plan, *_ = encode(got)
    fresh = ManagedModel.open(got.path)
    sample(fresh, plan, steps=1)
    assert list(fresh.parts.shared.parts) == ["unet", "vae"]


def test_the_largest_seed_is_followed_by_zero(got: ManagedModel) -> None:
    plan, *_ = encode(got)
    samples, _ = sample(got, plan, seed=2**64 - 1, batch_size=2)
    assert torch.equal(samples[1:], sample(got, plan, seed=0)[0])


def test_minus_one_is_the_default_of_the_task_and_zero_switches_off(got: ManagedModel) -> None:
    plan, *_ = encode(got)
    defaults = got.default_scales("generate")
    assert plan.scales(-1, -1, -1) == defaults
    assert plan.scales(0, -1, 2.5) == GuidanceScales(0, defaults.spatial, 2.5)


def test_without_spatial_guidance_the_boxes_change_nothing(got: ManagedModel) -> None:
    """The same guidance but for its boxes."""
    plan, *_ = encode(got)
    other, *_ = encode(got, ReasoningChain.parse(TEXT.replace("500", "900"), "generate", PROMPT))
    moved = EncodedPlan(
        type(plan.guidance)(**{**vars(plan.guidance), "spatial": other.guidance.spatial}),
        CHAIN,
        None,
        plan.default_scales,
    )
    assert torch.equal(sample(got, plan, spatial_scale=0.0)[0], sample(got, moved, spatial_scale=0.0)[0])
    assert not torch.equal(sample(got, plan)[0], sample(got, moved)[0])


def test_outside_its_boxes_an_edit_keeps_the_source_in_picture_and_latent(got: ManagedModel) -> None:
    source = pictures(1, 64, 64)
    plan, *_ = encode(got, EDIT, source)
    samples, image = sample(got, plan)
    area = edited_area(EDIT.regions, (64, 64))
    outside = area == 0
    assert torch.equal(image[:, outside], source[:, outside])
    assert torch.equal(samples[..., :1, :], plan.guidance.reference[..., :1, :])
    drawn_samples, drawn = sample(got, plan, keep_outside_boxes=False)
    assert torch.equal(image, paste(drawn, source, area))
    assert not torch.allclose(image[:, outside], drawn[:, outside], atol=0.01)
    assert torch.equal(samples[..., 2:4, 2:4], drawn_samples[..., 2:4, 2:4])


def test_an_edit_has_the_shape_of_its_source(got: ManagedModel) -> None:
    source = pictures(1, 60, 90)
    plan, *_ = encode(got, EDIT, source)
    samples, image = sample(got, plan, steps=1)
    assert image.shape == (1, 60, 90, 3)
    assert samples.shape == (1, 4, 8, 8)
    assert sample(got, plan, steps=1, keep_outside_boxes=False)[1].shape == (1, 64, 96, 3), "as it was drawn"


def test_an_edit_of_a_photo_keeps_it_outside_the_boxes_and_says_what_was_enlarged(got: ManagedModel) -> None:
    source = pictures(2, 301, 600)
    plan, *_ = encode(got, EDIT, source)
    _, image = sample(got, plan, steps=1)
    outside = edited_area(EDIT.regions, (301, 600)) == 0
    assert torch.equal(image[:, outside], source[:, outside])
    (note,) = sampler_answer(got, plan, steps=1)["ui"]["notes"]
    assert note["en"].startswith("Drawn at 64 x 64 and enlarged to the picture's 600 x 301")
    assert "600 x 301" in note["zh"]
    small, *_ = encode(got, EDIT, pictures(1, 60, 90))
    assert sampler_answer(got, small, steps=1)["ui"]["notes"] == []


def test_an_edit_without_a_box_gives_the_picture_back_and_says_why(got: ManagedModel) -> None:
    source = pictures(2, 70, 90)
    plan, *_ = encode(got, ReasoningChain.parse("It becomes green.", "edit", "make it green"), source)
    answer = sampler_answer(got, plan, steps=1, batch_size=2)
    latent, image = answer["result"]
    assert torch.equal(image, source[[0, 1, 0, 1]])
    assert torch.equal(latent["samples"], plan.guidance.reference[[0, 1, 0, 1]])
    assert "the picture stays as it is" in answer["ui"]["notes"][0]["en"]


def test_what_the_model_has_not_learned_is_told_with_the_plan(got: ManagedModel) -> None:
    (plan,) = reason(got, pictures(1), prompt="paint the cat red")["ui"]["plans"]
    told = " ".join(note["en"] for note in plan["notes"])
    assert "has not learned: cat." in told
    assert "has not learned to look at pictures like this one" in told


def test_that_a_photo_will_be_drawn_smaller_is_told_with_the_plan(got: ManagedModel) -> None:
    answer = reason(got, pictures(1, 301, 600), locked=EDIT, max_new_tokens=60)
    (plan,) = answer["ui"]["plans"]
    assert any("enlarged to the picture's 600 x 301" in note["en"] for note in plan["notes"])


def test_each_picture_of_a_batch_is_edited_and_keeps_its_own_surroundings(got: ManagedModel) -> None:
    batch = pictures(2, 64, 64)
    plan, *_ = encode(got, EDIT, batch)
    samples, image = sample(got, plan, steps=1, batch_size=2)
    assert image.shape[0] == samples.shape[0] == 4
    assert torch.equal(image[:, 0, 0], batch[[0, 1, 0, 1], 0, 0])
    assert torch.equal(samples[2:, :, 0, 0], samples[:2, :, 0, 0])


def test_each_picture_of_a_batch_is_edited_with_its_own_guidance_and_seed(got: ManagedModel) -> None:
    batch = pictures(2, 64, 64)
    plan, *_ = encode(got, EDIT, batch)
    samples, _ = sample(got, plan, steps=1, batch_size=2)
    second, *_ = encode(got, EDIT, batch[1:])
    assert torch.equal(samples[3:], sample(got, second, steps=1, seed=6)[0])


def test_an_edited_picture_can_be_edited_again(got: ManagedModel) -> None:
    plan, *_ = encode(got, EDIT, pictures(1, 60, 90))
    _, first = sample(got, plan, steps=1)
    again, *_ = encode(got, EDIT, first)
    _, second = sample(got, again, steps=1)
    assert second.shape == first.shape


@pytest.mark.parametrize("changes", [{"scheduler": "magic"}, {"steps": 5000}])
def test_what_the_sampler_cannot_use_is_said(got: ManagedModel, changes: dict[str, Any]) -> None:
    plan, *_ = encode(got)
    with pytest.raises(GoTError, match=next(iter(changes))):
        sample(got, plan, **changes)
