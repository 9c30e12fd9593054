"""What was read or encoded once is not computed again, and nothing of the result depends on it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from got_models.bench.measure import forced_tokens
from got_models.chain.chain import Box, ReasoningChain
from got_models.mllm.kv_cache import BLOCK
from got_models.mllm.reasoner import Reasoner, read_hidden
from got_models.mllm.settings import GenerationSettings
from got_models.pipeline import GoTModel

PROMPT = "a red circle to the left of a blue square"
TEXT = "A red circle (102,203),(398,497) is left of a blue square (570,250),(890,700) on a white background."
SOURCE = Image.linear_gradient("L").resize((90, 60))
SOURCES = {"generate": None, "edit": SOURCE}


def chain(task: str) -> ReasoningChain:
    return ReasoningChain.parse(TEXT, task, PROMPT)


def full_pass(model: GoTModel, plan: ReasoningChain, source: Image.Image | None) -> Tensor:
    """The hidden states of one pass through the whole sequence, without any cache."""
    reasoner = model.parts.reasoner()
    ids = reasoner.token_ids
    text = reasoner.tokenizer(plan.text, add_special_tokens=False)["input_ids"]
    inputs = reasoner.inputs(
        reasoner.context(plan.task, plan.prompt, source).followed_by(
            *text, ids.image_start, *ids.image_tokens
        )
    )
    picture = inputs.get("pixel_values"), inputs.get("image_grid_thw")
    with torch.no_grad():
        return read_hidden(
            reasoner.mllm, inputs["input_ids"], inputs["attention_mask"], *picture, ids.image_tokens
        )


@contextmanager
def counted(module: Any) -> Iterator[list[int]]:
    """How many rows (tokens, or pictures) each call of a module receives."""
    calls: list[int] = []
    hook = module.register_forward_pre_hook(lambda _, inputs: calls.append(inputs[0].shape[-1]))
    try:
        yield calls
    finally:
        hook.remove()


@pytest.fixture
def fresh(checkpoint: Path) -> GoTModel:
    return GoTModel.from_pretrained(checkpoint)


def lengths(model: GoTModel, plan: ReasoningChain, source: Image.Image | None) -> tuple[int, int]:
    """How many tokens the prompt and the whole sequence have."""
    reasoner = model.parts.reasoner()
    prompt = len(reasoner.context(plan.task, plan.prompt, source).tokens)
    return prompt, prompt + len(reasoner.tokenizer(plan.text, add_special_tokens=False)["input_ids"]) + 1 + 64


@pytest.mark.parametrize("task", SOURCES)
def test_after_writing_the_whole_blocks_of_the_prompt_are_not_read_again(fresh: GoTModel, task: str) -> None:
    source = SOURCES[task]
    plan = chain(task)
    words = fresh.parts.reasoner().tokenizer(plan.text, add_special_tokens=False)["input_ids"]
    with forced_tokens(fresh.parts.reasoner().mllm, [*words, fresh.parts.reasoner().token_ids.end_of_text]):
        text = fresh.parts.reasoner().write(task, PROMPT, source, settings=GenerationSettings(temperature=0))
    assert text == plan.text
    with (
        counted(fresh.parts.reasoner().mllm.get_input_embeddings()) as calls,
        counted(fresh.parts.reasoner().mllm.model.visual) as seen,
    ):
        hidden = fresh.parts.reasoner().read(plan, source)
    prompt, length = lengths(fresh, plan, source)
    assert calls == [length - (prompt - 1) // BLOCK * BLOCK]
    assert seen == []
    assert torch.allclose(hidden, full_pass(fresh, plan, source), atol=1e-4)


def test_the_mllm_reads_no_markers_of_phrases(fresh: GoTModel) -> None:
    text = "<|obj_start|>a man, in a hat<|obj_end|> (102,203),(398,497)"
    plan, reasoner = ReasoningChain.parse(text, "generate", PROMPT), fresh.parts.reasoner()
    assert "obj_start" in plan.text
    before = reasoner.context("generate", PROMPT, None)
    read = reasoner.tokenizer.decode(reasoner.with_chain(before, plan).tokens[len(before.tokens) :])
    assert read.startswith("a man, in a hat <|box_start|>(102,203),(398,497)<|box_end|>")


@pytest.mark.parametrize("task", SOURCES)
def test_what_passes_together_depends_on_nothing_read_before(fresh: GoTModel, task: str) -> None:
    """On many machines other pieces would give other last bits, if not on this one."""
    reasoner, source = fresh.parts.reasoner(), SOURCES[task]
    layer = reasoner.mllm.model.language_model.layers[0]
    pieces: list[int] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: pieces.append(inputs[0].shape[1]))
    reasoner.read(chain(task), source)
    whole = [*pieces]
    assert whole[:-1] == [BLOCK] * (len(whole) - 1)
    for before in (
        lambda: reasoner.write(task, PROMPT, source, GenerationSettings(max_new_tokens=9)),
        reasoner.cache.forget,
    ):
        before()
        pieces.clear()
        reasoner.read(chain(task).move_box(1, Box(570, 250, 891, 701)), source)
        reasoner.read(chain(task), source)
        assert sum(pieces) > whole[-1]
        assert {*pieces} <= {BLOCK, whole[-1]}
    hook.remove()


@pytest.mark.parametrize("task", SOURCES)
def test_after_an_edit_only_the_blocks_from_the_first_change_on_are_read(fresh: GoTModel, task: str) -> None:
    source = SOURCES[task]
    plan = chain(task)
    moved = plan.move_box(1, Box(570, 250, 891, 701))
    fresh.parts.reasoner().read(plan, source)
    behind = moved.text.partition("(570,250),(89")[2]
    changed = fresh.parts.reasoner().tokenizer(behind, add_special_tokens=False)["input_ids"]
    with counted(fresh.parts.reasoner().mllm.get_input_embeddings()) as calls:
        hidden = fresh.parts.reasoner().read(moved, source)
    _, length = lengths(fresh, moved, source)
    assert calls == [length - (length - len(changed) - 65) // BLOCK * BLOCK]
    assert calls[0] < length
    assert torch.allclose(hidden, full_pass(fresh, moved, source), atol=1e-4)


def test_any_order_of_readings_gives_what_a_full_pass_gives(fresh: GoTModel) -> None:
    """Other words, other pictures under the same words, from a picture to none and back."""
    other = SOURCE.transpose(Image.Transpose.ROTATE_90)
    walk = [("edit", SOURCE), ("edit", other), ("generate", None), ("edit", other), ("edit", SOURCE)]
    for task, source in walk:
        for plan in (chain(task), chain(task).remove(0), chain(task).rename(1, "a green star")):
            hidden = fresh.parts.reasoner().read(plan, source)
            assert torch.allclose(hidden, full_pass(fresh, plan, source), atol=1e-4)


def test_another_prompt_for_the_same_picture_spares_the_vision_tower(fresh: GoTModel) -> None:
    fresh.parts.reasoner().read(chain("edit"), SOURCE)
    renamed = ReasoningChain.parse(TEXT, "edit", "make it green")
    with counted(fresh.parts.reasoner().mllm.model.visual) as calls:
        hidden = fresh.parts.reasoner().read(renamed, SOURCE)
    assert calls == []
    assert torch.allclose(hidden, full_pass(fresh, renamed, SOURCE), atol=1e-4)


def test_a_picture_token_that_the_mllm_writes_itself_is_a_token_like_any_other(fresh: GoTModel) -> None:
    """Random weights do; the next token is what transformers' generate makes of it."""
    reasoner = fresh.parts.reasoner()
    ids = reasoner.token_ids
    remaining = iter([ids.image_pad, ids.box_start] * 2)
    states: list[list[Tensor]] = [[], []]

    def dictate(module: Any, inputs: Any, logits: Tensor) -> Tensor:
        seen.append(inputs[0].reshape(-1))
        logits = torch.zeros_like(logits)
        logits[..., next(remaining)] = 1.0
        return logits

    inputs = reasoner.inputs(reasoner.context("edit", PROMPT, SOURCE))
    hook = reasoner.mllm.lm_head.register_forward_hook(dictate)
    seen = states[0]
    reasoner.write("edit", PROMPT, SOURCE, settings=GenerationSettings(max_new_tokens=4, temperature=0))
    remaining, seen = iter([ids.image_pad, ids.box_start] * 2), states[1]
    reasoner.mllm.generate(**inputs, max_new_tokens=4, do_sample=False, pad_token_id=ids.end_of_text)
    hook.remove()
    assert torch.allclose(torch.stack(states[0]), torch.stack(states[1]), atol=1e-4)


def test_an_mllm_that_moved_reads_everything_again(fresh: GoTModel) -> None:
    fresh.parts.reasoner().read(chain("generate"))
    fresh.parts.reasoner().mllm.to(torch.float64)
    hidden = fresh.parts.reasoner().read(chain("generate"))
    assert hidden.dtype == torch.float64
    assert torch.allclose(hidden, full_pass(fresh, chain("generate"), None), atol=1e-9)


def test_a_reading_that_failed_leaves_nothing_half_read(fresh: GoTModel) -> None:
    plan = chain("generate")
    fresh.parts.reasoner().read(plan)

    def fail(module: Any, inputs: Any) -> None:
        raise MemoryError

    hook = fresh.parts.reasoner().mllm.model.language_model.layers[1].register_forward_pre_hook(fail)
    with pytest.raises(MemoryError):
        fresh.parts.reasoner().read(plan.move_box(0, Box(1, 2, 3, 4)))
    hook.remove()
    assert torch.allclose(fresh.parts.reasoner().read(plan), full_pass(fresh, plan, None), atol=1e-4)


@pytest.mark.parametrize("task", SOURCES)
@pytest.mark.parametrize(
    ("settings", "config"),
    [
        ({}, {"do_sample": False, "repetition_penalty": 1.3}),
        ({}, {"do_sample": True, "temperature": 0.7, "top_k": 9, "top_p": 0.8}),
        ({}, {"do_sample": True, "temperature": 2.0}),
        ({"temperature": 1.3, "top_p": 0.9}, {"repetition_penalty": 1.2}),
    ],
)
def test_the_text_is_what_transformers_own_generate_writes(
    fresh: GoTModel, task: str, settings: dict[str, float], config: dict[str, Any]
) -> None:
    reasoner, source = fresh.parts.reasoner(), SOURCES[task]
    for name, value in config.items():
        setattr(reasoner.mllm.generation_config, name, value)
    text = reasoner.write(task, PROMPT, source, GenerationSettings(max_new_tokens=30, seed=3, **settings))
    inputs = reasoner.inputs(reasoner.context(task, PROMPT, source))
    ids = reasoner.token_ids
    stops = list(reasoner.stop_ids)
    own = {**settings, "do_sample": True, "top_k": 0} if settings else {}
    torch.manual_seed(3)
    written = reasoner.mllm.generate(
        **inputs, **own, max_new_tokens=30, eos_token_id=stops, pad_token_id=ids.end_of_text
    )[0, inputs["input_ids"].shape[1] :].tolist()
    end = next((place for place, token in enumerate(written) if token in stops), len(written))
    assert end > 3
    assert text == reasoner.tokenizer.decode(written[:end])


# The MLLM's own end


@pytest.mark.parametrize(
    "ends",
    [lambda own: own, lambda own: [7, own], lambda own: [], lambda own: None, lambda own: [151645, 151643]],
    ids=["one", "several", "an empty list", "none", "those of another vocabulary"],
)
def test_a_chain_ends_where_transformers_own_generate_ends(
    fresh: GoTModel, ends: Callable[[int], int | list[int] | None]
) -> None:
    """The MLLM's own end is here a token that it does write, long before it would end the chain."""
    reasoner = fresh.parts.reasoner()
    inputs = reasoner.inputs(reasoner.context("generate", PROMPT, None))
    natural = written_by_generate(reasoner, inputs, [])
    own = natural[8]
    assert natural.index(own) >= 3 and len(natural) > 12
    eos = ends(own)
    reasoner.mllm.generation_config.eos_token_id = eos
    expected = written_by_generate(reasoner, inputs, [eos] if isinstance(eos, int) else eos or [])
    text = reasoner.write("generate", PROMPT, settings=GenerationSettings(max_new_tokens=30))
    assert text == reasoner.tokenizer.decode(expected)
    assert (expected == natural[: natural.index(own)]) == (isinstance(eos, int) or own in (eos or []))


def written_by_generate(reasoner: Reasoner, inputs: dict[str, Tensor], ends: list[int]) -> list[int]:
    """30 tokens of greedy decoding, up to one of GoT's ends or of `ends`."""
    ids = reasoner.token_ids
    stops = [ids.image_start, ids.vision_start, ids.end_of_text, *ends]
    written = reasoner.mllm.generate(
        **inputs, max_new_tokens=30, do_sample=False, eos_token_id=stops, pad_token_id=ids.end_of_text
    )[0, inputs["input_ids"].shape[1] :].tolist()
    end = next((place for place, token in enumerate(written) if token in stops), len(written))
    return list(written[:end])


def test_the_text_does_not_hold_the_token_that_ended_it(fresh: GoTModel) -> None:
    """`<|im_end|>`, with which Qwen2.5-VL ends its turns, and the bundled MLLM's config names as its end."""
    reasoner = fresh.parts.reasoner()
    end = reasoner.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert reasoner.mllm.generation_config.eos_token_id == end
    words = reasoner.tokenizer("A red circle.", add_special_tokens=False)["input_ids"]
    pieces: list[str] = []
    with forced_tokens(reasoner.mllm, [*words, end, *words]):
        text = reasoner.write("generate", PROMPT, on_text=pieces.append)
    assert text == "".join(pieces) == "A red circle."


def test_transformers_has_nothing_to_warn_about(fresh: GoTModel) -> None:
    """From 5.24 on it warns of arguments' old names; its loggers and Python's warnings are both heard."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fresh.parts.reasoner().write(
            "edit", PROMPT, SOURCE, settings=GenerationSettings(max_new_tokens=3, temperature=0)
        )
        fresh.parts.reasoner().read(chain("edit"), SOURCE)


@pytest.mark.parametrize("task", SOURCES)
def test_moving_one_box_encodes_one_mask(fresh: GoTModel, model: GoTModel, task: str) -> None:
    plan, source = chain(task), SOURCES[task]
    moved = plan.move_box(0, Box(1, 2, 300, 400))
    fresh.encode(plan, source, (64, 96))
    with counted(fresh.parts.vae().encoder) as calls:
        guidance = fresh.encode(moved, source, (64, 96))
    assert len(calls) == 1 + (source is not None)
    expected = model.encode(moved, source, (64, 96))
    assert torch.equal(guidance.spatial, expected.spatial)
    assert torch.equal(guidance.reference, expected.reference)


def test_masks_of_another_size_or_colour_are_encoded_anew(fresh: GoTModel) -> None:
    plan = ReasoningChain.parse("A circle (1,2),(300,400) (red).", "generate", "x")
    first = fresh.encode(plan, size=(64, 96))
    assert fresh.encode(plan, size=(96, 64)).spatial.shape != first.spatial.shape
    blue = ReasoningChain.parse("A circle (1,2),(300,400) (blue).", "generate", "x")
    assert not torch.allclose(fresh.encode(blue, size=(64, 96)).spatial, first.spatial, atol=1e-4)


def test_changing_the_guidance_leaves_what_is_remembered_alone(fresh: GoTModel) -> None:
    plan = ReasoningChain.parse("Nothing.", "generate", "x")
    first = fresh.encode(plan, size=(64, 64))
    expected = first.reference.clone()
    first.reference.zero_()
    first.spatial.zero_()
    again = fresh.encode(plan, size=(64, 64))
    assert torch.equal(again.reference, expected)
    assert torch.equal(again.spatial, expected)


# Attention


def test_all_attention_goes_through_pytorchs_own_kernels(fresh: GoTModel) -> None:
    """scaled_dot_product_attention, which takes flash or memory-efficient kernels without another package."""
    mllm = fresh.parts.reasoner().mllm
    parts = [module.config for module in mllm.modules() if hasattr(module, "config")]
    assert {config._attn_implementation for config in parts} == {"sdpa"}
    for part in (fresh.parts.unet(), fresh.parts.vae()):
        assert {type(used).__name__ for used in part.attn_processors.values()} == {"AttnProcessor2_0"}
