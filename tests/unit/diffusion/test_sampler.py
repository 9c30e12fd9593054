"""The denoising loop, on a small UNet of the real class."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import Tensor

from got_models.constants import SCHEDULERS
from got_models.diffusion.guidance import BRANCHES, Guidance, branch_inputs, combine
from got_models.diffusion.sampler import Step, denoise, make_scheduler
from got_models.diffusion.settings import GuidanceScales, SamplingSettings
from got_models.errors import GoTError, Interrupted

CONFIG: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "clip_sample": False,
    "timestep_spacing": "leading",
    "steps_offset": 1,
}
SCALES = GuidanceScales(4.0, 3.0, 1.5)
REAL_RANDN = torch.randn


def make_unet(**changes: Any) -> UNet2DConditionModel:
    torch.manual_seed(0)
    config = {
        "in_channels": 12,
        "out_channels": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (32, 32),
        "layers_per_block": 1,
        "attention_head_dim": 1,
        "cross_attention_dim": 32,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 16 + 6 * 256,
    }
    return UNet2DConditionModel(**(config | changes)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    return make_unet()


@pytest.fixture(scope="module")
def guidance() -> Guidance:
    generator = torch.Generator().manual_seed(1)
    return Guidance(
        semantic=torch.randn(1, 64, 32, generator=generator),
        null_semantic=torch.randn(1, 64, 32, generator=generator),
        pooled=torch.randn(1, 16, generator=generator),
        spatial=torch.randn(1, 4, 8, 12, generator=generator),
        reference=torch.randn(1, 4, 8, 12, generator=generator),
        size=(64, 96),
        task="edit",
    )


def all_four_branches(unet: UNet2DConditionModel, guidance: Guidance, scales: GuidanceScales) -> Tensor:
    """Three DDPM steps with every branch in a call of its own, summed as paper eq. 1 prints it."""
    schedule = DDPMScheduler(**CONFIG)
    schedule.set_timesteps(3)
    generator = torch.Generator().manual_seed(5)
    latents = torch.randn((1, 4, 8, 12), generator=generator)
    height, width = guidance.size
    added = {
        "text_embeds": guidance.pooled,
        "time_ids": torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32),
    }
    for time in schedule.timesteps:
        e = {}
        for branch in BRANCHES:
            states, spatial, reference = branch_inputs(guidance, branch)
            stacked = torch.cat([latents, reference, spatial], dim=1)
            e[branch] = unet(stacked, time, encoder_hidden_states=states, added_cond_kwargs=added).sample
        noise = (
            e["null"]
            + scales.semantic * (e["semantic"] - e["reference"])
            + scales.spatial * (e["full"] - e["semantic"])
            + scales.reference * (e["reference"] - e["null"])
        )
        latents = schedule.step(noise, time, latents, generator=generator).prev_sample
    return latents


@pytest.mark.parametrize(
    ("scales", "evaluations"),
    [((4.0, 3.0, 1.5), 4), ((7.5, 4.0, 1.0), 3), ((4.0, 4.0, 1.0), 2), ((1, 1, 1), 1)],
)
def test_leaving_out_zero_branches_changes_nothing(
    unet: UNet2DConditionModel, guidance: Guidance, scales: tuple[float, float, float], evaluations: int
) -> None:
    rows: list[int] = []
    hook = unet.register_forward_pre_hook(lambda _, inputs: rows.append(inputs[0].shape[0]))
    latents = denoise(
        unet, CONFIG, guidance, SamplingSettings(scales=GuidanceScales(*scales), seed=5, steps=3)
    )
    hook.remove()
    assert rows == [evaluations] * 3
    assert torch.allclose(latents, all_four_branches(unet, guidance, GuidanceScales(*scales)), atol=1e-4)


@pytest.mark.parametrize(("at_once", "rows"), [(1, [1, 1, 1, 1]), (2, [2, 2]), (3, [3, 1]), (4, [4])])
def test_fewer_branches_at_once_draw_the_same(
    unet: UNet2DConditionModel, guidance: Guidance, at_once: int, rows: list[int]
) -> None:
    seen: list[int] = []
    hook = unet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[0]))
    latents = denoise(
        unet,
        CONFIG,
        guidance,
        settings=SamplingSettings(scales=SCALES, seed=5, steps=3),
        branches_at_once=at_once,
    )
    hook.remove()
    assert seen == rows * 3
    assert torch.allclose(latents, all_four_branches(unet, guidance, SCALES), atol=1e-4)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_is_reproducible_and_finite(
    unet: UNet2DConditionModel, guidance: Guidance, scheduler: str
) -> None:
    first, second = (
        denoise(
            unet,
            CONFIG,
            guidance,
            settings=SamplingSettings(scales=SCALES, seed=3, steps=4, scheduler=scheduler),
        )
        for _ in range(2)
    )
    assert torch.equal(first, second) and torch.isfinite(first).all()
    assert not torch.allclose(
        first,
        denoise(
            unet,
            CONFIG,
            guidance,
            settings=SamplingSettings(scales=SCALES, seed=4, steps=4, scheduler=scheduler),
        ),
        atol=1e-2,
    )


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_one_step_is_enough_for_every_scheduler(
    unet: UNet2DConditionModel, guidance: Guidance, scheduler: str
) -> None:
    assert torch.isfinite(
        denoise(
            unet,
            CONFIG,
            guidance,
            settings=SamplingSettings(scales=SCALES, seed=0, steps=1, scheduler=scheduler),
        )
    ).all()


def test_schedulers_keep_the_noise_schedule_of_the_checkpoint() -> None:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    for name in SCHEDULERS:
        scheduler = make_scheduler(CONFIG, name)
        assert torch.allclose(scheduler.betas, betas), name
        assert scheduler.config.prediction_type == "epsilon"


def test_the_unet_may_compute_in_fewer_bits_but_noise_and_latents_are_float32(guidance: Guidance) -> None:
    seen: dict[torch.dtype, list[Tensor]] = {}
    results = {}
    for dtype in (torch.float32, torch.bfloat16):
        unet = make_unet().to(dtype)
        noisy = seen[dtype] = []
        unet.register_forward_pre_hook(lambda _, inputs, noisy=noisy: noisy.append(inputs[0][:1, :4]))
        steps: list[Step] = []
        results[dtype] = denoise(
            unet,
            CONFIG,
            guidance,
            settings=SamplingSettings(scales=SCALES, seed=5, steps=3),
            on_step=steps.append,
        )
        assert {noisy.dtype for noisy in noisy} == {dtype}
        assert {step.latents.dtype for step in steps} == {step.predicted.dtype for step in steps}
        assert results[dtype].dtype == steps[0].latents.dtype == torch.float32
    noise = torch.randn((1, 4, 8, 12), generator=torch.Generator().manual_seed(5))
    assert torch.equal(seen[torch.float32][0], noise)
    assert torch.equal(seen[torch.bfloat16][0], noise.bfloat16())


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_seed_is_the_same_noise_in_every_number_format(guidance: Guidance, scheduler: str) -> None:
    """With a UNet that predicts nothing, what is left is the noise of the beginning and of the steps."""
    results = []
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        unet = make_unet().to(dtype)
        unet.conv_out.weight[:] = unet.conv_out.bias[:] = 0
        settings = SamplingSettings(scales=SCALES, seed=5, steps=3, scheduler=scheduler)
        results.append(denoise(unet, CONFIG, guidance, settings))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_a_seed_is_the_same_noise_on_every_device(
    guidance: Guidance, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Tensor] = []

    def randn(*arguments: Any, **settings: Any) -> Tensor:
        drawn.append(REAL_RANDN(*arguments, **settings))
        return drawn[-1]

    monkeypatch.setattr(torch, "randn", randn)
    unet, settings = make_unet().to("meta"), SamplingSettings(scales=SCALES, seed=5, steps=3)
    drawn.clear()
    with pytest.raises(Interrupted):  # a device without numbers, but noise comes before the first step
        denoise(unet, CONFIG, guidance, settings, should_stop=lambda: True)
    (noise,) = drawn
    assert torch.equal(noise, REAL_RANDN(1, 4, 8, 12, generator=torch.Generator().manual_seed(5)))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_nan_in_the_weights_is_said_after_the_first_step(guidance: Guidance, scheduler: str) -> None:
    unet, seen = make_unet(), []
    unet.conv_out.bias[0] = torch.nan
    with pytest.raises(GoTError, match=r"step 1, in the branch 'full', .* So does the weight conv_out"):
        denoise(
            unet,
            CONFIG,
            guidance,
            settings=SamplingSettings(scales=SCALES, seed=0, steps=4, scheduler=scheduler),
            on_step=seen.append,
        )
    assert seen == []


def test_values_too_large_for_the_number_format_name_float32(guidance: Guidance) -> None:
    unet = make_unet().half()
    unet.conv_out.bias[:] = 60_000
    unet.conv_out.weight *= 1e4
    with pytest.raises(GoTError, match=r"infinite values .* Load the model with dtype float32"):
        denoise(unet, CONFIG, guidance, SamplingSettings(scales=SCALES, seed=0, steps=2))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("scales", [(1e38, 4.0, 1.0), (7.5, 1e38, -1e38), (7.5, 4.0, 3e38), (1e30, 4, 1)])
def test_scales_that_overflow_are_refused(
    unet: UNet2DConditionModel, guidance: Guidance, scales: tuple[float, float, float], scheduler: str
) -> None:
    with pytest.raises(GoTError, match="smaller guidance scales"):
        denoise(
            unet,
            CONFIG,
            guidance,
            settings=SamplingSettings(scales=GuidanceScales(*scales), seed=0, steps=3, scheduler=scheduler),
        )


def test_steps_are_reported_one_by_one(unet: UNet2DConditionModel, guidance: Guidance) -> None:
    seen: list[Step] = []
    latents = denoise(
        unet, CONFIG, guidance, SamplingSettings(scales=SCALES, seed=0, steps=3), on_step=seen.append
    )
    assert [(step.index, step.total) for step in seen] == [(1, 3), (2, 3), (3, 3)]
    assert torch.equal(seen[-1].latents, latents)


@pytest.mark.parametrize("scheduler", ["euler", "dpm++2m", "unipc"])
def test_the_picture_predicted_by_the_last_step_is_the_result(
    unet: UNet2DConditionModel, guidance: Guidance, scheduler: str
) -> None:
    steps: list[Step] = []
    latents = denoise(
        unet,
        CONFIG,
        guidance,
        settings=SamplingSettings(scales=SCALES, seed=5, steps=4, scheduler=scheduler),
        on_step=steps.append,
    )
    torch.testing.assert_close(steps[-1].predicted, latents, rtol=1e-2, atol=1e-2)
    assert (steps[0].predicted - steps[0].latents).abs().max() > 0.5


def test_fast_draws_its_last_two_steps_with_the_full_branch_alone(
    unet: UNet2DConditionModel, guidance: Guidance
) -> None:
    steps: list[Step] = []
    fast = SamplingSettings(SCALES, seed=5, steps=8, scheduler="euler", speed="fast")
    latents = denoise(unet, CONFIG, guidance, fast, on_step=steps.append)
    assert [step.index for step in steps] == list(range(1, 9))
    assert [tuple(step.branches) for step in steps] == [BRANCHES] * 6 + [("full",)] * 2
    fully_guided = denoise(unet, CONFIG, guidance, replace(fast, speed=None))
    assert not torch.allclose(latents, fully_guided)


@pytest.mark.parametrize("speed", [None, "fast", "fastest"])
def test_branches_that_the_picture_does_not_need_are_evaluated_for_who_watches_and_change_nothing(
    unet: UNet2DConditionModel, guidance: Guidance, speed: str | None
) -> None:
    joint = GuidanceScales(2.0, 2.0, 2.0)  # full against null
    settings = SamplingSettings(joint, seed=5, steps=8, scheduler="euler", speed=speed)
    steps: list[Step] = []
    watched = denoise(unet, CONFIG, guidance, settings, on_step=steps.append, every_branch=True)
    assert all(tuple(step.branches) == BRANCHES for step in steps)
    torch.testing.assert_close(watched, denoise(unet, CONFIG, guidance, settings), atol=1e-4, rtol=1e-4)


def test_interruption_is_honoured_before_the_next_step(
    unet: UNet2DConditionModel, guidance: Guidance
) -> None:
    seen: list[Step] = []
    with pytest.raises(Interrupted, match="before step 3 of 5"):
        denoise(
            unet,
            CONFIG,
            guidance,
            settings=SamplingSettings(scales=SCALES, seed=0, steps=5),
            on_step=seen.append,
            should_stop=lambda: len(seen) == 2,
        )
    assert len(seen) == 2


@pytest.mark.parametrize(("at_once", "batches"), [(4, 1), (3, 2)])
def test_keys_and_values_of_the_semantic_guidance_are_made_once(
    unet: UNet2DConditionModel, guidance: Guidance, at_once: int, batches: int
) -> None:
    made: list[str] = []
    layers = {
        name: layer for name, layer in unet.named_modules() if name.endswith(("attn2.to_k", "attn2.to_v"))
    }
    hooks = [
        layer.register_forward_hook(lambda module, inputs, output, name=name: made.append(name))
        for name, layer in layers.items()
    ]
    denoise(
        unet,
        CONFIG,
        guidance,
        settings=SamplingSettings(scales=SCALES, seed=0, steps=3),
        branches_at_once=at_once,
    )
    assert sorted(made) == sorted([*layers] * batches)
    denoise(
        unet,
        CONFIG,
        guidance,
        settings=SamplingSettings(scales=SCALES, seed=0, steps=2),
        branches_at_once=at_once,
    )
    assert len(made) == 2 * batches * len(layers)
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize(
    ("at_once", "rows"),
    # The second and the third branch, (0, 0, Gr) and (Gt, 0, Gr), are alike before the first cross-attention.
    [(4, [3]), (3, [2, 1]), (2, [2, 2]), (1, [1, 1, 1, 1])],
)
def test_branches_that_differ_in_their_words_alone_share_what_comes_before_the_words(
    unet: UNet2DConditionModel, guidance: Guidance, at_once: int, rows: list[int]
) -> None:
    seen: list[int] = []
    embedded: list[int] = []
    block = unet.down_blocks[0].resnets[0]
    hooks = [
        unet.conv_in.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0]))),
        block.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0]))),
        unet.add_embedding.register_forward_pre_hook(lambda _, inputs: embedded.append(len(inputs[0]))),
    ]
    denoise(
        unet,
        CONFIG,
        guidance,
        settings=SamplingSettings(scales=SCALES, seed=0, steps=2),
        branches_at_once=at_once,
    )
    for hook in hooks:
        hook.remove()
    assert seen == [count for count in rows for _ in hooks[:2]] * 2
    assert len(embedded) == len(rows)


def test_two_pictures_at_once_come_out_like_each_of_them_alone(unet: UNet2DConditionModel) -> None:
    generator = torch.Generator().manual_seed(2)
    both = Guidance(
        semantic=torch.randn(2, 64, 32, generator=generator),
        null_semantic=torch.randn(2, 64, 32, generator=generator),
        pooled=torch.randn(2, 16, generator=generator),
        # The same reference twice: rows of two pictures are not alike for that.
        reference=torch.randn(1, 4, 8, 12, generator=generator).repeat(2, 1, 1, 1),
        spatial=torch.randn(1, 4, 8, 12, generator=generator).repeat(2, 1, 1, 1),
        size=(64, 96),
        task="edit",
    )
    noise = torch.randn(2, 4, 8, 12, generator=torch.Generator().manual_seed(0))
    together = denoise(
        unet, CONFIG, both, SamplingSettings(scales=SCALES, seed=0, steps=1, scheduler="euler")
    )
    for picture in range(2):
        prediction = {}
        for branch in BRANCHES:
            states, spatial, reference = (part[picture : picture + 1] for part in branch_inputs(both, branch))
            schedule = make_scheduler(CONFIG, "euler")
            schedule.set_timesteps(1)
            latents = noise[picture : picture + 1] * schedule.init_noise_sigma
            time = schedule.timesteps[0]
            scaled = schedule.scale_model_input(latents, time)
            prediction[branch] = unet(
                torch.cat([scaled, reference, spatial], dim=1),
                time,
                encoder_hidden_states=states,
                added_cond_kwargs={
                    "text_embeds": both.pooled[picture : picture + 1],
                    "time_ids": torch.tensor([[64.0, 96, 0, 0, 64, 96]]),
                },
            ).sample
        alone = schedule.step(combine(prediction, SCALES), time, latents).prev_sample
        assert torch.allclose(together[picture : picture + 1], alone, atol=1e-4)


def test_other_guidance_is_seen_by_the_next_run(unet: UNet2DConditionModel, guidance: Guidance) -> None:
    other = replace(guidance, semantic=guidance.semantic.flip(1) * 2)
    fresh = denoise(make_unet(), CONFIG, other, SamplingSettings(scales=SCALES, seed=0, steps=2))
    denoise(unet, CONFIG, guidance, SamplingSettings(scales=SCALES, seed=0, steps=2))
    assert torch.equal(denoise(unet, CONFIG, other, SamplingSettings(scales=SCALES, seed=0, steps=2)), fresh)


def test_an_interrupted_run_leaves_the_unet_as_it_was(unet: UNet2DConditionModel, guidance: Guidance) -> None:
    before = dict(unet.named_modules())
    seen: list[Step] = []
    with pytest.raises(Interrupted):
        denoise(
            unet,
            CONFIG,
            guidance,
            settings=SamplingSettings(scales=SCALES, seed=0, steps=3),
            on_step=seen.append,
            should_stop=lambda: bool(seen),
        )
    assert len(seen) == 1
    assert dict(unet.named_modules()) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "from 1 to 1000, got 0"),
        ({"steps": 1001}, "from 1 to 1000, got 1001"),
        ({"steps": 2.5}, "got 2.5"),
        ({"seed": -1}, "got -1"),
        ({"seed": 2**64}, "The seed must be"),
        ({"scheduler": "heun"}, r"ddpm, euler, dpm\+\+2m, unipc; got 'heun'"),
    ],
)
def test_unusable_settings_are_refused(
    unet: UNet2DConditionModel, guidance: Guidance, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(GoTError, match=message):
        denoise(
            unet,
            CONFIG,
            guidance,
            SamplingSettings(SCALES, **{"seed": 0, "steps": 2} | change),
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in_channels": 8}, "8 input channels.* 12: 4 noisy latents . 4 reference . 4 spatial"),
        ({"cross_attention_dim": 64}, "cross-attention is 64 wide, but the guidance is 32"),
        (
            {"projection_class_embeddings_input_dim": 8 + 6 * 256},
            "1544 wide, but the guidance gives 1552: 16 pooled . 1536 time ids",
        ),
    ],
)
def test_a_unet_of_other_widths_is_refused_with_every_contribution(
    guidance: Guidance, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(GoTError, match=message):
        denoise(make_unet(**change), CONFIG, guidance, SamplingSettings(scales=SCALES, seed=0, steps=1))
