"""The bench measures what it says: the same work on both sides, and no shortcut on the published one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
import torch
from PIL import Image

from got_models.bench.measure import (
    QUARTERS,
    STEP_ASIDE,
    Comparison,
    MemoryMeter,
    Stopwatch,
    chains,
    forced_tokens,
    fresh_session,
    make_clock,
    signal_to_noise,
)
from got_models.bench.random_weights import ACTIVATIONS, PARAMETERS, check_memory, random_6b
from got_models.bench.reference_pipeline import ReferencePipeline
from got_models.chain.chain import GRID
from got_models.diffusion.guidance import active_branches
from got_models.diffusion.settings import SamplingSettings
from got_models.errors import GoTError
from got_models.mllm.settings import GenerationSettings
from got_models.pipeline import GoTModel
from tiny_model.pretraining.initialize import initialize_checkpoint

SIZE = (64, 96)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> GoTModel:
    folder = tmp_path_factory.mktemp("checkpoint")
    initialize_checkpoint(folder)
    return GoTModel.from_pretrained(folder)


@pytest.fixture
def sizes_seen(model: GoTModel) -> Iterator[dict[str, list[int]]]:
    """What passes through the parts: the tokens of each MLLM pass, the rows of each UNet and VAE batch."""
    seen: dict[str, list[int]] = {"mllm": [], "unet": [], "vae": []}
    reasoner = model.parts.reasoner()

    def note(name: str, dimension: int) -> Any:
        return lambda module, inputs, output: seen[name].append(output[0].shape[dimension])

    hooks = [
        reasoner.mllm.model.language_model.register_forward_hook(note("mllm", 1)),
        model.parts.unet().register_forward_hook(note("unet", 0)),
        model.parts.vae().encoder.register_forward_hook(
            lambda module, inputs, output: seen["vae"].append(len(output))
        ),
    ]
    yield seen
    for hook in hooks:
        hook.remove()


def test_signal_to_noise_is_twenty_times_the_logarithm_of_255_for_pictures_one_level_apart() -> None:
    first, second = Image.new("RGB", (8, 8), (10, 20, 30)), Image.new("RGB", (8, 8), (11, 19, 31))
    assert signal_to_noise(first, second) == pytest.approx(48.1308036)
    assert signal_to_noise(second, first) == signal_to_noise(first, second)
    assert math.isinf(signal_to_noise(first, first.copy()))


def test_the_ratio_is_of_medians() -> None:
    assert Comparison((6.0, 2.0, 100.0), (2.0, 3.0, 0.0)).ratio == 3.0


def test_chains_are_always_the_same_and_leave_room_for_the_move() -> None:
    first, second = (list(islice(chains(), 20)) for _ in range(2))
    assert first == second
    assert len({chain.prompt for chain in first}) == 20
    for chain in first:
        assert len(chain.regions) == len(QUARTERS)
        assert chain.regions[0].box.x2 + STEP_ASIDE < GRID


def test_prefill_is_the_time_to_the_first_token_and_writing_that_between_tokens() -> None:
    times = iter([0.0, 0.0, 5.0, 5.0, 7.0, 9.0, 10.0, 20.0, 21.0, 30.0, 34.0, 40.0, 50.0, 60.0, 61.0])
    stopwatch = Stopwatch(lambda: next(times))
    with stopwatch.stage("reasoning"):
        for _ in range(3):
            stopwatch.token()
    for name in ("first encoding", "encoding after a move", "sampling", "decoding"):
        with stopwatch.stage(name):
            pass
    assert stopwatch.seconds(steps=5) == {
        "prefill": 5.0,
        "writing, a token": 2.0,
        "first encoding": 1.0,
        "encoding after a move": 4.0,
        "sampling, a step": 2.0,
        "decoding": 1.0,
    }


def test_memory_on_a_cpu_is_the_peak_of_the_process_within_the_stage(model: GoTModel) -> None:
    meter = MemoryMeter(model, make_clock(torch.device("cpu"), False), unload=True)
    with meter.stage("before"):
        pass
    with meter.stage("peak"):
        held = torch.ones(100_000_000)  # 400 MB, written to
        for _ in range(20):
            held[:1_000_000].sqrt_().sort()
        del held
    assert meter.peaks["peak"] - meter.peaks["before"] > 300_000_000
    assert next(model.parts.unet().parameters()).device.type == "cpu"


def test_both_sides_write_the_dictated_chain_with_one_pass_per_token(model: GoTModel) -> None:
    chain = next(chains())
    reasoner = model.parts.reasoner()
    ids = reasoner.tokenizer(chain.text, add_special_tokens=False)["input_ids"]
    ids = [*ids, reasoner.token_ids.image_start]
    for side in (ReferencePipeline(model), fresh_session(model)):
        passes: list[None] = []
        with forced_tokens(reasoner.mllm, ids, lambda passes=passes: passes.append(None)):
            assert side.reason(chain.prompt, settings=GenerationSettings(max_new_tokens=len(ids))) == chain
        assert len(passes) == len(ids)


def test_the_published_order_and_the_library_agree(model: GoTModel) -> None:
    chain = next(chains())
    sides = ReferencePipeline(model), fresh_session(model)
    theirs, ours = (side.encode(chain, size=SIZE) for side in sides)
    for name in ("semantic", "null_semantic", "pooled", "spatial", "reference"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-4, atol=1e-4)
    theirs, ours = (
        side.sample_latents(theirs, SamplingSettings(seed=3, steps=4, scheduler="ddpm")) for side in sides
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    assert signal_to_noise(*(side.decode(theirs) for side in sides)) > 60


def test_the_published_order_reads_the_whole_sequence_and_encodes_every_picture_every_time(
    model: GoTModel, sizes_seen: dict[str, list[int]]
) -> None:
    chain = next(chains())
    published = ReferencePipeline(model)
    for _ in range(2):
        published.encode(chain, size=SIZE)
    whole = len(model.parts.reasoner().tokenizer(chain.text)["input_ids"]) + 65
    assert len(sizes_seen["mllm"]) == 2 and min(sizes_seen["mllm"]) > whole
    assert sizes_seen["vae"] == [1] * 2 * (len(QUARTERS) + 1)


def test_the_published_order_evaluates_four_branches_where_the_library_needs_two(
    model: GoTModel, sizes_seen: dict[str, list[int]]
) -> None:
    assert len(active_branches(model.default_scales("generate"))) == 2
    guidance = model.encode(next(chains()), size=SIZE)
    ReferencePipeline(model).sample_latents(guidance, SamplingSettings(seed=0, steps=2, scheduler="ddpm"))
    fresh_session(model).sample_latents(guidance, SamplingSettings(seed=0, steps=2, scheduler="ddpm"))
    assert sizes_seen["unet"] == [4, 4, 2, 2]


def test_random_weights_have_the_published_sizes() -> None:
    model = random_6b(torch.device("meta"), torch.bfloat16)
    parts: dict[str, Any] = {"unet": model.parts.unet(), "vae": model.parts.vae(), "ssgm": model.parts.ssgm()}
    parts["mllm"] = model.parts.reasoner().mllm
    counts = {name: sum(weight.numel() for weight in part.parameters()) for name, part in parts.items()}
    assert counts == {
        "mllm": 3_754_622_976,  # Qwen2.5-VL-3B-Instruct
        "unet": 2_567_463_684 + 320 * 8 * 3 * 3,  # SDXL base, eight channels wider
        "vae": 83_653_863,
        "ssgm": 2048 * 2048 + 2048 + 2048 * 1280 + 1280,
    }
    assert sum(counts.values()) == PARAMETERS
    assert {weight.dtype for part in parts.values() for weight in part.parameters()} == {torch.bfloat16}
    assert torch.get_default_dtype() == torch.float32


def test_too_little_memory_for_random_weights_is_refused_with_what_is_needed() -> None:
    with pytest.raises(GoTError, match=r"float32 needs 32 GB .* got 16 GB\. Use a GPU with 19 GB"):
        check_memory(16_000_000_000, torch.float32)
    check_memory(2 * PARAMETERS + ACTIVATIONS, torch.bfloat16)
